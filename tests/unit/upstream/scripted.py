"""A remote system that answers by a script, and clients that talk to it in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

from scim_bridge.connector import call_deadline
from scim_bridge.models import RateLimit
from scim_bridge.testing.virtual_time import run_virtually
from scim_bridge.upstream import HttpClients

Outcome = int | httpx2.Response | Exception


class Script(httpx2.AsyncBaseTransport):
    """Answers with the scripted outcomes in turn, then with 200, and keeps the requests and their times."""

    def __init__(self, *outcomes: Outcome, then: Outcome = 200) -> None:
        self.outcomes = list(outcomes)
        self.then = then
        self.requests: list[httpx2.Request] = []
        self.times: list[float] = []
        self.closed = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Do what comes next in the script."""
        await request.aread()
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        outcome = self.outcomes.pop(0) if self.outcomes else self.then
        if isinstance(outcome, Exception):
            raise outcome
        return httpx2.Response(outcome) if isinstance(outcome, int) else outcome

    async def aclose(self) -> None:
        """Note that somebody closed it."""
        self.closed = True


PLENTY = RateLimit(1000, 1.0)


def client_of(
    transport: httpx2.AsyncBaseTransport,
    *,
    limit: RateLimit = PLENTY,
    pause_after: Callable[[httpx2.Response], float | None] | None = None,
) -> httpx2.AsyncClient:
    """Return a client over a transport; its jitter is always half."""
    clients = HttpClients(transport, random=lambda: 0.5)
    return clients(base_url="https://acme.example/api", account="acme", rate_limit=limit, pause_after=pause_after)


def talk(
    script: Script,
    conversation: Callable[[httpx2.AsyncClient], Awaitable[object]],
    *,
    deadline: float | None = None,
    **options: Any,
) -> object:
    """Run a conversation in virtual time within a deadline, and return what it returned."""

    async def scenario() -> object:
        token = call_deadline.set(deadline)
        async with client_of(script, **options) as client:
            try:
                return await conversation(client)
            finally:
                call_deadline.reset(token)

    return run_virtually(scenario())


def request(method: str) -> Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]:
    """Return a conversation of one request."""
    return lambda client: client.request(method, "/users/7", json={"name": "Ada"} if method != "GET" else None)
