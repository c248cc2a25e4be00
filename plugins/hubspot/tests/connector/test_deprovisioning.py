"""The three ways of deprovisioning, each reversible and believed only when read back, under every pair of readings."""

import asyncio
from contextlib import nullcontext
from typing import Any

import httpx2
import pytest

from plugins.hubspot.tests.connector.pairwise import covering_array
from plugins.hubspot.tests.connector.portals import ADA, World, groups_of, person, role, world
from scim_bridge.errors import (
    RemoteCredentialsError,
    RemoteForbiddenError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)
from scim_bridge_hubspot.deprovision.scim import UNFOUND_SECONDS
from scim_bridge_hubspot.emulator import FaultKind, Switches

SEAT = "Core Seat"
NO_ACCESS = "No access"
ROWS = covering_array({name: values for name, values in Switches.choices().items() if name != "role_clear"})
MODES: dict[str, dict[str, Any]] = {
    "remove": {"deprovision": "remove"},
    "strip": {"deprovision": "strip", "strip": {"permission_set": NO_ACCESS}},
    "scim": {"deprovision": "scim", "scim_url": "http://localhost/scim/v2"},
}
CASES = [
    pytest.param(mode, version, row, id=f"{mode}-{version}-{number}")
    for mode in MODES
    for version in ("2026-03", "2026-09-beta")
    for number, row in enumerate(ROWS)
]


def settings_of(portal: World, mode: str) -> dict[str, Any]:
    """Return the settings of a way of deprovisioning on a portal."""
    token = {"scim_token": portal.hubspot.scim_token} if mode == "scim" else {}
    return {**MODES[mode], **token}


def stocked(**switches: Any) -> World:
    """Return a portal with teams, seats and Ada, who was given all kinds of things by hand."""
    portal = world(**switches)
    hubspot = portal.hubspot
    for name in ("Sales", "Ops", NO_ACCESS):
        hubspot.add_role(name)
    emea, everyone = hubspot.add_team("EMEA"), hubspot.add_team("Everyone")
    hubspot.add_seat_pool(SEAT, total=5, default=True)
    hubspot.add_person(
        ADA, roles=["Sales"], first_name="Ada", last_name="Byron", primary_team=emea, secondary_teams=[everyone],
        seats=[SEAT],
    )  # fmt: skip
    return portal


@pytest.mark.parametrize(("mode", "version", "row"), CASES)
async def test_whatever_is_taken_away_comes_back_as_the_groups_say(
    mode: str, version: str, row: dict[str, Any]
) -> None:
    """Deactivated twice, then reactivated into another group: no old permission set, but the old teams and seats."""
    portal = stocked(**row)
    remote_id = portal.hubspot.member(ADA).id
    ops = role(portal.hubspot.role_named("Ops"))
    async with portal.connector(api_version=version, **settings_of(portal, mode)) as connector:
        await connector.deactivate_user(remote_id, person())
        assert has_no_access(portal, mode)
        with pytest.raises(RemoteNotFoundError) if mode == "remove" else nullcontext():
            await connector.deactivate_user(remote_id, person())
        assert has_no_access(portal, mode)
        try:
            seen = await connector.get_user(remote_id)
            assert seen.resource.active is False
            assert mode != "remove"
        except RemoteNotFoundError:
            assert mode == "remove" or portal.hubspot.switches.read_deactivated == "404"
        try:
            answer = await connector.reactivate_user(remote_id, person(groups=[ops]))
        except RemoteUnavailableError:  # HubSpot's writes do not find the account, and do not say so in its words
            assert (mode, portal.hubspot.switches.write_deactivated) == ("scim", "404")
            await asyncio.sleep(UNFOUND_SECONDS)
            answer = await connector.reactivate_user(remote_id, person(groups=[ops]))
        assert groups_of(answer) == {ops}
        assert answer.resource.active is not False
        await connector.reactivate_user(remote_id, person(groups=[ops]))
        assert (await connector.get_user(remote_id)).resource.active is not False
    account = portal.account()
    assert (account.active, account.roles) == (True, ("Ops",))
    assert (account.primary_team, account.secondary_teams) == ("EMEA", ("Everyone",))
    if version != "2026-03":
        assert account.seats == (SEAT,)


def has_no_access(portal: World, mode: str) -> bool:
    """Whether Ada is as the mode says an inactive person is."""
    account = portal.account()
    if mode == "remove":
        return account is None
    if mode == "scim":
        return account is not None and not account.active
    return (
        account is not None
        and account.roles == (NO_ACCESS,)
        and not account.primary_team
        and not account.secondary_teams
    )


