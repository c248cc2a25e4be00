"""Who is in which group: rows, never lists. A row with neither flag does not exist.

*Desired* is what the client said, *observed* what the remote system was seen to hold. What clients are shown is either:
a removal is never claimed before it is true. What a client changes while a call about it is under way is *doubtful*:
whatever it wants in the end is sent once more, unless the call's answer tells what is held.

A membership may be asked for in two ways: by the group (its ``members``) and by the person (their ``roles`` and
``entitlements``); ``by_role`` tells. It is desired as long as one of them asks.

A membership is *unmanaged* while no client has written the person, nor named the membership (``changed_at`` tells when
one did; 0: never).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, func, or_, select, true
from sqlalchemy import delete as sql_delete
from sqlalchemy import update as sql_update
from sqlalchemy.engine import Connection

from scim_bridge.models import Kind
from scim_bridge.store.clock import to_microseconds
from scim_bridge.store.connector_state import IS_PLANNING
from scim_bridge.store.dialects import upsert
from scim_bridge.store.prepared import Prepared, among, array, each
from scim_bridge.store.rows import MemberDelta, Membership, MembershipChange, Ownership, State, net
from scim_bridge.store.tables import member, resource

_CONNECTION = member.c.connection_id == bindparam("connection")
_GROUP = and_(_CONNECTION, member.c.group_id == bindparam("group"))
_USER = and_(_CONNECTION, member.c.user_id == bindparam("user"))
_USERS_GIVEN = among(member.c.user_id, "ids")
_GROUPS_GIVEN = among(member.c.group_id, "ids")
_OF_GROUP = and_(_GROUP, _USERS_GIVEN)
_OF_USER = and_(_USER, _GROUPS_GIVEN)
_REFERENCE = (
    resource.c.id,
    resource.c.name,
    resource.c.remote_id,
    member.c.desired,
    member.c.observed,
    member.c.doubtful,
    member.c.changed_at,
)

_DESIRED = Prepared(select(member.c.user_id).where(_GROUP, member.c.desired))
_DESIRED_OF = Prepared(select(member.c.user_id).where(_OF_GROUP, member.c.desired))
_THOSE = Prepared(select(member.c.user_id).where(_OF_GROUP))
_SEEN = Prepared(select(member.c.user_id).where(_GROUP, member.c.observed))
_ALL = Prepared(select(member.c.user_id).where(_GROUP))
_SEEN_IN = Prepared(select(member.c.group_id, member.c.doubtful).where(_USER, member.c.observed))
_ALL_OF = Prepared(select(member.c.group_id).where(_USER))
_DOUBT = Prepared(sql_update(member).where(_OF_USER, member.c.observed).values(doubtful=True))
_UNNAMED = and_(_OF_GROUP, member.c.desired, member.c.changed_at == 0)
_UNMANAGED = Prepared(
    select(member.c.user_id)
    .join(resource, and_(resource.c.connection_id == member.c.connection_id, resource.c.id == member.c.user_id))
    .where(_UNNAMED, resource.c.ownership == Ownership.DISCOVERED.value)
)
_NAME = Prepared(sql_update(member).where(_UNNAMED).values(changed_at=bindparam("at")))
_ASKED = Prepared(select(member.c.group_id).where(_USER, member.c.desired, member.c.by_role > 0))
_ALSO_BY_ROLE = Prepared(select(member.c.user_id).where(_OF_GROUP, member.c.desired, member.c.by_role > 0))
_ALSO_BY_GROUP = Prepared(
    select(member.c.user_id).where(
        _OF_GROUP, member.c.desired, or_(member.c.by_role == 2, and_(member.c.by_role == 0, member.c.changed_at != 0))
    )
)
_LEFT_TO_ROLE = Prepared(sql_update(member).where(_OF_GROUP, member.c.by_role > 0).values(by_role=1))
_LEFT_TO_GROUP = Prepared(sql_update(member).where(_OF_GROUP, member.c.by_role > 0).values(by_role=0))
_GROUP_TOO = Prepared(sql_update(member).where(_OF_GROUP, member.c.by_role == 1).values(by_role=2))
_ROLE_TOO = Prepared(
    sql_update(member)
    .where(_OF_GROUP, member.c.desired, member.c.by_role == 0)
    .values(by_role=case((member.c.changed_at == 0, 1), else_=2), changed_at=bindparam("at"))
)
_USERS_KNOWN = Prepared(
    select(resource.c.id).where(
        resource.c.connection_id == bindparam("connection"),
        among(resource.c.id, "ids"),
        resource.c.kind == "User",
        ~resource.c.deleted,
    )
)
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
_MEMBERS_SHOWN = Prepared(_MEMBERS.where(SHOWN))
_ALL_GROUPS = (
    select(member.c.user_id, *_REFERENCE)
    .join(resource, and_(resource.c.connection_id == member.c.connection_id, resource.c.id == member.c.group_id))
    .order_by(member.c.user_id, member.c.group_id)
)
_GROUPS = Prepared(_ALL_GROUPS.where(_CONNECTION, _USERS_GIVEN))
_SHOWN_GROUPS = Prepared(_ALL_GROUPS.where(_CONNECTION, _USERS_GIVEN, ~resource.c.deleted, SHOWN))
# One person is the most frequent question.
_GROUPS_OF_ONE = Prepared(_ALL_GROUPS.where(_USER))
_SHOWN_GROUPS_OF_ONE = Prepared(_ALL_GROUPS.where(_USER, ~resource.c.deleted, SHOWN))
_UNSETTLED = Prepared(
    select(member.c.user_id, member.c.desired)
    .where(_GROUP, or_(member.c.desired != member.c.observed, member.c.doubtful))
    .order_by(member.c.user_id)
)
_JOINING = Prepared(
    select(resource.c.id, resource.c.generation)
    .select_from(member)
    .join(resource, and_(resource.c.connection_id == member.c.connection_id, resource.c.id == member.c.user_id))
    .where(
        _GROUP,
        or_(member.c.desired != member.c.observed, member.c.doubtful),
        member.c.desired,
        resource.c.state != State.SETTLED.value,
        ~resource.c.deleted,
    )
)
_STAYING = Prepared(select(member.c.user_id).where(_GROUP, member.c.desired, member.c.observed).limit(1))
_LEAVING = Prepared(
    select(member.c.user_id)
    .join(resource, and_(resource.c.connection_id == member.c.connection_id, resource.c.id == member.c.user_id))
    .where(
        _GROUP,
        ~member.c.desired,
        member.c.observed,
        or_(resource.c.state == State.PENDING.value, resource.c.state == State.HELD.value),
    )
    .limit(1)
)
_UNDER_WAY = (
    select(resource.c.id)
    .where(
        resource.c.connection_id == member.c.connection_id,
        resource.c.id.in_([member.c.group_id, member.c.user_id]),
        resource.c.ambiguous,
    )
    .exists()
)
_OF_THE_FORMER = (
    select(
        member.c.user_id,
        member.c.desired,
        member.c.observed,
        member.c.changed_at,
        member.c.by_role,
        or_(member.c.doubtful, and_(~member.c.desired, _UNDER_WAY)),
    )
    .where(_GROUP, member.c.observed)
    .order_by(member.c.user_id)
)
_TAKEN_AWAY = and_(_OF_GROUP, ~member.c.desired, member.c.observed, _UNDER_WAY)
_DOUBT_TAKEN = Prepared(sql_update(member).where(_TAKEN_AWAY).values(doubtful=True))
_groups, _users = each("groups"), each("users")
_PAIRS = (
    select(
        bindparam("connection"),
        _groups.c.value,
        _users.c.value,
        *(bindparam(column.name, type_=column.type) for column in list(member.columns)[3:]),
    )
    .select_from(_groups.join(_users, true()))
    .where(true())
)
"""Rows of people in groups, all with the same flags: the work for each of thousands is the database's."""
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
    .where(_GROUP, member.c.desired, or_(member.c.observed, ~_HELD), resource.c.active, ~resource.c.deleted)
)


