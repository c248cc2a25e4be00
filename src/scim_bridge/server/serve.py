"""Runs the server with uvicorn until it is told to stop."""

import asyncio
import gc
import resource
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from socket import socket
from typing import Any, TypeVar

import uvicorn
import uvloop
from starlette.types import ASGIApp

from scim_bridge.errors import AddressUnavailableError
from scim_bridge.server.deadlines import SPARE, DeadlineProtocol


@dataclass(frozen=True, slots=True)
class Listen:
    """Where and how to listen.

    :param host: An address of this machine.
    :param port: A port; 0 lets the system choose.
    :param graceful_seconds: How long a stop waits for requests under way; the application waits for its writes itself.
    :param connections: How many TCP connections are kept, where there are file descriptors for them.
    :param of_one_address: How many of them one address may have, unless it is a proxy's.
    :param proxies: Addresses of reverse proxies whose ``X-Forwarded-…`` headers are believed, comma separated;
        none: of nobody.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    graceful_seconds: int = 30
    connections: int = 2_000
    of_one_address: int = 200
    proxies: str = "127.0.0.1"


class _Uvicorn(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config, started: Callable[[str], None]) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # uvicorn's way to say that it cannot listen, after a line of its own
            listen = f"{self.config.host}:{self.config.port}"
            raise AddressUnavailableError(f"cannot listen on {listen}: it is taken, or not of this machine") from None
        if self.started:
            gc.collect()
            gc.freeze()  # what was imported and opened lives as long as the process: no collection walks it again
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._started(f"http://{host}:{port}")


class _Beside(_Uvicorn):
    """Leaves the signals of the process to another server."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


OTHER_DESCRIPTORS = 256
"""File descriptors that connections of clients leave to the database, to remote systems and to log files."""

T = TypeVar("T")


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run what serves, on an event loop that is faster than Python's own, until it ends."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def affordable(connections: int) -> int:
    """Return how many connections there are file descriptors for, after asking for as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE + OTHER_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, soft - SPARE - OTHER_DESCRIPTORS))


def _protocol(listen: Listen) -> type[DeadlineProtocol]:
    proxies = frozenset(address.strip() for address in listen.proxies.split(","))

    class Protocol(DeadlineProtocol):
        """With the limits of this server."""

    Protocol.most = affordable(listen.connections)
    Protocol.most_of_one = listen.of_one_address
    Protocol.proxies = proxies
    return Protocol


def configuration(application: ASGIApp, listen: Listen) -> uvicorn.Config:
    """Return uvicorn's settings: our protocol class, no access log of its own, no version in headers."""
    return uvicorn.Config(
        application,
        host=listen.host,
        port=listen.port,
        http=_protocol(listen),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(listen.proxies),
        forwarded_allow_ips=listen.proxies,
        timeout_keep_alive=65,  # longer than Okta keeps an idle connection
        timeout_graceful_shutdown=listen.graceful_seconds,
    )


async def serve(application: ASGIApp, listen: Listen, *, started: Callable[[str], None] = lambda _: None) -> None:
    """Serve until SIGTERM or SIGINT: then accept nothing new, end what is under way, leave the lifespan.

    :param started: Called with the root URL once the server listens.
    :raises AddressUnavailableError: When it cannot.
    """
    await _Uvicorn(configuration(application, listen), started).serve()


@asynccontextmanager
async def beside(
    application: ASGIApp, listen: Listen, *, started: Callable[[str], None] = lambda _: None
) -> AsyncIterator[None]:
    """Serve another application in the same process, for the length of a ``with`` block.

    :raises AddressUnavailableError: When it cannot listen.
    """
    listens = asyncio.Event()

    def tell(url: str) -> None:
        listens.set()
        started(url)

    server = _Beside(configuration(application, listen), tell)
    serving = asyncio.create_task(server.serve())
    begun = asyncio.create_task(listens.wait())
    try:
        await asyncio.wait({serving, begun}, return_when=asyncio.FIRST_COMPLETED)
        if begun.done():
            yield
    finally:
        begun.cancel()
        server.should_exit = True
        await serving
