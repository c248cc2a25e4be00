"""The user provisioning API: what is accepted, answered and kept."""

from typing import Any

import pytest

from scim_bridge_hubspot.emulator import OWNER_EMAIL, HubSpotEmulator

BASES = (
    "/settings/v3/users",
    "/settings/v3/users/",
    "/settings/users/v3",
    "/settings/users/2026-03",
    "/settings/users/2026-09-beta",
)


@pytest.mark.parametrize("base", BASES)
async def test_every_version_creates_reads_updates_and_removes(api: Any, hubspot: HubSpotEmulator, base: str) -> None:
    """The same person goes through all operations below each base path, with and without the trailing slash."""
    sales = hubspot.add_role("Sales")
    created = await api.post(base, json={"email": "ada@corp.example", "sendWelcomeEmail": True, "firstName": "Ada"})
    assert created.status_code == 201
    person_id = created.json()["id"]
    assert created.headers["Location"] == f"https://api.hubapi.com{base.rstrip('/')}/{person_id}"
    assert created.json()["sendWelcomeEmail"] is True
    one = f"{base.rstrip('/')}/{person_id}"
    assert (await api.get(one)).json()["sendWelcomeEmail"] is False
    assert (await api.put(one, json={"roleId": sales.id})).json()["roleIds"] == [sales.id]
    assert hubspot.snapshot()["ada@corp.example"].roles == ("Sales",)
    assert (await api.delete(one)).status_code == 204
    assert "ada@corp.example" not in hubspot.snapshot()
    assert (await api.get(one)).status_code == 404


async def test_a_person_added_again_has_the_same_id_and_the_same_names(api: Any, hubspot: HubSpotEmulator) -> None:
    """Identity is global: a removal ends the membership only."""
    hubspot.add_role("Sales")
    first = await api.made("ada@corp.example", firstName="Ada", roleId=hubspot.role_named("Sales").id)
    await api.remove(first)
    again = await api.create("ADA@corp.example")
    assert again.json()["id"] == first
    assert hubspot.snapshot()["ada@corp.example"].first_name == "Ada"
    assert hubspot.snapshot()["ada@corp.example"].roles == ()


async def test_removing_twice_is_204_and_the_list_lags(api: Any, hubspot: HubSpotEmulator) -> None:
    """Single reads miss a removed person at once; the list still shows them for the reads the switch says."""
    person_id = await api.made("ada@corp.example")
    assert (await api.remove(person_id)).status_code == 204
    assert (await api.remove(person_id)).status_code == 204
    assert (await api.read(person_id)).status_code == 404
    seen = [{user["id"] for user in (await api.get("/settings/users/2026-03")).json()["results"]} for _ in range(2)]
    assert [person_id in ids for ids in seen] == [True, False]


async def test_removing_somebody_hubspot_never_knew_is_404(api: Any) -> None:
    """Only removed people are 204."""
    assert (await api.remove("123")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "ada@corp.example"},
        {"sendWelcomeEmail": False},
        {"email": "no address", "sendWelcomeEmail": False},
        {"email": "ada@corp.example", "sendWelcomeEmail": "yes"},
        {"email": "ada@corp.example", "sendWelcomeEmail": False, "firstName": 5},
        {"email": "ada@corp.example", "sendWelcomeEmail": False, "roleId": 5},
        {"email": "ada@corp.example", "sendWelcomeEmail": False, "secondaryTeamIds": "1"},
        {"email": "ada@corp.example", "sendWelcomeEmail": False, "roleId": "404"},
        {"email": "ada@corp.example", "sendWelcomeEmail": False, "primaryTeamId": "404"},
        {"email": "ada@corp.example", "sendWelcomeEmail": False, "secondaryTeamIds": ["404"]},
        [],
    ],
)
async def test_a_bad_creation_is_400_and_changes_nothing(api: Any, hubspot: HubSpotEmulator, body: Any) -> None:
    """Missing, mistyped and unknown values are refused before anything is written."""
    before = hubspot.snapshot()
    answer = await api.post("/settings/users/2026-03", json=body)
    assert answer.status_code == 400
    assert answer.json()["category"] == "VALIDATION_ERROR"
    assert hubspot.snapshot() == before
    assert not hubspot.calls[-1].committed


async def test_broken_json_is_400(api: Any) -> None:
    """A body that is no JSON is answered in HubSpot's error form."""
    answer = await api.post("/settings/users/2026-03", content=b'{"email":')
    assert answer.status_code == 400
    assert "Invalid input JSON" in answer.json()["message"]


async def test_a_put_collapses_several_roles_to_the_one_it_names(api: Any, hubspot: HubSpotEmulator) -> None:
    """HubSpot's pages can give several permission sets; the API writes one."""
    first, second = hubspot.add_role("First"), hubspot.add_role("Second")
    person = hubspot.add_person("ada@corp.example", roles=[first, second])
    assert sorted((await api.read(person.id)).json()["roleIds"]) == sorted([first.id, second.id])
    await api.write(person.id, roleId=second.id)
    assert hubspot.snapshot()["ada@corp.example"].roles == ("Second",)


