"""The known traps of HubSpot's user APIs, one by one, in the order of the reference's checklist."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx2
import pytest

from plugins.hubspot.tests.connector.portals import ADA, World, group_named, groups_of, person, role, world
from scim_bridge.errors import (
    RemoteCredentialsError,
    RemoteForbiddenError,
    RemoteImmutableError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteRateLimitedError,
    RemoteUnavailableError,
)
from scim_bridge_hubspot.emulator import Call, Team
from scim_bridge_hubspot.errors import NoSeatError
from scim_bridge_hubspot.wire import PublicUser


def body_of(call: Call) -> dict[str, Any]:
    """Return what a call sent."""
    document: dict[str, Any] = json.loads(call.body)
    return document


def with_ada(**switches: Any) -> tuple[World, str, Team]:
    """Return a portal where Ada, who has logged in, holds a permission set, a team and a seat."""
    portal = world(**switches)
    portal.hubspot.add_role("Sales")
    team = portal.hubspot.add_team("EMEA")
    portal.hubspot.add_seat_pool("Core Seat", total=2, default=True)
    ada = portal.hubspot.add_person(
        ADA, roles=["Sales"], first_name="Ada", last_name="Byron", primary_team=team, seats=["Core Seat"]
    )
    return portal, ada.id, team


@pytest.mark.parametrize("put_mode", ["replace", "merge"])
async def test_01_a_put_always_carries_the_complete_assignment(put_mode: str) -> None:
    """A change of names or groups drops no team and no seat, whether HubSpot replaces or merges."""
    portal, remote_id, team = with_ada(put_mode=put_mode)
    ops = portal.hubspot.add_role("Ops")
    async with portal.connector(api_version="2026-09-beta") as connector:
        await connector.update_user(remote_id, person(), person(given="Augusta"))
        await connector.set_user_groups(remote_id, person(), [role(ops)])
    names, groups = [body_of(call) for call in portal.calls("PUT")]
    assert (names["primaryTeamId"], names["seatNames"], "roleId" in names) == (team.id, ["Core Seat"], True)
    assert groups == {"roleId": ops.id, "primaryTeamId": team.id, "secondaryTeamIds": [], "seatNames": ["Core Seat"]}
    account = portal.account()
    assert (account.roles, account.primary_team, account.seats) == (("Ops",), "EMEA", ("Core Seat",))


async def test_01_several_permission_sets_are_never_collapsed_silently() -> None:
    """Neither a rename nor a group change touches an account with two sets unless the configuration takes over."""
    portal, remote_id, _ = with_ada()
    portal.hubspot.add_role("Ops")
    portal.hubspot.ui_assign_roles(ADA, "Sales", "Ops")
    third = portal.hubspot.add_role("Third")
    async with portal.connector() as connector:
        with pytest.raises(RemoteForbiddenError, match=r'"Ops", "Sales"|"Sales", "Ops"'):
            await connector.set_user_groups(remote_id, person(), [role(third)])
        with pytest.raises(RemoteForbiddenError, match="several permission sets"):
            await connector.update_user(remote_id, person(), person(given="Augusta"))
    assert portal.account().roles == ("Ops", "Sales")
    assert portal.writes() == []
    async with portal.connector(several_roles="take_over") as connector:
        await connector.set_user_groups(remote_id, person(), [role(third)])
    assert portal.account().roles == ("Third",)


async def test_02_names_of_a_person_who_never_logged_in_are_deferred_and_hold_nothing_up() -> None:
    """USER_NOT_ON_ANY_HUBS is told as deferred, and the same person's groups change as ever."""
    portal = world()
    sales, ops = portal.hubspot.add_role("Sales"), portal.hubspot.add_role("Ops")
    async with portal.connector() as connector:
        made = await connector.create_user(person(groups=[role(sales)]))
        answer = await connector.update_user(made.remote_id, person(), person(given="Augusta"))
        assert answer.deferred == {"name.givenName"}
        assert portal.account().roles == ("Sales",)
        await connector.set_user_groups(made.remote_id, person(), [role(ops)])
    assert portal.account().roles == ("Ops",)
    assert "firstName" not in body_of(portal.calls("PUT")[-1])


