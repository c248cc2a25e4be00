"""The bridge on a portal: one account stands for one User at most, whatever is renamed on either side."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from scim2_models import UniquenessException

from plugins.hubspot.tests.bridge.bridged import CONNECTION, Bridged, always, bridged
from plugins.hubspot.tests.bridge.test_nobody_else import portal_of, roles
from plugins.hubspot.tests.connector.portals import World
from plugins.hubspot.tests.connector.test_deprovisioning import MODES, NO_ACCESS, settings_of
from scim_bridge.errors import PendingError, RefusedError
from scim_bridge.models import Group, Name, User
from scim_bridge.store import resources
from scim_bridge.store.rows import Ownership

RALF, OTHER = "ralf@corp.example", "ralf.new@corp.example"
TOMBSTONE = "0f5fd9b6a5a84d5fb3e3b9a1c1d2e3f4" + RALF


def softly_deleted(user: User) -> User:
    """Rename and deactivate in one write, as Entra ID does."""
    user.user_name, user.active = TOMBSTONE, False
    return user


def renamed_to(user_name: str) -> Callable[[User], User]:
    """Return a write that changes nothing but the userName."""

    def change(user: User) -> User:
        user.user_name = user_name
        return user

    return change


async def known(bridge: Bridged, email: str) -> str | None:
    """Return the id that a filter on userName finds."""
    await bridge.provisioning.find_user(email)
    row = await bridge.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, "User", email))
    return None if row is None else row.id


def is_usable(portal: World, email: str) -> bool:
    """Whether somebody can work with an account: it is there and neither deactivated nor stripped."""
    person = portal.hubspot.find(email)
    membership = None if person is None else person.membership
    return membership is not None and not membership.deactivated and roles(portal, email) != (NO_ACCESS,)


@pytest.mark.parametrize("external_id", ["1", "2"])
@pytest.mark.parametrize("mode", MODES)
async def test_a_name_that_a_soft_delete_gave_up_is_free(tmp_path: Path, mode: str, external_id: str) -> None:
    """Renamed as it was deactivated, and created again: the account is the new User's, and no group of the former's."""
    portal = portal_of()
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        await bridge.compare()
        former = await bridge.user(RALF, external_id="1")
        await bridge.group("Sales", former)
        await bridge.provisioning.modify_user(former, softly_deleted, always)
        assert await known(bridge, RALF) is None

        ralf = await bridge.user(RALF, external_id=external_id)

        assert ralf != former
        assert is_usable(portal, RALF)
        assert roles(portal, RALF) == ()
        assert await known(bridge, RALF) == ralf
        await bridge.provisioning.delete_user(former, always)
        assert is_usable(portal, RALF)
        assert TOMBSTONE not in portal.hubspot.snapshot()
        assert not (await bridge.compare()).drifts

        await bridge.active(ralf, active=False)
        assert not is_usable(portal, RALF)


@pytest.mark.parametrize("mode", MODES)
async def test_an_address_given_to_somebody_else_brings_nothing_along(tmp_path: Path, mode: str) -> None:
    """Another externalId: a new id, and neither the permission set nor the team of the former person."""
    portal = portal_of()
    team = portal.hubspot.add_team("EMEA")
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        former = await bridge.user(RALF, external_id="1")
        await bridge.group("Sales", former)
        membership = portal.hubspot.member(RALF).membership
        assert membership is not None
        membership.secondary_team_ids.append(team.id)
        await bridge.active(former, active=False)

        ralf = await bridge.user(RALF, external_id="2")

        account = portal.hubspot.snapshot()[RALF]
        assert ralf != former
        assert is_usable(portal, RALF)
        assert account.roles == ()
        assert not account.secondary_teams
        assert await bridge.groups(ralf) == set()


async def test_an_inactive_account_that_hubspot_hides_is_found_by_its_own_scim(tmp_path: Path) -> None:
    """Where the other API shows no deactivated account, the name is no dead end either."""
    portal = portal_of()
    hidden = replace(portal.hubspot.switches, read_deactivated="404", list_deactivated="hidden")
    portal.hubspot.switches = hidden
    async with bridged(tmp_path, portal, **settings_of(portal, "scim")) as bridge:
        former = await bridge.user(RALF, external_id="1")
        await bridge.group("Sales", former)
        await bridge.provisioning.modify_user(former, softly_deleted, always)

        ralf = await bridge.user(RALF, external_id="2")

        assert ralf != former
        assert is_usable(portal, RALF)
        assert roles(portal, RALF) == ()
        assert await bridge.groups(ralf) == set()


async def test_an_inactive_account_that_hubspot_hides_is_removed_when_its_user_is_deleted(tmp_path: Path) -> None:
    """A comparison does not take it for one that is gone."""
    portal = portal_of()
    hidden = replace(portal.hubspot.switches, read_deactivated="404", list_deactivated="hidden")
    portal.hubspot.switches = hidden
    async with bridged(tmp_path, portal, **settings_of(portal, "scim")) as bridge:
        ralf = await bridge.user(RALF, external_id="1")
        await bridge.active(ralf, False)
        await bridge.compare()

        await bridge.provisioning.delete_user(ralf, always)

        assert RALF not in portal.hubspot.snapshot()


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("searched", [True, False])
@pytest.mark.parametrize("mode", MODES)
async def test_an_address_changed_by_hand(tmp_path: Path, mode: str, searched: bool, active: bool) -> None:
    """The account's User gets the new address: a search finds it, a creation is a 409, and nothing is written."""
    portal = portal_of()
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        ralf = await bridge.user(RALF, external_id="1")
        portal.hubspot.member(RALF).email = OTHER
        if searched:
            assert await known(bridge, OTHER) == ralf
        writes = len(portal.writes())

        with pytest.raises((UniquenessException, RefusedError)) as refused:
            await bridge.provisioning.create_user(User(user_name=OTHER, active=active, external_id="2"))

        assert getattr(refused.value, "status", 409) == 409
        assert len(portal.writes()) == writes
        assert await known(bridge, OTHER) == ralf


