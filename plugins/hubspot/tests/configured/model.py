"""What a client wants of whom, and what a configuration makes of that: written from the guide, without the connector.

``docs/hubspot.md`` says what a group grants. Nothing here calls the connector, so the two are wrong together only where
the guide is.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from plugins.hubspot.tests.configured.portal import ConfiguredPortal, Held
from scim_bridge_hubspot.config import HubSpotConfig

NOTHING: frozenset[str] = frozenset()


class Known(NamedTuple):
    """A group as the client knows it. :param key: Of an alias or seat its name, of others HubSpot's id."""

    id: str
    kind: str
    key: str


class Grant(NamedTuple):
    """What a group gives, as far as HubSpot has it. :param gone: Names that HubSpot does not have."""

    roles: frozenset[str] = NOTHING
    teams: frozenset[str] = NOTHING
    seats: frozenset[str] = NOTHING
    gone: tuple[str, ...] = ()
    exists: bool = True

    @property
    def things(self) -> frozenset[str]:
        """Everything that is given."""
        return self.roles | self.teams | self.seats


@dataclass
class Employee:
    """Somebody whom the client manages.

    :param id: The SCIM id; empty before the first creation that succeeded, and after a deletion.
    :param active: What the client was last told.
    :param groups: The groups that the client was told the person is in.
    :param doubt: Groups of which a word is not confirmed.
    :param waits: Whether a word about access is not confirmed.
    :param by_hand: Ids of teams and seats that somebody gave in HubSpot, or that came with the account.
    :param given: Ids of what their groups ever gave: it is no longer theirs by hand.
    :param touched: Whether the account itself was changed in HubSpot, so that answers may refuse.
    """

    email: str
    id: str = ""
    active: bool = False
    groups: set[str] = field(default_factory=set)
    doubt: set[str] = field(default_factory=set)
    waits: bool = False
    by_hand: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)
    touched: bool = False
    deleted: bool = False


class Model:
    """What groups come to, with the configuration and the portal of this moment."""

    def __init__(self, portal: ConfiguredPortal, config: HubSpotConfig) -> None:
        self.portal = portal
        self.config = config

    def grant(self, known: Known) -> Grant:
        """Return what a group gives now."""
        portal, config = self.portal, self.config
        if known.kind == "alias":
            return self._alias(known.key)
        if known.kind == "role":
            there = known.key in portal.hubspot.roles and known.key not in self.stripped
            return Grant(roles=frozenset({known.key})) if there else Grant(exists=False)
        if known.kind == "team":
            there = known.key in portal.hubspot.teams and bool(config.teams_as_groups)
            return Grant(teams=frozenset({known.key})) if there else Grant(exists=False)
        there = known.key in portal.hubspot.seats and config.seats_as_groups
        return Grant(seats=frozenset({known.key})) if there else Grant(exists=False)

    def _alias(self, name: str) -> Grant:
        grant = self.config.groups.get(name)
        if grant is None:
            return Grant(exists=False)
        teams = [each for each in (grant.primary_team, *grant.secondary_teams) if each]
        names = [("role", [grant.permission_set] if grant.permission_set else []), ("team", teams)]
        found = {kind: [(each, self.portal.ids(kind, each)) for each in each_of] for kind, each_of in names}
        found["seat"] = [(each, self.portal.ids("seat", each)) for each in grant.seats]
        gone = tuple(each for several in found.values() for each, ids in several if len(ids) != 1)
        union = {kind: frozenset().union(*(ids for _, ids in several)) for kind, several in found.items()}
        roles = union["role"] - self.stripped
        return Grant(roles, union["team"], union["seat"], gone)

    @property
    def stripped(self) -> frozenset[str]:
        """Ids of the set of stripped people."""
        return self.portal.ids("role", self.config.strip.permission_set) if self.config.strip else NOTHING

    @property
    def fallback(self) -> frozenset[str]:
        """Ids of the fallback's set, unless it is that of stripped people."""
        return self.portal.ids("role", self.config.fallback_permission_set) - self.stripped

    def barred(self, role_id: str, seats: Collection[str] = ()) -> str:
        """Return the entry that forbids to give a set; empty when none does."""
        names = {role_id.casefold(), self.portal.hubspot.roles[role_id].name.casefold()}
        allowed = {name.casefold() for name in self.config.allow_privileged}
        if names & {name.casefold() for name in self.config.privileged} and not names & allowed:
            return "privileged"
        for name, carried in self.config.seat_rules.items():
            if name.casefold() in names and not set(carried) & set(seats):
                return "seat_rules"
        return ""

    def grants(self, groups: Iterable[Known]) -> Grant:
        """Return what several groups give together."""
        each = [self.grant(group) for group in groups]
        return Grant(
            frozenset().union(*(one.roles for one in each)),
            frozenset().union(*(one.teams for one in each)),
            frozenset().union(*(one.seats for one in each)),
            tuple(name for one in each for name in one.gone),
        )

    def is_out(self, held: Held | None, stripped_ever: Collection[str]) -> bool:
        """Whether somebody has no access, by any way to end it."""
        return held is None or not held.usable or (len(held.roles) == 1 and held.roles <= set(stripped_ever))

    def ended(self, held: Held | None, stripped_ever: Collection[str]) -> str:
        """Return in what an account differs from one whose access was ended in today's way; empty when it does not."""
        mode = self.config.deprovision
        if mode == "remove" and held is not None and held.usable:
            return f"is still there: {held}"
        if mode == "scim" and held is not None and held.usable and not self.is_out(held, stripped_ever):
            return f"is still active: {held}"
        if mode == "strip" and held is not None and not self.is_out(held, stripped_ever):
            return f"is not stripped: {held}"
        return ""