def apply(
    tx: Connection,
    connection_id: str,
    group_id: str,
    deltas: Sequence[MemberDelta],
    now: datetime,
    *,
    keep_unmanaged: bool = False,
    by_role: bool = False,
    two_ways: bool = False,
) -> MembershipChange:
    """Apply a client's changes of a group's members, in order, without loading the group.

    Ids that name no live User are reported, not stored. To remove an absent member changes nothing.

    :param keep_unmanaged: Whether unmanaged members whom the deltas do not name stay when the whole list is replaced.
    :param by_role: Whether it is the roles of the members that say so.
    :param two_ways: Whether what the other way asks for stays.
    """
    added, removed, complete = net(deltas)
    key = {"connection": connection_id, "group": group_id}
    known = set(_ids(tx, _USERS_KNOWN, key, added))
    stayed: set[str] = set()
    if complete:
        desired = set(_ids(tx, _DESIRED, key))
        if keep_unmanaged:
            unnamed = desired - added - removed
            stayed = unmanaged(tx, connection_id, group_id, unnamed)
        removed = desired - added - stayed
    else:
        desired = set(_ids(tx, _DESIRED_OF, key, known | removed))
        removed &= desired
    if two_ways and removed:
        others, left = (_ALSO_BY_GROUP, _LEFT_TO_GROUP) if by_role else (_ALSO_BY_ROLE, _LEFT_TO_ROLE)
        also = set(_ids(tx, others, key, removed))
        if also:
            left.write(tx, key | {"ids": array(also)})
        removed, stayed = removed - also, stayed | also
    new = known - desired
    at = to_microseconds(now)
    _want(tx, connection_id, group_id, new, at, by_role=by_role)
    if by_role and known & desired:
        _ROLE_TOO.write(tx, key | {"ids": array(known & desired), "at": at})
    elif two_ways and known & desired:
        _GROUP_TOO.write(tx, key | {"ids": array(known & desired)})
    if known & desired:
        _NAME.write(tx, key | {"ids": array(known & desired), "at": at})
    _unwant(tx, _CLEARING_GROUP, key, removed)
    return MembershipChange(frozenset(new), frozenset(removed), frozenset(added - known), frozenset(stayed))


