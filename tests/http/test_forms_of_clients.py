"""Forms that real clients send: what is made of them, what is refused in one sentence; `strict` keeps to the RFC."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.protocol import preset
from tests.http.bridge import ENTERPRISE, GROUP, USER, Tenant, bridge
from tests.http.test_requests import call

ROLE = {"id": "06b07648-0000-0000-0000-000000000001", "value": "Editor", "displayName": "Editors"}


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Tenant]:
    """A connection whose client is held to the RFC."""
    async with bridge(tmp_path, client=preset("strict")) as (tenant,):
        yield tenant


def replace(path: str, value: Any) -> dict[str, Any]:
    """Return an operation."""
    return {"op": "replace", "path": path, "value": value}


def one_sentence(answer: Any) -> str:
    """Return the detail of an error, which is one line and names no web address."""
    detail: str = answer.json()["detail"]
    assert "\n" not in detail
    assert "://" not in detail
    return detail


# -- Attributes nobody knows beside a deactivation ---------------------------------------------------------------------


@pytest.mark.parametrize("client", ["okta", "entra", "generic"])
@pytest.mark.parametrize(
    "path",
    [
        "urn:ietf:params:scim:schemas:extension:custom:2.0:User:badge",
        "badge",
        "name.badge",
        f"{ENTERPRISE}:badge",
        'emails[badge eq "x"].value',
    ],
)
@pytest.mark.parametrize("first", [True, False])
async def test_an_unknown_attribute_keeps_no_deactivation_from_taking_effect(
    tmp_path: Path, client: str, path: str, first: bool
) -> None:
    """It is left out and counted, as a creation does; the rest of the PATCH applies."""
    async with bridge(tmp_path, client=preset(client)) as (acme,):
        user = await acme.user()
        operations = [replace(path, "7"), replace("active", "False")]
        answer = await acme.patch(f"/Users/{user['id']}", *(operations if first else reversed(operations)))
        assert (answer.status_code, answer.json()["active"]) == (200, False)
        assert acme.remote_active() == {"ada@example.com": False}
        assert "unknown_attribute" in acme.quirks
        alone = await acme.patch(f"/Users/{user['id']}", replace(path, "7"))
        assert (alone.status_code, alone.json()["scimType"]) == (400, "invalidPath")


@pytest.mark.parametrize("client", ["okta", "entra", "generic"])
@pytest.mark.parametrize(
    "beside", [{"badge": 7}, {"name.badge": 7}, {"urn:x:y:User": {"a": 1}}, {ENTERPRISE: {"badge": 7}}, {"emails[": 7}],
    ids=json.dumps,
)  # fmt: skip
async def test_nor_does_one_in_a_value_without_a_path(tmp_path: Path, client: str, beside: dict[str, Any]) -> None:
    """The other way to write it, of a PATCH, and a whole resource."""
    async with bridge(tmp_path, client=preset(client)) as (acme,):
        user = await acme.user()
        answer = await acme.patch(f"/Users/{user['id']}", {"op": "replace", "value": {**beside, "active": False}})
        assert (answer.status_code, answer.json()["active"]) == (200, False)
        assert acme.remote_active() == {"ada@example.com": False}
        assert acme.quirks == ["unknown_attribute"]
        body = {"schemas": [USER], "userName": "ada@example.com", "active": True, **beside}
        answer = await acme.put(f"/Users/{user['id']}", body)
        assert (answer.status_code, acme.remote_active()) == (200, {"ada@example.com": True})
        assert acme.quirks == ["unknown_attribute"] * 2


@pytest.mark.parametrize("operation", [replace("badge", 7), {"op": "add", "value": {"badge": 7}}], ids=json.dumps)
async def test_an_unknown_attribute_of_a_group_keeps_nobody_in_it(acme: Tenant, operation: dict[str, Any]) -> None:
    """To leave is done in the same PATCH."""
    user = await acme.user()
    group = await acme.group("G", user["id"])
    leaves = {"op": "remove", "path": f'members[value eq "{user["id"]}"]'}
    answer = await acme.patch(f"/Groups/{group['id']}", operation, leaves)
    assert answer.status_code == 204, answer.text
    assert (await acme.members(group), acme.remote_members("G")) == (set(), set())
    assert acme.quirks == ["unknown_attribute"]


async def test_strict_refuses_an_unknown_attribute_and_changes_nothing(strict: Tenant) -> None:
    """RFC 7644 §3.5.2: a PATCH is atomic."""
    user = await strict.user()
    answer = await strict.patch(f"/Users/{user['id']}", replace("badge", "7"), replace("active", False))
    assert answer.status_code == 400
    assert strict.remote_active() == {"ada@example.com": True}


# -- Booleans ----------------------------------------------------------------------------------------------------------

NO_BOOLEANS = ["off", "on", "y", "n", "t", "f", "yes", "1", "0", 1, 0, 1.0, 0.0, [], [True, False], {}, "  false"]


@pytest.mark.parametrize("value", NO_BOOLEANS, ids=json.dumps)
async def test_what_is_no_boolean_changes_nobodys_access(acme: Tenant, value: Any) -> None:
    """Only true, false and their names are booleans; whatever else is 400 in every way to write it."""
    user = await acme.user()
    path = f"/Users/{user['id']}"
    answers = [
        await acme.patch(path, replace("active", value)),
        await acme.patch(path, {"op": "replace", "value": {"active": value}}),
        await acme.put(path, {"schemas": [USER], "userName": "ada@example.com", "active": value}),
        await acme.post("/Users", {"schemas": [USER], "userName": "eve@example.com", "active": value}),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue"), answer.text
        one_sentence(answer)
    assert acme.remote_active() == {"ada@example.com": True}


@pytest.mark.parametrize("value", ["False", "false", "FALSE", False], ids=json.dumps)
async def test_the_names_of_booleans_are_read(acme: Tenant, value: Any) -> None:
    """Entra ID sends them as texts."""
    user = await acme.user()
    answer = await acme.patch(f"/Users/{user['id']}", replace("active", value))
    assert (answer.status_code, answer.json()["active"]) == (200, False)
    assert acme.remote_active() == {"ada@example.com": False}


async def test_strict_reads_no_text_for_a_boolean_and_no_operation_in_another_case(strict: Tenant) -> None:
    """RFC 7643 §2.3.2, RFC 7644 §3.5.2; nothing is counted, since nothing is rewritten."""
    user = await strict.user(emails=[{"value": "a@x.io", "type": "work"}])
    path = f"/Users/{user['id']}"
    group = await strict.group("G")
    refused = [
        await strict.patch(path, replace("active", "False")),
        await strict.patch(path, {"op": "Replace", "path": "active", "value": False}),
        await strict.patch(path, {"op": "add", "path": "emails", "value": {"value": "b@x.io"}}),
        await strict.get('/Users?filter=active eq "true"'),
        await strict.get("/Users?filter=userName eq ada@example.com"),
        await strict.get('/Users?filter=emails[primary eq "True"]'),
        await strict.get("/Users?filter=active eq 1"),
        await strict.get("/Users?filter=externalId eq 5"),
        await strict.patch(path, replace('roles[primary eq "True"].value', "x")),
        await strict.patch(path, replace("emails[type eq work].value", "x@x.io")),
        await strict.patch(path, {"op": "remove", "path": "emails", "value": [{"value": "a@x.io"}]}),
        await strict.post("/Users", {"schemas": [USER], "userName": "eve@example.com", "badge": 7}),
        await strict.post("/Users", {"schemas": [USER], "userName": "eve@example.com", "name": {"badge": 7}}),
        await strict.patch(f"/Groups/{group['id']}", replace(f'members[value eq "{user["id"]}"].value', user["id"])),
        await strict.patch(f"/Groups/{group['id']}", {"op": "add", "path": "members", "value": user["id"]}),
        await strict.patch(f"/Groups/{group['id']}", {"op": "add", "path": "members", "value": {"value": user["id"]}}),
        await strict.put(f"/Groups/{group['id']}", {"schemas": [GROUP], "displayName": "G", "members": [user["id"]]}),
        await strict.patch(
            f"/Groups/{group['id']}", {"op": "remove", "path": "members", "value": [{"value": user["id"]}]}
        ),
    ]
    for answer in refused:
        one_sentence(answer)
    assert [answer.status_code for answer in refused] == [400] * len(refused)
    assert strict.quirks == []
    assert await strict.members(group) == set()
    assert strict.remote_active() == {"ada@example.com": True}


# -- Values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [{"groups": ["a"]}, {"groups": "x"}, {"meta": {"created": "31.12.2025"}}, {"id": 123}, {"meta": "x"}],
    ids=json.dumps,
)
async def test_read_only_attributes_are_ignored_whatever_they_look_like(acme: Tenant, odd: dict[str, Any]) -> None:
    """RFC 7644 §3.3 and §3.5.1: SHALL be ignored."""
    user = await acme.user(**odd)
    answer = await acme.put(f"/Users/{user['id']}", {"schemas": [USER], "userName": "ada@example.com", **odd})
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == user["id"]


@pytest.mark.parametrize("path", ["active", "profileUrl", f"{ENTERPRISE}:manager"])
async def test_an_empty_text_is_no_value(acme: Tenant, path: str) -> None:
    """Of an optional attribute that is no text (RFC 7643 §2.5); it neither activates nor deactivates."""
    user = await acme.user(profileUrl="https://x.example/ada")
    answer = await acme.patch(f"/Users/{user['id']}", replace(path, ""))
    assert answer.status_code == 200, answer.text
    assert answer.json()["active"] is True
    assert path == "active" or path not in answer.json()
    assert acme.remote_active() == {"ada@example.com": True}


@pytest.mark.parametrize(
    "operation",
    [
        replace(f"{ENTERPRISE}:employeeNumber", 5),
        replace("emails", 7),
        replace("name", "x"),
        replace("title", ["a", "b"]),
        replace(ENTERPRISE, "x"),
        replace("addresses", ["x"]),
    ],
    ids=json.dumps,
)
async def test_a_value_of_another_type_is_told_in_one_sentence(acme: Tenant, operation: dict[str, Any]) -> None:
    """As for a creation, and without a library's words."""
    user = await acme.user()
    answer = await acme.patch(f"/Users/{user['id']}", operation)
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    one_sentence(answer)


