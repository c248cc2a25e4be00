"""What people can hold, as Okta's entitlement discovery and draft-ietf-scim-roles-entitlements-01 read it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from scim_bridge.connector import Connector
from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Entitlement
from scim_bridge.protocol import preset
from scim_bridge.testing.memory_roles import MemoryRolesConnector, MemoryRosterRolesConnector
from tests.http.bridge import USER, Tenant, bridge

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
OKTA = "urn:okta:scim:schemas:core:1.0:"
NAMES = ("Sales", "Support", "Field team")


class Mixed(MemoryRolesConnector):
    """Its last group is a team, no role."""

    @hookimpl
    async def list_entitlements(self) -> list[Entitlement]:
        """Return the groups, and what only hands give."""
        roles = await super().list_entitlements()
        teams = [one for one in roles if one.name.endswith("team")]
        kept = [one for one in roles if one not in teams]
        return [*kept, *(Entitlement(one.remote_id, one.name, "Entitlement", "Team") for one in teams)]


@asynccontextmanager
async def discovered(
    path: Path, client: str = "okta", connector: type[Connector[Any]] = Mixed
) -> AsyncIterator[Tenant]:
    """Serve a remote system with two roles and a team, as one client sees it."""
    async with bridge(path, client=preset(client), connector_type=connector) as (acme,):
        for name in NAMES:
            acme.remote.add_group(name)
        await acme.compare()
        yield acme


async def test_oktas_discovery_finds_each_endpoint_by_its_schema(tmp_path: Path) -> None:
    """`/ResourceTypes`, then `/Schemas`, then each endpoint with `?count=1&startIndex=1`, as Okta's own test asks."""
    async with discovered(tmp_path) as acme:
        types = (await acme.get("/ResourceTypes")).json()["Resources"]
        endpoints = {one["schema"]: one["endpoint"] for one in types if one["schema"].startswith(OKTA)}
        assert endpoints == {f"{OKTA}Role": "/Roles", f"{OKTA}Entitlement": "/Entitlements"}
        schemas = {one["id"]: one for one in (await acme.get("/Schemas")).json()["Resources"]}
        for urn, endpoint in endpoints.items():
            attributes = {one["name"]: one for one in schemas[urn]["attributes"]}
            assert {"displayName", "description", "type"} < attributes.keys()
            assert {one["mutability"] for one in attributes.values()} == {"readOnly"}
            page = (await acme.get(f"{endpoint}?count=1&startIndex=1")).json()
            assert (page["itemsPerPage"], page["startIndex"], len(page["Resources"])) == (1, 1, 1)
            (one,) = page["Resources"]
            assert one["schemas"] == [urn]
            assert one["id"]
            assert one["displayName"]
        assert (await acme.get("/Roles?count=1&startIndex=1")).json()["totalResults"] == 3  # with what hands give
        assert (await acme.get("/Entitlements")).json()["totalResults"] == 1


async def test_pages_cover_what_there_is_once(tmp_path: Path) -> None:
    """By index, and by cursor in both directions."""
    async with discovered(tmp_path) as acme:
        whole = [one["id"] for one in (await acme.get("/Roles")).json()["Resources"]]
        pages = [(await acme.get(f"/Roles?count=1&startIndex={n}")).json() for n in (1, 2, 3, 4)]
        assert [one["id"] for page in pages for one in page.get("Resources", [])] == whole
        first = (await acme.get("/Roles?cursor=&count=2")).json()
        second = (await acme.get(f"/Roles?cursor={first['nextCursor']}&count=2")).json()
        assert [one["id"] for one in (*first["Resources"], *second["Resources"])] == whole
        assert "nextCursor" not in second
        back = (await acme.get(f"/Roles?cursor={second['previousCursor']}&count=2")).json()
        assert [one["id"] for one in back["Resources"]] == whole[:2]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('displayName eq "sales"', {"Sales"}),
        ('displayName co "S"', {"Sales", "Support"}),
        ("value pr and supported eq false", {"Root"}),
        ('type eq "Group" and not (displayName sw "Sa")', {"Support"}),
        ('display eq "nobody"', set()),
    ],
)
async def test_filters_choose_roles(tmp_path: Path, query: str, found: set[str]) -> None:
    """In a query and in `/.search`."""
    async with discovered(tmp_path) as acme:
        by_get = (await acme.get(f"/Roles?filter={quote(query)}")).json()
        by_post = (await acme.post("/Roles/.search", {"filter": query})).json()
        for answer in (by_get, by_post):
            assert {one["displayName"] for one in answer.get("Resources", [])} == found
            assert answer["totalResults"] == len(found)
        assert (await acme.get(f"/Roles?filter={quote('displayName xx 1')}")).json()["scimType"] == "invalidFilter"


