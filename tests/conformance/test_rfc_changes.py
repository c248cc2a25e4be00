"""RFC 7644 §3.5–§3.7, requirement by requirement (reference table, rows 44–57)."""

from typing import Any

import pytest

from tests.http.bridge import ENTERPRISE, ERROR, GROUP, PATCH_OP, USER, Tenant

BULK_REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


async def test_row_44_a_replacement_clears_what_it_leaves_out(acme: Tenant) -> None:
    """RFC 7644 §3.5.1: read-only values are ignored, required ones demanded; nothing is created."""
    user = await acme.user(title="T", externalId="e", **{ENTERPRISE: {"department": "D"}})
    body = {"schemas": [USER], "userName": "ada@example.com", "id": "other", "meta": {"version": "x"}, "groups": []}
    replaced = (await acme.put(f"/Users/{user['id']}", body)).json()
    assert set(replaced) == {"schemas", "id", "userName", "active", "meta"}
    assert replaced["id"] == user["id"]
    assert replaced["schemas"] == [USER]
    assert (await acme.put(f"/Users/{user['id']}", {"schemas": [USER]})).status_code == 400
    assert (await acme.put("/Users/none", body)).status_code == 404


async def test_a_replacement_without_active_activates_nobody(acme: Tenant) -> None:
    """An absent `active` is no decision."""
    user = await acme.user()
    await acme.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": False})
    replaced = await acme.put(f"/Users/{user['id']}", {"schemas": [USER], "userName": "ada@example.com"})
    assert replaced.json()["active"] is False
    assert acme.remote_active() == {"ada@example.com": False}


@pytest.mark.parametrize(
    "body",
    [
        {"schemas": ["urn:x"], "Operations": [{"op": "add", "path": "title", "value": "x"}]},
        {"schemas": [PATCH_OP], "Operations": []},
        {"schemas": [PATCH_OP]},
        {"schemas": [PATCH_OP], "Operations": {"op": "add"}},
        {"schemas": [PATCH_OP], "Operations": ["add"]},
        {"schemas": [PATCH_OP], "Operations": [{"op": "move", "path": "title", "value": "x"}]},
        {"schemas": [PATCH_OP], "Operations": [{"path": "title", "value": "x"}]},
        {"schemas": [PATCH_OP], "Operations": [{"op": None, "path": "title", "value": "x"}]},
        {"schemas": [PATCH_OP], "Operations": [{"op": "add", "path": 5, "value": "x"}]},
        [],
        "text",
    ],
)  # fmt: skip
async def test_row_45_a_malformed_patch_is_400(acme: Tenant, body: Any) -> None:
    """RFC 7644 §3.5.2: for a User and for a Group."""
    user, group = await acme.user(), await acme.group("X")
    for path in (f"/Users/{user['id']}", f"/Groups/{group['id']}"):
        response = await acme.send("PATCH", path, body)
        assert response.status_code == 400, response.text
        assert response.json()["schemas"] == [ERROR]
    assert (await acme.read(user)) == user


async def test_row_46_a_patch_is_atomic(acme: Tenant) -> None:
    """RFC 7644 §3.5.2: an operation that fails takes the earlier ones with it, members included."""
    user, group = await acme.user(), await acme.group("X")
    valid, invalid = {"op": "replace", "path": "title", "value": "x"}, {"op": "replace", "path": "[", "value": 1}
    assert (await acme.patch(f"/Users/{user['id']}", valid, invalid)).status_code == 400
    read_only = {"op": "replace", "path": "groups", "value": []}
    assert (await acme.patch(f"/Users/{user['id']}", valid, read_only)).status_code == 400
    assert await acme.read(user) == user
    join = {"op": "add", "path": "members", "value": [{"value": user["id"]}]}
    assert (await acme.patch(f"/Groups/{group['id']}", join, invalid)).status_code == 400
    assert (
        await acme.patch(f"/Groups/{group['id']}", join, {"op": "replace", "path": "displayName", "value": ""})
    ).status_code == 400
    assert await acme.read(group) == group
    assert acme.remote_members("X") == set()


