"""Permission sets, teams and seats are renamed and deleted in HubSpot's pages, with whoever holds them."""

import pytest

from scim_bridge_hubspot.emulator import HubSpotEmulator

ADA = "ada@corp.example"


@pytest.fixture
def stocked(hubspot: HubSpotEmulator) -> HubSpotEmulator:
    """Return a portal whose Ada holds one of everything."""
    team = hubspot.add_team("North")
    hubspot.add_role("Sales")
    hubspot.add_seat_pool("Core", 2, default=True)
    hubspot.add_person(ADA, roles=["Sales"], primary_team=team, secondary_teams=[team], seats=["Core"])
    return hubspot


@pytest.mark.parametrize("name", ["Sales", "North", "Core"])
def test_who_holds_what_is_renamed_holds_it_by_its_new_name(stocked: HubSpotEmulator, name: str) -> None:
    """Ids stay, names are everywhere the new ones, and the old one is nobody's."""
    before = stocked.snapshot()[ADA]
    assert stocked.ui_rename(name, "Other")
    told = repr(before).replace(name, "Other")
    assert repr(stocked.snapshot()[ADA]) == told
    assert not stocked.ui_rename(name, "Again")
    assert stocked.default_seat == ("Other" if name == "Core" else "Core")


def test_who_holds_what_is_deleted_is_without_it(stocked: HubSpotEmulator) -> None:
    """Nothing names what is gone."""
    for name in ("Sales", "North", "Core"):
        assert stocked.ui_delete(name)
        assert not stocked.ui_delete(name)
    account = stocked.snapshot()[ADA]
    assert (account.roles, account.primary_team, account.secondary_teams, account.seats) == ((), None, (), ())
    assert stocked.default_seat is None
