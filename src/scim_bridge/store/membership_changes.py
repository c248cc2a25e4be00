"""The one writer of the rows of memberships: what clients want, and what was seen.

What the rows mean stands in :mod:`scim_bridge.store.memberships`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, or_, select, true
from sqlalchemy import delete as sql_delete
from sqlalchemy import update as sql_update

from scim_bridge.store.clock import to_microseconds
from scim_bridge.store.dialects import upsert
from scim_bridge.store.memberships import GROUP, OF_GROUP, OF_USER, UNNAMED, USER, ids_of, those_of, unmanaged
from scim_bridge.store.prepared import Prepared, among, array, each
from scim_bridge.store.rows import MemberDelta, MembershipChange, net
from scim_bridge.store.tables import member, resource
from scim_bridge.store.transaction import Transaction

_DESIRED = Prepared(select(member.c.user_id).where(GROUP, member.c.desired))
_DESIRED_OF = Prepared(select(member.c.user_id).where(OF_GROUP, member.c.desired))
_SEEN = Prepared(select(member.c.user_id).where(GROUP, member.c.observed))
_ALL = Prepared(select(member.c.user_id).where(GROUP))
_SEEN_IN = Prepared(select(member.c.group_id, member.c.doubtful).where(USER, member.c.observed))
_ALL_OF = Prepared(select(member.c.group_id).where(USER))
_DOUBT = Prepared(sql_update(member).where(OF_USER, member.c.observed).values(doubtful=True))
_NAME = Prepared(sql_update(member).where(UNNAMED).values(changed_at=bindparam("at")))
_ALSO_BY_ROLE = Prepared(select(member.c.user_id).where(OF_GROUP, member.c.desired, member.c.by_role > 0))
_ALSO_BY_GROUP = Prepared(
    select(member.c.user_id).where(
        OF_GROUP, member.c.desired, or_(member.c.by_role == 2, and_(member.c.by_role == 0, member.c.changed_at != 0))
    )
)
_LEFT_TO_ROLE = Prepared(sql_update(member).where(OF_GROUP, member.c.by_role > 0).values(by_role=1))
_LEFT_TO_GROUP = Prepared(sql_update(member).where(OF_GROUP, member.c.by_role > 0).values(by_role=0))
_GROUP_TOO = Prepared(sql_update(member).where(OF_GROUP, member.c.by_role == 1).values(by_role=2))
_ROLE_TOO = Prepared(
    sql_update(member)
    .where(OF_GROUP, member.c.desired, member.c.by_role == 0)
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
    .where(GROUP, member.c.observed)
    .order_by(member.c.user_id)
)
_TAKEN_AWAY = and_(OF_GROUP, ~member.c.desired, member.c.observed, _UNDER_WAY)
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


def apply(
    tx: Transaction,
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
    known = set(ids_of(tx, _USERS_KNOWN, key, added))
    stayed: set[str] = set()
    if complete:
        desired = set(ids_of(tx, _DESIRED, key))
        if keep_unmanaged:
            unnamed = desired - added - removed
            stayed = unmanaged(tx, connection_id, group_id, unnamed)
        removed = desired - added - stayed
    else:
        desired = set(ids_of(tx, _DESIRED_OF, key, known | removed))
        removed &= desired
    if two_ways and removed:
        others, left = (_ALSO_BY_GROUP, _LEFT_TO_GROUP) if by_role else (_ALSO_BY_ROLE, _LEFT_TO_ROLE)
        also = set(ids_of(tx, others, key, removed))
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


def observe_user(tx: Transaction, connection_id: str, user_id: str, group_ids: Collection[str]) -> None:
    """Note that a person was seen in exactly these groups."""
    key = {"connection": connection_id, "user": user_id}
    found = _SEEN_IN.rows(tx, key)
    held = {group_id for group_id, _ in found}
    certain = {group_id for group_id, doubtful in found if not doubtful}
    seen = set(group_ids)
    _see(tx, connection_id, seen - certain, [user_id])
    _unsee(tx, _CLEARING_USER, key, held - seen)


def forget(tx: Transaction, connection_id: str, user_id: str, group_ids: Collection[str]) -> None:
    """Note that a person counts as being in these groups no more."""
    _unsee(tx, _CLEARING_USER, {"connection": connection_id, "user": user_id}, set(group_ids))


def doubt(tx: Transaction, connection_id: str, user_id: str, group_ids: Collection[str]) -> None:
    """Note that a person may have lost those of these groups that they were seen in."""
    if group_ids:
        _DOUBT.write(tx, {"connection": connection_id, "user": user_id, "ids": array(group_ids)})


def suspect(tx: Transaction, connection_id: str, group_id: str, user_ids: Collection[str]) -> list[str]:
    """Note that people of whom nothing is known may be in a group, and return who they are."""
    new = sorted(set(user_ids) - those_of(tx, connection_id, group_id, user_ids))
    columns = {"desired": False, "observed": True, "changed_at": 0, "doubtful": True, "by_role": 0}
    _put(tx, connection_id, ([group_id], new), ("observed", "doubtful"), columns)
    return new


def observe_group(
    tx: Transaction, connection_id: str, group_id: str, *, added: Collection[str], removed: Collection[str]
) -> None:
    """Note that people were seen to have joined or left a group."""
    key = {"connection": connection_id, "group": group_id}
    _see(tx, connection_id, [group_id], added)
    _unsee(tx, _CLEARING_GROUP, key, set(removed))


def hand_over(tx: Transaction, connection_id: str, former_id: str, group_id: str) -> None:
    """Let a group take over who was seen in another, or stays in it, because both are the same to the remote system.

    Whom a call under way may be taking out of the former is in doubt.
    """
    for user_id, desired, observed, changed_at, by_role, doubtful in tx.execute(
        _OF_THE_FORMER, {"connection": connection_id, "group": former_id}
    ).all():
        columns = {"desired": desired, "observed": observed, "changed_at": changed_at, "doubtful": doubtful}
        columns["by_role"] = by_role
        _put(tx, connection_id, ([group_id], [user_id]), ("observed", "doubtful"), columns)


def observe_absence(tx: Transaction, connection_id: str, group_id: str) -> list[str]:
    """Note that a group is not there any more, and return the ids of the people who were seen in it."""
    key = {"connection": connection_id, "group": group_id}
    held = sorted(ids_of(tx, _SEEN, key))
    _unsee(tx, _CLEARING_GROUP, key, set(held))
    return held


def set_desired(
    tx: Transaction,
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


def remove_user(tx: Transaction, connection_id: str, user_id: str, *, doubtful: bool = True) -> list[str]:
    """Want a person in no group any more, and return the ids of the groups they are or were to be in.

    :param doubtful: Whether a grant that may have taken effect unseen counts as held.
    """
    key = {"connection": connection_id, "user": user_id}
    groups = sorted(ids_of(tx, _ALL_OF, key))
    _unwant(tx, _CLEARING_USER, key, set(groups), doubtful=doubtful)
    return groups


def remove_group(
    tx: Transaction,
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
    users = set(ids_of(tx, _ALL, key))
    stayed = unmanaged(tx, connection_id, group_id, users) if keep_unmanaged else set[str]()
    if two_ways and (also := set(ids_of(tx, _ALSO_BY_ROLE, key, users))):
        _LEFT_TO_ROLE.write(tx, key | {"ids": array(also)})
        stayed |= also
    _unwant(tx, _CLEARING_GROUP, key, users - stayed, doubtful=doubtful)
    return MembershipChange(frozenset(), frozenset(users - stayed), frozenset(), frozenset(stayed))


def _want(
    tx: Transaction,
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


def _see(tx: Transaction, connection_id: str, group_ids: Collection[str], user_ids: Collection[str]) -> None:
    columns = {"desired": False, "observed": True, "changed_at": 0, "doubtful": False, "by_role": 0}
    _put(tx, connection_id, (group_ids, user_ids), ("observed", "doubtful"), columns)


def _put(
    tx: Transaction,
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
    tx: Transaction, clearing: "_Clearing", key: dict[str, Any], ids: set[str], *, doubtful: bool = True
) -> None:
    """Clear the desired flag of rows; those that were not observed either go.

    :param doubtful: Whether a grant that is under way, or whose answer was lost, counts as observed, in doubt. It may
        be in force, and to forget it would leave it there.
    """
    if ids:
        values = key | {"ids": array(ids)}
        for statement in (*((clearing.granted,) if doubtful else ()), clearing.desired, clearing.drop):
            statement.write(tx, values)


def _unsee(tx: Transaction, clearing: "_Clearing", key: dict[str, Any], ids: set[str]) -> None:
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


_CLEARING_GROUP, _CLEARING_USER = _Clearing(OF_GROUP), _Clearing(OF_USER)
