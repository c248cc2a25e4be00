"""A TCP proxy before a remote system that strikes single exchanges, in toxiproxy's words and with HTTP's own failures.

It knows just enough of HTTP/1.1 to tell one exchange from the next: bodies have a ``Content-Length``. A fault strikes
*before* the remote system has seen the request whole, or *after* it has acted on it::

    async with FaultProxy(host, port) as proxy:
        proxy.arm(Fault("reset_peer", after=True), nth=2)
        ...
        assert proxy.fired["reset_peer after"] == 1
"""

import asyncio
import re
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self, get_args

FaultKind = Literal[
    "latency",
    "bandwidth",
    "slow_close",
    "timeout",
    "reset_peer",
    "slicer",
    "limit_data",
    "too_many_requests",
    "server_error",
    "half_body",
    "wrong_length",
    "garbage",
    "duplicate",
]
"""What can go wrong:

``latency`` all of it late · ``bandwidth`` a few bytes at a time, slowly · ``slow_close`` silence, then the end ·
``timeout`` silence without end · ``reset_peer`` RST · ``slicer`` a few bytes at a time · ``limit_data`` the first
bytes, then the end · ``too_many_requests`` 429 · ``server_error`` 502 · ``half_body`` the head and half of the body ·
``wrong_length`` a ``Content-Length`` that is too short · ``garbage`` 200 and broken JSON · ``duplicate`` the request
(before) or the answer (after) twice.
"""

KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

CLOSING_SECONDS = 1.0
"""How long a client may take to read what it was sent before its connection is forgotten."""

SLICE = 16
"""Bytes of a slice."""

CUT_AT_ONCE = struct.pack("ii", 1, 0)
"""``SO_LINGER`` with no time to linger: closing sends RST instead of FIN."""

MADE_UP = b'{"id": "0", "email": "nobody@nowhere.example", "results": []}'
"""The body of an answer that the remote system never gave."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What strikes an exchange.

    :param after: Whether the remote system has acted on the request by then.
    :param seconds: How long ``latency``, ``bandwidth`` and ``slow_close`` take.
    """

    kind: FaultKind
    after: bool
    seconds: float = 0.1

    @property
    def name(self) -> str:
        """What it is counted by."""
        return f"{self.kind} {'after' if self.after else 'before'}"


class _EndedError(Exception):
    """The connection to the client is over."""


@dataclass
class _Exchange:
    """One request of a client and what becomes of it."""

    request: bytes
    reader: asyncio.StreamReader
    client: asyncio.StreamWriter
    remote: Callable[[bytes, "_Pace | None"], Awaitable[bytes]]

    async def answered(self, *, pace: "_Pace | None" = None) -> bytes:
        """Let the remote system act and return its answer."""
        return await self.remote(self.request, pace)

    async def tell(self, content: bytes, pace: "_Pace | None" = None) -> None:
        """Send something to the client."""
        await send(self.client, content, pace)

    def end(self, *, reset: bool = False) -> None:
        """End the connection."""
        if reset:
            plain: socket.socket = self.client.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CUT_AT_ONCE)
            self.client.transport.abort()
        else:
            self.client.close()
        raise _EndedError


@dataclass(frozen=True, slots=True)
class _Pace:
    """How fast bytes go. :param seconds: What the whole takes."""

    seconds: float


async def send(writer: asyncio.StreamWriter, content: bytes, pace: _Pace | None = None) -> None:
    """Write bytes, in slices when there is a pace."""
    if pace is None:
        writer.write(content)
        await writer.drain()
        return
    slices = [content[start : start + SLICE] for start in range(0, len(content), SLICE)]
    for piece in slices:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pace.seconds / len(slices))


def is_whole(content: bytes) -> bool:
    """Tell whether this is all of a request or an answer."""
    head, end, body = content.partition(b"\r\n\r\n")
    return bool(end) and len(body) == length_of(head)


