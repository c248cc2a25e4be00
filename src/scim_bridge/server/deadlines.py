"""uvicorn's HTTP/1.1 protocol with deadlines for receiving, which uvicorn alone does not have.

Left alone, it keeps a connection that sends one byte now and then open for ever (slowloris).
"""

import asyncio
import json
import sys
from http import HTTPStatus
from typing import Any, ClassVar, Literal

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from scim_bridge.server.answers import error_body
from scim_bridge.server.requests import HEAD_TOO_LARGE

Phase = Literal["headers", "body", "idle", "rest"]


class DeadlineProtocol(H11Protocol):
    """Closes a connection whose request does not arrive in time. Dripping bytes buys no time."""

    seconds: ClassVar[dict[Phase, float]] = {"headers": 10.0, "body": 20.0, "rest": 5.0}
    """How long each part of a request may take to arrive, and for how long the rest of a refused one is thrown away."""

    _phase: Phase = "idle"
    _deadline: asyncio.TimerHandle | None = None
    _is_refused: bool = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._enter("headers")

    def data_received(self, data: bytes) -> None:
        """Take bytes, and see what is still missing."""
        if self._is_refused:
            return
        super().data_received(data)
        if not self._is_refused:
            self._enter(self._missing())

    def on_response_complete(self) -> None:
        """End an exchange; the time between two is uvicorn's keep-alive."""
        super().on_response_complete()
        self._enter(self._missing())

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection."""
        self._enter("idle")
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or has too long a head (RFC 6585 §5), in SCIM's form (RFC 7644 §3.12)."""
        status = getattr(sys.exception(), "error_status_hint", 400)
        body = json.dumps(error_body(status, HEAD_TOO_LARGE if status == 431 else msg)).encode()
        headers = [
            (b"content-type", b"application/scim+json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        events: tuple[Any, ...] = (
            h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase.encode()),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self._end_politely()

    def _end_politely(self) -> None:
        """End the connection so that the client sees the answer: to close it on unread bytes would be a reset."""
        self._is_refused = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._enter("rest")
        else:
            self.transport.close()

    def _missing(self) -> Phase:
        """Return which part of a request has begun and is not complete."""
        if self.conn.their_state is h11.SEND_BODY:
            return "body"
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            return "headers"
        return "idle"

    def _enter(self, phase: Phase) -> None:
        """Arm the timer of a phase that begins; one that goes on keeps the timer it has."""
        if phase == self._phase:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._phase = phase
        seconds = self.seconds.get(phase)
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)
