"""Okta's documented requests O1–O15, from both kinds of app, with what they leave in the store and upstream."""

from uuid import uuid4

import pytest

from tests.http.bridge import ERROR, GROUP, LIST_RESPONSE, PATCH_OP, USER, Tenant

CREATE = {
    "schemas": [USER],
    "userName": "test.user@okta.local",
    "name": {"givenName": "Test", "familyName": "User"},
    "emails": [{"primary": True, "value": "test.user@okta.local", "type": "work"}],
    "displayName": "Test User",
    "locale": "en-US",
    "externalId": "00ujl29u0le5T6Aj10h7",
    "groups": [],
    "password": "1mz050nq",
    "active": True,
}


async def test_o1_an_empty_store_answers_a_whole_envelope(acme: Tenant) -> None:
    """Okta reports "No results for users returned" when `Resources` is missing."""
    for path in ("/Users?startIndex=1&count=2", "/Groups?startIndex=1&count=100"):
        response = await acme.get(path)
        assert response.status_code == 200
        assert response.json() == {
            "schemas": [LIST_RESPONSE],
            "totalResults": 0,
            "startIndex": 1,
            "itemsPerPage": 0,
            "Resources": [],
        }


async def test_o2_an_import_walks_all_pages_in_one_order(acme: Tenant) -> None:
    """Every page tells what it holds in numbers, and no resource is seen twice."""
    created = [(await acme.user(f"u{number}@example.com"))["id"] for number in range(5)]
    seen = []
    for start in (1, 3, 5):
        page = (await acme.get(f"/Users?startIndex={start}&count=2")).json()
        assert page["totalResults"] == 5
        assert page["itemsPerPage"] == len(page["Resources"]) == (2 if start < 5 else 1)
        assert page["startIndex"] == start
        seen += [user["id"] for user in page["Resources"]]
    assert seen == created


async def test_o3_a_match_disregards_case(acme: Tenant) -> None:
    """The filter finds one resource, or none with status 200."""
    user = await acme.user("test.user@okta.local")
    query = "/Users?filter=userName%20eq%20%22TEST.user%40okta.local%22&startIndex=1&count=100"
    found = (await acme.get(query)).json()
    assert [one["id"] for one in found["Resources"]] == [user["id"]]
    missing = await acme.get("/Users?filter=userName%20eq%20%22nobody%40okta.local%22&startIndex=1&count=100")
    assert missing.status_code == 200
    assert missing.json()["totalResults"] == 0
    assert missing.json()["Resources"] == []


async def test_o4_a_creation_answers_the_whole_body_and_drops_the_password(acme: Tenant) -> None:
    """The account exists upstream; the placeholder password is nowhere."""
    response = await acme.post("/Users", CREATE, Content_Type="application/scim+json; charset=utf-8")
    assert response.status_code == 201
    created = response.json()
    assert created["id"]
    assert created["externalId"] == CREATE["externalId"]
    assert created["locale"] == "en-US"
    assert "password" not in response.text
    assert "1mz050nq" not in str(await acme.stored(created))
    assert acme.remote_active() == {"test.user@okta.local": True}
    assert all("1mz050nq" not in str(call.arguments) for call in acme.remote.calls)
    assert acme.quirks == ["password"]


async def test_o5_a_clash_is_409_with_scim_type_and_a_string_status(acme: Tenant) -> None:
    """Another person with the same userName is refused in words that Okta shows to its administrator."""
    await acme.post("/Users", CREATE)
    response = await acme.post("/Users", {**CREATE, "externalId": "another"})
    assert response.status_code == 409
    body = response.json()
    assert body["schemas"] == [ERROR]
    assert body["status"] == "409"
    assert body["scimType"] == "uniqueness"
    assert body["detail"]
    assert len(acme.remote.accounts) == 1


async def test_o6_a_profile_update_puts_back_what_get_returned(acme: Tenant) -> None:
    """Unknown and read-only parts come back and are ignored."""
    user = (await acme.post("/Users", CREATE)).json()
    got = await acme.read(user)
    body = {**got, "name": {"givenName": "Another", "middleName": "Excited", "familyName": "User"}, "surprise": 1}
    response = await acme.put(f"/Users/{user['id']}", body)
    assert response.status_code == 200
    changed = response.json()
    assert changed["name"]["givenName"] == "Another"
    assert changed["id"] == user["id"]
    assert changed["meta"]["created"] == user["meta"]["created"]
    (account,) = acme.remote.accounts.values()
    assert account.user.name is not None
    assert account.user.name.given_name == "Another"


