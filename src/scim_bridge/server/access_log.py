"""One JSON line per request: what was asked, how it ended, how long it took. No query, no personal data, no secret."""

import logging
import re
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import time

from scim_bridge.store.request_log import new_id

NAME = "scim_bridge.access"
logger = logging.getLogger(NAME)


_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")
"""The form of a request id that is taken from a client: nothing to be escaped, no address, no token."""

_TRACE = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
"""``traceparent`` (W3C Trace Context, §3.2), of this version and later ones."""


@dataclass(slots=True)
class Entry:
    """What is told of a request, in the log and to the operator. No value of an attribute, no secret.

    :param operation: The SCIM operation, or ``unknown`` when the request was not routed.
    :param token: The public id of the token.
    :param error: The class of an unexpected error.
    :param trace_id: The id of the client's trace (W3C Trace Context).
    :param caller: The id of the client's span in it, and whether the client records that.
    :param target: The id of the resource that it is about.
    :param filter: The names of the attributes that a search compares.
    :param quirks: The quirks of the client that were met.
    :param reason: Why it failed, in our own words.
    :param refused: Why there was no valid token, when the token was one of ours once.
    :param operations: How many operations a Bulk request had, and how many of them failed.
    """

    request_id: str
    method: str
    connection: str | None = None
    operation: str = "unknown"
    endpoint: str | None = None
    token: str | None = None
    error: str | None = None
    trace_id: str | None = None
    caller: tuple[str, bool] | None = None
    target: str | None = None
    filter: tuple[str, ...] = ()
    quirks: set[str] = field(default_factory=set)
    reason: str | None = None
    scim_type: str | None = None
    refused: str | None = None
    operations: tuple[int, int] | None = None


current: ContextVar[Entry | None] = ContextVar("scim_bridge_request", default=None)
"""The request that is answered in this context, of those that go the long way."""


def begun(method: str, headers: Iterable[tuple[bytes, bytes]]) -> Entry:
    """Return the entry of a request: under the id that its client sent, if that is well-formed, else a new one."""
    id_ = trace = caller = None
    for name, value in headers:
        if name == b"x-request-id":
            id_ = value.decode() if id_ is None and _ID.fullmatch(value) else ""
        elif name == b"traceparent":
            found = _TRACE.fullmatch(value) if trace is None else None
            trace = found[1].decode() if found else ""
            caller = (found[2].decode(), bool(int(found[3], 16) & 1)) if found else None
    return Entry(id_ or new_id(time()), method, trace_id=trace or None, caller=caller)


def met(quirk: str) -> None:
    """Note a quirk of the request that is answered in this context."""
    entry = current.get()
    if entry is not None:
        entry.quirks.add(quirk)


def write(entry: Entry, status: int, seconds: float) -> None:
    """Write the line of a request."""
    if not logger.isEnabledFor(logging.INFO):
        return
    told = "".join([f', "{name}": "{value}"' for name, value in _named(entry) if value is not None])
    method = entry.method if entry.method.isalpha() else "unknown"
    text = (
        f'{{"event": "request", "request_id": "{entry.request_id}", "method": "{method}", '
        f'"operation": "{entry.operation}", "status": {status}, "milliseconds": {seconds * 1000:.2f}{told}}}'
    )
    # Not info(), which walks the stack for the place of the call: it is always this one.
    logger.handle(logger.makeRecord(NAME, logging.INFO, __file__, 0, text, (), None))


def _named(entry: Entry) -> tuple[tuple[str, str | None], ...]:
    """Return what not every line has; none of it needs to be escaped, as all of it is named by us."""
    return (
        ("connection", entry.connection),
        ("endpoint", entry.endpoint),
        ("token", entry.token),
        ("error", entry.error),
        ("trace_id", entry.trace_id),
    )
