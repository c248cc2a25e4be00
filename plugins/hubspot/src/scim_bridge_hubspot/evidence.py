"""When HubSpot's own answer to a PUT is evidence, and when the account is read after it, or before.

Of what a person is given, a complete answer that equals what was sent is evidence: the rate limit is better spent on
changes than on looking twice, and what an answer told wrongly the next comparison finds. That somebody lost something
is never believed of an answer: it is read. So is whatever a privileged permission set has to do with.

Before a PUT the account is read, for the guard and since a PUT drops what it does not name; but for one that was seen
a moment ago (:mod:`.sightings`) and is only given what its groups give.
"""

from collections.abc import Collection, Mapping

from .given import together
from .mapping import Mapper, Resolution
from .resources import names_held
from .wire import Assignment, PublicUser, assignment_of, matches


def only_gives(mapper: Mapper, user: PublicUser, wanted: Assignment, asked: Collection[str] = ()) -> bool:
    """Whether an assignment takes nothing from an account, and no privileged permission set is concerned.

    The set of stripped people takes their access, also from who holds no other.

    :param asked: The permission sets that the person's groups ask for: whoever stays in a group loses nothing when its
        set gives way to another one.
    """
    held, roles = assignment_of(user), user.roles | ({wanted.role_id} if wanted.role_id else set())
    return (
        len(user.roles) < 2
        and (wanted.role_id is None or wanted.role_id != mapper.stripped_role)
        and user.roles <= {wanted.role_id, *asked}
        and held.primary_team_id in (None, wanted.primary_team_id)
        and held.team_ids <= wanted.team_ids
        and (held.seat_names or frozenset()) <= (wanted.seat_names or frozenset())
        and not any(mapper.is_privileged(role_id) for role_id in roles)
    )


def shows(answer: PublicUser, user: PublicUser, wanted: Assignment, names: Mapping[str, str]) -> bool:
    """Whether the answer to a PUT is complete, about this account, and equal to what was sent."""
    return (
        answer.is_complete
        and (answer.id, answer.normal_email, answer.super_admin) == (user.id, user.normal_email, False)
        and matches(answer, wanted)
        and (wanted.seat_names is None or answer.seat_names is not None)
        and names.items() <= names_held(answer).items()
    )


def is_of_groups(resolution: Resolution) -> bool:
    """Whether an assignment is what groups give, and nothing beside it that hands gave and may have taken since."""
    wanted, given = resolution.assignment, together(resolution.given)
    return (
        wanted.role_id in {None, *resolution.roles}
        and wanted.team_ids <= given.team_ids
        and (wanted.seat_names or frozenset()) <= given.seat_names
    )
