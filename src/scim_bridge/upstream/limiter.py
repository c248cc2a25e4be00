"""A rate limiter with lanes: one per remote account, whichever connections use it.

Time is the running loop's, here and in everything above: one clock that tests may replace as a whole.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from itertools import count

from scim_bridge.errors import RemoteRateLimitedError
from scim_bridge.models import Lane, RateLimit

MARGIN = 1.005
"""The window is kept this much longer than announced: two machines' seconds differ."""

SHARE = 0.1
"""The share of a window that is kept free for removals, and that other lanes may take in one burst."""

BLOCK = 0.1
"""The share of a window that is recorded ahead with a call, so that the next ones need no transaction of their own;
none once half of the window is used, since what is kept for nobody would be missing then."""

GRACE = 1.0
"""Seconds by which a call of another process may arrive after it was recorded. Of this process's own calls it is known:
none arrives after its answer, so each counts until a window after its end."""

HEADROOM = 2.0
"""Seconds that a call which had to wait still needs: one sent at the last moment would only end ambiguously."""

MOMENT = 1e-6
"""Seconds within which two times are the same; timers may fire that much early."""

Share = Callable[[Sequence[float], int, float], Awaitable[Sequence[float]]]
"""Records the calls of this process for all who call the same remote account, and returns the calls of the others.

It is given the age in seconds of every call, how many there may be and for how many seconds a call counts; it returns
ages, too. A place that is kept for a call to come has the negative age of that call at the latest. When both together
are more than there may be, it records nothing.
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
        self._ended: deque[float] = deque(maxlen=limit.requests)
        """When calls of this process ended."""
        self._let_through = 0
        self._under_way = 0
        self._kept = 0
        """How many calls may be sent that are recorded already."""
        self._kept_until = float("-inf")
        self._others: list[float] = []
        """Until when calls of other processes may have arrived."""
        self._past: list[float] = []
        """Both, in order."""
        self._paced_until = float("-inf")
        self._paused_until = float("-inf")

    def ready_at(self, lane: Lane, now: float) -> float:
        """Return the time from which a call of this lane may be sent; it may be past."""
        ready = self._paused_until
        sent = sorted([*self._past, *[now] * (self._let_through + self._under_way)])[-self.limit.requests :]
        if len(sent) == self.limit.requests:
            ready = max(ready, sent[0] + self._length)
        if lane is Lane.REMOVE:
            return ready
        shared = self.limit.requests - self._reserve
        if self._reserve and len(sent) >= shared:
            ready = max(ready, sent[-shared] + self._length * 0.8)
        burst = max(self._reserve - 1, 0) * self.pace
        return max(ready, self._paced_until - burst)

    def take(self, lane: Lane, now: float) -> None:
        """Let a call through: it has a place from now on."""
        self._let_through += 1
        if lane is not Lane.REMOVE:
            self._paced_until = max(now, self._paced_until) + self.pace

    def settle(self, *, sent: bool) -> None:
        """Take over what becomes of a call that was let through: it is sent now, or not at all."""
        self._let_through -= 1
        self._under_way += sent

    def end(self, now: float) -> None:
        """Take over that a call which was sent is over: from now on its place comes free."""
        self._under_way -= 1
        self._ended.append(now)
        self._past = sorted([*self._ended, *self._others])

    def ages(self, now: float) -> list[float]:
        """Return the seconds since the end of each call that this process sent; 0 of those under way."""
        ended = [now - at for at in self._ended if now - at < self._length - 10 * MOMENT]
        return [*ended, *[0.0] * self._under_way]

    def block(self, now: float) -> int:
        """Return how many places to keep, beside the one for a call that is about to be recorded."""
        size = int(self.limit.requests * BLOCK)
        return size if self.used(now) + BLOCK <= 0.5 else 0

    def keep(self, places: int, until: float) -> None:
        """Take over how many calls are recorded that may be sent until a time; those of before are recorded no more."""
        self._kept, self._kept_until = places, until

    def take_kept(self, now: float) -> bool:
        """Take a place that was kept, if there is one."""
        if not self._kept or now >= self._kept_until:
            return False
        self._kept -= 1
        return True

    def used(self, now: float) -> float:
        """Return which share of the limit is used up."""
        ended = sum(now - at < self._length for at in self._past)
        return (ended + self._let_through + self._under_way) / self.limit.requests

    def meet(self, others: Sequence[float], now: float) -> None:
        """Take over what other processes sent: the age of each of their calls, in seconds."""
        self._others = [now - age + GRACE for age in others]
        self._past = sorted([*self._ended, *self._others])

    @property
    def counts(self) -> float:
        """For how many seconds a call of another process counts; a little is lost on the way to a database and back."""
        return self._length + GRACE - 10 * MOMENT

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
        window._ended.extend(self._ended)
        window._let_through, window._under_way = self._let_through, self._under_way
        window._others, window._past = self._others, self._past
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
        self._waiting: list[tuple[Lane, int, asyncio.Future[None]]] = []
        self._lengths = dict.fromkeys(Lane, 0)
        self._arrivals = count()
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def place(self, lane: Lane, deadline: float | None = None) -> AsyncIterator[None]:
        """Wait until one call may be sent; it is to be sent, and its answer read, within the ``async with`` block.

        :param deadline: The loop's time by which the call has to be over; ``None``: no matter.
        :raises RemoteRateLimitedError: At once when the wait would leave no time for the call, or when others with
            priority made it so.
        """
        await self._acquire(lane, None if deadline is None else deadline - HEADROOM)
        try:
            yield
        finally:
            self._window.end(asyncio.get_running_loop().time())
            self._dispatch()

    @property
    def used(self) -> float:
        """Which share of the limit is used up."""
        return self._window.used(asyncio.get_running_loop().time())

    async def _acquire(self, lane: Lane, latest: float | None) -> None:
        """Wait for one's turn in this process, and then for the agreement of the others."""
        arrival = next(self._arrivals)
        share = self._share
        if share is not None and not self._met:
            async with self._sharing:
                if not self._met:  # before anything is sent: what was sent before this process started
                    await self._ask(share, [])
        sent = False
        while not sent:
            await self._turn(lane, arrival, latest)
            try:
                sent = share is None or await self._agree(share)
            finally:
                self._window.settle(sent=sent)

    async def _turn(self, lane: Lane, arrival: int, latest: float | None) -> None:
        """Wait for one's turn in this process."""
        loop = asyncio.get_running_loop()
        wait = self.expected_wait(lane)
        if latest is not None and wait > 0 and loop.time() + wait > latest:
            raise _limited(wait)
        turn: asyncio.Future[None] = loop.create_future()
        heappush(self._waiting, (lane, arrival, turn))
        self._lengths[lane] += 1
        came = False
        try:
            self._dispatch()
            if not turn.done():
                async with asyncio.timeout_at(latest):
                    await turn
            came = True
        except TimeoutError:
            raise _limited(self.expected_wait(lane)) from None
        finally:
            self._lengths[lane] -= 1
            if not came and not turn.cancel() and not turn.cancelled():  # it came at the very moment
                self._window.settle(sent=False)

    async def _agree(self, share: Share) -> bool:
        """See to it that one more call is recorded, and tell whether those of all processes are within the limit."""
        async with self._sharing:  # one after the other, or what is recorded last is not what was taken last
            window, now = self._window, asyncio.get_running_loop().time()
            if window.take_kept(now):
                return True
            kept, limit = window.block(now), window.limit
            own = [*window.ages(now), 0.0, *[-limit.seconds] * kept]
            others = await self._ask(share, own)
            agreed = len(own) + len(others) <= limit.requests
            if agreed:
                window.keep(kept, now + limit.seconds)
            return agreed

    async def _ask(self, share: Share, own: Sequence[float]) -> Sequence[float]:
        others = await share(own, self._window.limit.requests, self._window.counts)
        self._window.meet(others, asyncio.get_running_loop().time())
        self._met = True
        return others

    def expected_wait(self, lane: Lane) -> float:
        """Return the seconds that a call of this lane would wait if nobody else came."""
        ahead = sum(length for other, length in self._lengths.items() if other <= lane)
        now = asyncio.get_running_loop().time()
        return max(0.0, self._window.ready_at(lane, now) - now) + ahead * self._window.pace

    def pause(self, seconds: float) -> None:
        """Send nothing for some seconds: the remote system said so."""
        self._window.pause(asyncio.get_running_loop().time() + seconds)

    def paused_until(self) -> float:
        """Return the time at which the pause ends; it may be past."""
        return self._window.paused_until()

    @property
    def limit(self) -> RateLimit:
        """What is kept."""
        return self._window.limit

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
                ready = self._window.ready_at(lane, loop.time())
                if ready > loop.time() + MOMENT:
                    self._timer = loop.call_at(ready, self._dispatch)
                    return
                self._window.take(lane, loop.time())
                turn.set_result(None)
            heappop(self._waiting)


def _limited(wait: float) -> RemoteRateLimitedError:
    return RemoteRateLimitedError("the remote system's rate limit is used up", retry_after=max(1.0, wait))
