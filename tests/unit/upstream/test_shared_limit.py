"""Several processes that call one remote account, one after the other or at the same time, keep its limit together."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scim_bridge.models import Lane, RateLimit
from scim_bridge.store import rate_windows
from scim_bridge.store.engine import Store
from scim_bridge.testing.virtual_time import run_virtually
from scim_bridge.upstream.limiter import GRACE, RateLimiter, Share

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = RateLimit(100, 10.0)
Sent = list[tuple[float, Lane]]
Sharing = Callable[[str], Share]


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Callable[[], Sharing]]:
    """Return how to make a new remote account: how its processes share, by their names, through the store of all."""
    store = asyncio.run(Store.open(f"sqlite:///{tmp_path}/bridge.db", threads=False))
    accounts = count()

    def new() -> Sharing:
        name = f"account {next(accounts)}"

        def share_of(process: str) -> Share:
            async def share(own: Sequence[float], requests: int, seconds: float) -> Sequence[float]:
                await asyncio.sleep(0.001)
                now = EPOCH + timedelta(seconds=asyncio.get_running_loop().time())
                take = partial(rate_windows.take, requests=requests, seconds=seconds, now=now)
                return await store.write(lambda tx: take(tx, name, process, own))

            return share

        return share_of

    yield new
    asyncio.run(store.close())


async def send(limiter: RateLimiter, lane: Lane, sent: Sent, at: float = 0.0) -> None:
    """Send a call at a time."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(at - loop.time())
    async with limiter.place(lane):
        sent.append((loop.time(), lane))


def most_in_a_window(sent: Sent, seconds: float) -> int:
    """Count, the slow way, the most calls of any half-open window of some seconds."""
    times = [at for at, _ in sent]
    return max((sum(start <= at < start + seconds for at in times) for start in times), default=0)