async def test_02_equal_names_are_not_sent_at_all() -> None:
    """Even a no-op of names is refused by HubSpot, so none is made."""
    portal, remote_id, _ = with_ada()
    async with portal.connector() as connector:
        answer = await connector.update_user(remote_id, person(given="Old"), person())
    assert answer.deferred == frozenset()
    assert portal.writes() == []


async def test_03_a_seat_that_is_not_free_yet_is_waited_for_while_the_person_is_absent() -> None:
    """After a removal a creation is repeated on exactly that refusal, and only once the address is 404 again."""
    portal, remote_id, _ = with_ada(seat_lag_creates=3)
    portal.hubspot.seats["Core Seat"].total = 1
    async with portal.connector(api_version="2026-09-beta") as connector:
        await connector.deactivate_user(remote_id, person())
        await connector.reactivate_user(remote_id, person())
    assert portal.account().seats == ("Core Seat",)
    posts = portal.calls("POST", "^/settings/")
    assert [call.status for call in posts] == [400, 400, 400, 201]
    for post in posts:
        before = [call for call in portal.calls("GET", ADA) if call.number < post.number][-1]
        assert (before.method, before.status) == ("GET", 404)


async def test_03_no_second_account_is_made_while_a_seat_is_waited_for() -> None:
    """Somebody adds the person by hand in between: the wait ends with that account, not with another POST."""
    portal, remote_id, _ = with_ada(seat_lag_creates=3)
    portal.hubspot.seats["Core Seat"].total = 1
    async with portal.connector(api_version="2026-09-beta") as connector:
        await connector.deactivate_user(remote_id, person())
        returning = asyncio.create_task(connector.reactivate_user(remote_id, person()))
        await asyncio.sleep(0.5)
        portal.hubspot.add_person(ADA, first_name="Hand")
        assert (await returning).remote_id == remote_id
    assert portal.account().first_name == "Hand"
    assert len(portal.calls("POST", "^/settings/")) == 1


async def test_03_without_a_fresh_removal_a_missing_seat_is_refused_at_once_by_name() -> None:
    """No seat left is a clear answer that names the seat, and no second POST."""
    portal = world()
    portal.hubspot.add_role("Sales")
    portal.hubspot.add_seat_pool("Core Seat", total=0)
    async with portal.connector(api_version="2026-09-beta", seats_as_groups=True) as connector:
        with pytest.raises(NoSeatError, match=r'"Core Seat" \(0 left\)'):
            await connector.create_user(person(groups=["seat:Core Seat"]))
    assert len(portal.calls("POST", "^/settings/")) == 1


async def test_03_a_seat_that_stays_taken_ends_in_a_bounded_wait() -> None:
    """After a few attempts the driver is told when to come back; it is not an endless loop."""
    portal, remote_id, _ = with_ada(seat_lag_creates=1000)
    portal.hubspot.seats["Core Seat"].total = 1
    async with portal.connector(api_version="2026-09-beta") as connector:
        await connector.deactivate_user(remote_id, person())
        with pytest.raises(RemoteUnavailableError, match="not freed") as caught:
            await connector.reactivate_user(remote_id, person())
    assert caught.value.ambiguous is False
    assert len(portal.calls("POST", "^/settings/")) == 5


async def test_04_a_list_that_still_shows_a_removed_person_is_not_believed() -> None:
    """The direct read decides, and only people whom the bridge removed cost one."""
    portal, remote_id, _ = with_ada(list_lag_reads=3)
    portal.hubspot.add_person("bob@corp.example")
    async with portal.connector() as connector:
        await connector.deactivate_user(remote_id, person())
        listed = await connector.list_users(None, 100)
    assert {item.resource.user_name for item in listed.items} == {portal.hubspot.owner.email, "bob@corp.example"}


@pytest.mark.parametrize("hook", ["deactivate_user", "delete_user"])
async def test_04_a_list_that_shows_whom_the_bridge_removed_unseen_is_not_believed(hook: str) -> None:
    """An account that a direct read did not show was removed all the same: after that no list is believed either."""
    portal, remote_id, _ = with_ada(list_lag_reads=3)
    portal.hubspot.faults.gone(f"/settings/users/[^/]+/{remote_id}$", seconds=0.5, method="GET")
    async with portal.connector() as connector:
        with suppress(RemoteNotFoundError):
            await (
                connector.delete_user(remote_id)
                if hook == "delete_user"
                else connector.deactivate_user(remote_id, person())
            )
        portal.hubspot.faults.clear()
        listed = await connector.list_users(None, 100)
    assert portal.account() is None
    assert {item.resource.user_name for item in listed.items} == {portal.hubspot.owner.email}


