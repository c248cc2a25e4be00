"""The networks of a simulation: from identity providers to the bridge, and from the bridge to the remote system.

Requests take time each way. Whatever is on its way when the bridge dies is lost, or arrives nevertheless.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, Protocol

import httpx2

from scim_bridge.models import Lane
from scim_bridge.upstream.lanes import lane
from tests.faults.simulation.loop import PROCESS, Mortal
from tests.faults.simulation.process import Process
from tests.faults.simulation.weather import EPOCH, Weather

LATE_ARRIVAL = 0.5
"""Seconds within which a request that a dead bridge had sent still arrives."""


@dataclass(slots=True)
class Inbound:
    """One request to the bridge.

    :param client: Who sent it.
    :param status: What came back; ``None`` until it does, or when nothing did.
    """

    client: str
    method: str
    path: str
    body: bytes
    sent_at: float
    arrived_at: float | None = None
    answered_at: float | None = None
    status: int | None = None
    retry_after: str | None = None
    answer: bytes = b""


@dataclass(slots=True)
class Outbound:
    """One call of the bridge to the remote system.

    :param lane: What it was for.
    :param left_at: When it left the bridge.
    :param returned_at: When the bridge had the answer, or the failure.
    :param refused: Whether no connection was made.
    """

    process: Mortal
    request: httpx2.Request
    lane: Lane
    left_at: float
    returned_at: float | None = None
    response: httpx2.Response | None = None
    refused: bool = False


class CallListener(Protocol):
    """What watches the network to the remote system."""

    def departed(self, call: Outbound) -> None:
        """Note that a call has left the bridge."""

    def returned(self, call: Outbound) -> None:
        """Note that the bridge has the outcome of a call."""


class RequestListener(Protocol):
    """What watches the network of clients."""

    def asked(self, exchange: Inbound) -> None:
        """Note that a client sends a request."""

    def arrived(self, exchange: Inbound) -> None:
        """Note that a request, or a copy of one, reaches the bridge."""

    def answered(self, exchange: Inbound) -> None:
        """Note that the bridge answered a request, or a copy of one."""

    def heard(self, exchange: Inbound) -> None:
        """Note that the client has the answer."""


class BridgeTransport(httpx2.AsyncBaseTransport):
    """Reaches the bridge that runs at the moment, as a client's network does.

    :param client: The name of the client.
    :param find: Returns the bridge, or ``None`` while there is none.
    """

    def __init__(
        self, client: str, find: Callable[[], Process | None], weather: Weather, listener: RequestListener
    ) -> None:
        self._client = client
        self._find = find
        self._weather = weather
        self._listener = listener

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return what comes back."""
        weather = self._weather
        body = await request.aread()
        now = asyncio.get_running_loop().time
        exchange = Inbound(self._client, request.method, request.url.raw_path.decode(), body, now())
        self._listener.asked(exchange)
        await asyncio.sleep(weather.delay())
        process = self._find()
        if process is None or process.application is None:
            weather.fired["bridge down"] += 1
            raise httpx2.ConnectError("connection refused", request=request)
        if weather.strikes("request lost"):
            raise httpx2.ReadError("connection reset by peer", request=request)
        copies = 2 if request.method != "GET" and weather.strikes("request duplicated") else 1
        answers = await asyncio.gather(*(self._exchange(process, request, replace(exchange)) for _ in range(copies)))
        if weather.strikes("answer lost"):
            raise httpx2.ReadError("connection reset by peer", request=request)
        exchange.status = answers[0].status_code  # of two copies, the client hears of the first
        self._listener.heard(exchange)
        await asyncio.sleep(weather.delay())
        return answers[0]

    async def _exchange(self, process: Process, request: httpx2.Request, exchange: Inbound) -> httpx2.Response:
        """Let the bridge answer one copy of a request."""
        loop = asyncio.get_running_loop()
        application = process.application
        if application is None:
            raise httpx2.ConnectError("connection refused", request=request)
        wire = _Wire(request, exchange.body, loop.create_future())
        process.connections[wire.answer] = None
        exchange.arrived_at = loop.time()
        self._listener.arrived(exchange)
        task = loop.create_task(application(wire.scope(), wire.receive, wire.send), context=process.context.copy())
        wire.task = task
        impatient = self._weather.strikes("client gives up")
        try:
            if impatient:
                await asyncio.wait({wire.answer}, timeout=self._weather.random.random() ** 2 * 2)
                if not wire.answer.done():
                    wire.hang_up(cancel=self._weather.random.random() < 0.5)
                    raise httpx2.ReadTimeout("the client gave up", request=request)
            response = await wire.answer
        except asyncio.CancelledError:
            wire.hang_up(cancel=False)
            raise
        finally:
            process.connections.pop(wire.answer, None)
        exchange.answered_at = loop.time()
        exchange.status = response.status_code
        exchange.retry_after = response.headers.get("retry-after")
        exchange.answer = response.content
        self._listener.answered(exchange)
        return response


