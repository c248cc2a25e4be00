"""RFC 7643 and RFC 7644 §2–§3.3, requirement by requirement (reference table, rows 1–31)."""

import json
from pathlib import Path
from typing import Any

import pytest
from scim2_models import ServiceProviderConfig

from scim_bridge.protocol import preset
from scim_bridge.server import ServerOptions
from tests.http.bridge import ENTERPRISE, ERROR, GROUP, USER, Tenant, bridge, moment


async def test_row_01_attribute_names_disregard_case(acme: Tenant) -> None:
    """RFC 7643 §2.1: they are answered in the schema's spelling."""
    created = (await acme.post("/Users", {"SCHEMAS": [USER], "USERNAME": "a", "Emails": [{"VALUE": "a@b.io"}]})).json()
    assert created["userName"] == "a"
    assert created["emails"] == [{"value": "a@b.io"}]


async def test_row_02_times_are_xsd_datetimes_in_utc(acme: Tenant) -> None:
    """RFC 7643 §2.3.5: with date, time and zone."""
    meta = (await acme.user())["meta"]
    assert moment(meta["created"]).utcoffset() is not None
    assert meta["created"].endswith("Z")


async def test_row_03_two_primary_values_are_refused(acme: Tenant) -> None:
    """RFC 7643 §2.4: at most one is primary."""
    emails = [{"value": "a@b.io", "primary": True}, {"value": "c@b.io", "primary": True}]
    response = await acme.post("/Users", {"schemas": [USER], "userName": "a", "emails": emails})
    assert (response.status_code, response.json()["scimType"]) == (400, "invalidValue")
    assert acme.remote.accounts == {}


async def test_row_04_the_same_type_and_value_twice_is_stored_once(acme: Tenant) -> None:
    """RFC 7643 §2.4."""
    email = {"value": "a@b.io", "type": "work"}
    user = await acme.user(emails=[email, dict(email), {"value": "a@b.io", "type": "home"}])
    assert (await acme.stored(user))["emails"] == [email, {"value": "a@b.io", "type": "home"}]


@pytest.mark.parametrize("empty", [[], None], ids=["empty", "null"])
async def test_row_05_an_empty_list_and_null_unassign(acme: Tenant, empty: Any) -> None:
    """RFC 7643 §2.5: then the attribute is not present."""
    user = await acme.user(phoneNumbers=[{"value": "1", "type": "work"}])
    assert (await acme.get("/Users?filter=phoneNumbers pr")).json()["totalResults"] == 1
    body = {"schemas": [USER], "userName": "ada@example.com", "phoneNumbers": empty}
    assert "phoneNumbers" not in (await acme.put(f"/Users/{user['id']}", body)).json()
    assert (await acme.get("/Users?filter=phoneNumbers pr")).json()["totalResults"] == 0


async def test_row_06_schemas_are_known_and_distinct(acme: Tenant) -> None:
    """RFC 7643 §3: in every representation, exactly the schemas that are used."""
    body = {"schemas": [USER, USER, "urn:nobody:knows"], "userName": "a", ENTERPRISE: {"department": "D"}}
    created = (await acme.post("/Users", body)).json()
    assert sorted(created["schemas"]) == sorted([USER, ENTERPRISE])


async def test_row_07_ids_are_ours_and_are_never_used_again(acme: Tenant) -> None:
    """RFC 7643 §3.1."""
    first = await acme.user(id="mine")
    assert first["id"] not in ("mine", "bulkId")
    await acme.delete(f"/Users/{first['id']}")
    second = await acme.user(id=first["id"])
    assert second["id"] != first["id"]
    assert (await acme.get(f"/Users/{first['id']}")).status_code == 404


async def test_row_08_external_id_belongs_to_the_client_and_its_connection(tmp_path: Any) -> None:
    """RFC 7643 §3.1: never made up, scoped to the tenant."""
    async with bridge(tmp_path, "one", "two") as (one, two):
        assert "externalId" not in await one.user("x@example.com")
        first, second = await one.user(externalId="e"), await two.user(externalId="e")
        assert (await one.get('/Users?filter=externalId eq "e"')).json()["Resources"][0]["id"] == first["id"]
        assert (await two.get('/Users?filter=externalId eq "e"')).json()["Resources"][0]["id"] == second["id"]


