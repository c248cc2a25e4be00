"""The rate limiter against its promises, in virtual time."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_bridge.errors import RemoteRateLimitedError
from scim_bridge.models import Lane, RateLimit
from scim_bridge.testing.virtual_time import run_virtually
from scim_bridge.upstream.limiter import MARGIN, RateLimiter


@dataclass(frozen=True)
class Passage:
    """One caller: when it came, on which lane, and when it was let through."""

    arrived: float
    lane: Lane
    passed: float


async def pass_one(limiter: RateLimiter, lane: Lane, deadline: float | None = None) -> None:
    """Send a call that takes no time."""
    async with limiter.place(lane, deadline):
        pass


async def pass_through(
    limiter: RateLimiter, arrivals: list[tuple[float, Lane]], deadline: float | None = None
) -> list[Passage]:
    """Send callers at their times and return them in the order in which they were let through."""
    passages: list[Passage] = []

    async def caller(at: float, lane: Lane) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(at - loop.time())
        await pass_one(limiter, lane, deadline)
        passages.append(Passage(at, lane, loop.time()))

    async with asyncio.TaskGroup() as group:
        for at, lane in arrivals:
            group.create_task(caller(at, lane))
    return passages


def most_in_a_window(passages: list[Passage], seconds: float) -> int:
    """Count, the slow way, the most passages of any half-open window of some seconds."""
    times = [one.passed for one in passages]
    return max((sum(start <= time < start + seconds for time in times) for start in times), default=0)


limits = st.builds(RateLimit, st.integers(1, 40), st.sampled_from([1.0, 10.0]))
arrivals = st.lists(st.tuples(st.floats(0, 30, width=16), st.sampled_from(Lane)), max_size=120).map(sorted)


@settings(max_examples=300)
@given(limits, arrivals)
def test_no_window_ever_holds_more_than_the_limit(limit: RateLimit, callers: list[tuple[float, Lane]]) -> None:
    """Whoever comes whenever on whichever lane, no rolling window holds more than the limit's requests."""
    passages = run_virtually(pass_through(RateLimiter(limit), callers))

    assert len(passages) == len(callers)
    assert most_in_a_window(passages, limit.seconds) <= limit.requests


slow_calls = st.lists(
    st.tuples(st.floats(0, 30, width=16), st.sampled_from(Lane), st.floats(0, 5, width=16), st.floats(0, 1, width=16)),
    max_size=60,
)


