"""An independent peer of the simulated identity providers: scim2-server in memory, scripted faults, virtual time."""

import asyncio
import json
import selectors
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
from scim2_models import ScimPolicy, ScimProvider
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)

from scim_bridge.testing.clients import RemoteSnapshot, snapshot_of

TOLERANT = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
"""What Entra ID's requests need (the peer refuses them by default)."""

PROVIDER = ScimProvider.from_discovery(
    load_default_schemas().values(),
    load_default_resource_types().values(),
    config=load_default_service_provider_config(),
    policy=TOLERANT,
)


class Leap(selectors.DefaultSelector):
    """A selector that never waits: with nothing ready, the loop's time leaps to its next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now; a loop without timers would wait for ever, which is a failure."""
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing is left that could wake the loop"
            self.time += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose days pass in no time."""

    def __init__(self) -> None:
        self._leap = Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        """Return the virtual time."""
        return self._leap.time


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test of this directory on virtual time."""
    return {"virtual": VirtualLoop}


class VirtualClock:
    """The loop's clock, as the simulated clients take one."""

    def now(self) -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the loop."""
        await asyncio.sleep(seconds)


@dataclass(slots=True)
class Fault:
    """A scripted answer to the next requests of one kind.

    :param status: The answer; ``None``: no answer, ever.
    :param committed: Whether the peer does what was asked all the same.
    """

    method: str
    path: str
    times: int
    status: int | None
    headers: dict[str, str]
    body: dict[str, Any]
    committed: bool


@dataclass
class Peer(httpx2.AsyncBaseTransport):
    """The peer as a transport: records every request, plays scripted faults, else answers as scim2-server does."""

    requests: list[httpx2.Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Build the service provider."""
        self.storage = AsyncInMemoryStorage()
        application: Any = ASGIApplication(self.storage, PROVIDER)
        self._inner = httpx2.ASGITransport(application)

    def fail(
        self,
        method: str,
        path: str,
        status: int | None,
        *,
        times: int = 1,
        retry_after: str | None = None,
        committed: bool = False,
        body: dict[str, Any] | None = None,
    ) -> None:
        """Script the answer to the next requests whose path, with the query in clear text, starts so."""
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        error = {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": str(status),
            "detail": "scripted",
        }
        self.faults.append(Fault(method, path, times, status, headers, error if body is None else body, committed))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Record, and answer."""
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        path = unquote(request.url.raw_path.decode()).removeprefix("/v2")
        fault = next((one for one in self.faults if one.times and _meets(one, request.method, path)), None)
        if fault is None:
            return await self._inner.handle_async_request(request)
        fault.times -= 1
        if fault.committed:
            await self._inner.handle_async_request(request)
        if fault.status is None:
            await asyncio.Event().wait()
        return httpx2.Response(fault.status or 0, headers=fault.headers, json=fault.body, request=request)

    def posts(self) -> list[float]:
        """Return when creations were sent."""
        return [at for at, request in zip(self.times, self.requests, strict=True) if request.method == "POST"]

    def sent(self) -> list[tuple[str, str, Any]]:
        """Return method, path with query below the base URL, and JSON body of every request."""
        return [
            (
                request.method,
                request.url.raw_path.decode().removeprefix("/v2"),
                json.loads(request.content) if request.content else None,
            )
            for request in self.requests
        ]

    def take(self) -> list[tuple[str, str, Any]]:
        """Return what was sent since the last time."""
        sent = self.sent()
        self.requests.clear()
        self.times.clear()
        return sent

    def users(self) -> dict[str, dict[str, Any]]:
        """Return the stored users by userName."""
        return {one["userName"]: one for one in self._stored() if "userName" in one}

    def groups(self) -> dict[str, dict[str, Any]]:
        """Return the stored groups by displayName."""
        return {one["displayName"]: one for one in self._stored() if "userName" not in one}

    def snapshot(self) -> RemoteSnapshot:
        """Return what is stored as a snapshot."""
        return snapshot_of(self.users().values(), self.groups().values())

    def _stored(self) -> list[dict[str, Any]]:
        return [resource.model_dump() for resource in self.storage.resources]


def _meets(fault: Fault, method: str, path: str) -> bool:
    return fault.method == method and path.startswith(fault.path)


@pytest.fixture
def peer() -> Peer:
    """Return an empty peer."""
    return Peer()


@pytest.fixture
async def http(peer: Peer) -> AsyncIterator[httpx2.AsyncClient]:
    """Return a client of the peer."""
    async with httpx2.AsyncClient(transport=peer, base_url="http://peer/v2") as client:
        yield client
