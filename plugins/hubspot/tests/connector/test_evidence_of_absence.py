"""That somebody is gone, or there, is believed with evidence only; nothing is done to anybody but whom it is about."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from typing import Any

import httpx2
import pytest

from plugins.hubspot.tests.connector.portals import ADA, World, person, role, world
from scim_bridge.errors import (
    ConnectorError,
    RemoteCredentialsError,
    RemoteMisroutedError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)

ROAD = {
    "JSON 404": (404, "application/json", b'{"message": "no route matched"}'),
    "HTML 404": (404, "text/html", b"<h1>Not found</h1>"),
    "empty 404": (404, "", b""),
    "a missing route of HubSpot": (
        404,
        "application/json",
        b'{"status": "error", "message": "x", "correlationId": "1"}',
    ),
    "JSON 403": (403, "application/json", b'{"message": "Forbidden"}'),
    "HTML 403": (403, "text/html", b"<h1>Access denied</h1>"),
    "HTML 400": (400, "text/html", b"<h1>Bad request</h1>"),
    "408": (408, "text/plain", b"timeout"),
    "410": (410, "application/json", b'{"category": "OBJECT_NOT_FOUND", "correlationId": "1"}'),
    "421": (421, "", b""),
    "488": (488, "application/json", b'{"message": "x", "correctHublet": "eu1"}'),
}
"""What stands on the way to HubSpot's API, or is not its right address, answers."""

MODES: dict[str, dict[str, Any]] = {"remove": {}, "strip": {"strip": {"permission_set": "No access"}}}

Answering = Callable[[httpx2.Request], httpx2.Response | None]


class OnTheWay(httpx2.AsyncBaseTransport):
    """A gateway before a portal: answers what it will, or lets the request through."""

    def __init__(self, portal: World, answer: Answering) -> None:
        self.inner = portal.hubspot.transport()
        self.answer = answer

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer, or ask the portal."""
        return self.answer(request) or await self.inner.handle_async_request(request)


def with_ada(**switches: str) -> tuple[World, str]:
    """Return a portal where Ada has "Sales", and her id."""
    portal = world(**switches)
    for name in ("Sales", "No access"):
        portal.hubspot.add_role(name)
    portal.hubspot.add_person(ADA, roles=["Sales"])
    return portal, portal.hubspot.member(ADA).id


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("answer", ROAD)
async def test_the_road_confirms_no_removal_and_refuses_nothing(answer: str, mode: str) -> None:
    """Every route of accounts is answered by something else: nothing is known, and nothing is told as known."""
    portal, ada = with_ada()
    status, kind, body = ROAD[answer]
    blocked = True

    def gateway(request: httpx2.Request) -> httpx2.Response | None:
        if not blocked or "/settings/" not in request.url.path:
            return None
        return httpx2.Response(status, content=body, headers={"Content-Type": kind} if kind else {})

    settings: dict[str, Any] = {"deprovision": mode, **MODES[mode]}
    async with portal.connector(api=OnTheWay(portal, gateway), **settings) as connector:
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: connector.deactivate_user(ada, person()),
            lambda: connector.delete_user(ada),
            lambda: connector.get_user(ada),
            lambda: connector.find_user(ADA),
            lambda: connector.create_user(person("new@corp.example")),
            lambda: connector.set_user_groups(ada, person(), []),
        ]
        for call in calls:
            with pytest.raises(RemoteMisroutedError) as raised:
                await call()
            assert status != 488 or "api-eu1.hubapi.com" in raised.value.detail
        assert portal.writes() == []
        assert portal.account().roles == ("Sales",)
        blocked = False
        await connector.deactivate_user(ada, person())
    assert portal.account() is None or portal.account().roles == ("No access",)


async def test_a_removal_sends_its_delete_although_a_read_finds_nobody() -> None:
    """Reads of one account are answered 404 in HubSpot's own form: DELETE is sent, and its 204 ends the access."""
    portal, ada = with_ada()
    missing = {"status": "error", "message": "x", "correlationId": "1", "category": "OBJECT_NOT_FOUND"}

    def reads_fail(request: httpx2.Request) -> httpx2.Response | None:
        hidden = request.method == "GET" and request.url.path.endswith(ada)
        return httpx2.Response(404, json=missing) if hidden else None

    async with portal.connector(api=OnTheWay(portal, reads_fail)) as connector:
        with pytest.raises(RemoteNotFoundError):  # done, as far as HubSpot tells not by the bridge
            await connector.deactivate_user(ada, person())
    assert [call.method for call in portal.writes()] == ["DELETE"]
    assert portal.account() is None