@pytest.mark.parametrize("name", ["roles", "entitlements"])
@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("Editor", [{"value": "Editor"}]),
        (["Editor", "Viewer"], [{"value": "Editor"}, {"value": "Viewer"}]),
        (
            [{"value": json.dumps(ROLE), "primary": "False"}],
            [{"value": "Editor", "display": "Editors", "primary": False}],
        ),
    ],
    ids=["text", "texts", "JSON text"],
)
async def test_roles_are_read_in_each_form_that_clients_send(acme: Tenant, name: str, sent: Any, stored: Any) -> None:
    """A text, a list of texts, and Entra's app roles, whose value is a JSON text: stored as RFC 7643 has them."""
    created = await acme.user(**{name: sent})
    assert (await acme.stored(created))[name] == stored
    other = await acme.user("eve@example.com")
    answer = await acme.patch(f"/Users/{other['id']}", {"op": "add", "path": name, "value": sent})
    assert answer.json()[name] == stored
    answer = await acme.patch(f"/Users/{other['id']}", {"op": "replace", "value": {name: sent}})
    assert answer.json()[name] == stored
    assert {"text_for_values", "json_in_value"} & set(acme.quirks)


@pytest.mark.parametrize("value", ["Editor", json.dumps(ROLE)], ids=["text", "JSON text"])
async def test_the_one_role_that_entra_replaces_is_found_by_a_text(acme: Tenant, value: str) -> None:
    """`roles[primary eq "True"].value`: Entra ID writes the boolean as a text, and the role as it was mapped."""
    user = await acme.user(roles=[{"value": "Viewer", "primary": True}, {"value": "Guest"}])
    answer = await acme.patch(f"/Users/{user['id']}", replace('roles[primary eq "True"].value', value))
    assert answer.json()["roles"] == [{"value": "Editor", "primary": True}, {"value": "Guest"}]
    assert acme.quirks[0] == "boolean_string_in_filter"


