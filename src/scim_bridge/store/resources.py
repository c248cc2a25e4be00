"""Rows of Users and Groups. Every function takes the transaction first and touches one connection only."""

import json
from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from scim2_models import InvalidValueException, Resource, UniquenessException
from sqlalchemy import Boolean, and_, bindparam, case, select
from sqlalchemy import delete as sql_delete
from sqlalchemy import insert as sql_insert
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from scim_bridge.connector import correlation_id
from scim_bridge.errors import RemoteConflictError
from scim_bridge.models import Kind, Lane
from scim_bridge.store import index
from scim_bridge.store.clock import from_microseconds, to_microseconds
from scim_bridge.store.comparison import exact, fold
from scim_bridge.store.dialects import refusable
from scim_bridge.store.prepared import Prepared, among, array
from scim_bridge.store.rows import Observed, Ownership, Refusal, ResourceRow, State
from scim_bridge.store.tables import NAME_LENGTH, member, resource
from scim_bridge.store.transaction import Transaction
from scim_bridge.store.work import at_least, bump, counts, make_nobody, next_due, pending, shown_otherwise, touch

__all__ = [
    "ANY",
    "any_key",
    "any_of",
    "at_least",
    "bump",
    "counts",
    "find_by_external_id",
    "find_by_name",
    "find_by_remote_id",
    "find_refused",
    "get",
    "get_many",
    "held",
    "insert",
    "iterate",
    "ledger",
    "make_nobody",
    "next_due",
    "note_answered",
    "pending",
    "remove",
    "remove_refused",
    "save",
    "shown_otherwise",
    "touch",
]

NAMES: dict[Kind, str] = {"User": "userName", "Group": "displayName"}
"""The attribute that names a resource of each kind."""

COLUMNS = (
    *(resource.c[name] for name in ("connection_id", "id", "kind", "name", "document", "created_at", "modified_at")),
    *(resource.c[name] for name in ("external_id", "remote_id", "active", "shown_active", "unique_name")),
    *(resource.c[name] for name in ("generation", "observed_generation", "observed", "ambiguous", "ownership")),
    *(resource.c[name] for name in ("state", "lane", "attempt", "due_at", "refusal", "deleted", "answered", "version")),
    resource.c.may_make,
)
"""What :func:`to_row` reads, in the order of :class:`ResourceRow`'s fields."""

_STATES = {state.value: state for state in State}
_OWNERSHIPS = {ownership.value: ownership for ownership in Ownership}
_LANES = {lane.value: lane for lane in Lane}

_KEY = and_(resource.c.connection_id == bindparam("connection"), resource.c.id == bindparam("key"))
_KIND = and_(resource.c.connection_id == bindparam("connection"), resource.c.kind == bindparam("kind_is"))
_ANY = select(*COLUMNS).where(_KEY)
_OF_KIND = _ANY.where(resource.c.kind == bindparam("kind_is"))
_GET = Prepared(_OF_KIND)
_GET_LOCKED = Prepared(_OF_KIND.with_for_update())
_CHOSEN = (
    select(*COLUMNS)
    .where(
        resource.c.connection_id == bindparam("connection"),
        among(resource.c.id, "ids"),
        resource.c.kind == bindparam("kind_is"),
    )
    .order_by(resource.c.id)
)
_SOME = Prepared(_CHOSEN)
_SOME_LOCKED = Prepared(_CHOSEN.with_for_update())
_ANSWERED = Prepared(sql_update(resource).where(_KEY, ~resource.c.deleted).values(answered=True))
_BY_NAME = select(*COLUMNS).where(_KIND, resource.c.name_key == bindparam("key"), ~resource.c.deleted)
_OLDEST = _BY_NAME.order_by(resource.c.sequence).limit(1)
_BY_NAME_OLDEST = Prepared(_OLDEST)
_BY_NAME_LOCKED = Prepared(_OLDEST.with_for_update())
_BY_EXTERNAL_ID = Prepared(
    select(*COLUMNS)
    .where(_KIND, resource.c.external_id_key == bindparam("key"), ~resource.c.deleted)
    .order_by(resource.c.sequence)
    .limit(1)
)
_BY_REMOTE_ID = Prepared(select(*COLUMNS).where(_KIND, resource.c.remote_id == bindparam("key")))
_WRITTEN = [column.name for column in resource.columns if column.name != "sequence"]
_INSERT = Prepared(sql_insert(resource).returning(resource.c.sequence), _WRITTEN)
_CAUSE = case(
    (bindparam("is_settled", type_=Boolean), None),
    (bindparam("new_generation") > resource.c.generation, bindparam("request")),
    else_=resource.c.request_id,
)
_REPLACE = Prepared(
    sql_update(resource).where(_KEY).values(request_id=_CAUSE).returning(resource.c.sequence),
    [name for name in _WRITTEN if name != "request_id"],
)
_ITERATE = (
    select(*COLUMNS).where(_KIND, resource.c.id > bindparam("after")).order_by(resource.c.id).limit(bindparam("count"))
)