def asked_by_role(tx: Connection, connection_id: str, user_id: str) -> set[str]:
    """Return the ids of the groups that the roles of a person ask for."""
    return set(_ids(tx, _ASKED, {"connection": connection_id, "user": user_id}))


def unmanaged(tx: Connection, connection_id: str, group_id: str, user_ids: Collection[str]) -> set[str]:
    """Return those of these people who are in a group although no client has written them, nor named them in it."""
    key = {"connection": connection_id, "group": group_id}
    return set(_ids(tx, _UNMANAGED, key, user_ids))


def members_of(
    tx: Connection, connection_id: str, group_id: str, *, limit: int | None = None, after: str | None = None
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


def those_of(tx: Connection, connection_id: str, group_id: str, user_ids: Collection[str]) -> set[str]:
    """Return those of these people who are, or were to be, in a group."""
    return set(_ids(tx, _THOSE, {"connection": connection_id, "group": group_id}, user_ids))


def members_of_many(tx: Connection, connection_id: str, group_ids: Collection[str]) -> dict[str, list[Membership]]:
    """Return the members of several groups that clients are shown; every given id is a key."""
    return _memberships(tx, _MEMBERS_SHOWN, connection_id, group_ids, "User")


def groups_of(
    tx: Connection, connection_id: str, user_ids: Collection[str], *, deleted: bool = True
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
    return _memberships(tx, statement, connection_id, user_ids, "Group")


def observe_user(tx: Connection, connection_id: str, user_id: str, group_ids: Collection[str]) -> None:
    """Note that a person was seen in exactly these groups."""
    key = {"connection": connection_id, "user": user_id}
    found = _SEEN_IN.rows(tx, key)
    held = {group_id for group_id, _ in found}
    certain = {group_id for group_id, doubtful in found if not doubtful}
    seen = set(group_ids)
    _see(tx, connection_id, seen - certain, [user_id])
    _unsee(tx, _CLEARING_USER, key, held - seen)


def forget(tx: Connection, connection_id: str, user_id: str, group_ids: Collection[str]) -> None:
    """Note that a person counts as being in these groups no more."""
    _unsee(tx, _CLEARING_USER, {"connection": connection_id, "user": user_id}, set(group_ids))


def doubt(tx: Connection, connection_id: str, user_id: str, group_ids: Collection[str]) -> None:
    """Note that a person may have lost those of these groups that they were seen in."""
    if group_ids:
        _DOUBT.write(tx, {"connection": connection_id, "user": user_id, "ids": array(group_ids)})


def suspect(tx: Connection, connection_id: str, group_id: str, user_ids: Collection[str]) -> list[str]:
    """Note that people of whom nothing is known may be in a group, and return who they are."""
    new = sorted(set(user_ids) - those_of(tx, connection_id, group_id, user_ids))
    columns = {"desired": False, "observed": True, "changed_at": 0, "doubtful": True, "by_role": 0}
    _put(tx, connection_id, ([group_id], new), ("observed", "doubtful"), columns)
    return new


def observe_group(
    tx: Connection, connection_id: str, group_id: str, *, added: Collection[str], removed: Collection[str]
) -> None:
    """Note that people were seen to have joined or left a group."""
    key = {"connection": connection_id, "group": group_id}
    _see(tx, connection_id, [group_id], added)
    _unsee(tx, _CLEARING_GROUP, key, set(removed))


def hand_over(tx: Connection, connection_id: str, former_id: str, group_id: str) -> None:
    """Let a group take over who was seen in another, or stays in it, because both are the same to the remote system.

    Whom a call under way may be taking out of the former is in doubt.
    """
    for user_id, desired, observed, changed_at, by_role, doubtful in tx.execute(
        _OF_THE_FORMER, {"connection": connection_id, "group": former_id}
    ).all():
        columns = {"desired": desired, "observed": observed, "changed_at": changed_at, "doubtful": doubtful}
        columns["by_role"] = by_role
        _put(tx, connection_id, ([group_id], [user_id]), ("observed", "doubtful"), columns)


def observe_absence(tx: Connection, connection_id: str, group_id: str) -> list[str]:
    """Note that a group is not there any more, and return the ids of the people who were seen in it."""
    key = {"connection": connection_id, "group": group_id}
    held = sorted(_ids(tx, _SEEN, key))
    _unsee(tx, _CLEARING_GROUP, key, set(held))
    return held


def set_desired(
    tx: Connection,
    connection_id: str,
    group_id: str,
    user_ids: Collection[str],
    *,
    desired: bool,
) -> None:
    """Want people in a group, or want them no longer, without a client having named them."""
    if desired:
        _want(tx, connection_id, group_id, user_ids)
    else:
        _unwant(tx, _CLEARING_GROUP, {"connection": connection_id, "group": group_id}, set(user_ids), doubtful=False)


def unsettled_of_group(tx: Connection, connection_id: str, group_id: str) -> tuple[list[str], list[str]]:
    """Return the people who must join a group and those who must leave it."""
    found = _UNSETTLED.rows(tx, {"connection": connection_id, "group": group_id})
    return [id_ for id_, desired in found if desired], [id_ for id_, desired in found if not desired]


def on_their_way(tx: Connection, connection_id: str, group_id: str) -> dict[str, int]:
    """Return the generation of each person who must join a group and is not settled."""
    found = _JOINING.rows(tx, {"connection": connection_id, "group": group_id})
    return {row[0]: row[1] for row in found}


def is_being_left(tx: Connection, connection_id: str, group_id: str) -> bool:
    """Tell whether somebody still holds a group and is on the way out of it."""
    return _LEAVING.first(tx, {"connection": connection_id, "group": group_id}) is not None


def is_left(tx: Connection, connection_id: str, group_id: str) -> bool:
    """Tell whether somebody is, and stays, in a group: of a deleted one, members whom no client manages."""
    return _STAYING.first(tx, {"connection": connection_id, "group": group_id}) is not None


def count_holders(tx: Connection, connection_id: str, group_id: str) -> int:
    """Return how many desired members of a group are live and active; grants that are held do not count."""
    number: int = tx.execute(_HOLDERS, {"connection": connection_id, "group": group_id}).scalar_one()
    return number


def remove_user(tx: Connection, connection_id: str, user_id: str, *, doubtful: bool = True) -> list[str]:
    """Want a person in no group any more, and return the ids of the groups they are or were to be in.

    :param doubtful: Whether a grant that may have taken effect unseen counts as held.
    """
    key = {"connection": connection_id, "user": user_id}
    groups = sorted(_ids(tx, _ALL_OF, key))
    _unwant(tx, _CLEARING_USER, key, set(groups), doubtful=doubtful)
    return groups


def remove_group(
    tx: Connection,
    connection_id: str,
    group_id: str,
    *,
    doubtful: bool = True,
    keep_unmanaged: bool = False,
    two_ways: bool = False,
) -> MembershipChange:
    """Want nobody in a group any more; ``removed`` are the people who are or were to be in it.

    :param doubtful: Whether a grant that may have taken effect unseen counts as held.
    :param keep_unmanaged: Whether unmanaged members stay.
    :param two_ways: Whether those stay whose roles ask for it.
    """
    key = {"connection": connection_id, "group": group_id}
    users = set(_ids(tx, _ALL, key))
    stayed = unmanaged(tx, connection_id, group_id, users) if keep_unmanaged else set[str]()
    if two_ways and (also := set(_ids(tx, _ALSO_BY_ROLE, key, users))):
        _LEFT_TO_ROLE.write(tx, key | {"ids": array(also)})
        stayed |= also
    _unwant(tx, _CLEARING_GROUP, key, users - stayed, doubtful=doubtful)
    return MembershipChange(frozenset(), frozenset(users - stayed), frozenset(), frozenset(stayed))


def _ids(
    tx: Connection, statement: Prepared, values: dict[str, Any], chosen: Collection[str] | None = None
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


def _memberships(
    tx: Connection, statement: Prepared, connection_id: str, ids: Collection[str], kind: Kind
) -> dict[str, list[Membership]]:
    references: dict[str, list[Membership]] = {id_: [] for id_ in ids}
    found = statement.rows(tx, {"connection": connection_id, "ids": array(references)}) if references else ()
    for record in found:
        references[record[0]].append(_membership(record, kind))
    return references


def _want(
    tx: Connection,
    connection_id: str,
    group_id: str,
    user_ids: Collection[str],
    at: int = 0,
    *,
    by_role: bool = False,
) -> None:
    """Set the desired flag of rows; of those that a call under way may be taking away, the other is in doubt.

    :param at: When a client named them; 0: none did.
    :param by_role: Whether it was their roles that did.
    """
    if not user_ids:
        return
    _DOUBT_TAKEN.write(tx, {"connection": connection_id, "group": group_id, "ids": array(user_ids)})
    columns = {"desired": True, "observed": False, "changed_at": at, "doubtful": False, "by_role": int(by_role)}
    _put(
        tx, connection_id, ([group_id], user_ids), ("desired", "changed_at", "by_role") if at else ("desired",), columns
    )


def _see(tx: Connection, connection_id: str, group_ids: Collection[str], user_ids: Collection[str]) -> None:
    columns = {"desired": False, "observed": True, "changed_at": 0, "doubtful": False, "by_role": 0}
    _put(tx, connection_id, (group_ids, user_ids), ("observed", "doubtful"), columns)


def _put(
    tx: Connection,
    connection_id: str,
    pairs: tuple[Collection[str], Collection[str]],
    columns: tuple[str, ...],
    values: dict[str, Any],
) -> None:
    """Write a row of each person in each group; where there is one, only some columns of it.

    :param pairs: The groups, and the people.
    """
    groups, users = map(set, pairs)
    if groups and users:
        given = {"connection": connection_id, "groups": array(groups), "users": array(users)}
        upsert(tx, member, columns, _PAIRS).write(tx, given | values)


def _unwant(
    tx: Connection, clearing: "_Clearing", key: dict[str, Any], ids: set[str], *, doubtful: bool = True
) -> None:
    """Clear the desired flag of rows; those that were not observed either go.

    :param doubtful: Whether a grant that is under way, or whose answer was lost, counts as observed, in doubt. It may
        be in force, and to forget it would leave it there.
    """
    if ids:
        values = key | {"ids": array(ids)}
        for statement in (*((clearing.granted,) if doubtful else ()), clearing.desired, clearing.drop):
            statement.write(tx, values)


def _unsee(tx: Connection, clearing: "_Clearing", key: dict[str, Any], ids: set[str]) -> None:
    """Clear the observed flag of rows; those that are not desired either go."""
    if ids:
        for statement in (clearing.observed, clearing.drop):
            statement.write(tx, key | {"ids": array(ids)})


class _Clearing:
    """The statements that take flags from rows.

    Rows with neither flag go after one is cleared, not before: another process may clear the other one at the same
    time, and PostgreSQL shows what it did only once the update has waited for it.

    :param which: Of which rows.
    """

    def __init__(self, which: ColumnElement[bool]) -> None:
        granted = sql_update(member).where(which, member.c.desired, ~member.c.observed, _UNDER_WAY)
        self.granted = Prepared(granted.values(observed=True, doubtful=True))
        self.desired = Prepared(sql_update(member).where(which, member.c.desired).values(desired=False, by_role=0))
        self.observed = Prepared(sql_update(member).where(which).values(observed=False, doubtful=False))
        self.drop = Prepared(sql_delete(member).where(which, ~member.c.desired, ~member.c.observed))


_CLEARING_GROUP, _CLEARING_USER = _Clearing(_OF_GROUP), _Clearing(_OF_USER)