@pytest.mark.parametrize("suffix", ["", ".value"])
async def test_a_member_is_not_replaced_by_nobody(acme: Tenant, suffix: str) -> None:
    """A 2xx would say that it was done."""
    user = await acme.user()
    group = await acme.group("G", user["id"])
    path = f'members[value eq "{user["id"]}"]{suffix}'
    for operation in (replace(path, None), {"op": "replace", "path": path}):
        assert (await acme.patch(f"/Groups/{group['id']}", operation)).status_code == 400
    assert await acme.members(group) == {user["id"]}


async def test_who_has_such_a_name_already_is_deactivated(acme: Tenant) -> None:
    """An account made by hand, or before such names were refused; the name itself cannot be given to anybody."""
    name = "a\u202eda@example.com"
    account = acme.remote.accounts[acme.remote.add_account(name)]
    await acme.compare()
    found = (await acme.get("/Users")).json()["Resources"][0]
    path = f"/Users/{found['id']}"
    assert (await acme.patch(path, replace("active", False))).status_code == 200
    assert not account.active
    assert (await acme.put(path, {"schemas": [USER], "userName": name, "active": True})).status_code == 200
    assert account.active
    assert (await acme.patch(path, replace("userName", f"b{name}"))).status_code == 400


@pytest.mark.parametrize("character", ["\u200b", "\u2060", "\u00ad"])
async def test_a_user_name_holds_nothing_that_is_not_seen(acme: Tenant, character: str) -> None:
    """Two userNames would look alike; a group may be called so, as emoji and some scripts are."""
    name = f"ada@example.com{character}"
    answer = await acme.post("/Users", {"schemas": [USER], "userName": name})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    await acme.group(name)


