"""What fault histories found, each as a short script of its own."""

import asyncio
from functools import partial
from pathlib import Path
from random import Random

import httpx2
import pytest

from scim_bridge.testing.clients import EntraClient, Person
from tests.faults.histories import Histories
from tests.faults.hubspot_world import HubSpotWorld
from tests.faults.promises.cases import Case
from tests.faults.promises.edges import address
from tests.faults.promises.portals import account_of
from tests.faults.simulation import History
from tests.faults.simulation.network import BridgeTransport
from tests.faults.simulation.world import BASE_URL, SCHEDULE, Client, LoopClock


class Invitation(History):
    """Somebody's name changes before they accept the invitation (seed 25)."""

    seen: list[str]

    async def run(self) -> None:
        """Push the change, accept the invitation, wait for the next comparison."""
        world, client = self.world, self.world.clients[0]
        assert isinstance(world.remote, HubSpotWorld)
        hubspot, person = world.remote.hubspot, client.people[0]
        await world.start_bridge()
        client.provider.assign(person)
        client.work()
        await client.done()
        client.provider.update(person, family_name="Hopper")
        client.work()
        await client.done()
        hubspot.ui_activate(person.user_name)
        type(self).seen = [hubspot.member(person.user_name).last_name]
        await asyncio.sleep(1200)
        type(self).seen.append(hubspot.member(person.user_name).last_name)


def test_a_name_waits_for_the_invitation_and_no_longer(tmp_path: Path) -> None:
    """A name that HubSpot did not take is written by the next comparison after the person accepted the invitation."""
    report = Histories(tmp_path).one(25, kind=Invitation)

    assert report.violations == []
    assert Invitation.seen == ["Lovelace", "Hopper"]


class Return(History):
    """Somebody leaves and returns during an outage, and Entra ID sends what differs from what it reads (seed 1770)."""

    access: list[bool]

    async def run(self) -> None:
        """Push a removal that is not enforced before the person is wanted again."""
        world, person = self.world, Person("00u0ada", "ada@corp.example", "Ada", "Lovelace")
        transport = BridgeTransport("entra", world.listening, world.weather, world)
        http = httpx2.AsyncClient(base_url=BASE_URL, transport=transport)
        provider = EntraClient(
            http, authorization=world.authorization, schedule=SCHEDULE, clock=LoopClock(), random=Random(0)
        )
        client = Client("entra", provider, [person], ())
        world.clients[:] = [client]
        world.preset = "entra"
        await world.start_bridge()
        provider.assign(person)
        client.work()
        await client.done()
        world.weather.unreachable_until = asyncio.get_running_loop().time() + 2000
        provider.unassign(person)
        client.work()
        while world.witness.desire(person.user_name).active:
            await asyncio.sleep(1)
        provider.assign(person)
        await client.done()
        await asyncio.sleep(2000)
        belief = provider.believed[person.id]
        type(self).access = [belief.active, world.remote.holding(person.user_name).active]


def test_who_returns_before_their_removal_is_enforced_keeps_access(tmp_path: Path) -> None:
    """Entra ID, which looked while the removal was pending, and the remote system agree that the person has access."""
    report = Histories(tmp_path).one(1, kind=Return)

    assert report.violations == []
    assert Return.access == [True, True]


async def lost_creation(one: Case, told: list[object]) -> None:
    """Create somebody whose answer is lost, and who is given several sets by hand (seed 5231)."""
    for group in ("Sales", "Service"):
        await one.client.push(group)
    one.hubspot.faults.add("drop_after", method="POST", path="/settings/users/")
    creating = asyncio.create_task(one.client.send("POST", "/Users", one.client.user("ada")))
    while not any(person.email == address("ada") and person.membership for person in one.hubspot.members):
        await asyncio.sleep(0.1)
    one.by_hand(one.hubspot.ui_assign_roles, address("ada"), "Sales", "Service")
    status, document = await creating
    _, found = await one.client.send("GET", f'/Users?filter=userName%20eq%20"{address("ada")}"')
    shown = sorted(group["display"] for group in document.get("groups") or ())
    told += [status, found["Resources"][0]["id"] == document.get("id"), document.get("active"), shown]


def test_a_creation_that_came_true_is_not_refused_for_what_was_given_by_hand(tmp_path: Path) -> None:
    """The account is the User's, who is told, with the sets that wait to be taken; nothing is behind a 4xx."""
    told: list[object] = []
    kind = type("LostCreation", (Case,), {"script": partial(lost_creation, told=told)})

    report = Histories(tmp_path).one(1, kind=kind)

    assert report.violations == []
    assert told == [201, True, True, ["Sales", "Service"]]


async def removed_before_they_left(one: Case, told: list[object]) -> None:
    """End somebody's access whom a hand removes before HubSpot is reached, and let them in again (seed 2046)."""
    one.by_hand(one.hubspot.add_person, address("ada"), roles=["Sales"])
    await one.client.provision("ada")
    path, outage = f"/Users/{one.client.ids['ada']}", one.hubspot.faults.add("error", times=None)
    leaving = asyncio.create_task(one.client.patch(path, {"op": "replace", "path": "active", "value": False}))
    await asyncio.sleep(1)
    one.by_hand(one.hubspot.ui_remove, address("ada"))
    one.hubspot.faults.clear(outage.id)
    told += [await leaving, await one.client.patch(path, {"op": "replace", "path": "active", "value": True})]
    held = account_of(one.hubspot, one.hubspot.member(address("ada")))
    told += [held.access, set(held.sets)]


@pytest.mark.parametrize("mode", ["remove", "strip", "scim"])
def test_a_set_that_went_with_an_account_does_not_come_back_with_the_next(tmp_path: Path, mode: str) -> None:
    """What hands gave with an account that hands took away is given to nobody who is let in again."""
    told: list[object] = []
    script = partial(removed_before_they_left, told=told)

    report = Histories(tmp_path).one(1, kind=type("RemovedBefore", (Case,), {"script": script, "mode": mode}))

    assert report.violations == []
    assert told == [200, 200, True, set()]
