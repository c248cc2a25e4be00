"""What is kept of each request for some days: what it asked for and how it ended, and the calls it caused upstream.

Never a body, a secret or the value of an attribute. Written in portions, apart from what clients wait for
(:class:`scim_bridge.server.request_log.RequestLog`).
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, or_, select
from sqlalchemy import insert as sql_insert
from sqlalchemy.engine import Connection, RowMapping

from scim_bridge.store.clock import from_microseconds, to_microseconds
from scim_bridge.store.prepared import Prepared
from scim_bridge.store.tables import TOLD_APART, audit, call, request

PORTION = 500
"""How many rows one transaction writes or deletes at most: nobody else waits for longer than that takes."""

_COLUMNS = [column.name for column in request.columns if column.name != "sequence"]
_CALL_COLUMNS = [column.name for column in call.columns if column.name != "sequence"]
_INSERT = Prepared(sql_insert(request), _COLUMNS)
_INSERT_CALL = Prepared(sql_insert(call), _CALL_COLUMNS)
_NEWEST = request.c.sequence.desc()
_CALLS = select(call).where(call.c.request_id == bindparam("request")).order_by(call.c.sequence)


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A request, as it is kept.

    :param id: What answers, log lines and the audit chain know it by; a client may have chosen it.
    :param action: ``read``, ``search``, ``create``, ``replace``, ``patch``, ``delete``, ``bulk``, or that of discovery.
    :param target: The id of the User or Group that it is about.
    :param seconds: What the answer took.
    :param token: The public id of the token, also of one that was refused.
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
    sequence: int = 0


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


def write(tx: Connection, requests: Sequence[KeptRequest], calls: Sequence[KeptCall]) -> None:
    """Keep requests and calls."""
    if requests:
        _INSERT.write_all(tx, [_values(one) for one in requests])
    if calls:
        _INSERT_CALL.write_all(tx, [_call_values(one) for one in calls])


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


def forget(tx: Connection, before: datetime) -> bool:
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


def newest(tx: Connection, connection_id: str, chosen: Chosen, *, before: int | None, limit: int) -> list[KeptRequest]:
    """Return requests of a connection, the newest first.

    :param before: Those that were written before the one with this sequence only.
    """
    statement = select(request).where(request.c.connection_id == connection_id, *_conditions(connection_id, chosen))
    if before is not None:
        statement = statement.where(request.c.sequence < before)
    return [_kept(one) for one in tx.execute(statement.order_by(_NEWEST).limit(limit)).mappings()]


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
        found.append(or_(and_(request.c.target == chosen.target, TOLD_APART), request.c.request_id.in_(caused)))
    return found


def of_id(tx: Connection, request_id: str) -> list[KeptRequest]:
    """Return the requests with an id, the newest first: clients may have chosen the same one twice."""
    found = tx.execute(select(request).where(request.c.request_id == request_id).order_by(_NEWEST))
    return [_kept(one) for one in found.mappings()]


def calls_of(tx: Connection, request_id: str) -> list[KeptCall]:
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


def paths_of(tx: Connection, connection_id: str, ids: Collection[str]) -> dict[str, tuple[str, ...]]:
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


def _kept(one: RowMapping) -> KeptRequest:
    return KeptRequest(
        from_microseconds(one["at"]),
        one["connection_id"],
        one["request_id"],
        one["method"],
        one["action"],
        one["kind"],
        one["target"],
        one["status"],
        one["microseconds"] / 1_000_000,
        one["token"],
        json.loads(one["told"] or "{}"),
        one["sequence"],
    )