@pytest.mark.parametrize("character", ["\n", "\x1b", "\u202e", "\u2066", "\x85", "\u200f"])
async def test_names_hold_no_control_and_direction_characters(acme: Tenant, character: str) -> None:
    """They are written to terminals and compared by people."""
    name = f"a{character}da@example.com"
    refused = [
        await acme.post("/Users", {"schemas": [USER], "userName": name}),
        await acme.post("/Groups", {"displayName": name}),
    ]
    user = await acme.user()
    refused.append(await acme.patch(f"/Users/{user['id']}", replace("userName", name)))
    assert [(one.status_code, one.json()["scimType"]) for one in refused] == [(400, "invalidValue")] * 3
    assert set(acme.remote_active()) == {"ada@example.com"}


@pytest.mark.parametrize("text", ["\u0323\u0307" * 20_000, "a" * 300_000], ids=["marks", "ascii"])
@pytest.mark.parametrize("name", ["userName", "externalId", "title", "displayName"])
async def test_a_text_that_is_slow_to_fold_is_refused_before_it_is(acme: Tenant, name: str, text: str) -> None:
    """Normalising marks out of order takes time that grows with the square of their number."""
    answer = await acme.post("/Users", {"schemas": [USER], "userName": "eve@example.com", name: text})
    assert answer.status_code == 400
    assert len(answer.text) < 1_000


# -- Queries -----------------------------------------------------------------------------------------------------------


async def test_a_time_without_a_zone_is_utc_and_a_date_alone_is_no_time(acme: Tenant) -> None:
    """xsd:dateTime; the other way round nobody would be found, and every incremental sync would be empty."""
    user = await acme.user()
    for attribute in ("meta.lastModified", "meta.created"):
        for operator, found in (("gt", 1), ("ge", 1), ("lt", 0), ("le", 0)):
            answer = await acme.get(f'/Users?filter={attribute} {operator} "2020-01-01T00:00:00"')
            assert answer.json()["totalResults"] == found
        for no_time in ('"2020-01-01"', '"now"', "5", "true"):
            answer = await acme.get(f"/Users?filter={attribute} gt {no_time}")
            assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")
    exact = user["meta"]["created"].removesuffix("Z")
    assert (await acme.get(f'/Users?filter=meta.created eq "{exact}"')).json()["totalResults"] == 1


@pytest.mark.parametrize("index", [2**63, 2**64, 10**40])
async def test_a_page_behind_every_resource_is_empty(acme: Tenant, index: int) -> None:
    """However large the index is."""
    await acme.user()
    answer = await acme.get(f"/Users?startIndex={index}")
    assert (answer.status_code, answer.json().get("Resources", [])) == (200, [])


async def test_a_plus_beside_encoded_blanks_is_a_plus(acme: Tenant) -> None:
    """Or the filter would find nobody, and the creation after it would be a conflict."""
    user = await acme.user("ada+x@example.com")
    for query in (b'userName%20eq%20"ada+x@example.com"', b'userName+eq+"ada%2Bx@example.com"'):
        headers = [(b"host", b"bridge.test"), (b"authorization", f"Bearer {acme.token}".encode())]
        path = "/acme/scim/v2/Users"
        parts = {"path": path, "raw_path": path.encode(), "method": "GET", "headers": headers}
        status, body = await call(acme, {**parts, "query_string": b"filter=" + query})
        assert (status, [one["id"] for one in body["Resources"]]) == (200, [user["id"]])


@pytest.mark.parametrize("value", ["ada@example.com", "ada+x@example.com", "a.da-b_c@example.com"])
async def test_an_unquoted_value_of_a_filter_is_a_text(acme: Tenant, value: str) -> None:
    """Some clients forget the quotation marks; what is within such marks is left alone."""
    user = await acme.user(value, title='eq x "y"')
    query = f'userName eq {value} and title eq "eq x \\"y\\""'
    found = await acme.post("/Users/.search", {"filter": query})
    assert [one["id"] for one in found.json()["Resources"]] == [user["id"]]
    assert "unquoted_filter_value" in acme.quirks


