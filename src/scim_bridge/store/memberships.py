"""Who is in which group: rows, never lists. A row with neither flag does not exist.

These are the questions; :mod:`scim_bridge.store.membership_changes` writes.

*Desired* is what the client said, *observed* what the remote system was seen to hold. What clients are shown is either:
a removal is never claimed before it is true. What a client changes while a call about it is under way is *doubtful*:
whatever it wants in the end is sent once more, unless the call's answer tells what is held.

A membership may be asked for in two ways: by the group (its ``members``) and by the person (their ``roles`` and
``entitlements``); ``by_role`` tells. It is desired as long as one of them asks.

A membership is *unmanaged* while no client has written the person, nor named the membership (``changed_at`` tells when
one did; 0: never).
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select

from scim_bridge.models import Kind
from scim_bridge.store.connector_state import IS_PLANNING
from scim_bridge.store.prepared import Prepared, among, array
from scim_bridge.store.rows import Membership, Ownership, State
from scim_bridge.store.tables import member, resource
from scim_bridge.store.transaction import Transaction

_CONNECTION = member.c.connection_id == bindparam("connection")
GROUP = and_(_CONNECTION, member.c.group_id == bindparam("group"))
USER = and_(_CONNECTION, member.c.user_id == bindparam("user"))
_USERS_GIVEN = among(member.c.user_id, "ids")
_GROUPS_GIVEN = among(member.c.group_id, "ids")
OF_GROUP = and_(GROUP, _USERS_GIVEN)
OF_USER = and_(USER, _GROUPS_GIVEN)
UNNAMED = and_(OF_GROUP, member.c.desired, member.c.changed_at == 0)
"""The rows that a statement is about; also those of the writer."""

_REFERENCE = (
    resource.c.id,
    resource.c.name,
    resource.c.remote_id,
    member.c.desired,
    member.c.observed,
    member.c.doubtful,
    member.c.changed_at,
)
_THOSE = Prepared(select(member.c.user_id).where(OF_GROUP))
_UNMANAGED = Prepared(
    select(member.c.user_id)
    .join(resource, and_(resource.c.connection_id == member.c.connection_id, resource.c.id == member.c.user_id))
    .where(UNNAMED, resource.c.ownership == Ownership.DISCOVERED.value)
)
_ASKED = Prepared(select(member.c.group_id).where(USER, member.c.desired, member.c.by_role > 0))
# Who is only suspected to be in a group, because a client named them in a removal, is not told to be in it.
_TOLD = or_(member.c.desired, ~member.c.doubtful, member.c.changed_at != 0)
SHOWN = and_(_TOLD, or_(member.c.desired, ~IS_PLANNING))
"""The condition that clients are shown a membership: of a connection that only plans, what is wanted."""
_MEMBERS = (
    select(member.c.group_id, *_REFERENCE)
    .join(resource, and_(resource.c.connection_id == member.c.connection_id, resource.c.id == member.c.user_id))
    .where(_CONNECTION, _GROUPS_GIVEN, ~resource.c.deleted, _TOLD)
    .order_by(member.c.group_id, member.c.user_id)
)
_ALL_GROUPS = (
    select(member.c.user_id, *_REFERENCE)
    .join(resource, and_(resource.c.connection_id == member.c.connection_id, resource.c.id == member.c.group_id))
    .order_by(member.c.user_id, member.c.group_id)
)
_GROUPS = Prepared(_ALL_GROUPS.where(_CONNECTION, _USERS_GIVEN))
_SHOWN_GROUPS = Prepared(_ALL_GROUPS.where(_CONNECTION, _USERS_GIVEN, ~resource.c.deleted, SHOWN))
# One person is the most frequent question.
_GROUPS_OF_ONE = Prepared(_ALL_GROUPS.where(USER))
_SHOWN_GROUPS_OF_ONE = Prepared(_ALL_GROUPS.where(USER, ~resource.c.deleted, SHOWN))
_UNSETTLED = Prepared(
    select(member.c.user_id, member.c.desired)
    .where(GROUP, or_(member.c.desired != member.c.observed, member.c.doubtful))
    .order_by(member.c.user_id)
)
_JOINING = Prepared(
    select(resource.c.id, resource.c.generation)
    .select_from(member)
    .join(resource, and_(resource.c.connection_id == member.c.connection_id, resource.c.id == member.c.user_id))
    .where(
        GROUP,
        or_(member.c.desired != member.c.observed, member.c.doubtful),
        member.c.desired,
        resource.c.state != State.SETTLED.value,
        ~resource.c.deleted,
    )
)
_STAYING = Prepared(select(member.c.user_id).where(GROUP, member.c.desired, member.c.observed).limit(1))
_LEAVING = Prepared(
    select(member.c.user_id)
    .join(resource, and_(resource.c.connection_id == member.c.connection_id, resource.c.id == member.c.user_id))
    .where(
        GROUP,
        ~member.c.desired,
        member.c.observed,
        or_(resource.c.state == State.PENDING.value, resource.c.state == State.HELD.value),
    )
    .limit(1)
)
_either = resource.alias()
_HELD = (
    select(_either.c.id)
    .where(
        _either.c.connection_id == member.c.connection_id,
        _either.c.id.in_([member.c.group_id, member.c.user_id]),
        _either.c.state == State.HELD.value,
    )
    .exists()
)
_HOLDERS = (
    select(func.count())
    .select_from(member)
    .join(resource, and_(resource.c.connection_id == member.c.connection_id, resource.c.id == member.c.user_id))
    .where(GROUP, member.c.desired, or_(member.c.observed, ~_HELD), resource.c.active, ~resource.c.deleted)
)


def asked_by_role(tx: Transaction, connection_id: str, user_id: str) -> set[str]:
    """Return the ids of the groups that the roles of a person ask for."""
    return set(ids_of(tx, _ASKED, {"connection": connection_id, "user": user_id}))


def unmanaged(tx: Transaction, connection_id: str, group_id: str, user_ids: Collection[str]) -> set[str]:
    """Return those of these people who are in a group although no client has written them, nor named them in it."""
    key = {"connection": connection_id, "group": group_id}
    return set(ids_of(tx, _UNMANAGED, key, user_ids))


def members_of(
    tx: Transaction, connection_id: str, group_id: str, *, limit: int | None = None, after: str | None = None
) -> list[Membership]:
    """Return the live members of a group, desired or observed, in the order of their ids.

    :param limit: The largest number; ``None``: all.
    :param after: The last id of the page before.
    """
    statement = _MEMBERS if after is None else _MEMBERS.where(member.c.user_id > after)
    if limit is not None:
        statement = statement.limit(limit)
    found = tx.execute(statement, {"connection": connection_id, "ids": array([group_id])})
    return [_membership(record, "User") for record in found]


def those_of(tx: Transaction, connection_id: str, group_id: str, user_ids: Collection[str]) -> set[str]:
    """Return those of these people who are, or were to be, in a group."""
    return set(ids_of(tx, _THOSE, {"connection": connection_id, "group": group_id}, user_ids))


def groups_of(
    tx: Transaction, connection_id: str, user_ids: Collection[str], *, deleted: bool = True
) -> dict[str, list[Membership]]:
    """Return the groups of people, desired or observed; every given id is a key.

    :param deleted: Whether groups count that a client deleted while people still hold them; else those that clients are
        shown.
    """
    if len(user_ids) == 1:
        (user_id,) = user_ids
        of_one = _GROUPS_OF_ONE if deleted else _SHOWN_GROUPS_OF_ONE
        found = of_one.rows(tx, {"connection": connection_id, "user": user_id})
        return {user_id: [_membership(record, "Group") for record in found]}
    statement = _GROUPS if deleted else _SHOWN_GROUPS
    groups: dict[str, list[Membership]] = {id_: [] for id_ in user_ids}
    found = statement.rows(tx, {"connection": connection_id, "ids": array(groups)}) if groups else []
    for record in found:
        groups[record[0]].append(_membership(record, "Group"))
    return groups


def unsettled_of_group(tx: Transaction, connection_id: str, group_id: str) -> tuple[list[str], list[str]]:
    """Return the people who must join a group and those who must leave it."""
    found = _UNSETTLED.rows(tx, {"connection": connection_id, "group": group_id})
    return [id_ for id_, desired in found if desired], [id_ for id_, desired in found if not desired]


def on_their_way(tx: Transaction, connection_id: str, group_id: str) -> dict[str, int]:
    """Return the generation of each person who must join a group and is not settled."""
    found = _JOINING.rows(tx, {"connection": connection_id, "group": group_id})
    return {row[0]: row[1] for row in found}


def is_being_left(tx: Transaction, connection_id: str, group_id: str) -> bool:
    """Tell whether somebody still holds a group and is on the way out of it."""
    return _LEAVING.first(tx, {"connection": connection_id, "group": group_id}) is not None


def is_left(tx: Transaction, connection_id: str, group_id: str) -> bool:
    """Tell whether somebody is, and stays, in a group: of a deleted one, members whom no client manages."""
    return _STAYING.first(tx, {"connection": connection_id, "group": group_id}) is not None


def count_holders(tx: Transaction, connection_id: str, group_id: str) -> int:
    """Return how many desired members of a group are live and active; grants that are held do not count."""
    number: int = tx.execute(_HOLDERS, {"connection": connection_id, "group": group_id}).scalar_one()
    return number


def ids_of(
    tx: Transaction, statement: Prepared, values: dict[str, Any], chosen: Collection[str] | None = None
) -> list[str]:
    """Return the ids that a statement finds.

    :param chosen: Those that it is about, where it is about some.
    """
    if chosen is None:
        return [id_ for (id_,) in statement.rows(tx, values)]
    return [id_ for (id_,) in statement.rows(tx, values | {"ids": array(chosen)})] if chosen else []


def _membership(record: Sequence[Any], kind: Kind) -> Membership:
    _, id_, name, remote_id, desired, observed, doubtful, changed_at = record
    return Membership(id_, name, remote_id, kind, bool(desired), bool(observed), bool(doubtful), changed_at != 0)
