"""uvicorn's HTTP/1.1 protocol with what it does not have: deadlines, strict framing, and limits of connections.

Left alone, it keeps a connection that sends one byte now and then open for ever (slowloris), and one that never reads
its answers; it takes a head of any size; and its answer to a crowd is no SCIM error.
"""

import asyncio
import json
import sys
import time
from collections.abc import Collection
from http import HTTPStatus
from typing import ClassVar, Literal, cast
from uuid import uuid4

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from scim_bridge.server.answers import error_answer, error_body
from scim_bridge.server.framing import RefusedError, check_head
from scim_bridge.server.requests import HEAD_TOO_LARGE, HEADER_BYTES

Phase = Literal["headers", "body", "idle", "rest"]
Timed = Literal["headers", "body", "rest", "drain"]

SPARE = 64
"""How many connections more than are served are taken, to tell their clients to come again."""

BUSY_SECONDS = 5

_OF_UPGRADES = frozenset({b"connection", b"upgrade", b"http2-settings"})


class DeadlineProtocol(HttpToolsProtocol):
    """Closes a connection whose request does not arrive, or whose answer is not read, in time.

    Dripping bytes buys no time. Where there are too many connections, the one that has been idle longest is closed;
    when none is, the new one is told to come again.
    """

    seconds: ClassVar[dict[Timed, float]] = {"headers": 10.0, "body": 20.0, "rest": 5.0, "drain": 30.0}
    """How long each part of a request may take to arrive, for how long the rest of a refused one is thrown away, and
    within which time a client must have taken what was written for it."""

    most: ClassVar[int] = 2_000
    """How many connections are served."""

    most_of_one: ClassVar[int] = 200
    """How many of one address, unless it is a proxy's."""

    proxies: ClassVar[frozenset[str]] = frozenset()
    """The addresses of proxies: many clients stand behind each."""

    _phase: Phase = "idle"
    _part: Phase = "idle"
    _deadline: asyncio.TimerHandle | None = None
    _draining: asyncio.TimerHandle | None = None
    _is_refused: bool = False
    _fault: tuple[int, str] | None = None
    _head: int = 0
    _data: bytes = b""
    idle_since: float = 0.0

    # -- What comes in -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # of TCP only
        """Begin to wait for the first request, if there is room for it."""
        super().connection_made(transport)
        self.idle_since = time.monotonic()  # uvloop counts milliseconds only
        self._enter("headers")
        self._find_room()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and see what is still missing."""
        if self._is_refused:
            return
        if self._part == "idle":
            self._part, self._head = "headers", 0
        if self._part == "headers":
            self._head += len(data)
        self._data = data
        super().data_received(data)
        self._data = b""
        if self._is_refused:
            return
        if self._part == "headers" and self._head > HEADER_BYTES:
            self._fault = (431, HEAD_TOO_LARGE)
            self.send_400_response("")
        elif self._phase != self._part:
            self._enter(self._part)

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        if self._part != "headers":
            self._part, self._head = "headers", 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Refuse a head that is not in order, else have the request answered."""
        self._part = "body"
        try:
            check_head(self.parser.get_http_version(), self.url, self.headers, waiting=len(self.pipeline))
        except RefusedError as refusal:
            self._fault = (refusal.status, refusal.detail)
            raise  # through the parser, which stops
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that a request is here as a whole."""
        self._part = "idle"
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection."""
        self._enter("idle")
        if self._draining is not None:
            self._draining.cancel()
            self._draining = None
        super().connection_lost(exc)

    # -- What goes out -------------------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """End an exchange; the time between two is uvicorn's keep-alive."""
        if self._is_refused and not self.pipeline:  # what came after this request was not in order
            self._refuse()
            return
        super().on_response_complete()
        self.idle_since = time.monotonic()  # uvloop counts milliseconds only
        if self.transport.is_closing():
            self._await_reader()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read as fast as it is answered."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """Stop waiting: it has read."""
        super().resume_writing()
        if self._draining is not None and not self.transport.is_closing():
            self._draining.cancel()
            self._draining = None

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that asks nothing more."""
        super().timeout_keep_alive_handler()
        self._await_reader()

    def _await_reader(self) -> None:
        """Give the client a time to take what is written; a transport that is closed waits for ever otherwise."""
        if self._draining is None:
            self._draining = self.loop.call_later(self.seconds.get("drain", 30.0), self.transport.abort)

    # -- Refusals ------------------------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or not in order, in SCIM's form (RFC 7644 §3.12), after what was asked before it."""
        self._is_refused = True
        self._fault = self._fault or (400, msg)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self.pipeline or not cycle.more_body or cycle.response_started:
                return
            cycle.disconnected = True  # it is its own body that is not in order
            cycle.message_event.set()
        self._refuse()

    def _refuse(self) -> None:
        status, detail = self._fault or (400, "")
        body = json.dumps(error_body(status, detail)).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/scim+json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self._end_politely()

    def _end_politely(self) -> None:
        """End the connection so that the client sees the answer: to close it on unread bytes would be a reset."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._enter("rest")
        else:
            self.transport.close()

    # -- Upgrades ------------------------------------------------------------------------------------------------------

    def _should_upgrade(self) -> bool:
        """Tell uvicorn that it need not answer what it could not read the body of; see below."""
        return True

    def handle_websocket_upgrade(self) -> None:
        """Read a request that would rather speak something else as if it did not say so (RFC 9110 §7.8).

        llhttp takes whatever follows such a head for the other protocol. Java's client and curl ask for HTTP/2 so.
        """
        read = getattr(sys.exception(), "args", (len(self._data),))[0]
        fields = [b"%s: %s\r\n" % field for field in self.headers if field[0] not in _OF_UPGRADES]
        head = b"%s %s HTTP/1.1\r\n%s\r\n" % (self.parser.get_method(), self.url, b"".join(fields))
        self.parser = httptools.HttpRequestParser(self)
        super().data_received(head + self._data[read:])

    # -- Crowds --------------------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way on this connection."""
        cycle = self.cycle
        return self._part == "idle" and (cycle is None or cycle.response_complete)

    def _find_room(self) -> None:
        address = (self.client or ("",))[0]
        crowded: Collection[DeadlineProtocol] = ()
        everybody = cast("set[DeadlineProtocol]", self.connections)
        if len(everybody) > self.most:
            crowded = everybody
        elif address not in self.proxies and len(everybody) > self.most_of_one:
            same = [other for other in everybody if (other.client or ("",))[0] == address]
            crowded = same if len(same) > self.most_of_one else ()
        if not crowded:
            return
        idle = [other for other in crowded if other is not self and other.is_idle]
        if idle:
            min(idle, key=lambda other: other.idle_since).transport.abort()
        elif len(everybody) > self.most + SPARE:
            self.transport.abort()
        else:
            self.app = busy

    # -- Deadlines -----------------------------------------------------------------------------------------------------

    def _enter(self, phase: Phase) -> None:
        """Arm the timer of a phase that begins; one that goes on keeps the timer it has."""
        if phase == self._phase:
            return
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._phase = phase
        seconds = None if phase == "idle" else self.seconds.get(phase)
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self.transport.abort)


async def busy(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer that there are too many connections (RFC 6585 §4): Okta and Entra come again."""
    del scope, receive
    headers = {"Retry-After": str(BUSY_SECONDS), "Connection": "close"}
    await error_answer(429, "The bridge has too many connections; not accepted, retry", headers=headers).send(
        send, uuid4().hex
    )
