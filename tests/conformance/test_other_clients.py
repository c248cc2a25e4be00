"""OneLogin, Google, Canaille, scim-sim, gateways and the union of what must be accepted (3.3–3.8)."""

import pytest

from tests.http.bridge import ENTERPRISE, GROUP, USER, Tenant


async def test_onelogin_puts_with_legacy_urns_and_stray_separators(acme: Tenant) -> None:
    """A trailing `&` or `?`, an empty User-Agent and `urn:scim:schemas:core:2.0` are read as meant."""
    user = await acme.user("user01@example.com")
    found = await acme.get('/Users?filter=userName+eq+"user01@example.com"&', User_Agent="")
    assert [one["id"] for one in found.json()["Resources"]] == [user["id"]]
    body = {
        "schemas": ["urn:scim:schemas:core:2.0", "urn:scim:schemas:extension:enterprise:2.0"],
        "userName": "user01@example.com",
        "name": {"familyName": "User 01", "givenName": "AAA"},
    }
    response = await acme.put(f"/Users/{user['id']}?", body)
    assert response.status_code == 200
    assert response.json()["name"] == body["name"]
    assert USER in response.json()["schemas"]
    assert response.json()["active"] is True
    group = await acme.group("G")
    operation = {"op": "add", "path": "members", "value": [{"value": user["id"]}]}
    assert (await acme.patch(f"/Groups/{group['id']}?", operation)).status_code == 204
    assert acme.remote_members("G") == {"user01@example.com"}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/scim+json",
        "application/scim+json; charset=UTF-8",
    ],
)
async def test_both_content_types_are_taken_and_one_is_answered(acme: Tenant, content_type: str) -> None:
    """Google and Canaille send application/json; the answer is always application/scim+json."""
    body = {"schemas": [USER], "userName": "ada@example.com", "displayName": "Zoë"}
    response = await acme.post("/Users", body, Content_Type=content_type, Accept="application/json")
    assert response.status_code == 201
    assert response.headers["Content-Type"] == "application/scim+json"
    assert response.json()["displayName"] == "Zoë"


async def test_canaille_lists_the_enterprise_urn_without_an_object_and_searches_by_external_id(acme: Tenant) -> None:
    """Groups come as whole PUTs with `$ref`, and a lock is a PUT with `active: false`."""
    body = {
        "schemas": [USER, ENTERPRISE],
        "externalId": "662ac337",
        "userName": "jdoe",
        "name": {"formatted": "Jane Doe", "familyName": "Doe", "givenName": "Jane"},
        "displayName": "Jane",
        "active": True,
        "emails": [{"value": "jane@example.com"}],
    }
    user = (await acme.post("/Users", body)).json()
    assert (await acme.get("/Users?filter=externalId+eq+%22662ac337%22")).json()["totalResults"] == 1
    group = (await acme.post("/Groups", {"schemas": [GROUP], "externalId": "1fe", "displayName": "eng"})).json()
    member = {"value": user["id"], "$ref": user["meta"]["location"], "type": "User", "display": "Jane"}
    response = await acme.put(
        f"/Groups/{group['id']}",
        {"schemas": [GROUP], "externalId": "1fe", "displayName": "engineering", "members": [member]},
    )
    assert response.status_code == 200
    assert acme.remote_members("engineering") == {"jdoe"}
    locked = await acme.put(f"/Users/{user['id']}", {**body, "active": False})
    assert locked.json()["active"] is False
    assert acme.remote_active() == {"jdoe": False}


async def test_an_older_client_finds_in_discovery_what_it_sends_and_nothing_it_refuses(acme: Tenant) -> None:
    """Canaille builds its classes from `/Schemas`, and its models before RFC 9865 refuse what they do not know."""
    config = (await acme.get("/ServiceProviderConfig")).json()
    assert config.keys() == {
        "schemas", "meta", "patch", "bulk", "filter", "changePassword", "sort", "etag", "authenticationSchemes",
    }  # fmt: skip
    schemas = {one["id"]: one["attributes"] for one in (await acme.get("/Schemas")).json()["Resources"]}
    assert "password" in {attribute["name"] for attribute in schemas[USER]}
    members = next(attribute for attribute in schemas[GROUP] if attribute["name"] == "members")
    assert {part["name"] for part in members["subAttributes"]} == {"value", "$ref", "type", "display"}
    for name in ("a@example.com", "b@example.com"):
        await acme.user(name)
    assert (await acme.get("/Users?cursor&count=1")).json()["nextCursor"]  # offered all the same


async def test_scim_sim_spells_nickname_in_its_own_case(acme: Tenant) -> None:
    """Attribute names are compared without regard to case and answered canonically."""
    body = {
        "schemas": [USER],
        "active": True,
        "name": {"givenName": "Yolanda", "familyName": "Zimmerman", "honorificSuffix": "V"},
        "emails": [{"value": "lisa@example.org", "primary": True}],
        "nickName": "DNGKL",
        "USERNAME": "lisa@example.org",
        "usertype": "GVBTG",
    }
    created = (await acme.post("/Users", body)).json()
    assert created["userName"] == "lisa@example.org"
    assert created["userType"] == "GVBTG"
    group = await acme.group("eng")
    operation = {"op": "replace", "path": "members", "value": [{"value": created["id"]}]}
    assert (await acme.patch(f"/Groups/{group['id']}", operation)).status_code == 204
    assert acme.remote_members("eng") == {"lisa@example.org"}


