"""Roles and entitlements on a portal: what a client asks for in each form, what HubSpot is given, and what is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from plugins.hubspot.tests.bridge.bridged import CONNECTION, Bridged, bridged
from plugins.hubspot.tests.bridge.test_nobody_else import portal_of, roles
from plugins.hubspot.tests.connector.portals import World
from scim_bridge.provisioning import ProvisioningPolicy, search
from scim_bridge.views.people import Chosen, people

ADA = "ada@corp.example"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a PATCH."""
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


@asynccontextmanager
async def served(
    path: Path, portal: World, assign: Any = "roles", client: str = "generic", **settings: Any
) -> AsyncIterator[tuple[Bridged, httpx2.AsyncClient]]:
    """Serve a portal whose roles are asked for as configured.

    :param settings: Settings of the connection, and of the connector.
    """
    ours = {name: settings.pop(name) for name in ("unknown_roles", "role_attribute") if name in settings}
    policy = ProvisioningPolicy(assign=assign, **ours)
    async with bridged(path, portal, policy=policy, client=client, **settings) as bridge:
        await bridge.compare()
        async with bridge.http() as http:
            yield bridge, http


async def made(http: httpx2.AsyncClient, user_name: str = ADA, **attributes: Any) -> dict[str, Any]:
    """Create a User."""
    answer = await http.post("/Users", json={"userName": user_name, **attributes})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


SALES_TEXT = '{"id":"06b07648","value":"Sales","displayName":"Sales people"}'


@pytest.mark.parametrize(
    ("client", "asked"),
    [
        ("generic", [{"value": "Sales"}]),
        ("generic", [{"value": "sales", "type": "Permission set", "primary": True}]),
        ("generic", [{"display": "Sales"}]),
        ("okta", ["Sales"]),
        ("okta", "Sales"),
        ("entra", [{"value": SALES_TEXT, "type": "WindowsAzureActiveDirectoryRole"}]),
        ("entra", [{"primary": "True", "value": "Sales"}]),
    ],
)
async def test_each_form_of_a_role_is_a_permission_set(tmp_path: Path, client: str, asked: Any) -> None:
    """Whatever the form, the person gets the set in one call, and is told it under the value that the client gave."""
    portal = portal_of()
    async with served(tmp_path, portal, client=client) as (bridge, http):
        ada = await made(http, roles=asked)

        assert roles(portal, ADA) == ("Sales",)
        assert [call.method for call in portal.writes()] == ["POST"]
        (told,) = ada["roles"]
        assert (told["display"], told["type"], told.get("state")) == ("Sales", "Permission set", None)
        again = (await http.get(f"/Users/{ada['id']}")).json()
        assert again == ada
        put = await http.put(f"/Users/{ada['id']}", json={"userName": ADA, "roles": asked})
        assert (put.status_code, put.json()["roles"]) == (200, ada["roles"])
        assert [call.method for call in portal.writes()] == ["POST"]
        assert not (await bridge.compare()).drifts


async def test_a_role_may_be_asked_for_by_its_id(tmp_path: Path) -> None:
    """The id that the list gives, or that of HubSpot."""
    portal = portal_of()
    async with served(tmp_path, portal) as (_, http):
        listed = {one["displayName"]: one["id"] for one in (await http.get("/Roles")).json()["Resources"]}
        await made(http, roles=[{"value": listed["Marketing"]}])
        assert roles(portal, ADA) == ("Marketing",)
        role = portal.hubspot.role_named("Sales").id
        await made(http, "eve@corp.example", roles=[{"value": f"role:{role}"}])
        assert roles(portal, "eve@corp.example") == ("Sales",)


