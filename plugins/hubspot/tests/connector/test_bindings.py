"""What a configuration names in HubSpot is renamed or deleted: only who needs it is concerned, a removal never."""

import asyncio
import itertools
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from plugins.hubspot.tests.connector.portals import ADA, SCIM_URL, World, group_named, groups_of, person, role, world
from scim_bridge.errors import (
    RemoteForbiddenError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)
from scim_bridge_hubspot.bindings import Bindings, Inventory
from scim_bridge_hubspot.config import HubSpotConfig
from scim_bridge_hubspot.wire import PermissionSet

BETA = "2026-09-beta"
STRIP: dict[str, Any] = {"deprovision": "strip", "strip": {"permission_set": "No access"}}


def stocked(**switches: Any) -> World:
    """Return a portal with sets, teams, seats, and Ada, who is in the sales team and has a paid seat."""
    portal = world(**switches)
    hubspot = portal.hubspot
    for name in ("Sales", "Sales Manager", "Marketing", "No access"):
        hubspot.add_role(name)
    hubspot.add_seat_pool("Core", 50)
    hubspot.add_seat_pool("Paid", 50)
    hubspot.add_seat_pool("View", None)
    emea = hubspot.add_team("EMEA")
    hubspot.add_person(ADA, roles=["Sales"], primary_team=emea, seats=["Paid"], first_name="Ada", last_name="Byron")
    portal.settings = {"api_version": BETA}
    return portal


def rename(portal: World, what: str, name: str) -> None:
    """Give a permission set, team or seat another name in HubSpot."""
    hubspot = portal.hubspot
    for permission_set in hubspot.roles.values():
        permission_set.name = name if permission_set.name == what else permission_set.name
    for team in hubspot.teams.values():
        team.name = name if team.name == what else team.name
    if what in hubspot.seats:
        pool = hubspot.seats.pop(what)
        pool.name = name
        hubspot.seats[name] = pool
        for member in hubspot.members:
            if member.membership:
                held = member.membership.seat_names
                member.membership.seat_names = [name if seat == what else seat for seat in held]


async def stale() -> None:
    """Let the connector forget what it knows of the account."""
    await asyncio.sleep(600)


async def test_a_renamed_set_of_stripped_people_takes_nothing_from_anybody_else() -> None:
    """Who has groups keeps them: a name that does not resolve is no group that is gone."""
    portal = stocked()
    sales, marketing = (role(portal.hubspot.role_named(name)) for name in ("Sales", "Marketing"))
    async with portal.connector(**STRIP) as connector:
        ada = portal.hubspot.member(ADA).id
        await connector.set_user_groups(ada, person(), [sales, marketing])
        rename(portal, "No access", "No rights")
        await stale()
        answer = await connector.set_user_groups(ada, person(), [sales])
        assert groups_of(answer) == {sales}
        assert groups_of(await connector.get_user(ada)) == {sales}
    assert portal.account().roles == ("Sales",)


async def test_without_the_set_of_stripped_people_a_removal_takes_all_it_can_and_is_not_claimed() -> None:
    """HubSpot's minimum is more than the operator wants to leave: that is told until the name is mended."""
    portal = stocked()
    async with portal.connector(**STRIP) as connector:
        ada = portal.hubspot.member(ADA).id
        rename(portal, "No access", "No rights")
        for _ in range(2):
            with pytest.raises(RemoteUnavailableError, match=r'strip\.permission_set: HubSpot has no .* "No access"'):
                await connector.deactivate_user(ada, person())
        account = portal.account()
        assert (account.roles, account.primary_team, account.secondary_teams) == ((), None, ())
        assert (await connector.get_user(ada)).resource.active is True
        notes = (await connector.explain_user(ada, person(), [])).notes
        assert any(note.startswith("strip.permission_set: HubSpot has no") for note in notes)
        rename(portal, "No rights", "No access")
        await connector.deactivate_user(ada, person())
        assert portal.account().roles == ("No access",)
        assert (await connector.get_user(ada)).resource.active is False