async def test_names_of_a_person_who_never_activated_are_refused_and_nothing_else_happens(
    api: Any, hubspot: HubSpotEmulator
) -> None:
    """USER_NOT_ON_ANY_HUBS stands in a JSON document inside the message, and the role of the same PUT is not given."""
    sales = hubspot.add_role("Sales")
    person_id = await api.made("ada@corp.example", firstName="Ada")
    answer = await api.write(person_id, firstName="Ada", roleId=sales.id)
    assert answer.status_code == 400
    assert answer.json()["category"] == "VALIDATION_ERROR"
    assert answer.json()["message"].startswith("{")
    assert "USER_NOT_ON_ANY_HUBS" in answer.text
    assert hubspot.snapshot()["ada@corp.example"].roles == ()
    hubspot.ui_activate("ada@corp.example")
    assert (await api.write(person_id, firstName="Augusta")).status_code == 200
    assert hubspot.snapshot()["ada@corp.example"].first_name == "Augusta"


async def test_super_admins_cannot_be_updated_or_removed(api: Any, hubspot: HubSpotEmulator) -> None:
    """Both are refused and change nothing."""
    before = hubspot.snapshot()
    assert (await api.write(hubspot.owner.id, firstName="X")).status_code == 400
    assert (await api.remove(hubspot.owner.id)).status_code == 400
    assert hubspot.snapshot() == before


async def test_seats_are_told_and_written_by_version(api: Any, hubspot: HubSpotEmulator) -> None:
    """2026-03 ignores seats that are sent and tells them only in its list and its creation."""
    hubspot.add_seat_pool("Core Seat", 5, default=True)
    hubspot.add_seat_pool("View-Only Seat")
    created = await api.create("ada@corp.example", seatNames=["View-Only Seat"])
    assert created.json()["seatNames"] == ["Core Seat"]
    person_id = created.json()["id"]
    assert "seatNames" not in (await api.read(person_id)).json()
    assert "seatNames" not in (await api.write(person_id)).json()
    assert "seatNames" in (await api.get("/settings/users/2026-03")).json()["results"][0]
    assert hubspot.snapshot()["ada@corp.example"].seats == ("Core Seat",)
    await api.write(person_id, "2026-09-beta", seatNames=["View-Only Seat"])
    assert hubspot.snapshot()["ada@corp.example"].seats == ("View-Only Seat",)
    seats = (await api.get("/settings/users/2026-09-beta/seats")).json()["results"]
    assert seats == [{"name": "Core Seat", "remainingSeats": 5}, {"name": "View-Only Seat"}]
    assert (await api.get("/settings/users/2026-03/seats")).status_code == 404


async def test_no_seat_left_is_the_marker_that_was_seen_live(api: Any, hubspot: HubSpotEmulator) -> None:
    """A creation that finds no seat, and an update that wants one, are 400 and change nothing."""
    hubspot.add_seat_pool("Core Seat", 1, default=True)
    await api.made("ada@corp.example")
    answer = await api.create("grace@corp.example")
    assert answer.status_code == 400
    assert "AppUserErrors.NO_SEAT_AVAILABLE_FOR_ROLE_COMBINATION" in answer.text
    assert "grace@corp.example" not in hubspot.snapshot()
    hubspot.add_person("joan@corp.example")
    joan = hubspot.member("joan@corp.example").id
    assert (await api.write(joan, "2026-09-beta", seatNames=["Core Seat"])).status_code == 400
    hubspot.ui_deactivate("ada@corp.example")
    assert (await api.create("grace@corp.example")).status_code == 201


async def test_the_list_is_complete_whatever_the_page_size(api: Any, hubspot: HubSpotEmulator) -> None:
    """Cursors are opaque, pages are in no order that means anything, and nobody is missing or doubled."""
    for number in range(23):
        hubspot.add_person(f"person{number}@corp.example")
    for limit in (1, 7, 100, 5_000):
        found: list[str] = []
        query: dict[str, Any] = {"limit": limit}
        while True:
            page = (await api.get("/settings/users/2026-03", params=query)).json()
            assert len(page["results"]) <= min(limit, 100)
            found += [user["email"] for user in page["results"]]
            if "paging" not in page:
                break
            query["after"] = page["paging"]["next"]["after"]
            assert page["paging"]["next"]["link"].startswith("https://api.hubapi.com/")
        assert sorted(found) == sorted(hubspot.snapshot())
        assert found != sorted(found) or limit == 1


async def test_a_person_removed_between_two_pages_hides_nobody(api: Any, hubspot: HubSpotEmulator) -> None:
    """A cursor names the entry it follows, so that the rest does not shift."""
    for number in range(9):
        hubspot.add_person(f"person{number}@corp.example")
    first = (await api.get("/settings/users/2026-03?limit=4")).json()
    hubspot.ui_remove(next(user["email"] for user in first["results"] if user["email"] != OWNER_EMAIL))
    after = first["paging"]["next"]["after"]
    rest = (await api.get(f"/settings/users/2026-03?limit=100&after={after}")).json()
    assert len({user["id"] for user in first["results"] + rest["results"]}) == 10


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=ten", "limit=99999999999", "after=%25%25", "after=YQ"])
async def test_a_bad_page_is_400(api: Any, query: str) -> None:
    """Limits and cursors that are none are refused."""
    assert (await api.get(f"/settings/users/2026-03?{query}")).status_code == 400