async def test_row_47_a_new_primary_value_clears_the_old(acme: Tenant) -> None:
    """RFC 7644 §3.5.2."""
    user = await acme.user(emails=[{"value": "a@x.io", "primary": True}, {"value": "b@x.io"}])
    operation = {"op": "replace", "path": 'emails[value eq "b@x.io"].primary', "value": True}
    emails = (await acme.patch(f"/Users/{user['id']}", operation)).json()["emails"]
    assert [one["value"] for one in emails if one.get("primary")] == ["b@x.io"]


async def test_row_48_a_group_patch_answers_200_when_attributes_are_asked_for(acme: Tenant) -> None:
    """RFC 7644 §3.5.2: and 204 otherwise; a User PATCH answers 200 always."""
    group = await acme.group("X")
    operation = {"op": "replace", "path": "displayName", "value": "Y"}
    assert (await acme.patch(f"/Groups/{group['id']}", operation)).status_code == 204
    asked = await acme.patch(f"/Groups/{group['id']}?attributes=displayName", operation)
    assert asked.status_code == 200
    assert asked.json() == {"schemas": [GROUP], "id": group["id"], "displayName": "Y"}
    excluded = await acme.patch(f"/Groups/{group['id']}?excludedAttributes=members", operation)
    assert excluded.status_code == 200
    assert "members" not in excluded.json()


@pytest.mark.parametrize("path", ["id", "meta", "meta.created", "groups", "groups.value"])
@pytest.mark.parametrize("op", ["add", "replace", "remove"])
async def test_row_49_a_read_only_target_is_refused(acme: Tenant, path: str, op: str) -> None:
    """RFC 7644 §3.5.2: 400 `mutability`."""
    user = await acme.user()
    operation = {"op": op, "path": path} | ({} if op == "remove" else {"value": "x"})
    response = await acme.patch(f"/Users/{user['id']}", operation)
    assert (response.status_code, response.json()["scimType"]) == (400, "mutability")


async def test_row_50_add_needs_a_value_and_appends_without_duplicates(acme: Tenant) -> None:
    """RFC 7644 §3.5.2.1."""
    user = await acme.user(emails=[{"value": "a@x.io", "type": "work"}])
    path = f"/Users/{user['id']}"
    response = await acme.patch(path, {"op": "add", "path": "title"})
    assert (response.status_code, response.json()["scimType"]) == (400, "invalidValue")
    both = [{"value": "a@x.io", "type": "work"}, {"value": "b@x.io", "type": "home"}]
    emails = (await acme.patch(path, {"op": "add", "path": "emails", "value": both})).json()["emails"]
    assert [one["value"] for one in emails] == ["a@x.io", "b@x.io"]
    group = await acme.group("X")
    response = await acme.patch(f"/Groups/{group['id']}", {"op": "add", "path": "members"})
    assert (response.status_code, response.json()["scimType"]) == (400, "invalidValue")


async def test_row_51_remove_needs_a_path_and_spares_required_attributes(acme: Tenant) -> None:
    """RFC 7644 §3.5.2.2: a removal without match changes nothing."""
    user = await acme.user(emails=[{"value": "a@x.io", "type": "work"}])
    path = f"/Users/{user['id']}"
    response = await acme.patch(path, {"op": "remove"})
    assert (response.status_code, response.json()["scimType"]) == (400, "noTarget")
    response = await acme.patch(path, {"op": "remove", "path": "userName"})
    assert (response.status_code, response.json()["scimType"]) == (400, "mutability")
    assert (await acme.patch(path, {"op": "remove", "path": 'emails[type eq "home"]'})).status_code == 200
    assert (await acme.patch(path, {"op": "remove", "path": "nickName"})).status_code == 200
    assert (await acme.read(user))["emails"] == user["emails"]
    group = await acme.group("X", user["id"])
    response = await acme.patch(f"/Groups/{group['id']}", {"op": "remove"})
    assert (response.status_code, response.json()["scimType"]) == (400, "noTarget")
    assert (await acme.patch(f"/Groups/{group['id']}", {"op": "remove", "path": "members", "value": []})).is_success
    assert await acme.members(group) == {user["id"]}
    assert (await acme.patch(f"/Groups/{group['id']}", {"op": "remove", "path": "members"})).is_success
    assert acme.remote_members("X") == set()