async def test_who_was_stripped_stays_so_when_the_set_is_renamed_or_another_is_configured() -> None:
    """A stripped person is recognised by what they were left with, and comes back with what they had."""
    portal = stocked()
    ada = portal.hubspot.member(ADA).id
    async with portal.connector(**STRIP) as connector:
        await connector.deactivate_user(ada, person())
    rename(portal, "No access", "No rights")
    other = portal.hubspot.add_role("Nothing at all")
    for settings in (STRIP, {"deprovision": "strip", "strip": {"permission_set": other.id}}):
        async with portal.connector(**settings) as connector:
            assert (await connector.get_user(ada)).resource.active is False
            page = await connector.list_users(None, 100)
            assert {item.remote_id: item.resource.active for item in page.items}[ada] is False
            await connector.deactivate_user(ada, person())
            assert portal.account().roles == ("No rights",)
    async with portal.connector(**settings) as connector:
        sales = role(portal.hubspot.role_named("Sales"))
        await connector.reactivate_user(ada, person(groups=[sales]))
    account = portal.account()
    assert (account.roles, account.primary_team, account.seats) == (("Sales",), "EMEA", ("Paid",))


SCIM: dict[str, Any] = {"deprovision": "scim", "scim_token": "scim-emulator", "scim_url": SCIM_URL}
MODES: dict[str, dict[str, Any]] = {"remove": {}, "strip": STRIP, "scim": SCIM}


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(MODES, 2)))
async def test_what_somebody_held_comes_back_in_another_mode(
    first: str, second: str, *, again: bool, bare: bool
) -> None:
    """A tombstone is never overwritten while the person is inactive, and every mode reads it.

    So it is whether or not the access is ended in the new way, too, and where it was not quite ended in the old one.
    """
    portal = stocked()
    ada, sales = portal.hubspot.member(ADA).id, role(portal.hubspot.role_named("Sales"))
    async with portal.connector(**MODES[first]) as connector:
        if bare:
            portal.hubspot.ui_rename("No access", "No rights")
        with suppress(RemoteUnavailableError):
            await connector.deactivate_user(ada, person())
    async with portal.connector(**MODES[second]) as connector:
        if again:
            with suppress(RemoteUnavailableError, RemoteForbiddenError, RemoteNotFoundError):
                await connector.deactivate_user(ada, person())
        if (first, second) == ("scim", "strip") or (second == "remove" and first == "scim" and not again):
            with pytest.raises(RemoteForbiddenError, match="deactivated in HubSpot"):
                await connector.reactivate_user(ada, person(groups=[sales]))
            return
        await connector.reactivate_user(ada, person(groups=[sales]))
    account = portal.account()
    assert (account.roles, account.primary_team, account.seats) == (("Sales",), "EMEA", ("Paid",))


async def test_a_team_that_is_gone_keeps_nobody_out() -> None:
    """Who returns to an account whose team was deleted meanwhile comes back without it."""
    portal = stocked(unknown_team="400")
    ada, sales = portal.hubspot.member(ADA).id, role(portal.hubspot.role_named("Sales"))
    async with portal.connector(**STRIP) as connector:
        await connector.deactivate_user(ada, person())
        portal.hubspot.teams.clear()
        answer = await connector.reactivate_user(ada, person(groups=[sales]))
    assert answer.resource.active is True
    assert (portal.account().roles, portal.account().primary_team) == (("Sales",), None)


@pytest.mark.parametrize("stripped_first", [False, True])
async def test_who_was_deactivated_by_hand_is_not_called_active_after_stripping(*, stripped_first: bool) -> None:
    """No API reactivates; that is said, and nothing is granted to an account that nobody can use."""
    portal = stocked()
    ada, sales = portal.hubspot.member(ADA).id, role(portal.hubspot.role_named("Sales"))
    async with portal.connector(**STRIP) as connector:
        if stripped_first:
            await connector.deactivate_user(ada, person())
        portal.hubspot.ui_deactivate(ADA)
        before = portal.account()
        with pytest.raises(RemoteForbiddenError, match="deactivated in HubSpot"):
            await connector.reactivate_user(ada, person(groups=[sales]))
    assert portal.account() == before


