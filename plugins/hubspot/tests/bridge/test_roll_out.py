"""A roll-out in the order of the guides: import, match, plan, complete the groups, push, go live, undo."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from plugins.hubspot.tests.bridge.bridged import CONNECTION, Bridged, bridged
from plugins.hubspot.tests.bridge.test_nobody_else import portal_of
from plugins.hubspot.tests.bridge.test_restored_backup import access
from plugins.hubspot.tests.connector.test_deprovisioning import MODES, NO_ACCESS, settings_of
from scim_bridge.errors import PendingError
from scim_bridge.provisioning import observing
from scim_bridge.testing.clients.directory import Person
from scim_bridge.testing.clients.entra import EntraClient
from scim_bridge.testing.clients.okta import OktaClient
from scim_bridge.views import plan as view

ADA = Person("00a", "ada@corp.example", "By", "Hand")
BOB = Person("00b", "bob@corp.example", "By", "Hand")
NEW = Person("00n", "new@corp.example", "New", "Comer")
EVE = "eve@corp.example"


class Hurry:
    """A clock on which the forty minutes between two cycles are over at once; a time-out is none."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def now(self) -> float:
        """Return the loop's time, and what was left out of it."""
        return asyncio.get_running_loop().time() + self._skipped

    async def sleep(self, seconds: float) -> None:
        """Leave out what is longer than a request may take."""
        if seconds > OktaClient.SOCKET_TIMEOUT:
            self._skipped += seconds
            seconds = 0
        await asyncio.sleep(seconds)


Client = OktaClient | EntraClient
CLIENTS: dict[str, Callable[[httpx2.AsyncClient], Client]] = {
    "okta": lambda http: OktaClient(http, authorization=http.headers["Authorization"], clock=Hurry()),
    "wizard": lambda http: OktaClient(http, authorization=http.headers["Authorization"], kind="wizard", clock=Hurry()),
    "entra": lambda http: EntraClient(http, authorization=http.headers["Authorization"], clock=Hurry()),
}


async def planned(bridge: Bridged) -> view.Plan:
    """Return the plan."""
    one = bridge.provisioning
    return await bridge.store.read(lambda tx: view.plan(tx, CONNECTION, one.capabilities, one.guard))


def removals(plan: view.Plan) -> list[tuple[str, str | None]]:
    """Return who is removed, or taken out of which group."""
    return [(one.name, one.group) for one in plan.removals]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_roll_out_changes_nothing_before_it_goes_live(tmp_path: Path, client: str, mode: str) -> None:
    """HubSpot is read and never written before go-live; then it is as the identity provider wants, removals first."""
    by_hand = [(ADA.user_name, ["Sales"]), (BOB.user_name, ["Sales"]), (EVE, ["Service"])]
    portal = portal_of(*by_hand)
    before = portal.hubspot.snapshot()
    settings = settings_of(portal, mode)
    async with bridged(tmp_path, portal, **settings) as bridge, bridge.http() as http:
        await bridge.store.write(lambda tx: observing.start(tx, CONNECTION, now=datetime.now(UTC)))
        await bridge.compare()
        idp = CLIENTS[client](http)

        for person in (ADA, BOB, NEW):
            idp.assign(person)
        await idp.run_until_idle()
        assert not idp.tasks
        plan = await planned(bridge)
        assert not plan.has_removals
        assert [(one.action, one.name) for one in plan.changes if one.action != "change"] == [("create", NEW.user_name)]

        idp.push_group("Sales", [ADA, NEW])
        await idp.run_until_idle()
        whole = client != "entra"  # Okta sends the whole list, and Bob is managed by now
        assert removals(await planned(bridge)) == ([(BOB.user_name, "Sales")] if whole else [])
        idp.add_member("Sales", BOB)
        await idp.run_until_idle()
        assert not (await planned(bridge)).has_removals
        idp.unassign(BOB)
        await idp.run_until_idle()

        plan = await planned(bridge)
        assert removals(plan) == [(BOB.user_name, None)]
        shown = (await http.get("/Users", params={"filter": f'userName eq "{BOB.user_name}"'})).json()["Resources"][0]
        assert shown["active"] is False
        assert (await http.get("/Users", params={"filter": "active eq false"})).json()["totalResults"] == 1
        assert not idp.tasks

    async with bridged(tmp_path, portal, **settings) as bridge:
        await bridge.compare()
        assert portal.writes() == []
        assert portal.hubspot.snapshot() == before
        assert removals(await planned(bridge)) == removals(plan)

        await bridge.store.write(lambda tx: observing.end(tx, CONNECTION, now=datetime.now(UTC)))
        await bridge.provisioning.driver.idle()

        assert access(portal, ADA.user_name) == access(portal, NEW.user_name) == ("Sales",)
        assert access(portal, BOB.user_name) in {None, (NO_ACCESS,)}
        assert access(portal, EVE) == ("Service",)
        assert (await planned(bridge)).is_empty
        assert not [one for one in (await bridge.compare()).drifts if one.drift != "unmanaged"]

        await bridge.store.write(lambda tx: observing.begin(tx, CONNECTION, "hold", now=datetime.now(UTC)))
        written = len(portal.writes())
        with pytest.raises(PendingError):
            await bridge.active((await bridge.named("User", ADA.user_name)).id, False)
        assert len(portal.writes()) == written
