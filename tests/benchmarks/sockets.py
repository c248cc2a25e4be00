"""A client that costs little: requests over some connections, and what they cost the process that answers."""

import contextlib
import json
import selectors
import socket
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 8
LAST_CHUNK = b"0\r\n\r\n"

LOOKS = 3
"""How often in a row a system has to be idle: on a busy machine one that only waits for a processor looks so, too."""

LONGEST = 600.0
"""Seconds within which a system has done what was left."""


@dataclass(slots=True)
class Cost:
    """What one operation of one system cost, one figure a round.

    :param wall: Seconds of a request; of several connections at once, seconds divided by requests.
    :param busy: CPU seconds of the system a request, of all its threads.
    """

    wall: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    @property
    def median_wall(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.wall)

    @property
    def median_busy(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.busy)


def busy_seconds(process: int) -> float:
    """Return the CPU seconds that a process has used (clock_getcpuclockid of Linux)."""
    return time.clock_gettime((~process << 3) | 2)


def resident(process: int) -> float:
    """Return the MiB of memory that a process has (``VmRSS``)."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    (kibibytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kibibytes) / 1024


def request(base: str, token: str, method: str, path: str, body: object = None) -> bytes:
    """Return the bytes of a request.

    :param path: Below the base URL, with its query.
    """
    parts = urlsplit(base)
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {parts.path}{path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        "Accept: application/scim+json\r\nUser-Agent: benchmark\r\n"
    )
    if body is not None:
        head += f"Content-Type: application/scim+json\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"\r\n" + content


class _Link:
    """One connection with at most one request under way."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self.socket = socket.create_connection((parts.hostname, parts.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = b""
        self.left = 0
        self.is_chunked = False

    def take(self) -> bool:
        """Read what is there; tell whether the answer is complete.

        :raises RuntimeError: When it is no success: what failed is not measured.
        """
        data = self.socket.recv(1 << 20)
        if not data:
            raise RuntimeError("the connection was closed")
        if self.is_chunked:
            return self._is_last(self.head + data)
        if self.left:
            self.left -= len(data)
            return self.left == 0
        self.head += data
        end = self.head.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not self.head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(self.head[:600].decode("latin-1"))
        fields = self.head[:end].lower()
        if b"transfer-encoding: chunked" in fields:
            return self._is_last(self.head)
        at = fields.find(b"content-length:")
        length = 0 if at < 0 else int(fields[at + 15 :].partition(b"\r\n")[0])
        self.left = end + 4 + length - len(self.head)
        self.head = b""
        return self.left == 0

    def _is_last(self, data: bytes) -> bool:
        """Take a part of a chunked body; JSON has no line that looks like the last chunk."""
        self.is_chunked = not data.endswith(LAST_CHUNK)
        self.head = data[-4:] if self.is_chunked else b""
        return not self.is_chunked


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is asked, and what of it counts.

    :param number: How many requests at most; fewer when the seconds are over.
    :param after: Whether the CPU time contains what the system does after its answers.
    :param changes: To how many changes of a remote system each request leads: then both times are of one of them, until
        the last is done. 0: they are of a request.
    """

    number: int
    seconds: float
    connections: int
    after: bool = True
    changes: int = 0


def measure(process: int, base: str, requests: Iterator[bytes], into: Cost, amount: Amount) -> None:
    """Send requests, each connection one at a time, and add what they cost."""
    _settled(process)
    links = [_Link(base) for _ in range(min(amount.connections, amount.number))]
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for link in links:
            stack.callback(link.socket.close)
            selector.register(link.socket, selectors.EVENT_READ, link)
        left = islice(requests, amount.number)
        busy, began = busy_seconds(process), time.perf_counter()
        done = under_way = 0
        for link in links:
            link.socket.sendall(next(left))
            under_way += 1
        while under_way:
            for key, _ in selector.select(60.0) or ():
                if not key.data.take():
                    continue
                done += 1
                following = next(left, None) if time.perf_counter() - began < amount.seconds else None
                if following is None:
                    under_way -= 1
                else:
                    key.data.socket.sendall(following)
        wall, until_then = time.perf_counter() - began, busy_seconds(process)
        settled = _settled(process) - began
        if amount.changes:
            wall, done = settled, done * amount.changes
        into.wall.append(wall / done)
        into.busy.append(((busy_seconds(process) if amount.after else until_then) - busy) / done)


def _settled(process: int) -> float:
    """Wait until a system has done what earlier requests left to do, and return since when."""
    began = since = time.perf_counter()
    idle = 0
    while idle < LOOKS and time.perf_counter() - began < LONGEST:
        at, before = time.perf_counter(), busy_seconds(process)
        time.sleep(0.02)
        idle = idle + 1 if busy_seconds(process) - before < 0.001 else 0
        since = at if idle <= 1 else since
    return since