async def test_an_alias_of_a_renamed_team_concerns_only_who_is_to_get_it() -> None:
    """Everybody else is granted, removed and invited; who holds the rest of the alias keeps it."""
    portal = stocked()
    sales, marketing = (role(portal.hubspot.role_named(name)) for name in ("Sales", "Marketing"))
    aliases = {"North": {"permission_set": "Sales Manager", "primary_team": "EMEA"}}
    async with portal.connector(groups=aliases) as connector:
        ada = portal.hubspot.member(ADA).id
        await connector.set_user_groups(ada, person(), ["alias:North", sales])
        rename(portal, "EMEA", "Europe")
        await stale()
        grace = await connector.create_user(person("grace@corp.example", groups=[marketing]))
        await connector.set_user_groups(grace.remote_id, person("grace@corp.example"), [])
        answer = await connector.set_user_groups(ada, person(), ["alias:North"])
        assert groups_of(answer) == {"alias:North"}
        assert portal.account().roles == ("Sales Manager",)
        with pytest.raises(RemoteInvalidValueError, match=r'groups\."North"\.primary_team: HubSpot has no team "EMEA"'):
            await connector.set_user_groups(grace.remote_id, person("grace@corp.example"), ["alias:North"])
        with pytest.raises(RemoteInvalidValueError, match="EMEA"):
            await connector.create_group(group_named("North"))
        assert portal.hubspot.snapshot()["grace@corp.example"].roles == ()
        await connector.set_user_groups(ada, person(), [])
        assert portal.account().roles == ()
        rename(portal, "Europe", "EMEA")
        await connector.set_user_groups(grace.remote_id, person("grace@corp.example"), ["alias:North"])
    assert portal.hubspot.snapshot()["grace@corp.example"].primary_team == "EMEA"


@pytest.mark.parametrize(("unknown_team", "form"), [("400", "named"), ("404", "named"), ("404", "uncategorised")])
async def test_a_team_that_was_deleted_a_moment_ago_keeps_nobody_in_another_group(unknown_team: str, form: str) -> None:
    """The connector still takes it for one that the remaining alias gives, and HubSpot refuses the write."""
    portal = stocked(unknown_team=unknown_team, not_found_form=form)
    portal.hubspot.add_team("APAC")
    aliases = {"South": {"primary_team": "APAC"}, "North": {"permission_set": "Sales", "primary_team": "EMEA"}}
    async with portal.connector(groups=aliases) as connector:
        ada = portal.hubspot.member(ADA).id
        await connector.set_user_groups(ada, person(), ["alias:North", "alias:South"])
        portal.hubspot.ui_delete("EMEA")
        await connector.set_user_groups(ada, person(), ["alias:North"])
        with pytest.raises(RemoteInvalidValueError, match='no team "EMEA"'):
            await connector.create_user(person("bob@corp.example", groups=["alias:North"]))
    account = portal.account()
    assert (account.roles, account.primary_team, account.secondary_teams) == (("Sales",), None, ())


async def test_what_others_ask_meanwhile_keeps_nobody_in_a_group() -> None:
    """The refused write was made for what there was before, though the connector knows better by the time it fails."""
    portal = stocked()
    portal.hubspot.add_team("APAC")
    aliases = {"South": {"primary_team": "APAC"}, "North": {"permission_set": "Sales", "primary_team": "EMEA"}}

    class Meanwhile(httpx2.AsyncBaseTransport):
        road = portal.hubspot.transport()

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            answer = await self.road.handle_async_request(request)
            if request.method == "PUT" and answer.status_code == 400:
                await connector.list_groups(None, 100)
            return answer

    async with portal.connector(api=Meanwhile(), groups=aliases) as connector:
        ada = portal.hubspot.member(ADA).id
        await connector.set_user_groups(ada, person(), ["alias:North", "alias:South"])
        portal.hubspot.ui_delete("EMEA")
        await connector.set_user_groups(ada, person(), ["alias:North"])
    account = portal.account()
    assert (account.roles, account.primary_team, account.secondary_teams) == (("Sales",), None, ())


async def test_a_renamed_seat_is_left_out_and_stops_no_removal() -> None:
    """Neither the seat of an alias, nor that of stripped people, nor the fallback's is asked for in vain."""
    portal = stocked()
    sales = role(portal.hubspot.role_named("Sales"))
    settings = STRIP | {
        "strip": {"permission_set": "No access", "seat": "View"},
        "fallback_seat": "View",
        "groups": {"North": {"permission_set": "Sales Manager", "seats": ["Core"]}},
    }
    async with portal.connector(**settings) as connector:
        ada = portal.hubspot.member(ADA).id
        await connector.set_user_groups(ada, person(), ["alias:North", sales])
        rename(portal, "View", "Viewer")
        rename(portal, "Core", "Core Seat")
        await stale()
        await connector.create_user(person("grace@corp.example", groups=[sales]))
        await connector.set_user_groups(ada, person(), [sales])
        assert portal.account().roles == ("Sales",)
        await connector.deactivate_user(ada, person())
        assert portal.account().roles == ("No access",)


def sell_out(portal: World, seat: str) -> None:
    """Let no seat of a kind be free."""
    portal.hubspot.seats[seat].total = sum(seat in one.seats for one in portal.hubspot.snapshot().values())


