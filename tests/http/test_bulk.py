"""A Bulk request is answered in the time of one request, and resolves references that go in a circle."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.connector import Connector
from scim_bridge.protocol import preset
from scim_bridge.testing.memory import MemoryConnector, MemoryGroupsConnector
from tests.http.bridge import ENTERPRISE, GROUP, PATCH_OP, USER, Tenant, bridge

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


@pytest.mark.parametrize("connector", [MemoryConnector, MemoryGroupsConnector], ids=["on people", "on groups"])
async def test_what_a_later_operation_takes_is_not_added_again(tmp_path: Path, connector: type[Connector[Any]]) -> None:
    """A member who refers to the group, and is taken out of it by the same request: the order is as it is sent."""
    async with bridge(tmp_path, connector_type=connector) as (acme,):
        ada = _user("ada")
        ada["data"]["groups"] = [{"value": "bulkId:sales"}]
        sales = {"schemas": [GROUP], "displayName": "Sales", "members": [{"value": "bulkId:ada"}]}
        made = {"method": "POST", "path": "/Groups", "bulkId": "sales", "data": sales}
        emptied = {"schemas": [PATCH_OP], "Operations": [{"op": "remove", "path": "members"}]}
        out = {"method": "PATCH", "path": "/Groups/bulkId:sales", "data": emptied}
        told = (await acme.post("/Bulk", {"schemas": [BULK], "Operations": [ada, made, out]})).json()["Operations"]
        assert [one["status"] for one in told] == ["201", "201", "200"], told
        (group,) = (await acme.get("/Groups")).json()["Resources"]
        assert not group.get("members")
        assert acme.remote_members("Sales") == set()


async def test_a_circle_is_completed_or_told_when_the_request_is_stopped(acme: Tenant) -> None:
    """201 means that what was asked for is there, also when ``failOnErrors`` ends the rest."""
    for name in ("bob", "taken"):
        await acme.user(f"{name}@example.com", externalId="another")
    whole = [_user("ada", "eve"), _user("eve", "ada"), _user("taken")]
    broken = [_user("bob", "dan"), _user("dan", "bob"), _user("fay")]
    for one in (*whole, *broken):
        one["data"]["externalId"] = one["bulkId"]
    for operations, statuses in ((whole, ["201", "201", "409"]), (broken, ["409", "409"])):
        body = {"schemas": [BULK], "failOnErrors": 1, "Operations": operations}
        told = (await acme.post("/Bulk", body)).json()["Operations"]
        assert [one["status"] for one in told] == statuses, told
    found = {one["userName"].partition("@")[0]: one for one in (await acme.get("/Users")).json()["Resources"]}
    managers = {name: one.get(ENTERPRISE, {}).get("manager", {}).get("value") for name, one in found.items()}
    ada, eve = found["ada"]["id"], found["eve"]["id"]
    assert managers == {"ada": eve, "eve": ada, "bob": None, "taken": None, "dan": None}
