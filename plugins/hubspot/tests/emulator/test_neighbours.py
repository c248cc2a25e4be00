"""Teams, owners, the CRM's users, the account, OAuth and HubSpot's own SCIM."""

from typing import Any

import pytest

from scim_bridge_hubspot.emulator import HubSpotEmulator

from .conftest import Api, Clock, Connect

TEAMS = "/settings/teams/2026-09-beta"
SCIM = "/scim/v2/Users"
INFO = "/oauth/v2/private-apps/get/access-token-info"


async def test_teams_are_made_changed_and_removed(api: Api, hubspot: HubSpotEmulator) -> None:
    """A team has members of two types; removing it takes it from everybody."""
    ada, joan = hubspot.add_person("ada@corp.example"), hubspot.add_person("joan@corp.example")
    members = [{"userId": ada.id, "type": "DEFAULT"}, {"userId": joan.id, "type": "EXTRA"}]
    created = await api.post(TEAMS, json={"name": "North", "members": members})
    assert created.status_code == 201
    url = f"{TEAMS}/{created.json()['id']}"
    assert created.headers["Location"].endswith(url)
    assert hubspot.snapshot()["ada@corp.example"].primary_team == "North"
    assert hubspot.snapshot()["joan@corp.example"].secondary_teams == ("North",)
    listed = (await api.get(f"{url}/members")).json()["results"]
    assert sorted(entry["type"] for entry in listed) == ["DEFAULT", "EXTRA"]
    child = (await api.post(TEAMS, json={"name": "Far", "members": [], "parentTeamId": created.json()["id"]})).json()
    assert child["parentTeamId"] == created.json()["id"]
    assert (await api.patch(url, json={"name": "Polar"})).json()["name"] == "Polar"
    assert len((await api.get(TEAMS)).json()["results"]) == 2
    assert (await api.delete(url)).status_code == 204
    assert (await api.get(url)).status_code == 404
    assert hubspot.snapshot()["ada@corp.example"].primary_team is None
    assert hubspot.snapshot()["joan@corp.example"].secondary_teams == ()
    assert "parentTeamId" not in (await api.get(f"{TEAMS}/{child['id']}")).json()


async def test_team_members_come_and_go_one_by_one_and_in_batches(api: Api, hubspot: HubSpotEmulator) -> None:
    """A batch adds whom it can and tells whom it cannot; a DELETE without a type means the primary team."""
    ada, team = hubspot.add_person("ada@corp.example"), hubspot.add_team("North")
    url = f"{TEAMS}/{team.id}/members"
    assert (await api.post(url, json={"userId": ada.id, "type": "EXTRA"})).status_code == 201
    assert (await api.post(url, json={"userId": "1", "type": "EXTRA"})).status_code == 400
    assert (await api.post(url, json={"userId": ada.id, "type": "BOSS"})).status_code == 400
    inputs = [{"userId": ada.id, "type": "DEFAULT"}, {"userId": "1", "type": "DEFAULT"}]
    batch = (await api.post(f"{url}/batch", json={"inputs": inputs})).json()
    assert (len(batch["results"]), batch["numErrors"]) == (1, 1)
    assert (await api.delete(f"{url}/{ada.id}")).status_code == 204
    account = hubspot.snapshot()["ada@corp.example"]
    assert (account.primary_team, account.secondary_teams) == (None, ("North",))
    assert (await api.delete(f"{url}/{ada.id}?type=EXTRA")).status_code == 204
    assert hubspot.snapshot()["ada@corp.example"].secondary_teams == ()


async def test_a_tier_without_teams_makes_none(connect: Connect) -> None:
    """Free portals list no teams and refuse to make one."""
    api = connect("free")
    assert (await api.get(TEAMS)).json() == {"results": []}
    assert (await api.post(TEAMS, json={"name": "North", "members": []})).status_code == 403


