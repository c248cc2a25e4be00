"""RFC 7644 §3.4 and RFC 9865, requirement by requirement (reference table, rows 32–43), with how values compare."""

import asyncio
from datetime import timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest

from tests.http.bridge import ENTERPRISE, ERROR, LIST_RESPONSE, USER, Tenant, moment

SEARCH_REQUEST = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


async def names(acme: Tenant, query: str) -> list[str]:
    """Return the userNames that a filter finds."""
    response = await acme.get(f"/Users?filter={query}")
    assert response.status_code == 200, response.text
    return sorted(user["userName"] for user in response.json()["Resources"])


async def test_row_32_the_root_and_its_search_cover_all_types(acme: Tenant) -> None:
    """RFC 7644 §3.4.2.1, §3.4.3: an attribute of one type is false of the other."""
    user, group = await acme.user(displayName="X"), await acme.group("X")
    found = (await acme.get('/?filter=displayName eq "X"')).json()
    assert {one["id"] for one in found["Resources"]} == {user["id"], group["id"]}
    found = (await acme.post("/.search", {"schemas": [SEARCH_REQUEST], "filter": "userName pr"})).json()
    assert [one["id"] for one in found["Resources"]] == [user["id"]]


@pytest.mark.parametrize(
    "query",
    [
        'userName xx "a"',
        "userName eq",
        "((",
        "(" * 10_000 + 'userName eq "a"' + ")" * 10_000,
        'userName eq "a" and',
        "userName eq 'a'",
        "not userName pr",
        'noSuchAttribute eq "a"',
        'emails[type eq "work"',
        " or ".join(['userName eq "a"'] * 100),
        f'userName eq "{"a" * 5_000}"',
        "active gt true",
        'x509Certificates.value gt "YQ=="',
        'active eq "maybe"',
        "active eq 5",
        'meta.created gt "yesterday"',
    ],
    ids=[
        "operator", "value", "parentheses", "10,000 parentheses", "and", "quotes", "not", "attribute", "bracket",
        "100 terms", "5 KB", "ordered boolean", "ordered binary", "boolean", "number for boolean", "date",
    ],
)  # fmt: skip
async def test_rows_33_36_66_a_bad_filter_is_400_invalid_filter(acme: Tenant, query: str) -> None:
    """RFC 7644 §3.4.2.2: never 200 of everybody, never 500."""
    await acme.user()
    response = await acme.post("/Users/.search", {"schemas": [SEARCH_REQUEST], "filter": query})
    assert (response.status_code, response.json()["scimType"]) == (400, "invalidFilter")
    assert response.json()["schemas"] == [ERROR]


async def test_row_34_and_binds_tighter_than_or(acme: Tenant) -> None:
    """RFC 7644 §3.4.2.2: the truth table of `a or b and c`, of groups and of not."""
    for number in range(8):
        a, b, c = (str(number >> bit & 1) for bit in range(3))
        await acme.user(f"{a}{b}{c}", title=a, nickName=b, locale=c)
    everyone = [(f"{n >> 0 & 1}", f"{n >> 1 & 1}", f"{n >> 2 & 1}") for n in range(8)]
    term = {"a": 'title eq "1"', "b": 'nickName eq "1"', "c": 'locale eq "1"'}

    def those(rule: Any) -> list[str]:
        return sorted("".join(one) for one in everyone if rule(*(bit == "1" for bit in one)))

    assert await names(acme, "{a} or {b} and {c}".format(**term)) == those(lambda a, b, c: a or (b and c))
    assert await names(acme, "({a} or {b}) and {c}".format(**term)) == those(lambda a, b, c: (a or b) and c)
    assert await names(acme, "not ({a}) and {b}".format(**term)) == those(lambda a, b, c: not a and b)
    assert await names(acme, "not ({a} and {b}) or {c}".format(**term)) == those(lambda a, b, c: not (a and b) or c)


@pytest.mark.parametrize("query", ['USERNAME EQ "ada"', 'username Eq "ADA"', f'{USER.upper()}:userName eq "ada"'])
async def test_row_35_operators_and_names_disregard_case(acme: Tenant, query: str) -> None:
    """RFC 7644 §3.4.2.2."""
    await acme.user("ada")
    await acme.user("bob")
    assert await names(acme, query) == ["ada"]


async def test_row_37_a_value_path_holds_within_one_element(acme: Tenant) -> None:
    """RFC 7644 §3.4.2.2: a cross match fails."""
    await acme.user("ada", emails=[{"type": "work", "value": "w@x.io"}, {"type": "home", "value": "h@x.io"}])
    assert await names(acme, 'emails[type eq "work" and value eq "w@x.io"]') == ["ada"]
    assert await names(acme, 'emails[type eq "work" and value eq "h@x.io"]') == []


async def test_row_38_presence_absence_and_null(acme: Tenant) -> None:
    """RFC 7644 §3.4.2.2: `pr` is false of what is empty, `ne` is true of what is absent."""
    await acme.user("empty", emails=[], name={})
    await acme.user("full", emails=[{"value": "a@x.io"}], name={"givenName": "A"}, title="T")
    assert await names(acme, "emails pr") == ["full"]
    assert await names(acme, "name pr") == ["full"]
    assert await names(acme, 'title ne "T"') == ["empty"]
    assert await names(acme, "title eq null") == ["empty"]
    assert await names(acme, "title ne null") == ["full"]


