"""The session of a simulated identity provider, also over a real socket."""

import asyncio
from typing import Any

import httpx2
import pytest
import uvicorn
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage

from scim_bridge.testing.clients import (
    EntraClient,
    Exchange,
    GenericClient,
    OktaClient,
    Person,
    RequestFailedError,
    SystemClock,
    differences,
    snapshot_of,
)
from scim_bridge.testing.clients.session import Session
from tests.unit.testing.conftest import PROVIDER, VirtualClock

ADA = Person(id="1", user_name="ada@example.com", given_name="Ada", family_name="Lovelace")


def session(answer: httpx2.Response | Exception) -> Session:
    """Return a session whose every request is answered so."""

    def respond(request: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(respond), base_url="http://peer/v2")
    return Session(http, headers={}, content_type="application/json", clock=VirtualClock(), timeout=60)


@pytest.mark.parametrize(
    ("answer", "status", "detail"),
    [
        (httpx2.Response(409, json={"detail": "taken"}), 409, "taken"),
        (httpx2.Response(502, text="<html>bad gateway"), 502, "Unrecognized token: <html>bad gateway"),
        (httpx2.Response(200, text="hello"), 200, "Unrecognized token: hello"),
        (httpx2.Response(200, json=[]), 200, "The answer is no JSON object"),
        (httpx2.Response(307, headers={"Location": "/elsewhere"}), 307, ""),
        (httpx2.ReadError("reset"), None, "GET /Users: ReadError reset"),
    ],
)
async def test_what_is_no_answer_fails_with_what_an_administrator_sees(
    answer: httpx2.Response | Exception, status: int | None, detail: str
) -> None:
    """An Error's detail, or the parser's complaint; a redirect is not followed."""
    with pytest.raises(RequestFailedError) as failure:
        await session(answer).send("GET", "/Users")
    assert (failure.value.status, failure.value.detail) == (status, detail)


async def test_every_exchange_is_kept(http: httpx2.AsyncClient) -> None:
    """Answered or not, with the target as it was sent."""
    okta = OktaClient(http, authorization="Bearer tok", clock=VirtualClock())
    await okta.import_groups()
    assert okta.exchanges == [Exchange("GET", "/Groups?startIndex=1&count=100", None, 200)]


async def test_somebody_who_stops_waiting_closes_the_request() -> None:
    """A cancelled push leaves no request behind."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def never(request: httpx2.Request) -> httpx2.Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(never), base_url="http://peer/v2")
    okta = OktaClient(http, authorization="Bearer tok", clock=VirtualClock())
    okta.assign(ADA)
    waiting = asyncio.create_task(okta.run_until_idle())
    await begun.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert ended.is_set()


def test_the_vendors_speak_to_a_server_over_a_real_socket() -> None:
    """The machine's clock, TCP and uvicorn: three vendors, one after the other, end as wanted."""

    async def converse(root: str) -> None:
        for kind in (OktaClient, EntraClient, GenericClient):
            async with httpx2.AsyncClient(base_url=root) as http:
                idp = kind(http, authorization="Bearer tok")
                assert (await idp.test_connection()).succeeded
                idp.assign(ADA)
                idp.push_group(kind.__name__, [ADA])
                await idp.run_until_idle()
                reader = GenericClient(http, authorization="Bearer tok")
                remote = snapshot_of(await reader.import_users(), await reader.import_groups())
                assert differences(idp, remote) == []

    async def run() -> None:
        application: Any = ASGIApplication(AsyncInMemoryStorage(), PROVIDER)
        server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="error", lifespan="off"))
        serving = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0)
        host, port = server.servers[0].sockets[0].getsockname()
        try:
            await converse(f"http://{host}:{port}/v2")
        finally:
            server.should_exit = True
            await serving

    with asyncio.Runner() as runner:
        runner.run(run())


def test_the_systems_clock_goes_on() -> None:
    """Its sleep takes the time that it tells."""
    clock = SystemClock()
    before = clock.now()
    with asyncio.Runner() as runner:
        runner.run(clock.sleep(0.001))
    assert clock.now() - before >= 0.001