@pytest.mark.parametrize("active", [False, "False"], ids=["boolean", "string"])
async def test_o7_o9_a_catalog_app_deactivates_and_reactivates_by_patch(acme: Tenant, active: object) -> None:
    """A PATCH without path; the person's access really ends and comes back."""
    user = (await acme.post("/Users", CREATE)).json()
    response = await acme.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"active": active}})
    assert response.status_code == 200
    assert response.json()["active"] is False
    assert response.json()["userName"] == CREATE["userName"]
    assert acme.remote_active() == {"test.user@okta.local": False}
    response = await acme.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"active": True}})
    assert response.json()["active"] is True
    assert acme.remote_active() == {"test.user@okta.local": True}


async def test_o8_o9_a_wizard_app_deactivates_and_reactivates_by_put(acme: Tenant) -> None:
    """The reduced attribute set of a custom app's PUT is enough."""
    user = (await acme.post("/Users", CREATE)).json()
    body = {
        "schemas": [USER],
        "id": user["id"],
        "userName": "test.user@okta.local",
        "name": {"givenName": "Another", "middleName": "Excited", "familyName": "User"},
        "emails": [
            {"primary": True, "value": "test.user@okta.local", "type": "work", "display": "test.user@okta.local"}
        ],
        "active": False,
        "groups": [],
        "meta": {"resourceType": "User"},
    }
    response = await acme.put(f"/Users/{user['id']}", body)
    assert response.status_code == 200
    assert response.json()["active"] is False
    assert acme.remote_active() == {"test.user@okta.local": False}
    response = await acme.put(f"/Users/{user['id']}", {**body, "active": True})
    assert response.json()["active"] is True
    assert acme.remote_active() == {"test.user@okta.local": True}


async def test_o9_a_lost_link_finds_and_creates_the_inactive_user_again(acme: Tenant) -> None:
    """O3 finds an inactive user, and a POST with its userName reactivates it."""
    user = (await acme.post("/Users", CREATE)).json()
    await acme.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"active": False}})
    found = (await acme.get('/Users?filter=userName eq "test.user@okta.local"')).json()
    assert found["Resources"][0]["active"] is False
    response = await acme.post("/Users", CREATE)
    assert response.status_code == 201
    assert response.json()["id"] == user["id"]
    assert response.json()["active"] is True
    assert acme.remote_active() == {"test.user@okta.local": True}


async def test_o10_a_group_is_sought_and_pushed(acme: Tenant) -> None:
    """The search for a name is empty, then the POST makes the group upstream."""
    assert (await acme.get("/Groups?filter=displayName%20eq%20%22X%22&startIndex=1&count=100")).json()[
        "Resources"
    ] == []
    response = await acme.post("/Groups", {"schemas": [GROUP], "displayName": "X", "members": []})
    assert response.status_code == 201
    assert response.json()["id"]
    assert [group.display_name for group in acme.remote.groups.values()] == ["X"]
    found = (await acme.get('/Groups?filter=displayName eq "x"')).json()
    assert found["Resources"][0]["id"] == response.json()["id"]


async def test_o11_a_rename_with_the_id_in_its_value_keeps_the_members(acme: Tenant) -> None:
    """The id that Okta repeats is ignored, the name changes, nobody leaves."""
    user = await acme.user()
    group = await acme.group("X", user["id"])
    value = {"id": group["id"], "displayName": "Test SCIMv2"}
    response = await acme.patch(f"/Groups/{group['id']}", {"op": "replace", "value": value})
    assert response.status_code == 204
    assert (await acme.read(group))["displayName"] == "Test SCIMv2"
    assert await acme.members(group) == {user["id"]}
    assert acme.remote_members("Test SCIMv2") == {"ada@example.com"}
    with_null = {"id": group["id"], "displayName": "Test SCIMv2", "members": None}
    assert (await acme.patch(f"/Groups/{group['id']}", {"op": "replace", "value": with_null})).status_code == 204
    assert await acme.members(group) == {user["id"]}


async def test_o12_one_patch_removes_and_adds(acme: Tenant) -> None:
    """A removal by filter and an addition in one request move the membership upstream."""
    old, new = await acme.user("old@example.com"), await acme.user("new@example.com")
    group = await acme.group("X", old["id"])
    response = await acme.patch(
        f"/Groups/{group['id']}",
        {"op": "remove", "path": f'members[value eq "{old["id"]}"]'},
        {"op": "add", "path": "members", "value": [{"value": new["id"], "display": "new@example.com"}]},
    )
    assert response.status_code == 204
    assert await acme.members(group) == {new["id"]}
    assert acme.remote_members("X") == {"new@example.com"}


