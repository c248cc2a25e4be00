"""Boundaries at which a process can be made to die, put around the product from outside.

Database: before and after every statement and every COMMIT – the one after COMMIT lies before those who wait for it are
woken. Network: before a request is sent, once it is sent whole, after the head and after the whole of the answer.
Client: before a request is served, around each part of the answer.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx2
from sqlalchemy import Engine, event
from sqlalchemy.engine.default import DefaultDialect

from scim_bridge.store.prepared import Prepared

TRACED = {
    "http11.send_request_headers.started": "before sending",
    "http11.send_request_body.complete": "after sending",
    "http11.receive_response_headers.complete": "after the head of the answer",
    "http11.receive_response_body.complete": "after the answer",
}
"""What httpcore2 tells of a request, and what it is called here."""


class Failpoints:
    """Counts the boundaries a process reaches, and ends it at one.

    :param phase: Put in front of the names of boundaries in the database.
    :param target: The boundary to die at, and how often it is reached before.
    """

    def __init__(self) -> None:
        self.phase = ""
        self.hits: Counter[str] = Counter()
        self.target: tuple[str, int] | None = None

    def reach(self, name: str) -> None:
        """Count a boundary; SIGKILL this process when it is the one."""
        self.hits[name] += 1
        if self.target == (name, self.hits[name]):
            os.kill(os.getpid(), signal.SIGKILL)

    def in_database(self, name: str) -> None:
        """Count a boundary in the database."""
        self.reach(self.phase + name)


POINTS = Failpoints()
"""Those of this process."""


def install() -> None:
    """Put the boundaries around SQLAlchemy, and what goes past it, for every engine of this process."""

    @event.listens_for(Engine, "before_cursor_execute")
    def before(*_: Any) -> None:
        POINTS.in_database("before a statement")

    @event.listens_for(Engine, "after_cursor_execute")
    def after(*_: Any) -> None:
        POINTS.in_database("after a statement")

    run, run_all = Prepared.run, Prepared.run_all

    def one(self: Prepared, *arguments: Any) -> Any:
        POINTS.in_database("before a statement")
        found = run(self, *arguments)
        POINTS.in_database("after a statement")
        return found

    def each(self: Prepared, *arguments: Any) -> None:
        POINTS.in_database("before a statement")
        run_all(self, *arguments)
        POINTS.in_database("after a statement")

    setattr(Prepared, "run", one)  # noqa: B010 - mypy would object to an assignment
    setattr(Prepared, "run_all", each)  # noqa: B010 - mypy would object to an assignment
    commit: Callable[[Any, Any], None] = DefaultDialect.do_commit

    def do_commit(self: DefaultDialect, connection: Any) -> None:
        POINTS.in_database("before COMMIT")
        commit(self, connection)
        POINTS.in_database("after COMMIT")

    DefaultDialect.do_commit = do_commit  # type: ignore[method-assign] # a boundary


class WatchedTransport(httpx2.AsyncHTTPTransport):
    """The network, with boundaries."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request whose progress is watched."""

        async def trace(name: str, _info: Any) -> None:
            if name in TRACED:
                POINTS.reach(TRACED[name])

        request.extensions = {**request.extensions, "trace": trace}
        return await super().handle_async_request(request)
