"""A bridge before a bridge: what one client says reaches the remote system of the other, step by step."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from scim_bridge.models import Group, User
from scim_bridge.provisioning import Provisioning, ProvisioningPolicy
from scim_bridge.store import resources
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.testing.contexts import connected
from scim_bridge.testing.memory import MemoryGroupsConnector
from scim_bridge.upstream import HttpClients
from scim_bridge_scim.connector import ScimConnector
from tests.http.bridge import Tenant, bridge

OUTER = "outer"


def always(etag: str) -> None:
    """Let every request pass: no If-Match was sent."""


@asynccontextmanager
async def outer_bridge(directory: Path, inner: Tenant) -> AsyncIterator[Provisioning]:
    """Run a bridge whose remote system is another bridge."""
    store = await Store.open(f"sqlite:///{directory / 'outer.db'}")
    settings = {
        "base_url": f"http://localhost/{inner.connection_id}/scim/v2",
        "token": inner.token,
        "requests_per_second": 1000,
    }
    clients = HttpClients(httpx2.ASGITransport(app=inner.server))
    async with connected(ScimConnector, settings, connection_id=OUTER, http_client=clients) as connector:
        provisioning = Provisioning(OUTER, store, connector, ProvisioningPolicy(budget=20.0), chance=lambda: 0.0)
        driving = asyncio.create_task(provisioning.driver.run())
        try:
            yield provisioning
        finally:
            await provisioning.driver.stop()
            await driving
            await store.close()


def setting(**values: Any) -> Any:
    """Return a change that sets attributes of a User."""

    def change(current: User) -> User:
        for name, value in values.items():
            setattr(current, name, value)
        return current

    return change


async def test_a_life_reaches_the_remote_system_behind_the_other_bridge(tmp_path: Path) -> None:
    """Create, push, leave, deactivate, come back, delete: each is true at the far end when it is answered."""
    async with (
        bridge(tmp_path, connector_type=MemoryGroupsConnector) as (inner,),
        outer_bridge(tmp_path, inner) as outer,
    ):
        ada = (await outer.create_user(User(user_name="ada@corp.example", active=True))).row.id
        bob = (await outer.create_user(User(user_name="bob@corp.example", active=True))).row.id
        assert inner.remote_active() == {"ada@corp.example": True, "bob@corp.example": True}

        members = [{"value": ada}, {"value": bob}]
        sales = (await outer.create_group(Group.model_validate({"displayName": "Sales", "members": members}))).row.id
        assert inner.remote_members("Sales") == {"ada@corp.example", "bob@corp.example"}

        await outer.modify_group(sales, None, [MemberDelta("remove", (bob,))], always)
        assert inner.remote_members("Sales") == {"ada@corp.example"}

        await outer.modify_user(ada, setting(active=False), always)
        assert inner.remote_active() == {"ada@corp.example": False, "bob@corp.example": True}
        await outer.modify_user(ada, setting(active=True), always)
        assert inner.remote_active()["ada@corp.example"]

        await outer.delete_user(bob, always)
        assert "bob@corp.example" not in inner.remote_active()

        rows = await outer.store.read(lambda tx: [resources.get(tx, OUTER, "User", ada)])
        assert [row.state for row in rows if row is not None] == [State.SETTLED]