async def test_owners_tell_who_is_deactivated_and_who_is_removed(api: Api, hubspot: HubSpotEmulator) -> None:
    """Both are archived with ``userIdIncludingInactive``; the Settings API still reads the deactivated one only."""
    kept, gone = await api.made("kept@corp.example"), await api.made("gone@corp.example")
    hubspot.ui_deactivate("kept@corp.example")
    await api.remove(gone)
    archived = (await api.get("/crm/owners/2026-03?archived=true")).json()["results"]
    assert {owner["userIdIncludingInactive"] for owner in archived} == {int(kept), int(gone)}
    assert all(owner["archived"] and "userId" not in owner for owner in archived)
    assert [(await api.read(person_id)).status_code for person_id in (kept, gone)] == [200, 404]
    active = (await api.get(f"/crm/v3/owners?email={hubspot.owner.email.upper()}")).json()["results"]
    assert [owner["userId"] for owner in active] == [int(hubspot.owner.id)]
    by_user = await api.get(f"/crm/owners/2026-03/{kept}?idProperty=userId&archived=true")
    assert by_user.json()["email"] == "kept@corp.example"
    assert (await api.get(f"/crm/owners/2026-03/{kept}?idProperty=userId")).status_code == 404
    hubspot.ui_reactivate("kept@corp.example")
    assert (await api.get(f"/crm/owners/2026-03/{kept}?idProperty=userId")).status_code == 200


async def test_the_crm_search_finds_the_deactivated(api: Api, hubspot: HubSpotEmulator) -> None:
    """``hs_deactivated EQ true`` names them by ``hs_internal_user_id``."""
    person_id = await api.made("ada@corp.example")
    hubspot.ui_deactivate("ada@corp.example")
    body: dict[str, Any] = {
        "filterGroups": [{"filters": [{"propertyName": "hs_deactivated", "operator": "EQ", "value": "true"}]}],
        "properties": ["hs_deactivated", "hs_internal_user_id", "hs_given_name"],
        "limit": 100,
    }
    found = (await api.post("/crm/v3/objects/users/search", json=body)).json()
    assert found["total"] == 1
    assert found["results"][0]["properties"]["hs_internal_user_id"] == person_id
    assert found["results"][0]["properties"]["hs_given_name"] is None
    body["filterGroups"][0]["filters"][0]["operator"] = "LIKE"
    assert (await api.post("/crm/v3/objects/users/search", json=body)).status_code == 400


async def test_crm_properties_are_written_unless_they_are_read_only(api: Api, hubspot: HubSpotEmulator) -> None:
    """A job title is kept; ``hs_deactivated`` cannot be set; a name that is no property is an error."""
    person_id = await api.made("ada@corp.example")
    base = "/crm/objects/2026-03/users"
    record = (await api.get(f"{base}/{person_id}?idProperty=hs_internal_user_id")).json()["id"]
    good = await api.patch(f"{base}/{record}", json={"properties": {"hs_job_title": "Countess"}})
    assert good.json()["properties"]["hs_job_title"] == "Countess"
    for name, code in {"hs_deactivated": "READ_ONLY_VALUE", "nothing": "PROPERTY_DOESNT_EXIST"}.items():
        bad = await api.patch(f"{base}/{record}", json={"properties": {name: "true"}})
        assert (bad.status_code, bad.json()["errors"][0]["code"]) == (400, code)
    assert hubspot.snapshot()["ada@corp.example"].active
    listed = (await api.get(f"{base}?properties=hs_job_title&limit=100")).json()["results"]
    assert "Countess" in {entry["properties"]["hs_job_title"] for entry in listed}
    assert (await api.get(f"{base}?archived=true")).status_code == 400


async def test_a_crm_record_may_wait_for_activation(connect: Connect) -> None:
    """Until then the record is missing, under that reading."""
    api = connect(crm_record="after_activation", crm_names=True)
    await api.made("ada@corp.example", firstName="Ada")
    url = "/crm/v3/objects/users/ada@corp.example?idProperty=hs_email&properties=hs_given_name"
    assert (await api.get(url)).status_code == 404
    api.hubspot.ui_activate("ada@corp.example")
    assert (await api.get(url)).json()["properties"]["hs_given_name"] == "Ada"


async def test_a_token_learns_whose_it_is(api: Api, hubspot: HubSpotEmulator) -> None:
    """User, portal and scopes are told; EU tokens must be sent as bearer too."""
    info = (await api.post(INFO, json={"tokenKey": hubspot.token}, headers={"Authorization": ""})).json()
    assert (info["userId"], info["hubId"]) == (int(hubspot.owner.id), hubspot.portal_id)
    assert "settings.users.write" in info["scopes"]
    hubspot.add_token("pat-eu1-x", scopes=["oauth"])
    assert (await api.post(INFO, json={"tokenKey": "pat-eu1-x"})).status_code == 401
    eu = await api.post(INFO, json={"tokenKey": "pat-eu1-x"}, headers={"Authorization": "Bearer pat-eu1-x"})
    assert eu.json()["scopes"] == ["oauth"]
    assert (await api.post(INFO, json={"tokenKey": "nobody"})).status_code == 404
    assert (await api.get("/account-info/v3/details")).json()["portalId"] == hubspot.portal_id