async def test_row_52_replace_on_an_absent_attribute_adds_it(acme: Tenant) -> None:
    """RFC 7644 §3.5.2.3."""
    user = await acme.user()
    changed = await acme.patch(f"/Users/{user['id']}", {"op": "replace", "path": "name.givenName", "value": "A"})
    assert changed.json()["name"] == {"givenName": "A"}


@pytest.mark.parametrize(
    "path", ["foo[", 'emails[type zz "a"]', "emails[", "..", "name..x", 'emails[type eq "a"', "[]", "a" * 5_000]
)
@pytest.mark.parametrize("kind", ["Users", "Groups"])
async def test_row_53_an_invalid_path_is_refused(acme: Tenant, kind: str, path: str) -> None:
    """RFC 7644 §3.5.2: 400 `invalidPath`, or `invalidFilter` for the filter in it."""
    resource = await (acme.user() if kind == "Users" else acme.group("X"))
    response = await acme.patch(f"/{kind}/{resource['id']}", {"op": "replace", "path": path, "value": "x"})
    assert response.status_code == 400
    assert response.json()["scimType"] in ("invalidPath", "invalidFilter")


@pytest.mark.parametrize(
    "path",
    ["members[", 'members[value zz "a"]', 'members[display eq "a"]', "members.nope", 'members[value eq "a"].nope'],
)
async def test_row_53_an_invalid_member_path_removes_nobody(acme: Tenant, path: str) -> None:
    """RFC 7644 §3.5.2: for the paths that the bridge reads itself."""
    user = await acme.user()
    group = await acme.group("X", user["id"])
    response = await acme.patch(f"/Groups/{group['id']}", {"op": "remove", "path": path})
    assert response.status_code == 400
    assert response.json()["scimType"] in ("invalidPath", "invalidFilter")
    assert acme.remote_members("X") == {"ada@example.com"}


@pytest.mark.parametrize(
    "name", ["__class__", "__dict__", "model_fields", "__proto__.x", "model_config.extra", "_secret"]
)
async def test_a_path_is_resolved_against_the_schema_only(acme: Tenant, name: str) -> None:
    """Python's attributes are no SCIM attributes (CVE-2026-48170)."""
    user = await acme.user()
    response = await acme.patch(f"/Users/{user['id']}", {"op": "replace", "path": name, "value": {"x": 1}})
    assert response.status_code == 400
    ignored = await acme.patch(f"/Users/{user['id']}", {"op": "replace", "value": {name: {"x": 1}}})
    assert ignored.status_code in (200, 400)
    assert await acme.read(user) == user


async def test_rows_54_55_a_deleted_user_is_gone_everywhere(acme: Tenant) -> None:
    """RFC 7644 §3.6: 404 for every verb, not listed, the name free, out of the groups."""
    user = await acme.user()
    group = await acme.group("X", user["id"])
    path = f"/Users/{user['id']}"
    assert (await acme.delete(path)).status_code == 204
    assert acme.remote.accounts == {}
    assert await acme.members(group) == set()
    for response in (
        await acme.get(path),
        await acme.put(path, {"schemas": [USER], "userName": "a"}),
        await acme.patch(path, {"op": "replace", "path": "title", "value": "x"}),
        await acme.delete(path),
    ):
        assert response.status_code == 404
    assert (await acme.get("/Users")).json()["totalResults"] == 0
    assert (await acme.user())["id"] != user["id"]


