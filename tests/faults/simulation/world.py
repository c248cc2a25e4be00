"""Everything of one history: the remote system, the bridge on its database, the identity providers, the oracle."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

import httpx2

from scim_bridge.config import ConnectionSettings, Settings, StoreSettings
from scim_bridge.surroundings import Surroundings
from scim_bridge.testing.clients import (
    EntraClient,
    GenericClient,
    IdentityProvider,
    OktaClient,
    Person,
    RequestFailedError,
    Schedule,
)
from scim_bridge.upstream import HttpClients
from tests.faults.simulation.network import BridgeTransport, Inbound, RemoteTransport
from tests.faults.simulation.oracle import Oracle
from tests.faults.simulation.process import Process
from tests.faults.simulation.remote import RemoteWorld
from tests.faults.simulation.weather import Weather
from tests.faults.simulation.witness import CONNECTION, Witness

BASE_URL = f"http://bridge.test/{CONNECTION}/scim/v2"
SCHEDULE = Schedule(cycle=120.0, escrow=(300.0, 600.0, 1200.0), patience=36_000.0, quarantine=600.0)
"""Entra ID's, in fewer minutes: the bridge does not know the difference, and idle hours take time to simulate."""


class Watcher(Protocol):
    """Sees what clients send and are answered, besides the oracle."""

    def starts(self) -> None:
        """Note that a bridge starts."""

    def arrived(self, exchange: Inbound) -> None:
        """Note that a request, or a copy of one, reaches the bridge."""

    def answered(self, exchange: Inbound) -> None:
        """Note that the bridge answered it."""


