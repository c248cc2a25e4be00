"""Over real TCP: too many connections, and connections that send and never read."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from scim_bridge.server.deadlines import SPARE, DeadlineProtocol
from scim_bridge.server.serve import OTHER_DESCRIPTORS, Listen, affordable
from tests.hang_guard import HANG_SECONDS
from tests.http.bridge import bridge
from tests.http.listening import answers_in, detail_of, exchange, listening

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
FEW = Listen(port=0, graceful_seconds=1, connections=4)

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def clients(port: int, number: int, address: str = "127.0.0.1") -> AsyncIterator[list[Client]]:
    """Open connections one after the other, each of which has had an answer."""
    opened: list[Client] = []
    try:
        for _ in range(number):
            client = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
            opened.append(client)
            await ask(client)
        yield opened
    finally:
        for _, writer in opened:
            writer.close()


async def ask(client: Client) -> None:
    """Send a request on a connection and read the answer."""
    reader, writer = client
    writer.write(HEALTH + b"\r\n")
    async with asyncio.timeout(HANG_SECONDS):
        assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200")


async def is_closed(client: Client) -> bool:
    """Tell whether the other side has ended a connection, which is then seen."""
    async with asyncio.timeout(HANG_SECONDS):
        try:
            return await client[0].read() == b""
        except ConnectionResetError:
            return True


async def test_one_more_than_there_is_room_for_takes_the_place_of_the_one_that_is_idle_longest(tmp_path: Path) -> None:
    """An honest client finds an open door behind any number of connections that nobody uses."""
    async with bridge(tmp_path) as (acme,), listening(acme, FEW) as port, clients(port, 4) as (first, second, *others):
        await ask(first)  # now the second is the one that is idle longest
        async with clients(port, 1):
            assert await is_closed(second)
            for one in (first, *others):
                await ask(one)


async def test_who_finds_no_room_is_told_in_scim_when_to_come_again(tmp_path: Path) -> None:
    """429 with Retry-After: Okta repeats nothing else by itself. Removals need no connection of a client."""
    async with bridge(tmp_path) as (acme,), listening(acme, FEW) as port:
        busy = []
        for _ in range(4):  # requests that are under way
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await ask((reader, writer))
            writer.write(HEALTH)
            await writer.drain()
            busy.append((reader, writer))
        received = await exchange(port, HEALTH + b"\r\n")
        while (answers := answers_in(received))[0][0] != 429:  # the last of the four may not have been read yet
            received = await exchange(port, HEALTH + b"\r\n")
        ((status, fields, body),) = answers
        assert (status, fields["retry-after"], fields["connection"]) == (429, "5", "close")
        assert detail_of(body)
        for reader, writer in busy:
            writer.write(b"\r\n")
            assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200")
            writer.close()


async def test_one_address_cannot_take_all_the_room(tmp_path: Path) -> None:
    """Its own connections make room for it; others keep theirs. A proxy, which stands for many, has no such limit."""
    listen = Listen(port=0, graceful_seconds=1, of_one_address=2, proxies="127.0.0.1")
    async with (
        bridge(tmp_path) as (acme,),
        listening(acme, listen) as port,
        clients(port, 3) as proxied,
        clients(port, 1, "127.0.0.3") as other,
        clients(port, 3, "127.0.0.2") as (oldest, *newer),
    ):
        assert await is_closed(oldest)
        for one in (*proxied, *other, *newer):
            await ask(one)


async def test_who_sends_and_never_reads_loses_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a deadline for taking answers, as there is one for sending requests; no token is needed to try."""
    monkeypatch.setattr(DeadlineProtocol, "seconds", DeadlineProtocol.seconds | {"drain": 0.3})
    lost = asyncio.Event()
    ended = DeadlineProtocol.connection_lost

    def noted(protocol: DeadlineProtocol, reason: Exception | None) -> None:
        ended(protocol, reason)
        lost.set()

    monkeypatch.setattr(DeadlineProtocol, "connection_lost", noted)
    async with bridge(tmp_path) as (acme,), listening(acme) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        async with asyncio.timeout(HANG_SECONDS):
            while not lost.is_set():
                writer.write((HEALTH + b"\r\n") * 4)
                await asyncio.sleep(0)
        writer.transport.abort()


async def test_who_reads_slowly_gets_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is for what waits in the server: it ends when that was taken."""
    timers: list[object] = []
    awaited = DeadlineProtocol._await_reader

    def noted(protocol: DeadlineProtocol) -> None:
        awaited(protocol)
        timers.append(protocol._draining)

    monkeypatch.setattr(DeadlineProtocol, "_await_reader", noted)
    async with bridge(tmp_path) as (acme,), listening(acme) as port:
        people = [f"person.{number}@example.com" for number in range(20)]
        for name in people:
            await acme.user(name, displayName="D" * 400, title="T" * 400)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET /acme/scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {acme.token}\r\n\r\n".encode()
        for _ in range(200):
            writer.write(head)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            assert body.count(b'"userName"') == len(people)
            if timers:
                break
        writer.close()


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ((10_000, 10_000), 2_000),
        ((1_024, 10_000), 2_000),
        ((1_024, 1_024), 1_024 - SPARE - OTHER_DESCRIPTORS),
        ((64, 64), 1),
    ],
)
def test_clients_leave_descriptors_to_removals(
    limits: tuple[int, int], wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are never more connections of clients than leave descriptors to the database and to remote systems."""
    asked = [limits]
    monkeypatch.setattr(resource, "getrlimit", lambda _: asked[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, changed: asked.append(changed))
    assert affordable(2_000) == wanted
    assert asked[-1][0] <= limits[1]