async def test_row_56_bulk_resolves_ids_in_any_order_and_reports_each(acme: Tenant) -> None:
    """RFC 7644 §3.7: a string status each; every operation reaches the remote system as a request of its own would."""
    body = {
        "schemas": [BULK_REQUEST],
        "Operations": [
            {
                "method": "POST",
                "path": "/Groups",
                "bulkId": "g",
                "data": {"schemas": [GROUP], "displayName": "X", "members": [{"type": "User", "value": "bulkId:u"}]},
            },
            {"method": "POST", "path": "/Users", "bulkId": "u", "data": {"schemas": [USER], "userName": "ada"}},
            {"method": "POST", "path": "/Users", "bulkId": "v", "data": {"userName": "ADA", "externalId": "v"}},
            {"method": "PATCH", "path": "/Users/bulkId:u", "data": {
                "schemas": [PATCH_OP], "Operations": [{"op": "Replace", "path": "active", "value": "False"}],
            }},
            {"method": "DELETE", "path": "/Users/none"},
        ],
    }  # fmt: skip
    response = await acme.post("/Bulk", body)
    assert response.status_code == 200
    results = response.json()["Operations"]
    assert [one["status"] for one in results] == ["201", "201", "409", "200", "404"]
    assert results[2]["response"]["scimType"] == "uniqueness"
    assert results[0]["location"].startswith("http://bridge.test/acme/scim/v2/Groups/")
    assert acme.remote_active() == {"ada": False}
    assert "bulkId:" not in str(
        await acme.stored({"meta": {"resourceType": "Group"}, "id": results[0]["location"].rpartition("/")[2]})
    )


async def test_row_56_bulk_stops_after_the_errors_it_may_make(acme: Tenant) -> None:
    """RFC 7644 §3.7.3: `failOnErrors`."""
    operations: list[dict[str, Any]] = [{"method": "DELETE", "path": f"/Users/{number}"} for number in range(3)]
    operations.append({"method": "POST", "path": "/Users", "bulkId": "u", "data": {"userName": "ada"}})
    body = {"schemas": [BULK_REQUEST], "failOnErrors": 2, "Operations": operations}
    results = (await acme.post("/Bulk", body)).json()["Operations"]
    assert [one["status"] for one in results] == ["404", "404"]
    assert acme.remote.accounts == {}


@pytest.mark.parametrize(
    "operation",
    [
        {"method": "POST", "path": "/Bulk", "bulkId": "b", "data": {}},
        {"method": "POST", "path": "/Me", "bulkId": "b", "data": {}},
        {"method": "POST", "path": "/Users/.search", "bulkId": "b", "data": {}},
        {"method": "GET", "path": "/Users"},
        {"method": "POST", "path": "/Users", "data": {"userName": "x"}},
        {"method": "POST", "path": "/Users", "bulkId": "b"},
        {"method": "POST", "path": "/Users", "bulkId": "b", "data": []},
        {"method": "PUT", "path": "/Users/bulkId:none", "data": {"userName": "x"}},
        {"method": "PATCH", "path": "/Users/x", "data": {"Operations": [{"op": "add", "path": "title"}] * 101}},
        {"path": "/Users"},
        {"method": "DELETE"},
    ],
)  # fmt: skip
async def test_row_56_an_operation_that_is_wrong_fails_alone(acme: Tenant, operation: dict[str, Any]) -> None:
    """RFC 7644 §3.7.3: the limits hold inside Bulk, and nothing outside resource types is reached."""
    good = {"method": "POST", "path": "/Users", "bulkId": "good", "data": {"userName": "good"}}
    response = await acme.post("/Bulk", {"schemas": [BULK_REQUEST], "Operations": [operation, good]})
    assert response.status_code == 200
    bad, fine = response.json()["Operations"]
    assert bad["status"][0] == "4"
    assert bad["response"]["schemas"] == [ERROR]
    assert fine["status"] == "201"
    assert set(acme.remote_active()) == {"good"}


async def test_row_57_me_is_501(acme: Tenant) -> None:
    """RFC 7644 §3.11: in SCIM's form, for every verb."""
    for method in ("GET", "PUT", "PATCH", "DELETE", "POST"):
        response = await acme.send(method, "/Me", {} if method in ("PUT", "PATCH", "POST") else None)
        assert response.status_code == 501
        assert response.json()["schemas"] == [ERROR]