def give_seats(portal: World, *seats: str) -> None:
    """Give Ada exactly these seats by hand."""
    membership = portal.hubspot.member(ADA).membership
    assert membership is not None
    membership.seat_names = list(seats)


@pytest.mark.parametrize("others", [["alias:Other"], []])
async def test_no_removal_waits_for_a_seat(others: list[str]) -> None:
    """The fallback's, that of stripped people and one that a remaining group gives are sold out: all else is done."""
    portal = stocked()
    aliases: dict[str, Any] = {
        "North": {"permission_set": "Sales Manager", "primary_team": "EMEA", "seats": ["Paid"]},
        "Other": {"permission_set": "Marketing", "seats": ["Core"]},
    }
    strip: dict[str, Any] = {**STRIP, "strip": {"permission_set": "No access", "seat": "View"}}
    async with portal.connector(**strip, groups=aliases, fallback_seat="View") as connector:
        ada = portal.hubspot.member(ADA).id
        await connector.set_user_groups(ada, person(), ["alias:North", *others])
        give_seats(portal, "Paid")
        for seat in ("View", "Core"):
            sell_out(portal, seat)
        with pytest.raises(RemoteInvalidValueError, match="no free seat"):
            await connector.create_user(person("grace@corp.example", groups=["alias:Other"]))

        await connector.set_user_groups(ada, person(), others)
        assert portal.account().roles == (("Marketing",) if others else ())
        assert (portal.account().primary_team, portal.account().seats) == (None, ())
        if others:
            with pytest.raises(RemoteInvalidValueError, match="no free seat"):
                await connector.set_user_groups(ada, person(), others)
        await connector.set_user_groups(ada, person(), [])
        assert (portal.account().roles, portal.account().seats) == ((), ())
        give_seats(portal, "Paid")
        await connector.deactivate_user(ada, person())
        assert (portal.account().roles, portal.account().seats) == (("No access",), ("Paid",))


@pytest.mark.parametrize("write", ["works", "404"])
async def test_who_is_refused_for_want_of_a_seat_is_not_let_in(write: str) -> None:
    """HubSpot's SCIM endpoint lets in by a call of its own, before or after what groups come to is given."""
    portal = stocked(write_deactivated=write)
    aliases = {"North": {"permission_set": "Sales Manager", "seats": ["Core"]}}
    settings: dict[str, Any] = {"deprovision": "scim", "scim_url": SCIM_URL, "scim_token": portal.hubspot.scim_token}
    async with portal.connector(**settings, groups=aliases) as connector:
        ada = portal.hubspot.member(ADA).id
        await connector.set_user_groups(ada, person(), ["alias:North"])
        give_seats(portal, "Paid")
        await connector.deactivate_user(ada, person())
        sell_out(portal, "Core")
        for _ in range(2):
            with pytest.raises(RemoteInvalidValueError, match="no free seat"):
                await connector.reactivate_user(ada, person(groups=["alias:North"]))
            assert not portal.account().active
        portal.hubspot.seats["Core"].total = 50
        await connector.reactivate_user(ada, person(groups=["alias:North"]))
    assert (portal.account().active, portal.account().seats) == (True, ("Core", "Paid"))


@pytest.mark.parametrize("unknown_role", ["400", "404"])
async def test_a_set_of_stripped_people_that_was_deleted_a_moment_ago_keeps_nobody_in(unknown_role: str) -> None:
    """HubSpot refuses the write, and is asked anew: everything is taken away but its minimum."""
    portal = stocked(unknown_role=unknown_role)
    async with portal.connector(**STRIP) as connector:
        ada = portal.hubspot.member(ADA).id
        await connector.get_user(ada)
        portal.hubspot.ui_delete("No access")
        with pytest.raises(RemoteUnavailableError, match=r"strip\.permission_set"):
            await connector.deactivate_user(ada, person())
    assert (portal.account().roles, portal.account().primary_team) == ((), None)


async def test_people_in_no_group_keep_the_fallback_that_was_renamed() -> None:
    """No comparison takes it for a group of theirs; nobody else is given it, and nobody is kept in a group by it."""
    portal = stocked()
    sales = role(portal.hubspot.role_named("Sales"))
    eve = "eve@corp.example"
    async with portal.connector(fallback_permission_set="Marketing") as connector:
        ada = portal.hubspot.member(ADA).id
        await connector.set_user_groups(ada, person(), [])
        other = await connector.create_user(person(eve, groups=[sales]))
    rename(portal, "Marketing", "Advertising")
    async with portal.connector(fallback_permission_set="Marketing") as connector:
        assert groups_of(await connector.get_user(ada)) == set()
        await connector.set_user_groups(ada, person(), [])
        await connector.set_user_groups(other.remote_id, person(eve), [])
        assert portal.account().roles == ("Advertising",)
        assert portal.hubspot.snapshot()[eve].roles == ()
    async with portal.connector(fallback_permission_set="Sales Manager") as connector:
        await connector.set_user_groups(ada, person(), [])
    assert portal.account().roles == ("Sales Manager",)


