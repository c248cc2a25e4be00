"""What is kept of each request for some days: what it asked for and how it ended, and the calls it caused upstream.

Never a body, a secret or the value of an attribute. Written in portions, apart from what clients wait for
(:class:`scim_bridge.server.request_log.RequestLog`).

Reads that went well are by far the most, and one is worth little: those of one portion with one token are one row.
"""

import json
import re
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, select, true
from sqlalchemy import insert as sql_insert
from sqlalchemy.engine import RowMapping

from scim_bridge.store.clock import from_microseconds, to_microseconds
from scim_bridge.store.prepared import Prepared
from scim_bridge.store.tables import TOLD_APART, audit, call, request
from scim_bridge.store.transaction import Transaction

PORTION = 500
"""How many requests one transaction writes, or rows it deletes, at most: nobody else waits for longer than that."""

READS = "reads"
"""The action of a row of several reads; ``told`` has them."""

_COLUMNS = [column.name for column in request.columns if column.name != "sequence"]
_CALL_COLUMNS = [column.name for column in call.columns if column.name != "sequence"]
_INSERT = Prepared(sql_insert(request), _COLUMNS)
_INSERT_CALL = Prepared(sql_insert(call), _CALL_COLUMNS)
_NEWEST = request.c.sequence.desc()
_READS = request.c.action == READS
_CALLS = select(call).where(call.c.request_id == bindparam("request")).order_by(call.c.sequence)


SLACK = 600.0
"""Seconds by which a row may tell of an earlier time than one that was written before it."""

OLDEST = 1_700_000_000
"""Seconds since 1970 before which no id of ours was made: a text that looks like one, and begins so, is a client's."""


def new_id(at: float) -> str:
    """Return an id for a request: 32 hexadecimal digits that begin with its time, so that it is found by it.

    :param at: Seconds since 1970.
    """
    return f"{int(at):08x}{secrets.token_hex(12)}"


