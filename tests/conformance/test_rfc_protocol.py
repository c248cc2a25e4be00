"""RFC 7644 §3.11–§4 and §7, requirement by requirement (reference table, rows 58–67)."""

import asyncio
import json
from typing import Any

import pytest

from tests.http.bridge import ERROR, GROUP, USER, Tenant

SCIM_TYPES = {
    "invalidFilter", "tooMany", "uniqueness", "mutability", "invalidSyntax", "invalidPath", "noTarget", "invalidValue",
    "invalidVers", "sensitive", "invalidCursor", "expiredCursor", "invalidCount",
}  # fmt: skip
"""RFC 7644 Table 9 and RFC 9865 §2.2."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get")
PATHS = (
    "", "/", "/Users", "/Users/x", "/Users/x/y", "/users", "/Groups", "/Groups/x", "/Bulk", "/Bulk/x", "/Me", "/Me/x",
    "/.search", "/Users/.search", "/Users/x/.search", "/Schemas", "/Schemas/x", "/Schemas/.search", "/ResourceTypes",
    "/ResourceTypes/x", "/ServiceProviderConfig", "/ServiceProviderConfig/x", "/nope", "/nope/x", "/nope/.search",
)  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
async def test_rows_58_59_every_error_is_a_scim_error(acme: Tenant, method: str) -> None:
    """RFC 7644 §3.12: on any route, the status is a string that agrees, the scimType is one of the table's."""
    for path in PATHS:
        response = await acme.send(method, path, {} if method in ("POST", "PUT", "PATCH") else None)
        assert response.status_code < 500 or response.status_code == 501, (method, path)
        if response.status_code < 400 or method == "HEAD":
            continue
        body = response.json()
        assert body["schemas"] == [ERROR], (method, path)
        assert body["status"] == str(response.status_code)
        assert body["detail"]
        assert body.get("scimType", "uniqueness") in SCIM_TYPES
        assert response.headers["Content-Type"] == "application/scim+json"
        assert response.headers["X-Request-Id"]
        if response.status_code == 405:
            assert method not in response.headers["Allow"].split(", ")


async def test_row_60_only_version_two_is_served(acme: Tenant) -> None:
    """RFC 7644 §3.13."""
    headers = {"Authorization": f"Bearer {acme.token}"}
    assert (await acme.http.get("/acme/scim/v2/Users", headers=headers)).status_code == 200
    for path in ("/acme/scim/v1/Users", "/acme/scim/Users", "/acme/Users", "/acme/scim/v22/Users", "/acme"):
        response = await acme.http.get(path, headers=headers)
        assert response.status_code == 404, path
        assert response.json()["schemas"] == [ERROR]


