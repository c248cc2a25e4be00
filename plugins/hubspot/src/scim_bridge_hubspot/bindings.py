"""What the names of a configuration stand for in the account: resolved once, told in one way.

An administrator of HubSpot may rename or delete what a configuration names, at any moment. Then the entry concerns only
who needs it: nothing else stops, nothing is cleared for it, and a removal never waits for it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .config import FALLBACK, STRIP, HubSpotConfig
from .wire import PermissionSet, Seat, Team

Thing = Literal["permission set", "team", "seat"]
State = Literal["resolved", "gone", "ambiguous", "contradictory"]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the account has to give.

    :param scopes: The token's scopes, when known.
    """

    permission_sets: tuple[PermissionSet, ...] = ()
    teams: tuple[Team, ...] = ()
    seats: tuple[Seat, ...] = ()
    scopes: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """One name of the configuration, and what it came to.

    :param entry: The setting, as an operator finds it in the file: ``strip.permission_set``.
    :param name: What it names, by name or id.
    :param id: HubSpot's id (of a seat: its name) when it is resolved.
    :param problem: What is wrong, in one sentence; empty when it is resolved.
    """

    entry: str
    thing: Thing
    name: str
    state: State
    id: str | None = None
    problem: str = ""


class Bindings:
    """All names of one configuration, for one inventory."""

    def __init__(self, config: HubSpotConfig, inventory: Inventory) -> None:
        self._inventory = inventory
        self._found: dict[tuple[str, str], Binding] = {}
        for entry, thing, name in named(config):
            self._found[entry, name] = self._resolved(entry, thing, name)
        self._refuse_grants_of_stripped()

    def __iter__(self) -> Iterator[Binding]:
        """Yield every binding, in the order of the configuration."""
        return iter(self._found.values())

    def id(self, entry: str, name: str | None) -> str | None:
        """Return what a name of an entry stands for; ``None`` when there is no name, or it is not resolved."""
        return None if name is None else self._found[entry, name].id

    def problems(self, entry: str = "") -> list[Binding]:
        """Return what is not resolved, of all entries or of one and those below it."""
        return [each for each in self if each.problem and (not entry or f"{each.entry}.".startswith(f"{entry}."))]

    def _resolved(self, entry: str, thing: Thing, name: str) -> Binding:
        things = {
            "permission set": [(item.id, item.name) for item in self._inventory.permission_sets],
            "team": [(item.id, item.name) for item in self._inventory.teams],
            "seat": [(item.name, item.name) for item in self._inventory.seats],
        }[thing]
        return _lookup(entry, thing, name, things)

    def _refuse_grants_of_stripped(self) -> None:
        """People with access and people without it cannot be told apart if they hold the same set."""
        strip = next((each for each in self if each.entry == STRIP), None)
        if strip is None or strip.id is None:
            return
        for each in list(self):
            if each.entry != STRIP and each.thing == "permission set" and each.id == strip.id:
                problem = f'{each.entry} "{each.name}" is the set of {STRIP} "{strip.name}": nobody is given it'
                self._found[each.entry, each.name] = replace(each, state="contradictory", id=None, problem=problem)


def named(config: HubSpotConfig) -> Iterator[tuple[str, Thing, str]]:
    """Yield entry, kind and name of everything in HubSpot that a configuration names and acts on."""
    for alias, grant in config.groups.items():
        entry = alias_entry(alias)
        if grant.permission_set:
            yield f"{entry}.permission_set", "permission set", grant.permission_set
        if grant.primary_team:
            yield f"{entry}.primary_team", "team", grant.primary_team
        for team in grant.secondary_teams:
            yield f"{entry}.secondary_teams", "team", team
        for seat in grant.seats:
            yield f"{entry}.seats", "seat", seat
    if config.strip:
        yield STRIP, "permission set", config.strip.permission_set
        if config.strip.seat:
            yield "strip.seat", "seat", config.strip.seat
    if config.fallback_permission_set:
        yield FALLBACK, "permission set", config.fallback_permission_set
    if config.fallback_seat:
        yield "fallback_seat", "seat", config.fallback_seat


def alias_entry(alias: str) -> str:
    """Return how an alias is written in the configuration."""
    return f'groups."{alias}"'


def _lookup(entry: str, thing: Thing, name: str, things: Sequence[tuple[str, str]]) -> Binding:
    """Find an id, or a name that only one has."""
    matches = [thing_id for thing_id, _ in things if thing_id == name]
    matches = matches or [thing_id for thing_id, known in things if known == name]
    if len(matches) == 1:
        return Binding(entry, thing, name, "resolved", matches[0])
    if matches:
        problem = f'{entry}: several {thing}s are named "{name}" (ids {", ".join(matches)}); configure it by id'
        return Binding(entry, thing, name, "ambiguous", problem=problem)
    exists = ", ".join(f'"{known}"' for _, known in things) or "none"
    return Binding(entry, thing, name, "gone", problem=f'{entry}: HubSpot has no {thing} "{name}"; it has: {exists}')
