"""What group membership means in HubSpot: pure functions from groups to an assignment.

HubSpot knows no groups. A person has one permission set (as far as the API can write), a primary and secondary teams,
and seats. Each of these, and each alias of the configuration, is shown to identity providers as a group::

    role:4711          a permission set, by id
    team:31            a team, by id
    seat:Core Seat     a kind of seat, by name
    alias:Sales EMEA   an entry of the configuration's ``groups``: a set, teams and seats together
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from scim_bridge.errors import ConnectorError, RemoteForbiddenError, RemoteInvalidValueError, RemoteNotFoundError

from .bindings import Bindings, Inventory, alias_entry
from .config import FALLBACK, STRIP, SUPER_ADMIN, HubSpotConfig
from .errors import privileged
from .given import NO_NAMES, NOTHING, Given, Grant, given_by_each, together
from .wire import Assignment, PublicUser, assignment_of


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a set of groups comes to for one person.

    :param assignment: The complete assignment.
    :param given: What of it each group gives, besides its permission set.
    :param roles: Every permission set that a group asks for.
    :param effective: Remote ids of the groups that take effect.
    :param shadowed: Remote id of each group whose permission set gives way, with the reason.
    """

    assignment: Assignment
    given: Mapping[str, Given]
    roles: frozenset[str]
    effective: tuple[str, ...]
    shadowed: Mapping[str, str] = field(default_factory=dict)

    def satisfied_by(self, user: PublicUser) -> bool:
        """Whether a person already holds exactly this, so that no write is needed.

        A second permission set that was given in HubSpot's user interface is fine when a group asks for it too.
        """
        held = assignment_of(user)
        wanted = self.assignment
        return (
            user.roles in (self.roles, frozenset({wanted.role_id} if wanted.role_id else ()))
            and (wanted.role_id is None or wanted.role_id in user.roles)
            and held.primary_team_id == wanted.primary_team_id
            and held.secondary_team_ids == wanted.secondary_team_ids
            and (wanted.seat_names is None or held.seat_names is None or held.seat_names == wanted.seat_names)
        )


def group_id(kind: str, value: str) -> str:
    """Return the remote id of a group."""
    return f"{kind}:{value}"


OTHER_GROUPS = "set teams_as_groups or seats_as_groups, or configure [groups], so that something else is a group"
"""What to do in an account without permission sets."""