async def test_row_09_meta_is_ours(acme: Tenant) -> None:
    """RFC 7643 §3.1: the client's is ignored, created is lastModified at the start, the location is the header's."""
    body = {"schemas": [USER], "userName": "a", "meta": {"resourceType": "X", "created": "2001-01-01T00:00:00Z"}}
    response = await acme.post("/Users", body)
    meta = response.json()["meta"]
    assert meta["created"] == meta["lastModified"] != "2001-01-01T00:00:00Z"
    assert meta["location"] == response.headers["Location"] == response.headers["Content-Location"]
    assert meta["location"].endswith(f"/acme/scim/v2/Users/{response.json()['id']}")


async def test_row_10_a_change_of_nothing_keeps_last_modified(acme: Tenant) -> None:
    """RFC 7643 §3.1, RFC 7644 §3.5.2.1."""
    user = await acme.user(title="T", emails=[{"value": "a@b.io", "type": "work"}])
    path = f"/Users/{user['id']}"
    await acme.patch(path, {"op": "add", "path": "emails", "value": [{"value": "a@b.io", "type": "work"}]})
    await acme.patch(path, {"op": "replace", "path": "title", "value": "T"})
    await acme.put(path, {name: value for name, value in user.items() if name not in ("id", "meta")})
    assert (await acme.read(user))["meta"] == user["meta"]


async def test_row_11_an_extension_value_adds_its_urn_to_schemas(acme: Tenant) -> None:
    """RFC 7643 §3.3."""
    user = await acme.user()
    operation = {"op": "add", "path": f"{ENTERPRISE}:employeeNumber", "value": "7"}
    changed = (await acme.patch(f"/Users/{user['id']}", operation)).json()
    assert changed[ENTERPRISE] == {"employeeNumber": "7"}
    assert set(changed["schemas"]) == {USER, ENTERPRISE}


@pytest.mark.parametrize("user_name", [None, "", " "], ids=["missing", "empty", "blank"])
async def test_row_12_user_name_is_required_and_not_empty(acme: Tenant, user_name: str | None) -> None:
    """RFC 7643 §4.1.1: in POST, PUT and PATCH."""
    body = {"schemas": [USER], **({} if user_name is None else {"userName": user_name})}
    assert (await acme.post("/Users", body)).status_code == 400
    user = await acme.user()
    assert (await acme.put(f"/Users/{user['id']}", body)).status_code == 400
    operation = {"op": "replace", "path": "userName", "value": user_name}
    assert (await acme.patch(f"/Users/{user['id']}", operation)).status_code == 400
    assert (await acme.read(user))["userName"] == "ada@example.com"


async def test_row_13_a_password_is_never_returned(acme: Tenant) -> None:
    """RFC 7643 §4.1.1: whatever `attributes` asks, and it is nowhere in the store."""
    user = await acme.user(password="s3cret-s3cret")
    operations: list[dict[str, Any]] = [
        {"op": "add", "path": "password", "value": "s3cret-s3cret"},
        {"op": "replace", "value": {"password": "s3cret-s3cret"}},
    ]
    for operation in operations:
        assert "s3cret" not in (await acme.patch(f"/Users/{user['id']}", operation)).text
    assert "s3cret" not in (await acme.get(f"/Users/{user['id']}?attributes=password")).text
    assert "s3cret" not in json.dumps(await acme.stored(user))
    assert all("s3cret" not in str(call.arguments) for call in acme.remote.calls)


async def test_row_14_groups_of_a_user_are_read_only(acme: Tenant) -> None:
    """RFC 7643 §4.1.2: a PUT that carries them changes no membership."""
    user, group = await acme.user(), await acme.group("X")
    body = {"schemas": [USER], "userName": "ada@example.com", "groups": [{"value": group["id"]}]}
    assert (await acme.put(f"/Users/{user['id']}", body)).status_code == 200
    assert await acme.members(group) == set()
    assert acme.remote_members("X") == set()


async def test_row_15_a_country_that_is_no_code_is_kept(acme: Tenant) -> None:
    """RFC 7643 §4.1.2 wants ISO 3166-1; we keep what the client says, or it would send it for ever."""
    user = await acme.user(addresses=[{"type": "work", "country": "Sweden"}])
    assert user["addresses"] == [{"type": "work", "country": "Sweden"}]


