"""What groups give a person besides a permission set, and how it is told from what hands gave."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from types import MappingProxyType

from .wire import Assignment

NO_NAMES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Grant:
    """What one group gives, by HubSpot's ids; of an alias, what there is of it."""

    role_id: str | None = None
    primary_team_id: str | None = None
    team_ids: frozenset[str] = frozenset()
    seat_names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Given:
    """The teams and seats that one group gave a person, by HubSpot's ids.

    :param role_id: The permission set that an alias stood for: its name may be another one by now.
    """

    team_ids: frozenset[str] = frozenset()
    seat_names: frozenset[str] = frozenset()
    role_id: str | None = None

    def __or__(self, other: "Given") -> "Given":
        """Return both together, of two permission sets the other's."""
        return Given(self.team_ids | other.team_ids, self.seat_names | other.seat_names, other.role_id or self.role_id)


NOTHING: Mapping[str, Given] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is remembered of a person's groups, independent of today's configuration.

    :param groups: Those that were last set; ``None`` when none ever were.
    :param given: What teams and seats each gave, until it is taken.
    :param found: Of somebody whose groups were never set, what each alias was found to be.
    """

    groups: tuple[str, ...] | None = None
    given: Mapping[str, Given] = field(default_factory=dict)
    found: Mapping[str, Given] = field(default_factory=dict)

    @property
    def known(self) -> Mapping[str, Given]:
        """What each group gave, or was found to be."""
        return {**self.found, **self.given}


UNKNOWN = Remembered()


def together(given: Mapping[str, Given]) -> Given:
    """Return what several groups gave, together."""
    return reduce(Given.__or__, given.values(), Given())


def by_hand(held: Assignment, given: Mapping[str, Given]) -> Assignment:
    """Return an assignment without what groups gave."""
    taken = together(given)
    return replace(
        held,
        primary_team_id=None if held.primary_team_id in taken.team_ids else held.primary_team_id,
        secondary_team_ids=held.secondary_team_ids - taken.team_ids,
        seat_names=None if held.seat_names is None else held.seat_names - taken.seat_names,
    )


def given_by_each(grants: Mapping[str, Grant]) -> Mapping[str, Given]:
    """Return what grants give that is remembered, by group; groups that give nothing of it are left out."""
    given = {
        remote_id: Given(grant.team_ids, grant.seat_names, grant.role_id if remote_id.startswith("alias:") else None)
        for remote_id, grant in grants.items()
    }
    return {remote_id: one for remote_id, one in given.items() if one != Given()}