async def test_reading_by_email_finds_plus_and_case(api: Any) -> None:
    """``idProperty=EMAIL`` takes the address as it stands in the path."""
    person_id = await api.made("Ada+test@corp.example")
    for path in ("ada+test@corp.example", "ADA%2Btest%40corp.example"):
        answer = await api.get(f"/settings/users/2026-03/{path}?idProperty=EMAIL")
        assert answer.json()["id"] == person_id
    assert (await api.get(f"/settings/users/2026-03/{person_id}?idProperty=NAME")).status_code == 400
    assert (await api.get("/settings/users/2026-03/ada+test@corp.example")).status_code == 404


async def test_roles_teams_and_seats_are_never_user_ids(api: Any, hubspot: HubSpotEmulator) -> None:
    """The siblings of ``{userId}`` are matched first, and refuse the methods they do not have."""
    hubspot.add_role("Billing", requires_billing_write=True)
    roles = (await api.get("/settings/users/2026-03/roles")).json()["results"]
    assert [(role["name"], role["requiresBillingWrite"]) for role in roles] == [("Billing", True)]
    refused = await api.put("/settings/users/2026-03/roles", json={})
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET")
    assert (await api.get("/settings/users/2031-01")).status_code == 404


async def test_a_token_without_the_scope_is_403_with_the_scopes_named(api: Any, hubspot: HubSpotEmulator) -> None:
    """Each family asks for its own scopes; either of two will do for users."""
    hubspot.add_token("narrow", scopes=["crm.objects.users.read"])
    headers = {"Authorization": "Bearer narrow"}
    assert (await api.get("/settings/users/2026-03", headers=headers)).status_code == 200
    body = {"email": "ada@corp.example", "sendWelcomeEmail": False}
    refused = await api.post("/settings/users/2026-03", headers=headers, json=body)
    assert refused.status_code == 403
    assert refused.json()["category"] == "MISSING_SCOPES"
    required = refused.json()["errors"][0]["context"]["requiredScopes"]
    assert required == ["settings.users.write", "crm.objects.users.write"]
    for path in ("/settings/users/2026-03/teams", "/settings/users/2026-09-beta/seats", "/crm/owners/2026-03"):
        assert (await api.get(path, headers=headers)).status_code == 403
    assert "ada@corp.example" not in hubspot.snapshot()


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic pat-na1-emulator", "Bearer scim-emulator"])
async def test_a_wrong_credential_is_401(api: Any, header: str) -> None:
    """No token, an unknown one, another scheme, and the token of HubSpot's SCIM are all refused."""
    answer = await api.get("/settings/users/2026-03", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["status"] == "error"


async def test_billing_roles_need_the_billing_scope(api: Any, hubspot: HubSpotEmulator) -> None:
    """Giving and taking such a set is refused without ``settings.billing.write``; keeping it is not."""
    billing = hubspot.add_role("Billing", requires_billing_write=True)
    person = hubspot.add_person("ada@corp.example", roles=[billing])
    hubspot.add_token("narrow", scopes=["settings.users.write"])
    url, headers = f"/settings/users/2026-03/{person.id}", {"Authorization": "Bearer narrow"}
    refused = await api.put(url, headers=headers, json={})
    assert (refused.status_code, refused.json()["message"]) == (400, "Error validating request")
    assert (await api.put(url, headers=headers, json={"roleId": billing.id, "firstName": "Ada"})).status_code == 200
    assert (await api.put(url, json={})).status_code == 200
    assert hubspot.snapshot()["ada@corp.example"].roles == ()


async def test_an_email_changed_by_hand_keeps_the_id(api: Any, hubspot: HubSpotEmulator) -> None:
    """Reading by id tells the new address; the new one may not be another HubSpot user's."""
    person_id = await api.made("ada@corp.example")
    hubspot.ui_change_email("ada@corp.example", "countess@corp.example")
    assert (await api.read(person_id)).json()["email"] == "countess@corp.example"
    with pytest.raises(ValueError, match="another HubSpot user"):
        hubspot.ui_change_email("countess@corp.example", OWNER_EMAIL)


async def test_the_log_tells_every_call(api: Any, hubspot: HubSpotEmulator) -> None:
    """Method, route, status, body and effect stand in the log, which is bounded."""
    person_id = await api.made("ada@corp.example")
    await api.read(person_id)
    create, read = list(hubspot.calls)
    assert (create.method, create.template, create.status) == ("POST", "/settings/users/2026-03", 201)
    assert (create.committed, read.committed) == (True, False)
    assert "ada@corp.example" in create.body
    assert read.template == "/settings/users/2026-03/{userId}"
    assert [call.number for call in hubspot.calls.matching("GET", r"/users/")] == [2]
    small = HubSpotEmulator(log_size=2)
    for _ in range(5):
        await type(api)(small).get("/settings/users/2026-03")
    assert (len(small.calls), small.calls.total) == (2, 5)