async def test_row_16_a_member_shows_its_id_reference_and_type(acme: Tenant) -> None:
    """RFC 7643 §4.2: and its value cannot be changed in place."""
    user = await acme.user()
    group = await acme.group("X", user["id"])
    assert group["members"] == [{"value": user["id"], "$ref": user["meta"]["location"], "type": "User"}]
    operation = {"op": "replace", "path": f'members[value eq "{user["id"]}"].value', "value": "other"}
    response = await acme.patch(f"/Groups/{group['id']}", operation)
    assert (response.status_code, response.json()["scimType"]) == (400, "mutability")
    operation = {"op": "replace", "path": f'members[value eq "{user["id"]}"].display', "value": "other"}
    assert (await acme.patch(f"/Groups/{group['id']}", operation)).status_code == 204
    assert (await acme.read(group))["members"] == group["members"]


async def test_row_17_the_display_name_of_a_manager_is_read_only(acme: Tenant) -> None:
    """RFC 7643 §4.3."""
    user = await acme.user(**{ENTERPRISE: {"manager": {"value": "boss", "displayName": "Boss"}}})
    assert user[ENTERPRISE]["manager"] == {"value": "boss"}
    path = f"{ENTERPRISE}:manager.displayName"
    response = await acme.patch(f"/Users/{user['id']}", {"op": "replace", "path": path, "value": "B"})
    assert (response.status_code, response.json()["scimType"]) == (400, "mutability")


async def test_row_18_the_configuration_is_whole_and_true(tmp_path: Path) -> None:
    """RFC 7643 §5: every sub-field is there; what is announced is enforced."""
    async with bridge(tmp_path, client=preset("strict")) as (acme,):
        await configuration_is_whole_and_true(acme)


async def configuration_is_whole_and_true(acme: Tenant) -> None:
    """Read the ServiceProviderConfig, and try what it says."""
    config = (await acme.get("/ServiceProviderConfig")).json()
    assert set(ServiceProviderConfig.model_fields) - {"id", "external_id", "documentation_uri"} <= {
        "schemas", "meta", "patch", "bulk", "filter", "change_password", "sort", "etag",
        "authentication_schemes", "pagination",
    }  # fmt: skip
    for name in ("patch", "bulk", "filter", "changePassword", "sort", "etag", "pagination", "authenticationSchemes"):
        assert name in config
    limits = acme.server_limits
    assert config["bulk"]["maxOperations"] == limits.bulk_operations
    assert config["bulk"]["maxPayloadSize"] == limits.body_bytes
    assert config["filter"]["maxResults"] == config["pagination"]["maxPageSize"] == limits.count
    too_many = [{"method": "DELETE", "path": "/Users/x"}] * (limits.bulk_operations + 1)
    bulk = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": too_many}
    assert (await acme.post("/Bulk", bulk)).status_code == 413


async def test_row_19_the_configuration_is_readable_without_a_token_by_setting_only(tmp_path: Any) -> None:
    """RFC 7643 §5: SHOULD; default deny wins."""
    path = "/acme/scim/v2/ServiceProviderConfig"
    async with bridge(tmp_path) as (acme,):
        assert (await acme.http.get(path)).status_code == 401
    async with bridge(tmp_path, server_options=ServerOptions(public_configuration=True)) as (acme,):
        assert (await acme.http.get(path)).status_code == 200
        assert (await acme.http.get("/acme/scim/v2/Users")).status_code == 401
        assert (await acme.http.get("/other/scim/v2/ServiceProviderConfig")).status_code == 401


async def test_row_20_a_resource_type_names_schemas_that_are_served(acme: Tenant) -> None:
    """RFC 7643 §6."""
    urns = {schema["id"] for schema in (await acme.get("/Schemas")).json()["Resources"]}
    for resource_type in (await acme.get("/ResourceTypes")).json()["Resources"]:
        assert resource_type["schema"] in urns
        assert {one["schema"] for one in resource_type.get("schemaExtensions", [])} <= urns


