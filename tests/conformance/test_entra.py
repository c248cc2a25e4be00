"""Microsoft Entra ID's requests E1–E14 in both PATCH dialects, with what they leave in the store and upstream."""

from typing import Any
from uuid import uuid4

import pytest

from tests.http.bridge import ENTERPRISE, GROUP, USER, Tenant

ADSCIM = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"

BODY_A = {
    "schemas": [USER, ENTERPRISE],
    "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
    "userName": "Test_User_00aa00aa@contoso.com",
    "active": True,
    "emails": [{"primary": True, "type": "work", "value": "Test_User_11bb@TestUser.com"}],
    "meta": {"resourceType": "User"},
    "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
    "roles": [],
}

BODY_B: dict[str, Any] = {
    "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0User"],
    "externalId": "jyoung",
    "userName": "jyoung@testuser.com",
    "active": True,
    "addresses": None,
    "displayName": "Joy Young",
    "emails": [{"type": "work", "value": "jyoung@Contoso.com", "primary": True}],
    "meta": {"resourceType": "User"},
    "name": {"familyName": "Young", "givenName": "Joy"},
    "phoneNumbers": None,
    "preferredLanguage": None,
    "title": None,
    "department": None,
    "manager": None,
}


async def entra_group(acme: Tenant, name: str = "displayName") -> dict[str, Any]:
    """Create a group as Entra does."""
    body = {
        "schemas": [GROUP, ADSCIM],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
        "displayName": name,
        "meta": {"resourceType": "Group"},
    }
    response = await acme.post("/Groups", body)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


@pytest.mark.parametrize("attribute", ["userName", "externalId", 'emails[type eq "work"].value', "emails.value"])
async def test_e1_a_random_match_value_finds_nothing_with_status_200(acme: Tenant, attribute: str) -> None:
    """The test of a connection asks for a random GUID; anything but an empty list fails it."""
    response = await acme.get(f'/Users?filter={attribute} eq "{uuid4()}"')
    assert response.status_code == 200
    assert response.json()["totalResults"] == 0
    assert response.json()["Resources"] == []


async def test_e2_each_documented_match_finds_the_user(acme: Tenant) -> None:
    """Matching attributes are the administrator's choice; an unquoted value is read as a text."""
    user = (await acme.post("/Users", BODY_A)).json()
    for query in (
        'userName eq "test_user_00AA00aa@contoso.com"',
        f'externalId eq "{BODY_A["externalId"]}"',
        'emails[type eq "work"].value eq "test_user_11bb@testuser.com"',
        'emails eq "test_user_11bb@testuser.com"',
        f'id eq "{user["id"]}"',
    ):
        found = (await acme.get("/Users?filter=" + query)).json()
        assert [one["id"] for one in found["Resources"]] == [user["id"]], query
    unquoted = await acme.get(f"/Users?filter=externalId eq {BODY_A['externalId']}")
    assert [one["id"] for one in unquoted.json()["Resources"]] == [user["id"]]


async def test_e3_body_a_is_created_and_returned_unmodified(acme: Tenant) -> None:
    """What was sent comes back as it was, or Entra would send the same update in every cycle."""
    response = await acme.post("/Users", BODY_A)
    assert response.status_code == 201
    created = response.json()
    for name in ("externalId", "userName", "active", "name"):
        assert created[name] == BODY_A[name]
    assert created["emails"][0]["value"] == "Test_User_11bb@TestUser.com"
    assert acme.remote_active() == {"Test_User_00aa00aa@contoso.com": True}


async def test_e3_body_b_with_nulls_and_a_misspelt_urn_is_created(acme: Tenant) -> None:
    """The older documented example: nulls, extension attributes at the top, `…enterprise:2.0User`."""
    response = await acme.post("/Users", BODY_B)
    assert response.status_code == 201
    created = response.json()
    assert created["emails"][0]["value"] == "jyoung@Contoso.com"
    assert set(created["schemas"]) <= {USER, ENTERPRISE}
    assert "title" not in created
    with_department = {**BODY_B, "userName": "other@testuser.com", "externalId": "o", "department": "Sales"}
    created = (await acme.post("/Users", with_department)).json()
    assert created[ENTERPRISE] == {"department": "Sales"}
    assert ENTERPRISE in created["schemas"]