def begun_at(request_id: str) -> float | None:
    """Return when a request with an id of ours was begun; ``None``: its client chose the id."""
    if not re.fullmatch(r"[0-9a-f]{32}", request_id):
        return None
    at = int(request_id[:8], 16)
    return at if OLDEST <= at <= time.time() + SLACK else None


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A request, as it is kept.

    :param id: What answers, log lines and the audit chain know it by; a client may have chosen it.
    :param action: ``read``, ``search``, ``create``, ``replace``, ``patch``, ``delete``, ``bulk``, or that of discovery.
    :param target: The id of the User or Group that it is about.
    :param seconds: What the answer took.
    :param token: The public id of the token, also of one that was refused.
    :param place: Where it is kept, for the page after it.
    :param told: What few requests have: ``filter`` (attribute names), ``quirks``, ``reason``, ``scimType``, ``refused``
        (why there was no valid token), ``trace`` (the id of the client's trace).
    """

    at: datetime
    connection_id: str
    id: str
    method: str
    action: str
    kind: str | None
    target: str | None
    status: int
    seconds: float
    token: str | None
    told: Mapping[str, Any] = field(default_factory=dict)
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class KeptCall:
    """One attempt of a call to the remote system.

    :param route: The path, without what stands in it.
    :param outcome: The status, or why there is none.
    :param seconds: From sending to the end of the answer; waiting for the rate limit is not part of it.
    """

    at: datetime
    request_id: str
    method: str
    route: str
    outcome: str
    seconds: float
    attempt: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which requests are asked for; all, unless something is given.

    :param target: The id of a User or Group: those that asked about it, or caused an entry of the audit chain about it.
    :param failed: Only those that were answered with an error.
    :param writes: Only those that are more than reads, and those that failed.
    :param token: The public id of a token.
    """

    since: datetime | None = None
    target: str | None = None
    status: int | None = None
    failed: bool = False
    writes: bool = False
    token: str | None = None


def write(
    tx: Transaction, requests: Sequence[KeptRequest], calls: Sequence[KeptCall], reads: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Keep requests and calls.

    :param reads: Rows of reads, as :func:`reads` returns them.
    """
    rows = [*reads, *(_values(one) for one in requests)]
    if rows:
        _INSERT.write_all(tx, rows)
    if calls:
        _INSERT_CALL.write_all(tx, [_call_values(one) for one in calls])


def reads(connection_id: str, token: str | None, those: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return the row of reads that went well, of one connection and with one token, in order.

    :param those: Of each the time in seconds since 1970, id, action, kind, target and seconds, and what few have.
    """
    return {
        "at": int(those[-1][0] * 1_000_000),
        "connection_id": connection_id,
        "request_id": "",
        "method": "GET",
        "action": READS,
        "kind": None,
        "target": None,
        "status": 200,
        "microseconds": 0,
        "token": token,
        "told": json.dumps(those, separators=(",", ":")),
    }


def _values(one: KeptRequest) -> dict[str, Any]:
    return {
        "at": to_microseconds(one.at),
        "connection_id": one.connection_id,
        "request_id": one.id,
        "method": one.method,
        "action": one.action,
        "kind": one.kind,
        "target": one.target,
        "status": one.status,
        "microseconds": int(one.seconds * 1_000_000),
        "token": one.token,
        "told": json.dumps(dict(one.told)) if one.told else None,
    }


def _call_values(one: KeptCall) -> dict[str, Any]:
    return {
        "at": to_microseconds(one.at),
        "request_id": one.request_id,
        "method": one.method,
        "route": one.route,
        "outcome": one.outcome,
        "microseconds": int(one.seconds * 1_000_000),
        "attempt": one.attempt,
    }


def forget(tx: Transaction, before: datetime) -> bool:
    """Delete one portion of what is older, the oldest first; tell whether there may be more.

    Rows are in the order of their writing: the first that is young enough ends the search.
    """
    more = False
    for table in (request, call):
        oldest = tx.execute(select(table.c.sequence, table.c.at).order_by(table.c.sequence).limit(PORTION)).all()
        old = [sequence for sequence, at in oldest if at < to_microseconds(before)]
        if old:
            tx.execute(delete(table).where(table.c.sequence <= old[-1], table.c.at < to_microseconds(before)))
        more = more or len(old) == PORTION
    return more


def newest(
    tx: Transaction, connection_id: str, chosen: Chosen, *, before: tuple[int, int] | None, limit: int
) -> list[KeptRequest]:
    """Return requests of a connection, those that were written last first.

    :param before: Those only that were written before the one with this place.
    """
    statement = select(request).where(request.c.connection_id == connection_id, *_conditions(connection_id, chosen))
    found: list[KeptRequest] = []
    last = None if before is None else before[0]
    while True:
        page = statement if last is None else statement.where(request.c.sequence <= last)
        rows = tx.execute(page.order_by(_NEWEST).limit(limit)).mappings().all()
        for row in rows:
            for one in reversed(_kept(row)):
                if (before is None or one.place < before) and (chosen.since is None or one.at >= chosen.since):
                    found.append(one)
                    if len(found) == limit:
                        return found
        if len(rows) < limit:
            return found
        last = rows[-1]["sequence"] - 1


def _conditions(connection_id: str, chosen: Chosen) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if chosen.since is not None:
        found.append(request.c.at >= to_microseconds(chosen.since))
    if chosen.status is not None:
        found.append(request.c.status == chosen.status)
    if chosen.failed:
        found.append(request.c.status >= 400)
    if chosen.writes or chosen.failed or (chosen.status or 0) >= 400:
        found.append(TOLD_APART)
    if chosen.token is not None:
        found.append(request.c.token == chosen.token)
    if chosen.target is not None:
        caused = select(audit.c.request_id).where(
            audit.c.connection_id == connection_id,
            audit.c.resource_id == chosen.target,
            audit.c.request_id.is_not(None),
        )
        asked = select(request.c.sequence).where(request.c.target == chosen.target, TOLD_APART)
        changed = select(request.c.sequence).where(request.c.request_id.in_(caused))
        found.append(request.c.sequence.in_(asked.union(changed)))
    return found


def of_id(tx: Transaction, request_id: str) -> list[KeptRequest]:
    """Return the requests with an id, the newest first: clients may have chosen the same one twice.

    A read that went well is looked for last: among those since the time that its id tells, or else among all of them.
    """
    found = tx.execute(select(request).where(request.c.request_id == request_id).order_by(_NEWEST)).mappings().all()
    if not found:
        told = request.c.told.contains(json.dumps(request_id), autoescape=True)
        since = _last_before(tx, begun_at(request_id))
        found = tx.execute(select(request).where(_READS, since, told).order_by(_NEWEST)).mappings().all()
    return [one for row in found for one in reversed(_kept(row)) if one.id == request_id]


def _last_before(tx: Transaction, at: float | None) -> ColumnElement[bool]:
    """Return the condition of the rows that were written since a time: they are in the order of their writing."""
    if at is None:
        return true()
    older = request.c.at < int((at - SLACK) * 1_000_000)
    last = tx.execute(select(request.c.sequence).where(older).order_by(_NEWEST).limit(1)).scalar()
    return request.c.sequence > (last or 0)


def calls_of(tx: Transaction, request_id: str) -> list[KeptCall]:
    """Return the calls that a request caused, in order."""
    found = tx.execute(_CALLS, {"request": request_id}).mappings()
    return [
        KeptCall(
            from_microseconds(one["at"]),
            one["request_id"],
            one["method"],
            one["route"],
            one["outcome"],
            one["microseconds"] / 1_000_000,
            one["attempt"],
        )
        for one in found
    ]


def paths_of(tx: Transaction, connection_id: str, ids: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return by request the attribute paths that it changed, as the audit chain has them."""
    found = tx.execute(
        select(audit.c.request_id, audit.c.event)
        .where(audit.c.connection_id == connection_id, audit.c.request_id.in_(ids))
        .order_by(audit.c.sequence)
    )
    told: dict[str, dict[str, None]] = {}
    for id_, text in found:
        event = json.loads(text)
        if event.get("event") == "intent":
            told.setdefault(id_, {}).update(dict.fromkeys(event.get("paths", ())))
    return {id_: tuple(paths) for id_, paths in told.items()}


def _kept(row: RowMapping) -> list[KeptRequest]:
    """Return what is kept in a row, in order."""
    sequence, told = row["sequence"], json.loads(row["told"] or "{}")
    if row["action"] == READS:
        return [_read(row, (sequence, number), one) for number, one in enumerate(told)]
    return [
        KeptRequest(
            from_microseconds(row["at"]),
            row["connection_id"],
            row["request_id"],
            row["method"],
            row["action"],
            row["kind"],
            row["target"],
            row["status"],
            row["microseconds"] / 1_000_000,
            row["token"],
            told,
            (sequence, 0),
        )
    ]


def _read(row: RowMapping, place: tuple[int, int], one: Sequence[Any]) -> KeptRequest:
    at, id_, action, kind, target, seconds, *told = one
    instant = from_microseconds(int(at * 1_000_000))
    return KeptRequest(
        instant,
        row["connection_id"],
        id_,
        "GET",
        action,
        kind,
        target,
        200,
        seconds,
        row["token"],
        told[0] if told else {},
        place,
    )