async def test_05_a_deactivated_person_looks_active_to_hubspot_but_not_to_the_bridge() -> None:
    """The archived owner gives them away, in a direct read and by address."""
    portal, remote_id, _ = with_ada()
    portal.hubspot.ui_deactivate(ADA)
    async with portal.connector() as connector:
        found = await connector.find_user(ADA)
        assert found is not None
        assert found.resource.active is False
        assert (await connector.get_user(remote_id)).resource.active is False


@pytest.mark.parametrize("answer", ["400", "403", "empty"])
async def test_06_a_portal_without_permission_sets_still_provisions(answer: str) -> None:
    """On a Free portal people are created and removed; a pushed group is refused with what exists."""
    portal = world("free", roles_without_sets=answer)
    async with portal.connector() as connector:
        made = await connector.create_user(person())
        with pytest.raises(RemoteInvalidValueError, match="it has nothing that can be one; set teams_as_groups"):
            await connector.create_group(group_named("Sales"))
        await connector.deactivate_user(made.remote_id, person())
    assert portal.account() is None


async def test_06_teams_need_a_scope_of_their_own_and_only_when_they_are_used() -> None:
    """Without the teams scope a configuration without teams works, and one with teams says what is missing."""
    portal = world()
    sales = portal.hubspot.add_role("Sales")
    token = portal.hubspot.add_token("narrow", scopes=["settings.users.read", "settings.users.write"])
    async with portal.connector(token=token.value) as connector:
        await connector.create_user(person(groups=[role(sales)]))
    async with portal.connector(token=token.value, teams_as_groups="primary") as connector:
        with pytest.raises(RemoteCredentialsError, match=r"settings\.users\.teams\.read"):
            await connector.list_groups(None, 100)


async def test_07_a_missing_scope_is_told_with_the_caveat_that_its_name_may_be_wrong() -> None:
    """HubSpot names a scope; the message says that it has been wrong before and where to look."""
    portal = world(missing_scope_named="wrong")
    portal.hubspot.add_token("narrow", scopes=["settings.users.read"])
    async with portal.connector(token="narrow") as connector:
        with pytest.raises(RemoteCredentialsError, match=r"wrong one.*scim-bridge check"):
            await connector.create_user(person())
    assert portal.account() is None


async def test_08_an_error_inside_the_message_is_understood() -> None:
    """With every 400 wrapped in a JSON document inside message, names are still deferred."""
    portal = world(nested_messages="always")
    async with portal.connector() as connector:
        made = await connector.create_user(person())
        answer = await connector.update_user(made.remote_id, person(), person(given="Augusta"))
    assert answer.deferred == {"name.givenName"}


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), (False, False), ("true", True), ("false", False)], ids=repr
)
def test_09_super_admin_may_be_a_text(value: object, expected: bool) -> None:
    """The string "false" of old documents is no Super Admin."""
    assert PublicUser.model_validate({"id": "1", "email": ADA, "superAdmin": value}).super_admin is expected


@pytest.mark.parametrize("form", [{}, {"roleId": None, "firstName": None}, {"roleId": "", "firstName": ""}], ids=repr)
def test_09_absent_null_and_empty_are_the_same(form: dict[str, Any]) -> None:
    """An optional field without a value is read alike in its three forms."""
    user = PublicUser.model_validate({"id": "1", "email": ADA, "superAdmin": False, **form})
    assert (user.role_id, user.roles, user.first_name) == (None, frozenset(), None)


def test_10_ids_are_texts_whatever_the_wire_says() -> None:
    """A number and a string are one id."""
    user = PublicUser.model_validate({"id": 801, "email": ADA, "roleId": 4711, "roleIds": [4711], "superAdmin": False})
    assert user.id == "801"
    assert user.roles == {"4711"}


