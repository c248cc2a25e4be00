"""The twenty-five bugs that other service providers had, each once (reference: what broke in the field)."""

import asyncio
from typing import Any

import pytest

from tests.http.bridge import ENTERPRISE, ERROR, GROUP, USER, Tenant


@pytest.mark.parametrize("spelling", ["False", "false", "FALSE"])
async def test_bug_01_a_false_in_letters_is_false_everywhere(acme: Tenant, spelling: str) -> None:
    """In POST, PUT, PATCH and filters; read as true, a deprovisioned person would stay."""
    posted = await acme.user("a@example.com", active=spelling)
    assert posted["active"] is False
    user = await acme.user("b@example.com")
    put = await acme.put(f"/Users/{user['id']}", {"schemas": [USER], "userName": "b@example.com", "active": spelling})
    assert put.json()["active"] is False
    user = await acme.user("c@example.com")
    patched = await acme.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": spelling})
    assert patched.json()["active"] is False
    assert (await acme.get(f'/Users?filter=active eq "{spelling}"')).json()["totalResults"] == 3
    assert True not in acme.remote_active().values()


async def test_bug_02_a_filtered_path_without_match_creates_the_element(acme: Tenant) -> None:
    """The element has the filter's terms."""
    user = await acme.user()
    for op in ("add", "replace"):
        await acme.patch(f"/Users/{user['id']}", {"op": op, "path": f'emails[type eq "{op}"].value', "value": "x@y.io"})
    assert (await acme.read(user))["emails"] == [
        {"type": "add", "value": "x@y.io"},
        {"type": "replace", "value": "x@y.io"},
    ]


async def test_bug_03_a_key_of_a_value_without_path_is_a_path(acme: Tenant) -> None:
    """`name.givenName` is not stored literally."""
    user = await acme.user()
    await acme.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"name.givenName": "Ada"}})
    assert (await acme.stored(user))["name"] == {"givenName": "Ada"}
    assert "name.givenName" not in await acme.stored(user)


async def test_bug_04_a_manager_as_a_string_is_its_value(acme: Tenant) -> None:
    """In POST as in PATCH."""
    user = await acme.user(**{ENTERPRISE: {"manager": "boss"}})
    assert (await acme.stored(user))[ENTERPRISE] == {"manager": {"value": "boss"}}


@pytest.mark.parametrize(
    "form",
    [
        lambda id_: {"op": "Remove", "path": "members", "value": [{"value": id_}]},
        lambda id_: {"op": "remove", "path": f'members[value eq "{id_}"]'},
        lambda id_: {"op": "remove", "path": f'members[value eq "{id_}" or value eq "none"]'},
        lambda id_: {"op": "remove", "path": f'{GROUP}:members[value eq "{id_}"]'},
        lambda id_: {"op": "remove", "path": "members", "value": {"value": id_}},
        lambda id_: {"op": "remove", "path": "members", "value": id_},
    ],
    ids=["value", "filter", "disjunction", "urn", "object", "string"],
)
async def test_bug_05_a_removal_removes_the_named_member_only(acme: Tenant, form: Any) -> None:
    """Neither everyone nor nobody."""
    one, two = await acme.user("one@example.com"), await acme.user("two@example.com")
    group = await acme.group("X", one["id"], two["id"])
    assert (await acme.patch(f"/Groups/{group['id']}", form(one["id"]))).status_code == 204
    assert await acme.members(group) == {two["id"]}
    assert acme.remote_members("X") == {"two@example.com"}


async def test_bug_06_a_push_of_an_empty_list_empties_the_group(acme: Tenant) -> None:
    """Okta's "Push now" on an empty group."""
    user = await acme.user()
    group = await acme.group("X", user["id"])
    response = await acme.patch(f"/Groups/{group['id']}", {"op": "replace", "path": "members", "value": []})
    assert response.status_code == 204
    assert acme.remote_members("X") == set()


async def test_bug_07_a_rename_leaves_the_members(acme: Tenant) -> None:
    """An attribute that is not named stays."""
    user = await acme.user()
    group = await acme.group("X", user["id"])
    await acme.patch(f"/Groups/{group['id']}", {"op": "replace", "value": {"displayName": "Y"}})
    assert acme.remote_members("Y") == {"ada@example.com"}


@pytest.mark.parametrize("op", ["Add", "ADD", "Replace", "rEPLACE"])
async def test_bug_08_the_name_of_an_operation_disregards_case(acme: Tenant, op: str) -> None:
    """Entra capitalises it."""
    user = await acme.user()
    response = await acme.patch(f"/Users/{user['id']}", {"op": op, "path": "title", "value": "Boss"})
    assert response.json()["title"] == "Boss"