def family_name(name: str) -> Callable[[User], User]:
    """Return a write that changes nothing but the family name."""

    def change(user: User) -> User:
        user.name = Name(family_name=name)
        return user

    return change


@pytest.mark.parametrize("mode", MODES)
async def test_a_person_keeps_the_name_their_client_calls_them_by(tmp_path: Path, mode: str) -> None:
    """An address changed by hand hides nobody from a client that does not know: no second account is made."""
    portal = portal_of()
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        ralf = await bridge.user(RALF, external_id="1")
        portal.hubspot.ui_activate(RALF)
        portal.hubspot.ui_change_email(RALF, OTHER)
        for _ in range(2):
            await bridge.compare()
        assert (await bridge.named("User", RALF)).id == ralf
        writes = len(portal.writes())
        assert not (await bridge.compare()).drifts
        with pytest.raises(UniquenessException):
            await bridge.user(RALF, external_id="1")
        assert len(portal.writes()) == writes

        await bridge.provisioning.modify_user(ralf, family_name("Byron"), always)
        await bridge.group("Sales", ralf)
        assert portal.hubspot.member(OTHER).last_name == "Byron"
        assert roles(portal, OTHER) == ("Sales",)

        with pytest.raises(RefusedError, match="change it in HubSpot"):
            await bridge.provisioning.modify_user(ralf, renamed_to("ralf.third@corp.example"), always)
        assert (await bridge.named("User", RALF)).id == ralf

        await bridge.provisioning.modify_user(ralf, renamed_to(OTHER), always)
        assert (await bridge.named("User", OTHER)).id == ralf
        await bridge.active(ralf, active=False)
        assert not is_usable(portal, OTHER)
        assert portal.hubspot.find(RALF) is None


@pytest.mark.parametrize("mode", MODES)
async def test_an_address_changed_by_hand_refuses_no_other_change(tmp_path: Path, mode: str) -> None:
    """Nobody has compared yet, and the client writes a name: that is done, and no rename is told as refused."""
    portal = portal_of()
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        ralf = await bridge.user(RALF, external_id="1")
        portal.hubspot.ui_activate(RALF)
        portal.hubspot.ui_change_email(RALF, OTHER)

        await bridge.provisioning.modify_user(ralf, family_name("Byron"), always)

        assert portal.hubspot.member(OTHER).last_name == "Byron"
        assert portal.hubspot.find(RALF) is None
        assert (await bridge.named("User", RALF)).id == ralf


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "remove"])
async def test_a_name_given_to_somebody_who_is_out_is_not_invited(tmp_path: Path, mode: str) -> None:
    """A soft delete renamed them, and their access is asked for by id alone: their account, under its own address."""
    portal = portal_of()
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        await bridge.compare()
        ralf = await bridge.user(RALF, external_id="1")
        await bridge.provisioning.modify_user(ralf, softly_deleted, always)

        await bridge.active(ralf, active=True)

        assert is_usable(portal, RALF)
        assert portal.hubspot.find(TOMBSTONE) is None
        assert (await bridge.named("User", RALF)).id == ralf
        assert not (await bridge.compare()).drifts


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "remove"])
async def test_whoever_is_restored_after_their_address_changed_by_hand(tmp_path: Path, mode: str) -> None:
    """Renamed as they were deactivated, and renamed back as they return: one account, and the client's name."""
    portal = portal_of()
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        ralf = await bridge.user(RALF, external_id="1")
        await bridge.provisioning.modify_user(ralf, softly_deleted, always)
        portal.hubspot.ui_change_email(RALF, OTHER)

        def restored(user: User) -> User:
            user.user_name, user.active = RALF, True
            return user

        await bridge.provisioning.modify_user(ralf, restored, always)

        assert is_usable(portal, OTHER)
        assert portal.hubspot.find(RALF) is None
        assert (await bridge.named("User", RALF)).id == ralf