@pytest.mark.parametrize("path", [True, False], ids=["path", "no path"])
async def test_o13_a_full_push_replaces_the_list(acme: Tenant, path: bool) -> None:
    """The whole list comes with or without a path; "Push now" on an empty group empties it."""
    old, new = await acme.user("old@example.com"), await acme.user("new@example.com")
    group = await acme.group("X", old["id"])

    def push(members: list[dict[str, str]]) -> dict[str, object]:
        if path:
            return {"op": "replace", "path": "members", "value": members}
        return {"op": "replace", "value": {"members": members, "id": group["id"], "displayName": "X"}}

    assert (await acme.patch(f"/Groups/{group['id']}", push([{"value": new["id"], "display": "n"}]))).status_code == 204
    assert await acme.members(group) == {new["id"]}
    assert acme.remote_members("X") == {"new@example.com"}
    assert (await acme.patch(f"/Groups/{group['id']}", push([]))).status_code == 204
    assert await acme.members(group) == set()
    assert acme.remote_members("X") == set()


async def test_o14_a_wizard_app_puts_the_whole_group(acme: Tenant) -> None:
    """The PUT carries all members, whose display may be null."""
    user = await acme.user()
    group = await acme.group("X")
    body = {
        "schemas": [GROUP],
        "id": group["id"],
        "displayName": "Y",
        "members": [{"value": user["id"], "display": None}],
    }
    response = await acme.put(f"/Groups/{group['id']}", body)
    assert response.status_code == 200
    assert response.json()["displayName"] == "Y"
    assert acme.remote_members("Y") == {"ada@example.com"}
    assert (await acme.put(f"/Groups/{group['id']}", {**body, "members": []})).status_code == 200
    assert acme.remote_members("Y") == set()


async def test_o15_unlinking_with_delete_removes_the_group(acme: Tenant) -> None:
    """The group and its memberships go; its people stay."""
    user = await acme.user()
    group = await acme.group("X", user["id"])
    assert (await acme.delete(f"/Groups/{group['id']}")).status_code == 204
    assert (await acme.get(f"/Groups/{group['id']}")).status_code == 404
    assert acme.remote.groups == {}
    assert "groups" not in await acme.read(user)


async def test_the_list_of_demands_before_an_integration_is_listed(acme: Tenant) -> None:
    """Okta's checks of a SCIM service, one after the other."""
    user_name = "runscope@example.com"
    body = {
        "schemas": [USER],
        "userName": user_name,
        "name": {"familyName": "Runscope", "givenName": "Test"},
        "emails": [{"primary": True, "value": user_name, "type": "work"}],
        "displayName": "Test Runscope",
        "active": True,
    }
    assert (await acme.get(f'/Users?filter=userName eq "{user_name}"')).json()["totalResults"] == 0
    created = await acme.post("/Users", body, Content_Type="application/json")
    assert created.status_code == 201
    assert created.json()["active"] is True
    assert created.json()["name"] == body["name"]
    page = (await acme.get("/Users?count=1&startIndex=1")).json()
    assert page["schemas"] == [LIST_RESPONSE]
    assert [type(page[name]) for name in ("itemsPerPage", "startIndex", "totalResults")] == [int, int, int]
    first = page["Resources"][0]
    assert all((first["id"], first["name"]["familyName"], first["name"]["givenName"], first["userName"]))
    assert first["emails"][0]["value"] == user_name
    assert (await acme.get(f"/Users/{first['id']}")).json() == first
    for unknown in (uuid4(), "010101001010101011001010101011"):
        missing = await acme.get(f"/Users/{unknown}")
        assert missing.status_code == 404
        assert missing.json()["detail"]
        assert missing.json()["status"] == "404"
        assert missing.json()["schemas"] == [ERROR]
    assert (await acme.post("/Users", body, Content_Type="application/json")).status_code == 409
    assert (await acme.get(f'/Users?filter=userName eq "{user_name.upper()}"')).json()["totalResults"] == 1
    assert (await acme.get("/Groups")).status_code == 200
    refused = await acme.get("/Users", Authorization="non-token")
    assert refused.status_code == 401
    assert refused.json()["status"] == "401"
    assert refused.json()["detail"]


async def test_a_patch_op_urn_is_not_needed_twice(acme: Tenant) -> None:
    """The same deactivation twice is calm: the remote system is looked at, and nothing is written."""
    user = await acme.user()
    operation = {"op": "replace", "value": {"active": False}}
    first = await acme.send("PATCH", f"/Users/{user['id']}", {"schemas": [PATCH_OP], "Operations": [operation]})
    calls = len(acme.remote.calls)
    second = await acme.send("PATCH", f"/Users/{user['id']}", {"schemas": [PATCH_OP], "Operations": [operation]})
    assert first.status_code == second.status_code == 200
    assert [call.hook for call in acme.remote.calls[calls:]] == ["get_user"]