async def test_bug_09_external_id_is_found_also_by_an_unquoted_value(acme: Tenant) -> None:
    """Neither 500 nor everybody; what is no filter even so stays 400 `invalidFilter`."""
    user = await acme.user(externalId="x1")
    found = (await acme.get('/Users?filter=externalId eq "x1"')).json()
    assert [one["id"] for one in found["Resources"]] == [user["id"]]
    found = (await acme.get("/Users?filter=externalId eq x1")).json()
    assert [one["id"] for one in found["Resources"]] == [user["id"]]
    response = await acme.get("/Users?filter=externalId eq x1 x2")
    assert (response.status_code, response.json()["scimType"]) == (400, "invalidFilter")


@pytest.mark.parametrize("external_id", ["1", "0", "account-1"])
async def test_bug_10_external_id_is_echoed_and_is_never_an_identity(acme: Tenant, external_id: str) -> None:
    """It is stored as given, separate from our id, and names no row (CVE-2025-41115)."""
    other = await acme.user("other@example.com")
    user = await acme.user(externalId=external_id)
    assert user["externalId"] == external_id
    assert user["id"] != external_id
    stolen = await acme.user("thief@example.com", externalId=other["id"])
    assert stolen["id"] not in (other["id"], user["id"])
    assert (await acme.read(other))["userName"] == "other@example.com"
    assert (await acme.get(f"/Users/{external_id}")).status_code == 404


async def test_bug_11_user_name_is_unique_and_found_without_regard_to_case(acme: Tenant) -> None:
    """The spelling stays."""
    user = await acme.user("Ada@Example.com")
    clash = await acme.post("/Users", {"schemas": [USER], "userName": "aDA@eXAMPLE.COM", "externalId": "other"})
    assert clash.status_code == 409
    found = (await acme.get('/Users?filter=userName eq "ADA@EXAMPLE.COM"')).json()["Resources"]
    assert [(one["id"], one["userName"]) for one in found] == [(user["id"], "Ada@Example.com")]


async def test_bug_12_paging_tells_what_is_on_the_page_and_counts_after_the_filter(acme: Tenant) -> None:
    """A page past the end is empty with status 200."""
    for number in range(3):
        await acme.user(f"u{number}@example.com", title="a" if number else "b")
    page = (await acme.get('/Users?filter=title eq "a"&count=100')).json()
    assert (page["totalResults"], page["itemsPerPage"]) == (2, 2)
    beyond = await acme.get("/Users?startIndex=100&count=10")
    assert beyond.status_code == 200
    assert (beyond.json()["totalResults"], beyond.json()["itemsPerPage"], beyond.json()["Resources"]) == (3, 0, [])


async def test_bug_13_an_empty_list_has_resources_and_numbers(acme: Tenant) -> None:
    """`Resources` is `[]`, neither null nor missing; numbers are no strings."""
    body = (await acme.get('/Users?filter=userName eq "x"')).json()
    assert body["Resources"] == []
    assert all(type(body[name]) is int for name in ("totalResults", "itemsPerPage", "startIndex"))


async def test_bug_14_a_duplicate_is_409_uniqueness_with_a_string_status(acme: Tenant) -> None:
    """Of users and of groups."""
    await acme.user()
    await acme.group("X")
    for path, body in (
        ("/Users", {"schemas": [USER], "userName": "ADA@example.com", "externalId": "n"}),
        ("/Groups", {"schemas": [GROUP], "displayName": "x", "externalId": "n"}),
    ):
        response = await acme.post(path, body)
        assert response.status_code == 409
        assert response.json()["schemas"] == [ERROR]
        assert response.json()["status"] == "409"
        assert response.json()["scimType"] == "uniqueness"


async def test_bug_15_what_the_filter_does_not_show_a_creation_does_not_run_into(acme: Tenant) -> None:
    """An account made by hand is found by the filter and adopted by a creation: no dead end."""
    remote_id = acme.remote.add_account("hand@example.com")
    found = (await acme.get('/Users?filter=userName eq "hand@example.com"')).json()
    assert found["totalResults"] == 1
    other_id = acme.remote.add_account("unseen@example.com")
    created = await acme.user("unseen@example.com")
    assert (await acme.row(created)).remote_id == other_id
    taken = await acme.user("hand@example.com")
    assert taken["id"] == found["Resources"][0]["id"]
    assert (await acme.row(taken)).remote_id == remote_id
    assert len(acme.remote.accounts) == 2


