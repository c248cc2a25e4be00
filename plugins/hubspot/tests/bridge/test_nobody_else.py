"""The bridge on a portal: nobody who is not named loses a permission set, and one person holds up nobody else."""

from pathlib import Path

import pytest

from plugins.hubspot.tests.bridge.bridged import Bridged, bridged
from plugins.hubspot.tests.connector.portals import World, world
from plugins.hubspot.tests.connector.test_deprovisioning import MODES, NO_ACCESS, settings_of
from scim_bridge.errors import RefusedError

MARY, BOB, NEW = "mary@corp.example", "bob@corp.example", "new@corp.example"


def portal_of(*people: tuple[str, list[str]]) -> World:
    """Return a portal in which these people hold these permission sets by hand."""
    portal = world()
    for name in ("Sales", "Marketing", "Service", NO_ACCESS):
        portal.hubspot.add_role(name)
    for email, roles in people:
        portal.hubspot.add_person(email, roles=roles, first_name="By", last_name="Hand")
    return portal


def roles(portal: World, email: str) -> tuple[str, ...] | None:
    """Return the permission sets of an account; ``None`` when there is none."""
    account = portal.hubspot.snapshot().get(email)
    return None if account is None else account.roles


async def managed(bridge: Bridged, *emails: str) -> list[str]:
    """Have the client write people that the portal has, or has not yet; return their ids."""
    return [await bridge.user(email) for email in emails]


@pytest.mark.parametrize("mode", MODES)
async def test_a_first_push_takes_no_permission_set_from_whom_nobody_manages(tmp_path: Path, mode: str) -> None:
    """Sixty people hold the set by hand; the client pushes the group with one new member: none of those is written."""
    by_hand = [f"p{number}@corp.example" for number in range(60)]
    portal = portal_of(*((email, ["Sales"]) for email in by_hand))
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        await bridge.compare()
        (new,) = await managed(bridge, NEW)
        sales = await bridge.group("Sales")
        writes = len(portal.writes())
        await bridge.members(sales, "replace", new)

        assert len(portal.writes()) == writes + 1
        assert {roles(portal, email) for email in (*by_hand, NEW)} == {("Sales",)}
        assert await bridge.shown(sales) == {*by_hand, NEW}
        assert not (await bridge.compare()).drifts

        await bridge.delete_group(sales)
        assert {roles(portal, email) for email in by_hand} == {("Sales",)}
        assert roles(portal, NEW) == ()
        assert await bridge.shown((await bridge.named("Group", "Sales")).id) == set(by_hand)


@pytest.mark.parametrize("mode", MODES)
async def test_a_person_with_several_sets_holds_up_nobody_else(tmp_path: Path, mode: str) -> None:
    """The group is deleted and pushed again with somebody else, who has it; once mended, Bob keeps the other set."""
    portal = portal_of((BOB, ["Marketing", "Service"]))
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        await bridge.compare()
        bob, new = await managed(bridge, BOB, NEW)
        marketing = await bridge.group("Marketing", bob)
        for _ in range(2):
            with pytest.raises(RefusedError, match=f"{BOB}: this person has several permission sets"):
                await bridge.delete_group(marketing)
            assert await bridge.shown(marketing) == {BOB}

        again = await bridge.group("Marketing", new)

        assert roles(portal, NEW) == ("Marketing",)
        assert await bridge.shown(again) == {BOB, NEW}
        portal.hubspot.ui_assign_roles(BOB, "Marketing")
        await bridge.members(again, "replace", new)
        assert roles(portal, BOB) == ("Service",)
        assert await bridge.shown(again) == {NEW}


@pytest.mark.parametrize("mode", MODES)
async def test_a_refused_membership_is_not_desired_any_more(tmp_path: Path, mode: str) -> None:
    """A protected account is deactivated and put into a group, in vain: reads show neither."""
    portal = portal_of((BOB, ["Service"]))
    settings = {**settings_of(portal, mode), "protected": [BOB]}
    async with bridged(tmp_path, portal, **settings) as bridge:
        await bridge.compare()
        bob = (await bridge.named("User", BOB)).id
        sales = await bridge.group("Sales")
        with pytest.raises(RefusedError, match="list of protected accounts"):
            await bridge.active(bob, False)
        for action in ("add", "replace"):
            with pytest.raises(RefusedError, match=f"{BOB}: this account is on the list of protected accounts"):
                await bridge.members(sales, action, bob)
            assert await bridge.shown(sales) == set()
            assert await bridge.groups(bob) == {"Service"}
        assert (await bridge.named("User", BOB)).shown_active

        await bridge.active(bob, True)

        assert roles(portal, BOB) == ("Service",)
        assert not portal.writes()


@pytest.mark.parametrize("mode", MODES)
async def test_an_inactive_member_who_is_removed_is_gone_at_once(tmp_path: Path, mode: str) -> None:
    """Whatever HubSpot keeps of an inactive person: reads show the group no more, and they return without it."""
    portal = portal_of()
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        bob, new = await managed(bridge, BOB, NEW)
        sales = await bridge.group("Sales", bob, new)
        await bridge.active(bob, False)
        writes = portal.writes()
        await bridge.members(sales, "remove", bob)

        assert portal.writes() == writes, "an absence is looked at: nothing is sent"
        assert await bridge.shown(sales) == {NEW}
        assert await bridge.groups(bob) == set()
        await bridge.active(bob, True)
        assert roles(portal, BOB) == ()
        assert await bridge.groups(bob) == set()