class Mapper:
    """Translates between groups and assignments, for one configuration and one inventory.

    :param givers: Remote id → name of the groups that ever gave teams or seats to somebody. Those that the
        configuration no longer maps stay groups, which give nothing: whoever is in one is to lose what it gave, and can
        be removed from it.
    :param former_fallback: The permission set that the fallback's name stood for when it was last there.
    """

    def __init__(
        self,
        config: HubSpotConfig,
        inventory: Inventory,
        givers: Mapping[str, str] = NO_NAMES,
        former_fallback: str | None = None,
    ) -> None:
        self.config = config
        self._former_fallback = former_fallback
        self.inventory = inventory
        self.bindings = Bindings(config, inventory)
        self._sets = {item.id: item for item in inventory.permission_sets}
        self._teams = {item.id: item for item in inventory.teams}
        names = set(self.groups().values())  # another group of the name takes its place
        self.unmapped = {
            group: name for group, name in givers.items() if self._is_unmapped(group) and name not in names
        }

    def _is_unmapped(self, remote_id: str) -> bool:
        """Whether the configuration no longer says that this is a group."""
        kind, _, value = remote_id.partition(":")
        mapped = {
            "alias": value in self.config.groups,
            "team": self.config.teams_as_groups is not None,
            "seat": self.config.seats_as_groups,
        }
        return not mapped.get(kind, True)

    def set_name(self, role_id: str) -> str:
        """Return the name of a permission set, or its id when it is unknown."""
        return self._sets[role_id].name if role_id in self._sets else role_id

    # -- Groups ------------------------------------------------------------------------------------------------------

    def groups(self) -> dict[str, str]:
        """Return remote id → name of every group that can be given."""
        stripped = self.stripped_role
        found = {group_id("alias", name): name for name in self.config.groups}
        found |= {group_id("role", item.id): item.name for item in self._sets.values() if item.id != stripped}
        if self.config.teams_as_groups:
            found |= {group_id("team", item.id): item.name for item in self._teams.values()}
        if self.config.seats_as_groups:
            found |= {group_id("seat", item.name): item.name for item in self.inventory.seats}
        return found

    def adopt(self, name: str) -> str:
        """Return the remote id of the group that a pushed group is: an alias, or what has exactly this name.

        :raises RemoteInvalidValueError: When nothing has the name, several permission sets have it, or it is an alias
            of something that is not there.
        :raises RemoteForbiddenError: When it would grant a privileged permission set that is not allow-listed.
        """
        matches = [remote_id for remote_id, known in self.groups().items() if known == name]
        if not matches:
            exists = ", ".join(f'"{known}"' for known in sorted(set(self.groups().values())))
            told = f"it has: {exists}" if exists else f"it has nothing that can be one; {OTHER_GROUPS}"
            raise RemoteInvalidValueError(
                f'HubSpot has nothing named "{name}" that can be a group, and its API creates none; {told}'
            )
        if (kinds := [remote_id.partition(":")[0] for remote_id in matches]).count(kinds[0]) > 1:
            raise RemoteInvalidValueError(
                f'several things in HubSpot are named "{name}" ({", ".join(matches)}); map the group by id in '
                f'the configuration: [groups."{name}"]'
            )
        self.refuse_incomplete(matches[:1])
        grant = self.grant_of(matches[0])
        if grant.role_id is not None:
            self.refuse_privileged(grant.role_id)
        return matches[0]

    def grant_of(self, remote_id: str) -> Grant:
        """Return what a group gives.

        :raises RemoteNotFoundError: When it is none, or no longer one.
        """
        kind, _, value = remote_id.partition(":")
        if remote_id in self.unmapped:
            return Grant()
        if kind == "alias" and value in self.config.groups:
            return self._alias(value)
        if kind == "role" and value in self._sets and value != self.stripped_role:
            return Grant(role_id=value)
        if kind == "team" and self.config.teams_as_groups and value in self._teams:
            return Grant(team_ids=frozenset({value}))
        if kind == "seat" and self.config.seats_as_groups and any(seat.name == value for seat in self.inventory.seats):
            return Grant(seat_names=frozenset({value}))
        raise RemoteNotFoundError(f'HubSpot has no "{remote_id}" (any more), or the configuration no longer maps it')

    def _alias(self, name: str) -> Grant:
        entry, grant, bound = alias_entry(name), self.config.groups[name], self.bindings.id
        primary = bound(f"{entry}.primary_team", grant.primary_team)
        secondary = {bound(f"{entry}.secondary_teams", team) for team in grant.secondary_teams}
        seats = {bound(f"{entry}.seats", seat) for seat in grant.seats}
        return Grant(
            role_id=bound(f"{entry}.permission_set", grant.permission_set),
            primary_team_id=primary,
            team_ids=frozenset(team for team in {*secondary, primary} if team is not None),
            seat_names=frozenset(seat for seat in seats if seat is not None),
        )

    def refuse_incomplete(self, groups: Iterable[str]) -> None:
        """Refuse to grant aliases of which something is not there.

        :raises RemoteInvalidValueError: naming the entries of the configuration.
        """
        aliases = [value for kind, _, value in (group.partition(":") for group in sorted(groups)) if kind == "alias"]
        problems = [each.problem for alias in aliases for each in self.bindings.problems(alias_entry(alias))]
        if problems:
            raise RemoteInvalidValueError("; ".join(problems))

    @property
    def stripped_role(self) -> str | None:
        """The permission set of stripped accounts; ``None`` when there is none, or it is not there."""
        strip = self.config.strip
        return self.bindings.id(STRIP, strip.permission_set) if strip else None

    @property
    def fallback_role(self) -> str | None:
        """The permission set of people in no group, as :attr:`stripped_role`."""
        return self.bindings.id(FALLBACK, self.config.fallback_permission_set)

    def fallback_of(self, held: str | None) -> str | None:
        """Return the set of somebody in no group who holds one: what the fallback gave while its name is not there."""
        return self.fallback_role or (held if held == self._former_fallback else None)

    @property
    def fallback_seat(self) -> str | None:
        """The seat of people whose groups grant none, as :attr:`stripped_role`."""
        return self.bindings.id("fallback_seat", self.config.fallback_seat)

    def stripped(self, held: Assignment) -> Assignment:
        """Return what ``deprovision = "strip"`` leaves a person with who holds an assignment."""
        seat = self.bindings.id("strip.seat", self.config.strip.seat) if self.config.strip else None
        seats = held.seat_names if seat is None else frozenset({seat})
        return Assignment(role_id=self.stripped_role, seat_names=seats)

    # -- Groups → assignment -----------------------------------------------------------------------------------------

    def resolve(
        self,
        groups: Iterable[str],
        held: Assignment,
        *,
        asked: Collection[str] = (),
        given: Mapping[str, Given] = NOTHING,
    ) -> Resolution:
        """Return what exactly these groups come to for a person who holds an assignment.

        What no group manages, nor ever gave this person (teams set by hand, for example), stays as it is. The
        permission set is always managed. A set that the person does not hold and must not be given counts as none,
        unless its group is what is asked for: who leaves a group is not kept in it for the sake of the next one.

        :param asked: The groups that are new to the person.
        :param given: What groups gave the person before, by whatever configuration.
        :raises RemoteNotFoundError: For a group that does not exist.
        """
        grants = {remote_id: self.grant_to(remote_id, given) for remote_id in sorted(set(groups))}
        roles = {remote_id: grant.role_id for remote_id, grant in grants.items() if grant.role_id is not None}
        before = together(given)
        seats = self._seats_of(grants.values(), held.seat_names, before.seat_names)
        free = {role_id for group, role_id in roles.items() if group in asked} | {held.role_id}
        barred = {
            role_id: str(error)
            for role_id in set(roles.values()) - free
            if (error := self.bar(replace(held, role_id=role_id, seat_names=seats))) is not None
        }
        winner = min(set(roles.values()) - barred.keys(), key=self._rank, default=None)
        shadowed = {
            remote_id: barred.get(role_id) or self._reason(role_id, winner)
            for remote_id, role_id in roles.items()
            if role_id in barred or (winner is not None and role_id != winner)
        }
        assignment = self._teams_of(
            grants, replace(held, role_id=winner or self.fallback_of(held.role_id)), before.team_ids
        )
        assignment = replace(assignment, seat_names=seats)
        effective = tuple(remote_id for remote_id in grants if remote_id not in shadowed)
        return Resolution(assignment, given_by_each(grants), frozenset(roles.values()), effective, shadowed)

    def given_by(self, groups: Iterable[str], given: Mapping[str, Given]) -> Mapping[str, Given]:
        """Return what teams and seats each of a person's groups gives, besides its permission set.

        :param given: What it gave before.
        """
        return given_by_each({remote_id: self.grant_to(remote_id, given) for remote_id in groups})

    def grant_to(self, remote_id: str, given: Mapping[str, Given]) -> Grant:
        """Return what a group gives, and gave as far as its teams, seats or set are not there now: nobody's loss."""
        grant, (kind, _, value) = self.grant_of(remote_id), remote_id.partition(":")
        if (before := given.get(remote_id)) is None or kind != "alias" or value not in self.config.groups:
            return grant
        gone = {each.thing for each in self.bindings.problems(alias_entry(value))}
        teams = before.team_ids & self._teams.keys() if "team" in gone else frozenset()
        seats = before.seat_names & {seat.name for seat in self.inventory.seats} if "seat" in gone else frozenset()
        role_id = before.role_id if "permission set" in gone else grant.role_id
        still = role_id if role_id in self._sets and role_id != self.stripped_role else None
        return replace(grant, role_id=still, team_ids=grant.team_ids | teams, seat_names=grant.seat_names | seats)

    def _rank(self, role_id: str) -> tuple[int, str, str]:
        """Order permission sets: as the configuration's precedence lists them, others after those, by name."""
        name = self.set_name(role_id)
        listed = [place for place, item in enumerate(self.config.precedence) if item in (role_id, name)]
        return (listed[0] if listed else len(self.config.precedence), name, role_id)

    def _reason(self, loser: str, winner: str | None) -> str:
        winner = winner or ""
        listed = {winner, self.set_name(winner)} & set(self.config.precedence)
        why = "comes first in the configured precedence" if listed else "comes first by name; precedence names neither"
        return (
            f'HubSpot\'s API holds one permission set; "{self.set_name(winner)}" {why}, '
            f'so "{self.set_name(loser)}" waits behind it'
        )

    def _teams_of(self, grants: Mapping[str, Grant], held: Assignment, given: frozenset[str]) -> Assignment:
        """Return an assignment with the teams that groups give, and those by hand that no group manages or gave."""
        managed = self._managed_teams() | given
        granted = frozenset().union(*(grant.team_ids for grant in grants.values()))
        teams = (held.team_ids - managed) | granted
        preferred = [
            grant.primary_team_id
            for _, grant in sorted(grants.items(), key=lambda item: (self._rank(item[1].role_id or ""), item[0]))
            if grant.primary_team_id is not None
        ]
        primary = preferred[0] if preferred else held.primary_team_id
        if primary not in teams:
            by_name = sorted(
                teams & managed & self._teams.keys(), key=lambda team_id: (self._teams[team_id].name, team_id)
            )
            primary = by_name[0] if by_name and self.config.teams_as_groups == "primary" else None
        return replace(held, primary_team_id=primary, secondary_team_ids=teams - {primary or ""})

    def _managed_teams(self) -> frozenset[str]:
        if self.config.teams_as_groups:
            return frozenset(self._teams)
        return frozenset().union(*(self._alias(name).team_ids for name in self.config.groups))

    def _managed_seats(self) -> frozenset[str]:
        if self.config.seats_as_groups:
            return frozenset(seat.name for seat in self.inventory.seats)
        return frozenset().union(*(grant.seats for grant in self.config.groups.values()))

    def _seats_of(
        self, grants: Iterable[Grant], held: frozenset[str] | None, given: frozenset[str]
    ) -> frozenset[str] | None:
        if not self.config.has_seats:
            return None
        managed = self._managed_seats() | given
        granted = frozenset().union(*(grant.seat_names for grant in grants))
        if not managed:
            return held
        seats = ((held or frozenset()) - managed) | granted
        return seats if seats or self.fallback_seat is None else frozenset({self.fallback_seat})

    def exists(self, remote_id: str) -> bool:
        """Whether a group is there and can be given."""
        try:
            self.grant_of(remote_id)
        except RemoteNotFoundError:
            return False
        return True

    # -- Rules -------------------------------------------------------------------------------------------------------

    def refuse_unallowed(self, wanted: Assignment, held: Assignment) -> None:
        """Refuse, before HubSpot is asked, what must not or cannot be given.

        :raises RemoteForbiddenError: For a privileged permission set, or one the token may not assign.
        :raises RemoteInvalidValueError: When the seats do not carry the permission set.
        """
        error = self.bar(wanted, held)
        if error is not None:
            raise error

    def bar(self, wanted: Assignment, held: Assignment | None = None) -> ConnectorError | None:
        """Return why a permission set cannot be given together with these seats; ``None`` when it can.

        :param held: What the person holds: a set that they have is not given, so no rule of giving stops its change.
        """
        if wanted.role_id is None or (held is not None and wanted.role_id == held.role_id):
            return None
        name = self.set_name(wanted.role_id)
        if self.is_barred(wanted.role_id):
            return privileged(name)
        if self._is_unbillable(wanted.role_id):
            return RemoteForbiddenError(
                f'permission set "{name}" has a paid seat; to assign it the token needs settings.billing.write'
            )
        allowed = self.config.seat_rules.get(name, self.config.seat_rules.get(wanted.role_id))
        if allowed is None or wanted.seat_names is None or wanted.seat_names & set(allowed):
            return None
        has = ", ".join(sorted(wanted.seat_names)) or "no seat"
        return RemoteInvalidValueError(
            f'permission set "{name}" needs one of the seats {", ".join(allowed)} (seat_rules), not {has}'
        )

    def refuse_privileged(self, role_id: str) -> None:
        """Refuse a permission set on the privileged list that is not allow-listed.

        :raises RemoteForbiddenError: naming it.
        """
        if self.is_barred(role_id):
            raise privileged(self.set_name(role_id))

    def is_privileged_group(self, remote_id: str) -> bool:
        """Whether a group gives a permission set that is privileged and not allow-listed."""
        role_id = self.grant_of(remote_id).role_id
        return role_id is not None and self.is_barred(role_id)

    def is_barred(self, role_id: str) -> bool:
        """Whether a permission set is privileged and not allow-listed."""
        return self.is_privileged(role_id) and not self._is_among(role_id, self.config.allow_privileged)

    def is_privileged(self, role_id: str) -> bool:
        """Whether a permission set is privileged, by the configuration or by its own name."""
        return self._is_among(role_id, self.config.privileged) or SUPER_ADMIN in self.set_name(role_id).casefold()

    def _is_among(self, role_id: str, entries: Iterable[str]) -> bool:
        return bool({role_id, self.set_name(role_id).casefold()} & {entry.casefold() for entry in entries})

    def _is_unbillable(self, role_id: str) -> bool:
        item, scopes = self._sets.get(role_id), self.inventory.scopes
        paid = item is not None and item.requires_billing_write
        return paid and scopes is not None and "settings.billing.write" not in scopes
