"""What the kit of :mod:`scim_bridge.testing.connector_contract` does to a remote system: fail it, count its writes."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import httpx2

from scim_bridge.upstream.responses import SAFE_METHODS

PLANTED = "planted-upstream-body"
"""Is in the body of every failure, and must be in no error's detail."""

RETRY_AFTER = 120
"""Seconds of the ``Retry-After`` that the kit sends: longer than any call may take."""


class RemoteFault(Enum):
    """How a remote system can fail."""

    INVALID = 400
    UNPROCESSABLE = 422
    UNAUTHORIZED = 401
    FORBIDDEN = 403
    NOT_FOUND = 404
    CONFLICT = 409
    RATE_LIMITED = 429
    """With ``Retry-After``."""
    RATE_LIMITED_SILENTLY = -429
    """Without."""
    SERVER_ERROR = 500
    MALFORMED = "malformed"
    """JSON that is cut off."""
    UNEXPECTED = "unexpected"
    """JSON of another shape."""
    TIMEOUT = "timeout"
    """Nothing comes back, and nothing happened."""
    LOST_ANSWER = "lost answer"
    """The call takes effect, and nothing comes back."""


class ContractRemote(Protocol):
    """The remote system of a connector that does not speak HTTP; those that do give the kit a transport."""

    @property
    def writes(self) -> int:
        """How many calls arrived that change something, or try to."""

    def fail(self, fault: RemoteFault, *, writes_only: bool = False, skip: int = 0) -> None:
        """Fail every call from now on.

        :param writes_only: Let reads through.
        :param skip: How many of the calls that would fail are let through first.
        """

    def heal(self) -> None:
        """Work again."""


@dataclass(slots=True)
class _Script:
    fault: RemoteFault
    writes_only: bool
    skip: int


def changes_something(request: httpx2.Request) -> bool:
    """Return whether a request is a write by its method."""
    return request.method not in SAFE_METHODS


ROAD = tuple(
    httpx2.Response(status, content=content, headers=headers)
    for status in (400, 403, 404, 408, 409, 410, 421, 422, 488)
    for content, headers in (
        (f"<h1>{PLANTED}</h1>".encode(), {"Content-Type": "text/html; charset=utf-8"}),
        (PLANTED.encode(), {"Content-Type": "text/plain"}),
        (b"", {}),
        (f'{{"{PLANTED}": "no"}}'.encode(), {"Content-Type": "application/json"}),
    )
)
"""What gateways, edges and moved routes answer in place of a remote system."""


def message_alone(status: int, message: str) -> dict[str, Any]:  # noqa: ARG001 - other forms tell the status
    """Return the body of an error that is a message and nothing else."""
    return {"message": message}


class HttpRemote:
    """A :class:`ContractRemote` around the transports of an emulator.

    :param transports: One transport, or transports by the beginning of the base URL, as for
        :class:`~scim_bridge.upstream.HttpClients`.
    :param is_write: Tells writes from reads; replace it where the vendor searches with POST.
    :param own_error: Returns the JSON body of an error in the vendor's own form, from a status and a message.
    """

    def __init__(
        self,
        transports: httpx2.AsyncBaseTransport | Mapping[str, httpx2.AsyncBaseTransport],
        *,
        is_write: Callable[[httpx2.Request], bool] = changes_something,
        own_error: Callable[[int, str], dict[str, Any]] = message_alone,
    ) -> None:
        self.transport: httpx2.AsyncBaseTransport | dict[str, httpx2.AsyncBaseTransport]
        """What the kit gives to the connector's clients."""
        if isinstance(transports, Mapping):
            self.transport = {url: FaultyTransport(self, transport) for url, transport in transports.items()}
        else:
            self.transport = FaultyTransport(self, transports)
        self.is_write = is_write
        self.own_error = own_error
        self.road: httpx2.Response | None = None
        """What something on the way answers in place of the remote system, if it does, to what is not let through."""
        self.mixed_up: tuple[str, str] | None = None
        """Reads of what the first remote id names are answered with the record of the second."""
        self.writes = 0
        self.headers: list[str] = []
        """Every header that was sent, in order."""
        self.pending = 0
        """Requests that are being answered."""
        self._script: _Script | None = None

    def fail(self, fault: RemoteFault, *, writes_only: bool = False, skip: int = 0) -> None:
        """Fail every request from now on; see :class:`ContractRemote`."""
        self._script = _Script(fault, writes_only, skip)

    def misroute(self, answer: httpx2.Response, *, writes_only: bool = False) -> None:
        """Let something on the way answer from now on; see :data:`ROAD`."""
        self.road = answer
        self._script = _Script(RemoteFault.NOT_FOUND, writes_only, 0)

    def mix_up(self, asked: str, answered: str) -> None:
        """Answer reads about one remote id with the record of another from now on, as a broken cache does."""
        self.mixed_up = (asked, answered)

    def heal(self) -> None:
        """Work again."""
        self._script = self.road = self.mixed_up = None

    def fault_of(self, request: httpx2.Request) -> RemoteFault | None:
        """Return how a request has to fail, if it has to."""
        script = self._script
        if script is None or (script.writes_only and not self.is_write(request)):
            return None
        if script.skip > 0:
            script.skip -= 1
            return None
        return script.fault


class FaultyTransport(httpx2.AsyncBaseTransport):
    """Counts the requests of an :class:`HttpRemote`, and fails them as it says."""

    def __init__(self, remote: HttpRemote, inner: httpx2.AsyncBaseTransport) -> None:
        self._remote = remote
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request on, or fail it, or both."""
        self._remote.writes += self._remote.is_write(request)
        self._remote.headers += request.headers.values()
        await asyncio.sleep(0)  # as a network does: a call that never waits could not be cancelled
        fault = self._remote.fault_of(request)
        self._remote.pending += 1
        try:
            if fault is RemoteFault.TIMEOUT:
                raise httpx2.ReadTimeout("no answer", request=request)
            if fault is None or fault is RemoteFault.LOST_ANSWER:
                await request.aread()
                response = await self._inner.handle_async_request(self._mixed_up(request))
                if fault is None:
                    return response
                await response.aread()
                raise httpx2.ReadError("the answer was lost", request=request)
            return self._failure(fault)
        finally:
            self._remote.pending -= 1

    def _mixed_up(self, request: httpx2.Request) -> httpx2.Request:
        if self._remote.mixed_up is None or self._remote.is_write(request):
            return request
        asked, answered = self._remote.mixed_up
        path = "/".join(answered if part == asked else part for part in request.url.path.split("/"))
        return httpx2.Request(
            request.method, request.url.copy_with(path=path), headers=request.headers, content=request.content
        )

    def _failure(self, fault: RemoteFault) -> httpx2.Response:
        if (road := self._remote.road) is not None:
            return httpx2.Response(road.status_code, headers=road.headers, content=road.content)
        if fault is RemoteFault.MALFORMED:
            content = f'{{"{PLANTED}": "'.encode()
            return httpx2.Response(200, content=content, headers={"Content-Type": "application/json"})
        if fault is RemoteFault.UNEXPECTED:
            return httpx2.Response(200, json={PLANTED: True})
        headers = {"Retry-After": str(RETRY_AFTER)} if fault is RemoteFault.RATE_LIMITED else {}
        status = abs(int(fault.value))
        return httpx2.Response(status, json=self._remote.own_error(status, PLANTED), headers=headers)