@pytest.mark.parametrize("operation", ["update", "groups", "deactivate", "delete", "reactivate", "create"])
async def test_11_a_super_admin_is_never_written_to(operation: str) -> None:
    """Every write on a Super Admin, made one behind the bridge's back, is refused before HubSpot is asked."""
    portal, remote_id, _ = with_ada(super_admin_delete="204")
    membership = portal.hubspot.member(ADA).membership
    assert membership is not None
    membership.super_admin = True
    async with portal.connector() as connector:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "update": lambda: connector.update_user(remote_id, person(), person(given="Augusta")),
            "groups": lambda: connector.set_user_groups(remote_id, person(), []),
            "deactivate": lambda: connector.deactivate_user(remote_id, person()),
            "delete": lambda: connector.delete_user(remote_id),
            "reactivate": lambda: connector.reactivate_user(remote_id, person()),
            "create": lambda: connector.create_user(person()),
        }
        with pytest.raises(RemoteForbiddenError, match="Super Admin"):
            await calls[operation]()
    assert portal.writes() == []
    assert portal.account().active


async def test_11_the_tokens_own_person_is_never_removed() -> None:
    """Whoever made the token stays, even when they are no Super Admin (any more)."""
    portal, remote_id, _ = with_ada()
    portal.hubspot.add_token("adas", creator=ADA)
    async with portal.connector(token="adas") as connector:
        with pytest.raises(RemoteForbiddenError, match="token belongs to this person"):
            await connector.deactivate_user(remote_id, person())
    assert portal.account().active


async def test_12_a_creator_who_left_is_told_as_a_problem_of_the_credentials() -> None:
    """The operator is alarmed, not the client: USER_DOES_NOT_HAVE_PERMISSIONS is about the token."""
    portal, _, _ = with_ada(creator_removed="403")
    portal.hubspot.add_person("maker@corp.example", super_admin=True)
    portal.hubspot.add_token("makers", creator="maker@corp.example")
    portal.hubspot.ui_remove("maker@corp.example")
    async with portal.connector(token="makers") as connector:
        with pytest.raises(RemoteCredentialsError, match="whoever made the token"):
            await connector.create_user(person("bob@corp.example"))
        subjects = {finding.subject: finding.level for finding in await connector.check_connection()}
    assert subjects["token owner"] == "error"


@pytest.mark.parametrize("welcome", [False, True])
async def test_13_the_welcome_mail_is_always_decided(welcome: bool) -> None:
    """HubSpot requires sendWelcomeEmail; it is sent as configured."""
    portal = world()
    async with portal.connector(send_welcome_email=welcome) as connector:
        await connector.create_user(person())
    assert body_of(portal.calls("POST", "^/settings/")[0])["sendWelcomeEmail"] is welcome


async def test_14_a_removed_person_stays_a_person_and_returns_with_the_same_id() -> None:
    """Identities are global in HubSpot: removal and return keep the remote id."""
    portal, remote_id, _ = with_ada()
    async with portal.connector() as connector:
        await connector.deactivate_user(remote_id, person())
        assert (await connector.reactivate_user(remote_id, person())).remote_id == remote_id


async def test_15_seats_are_never_sent_to_a_version_that_lacks_them() -> None:
    """2026-03 may refuse seatNames, and gets none, whatever its list answers."""
    portal, remote_id, _ = with_ada(seat_names_2026_03="400")
    ops = portal.hubspot.add_role("Ops")
    async with portal.connector(api_version="2026-03") as connector:
        await connector.set_user_groups(remote_id, person(), [role(ops)])
        await connector.deactivate_user(remote_id, person())
        await connector.reactivate_user(remote_id, person(groups=[role(ops)]))
    assert all("seatNames" not in call.body for call in portal.writes())
    assert portal.account().roles == ("Ops",)


async def test_16_a_daily_limit_is_waited_for_until_midnight_in_the_accounts_time_zone() -> None:
    """DAILY is not retried, and the time told is that of the reset, not of an interval."""
    portal, remote_id, _ = with_ada()
    async with portal.connector() as connector:
        await connector.set_user_groups(remote_id, person(), [role(portal.hubspot.role_named("Sales"))])
        rule = portal.hubspot.faults.add("rate_daily", times=None)
        with pytest.raises(RemoteRateLimitedError, match="daily") as caught:
            await connector.deactivate_user(remote_id, person())
    assert rule.fired == 1
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 86_400


