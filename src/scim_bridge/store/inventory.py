"""What operators list: everybody, every group, what is not settled, and how many of each. Read only, page by page."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, tuple_

from scim_bridge.models import Kind, Lane
from scim_bridge.store.clock import from_microseconds
from scim_bridge.store.prepared import among
from scim_bridge.store.resources import COLUMNS, to_row
from scim_bridge.store.rows import ResourceRow, State
from scim_bridge.store.tables import listed, member, ownership, resource
from scim_bridge.store.transaction import Transaction

UNSETTLED = (State.PENDING, State.HELD, State.BLOCKED)

_OF_CONNECTION = resource.c.connection_id == bindparam("connection")
_UNSETTLED = and_(_OF_CONNECTION, resource.c.state.in_(bindparam("states", expanding=True)))
_NAMED = (
    select(resource.c.name_key, *COLUMNS)
    .where(_OF_CONNECTION, resource.c.kind == bindparam("kind_is"))
    .order_by(resource.c.name_key, resource.c.id)
    .limit(bindparam("count"))
)
_NAMED_AFTER = _NAMED.where(
    tuple_(resource.c.name_key, resource.c.id) > tuple_(bindparam("after_name"), bindparam("after_id"))
)
_WORK = (
    select(resource.c.sequence, *COLUMNS)
    .where(_UNSETTLED)
    .order_by(resource.c.lane, resource.c.sequence)
    .limit(bindparam("count"))
)
_WORK_AFTER = _WORK.where(
    tuple_(resource.c.lane, resource.c.sequence) > tuple_(bindparam("after_lane"), bindparam("after_sequence"))
)
_COUNTS = (
    select(resource.c.state, resource.c.lane, func.count())
    .where(_UNSETTLED)
    .group_by(resource.c.state, resource.c.lane)
)
_REMOVALS = (
    select(*COLUMNS)
    .where(_UNSETTLED, resource.c.lane == Lane.REMOVE.value)
    .order_by(resource.c.modified_at, resource.c.sequence)
    .limit(1)
)
_LISTED = select(func.sum(listed.c.number)).where(
    listed.c.connection_id == bindparam("connection"), listed.c.kind == bindparam("kind_is")
)
_COUNTED = select(func.count()).where(_OF_CONNECTION, resource.c.kind == bindparam("kind_is"), ~resource.c.deleted)
_DRIVER = select(ownership.c.owner, ownership.c.heartbeat_at).where(
    ownership.c.connection_id == bindparam("connection")
)


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count().filter(condition)


_MEMBERS = (
    select(
        member.c.group_id,
        _number(and_(member.c.desired, resource.c.active)),
        _number(and_(member.c.desired, resource.c.active, or_(~member.c.observed, member.c.doubtful))),
        _number(and_(~member.c.desired, member.c.observed)),
    )
    .join(resource, and_(resource.c.connection_id == member.c.connection_id, resource.c.id == member.c.user_id))
    .where(
        member.c.connection_id == bindparam("connection"),
        among(member.c.group_id, "ids"),
    )
    .group_by(member.c.group_id)
)


@dataclass(frozen=True, slots=True)
class MemberCounts:
    """How many members a group has.

    :param desired: Who is to be in it, and to have access.
    :param joining: Those of them of whom it is not known that they are.
    :param leaving: Who is not to be in it any more, and was last seen in it.
    """

    desired: int = 0
    joining: int = 0
    leaving: int = 0


def by_name(
    tx: Transaction,
    connection_id: str,
    kind: Kind,
    *,
    after: Sequence[str] | None,
    limit: int,
    where: Collection[ColumnElement[bool]] = (),
) -> list[tuple[str, ResourceRow]]:
    """Return a page of resources in the order of their names, those that are being deleted too, with their name keys.

    :param after: The name key and the id of the last one of the page before.
    :param where: What they must be besides; see the functions below and :func:`scim_bridge.store.filters.compile`.
    """
    values: dict[str, object] = {"connection": connection_id, "kind_is": kind, "count": limit}
    statement = _NAMED
    if after is not None:
        statement = _NAMED_AFTER
        values |= {"after_name": after[0], "after_id": after[1]}
    found = tx.execute(statement.where(*where), values)
    return [(record[0], to_row(record[1:])) for record in found]


def in_group(group_id: str) -> ColumnElement[bool]:
    """Return the condition that a User is in a group: is to be, or was last seen to be."""
    return resource.c.id.in_(
        select(member.c.user_id).where(member.c.connection_id == bindparam("connection"), member.c.group_id == group_id)
    )


def in_state(state: State) -> ColumnElement[bool]:
    """Return the condition that a resource is in a state."""
    return resource.c.state == state.value


def may_be_let_in() -> ColumnElement[bool]:
    """Return a condition that holds of every User who may be let in now, and of some who are not."""
    return or_(resource.c.shown_active, resource.c.state != State.SETTLED.value)


def owned_by_nobody(*, is_so: bool) -> ColumnElement[bool]:
    """Return the condition that no client has written a resource, or that one has."""
    discovered = resource.c.ownership == "discovered"
    return discovered if is_so else ~discovered


def work(
    tx: Transaction, connection_id: str, *, states: Collection[State], after: Sequence[int] | None, limit: int
) -> list[tuple[int, ResourceRow]]:
    """Return a page of what is not settled, removals first, then the oldest resource, with its place.

    :param after: The lane and the place of the last one of the page before.
    """
    values: dict[str, object] = {"connection": connection_id, "states": [one.value for one in states], "count": limit}
    statement = _WORK
    if after is not None:
        statement = _WORK_AFTER
        values |= {"after_lane": after[0], "after_sequence": after[1]}
    return [(record[0], to_row(record[1:])) for record in tx.execute(statement, values)]


def counts(tx: Transaction, connection_id: str) -> dict[tuple[State, Lane], int]:
    """Return how many resources are not settled; those that are, are not looked at."""
    values = {"connection": connection_id, "states": [one.value for one in UNSETTLED]}
    return {(State(state), Lane(lane)): number for state, lane, number in tx.execute(_COUNTS, values)}


def oldest_removal(tx: Transaction, connection_id: str, *, states: Collection[State]) -> ResourceRow | None:
    """Return the removal that was asked for first, of those that are in these states."""
    values = {"connection": connection_id, "states": [one.value for one in states]}
    found = tx.execute(_REMOVALS, values).first()
    return None if found is None else to_row(found)


def total(tx: Transaction, connection_id: str, kind: Kind) -> int:
    """Return how many Users or Groups there are; PostgreSQL counts them, SQLite has counted them."""
    statement = _LISTED if tx.dialect.name == "sqlite" else _COUNTED
    return int(tx.execute(statement, {"connection": connection_id, "kind_is": kind}).scalar_one() or 0)


def member_counts(tx: Transaction, connection_id: str, group_ids: Collection[str]) -> dict[str, MemberCounts]:
    """Return the numbers of members of groups; every given id is a key."""
    numbers = dict.fromkeys(group_ids, MemberCounts())
    found = tx.execute(_MEMBERS, {"connection": connection_id, "ids": json.dumps(sorted(group_ids))})
    return numbers | {group_id: MemberCounts(*counted) for group_id, *counted in found}


def driver(tx: Transaction, connection_id: str) -> tuple[str, datetime] | None:
    """Return the term of the process that drives a connection, and its last sign of life; PostgreSQL only."""
    found = tx.execute(_DRIVER, {"connection": connection_id}).first()
    return None if found is None else (found[0], from_microseconds(found[1]))
