"""A rate limiter with lanes: one per remote account, whichever connections use it.

Time is the running loop's, here and in everything above: one clock that tests may replace as a whole.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from heapq import heappop, heappush
from itertools import count

from scim_bridge.errors import RemoteRateLimitedError
from scim_bridge.models import Lane, RateLimit

MARGIN = 1.02
"""The window is kept this much longer than announced: the network shifts calls against each other, and what counts is
when they arrive. It costs 2 % of the limit."""

SHARE = 0.1
"""The share of a window that is kept free for removals, and that other lanes may take in one burst."""

HEADROOM = 2.0
"""Seconds that a call which had to wait still needs: one sent at the last moment would only end ambiguously."""

MOMENT = 1e-6
"""Seconds within which two times are the same; timers may fire that much early."""

Share = Callable[[Sequence[float], int, float], Awaitable[Sequence[float]]]
"""Records the calls of this process for all who call the same remote account, and returns the calls of the others.

It is given the age in seconds of every call, how many a window may hold and the window's seconds; it returns ages, too.
When both together are more than the window may hold, it records nothing.
"""


class Window:
    """The arithmetic of one limit: when a lane may send next. It neither waits nor reads a clock.

    * In any window of the limit's seconds at most its requests are sent, removals and other processes' calls included.
    * A removal needs a free slot, nothing else.
    * All others keep a pace, so that in a full window slots come free all the time instead of all at once, and a
      removal that arrives then waits for one pace instead of one window. And they leave the reserve alone unless as
      much comes free within a fifth of the window.
    """

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self._length = limit.seconds * MARGIN
        self.pace = self._length / limit.requests
        """Seconds between two calls that use the limit up evenly."""
        self._reserve = int(limit.requests * SHARE)
        self._own: deque[float] = deque(maxlen=limit.requests)
        """When this process sent its calls."""
        self._taken: list[float] = []
        """When calls were let through that are not sent yet."""
        self._others: list[float] = []
        self._sent: list[float] = []
        """All of these, in order; at most as many as the limit's requests."""
        self._paced_until = float("-inf")
        self._paused_until = float("-inf")

    def ready_at(self, lane: Lane) -> float:
        """Return the time from which a call of this lane may be sent; it may be past."""
        ready = self._paused_until
        if len(self._sent) == self.limit.requests:
            ready = max(ready, self._sent[0] + self._length)
        if lane is Lane.REMOVE:
            return ready
        shared = self.limit.requests - self._reserve
        if self._reserve and len(self._sent) >= shared:
            ready = max(ready, self._sent[-shared] + self._length * 0.8)
        burst = max(self._reserve - 1, 0) * self.pace
        return max(ready, self._paced_until - burst)

    def take(self, lane: Lane, now: float) -> None:
        """Let a call through: it counts as sent from now on."""
        self._taken.append(now)
        self._sent = [*self._sent, now][-self.limit.requests :]
        if lane is not Lane.REMOVE:
            self._paced_until = max(now, self._paced_until) + self.pace

    def ages(self, now: float) -> list[float]:
        """Return the seconds since each call that this process sent within the window."""
        return [now - at for at in self._own if now - at < self.length]

    def meet(self, others: Sequence[float], now: float) -> None:
        """Take over what other processes sent: the age of each of their calls, in seconds."""
        self._others = [now - age for age in others]
        self._order(now)

    def settle(self, taken: float, now: float, *, sent: bool) -> None:
        """Take over what became of a call that was let through: it is sent now, or not at all."""
        if taken in self._taken:
            self._taken.remove(taken)
        if sent:
            self._own.append(now)
        self._order(now)

    def _order(self, now: float) -> None:
        self._taken = [at for at in self._taken if now - at < self._length]  # who was cancelled never tells
        self._sent = sorted([*self._own, *self._taken, *self._others])[-self.limit.requests :]

    @property
    def length(self) -> float:
        """For how many seconds a call counts: less than the window by what times lose on their way to a database."""
        return self._length - 10 * MOMENT

    def pause(self, until: float) -> None:
        """Send nothing before this time, removals neither: the remote system would only refuse them."""
        self._paused_until = max(self._paused_until, until)

    def paused_until(self) -> float:
        """Return the time at which the pause ends; it may be past."""
        return self._paused_until

    def tightened(self, limit: RateLimit) -> "Window":
        """Return a window of the stricter of both limits that remembers what was sent."""
        if limit.requests / limit.seconds >= self.limit.requests / self.limit.seconds:
            return self
        window = Window(limit)
        window._own.extend(self._own)
        window._taken, window._others = self._taken, self._others
        window._sent = self._sent[-limit.requests :]
        window.pause(self._paused_until)
        return window


