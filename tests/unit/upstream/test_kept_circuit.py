"""A circuit that an outage opened stays open through a restart: one probe, then nothing until it is answered."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx2
import pytest

from scim_bridge.errors import RemoteSuspendedError, RemoteUnavailableError
from scim_bridge.models import RateLimit
from scim_bridge.store.engine import Store
from scim_bridge.store.kept import KeptCircuit
from scim_bridge.testing.virtual_time import run_virtually
from scim_bridge.upstream import HttpClients
from scim_bridge.upstream.breaker import INTERVAL, THRESHOLD


class Remote(httpx2.AsyncBaseTransport):
    """A remote system that is down or up."""

    def __init__(self) -> None:
        self.down = True
        self.calls = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer, or break the connection."""
        self.calls += 1
        if self.down:
            raise httpx2.ConnectError("down", request=request)
        return httpx2.Response(200, request=request)


def process(store: Store, remote: Remote) -> httpx2.AsyncClient:
    """Return the client of a process that has just started."""
    circuit = partial(KeptCircuit, store, partial(datetime.now, UTC))
    clients = HttpClients(remote, random=lambda: 0.0, circuit=circuit)
    return clients(base_url="https://api.example", account="a", rate_limit=RateLimit(1000, 1.0))


async def ask(client: httpx2.AsyncClient, times: int) -> int:
    """Call so many times and return how often that was refused without a call."""
    refused = 0
    for _ in range(times):
        try:
            await client.get("/users")
        except RemoteSuspendedError:
            refused += 1
        except RemoteUnavailableError:
            pass
    return refused


@pytest.mark.parametrize("restarts", [1, 3])
def test_a_restart_in_an_outage_sends_one_probe(tmp_path: Path, restarts: int) -> None:
    """And when the remote system is back, the next start knows that, too."""
    store = asyncio.run(Store.open(f"sqlite:///{tmp_path}/bridge.db", threads=False))
    remote = Remote()

    async def outage() -> None:
        client = process(store, remote)
        await ask(client, THRESHOLD)
        for _ in range(restarts):
            before = remote.calls
            client = process(store, remote)
            assert await ask(client, 20) == 19
            assert remote.calls == before + 1
        remote.down = False
        await asyncio.sleep(INTERVAL + 1)
        assert await ask(client, 2) == 0
        remote.down = True
        assert await ask(process(store, remote), THRESHOLD) == 0

    run_virtually(outage())
    asyncio.run(store.close())
