"""Accounts beyond the traps: adoption, protection, renames, titles, listings, half answers."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx2
import pytest

from plugins.hubspot.tests.connector.portals import ADA, World, groups_of, person, role, world
from plugins.hubspot.tests.connector.test_deprovisioning import settings_of
from scim_bridge.errors import (
    RemoteConflictError,
    RemoteForbiddenError,
    RemoteNotFoundError,
    RemoteRateLimitedError,
    RemoteUnavailableError,
)
from scim_bridge_hubspot.client import HubSpotClient
from scim_bridge_hubspot.config import HubSpotConfig

READINGS = ["400", "409"]
AUGUSTA = "augusta@corp.example"


@pytest.mark.parametrize("duplicate", READINGS)
@pytest.mark.parametrize("lookup", ["insensitive", "sensitive"])
async def test_an_account_made_by_hand_is_adopted_however_its_address_is_stored(duplicate: str, lookup: str) -> None:
    """A POST that runs into an account finds it, by address or by looking through the list, and changes nothing."""
    portal = world(duplicate_create=duplicate, email_lookup=lookup, email_stored="as_sent")
    sales = portal.hubspot.add_role("Sales")
    ada = portal.hubspot.add_person("Ada@Corp.example", roles=["Sales"], first_name="Ada", last_name="Byron")
    async with portal.connector() as connector:
        answer = await connector.create_user(person())
    assert (answer.remote_id, answer.existed) == (ada.id, True)
    assert groups_of(answer) == {role(sales)}
    assert portal.account().roles == ("Sales",)


@pytest.mark.parametrize("operation", ["create", "deactivate", "groups"])
async def test_protected_accounts_are_never_touched(operation: str) -> None:
    """An address on the list, in any case, is refused before anything is written."""
    portal = world()
    ada = portal.hubspot.add_person(ADA)
    async with portal.connector(protected=["ADA@corp.example"]) as connector:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "create": lambda: connector.create_user(person()),
            "deactivate": lambda: connector.deactivate_user(ada.id, person()),
            "groups": lambda: connector.set_user_groups(ada.id, person(), []),
        }
        with pytest.raises(RemoteForbiddenError, match="protected"):
            await calls[operation]()
    assert portal.writes() == []


async def test_adoption_can_be_switched_off() -> None:
    """With adopt = never an account that exists is a conflict, and stays as it is."""
    portal = world()
    portal.hubspot.add_person(ADA, first_name="Hand")
    async with portal.connector(adopt="never") as connector:
        with pytest.raises(RemoteConflictError):
            await connector.create_user(person())
    assert portal.account().first_name == "Hand"
    assert portal.writes() == []


async def test_a_rename_recreates_the_person_where_that_is_chosen() -> None:
    """The new address gets set, teams and names; the old account goes when the bridge has taken the new one over."""
    portal = world()
    portal.hubspot.add_role("Sales")
    emea = portal.hubspot.add_team("EMEA")
    ada = portal.hubspot.add_person(ADA, roles=["Sales"], primary_team=emea, first_name="Ada", last_name="Byron")
    async with portal.connector(rename="recreate") as connector:
        answer = await connector.update_user(ada.id, person(), person(AUGUSTA))
        assert answer.remote_id != ada.id
        assert answer.unfinished
        assert ADA in portal.hubspot.snapshot()
        await connector.finish_user(answer.remote_id)
        await connector.finish_user(answer.remote_id)
        assert not (await connector.get_user(answer.remote_id)).unfinished
        assert (await connector.get_user(answer.remote_id)).resource.user_name == AUGUSTA
    accounts = portal.hubspot.snapshot()
    assert ADA not in accounts
    moved = accounts[AUGUSTA]
    assert (moved.roles, moved.primary_team, moved.first_name) == (("Sales",), "EMEA", "Ada")
    methods = [(call.method, call.status) for call in portal.writes()]
    assert methods == [("POST", 201), ("DELETE", 204)]


async def test_a_rename_that_breaks_in_the_middle_is_finished_by_the_next_attempt() -> None:
    """The answer to the creation is lost: the repeat finds the account and makes no other one."""
    portal = world()
    ada = portal.hubspot.add_person(ADA, first_name="Ada", last_name="Byron")
    portal.hubspot.faults.add("drop_after", method="POST", path="^/settings/")
    async with portal.connector(rename="recreate") as connector:
        with pytest.raises(RemoteUnavailableError):
            await connector.update_user(ada.id, person(), person(AUGUSTA))
        assert {ADA, AUGUSTA} <= set(portal.hubspot.snapshot())
        assert (await connector.get_user(ada.id)).unfinished
        answer = await connector.update_user(ada.id, person(), person(AUGUSTA))
        assert not answer.existed
        await connector.finish_user(answer.remote_id)
    assert ADA not in portal.hubspot.snapshot()
    assert len(portal.calls("POST", "^/settings/")) == 1
    assert "recreations" not in portal.state.values


async def test_the_second_account_is_shown_to_nobody_and_explained() -> None:
    """Listings and searches show the one that stays; nobody else is created under the address of the other."""
    portal = world()
    ada = portal.hubspot.add_person(ADA)
    async with portal.connector(rename="recreate") as connector:
        answer = await connector.update_user(ada.id, person(), person(AUGUSTA))
        listed = {one.remote_id for one in (await connector.list_users(None, 100)).items}
        assert answer.remote_id in listed
        assert ada.id not in listed
        assert await connector.find_user(ADA) is None
        with pytest.raises(RemoteUnavailableError, match="left over"):
            await connector.create_user(person())
        explanation = await connector.explain_user(answer.remote_id, person(AUGUSTA), [])
        assert f"the other account of the person ({ada.id}) is removed next" in " ".join(explanation.notes)
        await connector.finish_user(answer.remote_id)
        assert (await connector.create_user(person())).remote_id == ada.id


@pytest.mark.parametrize(("mode", "look"), [("remove", f"/{ADA}"), ("scim", f"/{ADA}"), ("scim", "/scim/v2/Users")])
async def test_an_account_that_is_given_up_while_it_is_looked_at_is_nobody_s(mode: str, look: str) -> None:
    """A creation under the address of somebody who is made anew meanwhile does not take their old account."""
    portal = world()
    ada = portal.hubspot.add_person(ADA)
    settings = {"rename": "recreate", **settings_of(portal, mode)}
    async with portal.connector(**settings) as moving:

        class Meanwhile(httpx2.AsyncBaseTransport):
            road, seen = portal.hubspot.transport(), False

            async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
                answer = await self.road.handle_async_request(request)
                if request.url.path.endswith(look) and not self.seen:
                    self.seen = True
                    await moving.update_user(ada.id, person(), person(AUGUSTA))
                return answer

        road = Meanwhile()
        async with portal.connector(api=road, scim=road, **settings) as connector:
            with pytest.raises(RemoteUnavailableError, match="left over"):
                await connector.create_user(person())
    assert road.seen


@pytest.mark.parametrize("end", ["deactivate", "delete"])
@pytest.mark.parametrize("stays", ["the old one", "the new one"])
async def test_the_end_of_an_access_ends_both_accounts(end: str, stays: str) -> None:
    """Each is tried, whatever becomes of the other; it fails until both are gone."""
    portal = world()
    ada = portal.hubspot.add_person(ADA)
    async with portal.connector(rename="recreate") as connector:
        answer = await connector.update_user(ada.id, person(), person(AUGUSTA))
        remote_id = ada.id if stays == "the old one" else answer.remote_id
        portal.hubspot.faults.add("error", method="DELETE", times=3)
        ends = {
            "deactivate": lambda: connector.deactivate_user(remote_id, person(AUGUSTA)),
            "delete": lambda: connector.delete_user(remote_id),
        }
        with pytest.raises(RemoteUnavailableError):
            await ends[end]()
        assert len({ADA, AUGUSTA} & set(portal.hubspot.snapshot())) == 1
        with suppress(RemoteNotFoundError):  # their own is out by now
            await ends[end]()
    assert not {ADA, AUGUSTA} & set(portal.hubspot.snapshot())
    assert "recreations" not in portal.state.values


async def test_an_account_that_was_made_by_hand_is_taken_over_by_the_rules_of_adoption() -> None:
    """It is answered as it is and not written; the old one is not touched, and a change that is given up leaves it."""
    portal = world()
    for name in ("Sales", "Sales Manager"):
        portal.hubspot.add_role(name)
    ada = portal.hubspot.add_person(ADA, roles=["Sales"])
    portal.hubspot.add_person(AUGUSTA, roles=["Sales Manager"])
    manager = role(portal.hubspot.role_named("Sales Manager"))
    async with portal.connector(rename="recreate") as connector:
        answer = await connector.update_user(ada.id, person(), person(AUGUSTA))
        assert answer.existed
        assert groups_of(answer) == {manager}
        assert portal.writes() == []
        await connector.finish_user(ada.id)
        assert portal.writes() == []


@pytest.mark.parametrize("hindrance", ["several sets", "Super Admin", "protected", "adopt = never", "privileged"])
async def test_what_cannot_be_taken_over_is_refused_before_anything_is_touched(hindrance: str) -> None:
    """No refusal comes when everything is done already."""
    portal = world()
    for name in ("Sales", "Ops"):
        portal.hubspot.add_role(name)
    ada = portal.hubspot.add_person(ADA, roles=["Sales"])
    portal.hubspot.add_person(AUGUSTA, super_admin=hindrance == "Super Admin")
    if hindrance == "several sets":
        portal.hubspot.ui_assign_roles(AUGUSTA, "Sales", "Ops")
    configured: dict[str, dict[str, Any]] = {
        "protected": {"protected": [AUGUSTA]},
        "adopt = never": {"adopt": "never"},
        "privileged": {"privileged": ["Sales"]},
    }
    settings = configured.get(hindrance, {})
    async with portal.connector(rename="recreate", **settings) as connector:
        with pytest.raises((RemoteForbiddenError, RemoteConflictError)):
            await connector.update_user(ada.id, person(), person(AUGUSTA))
        assert not (await connector.get_user(ada.id)).unfinished
    assert portal.writes() == []
    assert {ADA, AUGUSTA} <= set(portal.hubspot.snapshot())


async def test_an_address_changed_in_hubspot_is_seen() -> None:
    """The id stays, the userName read is the new one."""
    portal = world()
    ada = portal.hubspot.add_person(ADA)
    portal.hubspot.ui_change_email(ADA, AUGUSTA)
    async with portal.connector() as connector:
        assert (await connector.get_user(ada.id)).resource.user_name == AUGUSTA


@pytest.mark.parametrize("reading", ["at_once", "after_activation"])
async def test_job_titles_are_written_or_deferred(reading: str) -> None:
    """SCIM title is hs_job_title; without a CRM record it waits and holds nothing up."""
    portal = world(crm_record=reading)
    async with portal.connector(job_title=True) as connector:
        assert "title" in connector.user_attributes
        made = await connector.create_user(person(title="Countess"))
        assert made.deferred == {"title"}
        answer = await connector.update_user(made.remote_id, person(), person(title="Countess"))
        if reading == "after_activation":
            assert answer.deferred == {"title"}
            portal.hubspot.ui_activate(ADA)
            answer = await connector.update_user(made.remote_id, person(), person(title="Countess"))
        assert answer.deferred == frozenset()
        assert (await connector.get_user(made.remote_id)).resource.title == "Countess"
        listed = {item.remote_id: item.resource.title for item in (await connector.list_users(None, 10)).items}
        assert listed[made.remote_id] == "Countess"
        await connector.update_user(made.remote_id, person(title="Countess"), person())
        assert (await connector.get_user(made.remote_id)).resource.title is None


@pytest.mark.parametrize("cap", [50, 100])
@pytest.mark.parametrize("limit", [7, 100, 1000])
async def test_every_account_is_listed_once(limit: int, cap: int) -> None:
    """Pages of any size together hold everybody, Super Admins included, each once, also if HubSpot caps them."""
    portal = world(limit_over_cap="400", page_size_cap=cap)
    wanted = {portal.hubspot.owner.id}
    wanted |= {portal.hubspot.add_person(f"p{number}@corp.example").id for number in range(150)}
    seen: list[str] = []
    async with portal.connector() as connector:
        cursor: str | None = None
        while True:
            page = await connector.list_users(cursor, limit)
            seen += [item.remote_id for item in page.items]
            cursor = page.cursor
            if cursor is None:
                break
    assert sorted(seen) == sorted(wanted)


async def test_seats_that_2026_03_tells_in_lists_are_left_out() -> None:
    """They cannot be written there, so nothing is concluded from them."""
    portal = world()
    portal.hubspot.add_person(ADA, seats=["Core Seat"])
    for version, expected in (("2026-03", None), ("2026-09-beta", ("Core Seat",))):
        async with httpx2.AsyncClient(
            base_url="http://localhost",
            transport=portal.hubspot.transport(),
            headers={"Authorization": f"Bearer {portal.hubspot.token}"},
        ) as http:
            config = HubSpotConfig.model_validate({"token": "t", "api_version": version})
            page = await HubSpotClient(http, config).users(None, 10)
        assert {user.seat_names for user in page.results if user.email == ADA} == {expected}


async def test_a_listing_that_does_not_advance_is_an_error() -> None:
    """A cursor that repeats would go round for ever."""

    def stuck(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"results": [], "paging": {"next": {"after": "same"}}, "scopes": []})

    async with world().connector(api=httpx2.MockTransport(stuck), deactivated_by="off") as connector:
        with pytest.raises(RemoteUnavailableError, match="does not advance"):
            await connector.list_users("same", 10)


async def test_an_error_midway_is_never_an_empty_page() -> None:
    """A listing that breaks raises; whoever compares would take missing people for removed ones."""
    portal = world()
    async with portal.connector(deactivated_by="off") as connector:
        await connector.list_users(None, 10)
        for kind in ("content_type", "malformed", "half", "drop_before"):
            portal.hubspot.faults.add(kind, times=None)
            with pytest.raises(RemoteUnavailableError):
                await connector.list_users(None, 10)
            portal.hubspot.faults.clear()


async def test_listings_stop_before_the_days_last_requests() -> None:
    """The reserve of the daily limit is kept for writes, which go on."""
    portal = world()
    ada = portal.hubspot.add_person(ADA)
    async with portal.connector(daily_reserve=10_000_000) as connector:
        await connector.get_user(ada.id)
        with pytest.raises(RemoteRateLimitedError, match="kept for writes"):
            await connector.list_users(None, 10)
        await connector.deactivate_user(ada.id, person())
    assert portal.account() is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": "1"},
        {"id": "1", "email": ADA},
        {"id": "", "email": ADA, "superAdmin": False},
        {"id": "1", "email": "", "superAdmin": False},
        {"id": "1", "email": ADA, "superAdmin": "perhaps"},
        [],
        None,
    ],
    ids=repr,
)
async def test_an_account_that_is_not_understood_is_not_touched(body: Any) -> None:
    """Without an id, an address or superAdmin nothing is known well enough to be changed."""
    sent: list[str] = []

    def half(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.method)
        return httpx2.Response(200, json=body)

    async with world().connector(api=httpx2.MockTransport(half)) as connector:
        with pytest.raises(RemoteUnavailableError):
            await connector.deactivate_user("1", person())
    assert set(sent) <= {"GET", "POST"}
    assert "DELETE" not in sent


async def test_the_guard_does_not_guess_while_the_tokens_owner_cannot_be_asked() -> None:
    """An outage of the token's endpoint stops writes; that HubSpot does not know it does not."""
    portal = world()
    ada = portal.hubspot.add_person(ADA)
    portal.hubspot.faults.add("error", path="access-token-info", times=None)
    async with portal.connector() as connector:
        with pytest.raises(RemoteUnavailableError):
            await connector.deactivate_user(ada.id, person())
        assert portal.writes() == []
        portal.hubspot.faults.clear()
        portal.hubspot.faults.add("error", path="access-token-info", status=404, times=None)
        await connector.deactivate_user(ada.id, person())
    assert portal.account() is None


