"""What all processes sent to a remote account, on both databases: nobody takes what another has taken."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from scim_bridge.store import rate_windows
from scim_bridge.store.engine import Store

NOW = datetime(2026, 11, 27, tzinfo=UTC)


async def take(
    store: Store,
    process: str,
    own: Sequence[float],
    *,
    account: str = "corp",
    after: float = 0.0,
    seconds: float = 60.0,
) -> list[float]:
    """Take a place in a window of three calls."""
    now = NOW + timedelta(seconds=after)
    work = partial(rate_windows.take, requests=3, seconds=seconds, now=now)
    return await store.write(lambda tx: work(tx, account, process, own))


async def test_the_calls_of_others_are_told_by_their_age(store: Store) -> None:
    """What one process recorded is what the others are told; its own calls are its own to know."""
    assert await take(store, "one", [5.0, 0.0]) == []

    told = await take(store, "other", [])

    assert sorted(told) == pytest.approx([0.0, 5.0], abs=2.0)
    assert await take(store, "one", []) == []


async def test_what_is_too_much_together_is_not_recorded(store: Store) -> None:
    """Two of three places are taken: one more fits, two do not, and leave no trace."""
    await take(store, "one", [1.0, 0.0])

    assert len(await take(store, "other", [0.5, 0.0])) == 2
    assert await take(store, "one", []) == []
    assert len(await take(store, "other", [0.0])) == 2
    assert len(await take(store, "one", [])) == 1


async def test_accounts_have_windows_of_their_own(store: Store) -> None:
    """What is sent to one remote account is no matter to another."""
    await take(store, "one", [0.0, 0.0, 0.0])

    assert await take(store, "other", [0.0], account="another corp") == []


async def test_what_is_older_than_the_window_is_forgotten(store: Store) -> None:
    """A process that ended leaves nothing behind for longer than a window."""
    await take(store, "one", [59.0, 58.0, 0.0], seconds=60.0)

    assert len(await take(store, "other", [0.0], seconds=30.0)) == 1


async def test_a_clock_that_is_put_back_holds_nobody_up(sqlite_url: str) -> None:
    """Where this machine's clock counts, what was sent "in an hour" is forgotten."""
    store = await Store.open(sqlite_url)
    await take(store, "one", [0.0], after=3600.0)
    assert await take(store, "other", []) == []

    await store.close()


async def test_a_place_that_is_kept_counts_from_the_last_moment_at_which_it_may_be_used(store: Store) -> None:
    """What a process may still send, others take for sent when it would be at the latest, also once it is dead."""
    await take(store, "one", [0.0, -10.0])

    assert sorted(await take(store, "other", [0.0, 0.0])) == pytest.approx([-10.0, 0.0], abs=2.0)
    assert len(await take(store, "other", [0.0])) == 2


async def test_processes_at_the_same_time_take_different_places(store: Store) -> None:
    """Five processes ask at once for a place in a window of three: three get one."""
    told = await asyncio.gather(*(take(store, f"process {number}", [0.0]) for number in range(5)))

    assert sum(1 + len(others) <= 3 for others in told) == 3
    assert len(await take(store, "another", [])) == 3