_LEDGER = (
    select(*COLUMNS)
    .where(
        resource.c.connection_id == bindparam("connection"),
        resource.c.state.in_([state.value for state in State if state is not State.SETTLED]),
    )
    .order_by(resource.c.lane, resource.c.sequence)
    .limit(bindparam("count"))
)
_HELD = (
    select(*COLUMNS)
    .where(resource.c.connection_id == bindparam("connection"), resource.c.state == State.HELD.value)
    .order_by(resource.c.lane, resource.c.sequence)
)
_REFUSED = Prepared(
    select(*COLUMNS)
    .where(_KIND, resource.c.name_key == bindparam("key"), resource.c.deleted, resource.c.refusal.is_not(None))
    .order_by(resource.c.sequence.desc())
    .limit(1)
)


def to_row(record: Sequence[Any]) -> ResourceRow:
    """Return a record of :data:`COLUMNS` as a row."""
    (
        connection_id, id_, kind, name, document, created_at, modified_at, external_id, remote_id, active, shown_active,
        unique_name, generation, observed_generation, observed, ambiguous, ownership, state, lane, attempt, due_at,
        refusal, deleted, answered, version, may_make,
    ) = record  # fmt: skip
    return ResourceRow(
        connection_id, id_, kind, name, document, from_microseconds(created_at), from_microseconds(modified_at),
        external_id, remote_id, bool(active), bool(shown_active), bool(unique_name), generation, observed_generation,
        None if observed is None else _observed(observed), bool(ambiguous), _OWNERSHIPS[ownership], _STATES[state],
        _LANES[lane], attempt, from_microseconds(due_at) if due_at else None,
        None if refusal is None else Refusal(**json.loads(refusal)), bool(deleted), bool(answered), version,
        bool(may_make),
    )  # fmt: skip


def insert(tx: Transaction, row: ResourceRow, resource: Resource[Any]) -> None:
    """Add a resource.

    :param resource: The object the document was made of; what filters compare comes from it.
    :raises UniquenessException: when a live resource already has the name.
    :raises RemoteConflictError: when another resource already has the remote id.
    """
    sequence = _written(tx, row, _INSERT, _values(row))
    index.write(tx, row.connection_id, sequence, resource)


def save(tx: Transaction, row: ResourceRow, resource: Resource[Any] | None = None) -> None:
    """Write all columns of an existing row.

    :param resource: The object the document was made of, when the document changed.
    :raises UniquenessException: when another live resource already has the name.
    :raises RemoteConflictError: when another resource already has the remote id.
    """
    key = {"connection": row.connection_id, "key": row.id}
    cause = {
        "is_settled": row.state is State.SETTLED,
        "new_generation": row.generation,
        "request": correlation_id.get(),
    }
    sequence = _written(tx, row, _REPLACE, _values(row) | key | cause)
    if resource is not None:
        index.write(tx, row.connection_id, sequence, resource)


