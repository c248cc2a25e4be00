"""Which account a token works in: by the account's details, by the token, or not known."""

from typing import Any

import pytest

from plugins.hubspot.tests.connector.portals import world
from scim_bridge.errors import RemoteCredentialsError, RemoteMisroutedError, RemoteUnavailableError
from scim_bridge_hubspot.emulator import Fault
from scim_bridge_hubspot.emulator.transport import EmulatorTransport

DETAILS, TOKEN = "/account-info/", "/access-token-info"


async def test_the_account_s_id_costs_no_call_beyond_those_of_an_hour() -> None:
    """It comes with the two questions that the guards ask in any case."""
    portal = world()
    async with portal.connector() as connector:
        told = [await connector.identify() for _ in range(3)]
        await connector.list_users(None, 10)

    assert told == [str(portal.hubspot.portal_id)] * 3
    assert len(portal.calls(None, DETAILS)) == len(portal.calls(None, TOKEN)) == 1


@pytest.mark.parametrize("refused", [DETAILS, TOKEN])
async def test_one_of_the_two_suffices(refused: str) -> None:
    """HubSpot may refuse one of them: service keys, missing scopes."""
    portal = world()
    portal.hubspot.faults.add(Fault("error", path=refused, status=403, times=None))
    async with portal.connector() as connector:
        assert await connector.identify() == str(portal.hubspot.portal_id)


async def test_none_is_told_only_when_both_are_refused() -> None:
    """Then HubSpot will not tell, and the bridge knows of no account."""
    portal = world()
    portal.hubspot.faults.add(Fault("error", path=f"{DETAILS}|{TOKEN}", status=403, times=None))
    async with portal.connector() as connector:
        assert await connector.identify() is None


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        ({"kind": "error", "status": 503}, RemoteUnavailableError),
        ({"kind": "edge", "status": 404, "media": "html"}, RemoteUnavailableError),
        ({"kind": "unauthorized"}, RemoteCredentialsError),
    ],
    ids=["outage", "gateway", "token refused"],
)
async def test_what_cannot_be_asked_is_raised_and_asked_again(fault: dict[str, Any], raised: type[Exception]) -> None:
    """Who does not tell the token's account, and cannot tell the account's own id now, has told nothing."""
    portal = world(token_info="404")
    rule = portal.hubspot.faults.add(Fault(**fault, path=f"{DETAILS}|{TOKEN}", times=None))
    async with portal.connector() as connector:
        with pytest.raises(raised):
            await connector.identify()
        portal.hubspot.faults.clear()
        assert await connector.identify() == str(portal.hubspot.portal_id)
    assert rule.fired


async def test_two_answers_that_differ_are_not_believed() -> None:
    """One of them is not HubSpot's own: a proxy that mixes up answers."""
    portal, other = world(), world()
    other.hubspot.portal_id += 1
    async with portal.connector() as connector:
        mixed = other.hubspot.transport()
        own = portal.hubspot.transport()

        class Mixed(EmulatorTransport):
            """Answers for the account's details with those of another one."""

            async def handle_async_request(self, request: Any) -> Any:
                """Send a request to whom it is not for."""
                return await (mixed if DETAILS in request.url.path else own).handle_async_request(request)

        async with portal.connector(api=Mixed(portal.hubspot.handle, portal.hubspot.sleep)) as confused:
            with pytest.raises(RemoteMisroutedError, match="its token one of"):
                await confused.identify()
        assert await connector.identify() == str(portal.hubspot.portal_id)