@pytest.mark.parametrize("gone", ["inactive", "deleted"])
async def test_bug_16_a_person_who_returns_is_let_in_again(acme: Tenant, gone: str) -> None:
    """POST works after a deactivation and after a deletion, and the account is active upstream."""
    user = await acme.user()
    if gone == "inactive":
        await acme.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": False})
    else:
        await acme.delete(f"/Users/{user['id']}")
    again = await acme.user()
    assert again["active"] is True
    assert (again["id"] == user["id"]) is (gone == "inactive")
    assert acme.remote_active() == {"ada@example.com": True}


async def test_bug_17_an_inactive_user_stays_readable_and_listed(acme: Tenant) -> None:
    """Only a deletion is a 404."""
    user = await acme.user()
    await acme.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": False})
    assert (await acme.read(user))["active"] is False
    assert (await acme.get("/Users")).json()["totalResults"] == 1
    assert (await acme.get("/Users?filter=active eq false")).json()["totalResults"] == 1


async def test_bug_18_patches_to_one_group_at_once_lose_no_member(acme: Tenant) -> None:
    """Twenty clients add one person each."""
    users = [await acme.user(f"u{number}@example.com") for number in range(20)]
    group = await acme.group("X")
    responses = await asyncio.gather(
        *(
            acme.patch(f"/Groups/{group['id']}", {"op": "add", "path": "members", "value": [{"value": user["id"]}]})
            for user in users
        )
    )
    assert {response.status_code for response in responses} == {204}
    assert await acme.members(group) == {user["id"] for user in users}
    assert len(acme.remote_members("X")) == 20


async def test_bug_19_members_past_the_first_hundred_stay(acme: Tenant) -> None:
    """A PATCH never rebuilds the list from one page."""
    bulk = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            {"method": "POST", "path": "/Users", "bulkId": f"u{n}", "data": {"schemas": [USER], "userName": f"u{n}"}}
            for n in range(100)
        ],
    }
    first = (await acme.post("/Bulk", bulk)).json()["Operations"]
    ids = [one["location"].rpartition("/")[2] for one in first]
    ids += [(await acme.user(f"late{number}"))["id"] for number in range(5)]
    group = await acme.group("X", *ids)
    assert len(await acme.members(group)) == 105
    response = await acme.patch(f"/Groups/{group['id']}", {"op": "remove", "path": f'members[value eq "{ids[0]}"]'})
    assert response.status_code == 204
    assert await acme.members(group) == set(ids[1:])


async def test_bug_20_a_member_change_of_a_big_group_costs_its_own_size(acme: Tenant) -> None:
    """The answer is 204, and nothing of the rest of the group is read, sent or written."""
    ids = [(await acme.user(f"u{number}"))["id"] for number in range(60)]
    group = await acme.group("X", *ids)
    await acme.settled()
    calls = len(acme.remote.calls)
    versions = {id_: (await acme.get(f"/Users/{id_}")).headers["ETag"] for id_ in ids}
    response = await acme.patch(f"/Groups/{group['id']}", {"op": "remove", "path": f'members[value eq "{ids[0]}"]'})
    assert (response.status_code, response.content) == (204, b"")
    (account,) = [one for one in acme.remote.accounts.values() if one.user.user_name == "u0"]
    assert {call.remote_id for call in acme.remote.calls[calls:]} == {account.remote_id}
    changed = {id_ for id_ in ids if (await acme.get(f"/Users/{id_}")).headers["ETag"] != versions[id_]}
    assert changed == {ids[0]}


@pytest.mark.parametrize(
    "path", ["noSuchAttribute", "name.nonsense", f"{ENTERPRISE}:nonsense", "urn:x:y:title", "members"]
)
async def test_bug_21_an_unknown_path_is_refused_not_ignored(acme: Tenant, path: str) -> None:
    """200 with nothing done is the worst answer."""
    user = await acme.user()
    response = await acme.patch(f"/Users/{user['id']}", {"op": "replace", "path": path, "value": "x"})
    assert (response.status_code, response.json()["scimType"]) == (400, "invalidPath")
    assert await acme.read(user) == user