def get(
    tx: Transaction,
    connection_id: str,
    kind: Kind,
    id: str,
    *,
    lock: bool = False,
    deleted: bool = False,
) -> ResourceRow | None:
    """Return a resource by its SCIM id.

    :param lock: Keep other transactions from writing it until this one ends.
    :param deleted: Whether one that the client deleted counts.
    """
    found = (_GET_LOCKED if lock else _GET).first(tx, {"connection": connection_id, "kind_is": kind, "key": id})
    if found is None:
        return None
    row = to_row(found)
    return None if row.deleted and not deleted else row


ANY = Prepared(_ANY)
"""Reads a User or Group by id, deleted ones included, for :meth:`scim_bridge.store.engine.Store.ask`."""


def any_key(connection_id: str, id: str) -> dict[str, Any]:
    """Return the parameters of :data:`ANY`."""
    return {"connection": connection_id, "key": id}


def any_of(records: Sequence[Sequence[Any]]) -> ResourceRow | None:
    """Return what :data:`ANY` found."""
    return to_row(records[0]) if records else None


def get_many(
    tx: Transaction,
    connection_id: str,
    kind: Kind,
    ids: Collection[str],
    *,
    lock: bool = False,
    deleted: bool = False,
) -> list[ResourceRow]:
    """Return those of some resources that there are, in the order of their ids, as :func:`get` returns one."""
    if not ids:
        return []
    key = {"connection": connection_id, "kind_is": kind, "ids": array(ids)}
    found = [to_row(record) for record in (_SOME_LOCKED if lock else _SOME).rows(tx, key)]
    return [row for row in found if deleted or not row.deleted]


def note_answered(tx: Transaction, connection_id: str, id: str) -> None:
    """Note that the client was told of a creation."""
    _ANSWERED.write(tx, any_key(connection_id, id))


def find_by_name(
    tx: Transaction, connection_id: str, kind: Kind, name: str, *, lock: bool = False
) -> ResourceRow | None:
    """Return the live resource of a userName or displayName, compared as SCIM compares; the oldest if several."""
    statement = _BY_NAME_LOCKED if lock else _BY_NAME_OLDEST
    return _first(tx, statement, connection_id, kind, fold(name))


def find_by_external_id(tx: Transaction, connection_id: str, kind: Kind, external_id: str) -> ResourceRow | None:
    """Return the live resource of an externalId; the oldest if several."""
    return _first(tx, _BY_EXTERNAL_ID, connection_id, kind, exact(external_id))


def find_by_remote_id(tx: Transaction, connection_id: str, kind: Kind, remote_id: str) -> ResourceRow | None:
    """Return the resource of a remote id, also one that the client deleted."""
    return _first(tx, _BY_REMOTE_ID, connection_id, kind, remote_id)


def remove(tx: Transaction, connection_id: str, id: str) -> None:
    """Remove a resource, its index and its membership rows for good."""
    for column in (member.c.group_id, member.c.user_id):
        tx.execute(sql_delete(member).where(member.c.connection_id == connection_id, column == id))
    tx.execute(sql_delete(resource).where(_KEY), {"connection": connection_id, "key": id})


def remove_refused(
    tx: Transaction,
    connection_id: str,
    kind: Kind | None = None,
    *,
    name: str | None = None,
    before: datetime | None = None,
) -> int:
    """Remove creations that were refused and of which nothing is known to be in the remote system; return how many.

    :param kind: Of this resource type only, with ``name``.
    :param name: Of this userName or displayName only.
    :param before: Last written before this only.
    """
    statement = select(*COLUMNS).where(
        resource.c.connection_id == connection_id, resource.c.state == State.BLOCKED.value, resource.c.deleted
    )
    if name is not None:
        statement = statement.where(resource.c.kind == kind, resource.c.name_key == fold(name))
    if before is not None:
        statement = statement.where(resource.c.modified_at < to_microseconds(before))
    rows = [to_row(record) for record in tx.execute(statement)]
    nothing_left = [row for row in rows if row.observed is not None and not row.observed.present]
    for row in nothing_left:
        remove(tx, connection_id, row.id)
    return len(nothing_left)