async def test_a_set_that_a_client_has_just_pushed_is_a_role_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has made it in HubSpot since the comparison: pushed as a group it is found, and can be asked for."""
    monkeypatch.setattr(search, "LISTED_EVERY", 0)
    portal = portal_of()
    async with served(tmp_path, portal, assign="both") as (_, http):
        portal.hubspot.add_role("Legal")
        assert (await http.post("/Users", json={"userName": ADA, "roles": ["Legal"]})).status_code == 400
        assert (await http.post("/Groups", json={"displayName": "Legal"})).status_code == 201
        await made(http, roles=["Legal"])
        assert roles(portal, ADA) == ("Legal",)


REMOVALS: list[dict[str, Any]] = [
    patch({"op": "remove", "path": 'roles[value eq "Sales"]'}),
    patch({"op": "Remove", "path": "roles", "value": [{"value": "Sales"}]}),
    patch({"op": "remove", "path": "roles"}),
    patch({"op": "replace", "path": "roles", "value": []}),
    patch({"op": "replace", "value": {"roles": []}}),
    patch({"op": "remove", "path": 'roles[primary eq "True"]'}),
]


@pytest.mark.parametrize("body", [*REMOVALS, {"userName": ADA}, {"userName": ADA, "roles": []}])
async def test_each_form_of_a_removal_takes_the_set_away(tmp_path: Path, body: dict[str, Any]) -> None:
    """A PUT without the role, an emptied list and a filter are removals: done when they are answered."""
    portal = portal_of()
    async with served(tmp_path, portal, client="entra") as (bridge, http):
        ada = await made(http, roles=[{"value": "Sales", "primary": True}])
        send = http.patch if "Operations" in body else http.put
        answer = await send(f"/Users/{ada['id']}", json=body)

        assert (answer.status_code, answer.json().get("roles")) == (200, None), answer.text
        assert roles(portal, ADA) == ()
        assert "Sales" not in (await bridge.stored("User", ada["id"]))
        assert not (await bridge.compare()).drifts


async def test_a_removal_is_not_told_before_it_is_true(tmp_path: Path) -> None:
    """While HubSpot is down it is answered 429, the role is still shown, and it is taken away once HubSpot is back."""
    portal = portal_of()
    async with served(tmp_path, portal) as (_, http):
        ada = await made(http, roles=["Sales"])
        portal.hubspot.faults.outage()
        answer = await http.put(f"/Users/{ada['id']}", json={"userName": ADA, "roles": ["Marketing"]})
        assert answer.status_code == 429
        shown = (await http.get(f"/Users/{ada['id']}")).json()["roles"]
        assert [(one["display"], one.get("state")) for one in shown] == [("Marketing", "pending"), ("Sales", None)]
        assert [one["displayName"] for one in (await http.get("/Roles")).json()["Resources"]]
        portal.hubspot.faults.clear()
        answer = await http.put(f"/Users/{ada['id']}", json={"userName": ADA, "roles": ["Marketing"]})
        assert [one["display"] for one in answer.json()["roles"]] == ["Marketing"]
        assert roles(portal, ADA) == ("Marketing",)


async def test_a_set_given_by_hand_stays_until_it_is_named(tmp_path: Path) -> None:
    """Nothing takes it that does not name it; a filter names it; it is told all the while."""
    portal = portal_of((ADA, ["Service"]))
    async with served(tmp_path, portal) as (bridge, http):
        ada = await made(http)
        assert [one["display"] for one in ada["roles"]] == ["Service"]
        person = {"userName": ADA, "name": ada["name"]}
        for body in (person, {**person, "roles": []}, ada):
            assert (await http.put(f"/Users/{ada['id']}", json=body)).status_code == 200
        assert roles(portal, ADA) == ("Service",)
        assert not portal.writes()
        gone = await http.patch(
            f"/Users/{ada['id']}", json=patch({"op": "remove", "path": 'roles[value eq "Service"]'})
        )
        assert (gone.status_code, gone.json().get("roles")) == (200, None)
        assert roles(portal, ADA) == ()
        assert not (await bridge.compare()).drifts


async def test_what_gives_way_is_told_as_shadowed(tmp_path: Path) -> None:
    """HubSpot's API holds one set: the other one is never told as in force, and is once the first is taken away."""
    portal = portal_of()
    async with served(tmp_path, portal, precedence=["Sales", "Marketing"]) as (_, http):
        ada = await made(http, roles=["Marketing", "Sales"])
        assert [(one["display"], one.get("state")) for one in ada["roles"]] == [
            ("Marketing", "shadowed"),
            ("Sales", None),
        ]
        assert roles(portal, ADA) == ("Sales",)
        left = await http.patch(f"/Users/{ada['id']}", json=patch({"op": "remove", "path": 'roles[value eq "Sales"]'}))
        assert [(one["display"], one.get("state")) for one in left.json()["roles"]] == [("Marketing", None)]
        assert roles(portal, ADA) == ("Marketing",)