SINGLE = [
    {"op": "Replace", "path": "displayName", "value": "Bjfe"},
    {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "new@Contoso.com"},
    {"op": "Replace", "path": "name.givenName", "value": "Kkom"},
    {"op": "Replace", "path": "name.familyName", "value": "Unua"},
    {"op": "Replace", "path": f"{ENTERPRISE}:employeeNumber", "value": "Aklq"},
]
NO_PATH = [
    {"op": "replace", "path": 'emails[type eq "work"].value', "value": "new@Contoso.com"},
    {
        "op": "replace",
        "value": {
            "displayName": "Bjfe",
            "name.givenName": "Kkom",
            "name.familyName": "Unua",
            f"{ENTERPRISE}:employeeNumber": "Aklq",
        },
    },
]


@pytest.mark.parametrize("operations", [SINGLE, NO_PATH], ids=["without flag", "aadOptscim062020"])
async def test_e4_an_update_in_either_dialect_changes_everything_named(
    acme: Tenant, operations: list[dict[str, Any]]
) -> None:
    """Both dialects come from one tenant: on-demand provisioning ignores the flag."""
    user = (await acme.post("/Users", BODY_A)).json()
    response = await acme.patch(f"/Users/{user['id']}?aadOptscim062020", *operations)
    assert response.status_code == 200
    changed = response.json()
    assert changed == await acme.read(user)
    assert changed["displayName"] == "Bjfe"
    assert changed["name"] == {"formatted": "givenName familyName", "familyName": "Unua", "givenName": "Kkom"}
    assert changed["emails"] == [{"primary": True, "type": "work", "value": "new@Contoso.com"}]
    assert changed[ENTERPRISE] == {"employeeNumber": "Aklq"}
    (account,) = acme.remote.accounts.values()
    assert account.user.name is not None
    assert (account.user.name.given_name, account.user.name.family_name) == ("Kkom", "Unua")


async def test_e4_an_email_is_added_to_a_user_without_emails(acme: Tenant) -> None:
    """A filtered path that matches nothing creates the element from the filter's terms."""
    user = await acme.user()
    for path, value in (
        ('emails[type eq "work"].value', "a@b.example"),
        ('phoneNumbers[type eq "mobile"].value', "+4912345"),
        ('addresses[type eq "work"].formatted', "1 Main Street"),
        ('roles[primary eq "True"].value', "admin"),
        ('emails[type eq "untyped"].value', "u@b.example"),
    ):
        response = await acme.patch(f"/Users/{user['id']}", {"op": "Add", "path": path, "value": value})
        assert response.status_code == 200, path
    changed = await acme.read(user)
    assert changed["emails"] == [
        {"type": "work", "value": "a@b.example"},
        {"type": "untyped", "value": "u@b.example"},
    ]
    assert changed["phoneNumbers"] == [{"type": "mobile", "value": "+4912345"}]
    assert changed["addresses"] == [{"type": "work", "formatted": "1 Main Street"}]
    assert changed["roles"] == [{"primary": True, "value": "admin"}]