def length_of(head: bytes) -> int:
    """Return how long the body after a head is."""
    told = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return int(told[1]) if told else 0


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """Return a whole request or answer; empty at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        return head + await reader.readexactly(length_of(head))
    except asyncio.IncompleteReadError:
        return b""


def message(status: str, body: bytes, *, length: int | None = None, headers: str = "") -> bytes:
    """Return an answer. :param length: What its ``Content-Length`` says; by default the truth."""
    length = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n"
    return head.encode() + body


def with_length(answer: bytes, change: Callable[[int], int]) -> bytes:
    """Return an answer with another ``Content-Length``."""
    head, _, body = answer.partition(b"\r\n\r\n")
    told = str(change(len(body))).encode()
    return re.sub(rb"(?i)(\r\ncontent-length: *)\d+", rb"\g<1>" + told, head) + b"\r\n\r\n" + body


async def _late(fault: Fault, exchange: _Exchange) -> None:
    pace = _Pace(fault.seconds if fault.kind == "bandwidth" else 0.0)
    if fault.kind == "latency":
        if not fault.after:
            await asyncio.sleep(fault.seconds)
        answer = await exchange.answered()
        if fault.after:
            await asyncio.sleep(fault.seconds)
        await exchange.tell(answer)
    elif fault.after:
        await exchange.tell(await exchange.answered(), pace)
    else:
        await exchange.tell(await exchange.answered(pace=pace))


async def _silent(fault: Fault, exchange: _Exchange) -> None:
    if fault.after:
        await exchange.answered()
    if fault.kind == "timeout":
        await exchange.reader.read()  # until the client gives up
    elif fault.kind == "slow_close":
        await asyncio.sleep(fault.seconds)
    exchange.end(reset=fault.kind == "reset_peer")


async def _limited(fault: Fault, exchange: _Exchange) -> None:
    if fault.after:
        await exchange.tell((await exchange.answered())[:SLICE])
    else:
        await exchange.remote(exchange.request[: len(exchange.request) // 2], None)
    exchange.end()


async def _refused(fault: Fault, exchange: _Exchange) -> None:
    if fault.after:
        await exchange.answered()
    status = "429 Too Many Requests" if fault.kind == "too_many_requests" else "502 Bad Gateway"
    await exchange.tell(message(status, b"{}", headers="Retry-After: 1\r\n" if "429" in status else ""))


async def _broken(fault: Fault, exchange: _Exchange) -> None:
    answer = await exchange.answered() if fault.after else message("200 OK", MADE_UP)
    if not answer.partition(b"\r\n\r\n")[2]:
        answer = message("200 OK", MADE_UP)
    if fault.kind == "garbage":
        await exchange.tell(message("200 OK", b'{"id": ]'))
    elif fault.kind == "wrong_length":
        await exchange.tell(with_length(answer, lambda length: length - 5))
    else:
        head, _, body = answer.partition(b"\r\n\r\n")
        await exchange.tell(head + b"\r\n\r\n" + body[: len(body) // 2])
        exchange.end()


async def _doubled(fault: Fault, exchange: _Exchange) -> None:
    if not fault.after:
        await exchange.answered()
    answer = await exchange.answered()
    await exchange.tell(answer * 2 if fault.after else answer)


STRIKES: dict[FaultKind, Callable[[Fault, _Exchange], Awaitable[None]]] = {
    "latency": _late,
    "bandwidth": _late,
    "slicer": _late,
    "slow_close": _silent,
    "timeout": _silent,
    "reset_peer": _silent,
    "limit_data": _limited,
    "too_many_requests": _refused,
    "server_error": _refused,
    "half_body": _broken,
    "wrong_length": _broken,
    "garbage": _broken,
    "duplicate": _doubled,
}


@dataclass
class FaultProxy:
    """Listens on a port of its own, and passes everything on but what a fault strikes.

    :param exchanges: How many requests came in.
    :param fired: How often each fault struck, by :attr:`Fault.name`.
    """

    host: str
    port: int
    exchanges: int = 0
    fired: Counter[str] = field(default_factory=Counter)
    url: str = ""
    _armed: tuple[Fault, int] | None = None
    _server: asyncio.Server | None = None
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop, and end every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)

    def arm(self, fault: Fault, *, nth: int = 1) -> None:
        """Let a fault strike the nth exchange from now, and none after it."""
        self._armed = (fault, self.exchanges + nth)

    def disarm(self) -> None:
        """Let no fault strike."""
        self._armed = None

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        with suppress(_EndedError, ConnectionError, asyncio.CancelledError):
            while request := await read_message(reader):
                await self._exchange(_Exchange(request, reader, client, self._pass_on))
        client.close()
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await client.wait_closed()

    async def _exchange(self, exchange: _Exchange) -> None:
        self.exchanges += 1
        if self._armed is None or self._armed[1] != self.exchanges:
            await exchange.tell(await exchange.answered())
            return
        fault, self._armed = self._armed[0], None
        self.fired[fault.name] += 1
        await STRIKES[fault.kind](fault, exchange)

    async def _pass_on(self, request: bytes, pace: _Pace | None) -> bytes:
        """Send a request, or the beginning of one, to the remote system and return the answer."""
        reader, remote = await asyncio.open_connection(self.host, self.port)
        try:
            await send(remote, request, pace)
            if not is_whole(request):
                remote.write_eof()
            return await read_message(reader)
        finally:
            remote.close()