async def test_an_entitlement_by_its_id_and_nothing_is_written_there(tmp_path: Path) -> None:
    """One resource with its entity tag, a projection, 404, and 405 for whoever would write."""
    async with discovered(tmp_path) as acme:
        (team,) = (await acme.get("/Entitlements")).json()["Resources"]
        path = f"/Entitlements/{team['id']}"
        one = await acme.get(path)
        assert one.json() == team
        assert (team["value"], team["display"], team["type"], team["supported"]) == (
            team["id"], "Field team", "Team", True,
        )  # fmt: skip
        assert one.headers["ETag"] == team["meta"]["version"]
        assert (await acme.get(path, If_None_Match=one.headers["ETag"])).status_code == 304
        assert (await acme.get(f"{path}?attributes=display")).json().keys() == {"schemas", "id", "display"}
        assert (await acme.get("/Entitlements/nobody")).status_code == 404
        assert (await acme.get(f"/Roles/{team['id']}")).status_code == 404
        for answer in (await acme.put(path, team), await acme.delete(path), await acme.post("/Entitlements", team)):
            assert answer.status_code == 405
        bulk: list[dict[str, Any]] = [
            {"method": "POST", "path": "/Roles", "bulkId": "1", "data": team},
            {"method": "PUT", "path": path, "data": team},
            {"method": "PATCH", "path": path, "data": {"Operations": [{"op": "remove", "path": "display"}]}},
            {"method": "DELETE", "path": path},
        ]
        told = (await acme.post("/Bulk", {"schemas": [BULK], "Operations": bulk})).json()["Operations"]
        assert [one["status"] for one in told] == ["405"] * 4
        assert {group.display_name for group in acme.remote.groups.values()} == set(NAMES)


@pytest.mark.parametrize("connector", [Mixed, MemoryRosterRolesConnector], ids=["on people", "on groups"])
async def test_the_drafts_block_tells_what_is_supported(tmp_path: Path, connector: type[Connector[Any]]) -> None:
    """`RolesAndEntitlements`, and each of its claims: several values, `primary` and `type`; as the User schema says."""
    async with discovered(tmp_path, connector=connector) as acme:
        config = (await acme.get("/ServiceProviderConfig")).json()
        told = config["RolesAndEntitlements"]
        for name in ("roles", "entitlements"):
            assert set(told[name].values()) == {True}
            assert (await acme.get(f"/{name.capitalize()}")).status_code == 200
        user = (await acme.get(f"/Schemas/{USER}")).json()
        for attribute in user["attributes"]:
            if attribute["name"] in told:
                assert attribute["multiValued"]
                assert {"primary", "type"} < {one["name"] for one in attribute["subAttributes"]}


async def test_where_nothing_is_told_of_roles_none_is_announced(acme: Tenant, tmp_path: Path) -> None:
    """A connector without entitlements has no such endpoints; `generic` may be too old to read the block."""
    assert "RolesAndEntitlements" not in (await acme.get("/ServiceProviderConfig")).json()
    assert (await acme.get("/Roles")).status_code == 404
    (tmp_path / "b").mkdir()
    async with discovered(tmp_path / "b", client="generic") as other:
        assert not {"RolesAndEntitlements", "pagination"} & (await other.get("/ServiceProviderConfig")).json().keys()
        assert (await other.get("/Roles")).status_code == 200


async def test_nothing_is_answered_asynchronously(acme: Tenant) -> None:
    """`Prefer: respond-async` (RFC 9967 §2.5.1.1) is answered as ever, and the configuration does not announce it."""
    assert "securityEvents" not in (await acme.get("/ServiceProviderConfig")).json()
    body = {"schemas": [USER], "userName": "ada@example.com"}
    made = await acme.post("/Users", body, Prefer="respond-async, wait=1")
    assert (made.status_code, made.json()["userName"]) == (201, "ada@example.com")
    assert not {"set-txn", "preference-applied"} & {name.lower() for name in made.headers}
    assert acme.remote_active() == {"ada@example.com": True}