async def test_a_removal_that_both_answers_call_absent_wants_a_witness() -> None:
    """GET and DELETE of accounts are 404 in HubSpot's own form, for everybody: a route has moved, nobody is gone."""
    portal, ada = with_ada()
    missing = {"status": "error", "message": "x", "correlationId": "1", "category": "OBJECT_NOT_FOUND"}

    def moved(request: httpx2.Request) -> httpx2.Response | None:
        return httpx2.Response(404, json=missing) if request.url.path.split("/")[-1].isdigit() else None

    async with portal.connector(api=OnTheWay(portal, moved)) as connector:
        for call in (connector.deactivate_user(ada, person()), connector.delete_user(ada), connector.get_user(ada)):
            with pytest.raises(RemoteMisroutedError):
                await call
    assert portal.account().roles == ("Sales",)


@pytest.mark.parametrize("times", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("answer", ["JSON 404", "HTML 404", "empty 404"])
@pytest.mark.parametrize("hook", ["get_user", "deactivate_user", "delete_user", "find_user"])
async def test_a_gateway_that_answers_for_a_moment_ends_nobodys_access(hook: str, answer: str, times: int) -> None:
    """Its 404 to the first calls, and HubSpot's answers to those after: the control passes, and the person is there."""
    portal, ada = with_ada()
    status, kind, body = ROAD[answer]
    left = times

    def gateway(request: httpx2.Request) -> httpx2.Response | None:
        nonlocal left
        if left == 0 or "/settings/users/" not in request.url.path:
            return None
        left -= 1
        return httpx2.Response(status, content=body, headers={"Content-Type": kind} if kind else {})

    async with portal.connector(api=OnTheWay(portal, gateway)) as connector:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "get_user": lambda: connector.get_user(ada),
            "deactivate_user": lambda: connector.deactivate_user(ada, person()),
            "delete_user": lambda: connector.delete_user(ada),
            "find_user": lambda: connector.find_user(ADA),
        }
        with suppress(RemoteUnavailableError):
            found = await calls[hook]()
            assert found is not None or portal.account() is None


@pytest.mark.parametrize("delete_unknown", ["204", "404"])
@pytest.mark.parametrize("not_found_form", ["named", "uncategorised", "empty"])
@pytest.mark.parametrize("token_info", ["known", "404"])
async def test_whoever_is_gone_is_seen_to_be_in_every_form_of_404(
    not_found_form: str, delete_unknown: str, token_info: str
) -> None:
    """Both readings: with a witness, the token's own person or somebody of the list, absence is believed."""
    portal, ada = with_ada(not_found_form=not_found_form, delete_unknown=delete_unknown, token_info=token_info)
    async with portal.connector() as connector:
        for gone in ("999999999", ada):
            with nullcontext() if gone == ada else pytest.raises(RemoteNotFoundError):
                await connector.deactivate_user(gone, person())
            await connector.delete_user(gone)
            for call in (connector.get_user(gone), connector.deactivate_user(gone, person())):
                with pytest.raises(RemoteNotFoundError):
                    await call
        assert await connector.find_user(ADA) is None
        again = await connector.reactivate_user(ada, person())
        assert again.remote_id == ada


@pytest.mark.parametrize("hook", ["deactivate_user", "delete_user", "get_user", "set_user_groups", "find_user"])
async def test_another_persons_record_is_not_believed(hook: str) -> None:
    """A cache answers reads about Ada with Bob's record: nothing is done to either, and nothing told."""
    portal, ada = with_ada()
    portal.hubspot.add_person("bob@corp.example", roles=["Sales"])
    bob = portal.hubspot.member("bob@corp.example").id

    class MixedUp(OnTheWay):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "GET" and request.url.path.split("/")[-1] in (ada, ADA):
                path = request.url.path.replace(ada, bob).replace(ADA, "bob@corp.example")
                request = httpx2.Request("GET", request.url.copy_with(path=path), headers=request.headers)
            return await self.inner.handle_async_request(request)

    async with portal.connector(api=MixedUp(portal, lambda _: None)) as connector:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "deactivate_user": lambda: connector.deactivate_user(ada, person()),
            "delete_user": lambda: connector.delete_user(ada),
            "get_user": lambda: connector.get_user(ada),
            "set_user_groups": lambda: connector.set_user_groups(ada, person(), []),
            "find_user": lambda: connector.find_user(ADA),
        }
        with pytest.raises(RemoteMisroutedError):
            await calls[hook]()
    assert portal.writes() == []


@pytest.mark.parametrize("remote_id", ["roles", "..", "../teams", "1?x=2", "1%2F..", "", "\uff11\uff12"])
async def test_an_id_of_another_form_becomes_no_path(remote_id: str) -> None:
    """HubSpot's ids are digits: whatever else a store or an answer holds is sent nowhere."""
    portal, _ = with_ada()
    async with portal.connector() as connector:
        before = portal.hubspot.calls.total
        for call in (connector.get_user(remote_id), connector.deactivate_user(remote_id, person())):
            with pytest.raises(RemoteUnavailableError):
                await call
        assert await connector.find_user(remote_id) is None
        assert portal.hubspot.calls.total == before