@pytest.mark.parametrize("kind", ["User", "Group"])
async def test_row_61_versions_guard_writes_and_spare_reads(acme: Tenant, kind: str) -> None:
    """RFC 7644 §3.14: `If-Match` stale 412, `If-None-Match` the same 304, weak tags in header and meta alike."""
    name = {"userName": "ada"} if kind == "User" else {"displayName": "ada"}
    resource = await (acme.user("ada") if kind == "User" else acme.group("ada"))
    path = f"/{kind}s/{resource['id']}"
    got = await acme.get(path)
    tag = got.headers["ETag"]
    assert tag == got.json()["meta"]["version"]
    assert tag.startswith('W/"')
    unchanged = await acme.get(path, If_None_Match=tag)
    assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", tag)
    assert (await acme.get(path, If_None_Match='W/"other"')).status_code == 200
    body = {"schemas": [USER if kind == "User" else GROUP], **name, "externalId": "e"}
    change = {"op": "replace", "path": "externalId", "value": "f"}
    for stale in (
        await acme.put(path, body, If_Match='W/"0"'),
        await acme.patch(path, change, If_Match='W/"0"'),
        await acme.delete(path, If_Match='W/"0"'),
    ):
        assert stale.status_code == 412
    assert (await acme.get(path)).json() == got.json()
    changed = await acme.put(path, body, If_Match=tag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag
    assert (await acme.patch(path, change, If_Match=f'W/"0", {changed.headers["ETag"]}')).is_success
    assert (await acme.delete(path, If_Match="*")).status_code == 204


async def test_row_61_of_two_writes_with_one_version_one_wins(acme: Tenant) -> None:
    """RFC 7644 §3.14: the check and the write are one step."""
    user = await acme.user()
    tag = user["meta"]["version"]
    responses = await asyncio.gather(
        *(
            acme.patch(f"/Users/{user['id']}", {"op": "replace", "path": "title", "value": str(n)}, If_Match=tag)
            for n in range(5)
        )
    )
    assert sorted(response.status_code for response in responses) == [200, 412, 412, 412, 412]


async def test_row_62_discovery_is_read_only_and_not_searched(acme: Tenant) -> None:
    """RFC 7644 §4: ListResponses, single objects by name and URN, 405 on writes, 403 on a filter."""
    for endpoint in ("Schemas", "ResourceTypes"):
        listed = (await acme.get(f"/{endpoint}?sortBy=id&startIndex=2&count=1")).json()
        assert listed["totalResults"] == listed["itemsPerPage"] == len(listed["Resources"])
        for resource in listed["Resources"]:
            alone = await acme.get(f"/{endpoint}/{resource['id']}")
            assert alone.json() == resource
            assert resource["meta"]["location"] == f"http://bridge.test/acme/scim/v2/{endpoint}/{resource['id']}"
        assert (await acme.get(f"/{endpoint}/nope")).status_code == 404
    for path in ("/Schemas", "/ResourceTypes", "/ServiceProviderConfig"):
        assert (await acme.get(f'{path}?filter=id eq "x"')).status_code == 403
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert (await acme.send(method, path, {})).status_code == 405
    encoded = USER.replace(":", "%3A")
    assert (await acme.get(f"/Schemas/{encoded}")).json()["id"] == USER


@pytest.mark.parametrize(
    "body",
    [
        b'{"userName":"a","USERNAME":"admin"}',
        b'{"userName":"a","userName":"admin"}',
        b'{"userName":NaN}',
        b'{"userName":"a","x":Infinity}',
        b'{"userName":"a","x":1e999}',
        b'{"userName":"a","x":' + b"9" * 5_000 + b"}",
        b'{"userName":"a","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"userName":"a","x":' + b"[" * 40 + b"]" * 40 + b"}",
        b'\xef\xbb\xbf{"userName":"a"}',
        b'{"userName":"\xff"}',
        b'{"userName":"\\ud800"}',
        b'{"userName":"a\\u0000"}',
        b'{"\\u0000":"a"}',
        '{"userName":"a"}'.encode("utf-16"),
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"userName":"a"} x',
    ],
)  # fmt: skip
async def test_row_67_ambiguous_json_is_400(acme: Tenant, body: bytes) -> None:
    """RFC 8259, RFC 7493: what two parsers could read differently is refused by the first."""
    for method, path in (
        ("POST", "/Users"),
        ("PUT", "/Users/x"),
        ("PATCH", "/Groups/x"),
        ("POST", "/Bulk"),
        ("POST", "/.search"),
    ):
        response = await acme.send(method, path, body)
        assert response.status_code == 400, (path, response.text)
        assert response.json()["schemas"] == [ERROR]
    assert acme.remote.accounts == {}


@pytest.mark.parametrize(("path", "size"), [("/Users", 1_100_000), ("/Groups", 5_300_000), ("/Bulk", 1_100_000)])
async def test_row_67_a_body_that_is_too_large_is_413(acme: Tenant, path: str, size: int) -> None:
    """RFC 7644 §3.7.4, §3.12: the limit is named, with and without a declared length."""
    response = await acme.post(path, b'{"x":"' + b"a" * size + b'"}')
    assert response.status_code == 413
    assert response.json()["schemas"] == [ERROR]
    assert "bytes" in response.json()["detail"]


async def test_row_67_a_user_holds_so_many_values(acme: Tenant) -> None:
    """A PATCH engine that copies thousands of them per operation would stop all other writes."""
    emails = [{"value": f"{number}@x.io"} for number in range(201)]
    assert (await acme.post("/Users", {"schemas": [USER], "userName": "a", "emails": emails})).status_code == 413
    user = await acme.user(emails=emails[:150])
    for operations in (
        [{"op": "add", "path": "emails", "value": emails}],
        [{"op": "add", "value": {"emails": emails}}],
        [{"op": "add", "path": "emails", "value": emails[150:]}],
        [{"op": "add", "path": "emails", "value": emails[:3]}] * 67,
    ):
        assert (await acme.patch(f"/Users/{user['id']}", *operations)).status_code == 413
    assert await acme.read(user) == user


async def test_row_67_too_many_values_are_413(acme: Tenant) -> None:
    """One megabyte of tiny values costs seconds further down."""
    emails: list[Any] = [{"value": "a"}] * 15_000
    body = json.dumps({"schemas": [USER], "userName": "a", "emails": emails}).encode()
    assert (await acme.post("/Users", body)).status_code == 413
    operations = [{"op": "add", "path": "title", "value": "x"}] * 101
    user = await acme.user()
    assert (await acme.patch(f"/Users/{user['id']}", *operations)).status_code == 413
    group = await acme.group("X")
    members = {"op": "add", "path": "members", "value": [{"value": str(number)} for number in range(10_001)]}
    assert (await acme.patch(f"/Groups/{group['id']}", members)).status_code == 413