@dataclass(slots=True)
class _Wire:
    """One connection of a client, as ASGI has it."""

    request: httpx2.Request
    body: bytes
    answer: "asyncio.Future[httpx2.Response]"
    task: "asyncio.Task[Any] | None" = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    received: bool = False
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)

    def scope(self) -> dict[str, Any]:
        url = self.request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.request.method,
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in self.request.headers.raw],
            "client": ("192.0.2.1", 50000),
            "server": ("bridge.test", 80),
        }

    async def receive(self) -> dict[str, Any]:
        if not self.received:
            self.received = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
            return
        self.content += message.get("body", b"")
        if not message.get("more_body", False) and not self.answer.done():
            content = bytes(self.content)
            response = httpx2.Response(self.status, headers=self.headers, content=content, request=self.request)
            self.answer.set_result(response)

    def hang_up(self, *, cancel: bool) -> None:
        """Let the client be gone; some ASGI servers cancel the application then."""
        self.gone.set()
        if cancel and self.task is not None:
            self.task.cancel()


class RemoteTransport(httpx2.AsyncBaseTransport):
    """Reaches the remote system, as the bridge's network does.

    :param inner: The remote system.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport, weather: Weather, listener: CallListener) -> None:
        self._inner = inner
        self._weather = weather
        self._listener = listener
        self._late: set[asyncio.Task[Any]] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a call and return what comes back."""
        loop = asyncio.get_running_loop()
        process = PROCESS.get()
        if process is None or process.ended:
            raise httpx2.ConnectError("the process has ended", request=request)
        call = Outbound(process, request, lane.get(), loop.time())
        self._listener.departed(call)
        try:
            await self._there(process, call)
            response = await self._inner.handle_async_request(request)
            await response.aread()
            await asyncio.sleep(self._weather.delay())
            response.headers["Date"] = format_datetime(EPOCH + timedelta(seconds=loop.time()), usegmt=True)
            call.response = response
        finally:
            call.returned_at = loop.time()
            self._listener.returned(call)
        return call.response

    async def _there(self, process: Mortal, call: Outbound) -> None:
        """Take the way to the remote system; a process that dies meanwhile may have sent the request already."""
        weather, loop = self._weather, asyncio.get_running_loop()
        if loop.time() < weather.unreachable_until or weather.strikes("connection refused"):
            weather.fired["remote unreachable"] += loop.time() < weather.unreachable_until
            await asyncio.sleep(weather.delay())
            call.refused = True
            raise httpx2.ConnectError("connection refused", request=call.request)
        if weather.random.random() < 0.5:
            await asyncio.sleep(weather.delay())
            return
        sent = lambda: self._arrive_late(call)  # noqa: E731 - registered and unregistered by identity
        process.at_death.append(sent)
        try:
            await asyncio.sleep(weather.delay())
        finally:
            if not process.ended:
                process.at_death.remove(sent)

    def _arrive_late(self, call: Outbound) -> None:
        """Deliver what the dead process had sent."""
        self._weather.fired["request outlives the bridge"] += 1
        task = asyncio.get_running_loop().create_task(self._deliver_late(call), context=copy_context())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _deliver_late(self, call: Outbound) -> None:
        await asyncio.sleep(self._weather.random.random() * LATE_ARRIVAL)
        with suppress(httpx2.TransportError):  # nobody is there any more to hear of it
            await self._inner.handle_async_request(call.request)