@pytest.mark.parametrize("seconds", [30.0, 7200.0])
async def test_16_a_migration_is_told_with_its_time(seconds: float) -> None:
    """477 says how long; hours are not shortened, and nothing is repeated."""
    portal, remote_id, _ = with_ada()
    async with portal.connector() as connector:
        await connector.get_user(remote_id)
        rule = portal.hubspot.faults.add("migration", method="GET", retry_after=seconds, times=None)
        with pytest.raises(RemoteUnavailableError, match="data centre") as caught:
            await connector.get_user(remote_id)
    assert (rule.fired, caught.value.retry_after, caught.value.ambiguous) == (1, seconds, False)


async def test_17_a_doubled_name_is_refused_and_can_be_mapped_by_id() -> None:
    """Two permission sets of one name are told with their ids; an alias by id ends the doubt."""
    portal = world()
    first, second = portal.hubspot.add_role("Sales"), portal.hubspot.add_role("Sales")
    async with portal.connector() as connector:
        with pytest.raises(RemoteInvalidValueError, match=f"{first.id}.*{second.id}|{second.id}.*{first.id}"):
            await connector.create_group(group_named("Sales"))
    async with portal.connector(groups={"Sales": {"permission_set": second.id}}) as connector:
        adopted = await connector.create_group(group_named("Sales"))
        made = await connector.create_user(person(groups=[adopted.remote_id]))
    assert adopted.remote_id == "alias:Sales"
    assert groups_of(made) == {"alias:Sales"}
    membership = portal.hubspot.member(ADA).membership
    assert membership is not None
    assert membership.role_ids == [second.id]


async def test_17_names_match_exactly() -> None:
    """Case and blanks count, as they do in HubSpot's own SCIM."""
    portal = world()
    portal.hubspot.add_role("Sales Rep")
    async with portal.connector() as connector:
        for other in ("sales rep", "Sales  Rep", "Sales Rep "):
            with pytest.raises(RemoteInvalidValueError, match='"Sales Rep"'):
                await connector.create_group(group_named(other))


async def test_an_email_change_is_refused_as_immutable() -> None:
    """No API of HubSpot changes an address: scimType mutability, and no call that writes."""
    portal, remote_id, _ = with_ada()
    async with portal.connector() as connector:
        with pytest.raises(RemoteImmutableError):
            await connector.update_user(remote_id, person(), person("augusta@corp.example"))
    assert portal.writes() == []


async def test_a_post_is_never_repeated_blindly() -> None:
    """When the answer of a POST is lost, nothing is sent again; the next attempt finds the account first."""
    portal = world()
    sales = portal.hubspot.add_role("Sales")
    portal.hubspot.faults.add("drop_after", method="POST", path="^/settings/")
    async with portal.connector() as connector:
        with pytest.raises(RemoteUnavailableError) as caught:
            await connector.create_user(person(groups=[role(sales)]))
        assert caught.value.ambiguous
        assert len(portal.calls("POST", "^/settings/")) == 1
        answer = await connector.create_user(person(groups=[role(sales)]))
    assert answer.existed
    assert len(portal.calls("POST", "^/settings/")) == 1


async def test_redirects_and_paging_links_are_not_followed() -> None:
    """The token goes to the configured host alone."""
    asked: list[str] = []

    def elsewhere(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        if "after" in request.url.params or request.url.path.endswith("/1"):
            return httpx2.Response(302, headers={"Location": "https://evil.example/"})
        link = {"next": {"after": "2", "link": "https://evil.example/page"}}
        return httpx2.Response(200, json={"results": [], "paging": link, "scopes": []})

    async with world().connector(api=httpx2.MockTransport(elsewhere), deactivated_by="off") as connector:
        page = await connector.list_users(None, 10)
        with pytest.raises(RemoteUnavailableError, match="302"):
            await connector.list_users(page.cursor, 10)
        with pytest.raises(RemoteUnavailableError, match="302"):
            await connector.get_user("1")
    assert all(url.startswith("http://localhost/") for url in asked)


async def test_neither_secrets_nor_personal_data_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A whole life of an account leaves no token, address or name in the log."""
    portal, remote_id, _ = with_ada()
    with caplog.at_level(logging.DEBUG):
        async with portal.connector() as connector:
            await connector.check_connection()
            await connector.update_user(remote_id, person(), person(given="Augusta"))
            await connector.deactivate_user(remote_id, person())
            await connector.reactivate_user(remote_id, person())
    text = caplog.text.lower()
    assert not [word for word in (portal.hubspot.token, "ada@", "augusta", "byron") if word in text]
