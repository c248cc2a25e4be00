"""Who returns has the teams and seats that were given by hand, where these still are, whatever happened meanwhile."""

from typing import Any

import pytest

from plugins.hubspot.tests.connector.portals import ADA, SCIM_URL, World, groups_of, person, role
from plugins.hubspot.tests.connector.test_bindings import STRIP, stale, stocked
from scim_bridge.errors import RemoteForbiddenError, RemoteUnavailableError

SCIM: dict[str, Any] = {"deprovision": "scim", "scim_token": "scim-emulator", "scim_url": SCIM_URL}


def with_two_teams(**switches: Any) -> World:
    """Return a portal in which Ada has two teams and two seats, all by hand."""
    portal = stocked(**switches)
    membership = portal.hubspot.member(ADA).membership
    assert membership is not None
    membership.secondary_team_ids.append(portal.hubspot.add_team("APAC").id)
    membership.seat_names.append("Core")
    return portal


@pytest.mark.parametrize("gone", ["EMEA", "Paid"])
@pytest.mark.parametrize("mode", [{}, STRIP], ids=["remove", "strip"])
async def test_only_what_is_gone_is_left_out(mode: dict[str, Any], gone: str) -> None:
    """One team or seat that was deleted meanwhile takes none of the others along."""
    portal = with_two_teams()
    ada, sales = portal.hubspot.member(ADA).id, role(portal.hubspot.role_named("Sales"))
    async with portal.connector(**mode) as connector:
        await connector.deactivate_user(ada, person())
        portal.hubspot.ui_delete(gone)
        await connector.reactivate_user(ada, person(groups=[sales]))
    account = portal.account()
    assert account.roles == ("Sales",)
    assert {account.primary_team, *account.secondary_teams} - {None} == {"EMEA", "APAC"} - {gone}
    assert set(account.seats) == {"Core", "Paid"} - {gone}


async def test_who_was_removed_comes_back_with_it_when_the_mode_is_scim_by_then() -> None:
    """A tombstone is read by every mode, also of somebody whom HubSpot's SCIM does not know."""
    portal = with_two_teams()
    ada, sales = portal.hubspot.member(ADA).id, role(portal.hubspot.role_named("Sales"))
    async with portal.connector() as connector:
        await connector.deactivate_user(ada, person())
    async with portal.connector(**SCIM) as connector:
        await connector.reactivate_user(ada, person(groups=[sales]))
    account = portal.account()
    assert (account.primary_team, account.secondary_teams, set(account.seats)) == ("EMEA", ("APAC",), {"Core", "Paid"})


@pytest.mark.parametrize("mended", [True, False])
async def test_without_the_set_of_stripped_people_what_was_taken_is_kept(*, mended: bool) -> None:
    """It comes back, whether the removal was finished later or taken back midway."""
    portal = with_two_teams()
    ada, sales = portal.hubspot.member(ADA).id, role(portal.hubspot.role_named("Sales"))
    async with portal.connector(**STRIP) as connector:
        portal.hubspot.ui_rename("No access", "No rights")
        with pytest.raises(RemoteUnavailableError) as refused:
            await connector.deactivate_user(ada, person())
        assert refused.value.ambiguous
        with pytest.raises(RemoteUnavailableError) as again:
            await connector.deactivate_user(ada, person())
        assert again.value.ambiguous
        assert portal.account().primary_team is None
        if mended:
            portal.hubspot.ui_rename("No rights", "No access")
            await connector.deactivate_user(ada, person())
            await connector.reactivate_user(ada, person(groups=[sales]))
        else:
            await connector.set_user_groups(ada, person(), [sales])
    account = portal.account()
    assert (account.roles, account.primary_team, account.secondary_teams) == (("Sales",), "EMEA", ("APAC",))


async def test_a_seat_that_is_sold_takes_no_team_along() -> None:
    """Who was stripped, and whose seat somebody else has by now, comes back with all the rest."""
    portal = with_two_teams()
    ada, sales = portal.hubspot.member(ADA).id, role(portal.hubspot.role_named("Sales"))
    async with portal.connector(
        deprovision="strip", strip={"permission_set": "No access", "seat": "View"}
    ) as connector:
        await connector.deactivate_user(ada, person())
        portal.hubspot.seats["Paid"].total = 0
        await connector.reactivate_user(ada, person(groups=[sales]))
    account = portal.account()
    assert (account.roles, account.primary_team, account.secondary_teams) == (("Sales",), "EMEA", ("APAC",))
    assert account.seats == ("Core",)


async def test_nobody_is_taken_to_be_in_an_alias_of_which_something_is_not_there() -> None:
    """Who has the alias' team would otherwise be given its set, once that is there again."""
    portal = stocked()
    aliases = {"North": {"permission_set": "Sales Manager", "primary_team": "EMEA"}}
    async with portal.connector(groups=aliases) as connector:
        ada = portal.hubspot.member(ADA).id
        portal.hubspot.ui_rename("Sales Manager", "Head of Sales")
        await stale()
        assert "alias:North" not in groups_of(await connector.get_user(ada))
        portal.hubspot.ui_rename("Head of Sales", "Sales Manager")
        await stale()
        assert "alias:North" not in groups_of(await connector.get_user(ada))


async def test_who_was_deactivated_by_hand_after_a_removal_began_is_not_let_in_unseen() -> None:
    """The account is looked at: an unfinished removal proves nothing about it."""
    portal = stocked()
    ada = portal.hubspot.member(ADA).id
    async with portal.connector(**STRIP) as connector:
        portal.hubspot.ui_rename("No access", "No rights")
        with pytest.raises(RemoteUnavailableError):
            await connector.deactivate_user(ada, person())
        portal.hubspot.ui_deactivate(ADA)
        assert (await connector.get_user(ada)).resource.active is False
        with pytest.raises(RemoteForbiddenError, match="deactivated in HubSpot"):
            await connector.reactivate_user(ada, person())
