"""What an account holds, in terms of groups: what reads, comparisons and explanations tell is found here.

A person's groups are remembered with what each gave (:class:`~.given.Remembered`), for an assignment alone does not
tell which groups led to it, and the configuration may have changed since.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scim_bridge.models import Explanation

from .bindings import Binding, alias_entry
from .given import NOTHING, Given, Grant, Remembered
from .mapping import Mapper, Resolution, group_id
from .wire import PublicUser, assignment_of


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands to groups.

    :param known: Those of them that exist.
    :param resolution: What they come to for this person.
    :param lacking: Those whose teams or seats the account lacks, or that once gave some which it has and no group
        gives now. A permission set that gives way to another one is no lack.
    """

    known: tuple[str, ...]
    resolution: Resolution
    lacking: frozenset[str]


def standing_of(mapper: Mapper, user: PublicUser, groups: Iterable[str], given: Mapping[str, Given]) -> Standing:
    """Return how an account stands to some groups.

    :param given: What groups gave the person before.
    """
    held = assignment_of(user)
    known = tuple(remote_id for remote_id in groups if mapper.exists(remote_id))
    resolution = mapper.resolve(known, held, given=given)
    wanted, seats = resolution.assignment, held.seat_names or frozenset()
    lacking = {
        group
        for group, gives in resolution.given.items()
        if gives.team_ids - held.team_ids or (held.seat_names is not None and gives.seat_names - seats)
    }
    teams_left = held.team_ids - wanted.team_ids
    seats_left = frozenset() if wanted.seat_names is None else seats - wanted.seat_names
    left = {group for group, gave in given.items() if gave.team_ids & teams_left or gave.seat_names & seats_left}
    return Standing(known, resolution, frozenset(lacking | left))


def held_by(mapper: Mapper, user: PublicUser, remembered: Remembered) -> tuple[str, ...]:
    """Return the groups that a person holds.

    When those that were last set still explain what they hold, they are the answer; otherwise what remains of them, and
    a group for everything else that is held. One that the person lacks something of, or that once gave what they still
    have and no group gives now, does not count as held: so the difference is seen, and mended. Nobody is taken to be in
    an alias of which something is not there, unless they were before: once it is there again they would be given it.
    """
    if remembered.groups is None:
        whole = [name for name in mapper.config.groups if not mapper.bindings.problems(alias_entry(name))]
        aliases = sorted(group_id("alias", name) for name in whole)
        former = sorted(group for group in remembered.found if mapper.exists(group))
        return tuple(dict.fromkeys(_explained(mapper, user, [*former, *aliases], remembered.found, only_fresh=True)))
    standing = standing_of(mapper, user, remembered.groups, remembered.given)
    if standing.resolution.satisfied_by(user):
        return standing.known
    groups = [group for group in standing.known if group not in standing.lacking]
    return tuple(dict.fromkeys(_explained(mapper, user, groups, NOTHING, only_fresh=False)))


def found_in(mapper: Mapper, held: Iterable[str], remembered: Remembered) -> Mapping[str, Given]:
    """Return what the aliases are in which a person was found whose groups were never set."""
    return mapper.given_by([group for group in held if group.startswith("alias:")], remembered.found)


def _explained(
    mapper: Mapper, user: PublicUser, groups: Sequence[str], found: Mapping[str, Given], *, only_fresh: bool
) -> list[str]:
    """Return those of some groups that a person holds all of, and a group for everything else that they hold.

    :param found: What some of them were found to be before.
    :param only_fresh: Leave out those that add nothing to the ones before.
    """
    held = assignment_of(user)
    open_roles, open_teams, open_seats = set(user.roles), set(held.team_ids), set(held.seat_names or ())
    explained = []
    for remote_id in groups:
        grant = mapper.grant_to(remote_id, found)
        if not _holds(grant, user):
            continue
        fresh = bool({grant.role_id} & open_roles or grant.team_ids & open_teams or grant.seat_names & open_seats)
        if fresh or not only_fresh:
            explained.append(remote_id)
            open_roles -= {grant.role_id or ""}
            open_teams -= grant.team_ids
            open_seats -= grant.seat_names
    open_roles -= {mapper.fallback_of(held.role_id) or "", mapper.stripped_role or ""}
    sets = {item.id for item in mapper.inventory.permission_sets}
    explained += [group_id("role", role_id) for role_id in sorted(open_roles) if role_id in sets]
    others = [group_id("team", team) for team in sorted(open_teams)]
    others += [group_id("seat", seat) for seat in sorted(open_seats) if seat != mapper.fallback_seat]
    named = mapper.groups()
    return [*explained, *(name for name in others if name in named)]


def _holds(grant: Grant, user: PublicUser) -> bool:
    held = assignment_of(user)
    return (
        (grant.role_id is None or grant.role_id in user.roles)
        and grant.team_ids <= held.team_ids
        and grant.seat_names <= (held.seat_names or frozenset())
    )


def _concerns(binding: Binding, groups: Iterable[str]) -> bool:
    """Whether what a name came to matters to somebody in some groups: an alias' only to those who are in it."""
    aliases = [alias_entry(group.removeprefix("alias:")) for group in groups if group.startswith("alias:")]
    return not binding.entry.startswith("groups.") or any(binding.entry.startswith(f"{one}.") for one in aliases)


def explanation_of(
    mapper: Mapper, user: PublicUser, groups: Sequence[str], remembered: Remembered, never: str | None
) -> Explanation:
    """Tell what a person's groups come to, and which of them give way.

    :param never: Why the account is never changed, if it is not.
    """
    standing = standing_of(mapper, user, groups, remembered.known)
    resolution = standing.resolution
    held = ", ".join(f'"{mapper.set_name(role_id)}"' for role_id in sorted(user.roles)) or "no permission set"
    if user.super_admin:
        held = f"Super Admin, who may do everything; {held}"
    if user.seat_names:
        held += "; seats: " + ", ".join(f'"{seat}"' for seat in user.seat_names)
    notes = [f"{group}: HubSpot has no such group any more" for group in groups if group not in standing.known]
    notes += [f"{group}: the configuration no longer maps it" for group in standing.known if group in mapper.unmapped]
    notes += [binding.problem for binding in mapper.bindings.problems() if _concerns(binding, groups)]
    if never:
        notes.append(f"never changed: {never}")
    if len(user.roles) > 1:
        notes.append("several permission sets were given in HubSpot; the API can write one")
    notes += [
        f"{group}: the account lacks teams or seats of it, or has former ones" for group in sorted(standing.lacking)
    ]
    if not resolution.satisfied_by(user):
        notes.append("the account does not hold what its groups come to")
    shadowed = {group: reason for group, reason in resolution.shadowed.items() if group not in standing.lacking}
    return Explanation(f"holds {held}", resolution.effective, shadowed, tuple(notes))