async def test_an_unknown_role_is_refused_with_what_there_is(tmp_path: Path) -> None:
    """Nobody is made, nobody loses anything; whoever is deactivated by the same write is deactivated."""
    portal = portal_of()
    async with served(tmp_path, portal) as (_, http):
        refused = await http.post("/Users", json={"userName": ADA, "roles": ["Salse"]})
        assert (refused.status_code, refused.json()["scimType"]) == (400, "invalidValue")
        assert '"Marketing", "No access", "Sales", "Service"' in refused.json()["detail"]
        assert "Super Admin" not in refused.json()["detail"]
        assert roles(portal, ADA) is None
        ada = await made(http, roles=["Sales"])
        put = {"userName": ADA, "roles": ["Salse"]}
        assert (await http.put(f"/Users/{ada['id']}", json=put)).status_code == 400
        assert roles(portal, ADA) == ("Sales",)
        assert (await http.put(f"/Users/{ada['id']}", json={**put, "active": False})).status_code == 200
        assert roles(portal, ADA) is None


async def test_an_unknown_role_may_be_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is not told as held, and the operator is told that something was left out."""
    portal = portal_of()
    async with served(tmp_path, portal, unknown_roles="drop") as (bridge, http):
        ada = await made(http, roles=["Salse", "Sales"])
        assert [one["value"] for one in ada["roles"]] == ["Sales"]
        assert roles(portal, ADA) == ("Sales",)
        assert "Salse" not in await bridge.stored("User", ada["id"])
    assert "1 were left out" in caplog.text


async def test_privileged_sets_need_the_same_leave(tmp_path: Path) -> None:
    """Nothing is sent of a set that is privileged; with the operator's leave it is given like others."""
    portal = portal_of()
    for allowed in ((), ("Sales",)):
        async with served(tmp_path, portal, privileged=["Sales"], allow_privileged=allowed) as (_, http):
            answer = await http.post("/Users", json={"userName": ADA, "roles": ["Sales"]})
            assert answer.status_code == (201 if allowed else 403)
            assert roles(portal, ADA) == (("Sales",) if allowed else None)


async def test_a_super_admin_is_shown_and_nobody_is_made_one(tmp_path: Path) -> None:
    """Who is one is told by the store; to ask for it is refused, to repeat it is not."""
    portal = portal_of((ADA, ["Sales"]))
    portal.hubspot.ui_super_admin(ADA, super_admin=True)
    async with served(tmp_path, portal) as (bridge, http):
        (ada,) = (await http.get("/Users", params={"filter": f'userName eq "{ADA}"'})).json()["Resources"]
        assert {one["display"] for one in ada["roles"]} == {"Sales", "Super Admin"}
        everybody = Chosen(access=True)
        page = await bridge.store.read(lambda tx: people(tx, CONNECTION, everybody, None))
        assert ("Sales", "Super Admin") in [one.holds for one in page.items if one.name == ADA]
        refused = await http.post("/Users", json={"userName": "eve@corp.example", "roles": ["Super Admin"]})
        assert (refused.status_code, roles(portal, "eve@corp.example")) == (403, None)


async def test_groups_and_roles_together(tmp_path: Path) -> None:
    """What both ask for stays until neither does; a client that repeats what it read asks for nothing by that."""
    portal = portal_of()
    async with served(tmp_path, portal, "both") as (bridge, http):
        ada = await made(http)
        sales = await bridge.group("Sales", ada["id"])
        read = (await http.get(f"/Users/{ada['id']}")).json()
        assert [one["display"] for one in read["roles"]] == ["Sales"]
        assert (await http.put(f"/Users/{ada['id']}", json=read)).status_code == 200
        await bridge.members(sales, "remove", ada["id"])
        assert roles(portal, ADA) == ()

        await bridge.members(sales, "add", ada["id"])
        asks = patch({"op": "add", "path": "roles", "value": [{"value": "Sales"}]})
        assert (await http.patch(f"/Users/{ada['id']}", json=asks)).status_code == 200
        await bridge.members(sales, "remove", ada["id"])
        assert roles(portal, ADA) == ("Sales",)
        await bridge.members(sales, "add", ada["id"])
        assert (await http.put(f"/Users/{ada['id']}", json={"userName": ADA})).status_code == 200
        assert roles(portal, ADA) == ("Sales",)
        await bridge.delete_group(sales)
        assert roles(portal, ADA) == ()


