"""A connection that plans, over HTTP: every write is answered as if it were done, every read shows it so."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from scim_bridge.connector import Connector
from scim_bridge.provisioning import observing
from scim_bridge.testing.memory import MemoryConnector, MemoryGroupsConnector
from tests.http.bridge import GROUP, USER, Tenant, bridge

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
ADA, BOB, CYD = "ada@example.com", "bob@example.com", "cyd@example.com"
CHANGES = ("create_", "update_", "delete_", "deactivate_", "reactivate_", "set_", "add_", "remove_", "finish_")


def changes(acme: Tenant) -> list[str]:
    """Return the hooks that were called to change something."""
    return [call.hook for call in acme.remote.calls if call.hook.startswith(CHANGES)]


async def switch(acme: Tenant, reason: observing.Reason) -> None:
    """Have the connection plan, or observe."""
    await acme.store.write(lambda tx: observing.begin(tx, acme.connection_id, reason, now=datetime.now(UTC)))


async def listed(acme: Tenant, path: str, condition: str) -> list[dict[str, Any]]:
    """Return what a filter finds, asked the short way and the long one."""
    found = [
        (await acme.get(f"{path}?filter={quote(condition)}{more}")).json()
        for more in ("", "&attributes=userName,displayName,active,members,groups")
    ]
    names = [[one.get("userName", one.get("displayName")) for one in page.get("Resources", [])] for page in found]
    assert names[0] == names[1]
    resources: list[dict[str, Any]] = found[0].get("Resources", [])
    return resources


@pytest.mark.parametrize("connector_type", [MemoryConnector, MemoryGroupsConnector])
async def test_every_write_is_answered_and_shown_and_none_is_sent(
    tmp_path: Path, connector_type: type[Connector[Any]]
) -> None:
    """POST, PUT, PATCH, DELETE and Bulk of Users and Groups; held instead, reads show again what is."""
    async with bridge(tmp_path, connector_type=connector_type) as (acme,):
        ada, bob = await acme.user(ADA), await acme.user(BOB)
        eng, old = await acme.group("eng", ada["id"], bob["id"]), await acme.group("old", bob["id"])
        await switch(acme, "plan")
        before = changes(acme)

        put = {"schemas": [USER], "userName": ADA, "active": False}
        assert (await acme.put(f"/Users/{ada['id']}", put)).status_code == 200
        assert (await acme.patch(f"/Users/{bob['id']}", {"op": "replace", "value": {"title": "Boss"}})).is_success
        operation = {"method": "POST", "path": "/Users", "bulkId": "1", "data": {"schemas": [USER], "userName": CYD}}
        bulk = await acme.post("/Bulk", {"schemas": [BULK], "Operations": [operation]})
        assert bulk.json()["Operations"][0]["status"] == "201"
        cyd = (await listed(acme, "/Users", f'userName eq "{CYD}"'))[0]
        members = {"schemas": [GROUP], "displayName": "eng", "members": [{"value": cyd["id"]}]}
        assert (await acme.put(f"/Groups/{eng['id']}", members)).status_code == 200
        assert (await acme.group("new", bob["id"]))["members"][0]["value"] == bob["id"]
        assert (await acme.delete(f"/Groups/{old['id']}")).status_code == 204

        assert (await acme.read(ada))["active"] is False
        assert (await acme.read(ada, "?attributes=active"))["active"] is False
        assert [one["userName"] for one in await listed(acme, "/Users", "active eq false")] == [ADA]
        assert {one["display"] for one in (await acme.read(bob))["groups"]} == {"new"}
        assert await acme.members(eng) == {cyd["id"]}
        assert not await listed(acme, "/Groups", f'members.value eq "{ada["id"]}"')
        assert (await acme.get(f"/Groups/{old['id']}")).status_code == 404
        assert (await acme.delete(f"/Users/{bob['id']}")).status_code == 204
        assert (await acme.get(f"/Users/{bob['id']}")).status_code == 404
        assert not await listed(acme, "/Users", f'userName eq "{BOB}"')
        await acme.provisioning.driver.idle()
        assert changes(acme) == before

        planned = (await acme.get(f"/Users/{ada['id']}")).headers["ETag"]
        await switch(acme, "hold")
        assert (await acme.read(ada))["active"] is True
        assert (await acme.get(f"/Users/{ada['id']}")).headers["ETag"] != planned
        assert ada["id"] in await acme.members(eng)
        assert (await acme.put(f"/Users/{ada['id']}", put)).status_code == 429
        assert changes(acme) == before
