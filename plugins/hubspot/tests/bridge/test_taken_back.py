"""A removal that could not be finished, and that the client takes back: whoever it was about has everything again."""

from pathlib import Path

import pytest

from plugins.hubspot.tests.bridge.bridged import bridged
from plugins.hubspot.tests.bridge.test_what_was_granted import ADA, ada, settings, stocked, teams
from plugins.hubspot.tests.connector.portals import groups_of
from plugins.hubspot.tests.connector.test_deprovisioning import MODES, NO_ACCESS
from scim_bridge.errors import PendingError
from scim_bridge.store.rows import State


@pytest.mark.parametrize("fallback", [None, "Marketing"])
@pytest.mark.parametrize("mode", MODES)
async def test_who_is_in_no_group_has_everything_again(tmp_path: Path, mode: str, fallback: str | None) -> None:
    """No write of their groups is due that would give it back; in whatever mode the bridge is by then."""
    portal = stocked()
    stripping = settings(portal, mode="strip", fallback_permission_set=fallback)
    async with bridged(tmp_path, portal, **stripping) as bridge:
        one = await bridge.user(ADA)
        await bridge.members(await bridge.group("Sales", one), "remove", one)
    before = ada(portal)
    portal.hubspot.ui_rename(NO_ACCESS, "No rights")
    async with bridged(tmp_path, portal, budget=0.5, **stripping) as bridge:
        with pytest.raises(PendingError):
            await bridge.active(one, active=False)
        await bridge.provisioning.driver.idle()
    assert before.roles == ((fallback,) if fallback else ())
    assert (ada(portal).roles, teams(portal)) == ((), set())

    async with bridged(tmp_path, portal, **settings(portal, mode=mode, fallback_permission_set=fallback)) as bridge:
        await bridge.active(one, active=True)

        assert ada(portal) == before
        assert teams(portal) == {"By hand"}
        row = await bridge.named("User", ADA)
        assert (row.state, row.active, row.observed and row.observed.unfinished) == (State.SETTLED, True, False)
        found = await bridge.provisioning.connector.get_user(str(row.remote_id))
        assert (found.unfinished, groups_of(found)) == (False, set())


async def test_a_removal_that_nobody_takes_back_is_not_undone(tmp_path: Path) -> None:
    """The account stays bare for as long as the set of stripped people is not there, and is stripped when it is."""
    portal = stocked()
    stripping = settings(portal, mode="strip")
    async with bridged(tmp_path, portal, **stripping) as bridge:
        one = await bridge.user(ADA)
    portal.hubspot.ui_rename(NO_ACCESS, "No rights")
    for _ in range(2):
        async with bridged(tmp_path, portal, budget=0.5, **stripping) as bridge:
            with pytest.raises(PendingError):
                await bridge.active(one, active=False)
            await bridge.provisioning.driver.idle()
            await bridge.compare()
        assert (ada(portal).roles, teams(portal)) == ((), set())
    portal.hubspot.ui_rename("No rights", NO_ACCESS)
    async with bridged(tmp_path, portal, **stripping) as bridge:
        await bridge.active(one, active=False)
        assert (ada(portal).roles, teams(portal)) == ((NO_ACCESS,), set())
        await bridge.active(one, active=True)
    assert (ada(portal).roles, teams(portal)) == ((), {"By hand"})
