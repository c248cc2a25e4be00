"""Opens HTTP clients: one rate limiter and one breaker per remote account, one TLS context per process."""

import logging
import random as chance
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import count

import httpx2

from scim_bridge.errors import ConfigurationError
from scim_bridge.models import RateLimit
from scim_bridge.upstream.breaker import Breaker, CircuitKeeper
from scim_bridge.upstream.limiter import RateLimiter, Share
from scim_bridge.upstream.notes import Call, NoteLayer
from scim_bridge.upstream.transports import (
    CircuitLayer,
    LimitLayer,
    NetworkLayer,
    RetryBudget,
    RetryLayer,
    TraceLayer,
)

TIMEOUT = httpx2.Timeout(15.0, connect=5.0)
LIMITS = httpx2.Limits(max_connections=20, max_keepalive_connections=0)
"""No connection is used twice.

Bytes after an answer (a second one, a ``Content-Length`` too short) would be read as the answer to the next call, and
so one account's state taken for another's. httpcore2 does not notice.
"""


@dataclass(slots=True)
class Account:
    """What all clients of one remote account share."""

    name: str
    limiter: RateLimiter
    breaker: Breaker = field(default_factory=Breaker)
    budget: RetryBudget = field(default_factory=RetryBudget)
    clients: int = 0


class _OutermostLayer(TraceLayer):
    """Tells when its client is closed."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, logger: logging.Logger, closed: Callable[[], None]) -> None:
        super().__init__(inner, logger)
        self._closed: Callable[[], None] | None = closed

    async def aclose(self) -> None:
        """Close the inner transport."""
        await super().aclose()
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()


@dataclass(frozen=True, slots=True)
class Standing:
    """How a remote account stands.

    :param name: The host it is called at, and a number.
    :param limit_used: Which share of its rate limit is used up.
    """

    name: str
    limit_used: float
    circuit_open: bool


class HttpClients:
    """The :class:`~scim_bridge.connector.ClientFactory` of a process. Use one per event loop.

    :param transport: Replaces the network: one transport for every client, or transports by the beginning of the
        ``base_url``. It stays open when a client closes.
    :param random: Returns numbers in [0, 1) for the jitter of retries.
    :param logger: Takes one line per call.
    :param share: Tells of other processes that call a remote account, by its name; ``None``: there are none.
    :param circuit: Keeps whether the circuit of a remote account is open, by its name, beyond this process.
    :param calls: Called after each attempt of a call.
    """

    def __init__(
        self,
        transport: httpx2.AsyncBaseTransport | Mapping[str, httpx2.AsyncBaseTransport] | None = None,
        *,
        random: Callable[[], float] = chance.random,
        logger: logging.Logger | None = None,
        share: Callable[[str], Share] | None = None,
        circuit: Callable[[str], CircuitKeeper] | None = None,
        calls: Callable[[Call], None] | None = None,
    ) -> None:
        self.share = share
        self.circuit = circuit
        self.calls = calls
        self._transport = transport
        self._random = random
        self._logger = logging.getLogger("scim_bridge.upstream") if logger is None else logger
        self._accounts: dict[str, Account] = {}
        self._numbers = count(1)
        for library in ("httpx2", "httpcore2"):  # they log whole URLs, and there are e-mail addresses in those
            logging.getLogger(library).setLevel(logging.WARNING)

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
        """Return a client; see :class:`~scim_bridge.connector.ClientFactory`.

        When clients of one account name different limits, the strictest holds.

        :raises ConfigurationError: When transports by URL were given and none is for this one.
        """
        if account not in self._accounts:
            share = None if self.share is None else self.share(account)
            name = f"{httpx2.URL(base_url).host} {next(self._numbers)}"
            self._accounts[account] = Account(name, RateLimiter(rate_limit, share))
            self._accounts[account].breaker.kept = None if self.circuit is None else self.circuit(account)
        shared = self._accounts[account]
        shared.clients += 1
        shared.limiter.tighten(rate_limit)
        network = self._network(base_url)
        noted = network if self.calls is None else NoteLayer(network, self.calls)
        limited = LimitLayer(noted, shared.limiter, pause_after)
        retrying = RetryLayer(limited, shared.limiter, shared.budget, self._random)
        return httpx2.AsyncClient(
            base_url=base_url,
            auth=auth,
            headers={"User-Agent": "scim-bridge", **(headers or {})},
            timeout=TIMEOUT,
            transport=_OutermostLayer(
                CircuitLayer(retrying, shared.breaker), self._logger, partial(self._leave, account)
            ),
            follow_redirects=False,
        )

    def _leave(self, account: str) -> None:
        """Forget an account that no client is open for: other credentials have taken its place."""
        self._accounts[account].clients -= 1
        if not self._accounts[account].clients:
            del self._accounts[account]

    def standing(self) -> Sequence[Standing]:
        """Return how each remote account stands that a client was opened for."""
        return [Standing(one.name, one.limiter.used, one.breaker.is_open) for one in self._accounts.values()]

    def limits(self) -> Sequence[RateLimit]:
        """Return the limit of each remote account that a client was opened for."""
        return [account.limiter.limit for account in self._accounts.values()]

    def _network(self, base_url: str) -> NetworkLayer:
        if self._transport is None:
            return NetworkLayer(httpx2.AsyncHTTPTransport(verify=self._tls, limits=LIMITS), owned=True)
        if not isinstance(self._transport, Mapping):
            return NetworkLayer(self._transport, owned=False)
        for prefix, transport in self._transport.items():
            if base_url.startswith(prefix):
                return NetworkLayer(transport, owned=False)
        raise ConfigurationError(f"there is no transport for {base_url}")

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return httpx2.create_ssl_context()
