"""What there is to do: the states of resources as the driver's work list. Reached through :mod:`.resources`."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, and_, bindparam, case, func, or_, select, union_all
from sqlalchemy import update as sql_update

from scim_bridge.connector import correlation_id
from scim_bridge.models import Kind, Lane
from scim_bridge.store.clock import from_microseconds, to_microseconds
from scim_bridge.store.prepared import Prepared, among, array
from scim_bridge.store.rows import PendingKey, State
from scim_bridge.store.tables import member, resource
from scim_bridge.store.transaction import Transaction

_CHOSEN = and_(resource.c.connection_id == bindparam("connection"), among(resource.c.id, "ids"))
_PENDING = resource.c.state == State.PENDING.value
_STAYS_HELD = and_(resource.c.state == State.HELD.value, bindparam("new_lane") != Lane.REMOVE.value)
"""What an operator has to decide is not let through by an unrelated write; a single removal is."""
_BUMP = Prepared(
    sql_update(resource)
    .where(_CHOSEN)
    .values(
        generation=resource.c.generation + 1,
        version=resource.c.version + 1,
        state=case((_STAYS_HELD, State.HELD.value), else_=State.PENDING.value),
        attempt=0,
        due_at=case((_STAYS_HELD, resource.c.due_at), else_=0),
        refusal=None,
        lane=case(
            (and_(_PENDING, resource.c.lane < bindparam("new_lane")), resource.c.lane), else_=bindparam("new_lane")
        ),
        modified_at=bindparam("now"),
        request_id=bindparam("request"),
    )
    .returning(resource.c.id, resource.c.generation)
)
_TOUCH = Prepared(sql_update(resource).where(_CHOSEN).values(version=resource.c.version + 1))
_WORK_COLUMNS = ("id", "kind", "lane", "generation", "due_at", "request_id", "sequence")


def _due(lane: Lane) -> ColumnElement[bool]:
    return and_(resource.c.connection_id == bindparam("connection"), _PENDING, resource.c.lane == lane.value)


# One bounded index range for each lane: work that waits in a lane is never stepped over on the way to work that is due.
_DUE_BY_LANE = union_all(
    *(
        select(
            select(*(resource.c[name] for name in _WORK_COLUMNS))
            .where(_due(lane), resource.c.due_at <= bindparam("now"))
            .order_by(resource.c.due_at, resource.c.sequence)
            .limit(bindparam("count"))
            .subquery()
        )
        for lane in Lane
    )
).subquery()
_DUE = Prepared(select(_DUE_BY_LANE).order_by(_DUE_BY_LANE.c.lane, _DUE_BY_LANE.c.due_at, _DUE_BY_LANE.c.sequence))
_NEXT_BY_LANE = union_all(
    *(
        select(func.min(resource.c.due_at).label("due_at")).where(_due(lane), resource.c.due_at > bindparam("now"))
        for lane in Lane
    )
).subquery()
_NEXT = Prepared(select(func.min(_NEXT_BY_LANE.c.due_at)))
_COUNTS = (
    select(resource.c.state, resource.c.kind, func.count())
    .where(resource.c.connection_id == bindparam("connection"))
    .group_by(resource.c.state, resource.c.kind)
)
_AT = Prepared(
    select(resource.c.sequence)
    .where(resource.c.connection_id == bindparam("connection"), resource.c.kind == bindparam("kind_is"))
    .offset(bindparam("before"))
    .limit(1)
)


def bump(tx: Transaction, connection_id: str, ids: Collection[str], *, lane: Lane, now: datetime) -> dict[str, int]:
    """Start a new generation of resources: pending at once, with no attempts and no refusal.

    :param ids: SCIM ids; unknown ones are left out.
    :param lane: The lane of the new work; a resource that is pending in a more urgent one stays there.
    :return: The new generation of each.
    """
    if not ids:
        return {}
    values = {"connection": connection_id, "new_lane": lane.value, "now": to_microseconds(now)}
    found = _BUMP.rows(tx, values | {"ids": array(ids), "request": correlation_id.get()})
    return {row[0]: row[1] for row in found}


def make_nobody(tx: Transaction, connection_id: str) -> None:
    """Take back from every User of a connection that its account may be made."""
    tx.execute(sql_update(resource).where(resource.c.connection_id == connection_id).values(may_make=False))


def touch(tx: Transaction, connection_id: str, ids: Collection[str]) -> None:
    """Give resources a new version (ETag) because what they show has changed."""
    if ids:
        _TOUCH.write(tx, {"connection": connection_id, "ids": array(ids)})


def shown_otherwise(tx: Transaction, connection_id: str) -> None:
    """Give a new version to whatever a removal concerns: what is wanted of it and what is are shown in turn."""
    leaving = and_(member.c.connection_id == connection_id, ~member.c.desired, member.c.observed)
    concerned = or_(
        and_(resource.c.shown_active, ~resource.c.active),
        resource.c.id.in_(select(member.c.user_id).where(leaving)),
        resource.c.id.in_(select(member.c.group_id).where(leaving)),
    )
    chosen = and_(resource.c.connection_id == connection_id, concerned)
    tx.execute(sql_update(resource).where(chosen).values(version=resource.c.version + 1))


def pending(
    tx: Transaction, connection_id: str, *, now: datetime, limit: int, exclude: Collection[str] = ()
) -> list[PendingKey]:
    """Return work that is due, the most urgent lane first, then the longest waiting. Deleted resources count.

    :param limit: Of each lane at most so many, so that a lane whose work does not come to an end hides no other.
    :param exclude: Ids that are being worked on.
    """
    values = {"connection": connection_id, "now": to_microseconds(now), "count": limit + len(exclude)}
    keys: list[PendingKey] = []
    left = dict.fromkeys(map(int, Lane), limit)
    for id_, kind, lane, generation, due_at, request_id, _ in _DUE.rows(tx, values):
        if id_ not in exclude and left[lane]:
            left[lane] -= 1
            due = from_microseconds(due_at) if due_at else None
            keys.append(PendingKey(id_, kind, Lane(lane), generation, due, request_id))
    return keys


def next_due(tx: Transaction, connection_id: str, *, now: datetime) -> datetime | None:
    """Return when the next waiting resource becomes due, or ``None`` when none waits."""
    ((found,),) = _NEXT.rows(tx, {"connection": connection_id, "now": to_microseconds(now)})
    return None if found is None else from_microseconds(found)


def counts(tx: Transaction, connection_id: str) -> dict[tuple[Kind, State], int]:
    """Return how many resources of each kind are in each state."""
    found = tx.execute(_COUNTS, {"connection": connection_id})
    return {(kind, State(state)): number for state, kind, number in found}


def at_least(tx: Transaction, connection_id: str, kind: Kind, number: int) -> bool:
    """Tell whether a connection has this many resources of a kind; no more of them than that are looked at."""
    values = {"connection": connection_id, "kind_is": kind, "before": number - 1}
    return number <= 0 or _AT.first(tx, values) is not None
