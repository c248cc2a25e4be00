"""Runs the server with uvicorn until it is told to stop."""

from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from scim_bridge.errors import AddressUnavailableError
from scim_bridge.server.deadlines import DeadlineProtocol


@dataclass(frozen=True, slots=True)
class Listen:
    """Where and how to listen.

    :param host: An address of this machine.
    :param port: A port; 0 lets the system choose.
    :param graceful_seconds: How long a stop waits for requests under way; the application waits for its writes itself.
    :param connections: How many TCP connections are kept; the application puts requests off long before.
    :param proxies: Addresses of reverse proxies whose ``X-Forwarded-…`` headers are believed, comma separated.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    graceful_seconds: int = 30
    connections: int = 2_000
    proxies: str = "127.0.0.1"


class _Uvicorn(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config, started: Callable[[str], None]) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: object = None) -> None:
        try:
            await super().startup(sockets)  # type: ignore[arg-type]
        except SystemExit:  # uvicorn's way to say that it cannot listen, after a line of its own
            listen = f"{self.config.host}:{self.config.port}"
            raise AddressUnavailableError(f"cannot listen on {listen}: it is taken, or not of this machine") from None
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._started(f"http://{host}:{port}")


def configuration(application: ASGIApp, listen: Listen) -> uvicorn.Config:
    """Return uvicorn's settings: our protocol class, no access log of its own, no version in headers."""
    return uvicorn.Config(
        application,
        host=listen.host,
        port=listen.port,
        http=DeadlineProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=listen.proxies,
        timeout_keep_alive=65,  # longer than Okta keeps an idle connection
        timeout_graceful_shutdown=listen.graceful_seconds,
        limit_concurrency=listen.connections,
        h11_max_incomplete_event_size=16_384,
    )


async def serve(application: ASGIApp, listen: Listen, *, started: Callable[[str], None] = lambda _: None) -> None:
    """Serve until SIGTERM or SIGINT: then accept nothing new, end what is under way, leave the lifespan.

    :param started: Called with the root URL once the server listens.
    :raises AddressUnavailableError: When it cannot.
    """
    await _Uvicorn(configuration(application, listen), started).serve()