def scoped(*scopes: str) -> World:
    """Return a portal whose token ``narrow`` has these scopes and those for accounts."""
    portal = world()
    portal.hubspot.add_token("narrow", scopes=["settings.users.read", "settings.users.write", *scopes])
    portal.hubspot.add_person(ADA)
    portal.hubspot.ui_deactivate(ADA)
    return portal


@pytest.mark.parametrize(
    ("scopes", "recognised"),
    [(["crm.objects.owners.read"], True), (["crm.objects.users.read"], True), ([], False)],
)
async def test_deactivated_accounts_are_recognised_as_far_as_the_scopes_allow(
    scopes: list[str], recognised: bool
) -> None:
    """Owners, else the CRM search, else not at all; nothing breaks either way."""
    portal = scoped(*scopes)
    async with portal.connector(token="narrow") as connector:
        seen = await connector.get_user(portal.hubspot.member(ADA).id)
        listed = {item.resource.user_name: item.resource.active for item in (await connector.list_users(None, 9)).items}
    assert seen.resource.active is not recognised
    assert listed[ADA] is not recognised


async def test_a_token_that_does_not_tell_its_scopes_is_tried_out() -> None:
    """A service key's scopes may be unknown: a refused signal gives way to the next, once."""
    portal = scoped("crm.objects.users.read")
    portal.hubspot.faults.add("error", path="access-token-info", status=404, times=None)
    async with portal.connector(token="narrow") as connector:
        for _ in range(2):
            seen = await connector.get_user(portal.hubspot.member(ADA).id)
            assert seen.resource.active is False
    assert len(portal.calls("GET", "/crm/owners")) == 1


class FormerOwner(httpx2.AsyncBaseTransport):
    """Tells of a former, archived owner of somebody who has another one by now."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, user_id: str) -> None:
        self._inner = inner
        self._former = {"id": "1", "archived": True, "email": ADA, "userIdIncludingInactive": user_id}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer for the archived owners, pass everything else on."""
        if request.url.params.get("archived") == "true":
            return httpx2.Response(200, json={"results": [self._former]})
        return await self._inner.handle_async_request(request)


@pytest.mark.parametrize("listed", [True, False])
async def test_owners_are_listed_only_for_somebody_who_may_be_deactivated(*, listed: bool) -> None:
    """Who has an archived owner, and another one who is not, is active; for nobody such, no owner is asked for."""
    portal = world()
    ada = portal.hubspot.add_person(ADA)
    api = FormerOwner(portal.hubspot.transport(), ada.id if listed else "77")
    async with portal.connector(api=api) as connector:
        people = {one.resource.user_name: one.resource.active for one in (await connector.list_users(None, 9)).items}
    assert people[ADA] is True
    assert len(portal.calls("GET", "/crm/owners")) == int(listed)
