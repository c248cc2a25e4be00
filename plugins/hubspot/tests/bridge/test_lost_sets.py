"""The bridge on a portal whose permission sets are deleted: who is to leave one is out."""

from pathlib import Path

import pytest

from plugins.hubspot.tests.bridge.bridged import bridged
from plugins.hubspot.tests.bridge.test_nobody_else import portal_of, roles
from scim_bridge.errors import RefusedError

RALF = "ralf@corp.example"


async def test_a_set_that_was_deleted_keeps_nobody_in_its_group(tmp_path: Path) -> None:
    """Nobody can join the group, as there is nothing to grant; whoever leaves it is out of it, and is told so."""
    portal = portal_of()
    async with bridged(tmp_path, portal) as bridge:
        ralf = await bridge.user(RALF)
        eve = await bridge.user("eve@corp.example")
        group = await bridge.group("Sales", ralf)
        portal.hubspot.ui_delete("Sales")
        await bridge.compare()
        with pytest.raises(RefusedError, match="Sales"):
            await bridge.members(group, "add", eve)

        await bridge.members(group, "remove", ralf)

        assert roles(portal, RALF) == ()
        assert await bridge.groups(ralf) == set()


ALIAS = {"North": {"permission_set": "Service", "primary_team": "EMEA", "secondary_teams": ["APAC"]}}


@pytest.mark.parametrize("teams_as_groups", [None, "primary"])
@pytest.mark.parametrize("entry", ["Service", "EMEA", "APAC"])
async def test_a_renamed_entry_of_an_alias_takes_nothing_from_its_people(
    tmp_path: Path, entry: str, teams_as_groups: str | None
) -> None:
    """Comparing leaves them what they have, leaving takes it, and joining is refused until the entry is mended."""
    portal = portal_of()
    portal.settings |= {"groups": ALIAS, "teams_as_groups": teams_as_groups}
    for name in ("EMEA", "APAC"):
        portal.hubspot.add_team(name)
    async with bridged(tmp_path, portal) as bridge:
        ralf = await bridge.user(RALF)
        eve = await bridge.user("eve@corp.example")
        group = await bridge.group("North", ralf)
        before = portal.hubspot.snapshot()[RALF]
        assert before.primary_team == "EMEA"
        portal.hubspot.ui_rename(entry, "Other")
        await bridge.compare()
        await bridge.compare()

        assert repr(portal.hubspot.snapshot()[RALF]) == repr(before).replace(entry, "Other")
        assert await bridge.shown(group) == {RALF}
        with pytest.raises(RefusedError, match=entry):
            await bridge.members(group, "add", eve)
        await bridge.members(group, "remove", ralf)
        left = portal.hubspot.snapshot()[RALF]
        assert (left.roles, left.primary_team, left.secondary_teams) == ((), None, ())


@pytest.mark.parametrize("entry", ["Service", "EMEA", "APAC"])
async def test_a_deleted_entry_of_an_alias_takes_nothing_else(tmp_path: Path, entry: str) -> None:
    """What is left of the alias stays, and nothing that is gone is asked for."""
    portal = portal_of()
    portal.settings |= {"groups": ALIAS}
    for name in ("EMEA", "APAC"):
        portal.hubspot.add_team(name)
    async with bridged(tmp_path, portal) as bridge:
        ralf = await bridge.user(RALF)
        await bridge.group("North", ralf)
        portal.hubspot.ui_delete(entry)
        before = portal.hubspot.snapshot()[RALF]
        await bridge.compare()
        await bridge.group("Marketing", ralf)

        account = portal.hubspot.snapshot()[RALF]
        assert {account.primary_team, *account.secondary_teams} == {before.primary_team, *before.secondary_teams}
        assert account.roles == (("Marketing",) if entry == "Service" else account.roles)
