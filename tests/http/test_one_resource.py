"""Over HTTP: what a filter finds and what a creation runs into are the same, in every form of a name."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from scim_bridge.config import ConnectionSettings
from scim_bridge.protocol import preset
from scim_bridge.provisioning import ProvisioningPolicy
from tests.http.bridge import GROUP, USER, Tenant, bridge

RALF = "ralf@example.com"
SPELLINGS = [RALF, f" {RALF}", f"{RALF}  ", "RALF@Example.com"]
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


async def found(acme: Tenant, endpoint: str, attribute: str, value: str) -> list[str]:
    """Return the ids that a filter finds."""
    answer = await acme.get(f'/{endpoint}?filter={quote(f"""{attribute} eq "{value}" """.strip())}')
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["Resources"]]


def written(name: str, **attributes: Any) -> dict[str, Any]:
    """Return the body of a creation."""
    return {"schemas": [USER], "userName": name, **attributes}


@pytest.mark.parametrize("client", ["generic", "okta", "entra", "strict"])
@pytest.mark.parametrize("first", SPELLINGS)
async def test_spellings_of_one_user_name_are_one_user(tmp_path: Path, client: str, first: str) -> None:
    """Blanks around it and case make no other person: found under each, and a conflict under each."""
    async with bridge(tmp_path, client=preset(client)) as (acme,):
        ralf = await acme.user(first, externalId="1")
        assert ralf["userName"] == first.strip()
        for spelling in SPELLINGS:
            assert await found(acme, "Users", "userName", spelling) == [ralf["id"]]
            assert (await acme.post("/Users", written(spelling, externalId="2"))).status_code == 409
        assert len(acme.remote.accounts) == 1


@pytest.mark.parametrize("form", ["put", "patch"])
async def test_blanks_in_a_change_of_a_user_name(acme: Tenant, form: str) -> None:
    """A PUT or PATCH takes them off, too."""
    ralf = await acme.user(RALF)
    if form == "put":
        answer = await acme.put(f"/Users/{ralf['id']}", written(f"  {RALF} "))
    else:
        answer = await acme.patch(f"/Users/{ralf['id']}", {"op": "replace", "path": "userName", "value": f" {RALF} "})
    assert answer.status_code == 200
    assert (await acme.stored(ralf))["userName"] == RALF
    assert list(acme.remote_active()) == [RALF]


async def test_spellings_of_one_group_name_are_one_group(acme: Tenant) -> None:
    """The same of a displayName."""
    sales = await acme.group("Sales ")
    for spelling in ("Sales", " Sales", "SALES"):
        assert await found(acme, "Groups", "displayName", spelling) == [sales["id"]]
        assert (await acme.post("/Groups", {"schemas": [GROUP], "displayName": spelling})).status_code == 409
    assert len(acme.remote.groups) == 1


@pytest.mark.parametrize("form", ["patch", "put", "bulk"])
async def test_a_soft_delete_in_every_form_frees_the_name(acme: Tenant, form: str) -> None:
    """Rename and deactivation in one request, and the old name created again: one account, and it is the new User's."""
    ralf = await acme.user(RALF, externalId="1")
    path, renamed = f"/Users/{ralf['id']}", "0f5fd9b6a5a84d5fb3e3b9a1c1d2e3f4" + RALF
    operation = {"op": "replace", "value": {"userName": renamed, "active": False}}
    again = written(RALF, externalId="1")
    if form == "bulk":
        data = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
        operations = [
            {"method": "PATCH", "path": path, "data": data},
            {"method": "POST", "path": "/Users", "bulkId": "1", "data": again},
        ]
        answer = await acme.post("/Bulk", {"schemas": [BULK], "Operations": operations})
        assert [one["status"] for one in answer.json()["Operations"]] == ["200", "201"]
    else:
        if form == "put":
            assert (await acme.put(path, written(renamed, externalId="1", active=False))).status_code == 200
        else:
            assert (await acme.patch(path, operation)).status_code == 200
        assert await found(acme, "Users", "userName", RALF) == []
        assert (await acme.post("/Users", again)).status_code == 201

    (new,) = await found(acme, "Users", "userName", RALF)
    assert new != ralf["id"]
    assert acme.remote_active() == {RALF: True}
    assert (await acme.delete(path)).status_code == 204
    assert acme.remote_active() == {RALF: True}


@pytest.mark.parametrize(("client", "status"), [("generic", 409), ("okta", 409), ("strict", 409), ("entra", 201)])
async def test_a_creation_that_is_sent_again(tmp_path: Path, client: str, status: int) -> None:
    """Only a client that is known to repeat blindly is answered 201 again, and only to the very same body."""
    settings = ConnectionSettings.model_validate({"connector": "memory", "client": client})
    async with bridge(tmp_path, client=preset(client), policy=settings.policy()) as (acme,):
        ralf = await acme.user(RALF, externalId="1", title="Count")
        again = await acme.post("/Users", written(RALF, externalId="1", title="Count"))
        other = await acme.post("/Users", written(RALF, externalId="1"))

        assert again.status_code == status
        assert status == 409 or again.json()["id"] == ralf["id"]
        assert other.status_code == 409
        assert (await acme.stored(ralf))["title"] == "Count"


async def test_a_group_creation_that_is_sent_again(tmp_path: Path) -> None:
    """The same holds of Groups."""
    policy = ProvisioningPolicy(idempotent_create=timedelta(minutes=5))
    async with bridge(tmp_path, policy=policy) as (acme,):
        body = {"schemas": [GROUP], "displayName": "Sales", "externalId": "1"}
        first = await acme.post("/Groups", body)
        again = await acme.post("/Groups", body)
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json()["id"] == first.json()["id"]
    async with bridge(tmp_path, "other", policy=ProvisioningPolicy()) as (acme,):
        assert (await acme.post("/Groups", body)).status_code == 201
        assert (await acme.post("/Groups", body)).status_code == 409
