"""OAuth: tokens are renewed in time, once after a 401, and rotated refresh tokens survive a restart."""

import asyncio
from typing import Any

import httpx2
import pytest

from plugins.hubspot.tests.connector.portals import ADA, World, person, world
from scim_bridge.errors import (
    RemoteCredentialsError,
    RemoteForbiddenError,
    RemoteMisroutedError,
    RemoteUnavailableError,
)

OAUTH = {"client_id": "app", "client_secret": "s3cret", "refresh_token": "first"}


def authorised(**switches: Any) -> World:
    """Return a portal with an OAuth app."""
    portal = world(**switches)
    portal.hubspot.add_oauth_app("app", "s3cret", refresh_token="first")
    portal.settings = {"token": None, "oauth": OAUTH}
    return portal


def refreshes(portal: World) -> int:
    """Return how often a token was asked for."""
    return len(portal.calls("POST", "/oauth/2026-03/token$"))


async def test_one_access_token_serves_many_calls_at_once() -> None:
    """Calls that start together share one refresh."""
    portal = authorised()
    async with portal.connector() as connector:
        await asyncio.gather(*(connector.find_user(f"p{number}@corp.example") for number in range(5)))
        await connector.create_user(person())
    assert refreshes(portal) == 1
    assert portal.account().active


async def test_an_access_token_is_renewed_before_it_expires() -> None:
    """After 29 of its 30 minutes a new one is taken, without a 401 in between."""
    portal = authorised()
    async with portal.connector() as connector:
        await connector.find_user(ADA)
        await asyncio.sleep(29 * 60 + 1)
        await connector.find_user(ADA)
    assert refreshes(portal) == 2
    assert not [call for call in portal.calls() if call.status == 401]


@pytest.mark.parametrize("strikes", [1, 2])
async def test_a_401_is_answered_by_one_refresh_and_no_more(strikes: int) -> None:
    """The same call goes out again with a fresh token; a second 401 is a matter for the operator."""
    portal = authorised()
    async with portal.connector() as connector:
        await connector.find_user(ADA)
        portal.hubspot.faults.add("unauthorized", method="POST", path="^/settings/", times=strikes)
        if strikes == 1:
            await connector.create_user(person())
        else:
            with pytest.raises(RemoteCredentialsError):
                await connector.create_user(person())
    assert refreshes(portal) == 2
    assert (portal.account() is not None) is (strikes == 1)


async def test_a_rotated_refresh_token_survives_a_restart() -> None:
    """Where HubSpot replaces refresh tokens, the next process uses the newest."""
    portal = authorised(rotate_refresh_tokens=True)
    for number in range(3):
        async with portal.connector() as connector:
            await connector.find_user(f"p{number}@corp.example")
    assert refreshes(portal) == 3
    assert {call.status for call in portal.calls("POST", "/oauth/2026-03/token$")} == {200}


async def test_who_was_slower_uses_what_the_faster_kept() -> None:
    """Two processes refresh at once, as a check and the server: the one that comes too late goes on all the same."""
    portal = authorised(rotate_refresh_tokens=True)
    others = [portal.connector()]

    class Slow(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            while others and request.url.path == "/oauth/2026-03/token":
                async with others.pop() as faster:
                    await faster.find_user(ADA)
            return await portal.hubspot.transport().handle_async_request(request)

    async with portal.connector(api=Slow()) as connector:
        await connector.create_user(person())
    assert [call.status for call in portal.calls("POST", "/oauth/2026-03/token$")] == [200, 400, 200]
    assert portal.account().active


async def test_a_new_authorisation_wins_over_a_kept_token() -> None:
    """Whoever configures another refresh token means it."""
    portal = authorised(rotate_refresh_tokens=True)
    async with portal.connector() as connector:
        await connector.find_user(ADA)
    portal.hubspot.oauth_apps["app"].refresh_tokens = {"second"}
    async with portal.connector(oauth={**OAUTH, "refresh_token": "second"}) as connector:
        await connector.find_user(ADA)
    assert {call.status for call in portal.calls("POST", "/oauth/2026-03/token$")} == {200}


async def test_a_refused_refresh_token_is_a_problem_of_the_credentials() -> None:
    """A revoked authorisation alarms the operator; an outage of the endpoint does not."""
    portal = authorised()
    async with portal.connector() as connector:
        portal.hubspot.faults.outage(path="/oauth/2026-03/token$")
        with pytest.raises(RemoteUnavailableError) as caught:
            await connector.find_user(ADA)
        assert not caught.value.ambiguous
        portal.hubspot.faults.clear()
        portal.hubspot.oauth_apps["app"].refresh_tokens.clear()
        await asyncio.sleep(60)
        with pytest.raises(RemoteCredentialsError, match="authorise the app again"):
            await connector.find_user(ADA)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
@pytest.mark.parametrize("body", [b"<h1>Access denied</h1>", b'{"message": "Forbidden"}', b""])
async def test_a_gateway_before_the_token_endpoint_ends_no_authorisation(status: int, body: bytes) -> None:
    """Only HubSpot itself can refuse a refresh token: what stands on the way is an outage, told as what it is."""
    portal = authorised()
    blocked = True

    class Gateway(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if blocked and request.url.path == "/oauth/2026-03/token":
                return httpx2.Response(status, content=body, headers={"Content-Type": "application/json"})
            return await portal.hubspot.transport().handle_async_request(request)

    async with portal.connector(api=Gateway()) as connector:
        with pytest.raises(RemoteMisroutedError) as caught:
            await connector.find_user(ADA)
        assert "authorise" not in caught.value.detail
        assert not caught.value.ambiguous
        blocked = False
        assert await connector.find_user(ADA) is None


async def test_whoever_installed_the_app_is_never_changed() -> None:
    """Introspection names them, and the guard heeds it."""
    portal = world()
    portal.hubspot.add_person(ADA)
    portal.hubspot.add_oauth_app("app", "s3cret", refresh_token="first", installer=ADA)
    portal.settings = {"token": None, "oauth": OAUTH}
    async with portal.connector() as connector:
        with pytest.raises(RemoteForbiddenError, match="token belongs"):
            await connector.deactivate_user(portal.hubspot.member(ADA).id, person())


async def test_neither_token_nor_secret_is_kept_in_the_open() -> None:
    """The store holds the refresh token in use, and of the configured one only a fingerprint."""
    portal = authorised(rotate_refresh_tokens=True)
    async with portal.connector() as connector:
        await connector.find_user(ADA)
    kept = portal.state.values["oauth"]
    assert set(kept) == {"configured", "refresh_token"}
    assert "first" not in repr(kept)
    assert "s3cret" not in repr(kept)
