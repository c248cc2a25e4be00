"""A stocked portal as the remote system of a simulation, with ids in place of names: names change."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from random import Random
from typing import Any, NamedTuple

import httpx2

from plugins.hubspot.tests.configured.stock import stock
from scim_bridge_hubspot.emulator import PROFILES, HubSpotEmulator, Person, Switches
from tests.faults.simulation.remote import NOTHING, Effect, Holding
from tests.faults.simulation.weather import EPOCH

BOSS = "boss@corp.example"
MARY = "mary@corp.example"
HANK = "hank@corp.example"


class Held(NamedTuple):
    """What a member has. :param usable: Whether HubSpot lets the person in."""

    usable: bool
    roles: frozenset[str]
    teams: frozenset[str]
    seats: frozenset[str]

    @property
    def things(self) -> frozenset[str]:
        """Everything that was given."""
        return self.roles | self.teams | self.seats


class ConfiguredPortal:
    """A portal of a tier. What a simulation asks besides is answered with nothing: no fault strikes here.

    :param tier: Its name in the emulator.
    :param settings: The configuration in force; a restarted bridge reads it anew.
    """

    connector = "hubspot"
    groups: Collection[str] = ("none", "more")
    limit: tuple[int, float] | None = None
    faults: Mapping[str, Callable[[Random], None]] = {}
    changes: Mapping[str, Callable[[Random, str], bool]] = {}
    untouched: Collection[str] = ()
    watch: Callable[[Effect], None] = staticmethod(lambda effect: None)

    def __init__(self, seed: int, tier: str, switches: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        clock = asyncio.get_running_loop().time
        self.hubspot = hubspot = HubSpotEmulator(
            switches=Switches(**switches),
            profile=PROFILES[tier],
            clock=clock,
            now=lambda: EPOCH.timestamp() + clock(),
            seed=seed,
        )
        self.settings: Mapping[str, Any] = settings
        stock(hubspot)
        sets, teams = hubspot.profile.permission_sets, hubspot.profile.teams
        if hubspot.profile.max_users > 10:
            by_name = {team.name: team for team in hubspot.teams.values()}
            hubspot.add_person(BOSS, roles=["Sales"] if sets else (), seats=["Core"])
            more: dict[str, Any] = {}
            if teams:
                more = {"primary_team": by_name["APAC"], "secondary_teams": [by_name["EMEA"]]}
            hubspot.add_person(MARY, roles=["Marketing"] if sets else (), seats=["Paid"], **more)
            hubspot.add_person(HANK, seats=["Core", "Paid"], **more)

    # -- What people see ---------------------------------------------------------------------------------------------

    def held(self, email: str) -> Held | None:
        """Return what somebody has; ``None`` when they are no member."""
        person = self.hubspot.find(email)
        return None if person is None else held_by(person)

    def everybody(self) -> dict[str, Held]:
        """Return what every member has, by address."""
        found = {person.email.lower(): held_by(person) for person in self.hubspot.members}
        return {email: held for email, held in found.items() if held is not None}

    def ids(self, kind: str, name: str | None) -> frozenset[str]:
        """Return the id of what has a name, or the id itself; of a seat the name."""
        if name is None:
            return frozenset()
        if kind == "seat":
            return frozenset({name} & self.hubspot.seats.keys())
        things = self.hubspot.roles if kind == "role" else self.hubspot.teams
        return frozenset(id_ for id_, thing in things.items() if name in (id_, thing.name))

    # -- What the machinery asks -------------------------------------------------------------------------------------

    def transport(self) -> httpx2.AsyncBaseTransport:
        """Return the way to it."""
        return self.hubspot.transport()

    def fired(self) -> Counter[str]:
        """Return that nothing struck."""
        return Counter()

    def heal(self) -> None:
        """Nothing is broken."""

    def holding(self, user_name: str) -> Holding:
        """Tell nothing."""
        return NOTHING

    def come_to(self, groups: Collection[str]) -> frozenset[str]:
        """Tell nothing."""
        return frozenset()

    def subject_of(self, request: httpx2.Request) -> str:
        """Tell nobody."""
        return ""

    def budget_of(self, request: httpx2.Request) -> str:
        """Return the endpoint that counts for itself."""
        return "/scim/" if request.url.path.startswith("/scim/") else ""


def held_by(person: Person) -> Held | None:
    """Return what a person has."""
    membership = person.membership
    if membership is None:
        return None
    teams = {*membership.secondary_team_ids, *([membership.primary_team_id] if membership.primary_team_id else [])}
    roles = frozenset(membership.role_ids)
    return Held(not membership.deactivated, roles, frozenset(teams), frozenset(membership.seat_names))
