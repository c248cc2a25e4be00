"""One JSON line per request: what was asked, how it ended, how long it took. No query, no personal data, no secret."""

import json
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
    line = {
        "event": "request",
        "request_id": entry.request_id,
        "connection": entry.connection,
        "method": entry.method,
        "operation": entry.operation,
        "endpoint": entry.endpoint,
        "status": status,
        "milliseconds": round(seconds * 1000, 2),
        "token": entry.token,
        "error": entry.error,
    }
    text = json.dumps({name: value for name, value in line.items() if value is not None})
    # Not info(), which walks the stack for the place of the call: it is always this one.
    logger.handle(logger.makeRecord(NAME, logging.INFO, __file__, 0, text, (), None))