async def test_bug_22_nulls_are_absent_values(acme: Tenant) -> None:
    """Neither 500 nor stored; broken JSON is 400."""
    user = await acme.user(title=None, emails=None, name={"givenName": None}, phoneNumbers=[], **{ENTERPRISE: None})
    assert set(user) == {"schemas", "id", "userName", "active", "meta"}
    for name in ("emails pr", "title pr", "name pr", "phoneNumbers pr"):
        assert (await acme.get(f"/Users?filter={name}")).json()["totalResults"] == 0
    assert (await acme.post("/Users", b'{"userName":')).status_code == 400
    null = await acme.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": None})
    assert null.json()["active"] is True
    assert acme.remote_active() == {"ada@example.com": True}


async def test_bug_23_a_partial_value_is_merged_and_primary_moves_only_when_asked(acme: Tenant) -> None:
    """`{active: false}` drops nothing, and an added e-mail does not become primary by itself."""
    user = await acme.user(emails=[{"value": "a@x.io", "type": "work", "primary": True}], title="Boss")
    path = f"/Users/{user['id']}"
    changed = (await acme.patch(path, {"op": "replace", "value": {"active": False}})).json()
    assert (changed["userName"], changed["title"], changed["emails"]) == (user["userName"], "Boss", user["emails"])
    added = {"value": "b@x.io", "type": "home"}
    changed = (await acme.patch(path, {"op": "add", "path": "emails", "value": [added]})).json()
    assert [one.get("primary") for one in changed["emails"]] == [True, None]
    primary = {"value": "c@x.io", "type": "other", "primary": True}
    changed = (await acme.patch(path, {"op": "add", "path": "emails", "value": [primary]})).json()
    assert [one["value"] for one in changed["emails"] if one.get("primary")] == ["c@x.io"]


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/scim+json;charset=utf-8", "APPLICATION/JSON"]
)
async def test_bug_24_json_is_taken_under_either_name(acme: Tenant, content_type: str) -> None:
    """With or without charset; anything else is 415 in SCIM's form."""
    body = {"schemas": [USER], "userName": "ada@example.com"}
    assert (await acme.post("/Users", body, Content_Type=content_type)).status_code == 201
    refused = await acme.post("/Users", body, Content_Type="text/plain")
    assert refused.status_code == 415
    assert refused.json()["status"] == "415"


async def test_bug_25_put_and_patch_both_work_on_users_and_groups(acme: Tenant) -> None:
    """Okta's kinds of app use one or the other."""
    user, group = await acme.user(), await acme.group("X")
    body = {"schemas": [USER], "userName": "ada@example.com", "title": "A"}
    assert (await acme.put(f"/Users/{user['id']}", body)).json()["title"] == "A"
    changed = await acme.patch(f"/Users/{user['id']}", {"op": "replace", "path": "title", "value": "B"})
    assert changed.json()["title"] == "B"
    assert (await acme.put(f"/Groups/{group['id']}", {"schemas": [GROUP], "displayName": "Y"})).status_code == 200
    changed = await acme.patch(f"/Groups/{group['id']}", {"op": "replace", "path": "displayName", "value": "Z"})
    assert changed.status_code == 204
    assert (await acme.read(group))["displayName"] == "Z"


async def test_adding_a_present_member_changes_nothing(acme: Tenant) -> None:
    """It is calm: no call upstream, the same version."""
    user = await acme.user()
    group = await acme.group("X", user["id"])
    before, calls = await acme.read(group), len(acme.remote.calls)
    operation = {"op": "add", "path": "members", "value": [{"value": user["id"]}]}
    assert (await acme.patch(f"/Groups/{group['id']}", operation)).status_code == 204
    absent = {"op": "remove", "path": 'members[value eq "nobody"]'}
    assert (await acme.patch(f"/Groups/{group['id']}", absent)).status_code == 204
    assert await acme.read(group) == before
    assert len(acme.remote.calls) == calls


@pytest.mark.parametrize("endpoint", ["Users", "Groups"])
async def test_a_change_of_an_unknown_id_is_404(acme: Tenant, endpoint: str) -> None:
    """PUT never creates, and neither does PATCH."""
    body = {"schemas": [USER if endpoint == "Users" else GROUP], "userName": "x", "displayName": "x"}
    operation = {"op": "replace", "path": "displayName", "value": "x"}
    assert (await acme.patch(f"/{endpoint}/none", operation)).status_code == 404
    assert (await acme.delete(f"/{endpoint}/none")).status_code == 404
    assert (await acme.put(f"/{endpoint}/none", body)).status_code == 404
    assert (await acme.get(f"/{endpoint}")).json()["totalResults"] == 0