def form(**values: str) -> dict[str, str]:
    """Return a form of the app that the tests install."""
    return {"client_id": "app", "client_secret": "secret", **values}


@pytest.mark.parametrize("rotates", [False, True])
async def test_a_refresh_token_gives_access_for_half_an_hour(connect: Connect, clock: Clock, rotates: bool) -> None:
    """The access token works, expires, and is refreshed again; a rotated refresh token works once."""
    api = connect(rotate_refresh_tokens=rotates)
    api.hubspot.add_oauth_app("app", "secret", refresh_token="first", code="code")
    url = "/oauth/2026-03/token"
    answer = (await api.post(url, data=form(grant_type="refresh_token", refresh_token="first"))).json()
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    users = await api.get("/settings/users/2026-03", headers=headers)
    assert (users.status_code, users.headers["X-HubSpot-RateLimit-Max"]) == (200, "110")
    assert "X-HubSpot-RateLimit-Daily" not in users.headers
    assert (answer["expires_in"], answer["refresh_token"] != "first") == (1800, rotates)
    clock.seconds += 1800
    assert (await api.get("/settings/users/2026-03", headers=headers)).status_code == 401
    again = await api.post(url, data=form(grant_type="refresh_token", refresh_token="first"))
    assert again.status_code == (400 if rotates else 200)
    newest = await api.post(url, data=form(grant_type="refresh_token", refresh_token=answer["refresh_token"]))
    assert newest.status_code == 200


async def test_a_code_is_exchanged_once_and_wrong_credentials_never(api: Api, hubspot: HubSpotEmulator) -> None:
    """Codes are single use; secrets stand in the body; the newest version gives nothing for client credentials."""
    hubspot.add_oauth_app("app", "secret", refresh_token="first", code="code")
    code = form(grant_type="authorization_code", code="code", redirect_uri="https://bridge.example/cb")
    assert (await api.post("/oauth/2026-03/token", params=code)).status_code == 415
    assert (await api.post("/oauth/2026-03/token", data=code | {"client_secret": "no"})).status_code == 400
    assert (await api.post("/oauth/v3/token", data=code)).json()["refresh_token"] != "first"
    assert (await api.post("/oauth/v3/token", data=code)).json()["category"] == "BAD_AUTH_CODE"
    own = form(grant_type="client_credentials")
    assert "refresh_token" not in (await api.post("/oauth/2026-03/token", data=own)).json()
    assert (await api.post("/oauth/2026-09/token", data=own)).status_code == 400


async def test_introspection_and_revocation(api: Api, hubspot: HubSpotEmulator) -> None:
    """A token tells portal, user and scopes; a revoked one is inactive and refused."""
    hubspot.add_oauth_app("app", "secret", refresh_token="first", scopes=["oauth"])
    url = "/oauth/2026-03/token"
    access = (await api.post(url, data=form(grant_type="refresh_token", refresh_token="first"))).json()["access_token"]
    seen = (await api.post(f"{url}/introspect", data=form(token=access))).json()
    assert (seen["active"], seen["hub_id"], seen["scopes"]) == (True, hubspot.portal_id, ["oauth"])
    assert (await api.post(f"{url}/introspect", data=form(token="first"))).json()["token_use"] == "refresh_token"
    assert (await api.post(f"{url}/introspect", data=form(token="nobody"))).status_code == 404
    assert (await api.post(f"{url}/revoke", data=form(token=access))).status_code == 200
    assert (await api.post(f"{url}/introspect", data=form(token=access))).json()["active"] is False
    refused = await api.get("/account-info/2026-03/details", headers={"Authorization": f"Bearer {access}"})
    assert refused.status_code == 401


def scim_headers(hubspot: HubSpotEmulator) -> dict[str, str]:
    """Return the credentials of HubSpot's SCIM."""
    return {"Authorization": f"Bearer {hubspot.scim_token}"}


def patch(**operation: Any) -> dict[str, Any]:
    """Return a PATCH body of one operation."""
    schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
    return {"schemas": [schema], "Operations": [{"op": "Replace", **operation}]}