@pytest.mark.parametrize(
    ("op", "false", "true"), [("Replace", "False", "True"), ("replace", False, True)], ids=["without flag", "with flag"]
)
async def test_e5_disabling_and_enabling_reach_the_remote_system(
    acme: Tenant, op: str, false: object, true: object
) -> None:
    """`"False"` is false: a non-empty string must never mean that a person keeps access."""
    user = (await acme.post("/Users", BODY_A)).json()
    response = await acme.patch(f"/Users/{user['id']}", {"op": op, "path": "active", "value": false})
    assert response.status_code == 200
    assert response.json()["active"] is False
    assert set(acme.remote_active().values()) == {False}
    response = await acme.patch(f"/Users/{user['id']}", {"op": op, "path": "active", "value": true})
    assert response.json()["active"] is True
    assert set(acme.remote_active().values()) == {True}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{ENTERPRISE}:manager", "2819c223"),
        (f"{ENTERPRISE}:manager", {"value": "2819c223"}),
        (f"{ENTERPRISE}:manager", [{"$ref": "http://x.example/Users/2819c223", "value": "2819c223"}]),
        ("manager", [{"$ref": "http://x.example/Users/2819c223", "value": "2819c223"}]),
        ("manager", "2819c223"),
        (f"{ENTERPRISE}.manager", {"value": "2819c223"}),
    ],
    ids=["string", "object", "array", "bare array", "bare string", "dotted"],
)
@pytest.mark.parametrize("removal", ["", {"value": ""}, None], ids=["empty", "empty object", "remove"])
async def test_e6_a_manager_is_set_and_removed_in_every_form(
    acme: Tenant, path: str, value: object, removal: object
) -> None:
    """No form is a silent success: the manager is there, and then it is gone."""
    user = (await acme.post("/Users", BODY_A)).json()
    response = await acme.patch(f"/Users/{user['id']}", {"op": "Add", "path": path, "value": value})
    assert response.status_code == 200
    assert response.json()[ENTERPRISE]["manager"]["value"] == "2819c223"
    operation = {"op": "Remove", "path": path} if removal is None else {"op": "Replace", "path": path, "value": removal}
    response = await acme.patch(f"/Users/{user['id']}", operation)
    assert response.status_code == 200
    assert "manager" not in response.json().get(ENTERPRISE, {})


async def test_e7_a_reference_check_finds_zero_or_one(acme: Tenant) -> None:
    """`manager eq` compares `manager.value`; `members eq` compares the member ids."""
    user = (await acme.post("/Users", {**BODY_A, ENTERPRISE: {"manager": {"value": "boss"}}})).json()
    group = await acme.group("X", user["id"])
    for endpoint, query, total in (
        ("Users", f'id eq "{user["id"]}" and manager eq "boss"', 1),
        ("Users", f'id eq "{user["id"]}" and manager eq "another"', 0),
        ("Groups", f'id eq "{group["id"]}" and members eq "{user["id"]}"', 1),
        ("Groups", f'id eq "{group["id"]}" and members eq "{uuid4()}"', 0),
    ):
        found = (await acme.get(f"/{endpoint}?filter={query}&attributes=id")).json()
        assert found["totalResults"] == total, query
        assert all(set(one) == {"schemas", "id"} for one in found["Resources"])


async def test_e8_a_deletion_removes_the_account_and_a_second_one_is_404(acme: Tenant) -> None:
    """Entra takes 404 as the end of a deletion."""
    user = (await acme.post("/Users", BODY_A)).json()
    assert (await acme.delete(f"/Users/{user['id']}")).status_code == 204
    assert acme.remote.accounts == {}
    assert (await acme.delete(f"/Users/{user['id']}")).status_code == 404


async def test_e9_a_group_without_members_and_with_a_foreign_urn_is_created(acme: Tenant) -> None:
    """The ADSCIM URN is not returned: a client would take it for a schema we do not publish."""
    group = await entra_group(acme)
    assert group["schemas"] == [GROUP]
    assert group["members"] == []
    assert (await acme.stored(group))["schemas"] == [GROUP]
    assert [one.display_name for one in acme.remote.groups.values()] == ["displayName"]
    assert "unknown_schema_urn" in acme.quirks
    assert (await acme.post("/Groups", {"schemas": [GROUP], "displayName": "DISPLAYNAME"})).status_code == 409


async def test_e10_a_group_is_read_without_its_members(acme: Tenant) -> None:
    """`excludedAttributes=members` leaves the list out, alone and in a search."""
    user = await acme.user()
    group = await acme.group("X", user["id"])
    alone = (await acme.get(f"/Groups/{group['id']}?excludedAttributes=members")).json()
    assert "members" not in alone
    assert alone["displayName"] == "X"
    found = (await acme.get('/Groups?excludedAttributes=members&filter=displayName eq "x"')).json()
    assert found["totalResults"] == 1
    assert "members" not in found["Resources"][0]


