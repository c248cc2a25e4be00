"""What fault histories found, each as a short script of its own."""

import asyncio
from pathlib import Path

from scim_bridge.testing.simulation import History
from tests.faults.histories import Histories
from tests.faults.hubspot_world import HubSpotWorld


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
