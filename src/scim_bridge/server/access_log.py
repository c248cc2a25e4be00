"""One JSON line per request: what was asked, how it ended, how long it took. No query, no personal data, no secret."""

import logging
from dataclasses import dataclass

NAME = "scim_bridge.access"
logger = logging.getLogger(NAME)


@dataclass(slots=True)
class Entry:
    """What the log tells of a request.

    :param operation: The SCIM operation, or ``unknown`` when the request was not routed.
    :param token: The public id of the token.
    :param error: The class of an unexpected error.
    """

    request_id: str
    method: str
    connection: str | None = None
    operation: str = "unknown"
    endpoint: str | None = None
    token: str | None = None
    error: str | None = None


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
    )