async def test_a_gateway_leaves_schemas_out_and_merges_a_partial_name(acme: Tenant) -> None:
    """Nulls and empty strings do no harm; a nested partial object is merged, never put in place of the whole."""
    response = await acme.post(
        "/Users",
        {
            "userName": "bjensen",
            "active": True,
            "password": None,
            "name": {"givenName": "B", "familyName": "J", "formatted": None},
            "title": "",
            "emails": [{"value": "b@example.com", "type": "work", "primary": True}],
            "phoneNumbers": None,
            "entitlements": None,
        },
    )
    assert response.status_code == 201
    user = response.json()
    assert user["schemas"] == [USER]
    value = {"active": False, "name": {"familyName": "Smith"}, "emails": [{"type": "work", "value": "c@example.com"}]}
    response = await acme.send("PATCH", f"/Users/{user['id']}", {"Operations": [{"op": "replace", "value": value}]})
    assert response.status_code == 200
    changed = response.json()
    assert changed["name"] == {"givenName": "B", "familyName": "Smith"}
    assert changed["emails"] == [{"type": "work", "value": "c@example.com"}]
    assert changed["userName"] == "bjensen"
    assert acme.remote_active() == {"bjensen": False}


async def test_a_gateway_seeks_the_groups_of_a_member(acme: Tenant) -> None:
    """`members.value eq` with a projection, and an empty `attributes=` that restricts nothing."""
    user = await acme.user()
    group = await acme.group("X", user["id"])
    await acme.group("Y")
    query = f'/Groups?filter=members.value eq "{user["id"]}"&attributes=id,displayName'
    found = (await acme.get(query)).json()
    assert [set(one) for one in found["Resources"]] == [{"schemas", "id", "displayName"}]
    assert found["Resources"][0]["id"] == group["id"]
    whole = (await acme.get("/Groups?attributes=")).json()
    assert all("members" in one for one in whole["Resources"])


async def test_a_trailing_slash_and_unknown_parameters_do_no_harm(acme: Tenant) -> None:
    """`/Users/` is `/Users`."""
    user = await acme.user()
    assert (await acme.get("/Users/?foo=bar&&")).json()["totalResults"] == 1
    assert (await acme.get(f"/Users/{user['id']}/")).json()["id"] == user["id"]
    created = await acme.post("/Groups/", {"schemas": [GROUP], "displayName": "X"})
    assert created.status_code == 201


async def test_ping_compares_emails_without_a_sub_attribute(acme: Tenant) -> None:
    """`emails eq` means `emails.value eq`."""
    await acme.user(emails=[{"value": "Ada@Example.com", "type": "work"}])
    assert (await acme.get('/Users?filter=emails eq "ada@example.com"')).json()["totalResults"] == 1
    assert (await acme.get('/Users?filter=emails[value eq "ada@example.com"]')).json()["totalResults"] == 1
    query = 'emails[type eq "work" and value eq "ada@example.com"]'
    assert (await acme.get(f"/Users?filter={query}")).json()["totalResults"] == 1


async def test_sailpoint_reads_single_resource_types_and_schemas_in_each_resource(acme: Tenant) -> None:
    """Discovery is complete, and each resource of a list names its schemas."""
    await acme.user()
    for path in ("/ServiceProviderConfig", "/ResourceTypes", "/Schemas", "/ResourceTypes/User", "/ResourceTypes/Group"):
        assert (await acme.get(path)).status_code == 200, path
    assert all(one["schemas"] for one in (await acme.get("/Users")).json()["Resources"])


async def test_jumpclouds_connection_test_creates_and_deletes(acme: Tenant) -> None:
    """The test user and group are gone afterwards, upstream too."""
    user = await acme.user("jumpcloud.test@example.com")
    group = await acme.group("JumpCloud test")
    assert (await acme.delete(f"/Users/{user['id']}")).status_code == 204
    assert (await acme.delete(f"/Groups/{group['id']}")).status_code == 204
    assert acme.remote.accounts == {}
    assert acme.remote.groups == {}


async def test_an_unknown_member_is_left_out_and_the_known_ones_join(acme: Tenant) -> None:
    """A lost record must not keep the others out for ever (3.9)."""
    user = await acme.user()
    group = await acme.group("X")
    value = [{"value": user["id"]}, {"value": "8d2a4f8e-0000-4000-8000-7363c4aed4ef"}]
    response = await acme.patch(f"/Groups/{group['id']}", {"op": "Add", "path": "members", "value": value})
    assert response.status_code == 204
    assert await acme.members(group) == {user["id"]}
    assert acme.remote_members("X") == {"ada@example.com"}