async def test_e11_a_rename_is_204(acme: Tenant) -> None:
    """The remote group has the new name, and so has the answer of the next read."""
    group = await entra_group(acme)
    response = await acme.patch(
        f"/Groups/{group['id']}", {"op": "Replace", "path": "displayName", "value": "1879db59-newName"}
    )
    assert response.status_code == 204
    assert response.content == b""
    assert (await acme.read(group))["displayName"] == "1879db59-newName"
    assert [one.display_name for one in acme.remote.groups.values()] == ["1879db59-newName"]
    response = await acme.patch(f"/Groups/{group['id']}", {"op": "Replace", "path": "externalId", "value": "new"})
    assert response.status_code == 204
    assert (await acme.read(group))["externalId"] == "new"


@pytest.mark.parametrize("flag", [False, True], ids=["without flag", "with flag"])
async def test_e12_e13_a_member_is_added_and_removed(acme: Tenant, flag: bool) -> None:
    """Only the named person joins and leaves, upstream too."""
    stays, moves = await acme.user("stays@example.com"), await acme.user("moves@example.com")
    group = await acme.group("X", stays["id"])
    value = [{"$ref": None, "value": moves["id"]}]
    response = await acme.patch(f"/Groups/{group['id']}", {"op": "Add", "path": "members", "value": value})
    assert response.status_code == 204
    assert acme.remote_members("X") == {"stays@example.com", "moves@example.com"}
    removal: dict[str, Any] = {"op": "Remove", "path": "members", "value": value}
    if flag:
        removal = {"op": "remove", "path": f'members[value eq "{moves["id"]}"]'}
    response = await acme.patch(f"/Groups/{group['id']}", removal)
    assert response.status_code == 204
    assert acme.remote_members("X") == {"stays@example.com"}
    assert await acme.members(group) == {stays["id"]}


async def test_e14_a_group_is_deleted_once(acme: Tenant) -> None:
    """The second deletion is 404."""
    group = await entra_group(acme)
    assert (await acme.delete(f"/Groups/{group['id']}")).status_code == 204
    assert acme.remote.groups == {}
    assert (await acme.delete(f"/Groups/{group['id']}")).status_code == 404


async def test_the_validator_changes_user_name_without_path(acme: Tenant) -> None:
    """A rename by PATCH without path shows under the new name and frees the old one."""
    user = await acme.user("old@example.com")
    response = await acme.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"userName": "new@example.com"}})
    assert response.status_code == 200
    assert (await acme.get('/Users?filter=userName eq "new@example.com"')).json()["totalResults"] == 1
    assert (await acme.get('/Users?filter=userName eq "old@example.com"')).json()["totalResults"] == 0
    assert acme.remote_active() == {"new@example.com": True}
    assert (await acme.user("old@example.com"))["id"] != user["id"]


async def test_operations_of_one_request_may_remove_and_add_the_same_attribute(acme: Tenant) -> None:
    """They are applied in order."""
    user = await acme.user(title="Old")
    response = await acme.patch(
        f"/Users/{user['id']}",
        {"op": "Remove", "path": "title"},
        {"op": "Add", "path": "title", "value": "New"},
        {"op": "Add", "path": "nickName", "value": "Babs"},
    )
    assert response.json()["title"] == "New"
    assert response.json()["nickName"] == "Babs"


async def test_a_reactivated_user_still_has_their_groups(acme: Tenant) -> None:
    """Unassigning and assigning again gives back what the groups say now."""
    user = await acme.user()
    group = await acme.group("X", user["id"])
    await acme.patch(f"/Users/{user['id']}", {"op": "Replace", "path": "active", "value": "False"})
    await acme.patch(f"/Users/{user['id']}", {"op": "Replace", "path": "active", "value": "True"})
    assert [one["value"] for one in (await acme.read(user))["groups"]] == [group["id"]]
    assert acme.remote_members("X") == {"ada@example.com"}