async def test_a_deleted_group_leaves_what_roles_ask_for(tmp_path: Path) -> None:
    """The group is nobody's again; whoever's roles ask for it keeps it, and can be taken out by role."""
    portal = portal_of()
    async with served(tmp_path, portal, "both") as (bridge, http):
        ada, eve = await made(http, roles=["Sales"]), await made(http, "eve@corp.example")
        sales = await bridge.group("Sales", ada["id"], eve["id"])
        await bridge.delete_group(sales)
        assert (roles(portal, ADA), roles(portal, "eve@corp.example")) == (("Sales",), ())
        assert (await http.put(f"/Users/{ada['id']}", json={"userName": ADA})).status_code == 200
        assert roles(portal, ADA) == ()


async def test_with_roles_alone_groups_take_and_do_not_give(tmp_path: Path) -> None:
    """To add somebody through a group is refused, so that nobody believes it was done; a removal is done."""
    portal = portal_of()
    async with served(tmp_path, portal) as (bridge, http):
        ada = await made(http, roles=["Sales"])
        sales = (await bridge.named("Group", "Sales")).id
        eve = await made(http, "eve@corp.example")
        adds = patch({"op": "add", "path": "members", "value": [{"value": eve["id"]}]})
        assert (await http.patch(f"/Groups/{sales}", json=adds)).status_code == 403
        takes = patch({"op": "remove", "path": f'members[value eq "{ada["id"]}"]'})
        assert (await http.patch(f"/Groups/{sales}", json=takes)).status_code == 204
        assert (roles(portal, ADA), roles(portal, "eve@corp.example")) == ((), ())


async def test_with_groups_alone_roles_are_only_shown(tmp_path: Path) -> None:
    """What a client writes of them is left out, as read-only attributes are; a PATCH of nothing else is refused."""
    portal = portal_of()
    async with served(tmp_path, portal, "groups") as (bridge, http):
        ada = await made(http, roles=["Sales"])
        assert (ada.get("roles"), roles(portal, ADA)) == (None, ())
        role = {"op": "replace", "path": 'roles[primary eq "True"].value', "value": "Sales"}
        assert (await http.patch(f"/Users/{ada['id']}", json=patch(role))).status_code == 400
        both = await http.patch(
            f"/Users/{ada['id']}", json=patch(role, {"op": "replace", "path": "active", "value": False})
        )
        assert (both.status_code, roles(portal, ADA)) == (200, None)
        schema = (await http.get("/Schemas/urn:ietf:params:scim:schemas:core:2.0:User")).json()
        assert {one["mutability"] for one in schema["attributes"] if one["name"] in ("roles", "entitlements")} == {
            "readOnly"
        }
        eve = await made(http, "eve@corp.example")
        await bridge.group("Sales", eve["id"])
        assert [one["display"] for one in (await http.get(f"/Users/{eve['id']}")).json()["roles"]] == ["Sales"]


async def test_one_role_in_an_attribute_of_its_own(tmp_path: Path) -> None:
    """`title`, as HubSpot's integration with Okta once had it: another value is another set, none is none."""
    portal = portal_of()
    async with served(tmp_path, portal, role_attribute="title") as (_, http):
        ada = await made(http, title="Sales")
        assert (roles(portal, ADA), ada["title"]) == (("Sales",), "Sales")
        for title, given in (("Marketing", ("Marketing",)), (None, ())):
            body = {"userName": ADA, "title": title}
            assert (await http.put(f"/Users/{ada['id']}", json=body)).status_code == 200
            assert roles(portal, ADA) == given


async def test_teams_and_seats_are_entitlements(tmp_path: Path) -> None:
    """Each of its type; what is not a group is only shown; `entitlements` ask as `roles` do."""
    portal = portal_of()
    portal.hubspot.add_team("EMEA")
    async with served(tmp_path, portal, teams_as_groups="secondary") as (_, http):
        listed = (await http.get("/Entitlements")).json()["Resources"]
        assert [(one["displayName"], one["type"], one["supported"]) for one in listed] == [("EMEA", "Team", True)]
        ada = await made(http, entitlements=[{"value": "EMEA", "type": "Team"}], roles=["Sales"])
        assert [(one["value"], one["type"]) for one in ada["entitlements"]] == [("EMEA", "Team")]
        assert portal.hubspot.snapshot()[ADA].secondary_teams == ("EMEA",)