async def test_a_number_is_compared_with_a_text_as_the_text_it_is(acme: Tenant) -> None:
    """`externalId eq 12345`, as `userName eq ada` without quotation marks."""
    user = await acme.user(externalId="12345")
    found = await acme.get("/Users?filter=externalId eq 12345")
    assert [one["id"] for one in found.json()["Resources"]] == [user["id"]]
    padded = await acme.user("eve@example.com", externalId="00123")
    found = await acme.get("/Users?filter=externalId eq 00123")
    assert [one["id"] for one in found.json()["Resources"]] == [padded["id"]]
    assert set(acme.quirks) == {"unquoted_filter_value"}


@pytest.mark.parametrize("value", ["\u201cada@example.com\u201d", "'ada@example.com'"])
async def test_other_quotation_marks_are_no_part_of_a_value(acme: Tenant, value: str) -> None:
    """To find nobody would be followed by a creation, and a conflict."""
    await acme.user()
    answer = await acme.post("/Users/.search", {"filter": f"userName eq {value}"})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")


async def test_the_filters_of_paths_are_read_as_others_are(acme: Tenant) -> None:
    """`members[value eq …]` and `emails[type eq work]` without quotation marks."""
    user = await acme.user(emails=[{"value": "a@x.io", "type": "work"}])
    group = await acme.group("G", user["id"])
    answer = await acme.patch(f"/Users/{user['id']}", replace("emails[type eq work].value", "b@x.io"))
    assert answer.json()["emails"] == [{"value": "b@x.io", "type": "work"}]
    removed = {"op": "remove", "path": f"members[value eq {user['id']}]"}
    assert (await acme.patch(f"/Groups/{group['id']}", removed)).status_code == 204
    assert acme.remote_members("G") == set()
    assert acme.quirks == ["unquoted_filter_value"] * 2


# -- HTTP --------------------------------------------------------------------------------------------------------------


async def test_head_is_a_get_without_its_body(acme: Tenant) -> None:
    """RFC 9110 §9.3.2."""
    user = await acme.user()
    for path in (f"/Users/{user['id']}", "/Users", "/ServiceProviderConfig"):
        got, head = await acme.get(path), await acme.send("HEAD", path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == got.headers["content-length"]
        assert head.headers.get("etag") == got.headers.get("etag")
    assert (await acme.send("HEAD", "/Users/nobody")).status_code == 404
    assert (await acme.send("OPTIONS", "/Users")).headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip"])
async def test_a_compressed_body_is_415_and_names_its_coding(acme: Tenant, coding: str) -> None:
    """Not a riddle about UTF-8."""
    answer = await acme.post("/Users", {"schemas": [USER], "userName": "eve@example.com"}, content_encoding=coding)
    assert answer.status_code == 415
    assert coding.split(",", maxsplit=1)[0] in answer.json()["detail"]
    assert acme.remote_active() == {}


async def test_an_empty_segment_hints_at_the_slash_of_the_base_url(acme: Tenant) -> None:
    """`…/scim/v2/` and `/Users` make `//Users`."""
    answer = await acme.get("//Users")
    assert answer.status_code == 400
    assert "slash" in answer.json()["detail"]


async def test_headers_that_are_too_large_are_431(acme: Tenant) -> None:
    """RFC 6585 §5, in SCIM's form."""
    answer = await acme.get("/Users", x_filler="x" * 20_000)
    assert (answer.status_code, answer.json()["status"]) == (431, "431")


async def test_a_cursor_is_one_of_its_connection_and_query(tmp_path: Path) -> None:
    """RFC 9865 §2: 400 `invalidCursor`."""
    async with bridge(tmp_path, "acme", "other") as (acme, other):
        for tenant in (acme, other):
            for number in range(3):
                await tenant.user(f"u{number}@example.com")
        cursor = (await acme.get("/Users?cursor&count=1")).json()["nextCursor"]
        assert (await acme.get(f"/Users?cursor={cursor}&count=1")).status_code == 200
        answers = [
            await other.get(f"/Users?cursor={cursor}&count=1"),
            await acme.get(f"/Users?cursor={cursor}&count=1&filter=active eq true"),
            await acme.get(f"/Users?cursor={cursor}&count=1&sortBy=userName"),
            await acme.get(f"/Groups?cursor={cursor}&count=1"),
            await acme.get(f"/Users?cursor={cursor}x&count=1"),
        ]
        assert [(one.status_code, one.json()["scimType"]) for one in answers] == [(400, "invalidCursor")] * 5
