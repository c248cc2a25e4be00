"""What clients say and what people do, in any order: nobody keeps, or gets, more than they should have."""

from pathlib import Path
from random import Random

import pytest

from plugins.github.tests.bridged import PATCH, Bridged, bridged
from scim_bridge_github.emulator import GitHubEmulator

LOGINS = ("ada", "bob", "eve")
TEAMS = ("Core", "Docs")
STEPS = 25


class History:
    """One history: what is wanted, and how it came about."""

    def __init__(self, bridge: Bridged, seed: int) -> None:
        self.bridge = bridge
        self.github = bridge.github
        self.random = Random(seed)
        self.ids: dict[str, str] = {}
        self.groups: dict[str, str] = {}
        self.wanted: dict[str, bool] = {}
        self.inside: dict[str, set[str]] = {name: set() for name in TEAMS}
        self.told: list[str] = []

    async def step(self) -> None:
        """Let a client, or somebody, do something."""
        login, team = self.random.choice(LOGINS), self.random.choice(TEAMS)
        person = self.github.person(login)
        match self.random.choice(
            ("client", "client", "group", "group", "accept", "remove", "invite", "rename", "compare")
        ):
            case "client":
                await self.say(login)
            case "group" if login in self.ids:
                await self.move(login, team)
            case "accept" if person.id in self.github.members:
                self.github.accept(login)
            case "remove" if person.id in self.github.members:
                self.github.remove(person)
            case "invite" if person.id not in self.github.members:
                self.github.invite(person, "member")
            case "rename":
                for one in self.github.teams.values():
                    one.name = f"{one.name}!"
            case "compare":
                await self.bridge.compare()
            case _:
                return
        self.told.append(f"{login} {team}: {self.github.snapshot()}")

    async def say(self, login: str) -> None:
        """Let the client create somebody, or say the opposite of what it said before."""
        if login not in self.ids:
            answer = await self.bridge.create(login)
            assert answer.status_code == 201, answer.text
            self.ids[login] = answer.json()["id"]
            self.wanted[login] = True
        else:
            self.wanted[login] = not self.wanted[login]
            answer = await self.bridge.active(self.ids[login], active=self.wanted[login])
            assert answer.status_code == 200, answer.text
        if not self.wanted[login]:
            self.holds_nothing(login)

    async def move(self, login: str, team: str) -> None:
        """Let the client put somebody into a group, or take them out."""
        if team not in self.groups:
            answer = await self.bridge.http.post("/Groups", json={"displayName": team})
            self.groups[team] = answer.json()["id"]
        leaves = login in self.inside[team]
        self.inside[team] ^= {login}
        operation = {"op": "remove" if leaves else "add", "path": "members", "value": [{"value": self.ids[login]}]}
        body = {"schemas": [PATCH], "Operations": [operation]}
        await self.bridge.http.patch(f"/Groups/{self.groups[team]}", json=body)

    def holds_nothing(self, login: str) -> None:
        """See that somebody is neither in nor invited, since the client was told so."""
        held = self.github.snapshot()
        assert login not in held["members"] | held["invited"], self.told
        assert not [team for team, members in held["teams"].items() if login in members], self.told

    async def end(self) -> None:
        """Compare until nothing is left to do, and see that nobody has more than is wanted of them."""
        for _ in range(3):
            await self.bridge.compare()
        for login, wanted in self.wanted.items():
            if not wanted:
                self.holds_nothing(login)
        names = {name: {one.name for one in self.github.teams.values() if one.name.startswith(name)} for name in TEAMS}
        for team, found in names.items():
            for name in found:
                members = set(self.github.snapshot()["teams"][name]).intersection(self.ids)
                assert members <= self.inside[team], self.told


@pytest.mark.parametrize("seed", range(1, 7))
async def test_nobody_has_more_than_is_wanted(tmp_path: Path, seed: int) -> None:
    """Whatever people accept, leave and are invited to meanwhile; a removal that is told as done is done."""
    github = GitHubEmulator()
    async with bridged(tmp_path, github) as bridge:
        history = History(bridge, seed)
        for _ in range(STEPS):
            await history.step()
        await history.end()
