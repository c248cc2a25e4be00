"""A whole connection on an emulated organisation: the server, the bridge's provisioning and store, the connector."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx2

from scim_bridge.models import User
from scim_bridge.protocol import BridgeProvider, preset
from scim_bridge.provisioning import Provisioning, ProvisioningPolicy
from scim_bridge.provisioning.drift import DriftClass
from scim_bridge.provisioning.reconcile import Reconciler
from scim_bridge.server import Metrics, TokenAuthentication, create_server, served
from scim_bridge.store import resources, tokens
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import ResourceRow
from scim_bridge.testing.contexts import connected
from scim_bridge.upstream import HttpClients
from scim_bridge_github.connector import GitHubConnector
from scim_bridge_github.emulator import GitHubEmulator

CONNECTION = "github"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Clock:
    """Seconds since the epoch, as a test says."""

    def __init__(self) -> None:
        self.at = datetime(2026, 6, 1, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        """Return them."""
        return self.at


@dataclass
class Bridged:
    """A connection, as its client and its operator see it, and the organisation behind it."""

    github: GitHubEmulator
    provisioning: Provisioning
    store: Store
    http: httpx2.AsyncClient
    token: str
    now: Clock = field(default_factory=Clock)

    async def compare(self) -> list[str]:
        """Compare everything, drive what was handed over, and return the classes of drift of whom a client manages."""
        comparison = await Reconciler(self.provisioning).run()
        await self.provisioning.driver.idle()
        return [one.drift.value for one in comparison.drifts if one.drift is not DriftClass.UNMANAGED]

    async def row(self, name: str) -> ResourceRow:
        """Return a User's row."""
        found = await self.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, "User", name))
        assert found is not None
        return found

    async def create(self, login: str, **attributes: Any) -> httpx2.Response:
        """Create a User."""
        return await self.http.post("/Users", json={"userName": login, "active": True, **attributes})

    async def active(self, id_: str, *, active: bool) -> httpx2.Response:
        """Change ``active``."""
        operation = {"op": "replace", "path": "active", "value": active}
        return await self.http.patch(f"/Users/{id_}", json={"schemas": [PATCH], "Operations": [operation]})


@asynccontextmanager
async def bridged(
    path: Path, github: GitHubEmulator, client: str = "okta", assign: Any = "groups", **pace: int
) -> AsyncIterator[Bridged]:
    """Run a bridge before an organisation."""
    store = await Store.open(f"sqlite:///{path / 'bridge.db'}")
    pace = {"invitations_per_minute": 100_000} | pace
    settings = {"organization": github.login, "token": github.token, "requests_per_minute": 100_000, **pace}
    clients = HttpClients(github.transport())
    async with connected(GitHubConnector, settings, connection_id=CONNECTION, http_client=clients) as connector:
        policy = ProvisioningPolicy(budget=5.0, assign=assign)
        told = preset(client)
        provider = BridgeProvider(policy=told.policy, entitlements="shown" if assign == "groups" else "asked")
        model = cast("type[User]", provider.model("User"))
        provisioning = Provisioning(CONNECTION, store, connector, policy, chance=lambda: 0.0, user_model=model)
        running = asyncio.create_task(provisioning.driver.run())
        token, record = tokens.mint(CONNECTION, now=datetime.now(UTC), environment="test")
        await store.write(lambda tx: tokens.create(tx, record))
        connection = served(provisioning, told, provider, secret="s" * 32)
        server = create_server({CONNECTION: connection}, authenticate=TokenAuthentication(store), metrics=Metrics())
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
        url = f"http://bridge.test/{CONNECTION}/scim/v2"
        transport = httpx2.ASGITransport(app=server)
        try:
            async with httpx2.AsyncClient(transport=transport, base_url=url, headers=headers) as http:
                yield Bridged(github, provisioning, store, http, token)
        finally:
            await server.drain(1)
            await provisioning.driver.stop()
            await running
            await store.close()
