"""The layers between a connector's client and the network, outermost first: trace, circuit, retry, limit, network.

Each is a transport around the next. The innermost reads the whole answer and turns httpx2's exceptions into
:class:`~scim_bridge.errors.RemoteUnavailableError`; its ``ambiguous`` tells the others whether a call may be repeated.
"""

import asyncio
import logging
import re
from collections.abc import Callable

import httpx2

from scim_bridge.connector import call_deadline, call_writes
from scim_bridge.errors import RemoteRateLimitedError, RemoteUnavailableError
from scim_bridge.upstream.breaker import Breaker
from scim_bridge.upstream.lanes import lane, permission
from scim_bridge.upstream.limiter import HEADROOM, RateLimiter
from scim_bridge.upstream.responses import RETRY_FLOOR, SAFE_METHODS, retry_after

MAX_BODY = 5 * 1024 * 1024
"""Bytes that a decoded answer may have."""

TOTAL = 20.0
"""Seconds that one attempt may take, a dripping body included."""

ATTEMPTS = 3
PROBE = "scim_bridge_probe"
"""The extension of a request that asks whether the remote system is back; it is not repeated."""

READING = "scim_bridge_reading"
"""The extension of a request that changes nothing, whatever its method: a search by POST, a token that is fetched."""

ATTEMPT = "scim_bridge_attempt"
"""The extension of a request that counts its attempts."""

LOCKED = 2.0
"""Seconds to wait after 423: the object is locked by another call."""

IDEMPOTENT = SAFE_METHODS | {"PUT", "DELETE"}
NOT_EXECUTED = frozenset({423, 429})
TRANSIENT = frozenset({500, 502, 503, 504, 520, 521, 522, 523, 524})

NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)


class Layer(httpx2.AsyncBaseTransport):
    """A transport around another; closing it closes the other."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


class TraceLayer(Layer):
    """Logs one line per call: method, route, outcome, milliseconds and lane.

    Neither headers nor bodies nor queries are logged, and the ids in a path are masked: they can be e-mail addresses.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport, logger: logging.Logger) -> None:
        super().__init__(inner)
        self._logger = logger

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and log how it went."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        outcome = "cancelled"
        try:
            response = await self._inner.handle_async_request(request)
        except Exception as error:
            outcome = type(error).__name__
            raise
        else:
            outcome = str(response.status_code)
            return response
        finally:
            if self._logger.isEnabledFor(logging.INFO):
                self._log(request, outcome, loop.time() - started)

    def _log(self, request: httpx2.Request, outcome: str, seconds: float) -> None:
        fields = {
            "method": request.method,
            "route": route(request),
            "outcome": outcome,
            "milliseconds": round(seconds * 1000, 1),
            "lane": lane.get().name,
        }
        self._logger.info("upstream %(method)s %(route)s %(outcome)s", fields, extra={"upstream": fields})


def route(request: httpx2.Request) -> str:
    """Return the path of a request with its ids masked; the extension ``route`` overrides it (``/users/{id}``)."""
    named = request.extensions.get("route")
    if isinstance(named, str):
        return named
    parts = request.url.path.split("/")
    return "/".join(
        part if re.fullmatch(r"([A-Za-z_-]{0,40}|v\d{1,2}|\d{4}-\d\d(-beta)?)", part) else "*" for part in parts
    )


class CircuitLayer(Layer):
    """Refuses calls while the remote account is failing."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, breaker: Breaker) -> None:
        super().__init__(inner)
        self._breaker = breaker

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request if the circuit lets it. :raises RemoteSuspendedError: When it does not."""
        loop = asyncio.get_running_loop()
        await self._breaker.recall(loop.time())
        probe = self._breaker.admit(lane.get(), loop.time())
        judged = False
        try:
            request.extensions |= {PROBE: probe}
            response = await self._inner.handle_async_request(request)
        except RemoteRateLimitedError:
            raise
        except RemoteUnavailableError:
            judged = True
            self._breaker.failed(loop.time(), probe=probe)
            raise
        else:
            judged = True
            if response.status_code >= 500:
                self._breaker.failed(loop.time(), probe=probe)
            else:
                self._breaker.succeeded()
            return response
        finally:
            if not judged:
                self._breaker.abandoned(probe=probe)
            await self._breaker.keep()


