"""The audit chain: its last entries, all of it as lines, and whether it holds."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from scim_bridge.store import audit
from scim_bridge.store.transaction import Transaction
from scim_bridge.views import Page, Position

PAGE = 500


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry.

    :param event: ``intent``, ``outcome``, ``drift``, ``guard``, ``token``, ``export``, ``observing``, ``sign-in``,
        ``remote``, ``configuration`` (a start), ``head`` (signed), ``prune``.
    :param what: The operation, decision or drift.
    :param by: Who acted.
    :param reason: Why, in an operator's words.
    :param request: The id of the request that caused it, as in the log.
    :param about: The id of the User, Group or token.
    """

    connection: str
    sequence: int
    at: datetime
    event: str
    what: str
    outcome: str | None
    error: str | None
    by: str | None
    reason: str | None
    request: str | None
    about: str | None
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What recomputing every hash came to.

    :param broken: The first entry that does not fit; ``None``: the chain holds.
    :param sequence: The number of the last entry.
    :param head: Its hash: kept elsewhere, it shows a cut-off end.
    """

    connection: str
    broken: int | None
    sequence: int
    head: str


def entries(
    tx: Transaction, connection_id: str, after: Position | None, *, about: str | None = None, limit: int | None = None
) -> Page[AuditRow]:
    """Return a page of entries, the last one first.

    :param about: Only the last of those about this User or Group.
    """
    limit = limit or PAGE
    if about is not None:
        found = audit.latest(tx, connection_id, resource_id=about, limit=PAGE)
        begin = 0 if after is None else int(after[0])
        end = begin + limit
        return Page(tuple(_row(connection_id, one) for one in found[begin:end]), (end,) if end < len(found) else None)
    last = audit.head(tx, connection_id).sequence if after is None else int(after[0])
    first = max(0, last - limit)
    some = list(islice(audit.export(tx, connection_id, first), last - first))
    return Page(tuple(_row(connection_id, one) for one in reversed(some)), (first,) if first else None)


def verdict(tx: Transaction, connection_id: str) -> Verdict:
    """Recompute every hash of a chain."""
    broken, head = audit.verify(tx, connection_id), audit.head(tx, connection_id)
    return Verdict(connection_id, broken, head.sequence, head.hash.hex())


def lines(tx: Transaction, connection_id: str, after: int = 0) -> Iterator[str]:
    """Yield the entries after a sequence number, each as one JSON object; valid inside the transaction only."""
    for one in audit.export(tx, connection_id, after):
        hashes = {"previous_hash": one.previous_hash.hex(), "hash": one.hash.hex()}
        line = {"sequence": one.sequence, "at": one.at.isoformat(), **hashes, "event": one.event}
        yield json.dumps(line, sort_keys=True)


def _row(connection_id: str, one: audit.AuditEvent) -> AuditRow:
    event = one.event
    what = event.get("operation") or event.get("decision") or event.get("drift") or ""
    return AuditRow(
        connection_id,
        one.sequence,
        one.at,
        str(event.get("event")),
        ", ".join(what) if isinstance(what, list) else str(what),
        event.get("outcome"),
        event.get("error"),
        event.get("actor"),
        event.get("reason"),
        event.get("request"),
        one.resource_id or event.get("token"),
        one.hash.hex(),
    )
