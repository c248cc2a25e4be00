"""A whole connection on a portal: the bridge's own provisioning and store, the connector, and the emulator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx2
from scim2_models import ScimPolicy

from plugins.hubspot.tests.connector.portals import World
from scim_bridge.models import Group, Kind, User
from scim_bridge.protocol import BridgeProvider, preset
from scim_bridge.provisioning import Provisioning, ProvisioningPolicy
from scim_bridge.provisioning.drift import Comparison
from scim_bridge.provisioning.reconcile import Reconciler
from scim_bridge.server import Metrics, TokenAuthentication, create_server, served
from scim_bridge.store import memberships, resources, tokens
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import MemberDelta, ResourceRow

CONNECTION = "connection"
DEFAULT = ProvisioningPolicy()


def always(etag: str) -> None:
    """Let every request pass: no If-Match was sent."""


@dataclass
class Bridged:
    """A connection under test, as a client writes to it and as a read shows it."""

    provisioning: Provisioning
    store: Store
    client: str = "generic"

    def provider(self, policy: ScimPolicy | None = None) -> BridgeProvider:
        """Return what the connection publishes."""
        asks = self.provisioning.policy.assign != "groups"
        return BridgeProvider(policy=policy, entitlements="asked" if asks else "shown")

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx2.AsyncClient]:
        """Serve the connection; return a client below its base URL, with a token."""
        token, record = tokens.mint(CONNECTION, now=datetime.now(UTC), environment="test")
        await self.store.write(lambda tx: tokens.create(tx, record))
        chosen = preset(self.client)
        connection = served(self.provisioning, chosen, self.provider(chosen.policy), secret="s" * 32)
        server = create_server(
            {CONNECTION: connection}, authenticate=TokenAuthentication(self.store), metrics=Metrics()
        )
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=server),
            base_url=f"http://bridge.test/{CONNECTION}/scim/v2",
            headers={"Authorization": f"Bearer {token}"},
        ) as client:
            yield client
        await server.drain(1)

    async def compare(self) -> Comparison:
        """Compare everything, and take over what is there."""
        one = self.provisioning
        comparison = await Reconciler(one).run()
        await one.driver.idle()
        return comparison

    async def named(self, kind: Kind, name: str) -> ResourceRow:
        """Return a live User or Group."""
        row = await self.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, kind, name))
        assert row is not None
        return row

    async def stored(self, kind: Kind, id_: str) -> str:
        """Return the stored document of a User or Group."""
        row = await self.store.read(lambda tx: resources.get(tx, CONNECTION, kind, id_))
        assert row is not None
        return row.document.decode()

    async def user(self, email: str, **attributes: Any) -> str:
        """Create a User; return its id."""
        return (await self.provisioning.create_user(User(user_name=email, active=True, **attributes))).row.id

    async def active(self, user_id: str, active: bool) -> None:
        """Change ``active``."""

        def change(user: User) -> User | None:
            if user.active is active:
                return None
            user.active = active
            return user

        await self.provisioning.modify_user(user_id, change, always)

    async def group(self, name: str, *members: str) -> str:
        """Push a group; return its id."""
        group = Group.model_validate({"displayName": name, "members": [{"value": one} for one in members]})
        return (await self.provisioning.create_group(group)).row.id

    async def members(self, group_id: str, action: str, *ids: str) -> None:
        """Change the members of a group: add, remove or replace."""
        await self.provisioning.modify_group(group_id, None, [MemberDelta(action, ids)], always)

    async def delete_group(self, group_id: str) -> None:
        """Delete a group."""
        await self.provisioning.delete_group(group_id, always)

    async def shown(self, group_id: str) -> set[str]:
        """Return the userNames of the members that a read shows."""
        found = await self.store.read(lambda tx: memberships.members_of(tx, CONNECTION, group_id))
        return {one.name for one in found}

    async def groups(self, user_id: str) -> set[str]:
        """Return the displayNames of the groups that a read of a User shows."""
        found = await self.store.read(lambda tx: memberships.groups_of(tx, CONNECTION, [user_id], deleted=False))
        return {one.name for one in found[user_id]}


@asynccontextmanager
async def bridged(
    path: Path,
    portal: World,
    *,
    budget: float = 5.0,
    policy: ProvisioningPolicy = DEFAULT,
    client: str = "generic",
    **settings: Any,
) -> AsyncIterator[Bridged]:
    """Open a bridge on a portal.

    :param settings: Settings of the connector.
    """
    store = await Store.open(f"sqlite:///{path / 'bridge.db'}")
    try:
        async with portal.connector(**settings) as connector:
            asks = policy.assign != "groups"
            model = BridgeProvider(entitlements="asked" if asks else "shown").model("User")
            provisioning = Provisioning(
                CONNECTION,
                store,
                connector,
                replace(policy, budget=budget),
                chance=lambda: 0.0,
                user_model=cast("type[User]", model),
            )
            running = asyncio.create_task(provisioning.driver.run())
            try:
                yield Bridged(provisioning, store, client)
            finally:
                running.cancel()
                provisioning.driver.abandon()
                with suppress(asyncio.CancelledError):
                    await running
    finally:
        await store.close()
