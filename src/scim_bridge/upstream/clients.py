"""Opens HTTP clients for connectors."""

from collections.abc import Callable, Mapping

import httpx2

from scim_bridge.models import RateLimit

TIMEOUT = httpx2.Timeout(15.0, connect=5.0)


class HttpClients:
    """The :class:`~scim_bridge.connector.ClientFactory` of a process."""

    def __init__(
        self, *, transport: httpx2.AsyncBaseTransport | Mapping[str, httpx2.AsyncBaseTransport] | None = None
    ) -> None:
        self._transport = transport

    def __call__(
        self,
        *,
        base_url: str,
        account: str,
        rate_limit: RateLimit,
        auth: httpx2.Auth | None = None,
        headers: Mapping[str, str] | None = None,
        pause_after: Callable[[httpx2.Response], float | None] | None = None,
    ) -> httpx2.AsyncClient:
        """Return a client; see :class:`~scim_bridge.connector.ClientFactory`."""
        transport = self._transport
        if isinstance(transport, Mapping):
            transport = transport[base_url]
        return httpx2.AsyncClient(
            base_url=base_url, auth=auth, headers=headers, timeout=TIMEOUT, transport=transport, follow_redirects=False
        )
