"""Who may speak to which connection. One wrapper asks this before anything is routed; the default is no."""

import asyncio
import hashlib
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from scim_bridge.store import tokens
from scim_bridge.store.engine import Store

Authenticate = Callable[[str, str], Awaitable[str | None]]
"""Takes a connection's id and a bearer token; returns the public id of the token, or ``None``: refused."""

Attribute = Callable[[str, str], Awaitable[tuple[str | None, str]]]
"""Takes the same of a request that was refused; returns the public id of the token, if it is one of ours, and why."""

REMEMBER_SECONDS = 1.0
"""For how long a token that was valid is taken to be so: a revocation counts within a second, on every replica."""

REMEMBERED = 1_000
"""How many valid tokens are remembered."""

logger = logging.getLogger("scim_bridge.tokens")

TOUCH_SECONDS = 60.0
"""How often the last use of a token is written down at most."""


def bearer_token(authorization: Sequence[bytes]) -> str | None:
    """Return the bearer token of the Authorization headers of a request, or ``None`` when there is not exactly one.

    Okta sends what the administrator pasted; the token may come without ``Bearer``.
    """
    if len(authorization) != 1:
        return None
    try:
        words = authorization[0].decode("ascii").split()
    except UnicodeDecodeError:
        return None
    if len(words) == 2 and words[0].lower() == "bearer":
        return words[1]
    return words[0] if len(words) == 1 and words[0].lower() != "bearer" else None


def loop_time() -> float:
    """Return the event loop's time: durations are measured on it, and a simulation has its own."""
    return asyncio.get_running_loop().time()


class TokenAuthentication:
    """Checks bearer tokens against the store.

    :param store: Where the tokens are; ``None``: it is not open yet, and no token is valid.
    :param clock: Tells the time in UTC.
    :param monotonic: Seconds that only go forward.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = loop_time,
    ) -> None:
        self.store = store
        self._clock = clock
        self._monotonic = monotonic
        self._valid: OrderedDict[tuple[str, bytes], tuple[str, float]] = OrderedDict()
        self._touched: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, connection_id: str, token: str) -> str | None:
        """Return the lookup id of a valid token of the connection, or ``None``."""
        key = (connection_id, hashlib.sha256(token.encode()).digest())
        known = self._valid.get(key)
        if known is not None and self._monotonic() < known[1]:
            return known[0]
        self._valid.pop(key, None)
        lookup_id = tokens.parse(token)
        if lookup_id is None or self.store is None:
            return None
        record = await self.store.read(lambda tx: tokens.find(tx, lookup_id))
        valid = tokens.verify(token, record, self._clock())
        if record is None or not valid or record.connection_id != connection_id:
            return None
        self._valid[key] = (lookup_id, self._monotonic() + REMEMBER_SECONDS)
        while len(self._valid) > REMEMBERED:
            self._valid.popitem(last=False)
        self._touch(self.store, lookup_id)
        return lookup_id

    async def attribute(self, connection_id: str, token: str) -> tuple[str | None, str]:
        """Return whose token was refused, and why: so that an operator finds the client that still sends an old one.

        Only to who has the whole token it is one of ours; the client is told neither.
        """
        lookup_id = tokens.parse(token)
        if lookup_id is None or self.store is None:
            return None, "unknown token"
        record = await self.store.read(lambda tx: tokens.find(tx, lookup_id))
        if record is None or not tokens.matches(token, record):
            return None, "unknown token"
        if record.connection_id != connection_id:
            return lookup_id, f"token of {record.connection_id}"
        return lookup_id, "revoked token" if record.revoked_at is not None else "expired token"

    def _touch(self, store: Store, lookup_id: str) -> None:
        """Note the use of a token, now and then, without making the request wait."""
        now = self._monotonic()
        if now - self._touched.get(lookup_id, -TOUCH_SECONDS) < TOUCH_SECONDS:
            return
        self._touched[lookup_id] = now
        task = asyncio.get_running_loop().create_task(self._write_touch(store, lookup_id))
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    async def _write_touch(self, store: Store, lookup_id: str) -> None:
        await store.write(lambda tx: tokens.touch(tx, lookup_id, self._clock()))

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the time of last use is not worth a failed request


@dataclass(frozen=True, slots=True)
class FailureLimit:
    """How many failed authentications of one address are answered before they are put off.

    :param failures: Their number within ``seconds``.
    :param addresses: How many addresses are remembered.
    """

    failures: int = 30
    seconds: float = 60.0
    addresses: int = 10_000


class FailedAuthentications:
    """Counts failed authentications by address. A valid token is never refused for the failures of others.

    :param limit: How many are answered.
    :param clock: Seconds that only go forward.
    """

    def __init__(self, limit: FailureLimit, *, clock: Callable[[], float] = loop_time) -> None:
        self._limit = limit
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def failed(self, address: str) -> int:
        """Note a failure; return 0, or after how many seconds the address may try again."""
        now = self._clock()
        times = self._failures.setdefault(address, deque())
        self._failures.move_to_end(address)
        while len(self._failures) > self._limit.addresses:
            self._failures.popitem(last=False)
        while times and now - times[0] >= self._limit.seconds:
            times.popleft()
        if len(times) >= self._limit.failures:
            return max(1, round(times[0] + self._limit.seconds - now))
        times.append(now)
        return 0


async def warn_of_missing_tokens(store: Store, connections: Iterable[str]) -> None:
    """Tell in the log of connections that refuse every request."""
    for connection_id in connections:
        known = await store.read(partial(tokens.list_tokens, connection_id=connection_id))
        if not any(record.revoked_at is None for record in known):
            logger.warning(
                'connection "%s" has no token and refuses every request; run: scim-bridge token create %s',
                connection_id,
                connection_id,
            )