@pytest.mark.parametrize("value", [False, "False"], ids=["boolean", "text"])
async def test_scim_deactivates_truly(api: Api, hubspot: HubSpotEmulator, value: Any) -> None:
    """``active`` false keeps role and seat, true brings the person back; the API's own token is refused."""
    hubspot.add_person("ada@corp.example", roles=[hubspot.add_role("Sales")])
    headers = scim_headers(hubspot)
    query = {"filter": 'userName eq "ADA@corp.example"'}
    found = (await api.get(SCIM, params=query, headers=headers)).json()
    assert found["totalResults"] == 1
    url = f"{SCIM}/{found['Resources'][0]['id']}"
    assert (await api.patch(url, json=patch(path="active", value=value))).status_code == 401
    answer = await api.patch(url, json=patch(path="active", value=value), headers=headers)
    assert answer.json()["active"] is False
    account = hubspot.snapshot()["ada@corp.example"]
    assert (account.active, account.roles) == (False, ("Sales",))
    await api.patch(url, json=patch(value={"active": True, "name.givenName": "Ada"}), headers=headers)
    account = hubspot.snapshot()["ada@corp.example"]
    assert (account.active, account.first_name, account.roles) == (True, "Ada", ("Sales",))


async def test_scim_creates_replaces_and_deletes(connect: Connect) -> None:
    """Roles follow exact names with role sync; a duplicate is uniqueness; DELETE does what the switch says."""
    api = connect(scim_role_sync=True, scim_delete="remove", scim_id="other", scim_roles="strings")
    headers = scim_headers(api.hubspot)
    api.hubspot.add_role("Sales")
    body = {"userName": "ada@corp.example", "name": {"givenName": "Ada"}, "roles": [{"value": "sales"}]}
    created = await api.post(SCIM, json=body, headers=headers)
    assert (created.status_code, created.json()["roles"]) == (201, [])
    url = f"{SCIM}/{created.json()['id']}"
    assert created.headers["Location"] == f"https://api.hubspot.com{url}"
    duplicate = await api.post(SCIM, json=body, headers=headers)
    assert (duplicate.status_code, duplicate.json()["scimType"]) == (409, "uniqueness")
    replaced = await api.put(url, json=body | {"roles": ["Sales"]}, headers=headers)
    assert replaced.json()["roles"] == ["Sales"]
    assert api.hubspot.snapshot()["ada@corp.example"].roles == ("Sales",)
    assert (await api.delete(url, headers=headers)).status_code == 204
    assert "ada@corp.example" not in api.hubspot.snapshot()
    assert (await api.get(url, headers=headers)).headers["Content-Type"] == "application/scim+json"


async def test_scim_spares_super_admins_and_lower_tiers(api: Api, connect: Connect) -> None:
    """A Super Admin is refused; a Free portal has no SCIM; a DELETE deactivates unless told."""
    headers, hubspot = scim_headers(api.hubspot), api.hubspot
    refused = await api.patch(f"{SCIM}/{hubspot.owner.id}", json=patch(path="active", value=False), headers=headers)
    assert (refused.status_code, refused.json()["schemas"][0].rpartition(":")[2]) == (400, "Error")
    assert hubspot.snapshot()[hubspot.owner.email].active
    ada = hubspot.add_person("ada@corp.example")
    assert (await api.delete(f"{SCIM}/{ada.id}", headers=headers)).status_code == 204
    assert hubspot.snapshot()["ada@corp.example"].active is False
    assert (await api.get("/scim/v2/ServiceProviderConfig", headers=headers)).json()["patch"]["supported"] is True
    assert (await connect("free").get(SCIM, headers=headers)).status_code == 403


@pytest.mark.parametrize(("reading", "status", "total"), [("works", 200, 1), ("ignored", 200, 3), ("400", 400, None)])
async def test_scim_filters_or_does_not(connect: Connect, reading: str, status: int, total: int | None) -> None:
    """``userName eq`` works, is ignored, or is refused; a PATCH may be answered without a body."""
    api = connect(scim_filter=reading, scim_patch_answer="204")
    ada = api.hubspot.add_person("ada@corp.example")
    api.hubspot.add_person("b@corp.example")
    headers = scim_headers(api.hubspot)
    answer = await api.get(SCIM, params={"filter": 'userName eq "ada@corp.example"'}, headers=headers)
    assert (answer.status_code, answer.json().get("totalResults")) == (status, total)
    changed = await api.patch(f"{SCIM}/{ada.id}", json=patch(path="active", value=False), headers=headers)
    assert changed.status_code == 204
    page = (await api.get(SCIM, params={"startIndex": 2, "count": 1}, headers=headers)).json()
    assert (page["totalResults"], page["itemsPerPage"], page["startIndex"]) == (3, 1, 2)