class LoopClock:
    """The loop's clock, for clients."""

    def now(self) -> float:
        """Return the time in seconds."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await asyncio.sleep(seconds)


@dataclass
class Client:
    """An identity provider with its people.

    :param groups: Names of the groups it may push.
    """

    name: str
    provider: IdentityProvider
    people: list[Person]
    groups: tuple[str, ...]
    working: "asyncio.Task[None] | None" = None

    def work(self) -> None:
        """Let it push what has changed; one that is at it already will see."""
        if self.working is None or self.working.done():
            self.working = asyncio.get_running_loop().create_task(self.provider.run_until_idle())

    async def done(self) -> None:
        """Wait until it has nothing left to do without an administrator."""
        while self.working is not None and not self.working.done():
            await asyncio.wait({self.working})
        if self.working is not None:
            self.working.result()


class World:
    """One history's world.

    :param seed: Decides everything.
    :param database: A migrated database file with the clients' token in it.
    :param authorization: The token, as a header.
    """

    def __init__(self, seed: int, remote: RemoteWorld, database: Path, authorization: str) -> None:
        self.seed = seed
        self.remote = remote
        self.random = Random(f"{seed}/operations")
        self.weather = Weather(Random(f"{seed}/weather"))
        self.witness = Witness(database)
        self.authorization = authorization
        self.process: Process | None = None
        self.graveyard: list[Process] = []
        self.trace: list[str] = []
        self.clients = self._clients()
        # What requests ask is not kept: writing it would only shift what the seeds of known histories bring about.
        self.store = StoreSettings(url=f"sqlite:///{database}", requests_days=0)
        self.options: dict[str, Any] = {}
        """Further settings of the connection."""
        self.preset = self.clients[0].name.split()[0]
        self.oracle = Oracle(self)
        self.watchers: list[Watcher] = []
        remote.watch = self.oracle.effect
        self.weather.committed = self.oracle.committed

    # -- Who pushes ----------------------------------------------------------------------------------------------

    def _clients(self) -> list[Client]:
        random = Random(f"{self.seed}/clients")
        kinds = ["okta", "okta", "okta wizard", "entra", "entra rfc", "generic", "generic put", "generic delete"]
        groups = tuple(self.remote.groups)
        clients = [self._client(random.choice(kinds), 0, groups[:-1], random, people=5)]
        if random.random() < 0.3:
            clients.append(self._client("generic", 1, groups[-1:], random, people=2))
        return clients

    def _client(self, kind: str, number: int, groups: tuple[str, ...], random: Random, *, people: int) -> Client:
        http = httpx2.AsyncClient(
            base_url=BASE_URL,
            transport=BridgeTransport(kind, self.listening, self.weather, self),
        )
        common: dict[str, Any] = {
            "authorization": self.authorization,
            "clock": LoopClock(),
            "random": Random(f"{self.seed}/client {number}"),
        }
        makers: dict[str, Callable[[], IdentityProvider]] = {
            "okta": lambda: OktaClient(http, **common),
            "okta wizard": lambda: OktaClient(http, kind="wizard", **common),
            "entra": lambda: EntraClient(http, schedule=SCHEDULE, **common),
            "entra rfc": lambda: EntraClient(http, schedule=SCHEDULE, rfc_patch=True, **common),
            "generic": lambda: GenericClient(http, **common),
            "generic put": lambda: GenericClient(http, update="put", **common),
            "generic delete": lambda: GenericClient(http, deprovision="delete", **common),
        }
        names = ("ada", "bob", "cyd", "dan", "eva") if number == 0 else ("fay", "gus")
        persons = [
            Person(f"00u{number}{one}", _spelt(f"{one}@corp.example", random), one.title(), "Lovelace")
            for one in names[:people]
        ]
        return Client(kind, makers[kind](), persons, groups)

    @property
    def settings(self) -> Settings:
        """The configuration of the bridge: it understands its clients as the first of them is."""
        connection = ConnectionSettings(
            connector=self.remote.connector, client=self.preset, config=dict(self.remote.settings), **self.options
        )
        return Settings(store=self.store, connections={CONNECTION: connection})

    # -- The bridge ----------------------------------------------------------------------------------------------

    def listening(self) -> Process | None:
        """Return the bridge that answers now."""
        return self.process if self.process is not None and not self.process.ended else None

    async def start_bridge(self) -> None:
        """Start it until it comes up, as a supervisor does."""
        failure = ""
        for _ in range(60):
            self.process = process = Process(self.settings, self._surroundings)
            self.graveyard.append(process)
            self.oracle.starts()
            for watcher in self.watchers:
                watcher.starts()
            if await process.start():
                return
            failure = process.failure
            await asyncio.sleep(1.0)
        raise AssertionError(f"the bridge does not come up: {failure}")

    def _surroundings(self) -> Surroundings:
        number = len(self.graveyard)
        ids, chance = Random(f"{self.seed}/ids {number}"), Random(f"{self.seed}/chance {number}")
        loop = asyncio.get_running_loop()
        transport = RemoteTransport(self.remote.transport(), self.weather, self)
        return Surroundings(
            http_client=HttpClients(transport=transport, random=chance.random),
            clock=lambda: self.weather.clock(loop.time()),
            new_id=lambda: str(uuid.UUID(int=ids.getrandbits(128), version=4)),
            chance=chance.random,
            threads=False,
        )

    async def close(self) -> None:
        """End everything."""
        for client in self.clients:
            if client.working is not None:
                client.working.cancel()
                with suppress(asyncio.CancelledError, RequestFailedError):
                    await client.working
        for process in self.graveyard:
            if not process.ended:
                process.die()
            await process.bury()
        self.witness.close()

    # -- Watching ------------------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{asyncio.get_running_loop().time():10.3f}  {text}")

    def departed(self, call: Any) -> None:
        """Pass on what the network saw."""
        self.oracle.departed(call)

    def returned(self, call: Any) -> None:
        """Pass on what the network saw."""
        self.oracle.returned(call)

    def asked(self, exchange: Any) -> None:
        """Pass on what the network saw."""
        self.oracle.asked(exchange)

    def arrived(self, exchange: Any) -> None:
        """Pass on what the network saw."""
        for watcher in self.watchers:
            watcher.arrived(exchange)

    def answered(self, exchange: Any) -> None:
        """Pass on what the network saw."""
        self.oracle.answered(exchange)
        for watcher in self.watchers:
            watcher.answered(exchange)

    def heard(self, exchange: Any) -> None:
        """Pass on what the network saw."""
        self.oracle.heard(exchange)

    def group_of(self, resource_id: str) -> str:
        """Return the name that a group of this SCIM id is wanted to have; empty for none."""
        for client in self.clients:
            for group, belief in client.provider.believed_groups.items():
                if belief.remote_id == resource_id:
                    return belief.name if group not in client.provider.groups else client.provider.groups[group].name
        return ""

    def fired(self) -> Counter[str]:
        """Return how often each fault struck in this history."""
        return self.weather.fired + self.remote.fired()

    def person_of(self, resource_id: str) -> str:
        """Return the userName whom clients know by a SCIM id, folded; empty for none."""
        for client in self.clients:
            for person, belief in client.provider.believed.items():
                if belief.remote_id == resource_id:
                    return client.provider.people[person].user_name.casefold()
        return ""


def _spelt(name: str, random: Random) -> str:
    """Write some names with capitals."""
    return name.title() if random.random() < 0.3 else name
