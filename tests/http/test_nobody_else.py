"""What a client is answered, and shown, where members or groups are not its own, or somebody cannot be changed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.errors import RemoteForbiddenError
from scim_bridge.server import ConnectionOptions
from scim_bridge.testing.memory_remote import Call, Fault
from tests.http.bridge import GROUP, Tenant, bridge

MARY, NEW = "mary@example.com", "new@example.com"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


@asynccontextmanager
async def portal(directory: Path, **options: Any) -> AsyncIterator[tuple[Tenant, dict[str, Any]]]:
    """Open a bridge that has imported Sales with Mary in it, made by hand; return it and the group as it is read."""
    async with bridge(directory, options=ConnectionOptions(**options)) as (acme,):
        acme.remote.members.add((acme.remote.add_group("Sales"), acme.remote.add_account(MARY)))
        await acme.compare()
        found = (await acme.get('/Groups?filter=displayName eq "Sales"'.replace(" ", "%20"))).json()["Resources"]
        yield acme, found[0] if found else {}


async def bulk(acme: Tenant, method: str, path: str, data: Any = None) -> dict[str, Any]:
    """Send one operation in a Bulk request and return its outcome."""
    operation = {"method": method, "path": path, "bulkId": "1"} | ({"data": data} if data else {})
    response = await acme.post("/Bulk", {"schemas": [BULK], "Operations": [operation]})
    outcome: dict[str, Any] = response.json()["Operations"][0]
    return outcome


async def test_a_group_of_nobody_is_not_deleted(tmp_path: Path) -> None:
    """DELETE, alone or in Bulk: 403, and neither store nor remote system is changed."""
    async with portal(tmp_path) as (acme, sales):
        response = await acme.delete(f"/Groups/{sales['id']}")
        assert (response.status_code, "delete_unowned" in response.json()["detail"]) == (403, True)
        assert (await bulk(acme, "DELETE", f"/Groups/{sales['id']}"))["status"] == "403"
        assert await acme.read(sales) == sales
        assert acme.remote_members("Sales") == {MARY}


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("form", ["PUT", "PUT without members", "PATCH", "PATCH remove all", "Bulk"])
async def test_a_whole_list_is_about_whom_clients_manage(tmp_path: Path, form: str, listed: bool) -> None:
    """Mary stays, whether lists show her or not, and is shown in the group; whom the client put in comes or goes."""
    async with portal(tmp_path, list_unmanaged=listed) as (acme, _):
        new, old = await acme.user(NEW), await acme.user("old@example.com")
        sales = await acme.group("Sales", old["id"])
        (mary,) = await acme.members(sales) - {old["id"]}
        path, body = f"/Groups/{sales['id']}", {"schemas": [GROUP], "displayName": "Sales"}
        named = {"members": [{"value": new["id"]}]}
        answers = {
            "PUT": lambda: acme.put(path, body | named),
            "PUT without members": lambda: acme.put(path, body),
            "PATCH": lambda: acme.patch(path, {"op": "replace", "path": "members", "value": named["members"]}),
            "PATCH remove all": lambda: acme.patch(path, {"op": "remove", "path": "members"}),
        }
        if form == "Bulk":
            assert (await bulk(acme, "PUT", path, body | named))["status"] == "200"
        else:
            assert (await answers[form]()).is_success

        empties = form in {"PUT without members", "PATCH remove all"}
        assert acme.remote_members("Sales") == ({MARY} if empties else {MARY, NEW})
        assert await acme.members(sales) == ({mary} if empties else {mary, new["id"]})

        removal = {"op": "remove", "path": f'members[value eq "{mary}"]'}
        assert (await acme.patch(path, removal)).is_success
        assert MARY not in acme.remote_members("Sales")


async def test_a_list_of_unknown_ids_is_refused(tmp_path: Path) -> None:
    """PUT, PATCH replace and Bulk with ids of another database: 400 invalidValue, nothing changed."""
    async with portal(tmp_path) as (acme, _):
        new = await acme.user(NEW)
        sales = await acme.group("Sales", new["id"])
        before = await acme.read(sales)
        path, stale = f"/Groups/{sales['id']}", [{"value": "stale-1"}, {"value": "stale-2"}]
        whole = {"schemas": [GROUP], "displayName": "Vendas", "members": stale}
        for response in (
            await acme.put(path, whole),
            await acme.patch(path, {"op": "replace", "path": "members", "value": stale}),
            await acme.patch(path, {"op": "replace", "value": {"displayName": "Vendas", "members": stale}}),
        ):
            assert (response.status_code, response.json()["scimType"]) == (400, "invalidValue")
        assert (await bulk(acme, "PUT", path, whole))["status"] == "400"
        assert await acme.read(sales) == before
        assert acme.remote_members("Sales") == {MARY, NEW}


async def test_a_refused_deletion_names_who_and_why_and_reads_show_them(tmp_path: Path) -> None:
    """403 and again 403, never 429; the group, its filter and the person show what the remote system still has."""
    async with bridge(tmp_path) as (acme,):
        new, old = await acme.user(NEW), await acme.user("old@example.com")
        sales = await acme.group("Sales", new["id"], old["id"])
        account = acme.remote.find(NEW)
        assert account is not None

        def refuse(call: Call) -> Fault | None:
            stuck = call.hook == "set_user_groups" and call.remote_id == account.remote_id
            return Fault(RemoteForbiddenError("two sets")) if stuck else None

        acme.remote.intercept = refuse
        for _ in range(2):
            response = await acme.delete(f"/Groups/{sales['id']}")
            assert (response.status_code, response.json()["detail"]) == (403, f"{NEW}: two sets")
            assert await acme.members(sales) == {new["id"]}
            assert [one["value"] for one in (await acme.read(new))["groups"]] == [sales["id"]]
            assert acme.remote_members("Sales") == {NEW}
        shown = await acme.read(sales)
        assert "active" not in shown
        found = await acme.get(f"/Groups?filter=members.value%20eq%20%22{new['id']}%22")
        assert [one["id"] for one in found.json()["Resources"]] == [sales["id"]]
        assert (await acme.get(f"/Groups?filter=members.value%20eq%20%22{old['id']}%22")).json()["totalResults"] == 0

        acme.remote.intercept = None
        assert (await acme.delete(f"/Groups/{sales['id']}")).status_code == 204
        assert (await acme.get(f"/Groups/{sales['id']}")).status_code == 404
        assert not acme.remote.groups


async def test_an_inactive_member_who_is_removed_is_shown_nowhere(tmp_path: Path) -> None:
    """Group, User and filters, in each form of the removal."""
    async with bridge(tmp_path) as (acme,):
        people = [await acme.user(f"p{number}@example.com") for number in range(3)]
        sales = await acme.group("Sales", *(one["id"] for one in people))
        path = f"/Groups/{sales['id']}"
        for one in people:
            await acme.patch(f"/Users/{one['id']}", {"op": "replace", "path": "active", "value": False})
        first, second, third = (one["id"] for one in people)
        await acme.patch(path, {"op": "remove", "path": f'members[value eq "{first}"]'})
        assert await acme.members(sales) == {second, third}
        whole = {"schemas": [GROUP], "displayName": "Sales"}
        assert (await acme.put(path, whole | {"members": [{"value": third}]})).json()["members"][0]["value"] == third
        assert (await acme.put(path, whole)).json().get("members", []) == []
        for one in people:
            assert "groups" not in await acme.read(one)
            found = await acme.get(f"/Groups?filter=members.value%20eq%20%22{one['id']}%22")
            assert found.json()["totalResults"] == 0
