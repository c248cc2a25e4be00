"""The bridge on a portal, over HTTP: an account's address is the userName, and what clients read as an e-mail."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from plugins.hubspot.tests.bridge.bridged import bridged
from plugins.hubspot.tests.bridge.test_nobody_else import MARY, NEW, portal_of
from plugins.hubspot.tests.connector.test_deprovisioning import MODES, settings_of

WORK = [{"value": MARY, "type": "work", "primary": True}]
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
OWN = [{"value": "m@home.example", "type": "home"}]


async def imported(client: httpx2.AsyncClient) -> dict[str, Any]:
    """Return Mary as a listing shows her."""
    people: list[dict[str, Any]] = (await client.get("/Users")).json()["Resources"]
    return next(one for one in people if one["userName"] == MARY)


@pytest.mark.parametrize("mode", MODES)
async def test_people_who_are_imported_have_an_email_that_is_never_sent_back(tmp_path: Path, mode: str) -> None:
    """Okta's profile check and other clients read ``emails``; comparing finds nothing, and nothing is written."""
    portal = portal_of((MARY, ["Sales"]))
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge, bridge.http() as client:
        await bridge.compare()

        mary = await imported(client)
        assert mary["emails"] == WORK
        assert (await client.get(f"/Users/{mary['id']}")).json()["emails"] == WORK
        found = (await client.get("/Users", params={"filter": f'emails[type eq "work"].value eq "{MARY}"'})).json()
        assert [one["id"] for one in found["Resources"]] == [mary["id"]]

        renamed = {"schemas": [PATCH_OP], "Operations": [
            {"op": "replace", "path": "name.givenName", "value": "By"}]}  # fmt: skip
        assert (await client.patch(f"/Users/{mary['id']}", json=renamed)).json()["emails"] == WORK
        assert not (await bridge.compare()).drifts
        assert not (await bridge.compare()).drifts
        assert portal.writes() == []


async def test_somebody_found_by_their_user_name_has_an_email(tmp_path: Path) -> None:
    """Before anything is compared, a filter asks HubSpot."""
    portal = portal_of((MARY, []))
    async with bridged(tmp_path, portal) as bridge, bridge.http() as client:
        found = (await client.get("/Users", params={"filter": f'userName eq "{MARY}"'})).json()["Resources"]
        assert [one["emails"] for one in found] == [WORK]


async def test_the_emails_that_a_client_writes_are_the_ones_that_stay(tmp_path: Path) -> None:
    """A client takes an imported person over with other addresses, or with none: comparing changes neither."""
    portal = portal_of((MARY, []))
    async with bridged(tmp_path, portal) as bridge, bridge.http() as client:
        await bridge.compare()
        mary = await imported(client)
        for emails in (OWN, []):
            body = {"schemas": mary["schemas"], "userName": MARY, "name": mary["name"], "active": True}
            taken = await client.put(f"/Users/{mary['id']}", json=body | {"emails": emails})
            assert taken.status_code == 200, taken.text
            assert not (await bridge.compare()).drifts
            assert (await client.get(f"/Users/{mary['id']}")).json().get("emails", []) == emails
            assert json.loads((await bridge.named("User", MARY)).document).get("emails", []) == emails
        assert portal.writes() == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("user_name", ["jdoe", "j doe@corp.example", "@corp.example", "j@doe@corp.example"])
async def test_a_user_name_that_is_no_address_is_refused_before_anything_is_asked(
    tmp_path: Path, mode: str, user_name: str
) -> None:
    """The refusal says what to change; nothing is left, and HubSpot has heard nothing but whose token this is."""
    portal = portal_of()
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge, bridge.http() as client:
        body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": user_name,
                "emails": [{"value": NEW, "primary": True}]}  # fmt: skip
        refused = await client.post("/Users", json=body)
        assert (refused.status_code, refused.json()["scimType"]) == (400, "invalidValue")
        assert "have the identity provider send the address as userName" in refused.json()["detail"]
        assert user_name not in refused.json()["detail"]
        assert portal.calls(None, "^/(settings|crm|scim)/") == []
        assert (await client.get("/Users")).json()["totalResults"] == 0


@pytest.mark.parametrize("mode", MODES)
async def test_nobody_is_renamed_to_what_is_no_address(tmp_path: Path, mode: str) -> None:
    """Where a new userName makes the account anew, the old one stays as it is."""
    portal = portal_of((MARY, ["Sales"]))
    settings = settings_of(portal, mode) | {"rename": "recreate"}
    async with bridged(tmp_path, portal, **settings) as bridge, bridge.http() as client:
        await bridge.compare()
        mary = await imported(client)
        body = {"schemas": mary["schemas"], "userName": "mary", "name": mary["name"], "active": True}
        refused = await client.put(f"/Users/{mary['id']}", json=body)
        assert (refused.status_code, refused.json()["scimType"]) == (400, "invalidValue")
        assert (await client.get(f"/Users/{mary['id']}")).json()["userName"] == MARY
        assert not (await bridge.compare()).drifts
        assert portal.writes() == []


@pytest.mark.parametrize("form", ["PUT", "PATCH"])
async def test_a_name_that_a_client_unassigns_is_unassigned_in_hubspot(tmp_path: Path, form: str) -> None:
    """A PUT without it, or a PATCH that removes it: HubSpot, answer and store agree, and comparing finds it so."""
    portal = portal_of((MARY, ["Sales"]))
    portal.hubspot.ui_activate(MARY)
    async with bridged(tmp_path, portal) as bridge, bridge.http() as client:
        await bridge.compare()
        mary = await imported(client)
        url = f"/Users/{mary['id']}"
        if form == "PUT":
            body = {"schemas": mary["schemas"], "userName": MARY, "active": True, "name": {"givenName": "By"}}
            answer = await client.put(url, json=body)
        else:
            removal = {"op": "remove", "path": "name.familyName"}
            answer = await client.patch(url, json={"schemas": [PATCH_OP], "Operations": [removal]})

        assert answer.status_code == 200, answer.text
        member = portal.hubspot.member(MARY)
        assert (member.first_name, member.last_name or "") == ("By", "")
        assert answer.json()["name"] == {"givenName": "By"}
        assert json.loads((await bridge.named("User", MARY)).document)["name"] == {"givenName": "By"}
        assert not (await bridge.compare()).drifts
        assert portal.hubspot.snapshot()[MARY].roles == ("Sales",)