class RetryBudget:
    """Bounds retries to a fifth of the calls, so that an outage cannot become a storm; ten are free."""

    def __init__(self) -> None:
        self._tokens = 10.0

    def earn(self) -> None:
        """Count a first attempt."""
        self._tokens = min(10.0, self._tokens + 0.2)

    def spend(self) -> bool:
        """Return whether one more retry is allowed, and count it."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class RetryLayer(Layer):
    """Repeats what may be repeated, within the deadline: an idempotent call that failed, and any that never arrived.

    A POST or PATCH is repeated only when no connection was made, or when 429 or 423 says that it was not executed. A
    retry that cannot be made leaves the first outcome; one ambiguous attempt makes the whole call ambiguous.
    """

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        limiter: RateLimiter,
        budget: RetryBudget,
        random: Callable[[], float],
    ) -> None:
        super().__init__(inner)
        self._limiter = limiter
        self._budget = budget
        self._random = random

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request at most three times."""
        await request.aread()
        self._budget.earn()
        outcome = await self._attempt(request)
        ambiguous = _is_ambiguous(request, outcome)
        for attempt in range(2, ATTEMPTS + 1):
            wait = self._wait_before_retry(request, outcome)
            if wait is None or not self._budget.spend():
                break
            await asyncio.sleep(wait)
            request.extensions |= {ATTEMPT: attempt}
            latest = await self._attempt(request)
            if isinstance(latest, RemoteRateLimitedError):
                break
            outcome = latest
            ambiguous = ambiguous or _is_ambiguous(request, outcome)
        if isinstance(outcome, httpx2.Response):
            return outcome
        if isinstance(outcome, RemoteUnavailableError) and ambiguous and not outcome.ambiguous:
            raise RemoteUnavailableError(outcome.detail, ambiguous=True, retry_after=outcome.retry_after) from outcome
        raise outcome

    async def _attempt(self, request: httpx2.Request) -> httpx2.Response | RemoteUnavailableError:
        try:
            return await self._inner.handle_async_request(request)
        except RemoteUnavailableError as error:
            return error

    def _wait_before_retry(
        self, request: httpx2.Request, outcome: httpx2.Response | RemoteUnavailableError
    ) -> float | None:
        """Return the seconds to wait before the next attempt, or ``None`` when there must be none."""
        if request.extensions.get(PROBE):
            return None
        wait = 0.2 + 1.8 * self._random()
        if isinstance(outcome, httpx2.Response):
            status = outcome.status_code
            if status not in NOT_EXECUTED and not (status in TRANSIENT and request.method in IDEMPOTENT):
                return None
            if status == 423:
                wait = max(LOCKED, retry_after(outcome) or 0.0) + wait
        elif isinstance(outcome, RemoteRateLimitedError) or (outcome.ambiguous and request.method not in IDEMPOTENT):
            return None
        deadline = call_deadline.get()
        now = asyncio.get_running_loop().time()
        if deadline is not None and max(now + wait, self._limiter.paused_until()) > deadline - HEADROOM:
            return None
        return wait


def _is_ambiguous(request: httpx2.Request, outcome: httpx2.Response | RemoteUnavailableError) -> bool:
    if isinstance(outcome, RemoteUnavailableError):
        return outcome.ambiguous
    return outcome.status_code >= 500 and request.method not in SAFE_METHODS


def _note_write(request: httpx2.Request) -> None:
    """Note that a write took effect, or may have."""
    writes = call_writes.get()
    if writes is not None and request.method not in SAFE_METHODS and not request.extensions.get(READING):
        writes.append(request.method)


class LimitLayer(Layer):
    """Keeps the account's rate limit and heeds what the answers say about it."""

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        limiter: RateLimiter,
        pause_after: Callable[[httpx2.Response], float | None] | None,
    ) -> None:
        super().__init__(inner)
        self._limiter = limiter
        self._pause_after = pause_after

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request in its turn, if it still may be. :raises RemoteRateLimitedError: when that is too late."""
        async with self._limiter.place(lane.get(), call_deadline.get()):
            permit = permission.get()
            if permit is not None:
                await permit()
            response = await self._inner.handle_async_request(request)
        pause = self._pause_after(response) if self._pause_after is not None else None
        if response.status_code in {429, 503}:
            pause = max(pause or 0.0, retry_after(response) or 0.0)
        if response.status_code == 429:
            pause = max(pause or 0.0, RETRY_FLOOR)
        if pause:
            self._limiter.pause(pause)
        return response


class NetworkLayer(Layer):
    """Sends one request and reads the whole answer, within limits of time and size.

    :param owned: Whether closing it closes the inner transport; one that several clients share stays open.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport, *, owned: bool) -> None:
        super().__init__(inner)
        self._owned = owned

    async def aclose(self) -> None:
        """Close the inner transport if it is ours."""
        if self._owned:
            await super().aclose()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request. :raises RemoteUnavailableError: when no whole answer came back."""
        try:
            response = await self._answer(request)
        except RemoteUnavailableError as error:
            if error.ambiguous:
                _note_write(request)
            raise
        if not httpx2.codes.is_client_error(response.status_code):
            _note_write(request)
        return response

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        write = request.method not in SAFE_METHODS
        try:
            async with asyncio.timeout(TOTAL):
                return await self._read(await self._inner.handle_async_request(request), request)
        except NEVER_SENT as error:
            raise RemoteUnavailableError("the remote system cannot be reached", ambiguous=False) from error
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise RemoteUnavailableError("the remote system did not answer in time", ambiguous=write) from error
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise RemoteUnavailableError("the connection to the remote system broke", ambiguous=write) from error

    async def _read(self, response: httpx2.Response, request: httpx2.Request) -> httpx2.Response:
        response.request = request
        body = bytearray()
        try:
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_BODY:
                    raise httpx2.DecodingError("the answer is too large", request=request)
        finally:
            await response.aclose()
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in {"content-encoding", "content-length", "transfer-encoding"}
        ]
        return httpx2.Response(response.status_code, headers=headers, content=bytes(body), request=request)