class RateLimiter:
    """Lets callers through within a limit, strictly by lane, then in order of arrival.

    :param limit: The remote account's limit.
    :param share: Tells of other processes that call the account; ``None``: there are none.
    """

    def __init__(self, limit: RateLimit, share: Share | None = None) -> None:
        self._window = Window(limit)
        self._share = share
        self._sharing = asyncio.Lock()
        self._met = False
        self._waiting: list[tuple[Lane, int, asyncio.Future[float]]] = []
        self._lengths = dict.fromkeys(Lane, 0)
        self._arrivals = count()
        self._timer: asyncio.TimerHandle | None = None

    async def acquire(self, lane: Lane, deadline: float | None = None) -> None:
        """Wait until one call may be sent.

        :param deadline: The loop's time by which the call has to be over; ``None``: no matter.
        :raises RemoteRateLimitedError: At once when the wait would leave no time for the call, or when others with
            priority made it so.
        """
        latest = None if deadline is None else deadline - HEADROOM
        arrival = next(self._arrivals)
        if self._share is not None and not self._met:
            async with self._sharing:
                if not self._met:  # before anything is sent: what was sent before this process started
                    await self._ask(self._share, [])
        while True:
            taken = await self._turn(lane, arrival, latest)
            sent = self._share is None or await self._agree(self._share)
            self._window.settle(taken, asyncio.get_running_loop().time(), sent=sent)
            if sent:
                return

    async def _turn(self, lane: Lane, arrival: int, latest: float | None) -> float:
        """Wait for one's turn in this process, and return when it came."""
        loop = asyncio.get_running_loop()
        wait = self.expected_wait(lane)
        if latest is not None and wait > 0 and loop.time() + wait > latest:
            raise _limited(wait)
        turn: asyncio.Future[float] = loop.create_future()
        heappush(self._waiting, (lane, arrival, turn))
        self._lengths[lane] += 1
        try:
            self._dispatch()
            if not turn.done():
                async with asyncio.timeout_at(latest):
                    await turn
            return turn.result()
        except TimeoutError:
            raise _limited(self.expected_wait(lane)) from None
        finally:
            self._lengths[lane] -= 1
            turn.cancel()

    async def _agree(self, share: Share) -> bool:
        """Record one more call, and tell whether those of all processes together are within the limit."""
        async with self._sharing:  # one after the other, or what is recorded last is not what was taken last
            own = [*self._window.ages(asyncio.get_running_loop().time()), 0.0]
            others = await self._ask(share, own)
            return len(own) + len(others) <= self._window.limit.requests

    async def _ask(self, share: Share, own: Sequence[float]) -> Sequence[float]:
        others = await share(own, self._window.limit.requests, self._window.length)
        self._window.meet(others, asyncio.get_running_loop().time())
        self._met = True
        return others

    def expected_wait(self, lane: Lane) -> float:
        """Return the seconds that a call of this lane would wait if nobody else came."""
        ahead = sum(length for other, length in self._lengths.items() if other <= lane)
        return max(0.0, self._window.ready_at(lane) - asyncio.get_running_loop().time()) + ahead * self._window.pace

    def pause(self, seconds: float) -> None:
        """Send nothing for some seconds: the remote system said so."""
        self._window.pause(asyncio.get_running_loop().time() + seconds)

    def paused_until(self) -> float:
        """Return the time at which the pause ends; it may be past."""
        return self._window.paused_until()

    def tighten(self, limit: RateLimit) -> None:
        """Keep the stricter of both limits."""
        self._window = self._window.tightened(limit)

    def _dispatch(self) -> None:
        """Let through whoever may go, and come back when the next one may."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            lane, _, turn = self._waiting[0]
            if not turn.done():
                ready = self._window.ready_at(lane)
                if ready > loop.time() + MOMENT:
                    self._timer = loop.call_at(ready, self._dispatch)
                    return
                taken = loop.time()
                self._window.take(lane, taken)
                turn.set_result(taken)
            heappop(self._waiting)


def _limited(wait: float) -> RemoteRateLimitedError:
    return RemoteRateLimitedError("the remote system's rate limit is used up", retry_after=max(1.0, wait))
