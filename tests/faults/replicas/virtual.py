"""The real application in virtual time before a HubSpot that keeps its limit: hours of load in a minute.

Settings, store (SQLite), driver, connector, rate limiter and circuit are the real ones; the emulator stands where the
network was. No client is played: changes are committed as the server does, and the driver does the rest.
"""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import httpx2

from scim_bridge.app import open_bridge
from scim_bridge.config import ConnectionSettings, Settings, StoreSettings
from scim_bridge.models import User
from scim_bridge.provisioning import Provisioning
from scim_bridge.store import audit, resources
from scim_bridge.store.rows import State
from scim_bridge.store.transaction import Transaction
from scim_bridge.surroundings import Surroundings
from scim_bridge.upstream import HttpClients
from scim_bridge_hubspot.emulator import HubSpotEmulator
from tests.faults.replicas.filling import commit_creations, commit_settled, left
from tests.faults.replicas.portal import UNLIMITED
from tests.faults.simulation.database import simulated_databases
from tests.faults.simulation.loop import SimulatedLoop
from tests.faults.simulation.weather import EPOCH, Weather

ResultT = TypeVar("ResultT")

ACCOUNT = "corp"
LIMIT = 100
WINDOW = 10.0
BASE_URL = "http://localhost"
USERS = "/settings/users"


@dataclass(slots=True)
class Sent:
    """One call that reached HubSpot.

    :param at: When it did, on the loop's clock, as the other times.
    :param status: What it was answered; 0 for nothing.
    """

    at: float
    method: str
    path: str
    status: int = 0


class Network(httpx2.AsyncBaseTransport):
    """The way to HubSpot; it takes time, and notes what goes over it.

    :param inner: HubSpot.
    :param weather: How long it takes.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport, weather: Weather) -> None:
        self.sent: list[Sent] = []
        self._inner = inner
        self._weather = weather

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a call and return what comes back."""
        await asyncio.sleep(self._weather.delay())
        call = Sent(asyncio.get_running_loop().time(), request.method, request.url.path)
        self.sent.append(call)
        response = await self._inner.handle_async_request(request)
        call.status = response.status_code
        await asyncio.sleep(self._weather.delay())
        return response


@dataclass
class VirtualBridge:
    """A bridge and its HubSpot.

    :param provisioning: The connection's.
    :param sent: Every call, in order of arrival.
    """

    hubspot: HubSpotEmulator
    provisioning: Provisioning
    sent: list[Sent]
    random: Random
    people: dict[str, str] = field(default_factory=dict)

    async def settle(self, names: Sequence[str]) -> None:
        """Make people who are in HubSpot and in the store, as if they had been provisioned long ago."""
        remote_ids = {name: self.hubspot.add_person(name).id for name in names}
        self.people |= await commit_settled(self.provisioning.store, self.provisioning.users, remote_ids)

    async def create(self, names: Sequence[str]) -> None:
        """Commit creations, as the server does, and answer nobody."""
        await commit_creations(self.provisioning.store, self.provisioning.users, names)
        self.provisioning.driver.wake()

    async def change(self, name: str, change: Callable[[User], User]) -> None:
        """Commit a change, as the server does, and answer nobody."""
        work = partial(self.provisioning.users.modify, user_id=self.people[name], change=change, check=unconditionally)
        await self.provisioning.store.write(work)
        self.provisioning.driver.wake()

    async def deactivate(self, name: str) -> float:
        """Deactivate somebody as the server does, and return the seconds until the client has the answer."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self.provisioning.modify_user(self.people[name], left, unconditionally)
        return loop.time() - began

    async def pending(self) -> int:
        """Return how many resources wait."""

        def count(tx: Transaction) -> int:
            counts = resources.counts(tx, ACCOUNT)
            return sum(number for (_, state), number in counts.items() if state is not State.SETTLED)

        return await self.provisioning.store.read(count)

    async def audited(self) -> int:
        """Return how many events the audit has."""
        return (await self.provisioning.store.read(lambda tx: audit.head(tx, ACCOUNT))).sequence


def unconditionally(_etag: str) -> None:
    """Set no condition."""


@asynccontextmanager
async def virtual_bridge(seed: int) -> AsyncIterator[VirtualBridge]:
    """Run a bridge on an empty database, for the length of a ``with`` block."""
    loop = asyncio.get_running_loop()
    weather = Weather(Random(f"network {seed}"))
    random = Random(f"load {seed}")
    hubspot = HubSpotEmulator(
        profile=replace(UNLIMITED, calls_per_ten_seconds=LIMIT),
        clock=loop.time,
        now=lambda: EPOCH.timestamp() + loop.time(),
        seed=seed,
        log_size=10,
    )
    network = Network(hubspot.transport(), weather)
    around = Surroundings(
        http_client=HttpClients(transport=network, random=random.random),
        clock=lambda: EPOCH + timedelta(seconds=loop.time()),
        chance=random.random,
        threads=False,
    )
    config = {"token": hubspot.token, "base_url": BASE_URL, "rate_limit": LIMIT}
    connection = ConnectionSettings.model_validate(
        {"connector": "hubspot", "import_at_start": False, "reconcile_minutes": 0, "config": config}
        | {"guard": {"mass_change": False}}
    )
    with tempfile.TemporaryDirectory(prefix="scim-bridge-virtual-") as directory, simulated_databases(weather):
        store = StoreSettings(url=f"sqlite:///{Path(directory) / 'bridge.db'}")
        settings = Settings(store=store, connections={ACCOUNT: connection})
        async with open_bridge(settings, surroundings=around) as bridge:
            yield VirtualBridge(hubspot, bridge.provisioning(ACCOUNT), network.sent, random)


def run_in_virtual_time(coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run something to its end on a clock that leaps."""
    logging.disable(logging.CRITICAL)
    loop = SimulatedLoop(Random(0))
    try:
        return loop.run_until_complete(coroutine)
    finally:
        logging.disable(logging.NOTSET)
        loop.close()


def fullest_window(times: Sequence[float], seconds: float = WINDOW) -> int:
    """Return the most calls that came within so many seconds."""
    first = fullest = 0
    for last, time in enumerate(times):
        while times[first] <= time - seconds:
            first += 1
        fullest = max(fullest, last - first + 1)
    return fullest