async def test_row_39_times_compare_as_instants(acme: Tenant) -> None:
    """RFC 7644 §3.4.2.2: whatever the zone and the precision."""
    first = await acme.user("first")
    second = await acme.user("second")
    zone = timezone(timedelta(hours=2))
    between = moment(first["meta"]["created"]).astimezone(zone).isoformat()
    body = {"schemas": [SEARCH_REQUEST], "filter": f'meta.created gt "{between}"'}
    found = (await acme.post("/Users/.search", body)).json()["Resources"]
    assert [one["id"] for one in found] == [second["id"]]
    body["filter"] = f'meta.created le "{between}"'
    assert [one["id"] for one in (await acme.post("/Users/.search", body)).json()["Resources"]] == [first["id"]]


async def test_row_40_start_index_and_count_are_bounded(acme: Tenant) -> None:
    """RFC 7644 §3.4.2.4: below one is one, below zero is zero, a word is 400, too many is the maximum."""
    await acme.user("a")
    await acme.user("b")
    for query, held in (("startIndex=0", 2), ("startIndex=-5&count=1", 1), ("count=0", 0), ("count=-3", 0)):
        body = (await acme.get(f"/Users?{query}")).json()
        assert (body["totalResults"], body["itemsPerPage"], len(body["Resources"])) == (2, held, held), query
    assert (await acme.get("/Users?startIndex=0")).json()["startIndex"] == 1
    for query in ("startIndex=one", "count=many", "count=1.5"):
        assert (await acme.get(f"/Users?{query}")).status_code == 400
    assert (await acme.get("/Users?count=100000")).status_code == 200


async def test_row_41_the_order_holds_while_others_write(acme: Tenant) -> None:
    """RFC 7644 §3.4.2.4: who is there during the whole walk is seen exactly once."""
    ids = [(await acme.user(f"u{number}"))["id"] for number in range(6)]
    seen = []
    for start in (1, 3, 5):
        seen += [one["id"] for one in (await acme.get(f"/Users?startIndex={start}&count=2")).json()["Resources"]]
        await asyncio.gather(acme.user(f"late{start}"), acme.patch(f"/Users/{ids[0]}", {
            "op": "replace", "path": "title", "value": str(start),
        }))  # fmt: skip
    assert seen == ids


async def test_row_42_attributes_and_excluded_attributes_on_every_verb(acme: Tenant) -> None:
    """RFC 7644 §3.9: the minimum set stays, sub-attributes and URNs work, both at once are refused."""
    user = await acme.user(title="T", name={"givenName": "A", "familyName": "B"}, **{ENTERPRISE: {"department": "D"}})
    path = f"/Users/{user['id']}"
    minimum = {"schemas", "id"}
    for query, keys in (
        ("attributes=title", {"title"}),
        ("attributes=NAME.givenname,title", {"name", "title"}),
        (f"attributes={USER}:title", {"title"}),
        (f"attributes={ENTERPRISE}:department", {ENTERPRISE}),
        ("attributes=meta.location", {"meta"}),
        ("excludedAttributes=name,active,emails,meta,userName," + ENTERPRISE, {"title"}),
        ("excludedAttributes=id,name,active,meta,userName," + ENTERPRISE, {"title"}),
    ):
        assert set((await acme.get(f"{path}?{query}")).json()) == minimum | keys, query
    assert (await acme.get(f"{path}?attributes=name.givenName")).json()["name"] == {"givenName": "A"}
    assert (await acme.get(f"{path}?attributes=title&excludedAttributes=name")).status_code == 400
    body = {"schemas": [USER], "userName": "ada@example.com", "title": "S"}
    assert set((await acme.put(f"{path}?attributes=title", body)).json()) == minimum | {"title"}
    operation = {"op": "replace", "path": "title", "value": "R"}
    assert set((await acme.patch(f"{path}?attributes=title", operation)).json()) == minimum | {"title"}
    created = await acme.post("/Users?attributes=userName", {"schemas": [USER], "userName": "b"})
    assert set(created.json()) == minimum | {"userName"}
    assert created.headers["Location"]
    listed = (await acme.get("/Users?attributes=userName")).json()["Resources"]
    assert all(set(one) == minimum | {"userName"} for one in listed)


async def test_row_43_a_search_by_post_follows_the_rules_of_get(acme: Tenant) -> None:
    """RFC 7644 §3.4.3: on a type and at the root; the message needs its schema's form."""
    for number in range(3):
        await acme.user(f"u{number}", title=str(2 - number))
    body = {
        "schemas": [SEARCH_REQUEST],
        "filter": 'userName sw "u"',
        "sortBy": "title",
        "sortOrder": "descending",
        "startIndex": 2,
        "count": 1,
        "attributes": ["userName"],
    }
    found = (await acme.post("/Users/.search", body)).json()
    assert found["schemas"] == [LIST_RESPONSE]
    assert (found["totalResults"], found["startIndex"], found["itemsPerPage"]) == (3, 2, 1)
    assert [one["userName"] for one in found["Resources"]] == ["u1"]
    assert (await acme.post("/Users/.search", [])).status_code == 400