async def test_a_tombstone_is_durable_before_anything_is_removed() -> None:
    """When the connection breaks after the DELETE took effect, a new process still restores teams."""
    portal = stocked()
    remote_id = portal.hubspot.member(ADA).id
    rule = portal.hubspot.faults.add("drop_after", method="DELETE", times=None)
    async with portal.connector() as connector:
        with pytest.raises(RemoteUnavailableError):
            await connector.deactivate_user(remote_id, person())
    assert rule.fired
    portal.hubspot.faults.clear()
    assert portal.account() is None
    async with portal.connector() as connector:
        with pytest.raises(RemoteNotFoundError):
            await connector.deactivate_user(remote_id, person())
        await connector.reactivate_user(remote_id, person())
    account = portal.account()
    assert (account.primary_team, account.secondary_teams) == ("EMEA", ("Everyone",))


async def test_a_removal_that_hubspot_only_claims_is_not_believed() -> None:
    """A 204 without effect is an error, and the account stays known as active."""
    portal = stocked()
    remote_id = portal.hubspot.member(ADA).id
    vars(portal.hubspot)["leave"] = lambda person: None
    async with portal.connector() as connector:
        with pytest.raises(RemoteUnavailableError, match="still shows"):
            await connector.deactivate_user(remote_id, person())
    assert portal.account().active


async def test_a_returning_person_whose_team_is_gone_is_let_in_without_it() -> None:
    """A tombstone that names a team that no longer exists does not keep the person out."""
    portal = stocked()
    remote_id = portal.hubspot.member(ADA).id
    async with portal.connector() as connector:
        await connector.deactivate_user(remote_id, person())
        del portal.hubspot.teams[next(team.id for team in portal.hubspot.teams.values() if team.name == "EMEA")]
        await connector.reactivate_user(remote_id, person())
    assert portal.account().active
    assert portal.account().primary_team is None


async def test_a_deletion_leaves_no_personal_data_behind() -> None:
    """What is kept of a deleted account holds neither name nor address, and a new one starts afresh."""
    portal = stocked()
    remote_id = portal.hubspot.member(ADA).id
    async with portal.connector() as connector:
        await connector.deactivate_user(remote_id, person())
        await connector.reactivate_user(remote_id, person())
        await connector.delete_user(remote_id)
        assert "ada" not in repr(portal.state.values).lower()
        assert "EMEA" not in repr(portal.state.values)
        await connector.create_user(person())
    assert portal.account().primary_team is None


@pytest.mark.parametrize("mode", ["remove", "strip"])
async def test_a_deletion_of_an_inactive_account_forgets_its_tombstone(mode: str) -> None:
    """Deactivated, then deleted: nothing of what the person held is left, and nothing comes back."""
    portal = stocked()
    remote_id = portal.hubspot.member(ADA).id
    async with portal.connector(**MODES[mode]) as connector:
        await connector.deactivate_user(remote_id, person())
        assert "ada@" in repr(portal.state.values)
        await connector.delete_user(remote_id)
        assert "ada@" not in repr(portal.state.values)
        await connector.create_user(person())
    assert (portal.account().roles, portal.account().primary_team) == ((), None)


async def test_somebody_deactivated_by_hand_is_drift_and_not_an_error() -> None:
    """HubSpot's pages deactivate; the connector sees it in reads and lists."""
    for signal in ("owners", "search"):
        portal = stocked()
        portal.hubspot.ui_deactivate(ADA)
        async with portal.connector(deactivated_by=signal) as connector:
            seen = await connector.get_user(portal.hubspot.member(ADA).id)
            listed = {item.remote_id: item.resource.active for item in (await connector.list_users(None, 100)).items}
        assert seen.resource.active is False
        assert listed == {portal.hubspot.member(ADA).id: False, portal.hubspot.owner.id: True}


async def test_deactivating_somebody_deactivated_by_hand_succeeds_where_hubspot_hides_them_from_writes() -> None:
    """No access is no access: a DELETE that cannot reach the account is no failure."""
    portal = stocked(write_deactivated="404")
    portal.hubspot.ui_deactivate(ADA)
    async with portal.connector() as connector:
        await connector.deactivate_user(portal.hubspot.member(ADA).id, person())
    assert portal.account().active is False


