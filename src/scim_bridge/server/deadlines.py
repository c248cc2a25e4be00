"""uvicorn's HTTP/1.1 protocol with deadlines for receiving, which uvicorn alone does not have.

Left alone, it keeps a connection that sends one byte now and then open for ever (slowloris).
"""

import asyncio
import json
from typing import Any, ClassVar, Literal

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from scim_bridge.server.answers import error_body

Phase = Literal["headers", "body", "idle"]


class DeadlineProtocol(H11Protocol):
    """Closes a connection whose request does not arrive in time. Dripping bytes buys no time."""

    seconds: ClassVar[dict[Phase, float]] = {"headers": 10.0, "body": 20.0}
    """How long each part of a request may take to arrive."""

    _phase: Phase = "idle"
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._enter("headers")

    def data_received(self, data: bytes) -> None:
        """Take bytes, and see what is still missing."""
        super().data_received(data)
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
        """Answer what is no HTTP, in SCIM's form (RFC 7644 §3.12)."""
        body = json.dumps(error_body(400, msg)).encode()
        headers = [
            (b"content-type", b"application/scim+json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        events: tuple[Any, ...] = (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
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