def iterate(tx: Transaction, connection_id: str, kind: Kind, *, after: str | None, limit: int) -> list[ResourceRow]:
    """Return a page of all resources of a kind in the order of their ids, deleted ones too.

    :param after: The last id of the page before.
    """
    found = tx.execute(_ITERATE, {"connection": connection_id, "kind_is": kind, "after": after or "", "count": limit})
    return [to_row(record) for record in found]


def ledger(tx: Transaction, connection_id: str, *, limit: int = 1000) -> list[ResourceRow]:
    """Return the first of the resources that are not settled, removals first: to be looked at, not to be counted."""
    found = tx.execute(_LEDGER, {"connection": connection_id, "count": limit})
    return [to_row(record) for record in found]


def held(tx: Transaction, connection_id: str) -> list[ResourceRow]:
    """Return all that is held for an operator, removals first."""
    return [to_row(record) for record in tx.execute(_HELD, {"connection": connection_id})]


def find_refused(tx: Transaction, connection_id: str, kind: Kind, name: str) -> ResourceRow | None:
    """Return the creation of this name that was refused last, as long as it is known."""
    return _first(tx, _REFUSED, connection_id, kind, fold(name))


def _first(tx: Transaction, statement: Prepared, connection_id: str, kind: Kind, key: str) -> ResourceRow | None:
    found = statement.first(tx, {"connection": connection_id, "kind_is": kind, "key": key})
    return None if found is None else to_row(found)


def _observed(text: str) -> Observed:
    document = json.loads(text)
    document["deferred"] = tuple(document["deferred"])
    document["cleared"] = tuple(document.get("cleared", ()))
    if (holds := document.get("holds")) is not None:
        document["holds"] = tuple(holds)
    document["rewritten"] = {path: tuple(each) for path, each in document.get("rewritten", {}).items()}
    return Observed(**document)


def _json(value: Observed | Refusal | None) -> str | None:
    if value is None:
        return None
    document = {field.name: getattr(value, field.name) for field in fields(value)}
    return json.dumps(document, ensure_ascii=False, default=str)


def _values(row: ResourceRow) -> dict[str, Any]:
    return {
        "connection_id": row.connection_id,
        "id": row.id,
        "kind": row.kind,
        "name": row.name,
        "name_key": _bounded(NAMES[row.kind], fold(row.name)),
        "external_id": row.external_id,
        "external_id_key": row.external_id and _bounded("externalId", exact(row.external_id)),
        "remote_id": row.remote_id,
        "document": row.document,
        "created_at": to_microseconds(row.created_at),
        "modified_at": to_microseconds(row.modified_at),
        "active": row.active,
        "shown_active": row.shown_active,
        "unique_name": row.unique_name,
        "generation": row.generation,
        "observed_generation": row.observed_generation,
        "observed": _json(row.observed),
        "ambiguous": row.ambiguous,
        "ownership": row.ownership.value,
        "state": row.state.value,
        "lane": row.lane.value,
        "attempt": row.attempt,
        "due_at": to_microseconds(row.not_before) if row.not_before else 0,
        "refusal": _json(row.refusal),
        "deleted": row.deleted,
        "answered": row.answered,
        "version": row.version,
        "may_make": row.may_make,
        "request_id": None if row.state is State.SETTLED else correlation_id.get(),
    }


def _bounded(attribute: str, key: str) -> str:
    if len(key) > NAME_LENGTH:
        raise InvalidValueException(detail=f"{attribute} is longer than {NAME_LENGTH} characters")
    return key


def _written(tx: Transaction, row: ResourceRow, statement: Prepared, values: dict[str, Any]) -> int:
    """Write a row and return its sequence; turn what a unique index refuses into what it means."""
    try:
        with refusable(tx):
            ((sequence,),) = statement.rows(tx, values)
            return int(sequence)
    except IntegrityError as error:
        reason = str(error.orig)
        if "remote_id" in reason:
            raise RemoteConflictError(f"another {row.kind} already stands for this remote id") from error
        if "name" in reason:
            raise UniquenessException(detail=f"{NAMES[row.kind]} {row.name!r} is already taken") from error
        raise