@pytest.mark.parametrize("reading", ["reactivate", "400", "409"])
async def test_somebody_deactivated_by_hand_is_reactivated_only_if_hubspot_can(reading: str) -> None:
    """In mode remove there is one attempt by POST; if HubSpot refuses it, the answer says what to do."""
    portal = stocked(create_deactivated=reading)
    remote_id = portal.hubspot.member(ADA).id
    portal.hubspot.ui_deactivate(ADA)
    async with portal.connector() as connector:
        if reading == "reactivate":
            await connector.reactivate_user(remote_id, person())
        else:
            with pytest.raises(RemoteForbiddenError, match="deactivated in HubSpot"):
                await connector.reactivate_user(remote_id, person())
    assert portal.account().active is (reading == "reactivate")
    assert len(portal.calls("POST", "^/settings/")) == 1


async def test_somebody_the_scim_endpoint_does_not_know_is_not_passed_over() -> None:
    """An account that HubSpot's SCIM does not have cannot be deactivated by it, and that is said."""
    portal = stocked()
    nobody = httpx2.MockTransport(lambda _: httpx2.Response(200, json={"totalResults": 0, "Resources": []}))
    async with portal.connector(scim=nobody, **settings_of(portal, "scim")) as connector:
        with pytest.raises(RemoteForbiddenError, match="does not know this account"):
            await connector.deactivate_user(portal.hubspot.member(ADA).id, person())
    assert portal.account().active is True


async def test_somebody_who_is_removed_by_hand_meanwhile_is_no_refusal() -> None:
    """The account goes between the look at it and the look at HubSpot's SCIM: it is out, as it was wanted."""
    portal = stocked()
    remote_id = portal.hubspot.member(ADA).id

    def removed_by_hand(_request: httpx2.Request) -> httpx2.Response:
        portal.hubspot.ui_remove(ADA)
        return httpx2.Response(200, json={"totalResults": 0, "Resources": []})

    scim = httpx2.MockTransport(removed_by_hand)
    async with portal.connector(scim=scim, **settings_of(portal, "scim")) as connector:
        with pytest.raises(RemoteNotFoundError):
            await connector.deactivate_user(remote_id, person())
    assert ADA not in portal.hubspot.snapshot()
    assert portal.calls("PUT", "^/settings/") == portal.calls("DELETE", "^/settings/") == []


@pytest.mark.parametrize("reading", ["works", "400", "ignored"])
async def test_a_person_is_found_in_hubspots_scim_whether_or_not_its_filter_works(reading: str) -> None:
    """Among 130 people, exactly the right one is deactivated, whatever HubSpot's SCIM makes of a filter."""
    portal = stocked(scim_filter=reading)
    for number in range(130):
        portal.hubspot.add_person(f"p{number}@corp.example")
    zoe = portal.hubspot.add_person("zoe@corp.example")
    async with portal.connector(**settings_of(portal, "scim")) as connector:
        await connector.deactivate_user(zoe.id, person("zoe@corp.example"))
    inactive = [email for email, account in portal.hubspot.snapshot().items() if not account.active]
    assert inactive == ["zoe@corp.example"]


async def test_a_claimed_deactivation_is_not_believed() -> None:
    """HubSpot's SCIM answers success and changes nothing: the deactivation is not done."""
    portal = stocked()
    ada = {"id": "1", "userName": ADA, "active": True}

    def unmoved(request: httpx2.Request) -> httpx2.Response:
        found = {"totalResults": 1, "Resources": [ada]} if request.url.path.endswith("/Users") else ada
        return httpx2.Response(200, json=found)

    async with portal.connector(scim=httpx2.MockTransport(unmoved), **settings_of(portal, "scim")) as connector:
        with pytest.raises(RemoteUnavailableError, match="does not show it inactive"):
            await connector.deactivate_user(portal.hubspot.member(ADA).id, person())


@pytest.mark.parametrize("fault", ["unauthorized", "edge"])
async def test_nobody_comes_back_with_what_could_not_be_taken_away(fault: FaultKind) -> None:
    """The API fails while HubSpot's SCIM endpoint works: the account stays inactive, with all it held before."""
    portal = stocked()
    remote_id = portal.hubspot.member(ADA).id
    async with portal.connector(**settings_of(portal, "scim")) as connector:
        await connector.deactivate_user(remote_id, person())
        method, status = ("PUT", 403) if fault == "edge" else (None, 0)
        portal.hubspot.faults.add(fault, method=method, status=status, path="/settings/users", times=None)
        with pytest.raises((RemoteCredentialsError, RemoteUnavailableError)):
            await connector.reactivate_user(remote_id, person())
    assert portal.account().active is False
    assert portal.account().roles == ("Sales",)