@pytest.mark.parametrize("sort_by", ["userName", "name.familyName", "title", "meta.created", "emails"])
async def test_sorting_puts_missing_values_last_and_reverses(acme: Tenant, sort_by: str) -> None:
    """RFC 7644 §3.4.2.3."""
    for number, name in enumerate(("b", "A", "c")):
        await acme.user(
            name, title=name, name={"familyName": name}, emails=[{"value": f"{name}{number}@x.io", "primary": True}]
        )
    order = [user["userName"] for user in (await acme.get(f"/Users?sortBy={sort_by}")).json()["Resources"]]
    assert order == (["b", "A", "c"] if sort_by == "meta.created" else ["A", "b", "c"])
    reverse = (await acme.get(f"/Users?sortBy={sort_by}&sortOrder=descending")).json()["Resources"]
    assert [user["userName"] for user in reverse] == order[::-1]


async def test_cursors_walk_every_resource_once_and_back(acme: Tenant) -> None:
    """RFC 9865: the pages hold although others write; the last has no next cursor."""
    ids = [(await acme.user(f"u{number}"))["id"] for number in range(5)]
    page = (await acme.get("/Users?cursor=&count=2")).json()
    assert "startIndex" not in page
    assert "previousCursor" not in page
    seen = [one["id"] for one in page["Resources"]]
    first = seen
    await acme.delete(f"/Users/{ids[0]}")
    page = (await acme.get(f"/Users?cursor={page['nextCursor']}&count=2")).json()
    seen = [*seen, *(one["id"] for one in page["Resources"])]
    back = (await acme.get(f"/Users?cursor={page['previousCursor']}&count=2")).json()
    assert [one["id"] for one in back["Resources"]] == first[1:]
    page = (await acme.get(f"/Users?cursor={page['nextCursor']}&count=2")).json()
    seen += [one["id"] for one in page["Resources"]]
    assert "nextCursor" not in page
    assert seen == ids


async def test_the_root_is_searched_across_types_in_both_directions(acme: Tenant) -> None:
    """RFC 7644 §3.4.3 at the root, RFC 9865 in a body: pages go from Users on to Groups, and back, each once."""
    people = [(await acme.user(f"u{number}"))["id"] for number in range(3)]
    groups = [(await acme.group(name))["id"] for name in ("g", "h")]

    async def page(cursor: str) -> dict[str, Any]:
        body = {"schemas": [SEARCH_REQUEST], "count": 2, "cursor": cursor}
        found: dict[str, Any] = (await acme.post("/.search", body)).json()
        return found

    pages = [await page("")]
    while "nextCursor" in pages[-1]:
        pages.append(await page(pages[-1]["nextCursor"]))
    assert [one["id"] for each in pages for one in each["Resources"]] == people + groups
    assert [each["totalResults"] for each in pages] == [5] * 3
    for one, following in pairwise(pages):
        assert (await page(following["previousCursor"]))["Resources"] == one["Resources"]
    assert "previousCursor" not in pages[0]


async def test_a_cursor_serves_only_the_query_it_was_issued_for(acme: Tenant) -> None:
    """RFC 9865 §2.1: a forged, foreign or altered one is `invalidCursor`, another count `invalidCount`."""
    for number in range(3):
        await acme.user(f"u{number}")
    cursor = (await acme.get("/Users?cursor=&count=1")).json()["nextCursor"]
    for query, scim_type in (
        (f"/Users?cursor={cursor}&count=2", "invalidCount"),
        (f"/Users?cursor={cursor}&count=1&filter=userName pr", "invalidCursor"),
        (f"/Groups?cursor={cursor}&count=1", "invalidCursor"),
        ("/Users?cursor=AAAA&count=1", "invalidCursor"),
        (f"/Users?cursor={cursor[:-4]}AAAA&count=1", "invalidCursor"),
    ):
        response = await acme.get(query)
        assert (response.status_code, response.json()["scimType"]) == (400, scim_type), query
    assert (await acme.get(f"/Users?cursor={cursor}&startIndex=1&count=1")).status_code == 400


@pytest.mark.parametrize(
    ("one", "other"),
    [("jos\u00e9", "jose\u0301"), ("\uff41da", "ada"), ("straße", "STRASSE"), ("ﬁn", "fin")],
    ids=["composed", "full width", "sharp s", "ligature"],
)
async def test_row_65_names_are_prepared_before_they_are_compared(acme: Tenant, one: str, other: str) -> None:
    """RFC 7644 §5, §7.8: filter and uniqueness agree, and the spelling stays."""
    user = await acme.user(one)
    assert user["userName"] == one
    response = await acme.post("/Users", {"schemas": [USER], "userName": other, "externalId": "other"})
    assert response.status_code == 409
    body = {"schemas": [SEARCH_REQUEST], "filter": f'userName eq "{other}"'}
    assert (await acme.post("/Users/.search", body)).json()["totalResults"] == 1