async def test_a_read_that_hubspot_itself_forbids_is_the_tokens_matter() -> None:
    """HubSpot hides no single account: 403 to a read is alarmed, and told to nobody as a refused person."""
    portal, ada = with_ada()
    refusal = {"status": "error", "message": "x", "correlationId": "1", "category": "FORBIDDEN"}

    def no_reads(request: httpx2.Request) -> httpx2.Response | None:
        reads = request.method == "GET" and request.url.path.split("/")[-1] == ada
        return httpx2.Response(403, json=refusal) if reads else None

    async with portal.connector(api=OnTheWay(portal, no_reads)) as connector:
        with pytest.raises(RemoteCredentialsError):
            await connector.deactivate_user(ada, person())
    assert portal.writes() == []


@pytest.mark.parametrize("answer", [name for name in ROAD if name not in {"a missing route of HubSpot", "488"}])
async def test_the_scim_endpoint_has_a_road_too(answer: str) -> None:
    """Mode ``scim``: a gateway before HubSpot's SCIM is neither "nobody" nor a refusal."""
    status, kind, body = ROAD[answer]
    portal, ada = with_ada()
    blocked = OnTheWay(portal, lambda _: httpx2.Response(status, content=body, headers={"Content-Type": kind}))
    settings: dict[str, Any] = {
        "deprovision": "scim",
        "scim_token": portal.hubspot.scim_token,
        "scim_url": "http://localhost/scim/v2",
    }
    async with portal.connector(scim=blocked, **settings) as connector:
        with pytest.raises(RemoteUnavailableError):
            await connector.deactivate_user(ada, person())


@pytest.mark.parametrize("body", [b"{}", b'{"Resources": []}', b'{"totalResults": "0"}'])
async def test_nobody_is_told_by_a_list_only(body: bytes) -> None:
    """Mode ``scim``: an answer that is no list of SCIM (RFC 7644 §3.4.2) does not say that nobody is there."""
    portal, ada = with_ada(read_deactivated="404")
    portal.hubspot.ui_deactivate(ADA)
    empty = OnTheWay(portal, lambda _: httpx2.Response(200, content=body, headers={"Content-Type": "application/json"}))
    settings: dict[str, Any] = {
        "deprovision": "scim",
        "scim_token": portal.hubspot.scim_token,
        "scim_url": "http://localhost/scim/v2",
    }
    async with portal.connector(scim=empty, **settings) as connector:
        with pytest.raises(RemoteMisroutedError):
            await connector.deactivate_user(ada, person())


async def test_a_refused_scim_token_is_named() -> None:
    """Mode ``scim`` has two tokens: which one is refused is told."""
    portal, ada = with_ada()
    settings: dict[str, Any] = {"deprovision": "scim", "scim_token": "wrong", "scim_url": "http://localhost/scim/v2"}
    async with portal.connector(**settings) as connector:
        with pytest.raises(RemoteCredentialsError, match="scim_token"):
            await connector.deactivate_user(ada, person())


@pytest.mark.parametrize("mode", ["remove", "scim"])
async def test_a_deletion_removes_somebody_whom_reads_hide(mode: str) -> None:
    """A deactivated account that HubSpot's API does not show is deleted all the same."""
    portal, ada = with_ada(read_deactivated="404")
    portal.hubspot.ui_deactivate(ADA)
    scim: dict[str, Any] = (
        {"scim_token": portal.hubspot.scim_token, "scim_url": "http://localhost/scim/v2"} if mode == "scim" else {}
    )
    async with portal.connector(deprovision=mode, **scim) as connector:
        await connector.delete_user(ada)
    assert [call.method for call in portal.writes()] == ["DELETE"]
    assert portal.account() is None


async def test_several_answers_of_the_road_are_no_success_of_a_group(caplog: pytest.LogCaptureFixture) -> None:
    """A gateway's 404 to a PUT does not say that a permission set is gone, and nobody loses it for that."""
    portal, ada = with_ada()
    sales = role(portal.hubspot.role_named("Sales"))

    def no_puts(request: httpx2.Request) -> httpx2.Response | None:
        return httpx2.Response(404, html="<h1>no</h1>") if request.method == "PUT" else None

    async with portal.connector(api=OnTheWay(portal, no_puts)) as connector:
        for groups in ([], [sales, role(portal.hubspot.role_named("No access"))]):
            with pytest.raises(ConnectorError) as raised:
                await connector.set_user_groups(ada, person(), groups)
            assert isinstance(raised.value, RemoteMisroutedError)
    assert portal.account().roles == ("Sales",)
