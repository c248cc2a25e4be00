"""The token, or the address, of another portal is configured: no write reaches it, and no absence there is believed."""

from pathlib import Path

import pytest

from plugins.hubspot.tests.bridge.bridged import CONNECTION, always, bridged
from plugins.hubspot.tests.bridge.test_nobody_else import portal_of, roles
from plugins.hubspot.tests.connector.portals import World
from plugins.hubspot.tests.connector.test_deprovisioning import MODES, NO_ACCESS, settings_of
from scim_bridge.errors import PendingError, RemoteCredentialsError, RemoteUnavailableError
from scim_bridge.provisioning import identification
from scim_bridge.store.rows import State
from scim_bridge_hubspot.emulator import Call, Fault

ADA, BOB, NEW = "ada@corp.example", "bob@corp.example", "new@corp.example"


def another(portal: World, *people: tuple[str, list[str]]) -> World:
    """Return another portal, whose people have the same ids as far as they are there, for the same connection."""
    other = portal_of(*people)
    other.hubspot.portal_id += 1
    other.state = portal.state
    return other


def changing(portal: World) -> list[Call]:
    """Return the calls that could have changed anything, HubSpot's SCIM included."""
    scim = [call for call in portal.calls(None, r"^/scim/") if call.method != "GET"]
    return [*portal.writes(), *scim]


@pytest.mark.parametrize("imports", [True, False], ids=["import at start", "no import"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("there", [True, False], ids=["Ada is there, too", "nobody is there"])
async def test_no_write_reaches_another_portal(tmp_path: Path, mode: str, imports: bool, there: bool) -> None:
    """The client is answered 429, nothing is sent; with the right token again, all of it is done in the right one."""
    portal = portal_of((ADA, []), (BOB, []))
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        ada, bob = await bridge.user(ADA), await bridge.user(BOB)
        sales = await bridge.group("Sales", ada, bob)
    other = another(portal, *([(ADA, ["Sales"])] if there else []))
    before = other.hubspot.snapshot()

    async with bridged(tmp_path, other, **settings_of(other, mode)) as bridge:
        if imports:
            await bridge.compare()
        for _ in range(2):
            with pytest.raises(PendingError):
                await bridge.active(ada, False)
        with pytest.raises(PendingError):
            await bridge.members(sales, "remove", bob)
        with pytest.raises(PendingError):
            await bridge.provisioning.delete_user(bob, always)
        with pytest.raises(PendingError):
            await bridge.user(NEW)
        assert changing(other) == []
        assert other.hubspot.snapshot() == before
        row = await bridge.named("User", ADA)
        assert (row.state, row.shown_active, row.missing) == (State.PENDING, True, False)
        pin = await bridge.store.read(lambda tx: identification.pinned(tx, CONNECTION))
        assert (pin.identity, pin.told) == (
            f"hubspot {portal.hubspot.portal_id}",
            f"hubspot {other.hubspot.portal_id}",
        )

    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        assert await bridge.provisioning.identification.confirmed()
        await bridge.provisioning.driver.idle()
        gone = portal.hubspot.snapshot().get(ADA)
        assert gone is None or not gone.active or gone.roles == (NO_ACCESS,)
        assert portal.hubspot.snapshot().get(BOB) is None
        assert roles(portal, NEW) == ()


@pytest.mark.parametrize("mode", MODES)
async def test_an_outage_of_the_account_s_details_holds_nothing(tmp_path: Path, mode: str) -> None:
    """Where the token tells its portal, that suffices; where only the details do, it is waited for."""
    portal = portal_of((ADA, []))
    portal.hubspot.faults.add(Fault("error", "GET", "/account-info/", status=503, times=3))
    async with bridged(tmp_path, portal, **settings_of(portal, mode)) as bridge:
        ada = await bridge.user(ADA)
        await bridge.group("Sales", ada)

    assert roles(portal, ADA) == ("Sales",)


async def test_a_token_that_is_refused_does_not_stand_for_a_portal_that_does_not_tell(tmp_path: Path) -> None:
    """While HubSpot refuses the token, and a gateway answers for it, nothing is known; then the connection goes on."""
    portal = portal_of((ADA, []))
    async with bridged(tmp_path, portal) as bridge:
        ada = await bridge.user(ADA)
    portal.hubspot.faults.add(Fault("unauthorized", "GET", "/account-info/", times=1))
    portal.hubspot.faults.add(Fault("edge", None, "access-token-info", status=404, media="html", times=1))
    async with bridged(tmp_path, portal) as bridge:
        with pytest.raises((RemoteCredentialsError, RemoteUnavailableError)):
            await bridge.provisioning.identification.confirmed()
        assert await bridge.provisioning.identification.confirmed()
        await bridge.group("Sales", ada)
        pin = await bridge.store.read(lambda tx: identification.pinned(tx, CONNECTION))

    assert (pin.identity, pin.problem) == (f"hubspot {portal.hubspot.portal_id}", None)
    assert roles(portal, ADA) == ("Sales",)
