"""What is logged, and how: one JSON object a line, without secrets or personal data."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

from scim_bridge.server.access_log import NAME as ACCESS
from scim_bridge.upstream import correlation_id


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object; a message that is one already, as of the access log, is taken over.

    What a call to the remote system adds (``upstream.transports.TraceLayer``) is part of the line, and
    so is the id of the request that caused it.

    Of an exception its class and its place are told, never its message: that may hold what a client sent.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        message = record.getMessage()
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        if record.name == ACCESS:  # there is one for each request; it is an object of its own, and complete
            return f'{{"time": "{time}", "level": "{record.levelname}", "logger": "{ACCESS}", {message[1:]}'
        line: dict[str, object] = {"time": time, "level": record.levelname, "logger": record.name}
        if message.startswith("{"):
            line |= json.loads(message)
        else:
            line["message"] = message
        line |= getattr(record, "upstream", {})
        if (request := correlation_id.get()) is not None:
            line.setdefault("request_id", request)
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["at"] = traceback.format_tb(record.exc_info[2])[-3:]
        return json.dumps(line)


def configure_logging(level: str) -> None:
    """Log to standard output; libraries only what is a warning."""
    # No line tells of threads and processes; to find them out takes half the time of a record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("alembic", "httpcore2", "httpx2", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
