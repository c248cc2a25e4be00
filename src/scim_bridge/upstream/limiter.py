"""A rate limiter with lanes: one per remote account, whichever connections use it.

Time is the running loop's, here and in everything above: one clock that tests may replace as a whole.
"""

import asyncio
from collections import deque
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


class Window:
    """The arithmetic of one limit: when a lane may send next. It neither waits nor reads a clock.

    * In any window of the limit's seconds at most its requests are sent, removals included.
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
        self._sent: deque[float] = deque(maxlen=limit.requests)
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
        """Count a call as sent."""
        self._sent.append(now)
        if lane is not Lane.REMOVE:
            self._paced_until = max(now, self._paced_until) + self.pace

    def assume_spent(self, now: float) -> None:
        """Take what others than removals may use as used up now. Said twice, it means no more than once."""
        shared = self.limit.requests - self._reserve
        recent = [at for at in self._sent if at > now - self._length]
        self._sent.clear()
        self._sent.extend(recent[:-shared] + [now] * shared)
        self._paced_until = max(self._paced_until, now + shared * self.pace)

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
        window._sent.extend(self._sent)
        window.pause(self._paused_until)
        return window


class RateLimiter:
    """Lets callers through within a limit, strictly by lane, then in order of arrival.

    :param limit: The remote account's limit.
    """

    def __init__(self, limit: RateLimit) -> None:
        self._window = Window(limit)
        self._waiting: list[tuple[Lane, int, asyncio.Future[None]]] = []
        self._lengths = dict.fromkeys(Lane, 0)
        self._arrivals = count()
        self._timer: asyncio.TimerHandle | None = None

    async def acquire(self, lane: Lane, deadline: float | None = None) -> None:
        """Wait until one call may be sent.

        :param deadline: The loop's time by which the call has to be over; ``None``: no matter.
        :raises RemoteRateLimitedError: At once when the wait would leave no time for the call, or when others with
            priority made it so.
        """
        loop = asyncio.get_running_loop()
        latest = None if deadline is None else deadline - HEADROOM
        wait = self.expected_wait(lane)
        if latest is not None and wait > 0 and loop.time() + wait > latest:
            raise _limited(wait)
        turn: asyncio.Future[None] = loop.create_future()
        heappush(self._waiting, (lane, next(self._arrivals), turn))
        self._lengths[lane] += 1
        try:
            self._dispatch()
            if not turn.done():
                async with asyncio.timeout_at(latest):
                    await turn
        except TimeoutError:
            raise _limited(self.expected_wait(lane)) from None
        finally:
            self._lengths[lane] -= 1
            turn.cancel()

    def expected_wait(self, lane: Lane) -> float:
        """Return the seconds that a call of this lane would wait if nobody else came."""
        ahead = sum(length for other, length in self._lengths.items() if other <= lane)
        return max(0.0, self._window.ready_at(lane) - asyncio.get_running_loop().time()) + ahead * self._window.pace

    def pause(self, seconds: float) -> None:
        """Send nothing for some seconds: the remote system said so."""
        self._window.pause(asyncio.get_running_loop().time() + seconds)

    def assume_spent(self) -> None:
        """Leave a window free for what another process may have sent just before this one took over.

        Removals need not wait: the part that is kept for them is not the other process's either.
        """
        self._window.assume_spent(asyncio.get_running_loop().time())

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
                self._window.take(lane, loop.time())
                turn.set_result(None)
            heappop(self._waiting)


def _limited(wait: float) -> RemoteRateLimitedError:
    return RemoteRateLimitedError("the remote system's rate limit is used up", retry_after=max(1.0, wait))