@settings(max_examples=300)
@given(limits, slow_calls)
def test_no_window_holds_more_however_long_calls_are_on_their_way(
    limit: RateLimit, calls: list[tuple[float, Lane, float, float]]
) -> None:
    """Wherever between its sending and its end each call arrives, no rolling window of arrivals breaks the limit."""
    limiter = RateLimiter(limit)
    arrived: list[Passage] = []

    async def call(at: float, lane: Lane, seconds: float, share: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(at - loop.time())
        async with limiter.place(lane):
            await asyncio.sleep(seconds * share)
            arrived.append(Passage(at, lane, loop.time()))
            await asyncio.sleep(seconds * (1 - share))

    async def history() -> None:
        await asyncio.gather(*(call(*one) for one in calls))

    run_virtually(history())

    assert len(arrived) == len(calls)
    assert most_in_a_window(arrived, limit.seconds) <= limit.requests


@settings(max_examples=300)
@given(limits, arrivals)
def test_lanes_are_strict_and_each_lane_is_served_in_order(limit: RateLimit, callers: list[tuple[float, Lane]]) -> None:
    """Nobody passes before somebody of a smaller lane, or of the same lane and earlier, who was already waiting."""
    passages = run_virtually(pass_through(RateLimiter(limit), callers))

    for position, one in enumerate(passages):
        for later in passages[position + 1 :]:
            assert not (later.lane < one.lane and later.arrived < one.passed)
            assert not (later.lane == one.lane and later.arrived < one.arrived)


@settings(max_examples=300)
@given(limits, st.lists(st.floats(0, 30, width=16), max_size=120).map(sorted))
def test_removals_pass_exactly_when_the_window_allows(limit: RateLimit, times: list[float]) -> None:
    """Removals alone are let through at the very times a naive rolling window computes."""
    expected: list[float] = []
    for number, at in enumerate(times):
        freed = expected[number - limit.requests] + limit.seconds * MARGIN if number >= limit.requests else 0.0
        expected.append(max(at, freed))

    passages = run_virtually(pass_through(RateLimiter(limit), [(at, Lane.REMOVE) for at in times]))

    assert [one.passed for one in passages] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("limit", [RateLimit(100, 10.0), RateLimit(190, 10.0), RateLimit(4, 1.0), RateLimit(1, 1.0)])
@pytest.mark.parametrize("lane", [Lane.REMOVE, Lane.UPDATE])
def test_a_backlog_uses_the_limit_up(limit: RateLimit, lane: Lane) -> None:
    """With work queued for twenty windows, at least 97 % of the limit is used, whatever the lane."""
    count = limit.requests * 20

    passages = run_virtually(pass_through(RateLimiter(limit), [(0.0, lane)] * count))

    end = passages[-1].passed
    steady = [one for one in passages if limit.seconds < one.passed <= end]
    rate = len(steady) / (end - limit.seconds)
    assert rate >= 0.97 * limit.requests / limit.seconds


def test_a_backlog_after_a_burst_of_removals_still_uses_the_limit_up() -> None:
    """Removals that clump do not cost the other lanes the use of the limit for good."""
    limit = RateLimit(100, 10.0)
    callers = [(0.0, Lane.UPDATE)] * 3000 + [(5.0, Lane.REMOVE)] * 90

    passages = run_virtually(pass_through(RateLimiter(limit), callers))

    late = [one for one in passages if one.passed > 100]
    rate = len(late) / (passages[-1].passed - 100)
    assert rate >= 0.97 * 10


def test_a_removal_is_fast_behind_ten_thousand_creations() -> None:
    """R7: with 10,000 creations queued, the 99th percentile of the wait of a removal is under two seconds."""
    removals = [(3.0 + 1.37 * number, Lane.REMOVE) for number in range(200)]
    callers = sorted([(0.0, Lane.CREATE)] * 10_000 + removals)

    passages = run_virtually(pass_through(RateLimiter(RateLimit(100, 10.0)), callers))

    waits = sorted(one.passed - one.arrived for one in passages if one.lane is Lane.REMOVE)
    assert waits[int(len(waits) * 0.99)] < 2.0
    assert len(passages) == 10_200


def test_removals_find_the_reserve_free_after_a_burst() -> None:
    """A tenth of the window is left for removals however many updates wait."""
    limiter = RateLimiter(RateLimit(100, 10.0))
    callers = [(0.0, Lane.UPDATE)] * 500 + [(4.0, Lane.REMOVE)] * 10

    passages = run_virtually(pass_through(limiter, callers))

    assert max(one.passed for one in passages if one.lane is Lane.REMOVE) == pytest.approx(4.0)


def test_work_of_other_lanes_is_spread() -> None:
    """After a burst of a tenth, updates keep a pace: their gaps are even, so slots come free all the time."""
    passages = run_virtually(pass_through(RateLimiter(RateLimit(100, 10.0)), [(0.0, Lane.UPDATE)] * 60))

    gaps = [after.passed - before.passed for before, after in pairwise(passages[10:])]
    assert gaps == pytest.approx([0.1 * MARGIN] * len(gaps), abs=1e-3)


def test_a_wait_beyond_the_deadline_is_refused_at_once() -> None:
    """A call that could not be made in time is refused when it comes, with the time it would have had to wait."""

    async def scenario() -> tuple[float, float]:
        limiter = RateLimiter(RateLimit(1, 10.0))
        await pass_one(limiter, Lane.UPDATE)
        loop = asyncio.get_running_loop()
        with pytest.raises(RemoteRateLimitedError) as refused:
            await pass_one(limiter, Lane.UPDATE, loop.time() + 5.0)
        assert refused.value.retry_after is not None
        return loop.time(), refused.value.retry_after

    now, wait = run_virtually(scenario())

    assert now == 0.0
    assert wait == pytest.approx(10.0 * MARGIN)


def test_who_is_overtaken_is_refused_before_the_deadline() -> None:
    """An update that removals overtake is refused while there would still be time for the call, not after it."""

    async def scenario() -> float:
        limiter = RateLimiter(RateLimit(1, 1.0))
        await pass_one(limiter, Lane.REMOVE)
        removals = asyncio.gather(*(pass_one(limiter, Lane.REMOVE) for _ in range(20)), return_exceptions=True)
        update = asyncio.create_task(pass_one(limiter, Lane.UPDATE, asyncio.get_running_loop().time() + 30.0))
        await asyncio.sleep(0)
        more = asyncio.gather(*(pass_one(limiter, Lane.REMOVE) for _ in range(20)))
        with pytest.raises(RemoteRateLimitedError):
            await update
        refused_at = asyncio.get_running_loop().time()
        await asyncio.gather(removals, more)
        return refused_at

    assert run_virtually(scenario()) == pytest.approx(28.0)


def test_who_gives_up_does_not_hold_the_others_up() -> None:
    """A cancelled caller leaves the queue; the next one takes its turn."""

    async def scenario() -> float:
        limiter = RateLimiter(RateLimit(1, 1.0))
        await pass_one(limiter, Lane.UPDATE)
        gone = asyncio.create_task(pass_one(limiter, Lane.REMOVE))
        stays = asyncio.create_task(pass_one(limiter, Lane.UPDATE))
        await asyncio.sleep(0.1)
        gone.cancel()
        await stays
        return asyncio.get_running_loop().time()

    assert run_virtually(scenario()) == pytest.approx(MARGIN)


def test_who_gives_up_leaves_every_place_to_the_others() -> None:
    """After a hundred callers that gave up, or whose turn came at that very moment, the limit is what it was."""

    async def scenario() -> list[Passage]:
        limiter = RateLimiter(RateLimit(2, 1.0))
        loop = asyncio.get_running_loop()
        for number in range(100):
            gone = [asyncio.create_task(pass_one(limiter, Lane.REMOVE)) for _ in range(4)]
            await asyncio.sleep(MARGIN if number % 2 else 0.1)
            for one in gone:
                one.cancel()
            late = [pass_one(limiter, Lane.UPDATE, loop.time() + 2.0) for _ in range(4)]
            await asyncio.gather(*gone, *late, return_exceptions=True)
        await asyncio.sleep(10)
        return await pass_through(limiter, [(0.0, Lane.REMOVE)] * 6)

    passages = run_virtually(scenario())

    began = passages[0].passed
    assert [one.passed - began for one in passages] == pytest.approx([0.0, 0.0, MARGIN, MARGIN, 2 * MARGIN, 2 * MARGIN])


def test_a_pause_holds_every_lane() -> None:
    """While the remote system asks for silence, not even a removal is sent."""

    async def scenario() -> list[Passage]:
        limiter = RateLimiter(RateLimit(100, 1.0))
        limiter.pause(60.0)
        return await pass_through(limiter, [(0.0, Lane.UPDATE), (1.0, Lane.REMOVE)])

    passages = run_virtually(scenario())

    assert [one.lane for one in passages] == [Lane.REMOVE, Lane.UPDATE]
    assert [one.passed for one in passages] == pytest.approx([60.0, 60.0])


def test_the_strictest_limit_of_an_account_holds() -> None:
    """A second client that names a lower limit tightens it for both, and what was already sent counts."""

    async def scenario() -> list[Passage]:
        limiter = RateLimiter(RateLimit(10, 1.0))
        await pass_one(limiter, Lane.REMOVE)
        limiter.tighten(RateLimit(2, 1.0))
        limiter.tighten(RateLimit(50, 1.0))
        return await pass_through(limiter, [(0.0, Lane.REMOVE)] * 2)

    passages = run_virtually(scenario())

    assert [one.passed for one in passages] == pytest.approx([0.0, MARGIN])
