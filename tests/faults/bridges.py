"""A whole bridge in this process – SQLite file, drivers, server – and HubSpot emulators it talks to."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from scim_bridge.app import Bridge, Serving, open_bridge
from scim_bridge.config import Settings, settings_of
from scim_bridge.models import RateLimit
from scim_bridge.provisioning.drift import DriftClass
from scim_bridge.server.application import Server
from scim_bridge.store import resources, tokens
from scim_bridge.surroundings import Surroundings
from scim_bridge.upstream import HttpClients
from scim_bridge_hubspot.emulator import HubSpotEmulator, Switches
from tests.faults.lives import Answer, Held
from tests.faults.promises.diary import NotingEmulator

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
CONNECTION = "corp"
GROUPS = ("Sales", "Support")
NO_ACCESS = "No access"
"""The permission set of those whose access was stripped."""
UNLIMITED = RateLimit(10_000, 0.01)
"""No limit to speak of; a start that takes it for used up waits for a hundredth of a second."""
FOREVER = timedelta(days=400)


class FastClients(HttpClients):
    """HTTP clients without jitter and without a rate limit: those have instruments of their own.

    :param timeout: Seconds to wait for an answer; the production value takes too long for hundreds of faults.
    """

    def __init__(self, transport: httpx2.AsyncBaseTransport | None = None, *, timeout: float | None = None) -> None:
        super().__init__(transport, random=lambda: 0.0)
        self._timeout = timeout

    def __call__(self, *, rate_limit: RateLimit, **arguments: Any) -> httpx2.AsyncClient:
        """Return a client without a limit."""
        client = super().__call__(rate_limit=UNLIMITED, **arguments)
        if self._timeout is not None:
            client.timeout = httpx2.Timeout(self._timeout)
        return client


@dataclass(frozen=True, slots=True)
class Template:
    """A database in which the groups exist already.

    :param groups: ``id`` of each Group by displayName.
    """

    database: bytes
    token: str
    groups: Mapping[str, str]


@dataclass(slots=True)
class RunningBridge:
    """A bridge that serves.

    :param reached: Called at the boundaries of each request and answer.
    """

    bridge: Bridge
    server: Server
    token: str
    reached: Callable[[str], None] = lambda _name: None

    async def send(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request as an ASGI server does."""
        content = b"" if body is None else json.dumps(body).encode()
        path, _, query = path.partition("?")
        headers = [(b"host", b"bridge.test"), (b"authorization", f"Bearer {self.token}".encode())]
        if body is not None:
            headers.append((b"content-type", b"application/scim+json"))
            headers.append((b"content-length", str(len(content)).encode()))
        scope = {
            "type": "http",
            "method": method,
            "path": f"/{CONNECTION}/scim/v2{path}",
            "raw_path": f"/{CONNECTION}/scim/v2{path}".encode(),
            "query_string": query.encode(),
            "headers": headers,
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "server": ("bridge.test", 80),
            "http_version": "1.1",
        }
        messages: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            self.reached(f"before {message['type']}")
            messages.append(message)
            self.reached(f"after {message['type']}")

        self.reached("before the request")
        await self.server(scope, receive, send)
        start, *parts = messages
        told = b"".join(part.get("body", b"") for part in parts)
        names = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], names, json.loads(told) if told else {})

    async def idle(self) -> None:
        """Wait until nothing is pending, what waits for a later attempt included."""
        provisioning = self.bridge.provisioning(CONNECTION)
        while await self.bridge.store.read(
            lambda tx: resources.pending(tx, CONNECTION, now=datetime.now(UTC) + FOREVER, limit=1)
        ):
            await provisioning.driver.idle()
            await asyncio.sleep(0.005)

    async def drifts(self) -> list[str]:
        """Compare everything and return what differs."""
        comparison = await self.bridge.reconcilers[CONNECTION].run()
        await self.idle()
        return [
            f"{one.drift} of {one.kind} {one.subject}" for one in comparison.drifts if one.drift != DriftClass.UNMANAGED
        ]


def settings(database: Path, hubspot: str, *, config: Mapping[str, Any] | None = None, **connection: Any) -> Settings:
    """Return the settings of a bridge on a database file, for a HubSpot at a URL.

    :param config: Settings of the connector besides those that all have.
    """
    corp = {
        "connector": "hubspot",
        "import_at_start": False,
        "reconcile_minutes": 0,
        "outage_retry_after": 1,
        "guard": {"mass_change": False},
        "config": {
            "token": HubSpotEmulator.token,
            "base_url": hubspot,
            "rate_limit": 250,
            "precedence": GROUPS,
            **(config or {}),
        },
    }
    return settings_of({"store": {"url": f"sqlite:///{database}"}, "connections": {CONNECTION: corp | connection}})


@asynccontextmanager
async def running(configuration: Settings, clients: HttpClients, token: str = "") -> AsyncIterator[RunningBridge]:
    """Run a bridge for the length of a ``with`` block."""
    serving = Serving(configuration)
    surroundings = Surroundings(http_client=clients, chance=lambda: 0.0)
    async with open_bridge(configuration, surroundings=surroundings, metrics=serving.metrics) as bridge:
        serving.open(bridge)
        yield RunningBridge(bridge, serving.server(), token)


def portal() -> NotingEmulator:
    """Return a HubSpot with permission sets; the ids in it are always the same.

    People who never logged in take new names, as activated ones do; and its limits are out of the way.
    """
    hubspot = NotingEmulator(
        switches=Switches(names_unactivated="accepted", list_lag_reads=0), clock=lambda: time.monotonic() * 1000, seed=7
    )
    for name in GROUPS:
        hubspot.add_role(name)
    return hubspot


async def prepare(directory: Path) -> Template:
    """Make a database in which the groups exist, and a token."""
    path = directory / "template.db"
    clients = FastClients(portal().transport())
    secret, record = tokens.mint(CONNECTION, now=datetime.now(UTC), environment="test")
    async with running(settings(path, "http://127.0.0.1:1"), clients, secret) as one:
        await one.bridge.store.write(lambda tx: tokens.create(tx, record))
        groups = {}
        for name in GROUPS:
            answer = await one.send("POST", "/Groups", {"schemas": [GROUP], "displayName": name})
            groups[name] = str(answer.document["id"])
    return Template(path.read_bytes(), secret, groups)


def held(snapshot: Mapping[str, Mapping[str, Any]], email: str) -> Held | None:
    """Return what somebody holds by a snapshot of the emulator's control API."""
    account = snapshot.get(email)
    if account is None or not account["active"] or list(account["roles"]) == [NO_ACCESS]:
        return None
    return Held(account["last_name"], frozenset(account["roles"]))


def holdings(hubspot: HubSpotEmulator) -> dict[str, dict[str, Any]]:
    """Return the snapshot of an emulator in this process."""
    return {email: account._asdict() for email, account in hubspot.snapshot().items()}