offsets = st.one_of(st.just(0.0), st.floats(0, 30, width=16))
processes = st.lists(
    st.tuples(
        st.floats(0, 20, width=16),
        st.one_of(st.none(), st.floats(0, 30, width=16)),
        st.lists(st.tuples(offsets, st.sampled_from(Lane)), min_size=1, max_size=60),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(processes, st.integers(1, 60))
def test_no_window_holds_more_than_the_limit_whoever_sends(
    account: Callable[[], Sharing],
    begun: list[tuple[float, float | None, list[tuple[float, Lane]]]],
    requests: int,
) -> None:
    """Processes begin at any time, send at any time, are killed or not: together they keep the limit, and all end."""
    limit = RateLimit(requests, 10.0)
    sharing = account()

    async def live(number: int, start: float, lasts: float | None, calls: list[tuple[float, Lane]], sent: Sent) -> int:
        base, loop = asyncio.get_running_loop().time(), asyncio.get_running_loop()
        await asyncio.sleep(start)
        limiter = RateLimiter(limit, sharing(f"{number}"))
        tasks = [asyncio.create_task(send(limiter, lane, sent, base + start + offset)) for offset, lane in calls]
        await asyncio.wait(tasks, timeout=lasts)
        died = lasts is not None and loop.time() >= base + start + lasts
        for task in tasks:
            task.cancel()
        return sum(not task.done() for task in tasks) if died else 0

    async def history() -> tuple[Sent, int]:
        sent: Sent = []
        unsent = await asyncio.gather(*(live(number, *one, sent) for number, one in enumerate(begun)))
        return sent, sum(unsent)

    sent, unsent = run_virtually(history())

    assert len(sent) == sum(len(calls) for _, _, calls in begun) - unsent
    assert most_in_a_window(sent, limit.seconds) <= requests


@pytest.mark.parametrize("before", [0, 40, 90, 100])
def test_a_process_that_starts_again_sends_a_removal_in_the_next_free_place(
    account: Callable[[], Sharing], before: int
) -> None:
    """A process dies after a burst; its successor's removals wait for what is not free, and never for its creations."""

    async def history() -> Sent:
        sent: Sent = []
        sharing = account()
        former = RateLimiter(LIMIT, sharing("former"))
        await asyncio.gather(*(send(former, Lane.REMOVE, sent) for _ in range(before)))
        await asyncio.sleep(1.0)
        limiter = RateLimiter(LIMIT, sharing("next"))
        lanes = [Lane.CREATE] * 200 + [Lane.REMOVE] * 5
        await asyncio.gather(*(send(limiter, lane, sent) for lane in lanes))
        return sent

    sent = run_virtually(history())

    removed = [at for at, lane in sent[before:] if lane is Lane.REMOVE]
    free = 1.0 if before < LIMIT.requests else LIMIT.seconds + GRACE
    assert max(removed) - free < 0.3
    assert most_in_a_window(sent, LIMIT.seconds) <= LIMIT.requests


def test_a_successor_in_the_middle_of_a_backlog_goes_on_at_the_pace(account: Callable[[], Sharing]) -> None:
    """A backlog is worked off, the process dies, the next one goes on: the limit is used, removals are quick."""

    async def history() -> Sent:
        sent: Sent = []
        sharing = account()
        for name, lasts in (("former", 25.0), ("next", 50.0)):
            limiter = RateLimiter(LIMIT, sharing(name))
            backlog = [asyncio.create_task(send(limiter, Lane.CREATE, sent)) for _ in range(500)]
            await asyncio.sleep(0.5)
            began = asyncio.get_running_loop().time()
            await send(limiter, Lane.REMOVE, sent)
            assert asyncio.get_running_loop().time() - began < 1.0
            await asyncio.sleep(lasts - asyncio.get_running_loop().time())
            for one in backlog:
                one.cancel()
        return sent

    sent = run_virtually(history())

    assert most_in_a_window(sent, LIMIT.seconds) <= LIMIT.requests
    assert sum(30.0 <= at < 50.0 for at, _ in sent) >= 0.97 * 200


def test_a_quiet_process_records_its_calls_in_blocks(account: Callable[[], Sharing]) -> None:
    """Calls that leave most of a window free share their transactions; each is within what was recorded by then."""

    async def history() -> tuple[int, int]:
        sent: Sent = []
        recorded: list[int] = []
        inner = account()("one")

        async def share(own: Sequence[float], requests: int, seconds: float) -> Sequence[float]:
            recorded.append(len(own))
            return await inner(own, requests, seconds)

        limiter = RateLimiter(LIMIT, share)
        for number in range(30):
            await send(limiter, Lane.UPDATE, sent, float(number))
            assert recorded[-1] >= most_in_a_window(sent, LIMIT.seconds)
        return len(recorded), len(sent)

    transactions, calls = run_virtually(history())

    assert transactions <= calls / 5


@pytest.mark.parametrize(("own", "others"), [(9.9, 11.2), (26.0, 25.0)], ids=["used at the last moment", "too late"])
def test_a_place_that_is_kept_is_nobody_elses_and_is_given_up_in_time(
    account: Callable[[], Sharing], own: float, others: float
) -> None:
    """One process keeps a block of places and uses it late, another one bursts: the limit is theirs together."""

    async def history() -> Sent:
        sent: Sent = []
        sharing = account()
        one, other = (RateLimiter(LIMIT, sharing(name)) for name in ("one", "other"))
        calls = [(one, 0.0), *[(one, own)] * 10, *[(other, others)] * 150]
        await asyncio.gather(*(send(limiter, Lane.REMOVE, sent, at) for limiter, at in calls))
        return sent

    assert most_in_a_window(run_virtually(history()), LIMIT.seconds) <= LIMIT.requests


def test_two_processes_at_work_at_the_same_time_use_one_limit(account: Callable[[], Sharing]) -> None:
    """Two replicas lead two connections to one account: neither starves, and the limit is theirs together."""

    async def history() -> tuple[Sent, Sent]:
        both: tuple[Sent, Sent] = ([], [])
        sharing = account()
        tasks = [
            asyncio.create_task(send(limiter, Lane.UPDATE, sent))
            for sent, limiter in zip(both, [RateLimiter(LIMIT, sharing(name)) for name in "ab"], strict=True)
            for _ in range(600)
        ]
        await asyncio.sleep(60.0)
        for one in tasks:
            one.cancel()
        return both

    one, other = run_virtually(history())

    assert most_in_a_window(sorted([*one, *other]), LIMIT.seconds) <= LIMIT.requests
    late = [sum(at >= 20.0 for at, _ in sent) for sent in (one, other)]
    assert sum(late) >= 0.95 * 400
    assert min(late) >= 50
