"""Over real TCP: a request that does not arrive in time loses its connection, and what is no HTTP gets a SCIM error."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scim_bridge.server.deadlines import DeadlineProtocol
from scim_bridge.server.requests import HEAD_TOO_LARGE
from tests.hang_guard import HANG_SECONDS
from tests.http.bridge import Tenant, bridge
from tests.http.listening import listening


@pytest.fixture
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of a fraction of a second."""
    monkeypatch.setattr(DeadlineProtocol, "seconds", {"headers": 0.3, "body": 0.3})


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[tuple[Tenant, int]]:
    """A bridge and the port it listens on."""
    async with bridge(tmp_path) as (acme,), listening(acme) as number:
        yield acme, number


async def drip(port: int, head: bytes, drop: bytes) -> bytes:
    """Send a beginning and then one byte after the other, without end, until the other side ends; return what came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)

    async def drops() -> None:
        while drop:
            writer.write(drop)
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drops())
    received = b""
    try:
        async with asyncio.timeout(HANG_SECONDS):
            received = await reader.read()
    except ConnectionError:
        pass
    dripping.cancel()
    writer.close()
    return received


@pytest.mark.usefixtures("short_deadlines")
@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b""),
        (b"GET /healthz HTTP/1.1\r\nX-Drip: ", b"a"),
        (
            b"POST /acme/scim/v2/Users HTTP/1.1\r\nHost:x\r\nAuthorization:Bearer TOKEN\r\nContent-Length:9999\r\n\r\n",
            b"{",
        ),
    ],
    ids=["idle", "headers", "body"],
)
async def test_a_request_that_drips_in_loses_its_connection(port: tuple[Tenant, int], head: bytes, drop: bytes) -> None:
    """Bytes buy no time (slowloris)."""
    acme, number = port
    assert await drip(number, head.replace(b"TOKEN", acme.token.encode()), drop) == b""
    assert acme.remote.accounts == {}


async def test_a_connection_that_is_used_stays_open_between_requests(
    port: tuple[Tenant, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline is one of receiving a request, not of waiting for the next: then none is running."""
    _, number = port
    protocols: list[DeadlineProtocol] = []
    made = DeadlineProtocol.connection_made

    def noted(protocol: DeadlineProtocol, transport: asyncio.Transport) -> None:
        protocols.append(protocol)
        made(protocol, transport)

    monkeypatch.setattr(DeadlineProtocol, "connection_made", noted)
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    for _ in range(3):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200")
        (protocol,) = protocols
        assert protocol._deadline is None
    writer.close()


async def test_what_is_no_http_is_a_scim_error(port: tuple[Tenant, int]) -> None:
    """Also before any request is recognised (RFC 7644 §3.12)."""
    _, number = port
    for garbage in (b"\x16\x03\x01 hello\r\n\r\n", b"GET /x HTTP/1.1\r\nbad header\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.write(garbage)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400")
        assert json.loads(body)["status"] == "400"
        assert b"uvicorn" not in head.lower()
        writer.close()


def _answer_of(received: bytes) -> tuple[int, str]:
    """Return status and detail of the last answer that was received."""
    head, _, body = received.rpartition(b"\r\n\r\n")
    return int(head.rpartition(b"HTTP/1.1 ")[2][:3]), json.loads(body)["detail"]


@pytest.mark.parametrize("size", [20_000, 70_000, 3_000_000])
async def test_a_head_that_is_too_large_is_431(port: tuple[Tenant, int], size: int) -> None:
    """In a form the client can read, whether or not all of it arrives at once (RFC 6585 §5)."""
    _, number = port
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + b"a" * size + b"\r\n\r\n")
    status, detail = _answer_of(await reader.read())
    assert (status, detail) == (431, HEAD_TOO_LARGE)
    writer.close()


@pytest.mark.parametrize("form", ["declared", "chunked", "waiting"])
@pytest.mark.parametrize(("endpoint", "limit"), [("Users", 1_048_576), ("Groups", 5_242_880)])
async def test_a_body_that_is_too_large_is_413(port: tuple[Tenant, int], form: str, endpoint: str, limit: int) -> None:
    """The client, which sends all of it before it reads, gets the answer and no reset (RFC 9110 §15.5.14).

    One that asks before it sends (`Expect: 100-continue`) is told at once, and sends nothing.
    """
    acme, number = port
    size = limit + 1_000_000
    length = "Transfer-Encoding: chunked" if form == "chunked" else f"Content-Length: {size}"
    expect = "Expect: 100-continue\r\n" if form == "waiting" else ""
    head = (
        f"POST /acme/scim/v2/{endpoint} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {acme.token}\r\n{expect}{length}"
    )
    body = {"chunked": f"{size:x}\r\n{'x' * size}\r\n0\r\n\r\n", "declared": "x" * size, "waiting": ""}[form]
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(f"{head}\r\n\r\n{body}".encode())
    await writer.drain()
    received = await reader.read()
    assert b"100 Continue" not in received or form != "waiting"
    status, detail = _answer_of(received)
    assert (status, str(limit) in detail) == (413, True)
    writer.close()
