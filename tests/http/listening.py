"""The bridge on a port of this machine, and what a client reads from it byte by byte."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from scim_bridge.server.serve import Listen, configuration
from tests.hang_guard import HANG_SECONDS
from tests.http.bridge import Tenant


@asynccontextmanager
async def listening(acme: Tenant, listen: Listen | None = None) -> AsyncIterator[int]:
    """Serve the bridge on a port of this machine."""
    server = uvicorn.Server(configuration(acme.server, listen or Listen(port=0, graceful_seconds=1)))
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def exchange(port: int, *sent: bytes, address: str = "127.0.0.1") -> bytes:
    """Send bytes, and return all that comes until the other side ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        for portion in sent:
            writer.write(portion)
            await writer.drain()
        async with asyncio.timeout(HANG_SECONDS):
            return await reader.read()
    finally:
        writer.close()


def answers_in(received: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Return status, header fields (names in lower case) and body of each answer."""
    answers = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(fields.get("content-length", 0))
        answers.append((int(status.split(" ")[1]), fields, rest[:length]))
        received = rest[length:]
    return answers


def detail_of(body: bytes) -> str:
    """Return the detail of a SCIM error (RFC 7644 §3.12)."""
    error = json.loads(body)
    assert error["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    return str(error["detail"])
