"""What a review found over HTTP: one budget for a Bulk request that waits, and an ETag for what is shown."""

import asyncio
from dataclasses import replace
from pathlib import Path

from scim_bridge.errors import RemoteUnavailableError
from tests.http.bridge import USER, bridge

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


async def test_a_bulk_request_has_one_budget_while_the_remote_system_is_down(tmp_path: Path) -> None:
    """Six operations on a remote system that is down take no longer than a few budgets together."""
    async with bridge(tmp_path) as (acme,):
        acme.provisioning.policy = replace(acme.provisioning.policy, budget=0.5)
        acme.remote.down = RemoteUnavailableError("down", retry_after=0.2)
        operations = [
            {
                "method": "POST",
                "path": "/Users",
                "bulkId": f"b{number}",
                "data": {"schemas": [USER], "userName": f"u{number}@x.example"},
            }
            for number in range(6)
        ]
        loop = asyncio.get_running_loop()
        started = loop.time()

        await acme.post("/Bulk", {"schemas": [BULK], "Operations": operations})

        assert loop.time() - started < 1.5
        acme.remote.down = None


async def test_a_group_whose_pending_removal_is_enforced_has_another_etag(tmp_path: Path) -> None:
    """A client that read the group during the removal is not told afterwards that nothing has changed."""
    async with bridge(tmp_path) as (acme,):
        user = await acme.user()
        group = await acme.group("eng", user["id"])
        path = f"/Groups/{group['id']}"
        gate = acme.remote.hold("set_user_groups")
        removing = asyncio.create_task(acme.patch(path, {"op": "remove", "path": f'members[value eq "{user["id"]}"]'}))
        await gate.entered.wait()
        during = await acme.get(path)

        gate.release()

        assert (await removing).status_code == 204
        after = await acme.get(path, If_None_Match=during.headers["etag"])
        assert after.status_code == 200
