"""Scripts on a remote system that keeps members on the group; accounts tell their groups, or groups their members."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from random import Random
from typing import Any

import httpx2

from scim_bridge.testing.memory_remote import MemoryRemote
from tests.faults.promises.edges import address
from tests.faults.promises.record import Account, Record
from tests.faults.promises.scripts import Scripted, listed_in
from tests.faults.simulation.remote import NOTHING, Effect, Holding
from tests.faults.simulation.world import World

SHAPES = ("memory-groups", "memory-rosters")
"""The connectors: what an account tells has its groups, or only a group's own list has its members."""
TEAM = "Team"
MANY = 150
"""More members than one page, or one call, takes."""
EACH = 0.24
"""Seconds for each member, where that matters: two calls. All together, they take longer than any call may."""


class NotedRemote(MemoryRemote):
    """A remote system that notes in a record what it shows whenever that changes."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.record = record

    def changed(self) -> None:
        """Note what a call changed."""
        super().changed()
        self.record.shows("bridge", self.shown())

    def shown(self) -> dict[str, Account]:
        """Return everybody's account; whoever does not get in has the use of nothing."""
        return {key: self._account(key) for key in self.accounts}

    def _account(self, key: str) -> Account:
        account = self.accounts[key]
        names = frozenset(str(self.groups[one].display_name) for one in self.groups_of(key) if one in self.groups)
        return Account(str(account.user.user_name).lower(), account.active, names if account.active else frozenset())


class TeamsWorld:
    """A remote system with teams, as the machinery of histories wants it."""

    connector = SHAPES[0]
    groups: Collection[str] = (TEAM,)
    limit: tuple[int, float] | None = None
    untouched: Collection[str] = ()
    faults: Mapping[str, Callable[[Random], None]] = {}
    changes: Mapping[str, Callable[[Random, str], bool]] = {}

    def __init__(self, seed: int) -> None:
        self.record = Record(asyncio.get_running_loop().time)
        self.teams = NotedRemote(self.record)
        self.name = f"teams {seed} {id(self)}"
        self.settings: Mapping[str, Any] = {"remote": self.name}
        self.watch: Callable[[Effect], None] = lambda effect: None

    def transport(self) -> httpx2.AsyncBaseTransport:
        """Return a way to nowhere: it is no remote system of the web."""
        return httpx2.MockTransport(lambda request: httpx2.Response(404))

    def fired(self) -> Counter[str]:
        """Return nothing: no fault strikes."""
        return Counter()

    def heal(self) -> None:
        """End no fault."""

    def holding(self, user_name: str) -> Holding:
        """Return what somebody holds."""
        account = self.teams.find(user_name)
        shown = self.accounts()[account.remote_id] if account else None
        return Holding(shown.access, shown.sets) if shown else NOTHING

    def accounts(self) -> dict[str, Account]:
        """Return what the remote system shows of everybody."""
        return self.teams.shown()

    def come_to(self, groups: Collection[str]) -> frozenset[str]:
        """Return the groups: each is what it is called."""
        return frozenset(groups)

    def subject_of(self, request: httpx2.Request) -> str:
        """Return nobody."""
        return ""

    def budget_of(self, request: httpx2.Request) -> str:
        """Return no limit's name."""
        return ""


class TeamCase(Scripted):
    """A script on teams. :param shape: The connector."""

    remote = TeamsWorld
    shape = SHAPES[0]

    def __init__(self, world: World, **options: Any) -> None:
        super().__init__(world, **options)
        assert isinstance(world.remote, TeamsWorld)
        self.world_of_teams = world.remote
        world.remote.connector = self.shape
        self.teams = world.remote.teams
        self.team = self.teams.add_group(TEAM)
        MemoryRemote._named[world.remote.name] = self.teams

    async def run(self) -> None:
        """Follow the script."""
        try:
            await super().run()
        finally:
            MemoryRemote.forget(self.world_of_teams.name)

    def enter(self, *names: str) -> None:
        """Let a person put others into the team, and make accounts of those who have none."""
        for name in names:
            account = self.teams.find(address(name))
            key = account.remote_id if account else self.teams.add_account(address(name))
            self.teams.members.add((self.team, key))

    def slow(self) -> None:
        """Let each member take its time from the next start on."""
        self.world_of_teams.settings = {**self.world_of_teams.settings, "member_latency": EACH}

    async def pushed(self, *names: str) -> None:
        """Provision people and make them the members of the team."""
        for name in names:
            await self.client.provision(name)
        await self.listed(*names)

    async def listed(self, *names: str) -> None:
        """Write the team as having these members and no others."""
        if TEAM not in self.client.groups:
            _, document = await self.client.send("GET", f'/Groups?filter=displayName%20eq%20"{TEAM}"')
            self.client.groups[TEAM] = str(document["Resources"][0]["id"])
        members = [{"value": self.client.ids[name]} for name in names]
        body = {"displayName": TEAM, "members": members}
        await self.client.send("PUT", f"/Groups/{self.client.groups[TEAM]}", body)

    async def taken_out(self, name: str) -> None:
        """Take somebody out by name."""
        id_ = self.client.ids.get(name) or await self.client.find(name)
        operation = {"op": "remove", "path": f'members[value eq "{id_}"]'}
        await self.client.patch(f"/Groups/{self.client.groups[TEAM]}", operation)


TEAM_CASES: dict[str, Callable[[TeamCase], Awaitable[None]]] = {}
"""The scripts, by what they are about."""

team_case = listed_in(TEAM_CASES)


def shaped(name: str, shape: str) -> type[TeamCase]:
    """Return the history that follows a script on a shape of membership."""
    return type("OnTeams", (TeamCase,), {"script": TEAM_CASES[name], "shape": shape})


@team_case
async def a_team_had_members_before(one: TeamCase) -> None:
    """A team has many members before the first import, and a client takes it over."""
    names = [f"p{number}" for number in range(MANY)]
    one.by_hand(one.enter, *names)
    await one.restart()
    await one.pushed("ada")
    await one.taken_out(names[-1])
    await one.listed("ada")


@team_case
async def somebody_is_put_into_a_team_by_hand(one: TeamCase) -> None:
    """Somebody is put into a team by hand, and taken out by name before anybody looked."""
    for name in ("ada", "bob"):
        await one.client.provision(name)
    await one.listed("bob")
    one.by_hand(one.enter, "ada")
    await one.taken_out("ada")
    one.by_hand(one.enter, "ada", "cyd")
    await one.restart()


@team_case
async def more_members_than_a_call_can_take(one: TeamCase) -> None:
    """A team has more members than the remote system takes out before a call ends."""
    names = [f"p{number}" for number in range(MANY)]
    await one.pushed(*names)
    one.slow()
    await one.restart()
    await one.listed()