@pytest.mark.parametrize("form", ["named", "uncategorised", "empty"])
@pytest.mark.parametrize("write", ["works", "404"])
async def test_only_hubspots_own_word_puts_off_what_is_to_be_taken_away(form: str, write: str) -> None:
    """A write that is answered 404 in no form of HubSpot's lets nobody in, unless that lasts; HubSpot's own does."""
    portal = stocked(not_found_form=form, write_deactivated=write)
    remote_id = portal.hubspot.member(ADA).id
    async with portal.connector(**settings_of(portal, "scim")) as connector:
        await connector.deactivate_user(remote_id, person())
        if write == "works":
            portal.hubspot.faults.add("edge", method="PUT", path="/settings/users", times=2)
            for _ in range(2):
                with pytest.raises(RemoteUnavailableError):
                    await connector.reactivate_user(remote_id, person())
                assert (portal.account().active, portal.account().roles) == (False, ("Sales",))
        elif form != "named":
            for _ in range(2):
                with pytest.raises(RemoteUnavailableError):
                    await connector.reactivate_user(remote_id, person())
                assert (portal.account().active, portal.account().roles) == (False, ("Sales",))
                await asyncio.sleep(UNFOUND_SECONDS / 2)
        await connector.reactivate_user(remote_id, person())
    assert (portal.account().active, portal.account().roles) == (True, ())
    written = [f"{call.method} {call.status}" for call in portal.calls() if call.method in {"PUT", "PATCH"}]
    assert written[-2:] == (["PUT 200", "PATCH 200"] if write == "works" else ["PATCH 200", "PUT 200"])


async def test_several_permission_sets_are_stripped_as_readily_as_one() -> None:
    """A removal never waits for somebody to tidy up in HubSpot, whatever several_roles says."""
    portal = stocked()
    portal.hubspot.ui_assign_roles(ADA, "Sales", "Ops")
    async with portal.connector(**MODES["strip"]) as connector:
        await connector.deactivate_user(portal.hubspot.member(ADA).id, person())
    assert portal.account().roles == (NO_ACCESS,)


async def test_a_stripped_person_is_inactive_and_gets_no_groups() -> None:
    """The permission set of stripped accounts is no group, and a late grant does not undo the deactivation."""
    portal = stocked()
    remote_id = portal.hubspot.member(ADA).id
    async with portal.connector(**MODES["strip"]) as connector:
        names = {item.resource.display_name for item in (await connector.list_groups(None, 100)).items}
        assert names == {"Sales", "Ops"}
        await connector.deactivate_user(remote_id, person())
        listed = {item.resource.user_name: item for item in (await connector.list_users(None, 100)).items}
        assert listed[ADA].resource.active is False
        assert groups_of(listed[ADA]) == set()
        answer = await connector.set_user_groups(
            remote_id, person(active=False), [role(portal.hubspot.role_named("Sales"))]
        )
    assert answer.resource.active is False
    assert portal.account().roles == (NO_ACCESS,)


@pytest.mark.parametrize("mode", ["strip", "scim"])
async def test_an_account_whose_address_changed_by_hand_comes_back(mode: str) -> None:
    """The person is the same under the new address, although the client calls them by the old one."""
    portal = stocked()
    remote_id = portal.hubspot.member(ADA).id
    async with portal.connector(**settings_of(portal, mode)) as connector:
        await connector.deactivate_user(remote_id, person(externalId="1"))
        portal.hubspot.ui_change_email(ADA, "augusta@corp.example")
        answer = await connector.reactivate_user(remote_id, person(externalId="1"))
    assert answer.remote_id == remote_id
    account = portal.hubspot.snapshot()["augusta@corp.example"]
    assert (account.active, account.roles) == (True, ())
    assert portal.account() is None


@pytest.mark.parametrize("given_on", [False, True], ids=["it has an account", "another person has it"])
@pytest.mark.parametrize("mode", ["strip", "scim"])
async def test_an_account_that_lost_its_address_stays_out(mode: str, given_on: bool) -> None:
    """Who has the address now is let in by an account of that address, and the one before stays as it was left."""
    portal = stocked()
    remote_id = portal.hubspot.member(ADA).id
    async with portal.connector(**settings_of(portal, mode)) as connector:
        await connector.deactivate_user(remote_id, person(externalId="1"))
        portal.hubspot.ui_change_email(ADA, "augusta@corp.example")
        if not given_on:
            portal.hubspot.add_person(ADA)
        answer = await connector.reactivate_user(remote_id, person(externalId="2" if given_on else "1"))
    assert answer.remote_id == portal.hubspot.member(ADA).id != remote_id
    assert portal.account().active
    left = portal.hubspot.snapshot()["augusta@corp.example"]
    assert not left.active or left.roles == (NO_ACCESS,)