@pytest.mark.parametrize(
    "barred",
    [
        {"seat_rules": {"Sales": ["Core"]}},
        {"privileged": ["Sales"]},
    ],
    ids=lambda settings: next(iter(settings)),
)
async def test_leaving_a_group_is_not_stopped_by_the_rules_of_the_next_one(barred: dict[str, Any]) -> None:
    """A set that must not be given counts as none; the person loses the one they left, and it is told."""
    portal = stocked()
    sales, manager = (role(portal.hubspot.role_named(name)) for name in ("Sales", "Sales Manager"))
    portal.settings |= {"precedence": ["Sales Manager", "Sales"], "fallback_permission_set": "Marketing"}
    ada = portal.hubspot.member(ADA).id
    async with portal.connector() as connector:
        await connector.set_user_groups(ada, person(), [manager, sales])
    async with portal.connector(**barred) as connector:
        await connector.set_user_groups(ada, person(), [sales])
        assert portal.account().roles == ("Marketing",)
        explanation = await connector.explain_user(ada, person(), [sales])
        assert next(iter(barred)).removesuffix("d") in explanation.shadowed[sales]
        await connector.set_user_groups(ada, person(), [])
        with pytest.raises((RemoteForbiddenError, RemoteInvalidValueError)):
            await connector.set_user_groups(ada, person(), [sales])


async def test_a_seat_that_is_not_free_is_named_and_not_the_one_that_is_held() -> None:
    """The refusal names the seat that was asked for."""
    portal = stocked()
    portal.hubspot.add_seat_pool("Scarce", 0)
    async with portal.connector(groups={"North": {"seats": ["Scarce"]}}) as connector:
        with pytest.raises(RemoteInvalidValueError, match='"Scarce" \\(0 left\\)'):
            await connector.set_user_groups(portal.hubspot.member(ADA).id, person(), ["alias:North"])


@pytest.mark.parametrize(
    ("settings", "one", "other"),
    [
        (STRIP | {"fallback_permission_set": "No access"}, "fallback_permission_set", "strip.permission_set"),
        (STRIP | {"groups": {"A": {"permission_set": "No access"}}}, 'groups."A".permission_set', "strip"),
        ({"fallback_permission_set": "Boss", "privileged": ["boss"]}, "fallback_permission_set", "privileged"),
        (
            {"groups": {"A": {"permission_set": "S", "seats": ["View"]}}, "seat_rules": {"S": ["Core"]}},
            'groups."A".permission_set',
            'seat_rules."S"',
        ),
        ({"precedence": ["A", "B", "A"]}, '"A" is first', '"A" is again'),
    ],
)
def test_a_configuration_that_contradicts_itself_names_both_entries(
    settings: dict[str, Any], one: str, other: str
) -> None:
    """It is refused before anything runs, in one line."""
    with pytest.raises(ValidationError) as refused:
        HubSpotConfig(token="t", api_version=BETA, **settings)  # type: ignore[arg-type] # as a file has them
    (error,) = refused.value.errors()
    assert one in error["msg"]
    assert other in error["msg"]
    assert "\n" not in error["msg"]


@pytest.mark.parametrize(
    ("entry", "settings"),
    [
        ("fallback_permission_set", {"fallback_permission_set": "7"}),
        ('groups."A".permission_set', {"groups": {"A": {"permission_set": "7"}}}),
    ],
)
def test_the_set_of_stripped_people_by_its_id_is_given_to_nobody(entry: str, settings: dict[str, Any]) -> None:
    """Two names of one set are found when the account is known: then the entry grants nothing, and is told."""
    sets = (PermissionSet(id="7", name="No access"),)
    config = HubSpotConfig(token="t", **settings, **STRIP)  # type: ignore[arg-type] # as a file has it
    bindings = Bindings(config, Inventory(sets))
    assert bindings.id(entry, "7") is None
    (problem,) = bindings.problems()
    assert problem.state == "contradictory"
    assert entry in problem.problem
    assert "strip.permission_set" in problem.problem
