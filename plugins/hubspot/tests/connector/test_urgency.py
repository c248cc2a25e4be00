"""What everybody waits for is asked as urgently as the most urgent needs it."""

import asyncio
from collections.abc import Sequence

from plugins.hubspot.tests.connector.portals import BASE_URL, person, world
from scim_bridge.models import Lane
from scim_bridge.testing.contexts import connected
from scim_bridge.upstream import HttpClients, lane
from scim_bridge_hubspot.connector import HubSpotConnector


async def test_a_removal_does_not_wait_for_what_a_creation_asked_first() -> None:
    """While creations wait for the rate limit, one of them asking for the inventory holds up no removal."""
    portal = world()
    leaver = portal.hubspot.add_person("leaver@corp.example")
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def share(own: Sequence[float], requests: int, seconds: float) -> Sequence[float]:
        """Tell of another process that has just used up what creations may use."""
        age = loop.time() - began
        return [age] * (requests * 9 // 10) if age < seconds else []

    clients = HttpClients(portal.hubspot.transport(), share=lambda _account: share)
    config = {"token": portal.hubspot.token, "base_url": BASE_URL}
    async with connected(HubSpotConnector, config, http_client=clients, state=portal.state, deadline=60.0) as connector:
        lane.set(Lane.CREATE)
        creating = asyncio.create_task(connector.create_user(person()))
        await asyncio.sleep(0.1)  # virtual: as far as it comes without the limit
        removing = loop.time()
        lane.set(Lane.REMOVE)
        await connector.deactivate_user(leaver.id, person("leaver@corp.example"))
        assert loop.time() - removing < 1.0
        assert not creating.done()
        await creating
        assert loop.time() - began > 5.0
    assert set(portal.hubspot.snapshot()) >= {"ada@corp.example"}
    assert "leaver@corp.example" not in portal.hubspot.snapshot()
