"""What a transaction promises."""

import asyncio
import gc
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from scim_bridge.errors import StoreError
from scim_bridge.store import audit, connector_state
from scim_bridge.store.engine import Store
from scim_bridge.store.tables import resource
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import CONNECTION, NOON


def put(key: str) -> Any:
    """Return work that writes a key."""
    return lambda tx: connector_state.put(tx, CONNECTION, key, {"x": 1}, NOON)


def got(key: str) -> Callable[[Transaction], dict[str, Any] | None]:
    """Return work that reads a key."""
    return lambda tx: connector_state.get(tx, CONNECTION, key)


async def get(store: Store, key: str) -> dict[str, Any] | None:
    """Read a key back."""
    return await store.read(got(key))


class FaultError(Exception):
    """An error of the work itself."""


async def test_an_error_of_the_work_rolls_back_that_work_alone(store: Store) -> None:
    """Of writes that run together, one that fails leaves no trace and the others stand."""

    def fail(tx: Transaction) -> None:
        put("failed")(tx)
        raise FaultError

    outcomes = await asyncio.gather(
        *(store.write(fail if number % 3 == 0 else put(f"key-{number}")) for number in range(12)),
        return_exceptions=True,
    )
    assert [isinstance(outcome, FaultError) for outcome in outcomes] == [number % 3 == 0 for number in range(12)]
    assert await get(store, "failed") is None
    assert [await get(store, f"key-{number}") is not None for number in range(12)] == [
        number % 3 != 0 for number in range(12)
    ]


async def test_a_write_returns_what_the_work_returned(store: Store) -> None:
    """The result of the function is the result of the write, the scan and the read."""
    assert [await run(lambda _: 42) for run in (store.read, store.scan, store.write)] == [42, 42, 42]


async def test_a_cancelled_caller_does_not_undo_the_write(store: Store) -> None:
    """A write whose caller is gone while it waits in the queue is still done."""
    gate = threading.Event()
    first = asyncio.create_task(store.write(lambda _: gate.wait(10)))
    tasks = [asyncio.create_task(store.write(put(f"key-{number}"))) for number in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    gate.set()
    await first
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.write(lambda _: None)
    url = store.url.render_as_string(hide_password=False)
    await store.close()  # closing finishes what was queued
    again = await Store.open(url)
    found = [await get(again, f"key-{number}") for number in range(20)]
    await again.close()
    assert all(tasks[number].cancelled() for number in range(20))
    assert found == [{"x": 1}] * 20


async def test_a_write_is_seen_by_the_next_read(store: Store) -> None:
    """A read that starts after a write returned sees it, on the event loop and in a thread."""
    for number in range(20):
        await store.write(put(f"key-{number}"))
        assert await get(store, f"key-{number}") is not None
        assert await store.scan(got(f"key-{number}")) is not None


async def test_what_may_be_written_later_comes_before_what_is_written_next(store: Store) -> None:
    """Its caller need not wait until it is durable, and yet no transaction that it begins afterwards misses it."""
    await store.write_later(put("earlier"))
    assert await store.write(got("earlier")) == {"x": 1}


async def test_a_statement_that_is_wrong_is_a_failure_of_the_store(store: Store) -> None:
    """An error of the database that is no outage is told as such, without its SQL."""
    nonsense = select(resource.c.id).where(resource.c.sequence == bindparam("missing"))
    with pytest.raises(StoreError) as caught:
        await store.write(lambda tx: tx.execute(nonsense))
    assert "SELECT" not in str(caught.value)


async def test_values_of_the_connector_survive_and_are_forgotten(store: Store) -> None:
    """A key holds the value written last, in its own connection, until it is deleted."""
    for value in ({"a": "\U0001f701"}, {"b": [1, None, True]}):
        await store.write(partial(connector_state.put, connection_id=CONNECTION, key="key", value=value, now=NOON))
    assert await get(store, "key") == {"b": [1, None, True]}
    assert await store.read(lambda tx: connector_state.get(tx, "other", "key")) is None
    await store.write(lambda tx: connector_state.delete(tx, "other", "key"))
    assert await get(store, "key") is not None
    await store.write(lambda tx: connector_state.delete(tx, CONNECTION, "key"))
    assert await get(store, "key") is None


async def test_concurrent_appends_make_one_audit_chain(store: Store) -> None:
    """Events appended from everywhere at once are numbered without gaps and the chain holds."""
    numbers = await asyncio.gather(
        *(
            store.write(partial(audit.append, connection_id=CONNECTION, event={"n": number}, now=NOON))
            for number in range(30)
        )
    )
    assert sorted(numbers) == list(range(1, 31))
    assert await store.scan(lambda tx: audit.verify(tx, CONNECTION)) is None
    assert (await store.read(lambda tx: audit.head(tx, CONNECTION))).sequence == 30


async def test_an_error_after_its_caller_was_cancelled_is_nobodys_business(store: Store) -> None:
    """The transaction of a caller that gave up may fail; asyncio has nothing to say about it."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    begun, go_on, over = threading.Event(), threading.Event(), threading.Event()

    def fail(_tx: Transaction) -> None:
        begun.set()
        go_on.wait(10)
        try:
            raise LookupError
        finally:
            over.set()

    task = asyncio.create_task(store.write(fail))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    go_on.set()
    with pytest.raises((asyncio.CancelledError, LookupError)):
        await task
    await asyncio.to_thread(over.wait, 10)
    await store.read(lambda _tx: None)
    gc.collect()
    assert told == []
