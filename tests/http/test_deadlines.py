"""Over real TCP: a request that does not arrive in time loses its connection, and what is no HTTP gets a SCIM error."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from scim_bridge.server.deadlines import DeadlineProtocol
from scim_bridge.server.serve import Listen, configuration
from tests.http.bridge import Tenant, bridge


@pytest.fixture(autouse=True)
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of a fraction of a second."""
    monkeypatch.setattr(DeadlineProtocol, "seconds", {"headers": 0.3, "body": 0.3})


@asynccontextmanager
async def listening(acme: Tenant) -> AsyncIterator[int]:
    """Serve the bridge on a port of this machine."""
    server = uvicorn.Server(configuration(acme.server, Listen(port=0, graceful_seconds=1)))
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[tuple[Tenant, int]]:
    """A bridge and the port it listens on."""
    async with bridge(tmp_path) as (acme,), listening(acme) as number:
        yield acme, number


async def drip(port: int, head: bytes, drops: bytes) -> tuple[bytes, float]:
    """Send a beginning and then one byte every 50 ms; return what came back and after how long the end came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    loop = asyncio.get_running_loop()
    started = loop.time()
    writer.write(head)

    async def drops_of() -> None:
        for byte in drops:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drops_of())
    received = b""
    try:
        async with asyncio.timeout(5):
            received = await reader.read()
    except ConnectionError:
        pass
    elapsed = loop.time() - started
    dripping.cancel()
    writer.close()
    return received, elapsed


@pytest.mark.parametrize(
    ("head", "drops"),
    [
        (b"", b""),
        (b"GET /healthz HTTP/1.1\r\n", b"X-Drip: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        (
            b"POST /acme/scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\nContent-Length:99\r\n\r\n",
            b"{" * 80,
        ),
    ],
    ids=["idle", "headers", "body"],
)
async def test_a_request_that_drips_in_loses_its_connection(
    port: tuple[Tenant, int], head: bytes, drops: bytes
) -> None:
    """Bytes buy no time (slowloris)."""
    acme, number = port
    received, elapsed = await drip(number, head.replace(b"TOKEN", acme.token.encode()), drops)
    assert received == b""
    assert elapsed < 2
    assert acme.remote.accounts == {}


async def test_a_connection_that_is_used_stays_open_between_requests(port: tuple[Tenant, int]) -> None:
    """The deadline is one of receiving a request, not of waiting for the next."""
    _, number = port
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    for _ in range(3):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.4)
    writer.close()


async def test_what_is_no_http_is_a_scim_error(port: tuple[Tenant, int]) -> None:
    """Also before any request is recognised (RFC 7644 §3.12)."""
    _, number = port
    for garbage in (b"\x16\x03\x01 hello\r\n\r\n", b"GET /x HTTP/1.1\r\nbad header\r\n\r\n", b"A" * 20_000):
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.write(garbage)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400")
        assert json.loads(body)["status"] == "400"
        assert b"uvicorn" not in head.lower()
        writer.close()