@pytest.mark.parametrize("mode", MODES)
async def test_an_address_given_by_hand_to_somebody_else(tmp_path: Path, mode: str) -> None:
    """It was changed, and somebody invited under the old one: two Users, each with the account that it stands for."""
    portal = portal_of()
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        ralf = await bridge.user(RALF, external_id="1")
        portal.hubspot.ui_change_email(RALF, OTHER)
        portal.hubspot.add_person(RALF, roles=["Sales"])
        for _ in range(2):
            await bridge.compare()

        assert (await bridge.named("User", OTHER)).id == ralf
        nobodys = await bridge.named("User", RALF)
        assert nobodys.ownership is Ownership.DISCOVERED
        assert await bridge.groups(nobodys.id) == {"Sales"}
        await bridge.active(ralf, active=False)
        assert [is_usable(portal, RALF), is_usable(portal, OTHER)] == [True, False]
        assert roles(portal, RALF) == ("Sales",)


@pytest.mark.parametrize("mode", MODES)
async def test_a_person_who_is_out_keeps_the_name_their_client_calls_them_by(tmp_path: Path, mode: str) -> None:
    """Let in again after their address was changed by hand, they are still found, and their account is the only one."""
    portal = portal_of()
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        ralf = await bridge.user(RALF, external_id="1")
        portal.hubspot.ui_change_email(RALF, OTHER)
        await bridge.compare()
        await bridge.active(ralf, active=False)
        await bridge.compare()
        await bridge.active(ralf, active=True)

        assert (await bridge.named("User", RALF)).id == ralf
        assert [is_usable(portal, RALF), is_usable(portal, OTHER)] == [mode == "remove", mode != "remove"]
        await bridge.active(ralf, active=False)
        assert [is_usable(portal, RALF), is_usable(portal, OTHER)] == [False, False]


@pytest.mark.parametrize("mode", MODES)
async def test_an_address_given_on_after_its_holder_was_removed_by_hand(tmp_path: Path, mode: str) -> None:
    """Another externalId is another person, also where the former one's client never ended their access."""
    portal = portal_of()
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        former = await bridge.user(RALF, external_id="1")
        await bridge.group("Sales", former)
        portal.hubspot.ui_remove(RALF)
        while not (await bridge.compare()).missing_accounts:  # the list lags
            pass

        ralf = await bridge.user(RALF, external_id="2")

        assert ralf != former
        assert is_usable(portal, RALF)
        assert roles(portal, RALF) == ()
        assert await bridge.groups(ralf) == set()


@pytest.mark.parametrize("known", [True, False], ids=["told by a comparison", "not noticed yet"])
@pytest.mark.parametrize("mode", MODES)
async def test_an_address_given_on_after_its_holders_was_changed_by_hand(
    tmp_path: Path, mode: str, known: bool
) -> None:
    """The account that had the address is the former person's, who is out: the other one gets an account of their own.

    That account of the former is nobody's by then: it is shown as HubSpot shows it.
    """
    portal = portal_of()
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        former = await bridge.user(RALF, external_id="1")
        portal.hubspot.ui_change_email(RALF, OTHER)
        if known:
            await bridge.compare()
        await bridge.active(former, active=False)

        ralf = await bridge.user(RALF, external_id="2")

        assert ralf != former
        assert is_usable(portal, RALF)
        assert not is_usable(portal, OTHER)
        assert (await bridge.named("User", RALF)).remote_id == portal.hubspot.member(RALF).id
        for _ in range(2):
            await bridge.compare()
        assert is_usable(portal, RALF)
        assert not is_usable(portal, OTHER)
        assert (await bridge.named("User", RALF)).shown_active


async def test_a_set_that_a_renamed_group_stands_for(tmp_path: Path) -> None:
    """HubSpot's set keeps its name: the old name pushed again is refused with the group that has it, each time."""
    portal = portal_of()
    async with bridged(tmp_path, portal) as bridge:
        ralf = await bridge.user(RALF)
        sales = await bridge.group("Sales", ralf)

        def renamed(group: Group) -> Group:
            group.display_name = "Sales EU"
            return group

        await bridge.provisioning.modify_group(sales, renamed, [], always)

        for _ in range(2):
            with pytest.raises(RefusedError, match='"Sales EU" stands for it') as refused:
                await bridge.group("Sales")
            assert refused.value.status == 400
        assert roles(portal, RALF) == ("Sales",)
        assert NO_ACCESS not in (await bridge.groups(ralf))


async def test_a_deactivation_ends_the_account_of_the_name_that_was_to_be_given(tmp_path: Path) -> None:
    """A new userName is not theirs yet, somebody makes an account of it, and the client deactivates the person."""
    portal = portal_of()
    async with bridged(tmp_path, portal, budget=0.5, rename="recreate") as bridge:
        ralf = await bridge.user(RALF)
        portal.hubspot.faults.outage()
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_user(ralf, renamed_to(OTHER), always)
        portal.hubspot.add_person(OTHER)
        portal.hubspot.faults.clear()
    async with bridged(tmp_path, portal, rename="recreate") as bridge:
        await bridge.active(ralf, active=False)

    assert not is_usable(portal, RALF)
    assert not is_usable(portal, OTHER)
