"""The audit trail: what happened, chained by hashes, written in the transaction of the change itself.

Whoever changes or drops an event in the middle breaks the chain (:mod:`scim_bridge.store.chain`). A cut-off tail shows
only against a head that was kept elsewhere. Events carry ids, never personal data.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import bindparam, func, select
from sqlalchemy import delete as sql_delete
from sqlalchemy import insert as sql_insert
from sqlalchemy import update as sql_update
from sqlalchemy.engine import RowMapping

from scim_bridge.store.chain import HEAD, PRUNE, START, AuditHead, Entry, Walk, canonical, link, signed
from scim_bridge.store.clock import from_microseconds, to_microseconds
from scim_bridge.store.dialects import upsert
from scim_bridge.store.prepared import Prepared
from scim_bridge.store.tables import audit, audit_head
from scim_bridge.store.transaction import Transaction

PAGE = 500

_OF_CONNECTION = audit.c.connection_id == bindparam("connection")
_HEAD = select(audit_head.c.sequence, audit_head.c.hash).where(audit_head.c.connection_id == bindparam("connection"))
_HEAD_LOCKED = Prepared(_HEAD.with_for_update())
_INSERT = Prepared(sql_insert(audit), [column.name for column in audit.columns])
_ADVANCE = Prepared(
    sql_update(audit_head)
    .where(audit_head.c.connection_id == bindparam("connection"))
    .values(sequence=bindparam("new_sequence"), hash=bindparam("new_hash"))
)
_PAGE = (
    select(audit).where(_OF_CONNECTION, audit.c.sequence > bindparam("after")).order_by(audit.c.sequence).limit(PAGE)
)
_LATEST = select(audit).where(_OF_CONNECTION).order_by(audit.c.sequence.desc()).limit(bindparam("count"))
_LATEST_OF_RESOURCE = _LATEST.where(audit.c.resource_id == bindparam("resource"))
_AT = select(audit.c.at).where(_OF_CONNECTION, audit.c.sequence == bindparam("sequence"))


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One entry of the trail.

    :param event: The event as it was appended, with its time under ``at``.
    :param resource_id: What the event is found by: its ``id``.
    :param request_id: What it is found by, too: its ``request``.
    """

    sequence: int
    at: datetime
    event: dict[str, Any]
    previous_hash: bytes
    hash: bytes
    resource_id: str | None
    request_id: str | None


def append(tx: Transaction, connection_id: str, event: Mapping[str, Any], *, now: datetime) -> int:
    """Add an event and return its sequence, counted from 1 without gaps in each connection.

    :param event: What :func:`scim_bridge.store.chain.canonical` takes; ids only.
    """
    previous = _lock_head(tx, connection_id)
    sequence = previous.sequence + 1
    text = canonical(dict(event) | {"at": now.isoformat(timespec="microseconds")})
    hash_ = link(previous.hash, text)
    _INSERT.write(
        tx,
        {
            "connection_id": connection_id,
            "sequence": sequence,
            "at": to_microseconds(now),
            "event": text,
            "previous_hash": previous.hash,
            "hash": hash_,
            "resource_id": event.get("id"),
            "request_id": event.get("request"),
        },
    )
    _ADVANCE.write(tx, {"connection": connection_id, "new_sequence": sequence, "new_hash": hash_})
    return sequence


def serialise(tx: Transaction, connection_id: str) -> None:
    """Let this transaction change a connection's resources alone; to be called before it locks anything else.

    On PostgreSQL many write at the same time: two of them would each find room for the last change of a budget, write
    back rows that the other one changes, or wait for each other's. SQLite has one writer.
    """
    if tx.dialect.name == "postgresql":
        _lock_head(tx, connection_id)


def head(tx: Transaction, connection_id: str) -> AuditHead:
    """Return the end of a connection's trail; sequence 0 of an empty one."""
    found = tx.execute(_HEAD, {"connection": connection_id}).first()
    return AuditHead(0, START) if found is None else AuditHead(found[0], found[1])


def connections(tx: Transaction) -> list[str]:
    """Return every connection of which there is an entry."""
    return list(tx.execute(select(audit_head.c.connection_id)).scalars())


def export(tx: Transaction, connection_id: str, after: int = 0) -> Iterator[AuditEvent]:
    """Yield the events after a sequence, in order; valid inside the transaction only."""
    while True:
        page = tx.execute(_PAGE, {"connection": connection_id, "after": after}).mappings().all()
        for found in page:
            after = found["sequence"]
            yield _event(found)
        if len(page) < PAGE:
            return


def latest(tx: Transaction, connection_id: str, *, limit: int, resource_id: str | None = None) -> list[AuditEvent]:
    """Return the last events, the latest first.

    :param resource_id: Of this User or Group only, whether it is still there or not.
    """
    values = {"connection": connection_id, "count": limit}
    if resource_id is None:
        found = tx.execute(_LATEST, values)
    else:
        found = tx.execute(_LATEST_OF_RESOURCE, values | {"resource": resource_id})
    return [_event(one) for one in found.mappings()]


