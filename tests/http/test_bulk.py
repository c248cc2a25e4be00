"""A Bulk request is answered in the time of one request, and resolves references that go in a circle."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.protocol import preset
from tests.http.bridge import ENTERPRISE, USER, Tenant, bridge

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


def _user(name: str, manager: str | None = None) -> dict[str, Any]:
    data = {"schemas": [USER, ENTERPRISE], "userName": f"{name}@example.com"}
    return {
        "method": "POST",
        "path": "/Users",
        "bulkId": name,
        "data": data
        | ({ENTERPRISE: {"department": "D", "manager": {"value": f"bulkId:{manager}"}}} if manager else {}),
    }


@pytest.mark.parametrize("client", ["generic", "strict"])
async def test_creations_that_refer_to_each_other_or_to_themselves_are_made(tmp_path: Path, client: str) -> None:
    """Two who manage each other, and one who manages herself (RFC 7644 §3.7.1): stored as asked for, and there once."""
    async with bridge(tmp_path, client=preset(client)) as (acme,):
        operations = [_user("ada", "bob"), _user("bob", "ada"), _user("eve", "eve")]
        response = await acme.post("/Bulk", {"schemas": [BULK], "Operations": operations})
        told = response.json()["Operations"]
        assert [one["status"] for one in told] == ["201"] * 3, told
        ids = {one["bulkId"]: one["location"].rpartition("/")[2] for one in told}
        for name, manager in (("ada", "bob"), ("bob", "ada"), ("eve", "eve")):
            stored = await acme.stored({"id": ids[name], "meta": {"resourceType": "User"}})
            assert stored[ENTERPRISE] == {"department": "D", "manager": {"value": ids[manager]}}
        assert acme.remote_active() == {f"{name}@example.com": True for name in ids}
        assert acme.remote.called("create_user") == 3


@pytest.mark.parametrize(("taken", "made"), [("bob", {"eve"}), ("ada", {"bob", "eve"})])
async def test_a_circle_of_which_one_cannot_be_made_tells_both(acme: Tenant, taken: str, made: set[str]) -> None:
    """Nothing refers to somebody who was not made here; the others of the request are made."""
    await acme.user(f"{taken}@example.com", externalId="another")
    operations = [_user("ada", "bob"), _user("bob", "ada"), _user("eve")]
    for one in operations:
        one["data"]["externalId"] = one["bulkId"]
    told = (await acme.post("/Bulk", {"schemas": [BULK], "Operations": operations})).json()["Operations"]
    assert [one["status"] for one in told] == ["409", "409", "201"]
    assert acme.remote_active() == {f"{name}@example.com": True for name in made | {taken}}
    for found in (await acme.get("/Users")).json()["Resources"]:
        assert "manager" not in (await acme.stored(found)).get(ENTERPRISE, {})
