"""A group as a member of a group (RFC 7643 §4.2): refused, or left out and told; nobody gets anything through it."""

from pathlib import Path
from typing import Any

import pytest

from scim_bridge.connector import Connector
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.testing.memory import MemoryConnector, MemoryGroupsConnector
from tests.http.bridge import GROUP, PATCH_OP, Tenant, bridge

ADA, BOB = "ada@example.com", "bob@example.com"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


async def writes(acme: Tenant, outer: dict[str, Any], members: list[dict[str, str]]) -> list[tuple[int, str | None]]:
    """Put members into a group in each way there is; return status and ``scimType`` of each answer."""
    path, body = f"/Groups/{outer['id']}", {"schemas": [GROUP], "displayName": "Outer", "members": members}
    operation = {"op": "add", "path": "members", "value": members}
    data = {"schemas": [PATCH_OP], "Operations": [operation]}
    in_bulk = {"schemas": [BULK], "Operations": [{"method": "PATCH", "path": path, "data": data}]}
    answers = [await acme.put(path, body), await acme.patch(path, operation)]
    told = [(one.status_code, one.json().get("scimType") if one.content else None) for one in answers]
    (one,) = (await acme.post("/Bulk", in_bulk)).json()["Operations"]
    return [*told, (int(one["status"]), one.get("response", {}).get("scimType"))]


@pytest.mark.parametrize("connector", [MemoryConnector, MemoryGroupsConnector], ids=["on people", "on groups"])
@pytest.mark.parametrize("setting", ["refuse", "drop"])
async def test_a_group_in_a_group(
    tmp_path: Path, connector: type[Connector[Any]], setting: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused, nothing is changed; left out, the people named beside it join. The inner group gives nothing."""
    policy = ProvisioningPolicy(nested_groups=setting)
    async with bridge(tmp_path, policy=policy, connector_type=connector) as (acme,):
        ada, bob = await acme.user(ADA), await acme.user(BOB)
        inner, outer = await acme.group("Inner", bob["id"]), await acme.group("Outer")
        members = [{"value": ada["id"]}, {"value": inner["id"], "type": "Group"}]

        told = await writes(acme, outer, members)

        if setting == "refuse":
            assert told == [(400, "invalidValue")] * 3
            assert (await acme.members(outer), acme.remote_members("Outer")) == (set(), set())
            body = {"schemas": [GROUP], "displayName": "New", "members": members}
            answer = await acme.post("/Groups", body)
            assert (answer.status_code, inner["id"] in answer.json()["detail"]) == (400, True)
            assert "New" not in {group.display_name for group in acme.remote.groups.values()}
        else:
            assert told == [(200, None), (204, None), (200, None)]
            assert (await acme.members(outer), acme.remote_members("Outer")) == ({ada["id"]}, {ADA})
            assert caplog.text.count("1 groups were left out of its members") == 3

        eve = await acme.user("eve@example.com")
        change = {"op": "add", "path": "members", "value": [{"value": eve["id"]}]}
        assert (await acme.patch(f"/Groups/{inner['id']}", change)).status_code == 204
        assert acme.remote_members("Inner") == {BOB, "eve@example.com"}
        assert acme.remote_members("Outer") == (set() if setting == "refuse" else {ADA})


async def test_a_list_of_groups_alone_empties_no_group(tmp_path: Path) -> None:
    """Of a whole list nothing is left when its groups are left out: it is refused, and who is in the group stays."""
    async with bridge(tmp_path, policy=ProvisioningPolicy(nested_groups="drop")) as (acme,):
        ada = await acme.user(ADA)
        inner, outer = await acme.group("Inner"), await acme.group("Outer", ada["id"])
        body = {"schemas": [GROUP], "displayName": "Outer", "members": [{"value": inner["id"], "type": "Group"}]}

        answer = await acme.put(f"/Groups/{outer['id']}", body)

        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
        assert acme.remote_members("Outer") == {ADA}


async def test_a_group_that_would_hold_itself_is_refused_in_bulk(acme: Tenant) -> None:
    """The group is told as made without it, never as holding a group, nor as not there."""
    made = {
        "method": "POST",
        "path": "/Groups",
        "bulkId": "g",
        "data": {"schemas": [GROUP], "displayName": "Ring", "members": [{"value": "bulkId:g", "type": "Group"}]},
    }
    (told,) = (await acme.post("/Bulk", {"schemas": [BULK], "Operations": [made]})).json()["Operations"]
    assert told["status"] == "400", told
    (group,) = (await acme.get("/Groups")).json()["Resources"]
    assert not group.get("members")
    detail = told["response"]["detail"]
    assert detail.endswith(f"; made without that, as {group['id']}"), detail
    assert "nothing was changed" not in detail