def of_request(tx: Transaction, connection_id: str, request_id: str) -> list[AuditEvent]:
    """Return the events that a request caused, in order."""
    statement = select(audit).where(_OF_CONNECTION, audit.c.request_id == request_id).order_by(audit.c.sequence)
    return [_event(one) for one in tx.execute(statement, {"connection": connection_id}).mappings()]


def since(tx: Transaction, connection_id: str, instant: datetime) -> Iterator[AuditEvent]:
    """Yield the events from a time on, in order; what is older is not read.

    A clock that was put back may have dated an event before the one ahead of it; then some more, or fewer, are told.
    """
    low, high, at = 0, head(tx, connection_id).sequence, to_microseconds(instant)
    while low < high:  # the last event that is older has a sequence from low to high
        middle = (low + high + 1) // 2
        found = tx.execute(_AT, {"connection": connection_id, "sequence": middle}).scalar_one_or_none()
        older = found is not None and found < at
        low, high = (middle, high) if older else (low, middle - 1)
    return export(tx, connection_id, low)


def sign(tx: Transaction, connection_id: str, key: Ed25519PrivateKey, *, every: timedelta, now: datetime) -> bool:
    """Append a signed head, if the last one is older than that; tell whether it was.

    It is signed whether there was anything new or not: so that what was cut off shows by the time of the last one.
    """
    previous = _lock_head(tx, connection_id)
    last = latest(tx, connection_id, resource_id=HEAD, limit=1)
    if previous.sequence == 0 or (last and timedelta() <= now - last[0].at < every):
        return False
    event: dict[str, Any] = {"event": HEAD, "id": HEAD, "actor": "bridge", "connection": connection_id}
    event |= {"sequence": previous.sequence, "hash": previous.hash.hex()}
    append(tx, connection_id, signed(key, event | {"at": now.isoformat(timespec="microseconds")}), now=now)
    return True


def prune(tx: Transaction, connection_id: str, before: datetime, told: Mapping[str, str], *, now: datetime) -> int:
    """Delete the entries before a time, and append one that tells of it; return how many they were.

    :param told: What else the entry has: who acts.
    """
    _lock_head(tx, connection_id)
    key = {"connection": connection_id}
    young = select(func.min(audit.c.sequence)).where(_OF_CONNECTION, audit.c.at >= to_microseconds(before))
    first = tx.execute(young, key).scalar_one()
    last = head(tx, connection_id) if first is None else _head_at(tx, connection_id, first - 1)
    if last is None or last.sequence == 0:
        return 0
    gone = tx.execute(sql_delete(audit).where(_OF_CONNECTION, audit.c.sequence <= last.sequence), key).rowcount
    event = {"event": PRUNE, "id": PRUNE, "before": before.isoformat(), "entries": gone, "through": last.sequence}
    append(tx, connection_id, {**event, "hash": last.hash.hex(), **told}, now=now)
    return gone


def verify(tx: Transaction, connection_id: str) -> int | None:
    """Return the sequence of the first event that is missing, added or changed; ``None`` when the chain holds."""
    walk = Walk()
    for one in export(tx, connection_id):
        fault = walk.follow(Entry(one.sequence, one.at, one.previous_hash, one.hash, one.event))
        if fault is not None:
            return fault.sequence
        if one.event.get("id") != one.resource_id or one.event.get("request") != one.request_id:
            return one.sequence
    fault = walk.beginning()
    if fault is not None:
        return fault.sequence
    return None if walk.last == head(tx, connection_id) else walk.last.sequence + 1


def _head_at(tx: Transaction, connection_id: str, sequence: int) -> AuditHead | None:
    statement = select(audit.c.hash).where(_OF_CONNECTION, audit.c.sequence == bindparam("sequence"))
    found = tx.execute(statement, {"connection": connection_id, "sequence": sequence}).scalar_one_or_none()
    return None if found is None else AuditHead(sequence, found)


def _lock_head(tx: Transaction, connection_id: str) -> AuditHead:
    """Return the end of the trail and keep other transactions from appending until this one ends."""
    key = {"connection": connection_id}
    found = _HEAD_LOCKED.first(tx, key)
    if found is None:
        upsert(tx, audit_head).write(tx, {"connection_id": connection_id, "sequence": 0, "hash": START})
        (found,) = _HEAD_LOCKED.rows(tx, key)
    return AuditHead(found[0], found[1])


def _event(found: RowMapping) -> AuditEvent:
    return AuditEvent(
        found["sequence"],
        from_microseconds(found["at"]),
        json.loads(found["event"]),
        found["previous_hash"],
        found["hash"],
        found["resource_id"],
        found["request_id"],
    )