async def test_row_21_a_schema_tells_the_truth_about_read_only_attributes(acme: Tenant) -> None:
    """RFC 7643 §7: what it calls readOnly cannot be written, and `password` is never returned, for it is dropped."""
    schema = (await acme.get(f"/Schemas/{USER}")).json()
    password = next(attribute for attribute in schema["attributes"] if attribute["name"] == "password")
    assert (password["mutability"], password["returned"]) == ("writeOnly", "never")
    user = await acme.user(password="hunter2")
    for operation in (
        {"op": "replace", "path": "password", "value": "hunter2"},
        {"op": "replace", "path": f"{USER}:password", "value": "hunter2"},
        {"op": "add", "value": {"password": "hunter2"}},
        {"op": "remove", "path": "password"},
    ):
        assert (await acme.patch(f"/Users/{user['id']}", operation)).status_code == 200
    assert "hunter2" not in json.dumps([user, await acme.read(user), await acme.stored(user)])
    assert "hunter2" not in repr(acme.remote.accounts)
    for attribute in schema["attributes"]:
        if attribute["mutability"] == "readOnly":
            operation = {"op": "replace", "path": attribute["name"], "value": [{"value": "x"}]}
            response = await acme.patch(f"/Users/{user['id']}", operation)
            assert (response.status_code, response.json()["scimType"]) == (400, "mutability")
    assert "null" not in json.dumps(schema)


async def test_row_22_case_exact_values_keep_and_compare_their_case(acme: Tenant) -> None:
    """RFC 7643 §7: externalId `A` is not `a`."""
    await acme.user(externalId="A")
    assert (await acme.get('/Users?filter=externalId eq "A"')).json()["totalResults"] == 1
    assert (await acme.get('/Users?filter=externalId eq "a"')).json()["totalResults"] == 0


async def test_row_23_a_401_carries_a_challenge(acme: Tenant) -> None:
    """RFC 7644 §2."""
    response = await acme.http.get("/acme/scim/v2/Users")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert response.json()["status"] == "401"


async def test_row_24_a_token_in_the_query_opens_nothing_and_no_log_has_it(
    acme: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 7644 §2: neither tokens nor queries reach a log."""
    caplog.set_level("DEBUG")
    refused = await acme.http.get(f"/acme/scim/v2/Users?access_token={acme.token}")
    assert refused.status_code == 401
    await acme.get('/Users?filter=userName eq "secret.person@example.com"')
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("scim_bridge")]
    assert any('"event": "request"' in line for line in ours)
    assert not any(acme.token in line or "secret.person" in line for line in ours)


async def test_row_25_utf8_goes_in_and_comes_out(acme: Tenant) -> None:
    """RFC 7644 §3.1, §8.1."""
    user = await acme.user("zoë@例え.example", displayName="Zoë 🦊")
    assert (await acme.read(user))["displayName"] == "Zoë 🦊"
    assert (await acme.get('/Users?filter=displayName eq "ZOË 🦊"')).json()["totalResults"] == 1


async def test_row_26_a_creation_answers_201_with_body_and_location(acme: Tenant) -> None:
    """RFC 7644 §3.3."""
    response = await acme.post("/Groups", {"schemas": [GROUP], "displayName": "X"})
    assert response.status_code == 201
    assert response.headers["Location"] == response.json()["meta"]["location"]
    assert (await acme.http.get(response.headers["Location"], headers={"Authorization": acme.token})).json()["id"]


async def test_row_27_read_only_attributes_of_a_creation_are_ignored(acme: Tenant) -> None:
    """RFC 7644 §3.3."""
    body = {"schemas": [USER], "userName": "a", "id": "1", "meta": {}, "groups": [{"value": "g"}]}
    response = await acme.post("/Users", body)
    assert response.status_code == 201
    assert "groups" not in response.json()


async def test_row_28_a_duplicate_is_409_uniqueness(acme: Tenant) -> None:
    """RFC 7644 §3.3: nothing was made upstream."""
    await acme.user()
    response = await acme.post("/Users", {"schemas": [USER], "userName": "ADA@EXAMPLE.COM", "externalId": "2"})
    assert (response.status_code, response.json()["scimType"]) == (409, "uniqueness")
    assert len(acme.remote.accounts) == 1


async def test_row_29_the_resource_type_is_set_by_us(acme: Tenant) -> None:
    """RFC 7644 §3.3.1."""
    user = await acme.user(meta={"resourceType": "Group"})
    assert user["meta"]["resourceType"] == "User"


async def test_row_30_an_unknown_id_is_404_with_an_error_body(acme: Tenant) -> None:
    """RFC 7644 §3.4.1: a group's id names no user."""
    group = await acme.group("X")
    response = await acme.get(f"/Users/{group['id']}")
    assert response.status_code == 404
    assert response.json()["schemas"] == [ERROR]


async def test_row_31_no_match_is_200_and_zero(acme: Tenant) -> None:
    """RFC 7644 §3.4.2."""
    response = await acme.get('/Users?filter=userName eq "nobody"')
    assert (response.status_code, response.json()["totalResults"]) == (200, 0)
