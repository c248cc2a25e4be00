"""A whole bridge in one process: SQLite, the real provisioning, a remote system in memory and the server, over ASGI."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import uuid4

import httpx2
from scim2_models import SCIMException

from scim_bridge.connector import Connector
from scim_bridge.models import User
from scim_bridge.protocol import BridgeProvider, ClientPreset, Limits, preset
from scim_bridge.provisioning import Provisioning, ProvisioningPolicy
from scim_bridge.provisioning.reconcile import Reconciler
from scim_bridge.server import (
    ConnectionOptions,
    Metrics,
    ServedConnection,
    Server,
    ServerOptions,
    TokenAuthentication,
    create_server,
    served,
)
from scim_bridge.store import resources, tokens
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import ResourceRow
from scim_bridge.store.transaction import Transaction
from scim_bridge.testing.contexts import connected
from scim_bridge.testing.memory import MemoryConnector
from scim_bridge.testing.memory_remote import MemoryRemote

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

T = TypeVar("T")

SECRET = "a secret of at least thirty-two characters"


@dataclass
class Tenant:
    """One connection of a bridge, as its client and as its operator see it."""

    connection_id: str
    token: str
    remote: MemoryRemote
    provisioning: Provisioning
    store: Store
    http: httpx2.AsyncClient
    server: Server
    quirks: list[str] = field(default_factory=list)

    @property
    def server_limits(self) -> Limits:
        """What one request may ask for."""
        return Limits()

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """Send a request below ``/scim/v2``; a dict is sent as JSON, bytes as they are."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self.token}"}
        if content is not None:
            given["Content-Type"] = "application/scim+json"
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, f"/{self.connection_id}/scim/v2{path}", content=content, headers=given)

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """Send a GET."""
        return await self.send("GET", path, **headers)

    async def post(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        """Send a POST."""
        return await self.send("POST", path, body, **headers)

    async def put(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        """Send a PUT."""
        return await self.send("PUT", path, body, **headers)

    async def patch(self, path: str, *operations: Mapping[str, Any], **headers: str) -> httpx2.Response:
        """Send a PATCH of some operations."""
        return await self.send("PATCH", path, {"schemas": [PATCH_OP], "Operations": operations}, **headers)

    async def delete(self, path: str, **headers: str) -> httpx2.Response:
        """Send a DELETE."""
        return await self.send("DELETE", path, **headers)

    async def user(self, user_name: str = "ada@example.com", /, **attributes: Any) -> dict[str, Any]:
        """Create a User and return it as it was answered."""
        response = await self.post("/Users", {"schemas": [USER], "userName": user_name, **attributes})
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.json()
        return created

    async def group(self, display_name: str = "eng", *members: str) -> dict[str, Any]:
        """Create a Group and return it as it was answered."""
        body = {"schemas": [GROUP], "displayName": display_name, "members": [{"value": one} for one in members]}
        response = await self.post("/Groups", body)
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.json()
        return created

    async def read(self, resource: Mapping[str, Any], query: str = "") -> dict[str, Any]:
        """Read a resource again by the ``id`` and type of an earlier answer."""
        response = await self.get(f"/{resource['meta']['resourceType']}s/{resource['id']}{query}")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def members(self, group: Mapping[str, Any]) -> set[str]:
        """Return the ids of the members that a group shows."""
        return {member["value"] for member in (await self.read(group)).get("members", [])}

    async def row(self, resource: Mapping[str, Any]) -> ResourceRow:
        """Return the stored row of a resource."""
        kind, id_ = resource["meta"]["resourceType"], resource["id"]
        row = await self.store.read(lambda tx: resources.get(tx, self.connection_id, kind, id_, deleted=True))
        assert row is not None
        return row

    async def stored(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Return the stored document of a resource."""
        document: dict[str, Any] = json.loads((await self.row(resource)).document)
        return document

    async def compare(self) -> None:
        """Compare everything, and wait until what was handed over is done."""
        await Reconciler(self.provisioning).run()
        await self.provisioning.driver.idle()

    async def settled(self) -> None:
        """Wait until the driver has nothing left to do."""
        while keys := await self.store.read(
            lambda tx: resources.pending(tx, self.connection_id, now=datetime.now(UTC), limit=1)
        ):
            event = self.provisioning.driver.watch(keys[0].id)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), 0.1)

    def remote_members(self, display_name: str) -> set[str]:
        """Return the userNames that hold a group in the remote system."""
        groups = {id_ for id_, group in self.remote.groups.items() if group.display_name == display_name}
        return {
            str(self.remote.accounts[account].user.user_name)
            for group, account in self.remote.members
            if group in groups
        }

    def remote_active(self) -> dict[str, bool]:
        """Return the userNames of the remote system with whether they are active."""
        return {str(account.user.user_name): account.active for account in self.remote.accounts.values()}


@asynccontextmanager
async def bridge(
    directory: Path,
    *connection_ids: str,
    client: ClientPreset | None = None,
    options: ConnectionOptions | None = None,
    server_options: ServerOptions | None = None,
    policy: ProvisioningPolicy | None = None,
    extensions: tuple[Mapping[str, Any], ...] = (),
    connector_type: type[Connector[Any]] = MemoryConnector,
) -> AsyncIterator[list[Tenant]]:
    """Run a bridge with some connections, each with a token and a remote system of its own."""
    store = await Store.open(f"sqlite:///{directory / 'bridge.db'}")
    metrics = Metrics()
    connections: dict[str, ServedConnection] = {}
    server = create_server(
        connections, authenticate=TokenAuthentication(store), metrics=metrics, options=server_options
    )
    transport = httpx2.ASGITransport(app=server)
    async with httpx2.AsyncClient(transport=transport, base_url="http://bridge.test") as http:
        tenants = []
        contexts = []
        drivers = []
        for connection_id in connection_ids or ("acme",):
            name = f"{connection_id}-{uuid4()}"
            context = connected(connector_type, {"remote": name}, connection_id=connection_id)
            connector = await context.__aenter__()
            contexts.append((context, name))
            chosen = client or preset("generic")
            told, asked = "list_entitlements" in connector.operations, policy is not None and policy.assign != "groups"
            entitlements: Any = "kept" if not told else "asked" if asked else "shown"
            provider = BridgeProvider(extensions, chosen.policy, entitlements=entitlements)
            provisioning = Provisioning(
                connection_id,
                store,
                connector,
                replace(policy or ProvisioningPolicy(), budget=5.0),
                user_model=cast("type[User]", provider.model("User")),
            )
            drivers.append(asyncio.create_task(provisioning.driver.run()))
            token, record = tokens.mint(connection_id, now=datetime.now(UTC), environment="test")
            await store.write(partial(_keep, record=record))
            tenant = Tenant(connection_id, token, MemoryRemote.named(name), provisioning, store, http, server)
            connections[connection_id] = served(
                provisioning,
                chosen,
                provider,
                secret=SECRET,
                options=options,
                count=tenant.quirks.append,
            )
            tenants.append(tenant)
        try:
            yield tenants
        finally:
            await server.drain(1)
            for tenant in tenants:
                await tenant.provisioning.driver.stop()
            await asyncio.gather(*drivers)
            for context, name in contexts:
                await context.__aexit__(None, None, None)
                MemoryRemote.forget(name)
            await store.close()


def _keep(tx: Transaction, record: tokens.TokenRecord) -> None:
    tokens.create(tx, record)


def attempt(call: Callable[[], T]) -> tuple[T | None, SCIMException | None]:
    """Return what a call returned, or the SCIM error it raised; any other error fails the test."""
    try:
        return call(), None
    except SCIMException as error:
        return None, error


def moment(text: str) -> datetime:
    """Return an xsd:dateTime of an answer."""
    parsed = datetime.fromisoformat(text)
    assert parsed.tzinfo is not None
    return parsed.astimezone(UTC)
