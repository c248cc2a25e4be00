"""A Bulk request is answered in the time of one request."""

import asyncio
from pathlib import Path

from tests.http.bridge import USER, bridge

OPERATIONS = 6
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


async def test_all_operations_share_one_budget_and_what_is_durable_is_driven(tmp_path: Path) -> None:
    """While the remote system hangs, each operation is told pending within one budget; afterwards all are made."""
    async with bridge(tmp_path) as (acme,):
        budget = acme.provisioning.policy.budget
        gate = acme.remote.hold("create_user")
        operations = [
            {
                "method": "POST",
                "path": "/Users",
                "bulkId": str(number),
                "data": {"schemas": [USER], "userName": f"person{number}@example.com"},
            }
            for number in range(OPERATIONS)
        ]
        loop = asyncio.get_running_loop()
        started = loop.time()

        response = await acme.post("/Bulk", {"schemas": [BULK], "Operations": operations})

        assert loop.time() - started < 2 * budget
        assert [one["status"] for one in response.json()["Operations"]] == ["429"] * OPERATIONS
        assert not acme.remote.accounts
        gate.release()
        await acme.settled()
        assert len(acme.remote_active()) == OPERATIONS
