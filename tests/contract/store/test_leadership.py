"""Who drives a connection, and how processes wake each other."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.engine import URL

from scim_bridge.errors import StoreUnavailableError
from scim_bridge.store import leadership as leaderships
from scim_bridge.store import locks, sessions
from scim_bridge.store.engine import Store
from scim_bridge.store.leadership import Leadership, leadership
from scim_bridge.store.locks import lock_key
from scim_bridge.store.notifications import listening, notify
from scim_bridge.store.tables import ownership
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import CONNECTION
from tests.hang_guard import HANG_SECONDS
from tests.postgresql import PostgresqlServer


@pytest.fixture
def mortal_server() -> Iterator[PostgresqlServer]:
    """A server that a test may kill."""
    with PostgresqlServer.running() as server:
        yield server


@pytest.fixture
async def mortal(mortal_server: PostgresqlServer) -> AsyncIterator[Store]:
    """A store on a server that a test may kill."""
    opened = await Store.open(mortal_server.url(mortal_server.create_database()))
    yield opened
    await opened.close()


@pytest.fixture
async def replicated(postgresql_url: str) -> AsyncIterator[Store]:
    """A store on PostgreSQL."""
    opened = await Store.open(postgresql_url)
    yield opened
    await opened.close()


@pytest.fixture
async def pair(replicated: Store) -> AsyncIterator[tuple[Leadership, Leadership]]:
    """Two processes that compete."""
    one, other = (leadership(replicated, owner=name) for name in ("one", "other"))
    yield one, other
    await one.close()
    await other.close()


async def end_session(store: Store, connection_id: str = CONNECTION) -> None:
    """End the session that holds a connection's lock, as the death of its process would."""
    key = lock_key(connection_id)
    statement = text(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        " AND ((classid::bigint << 32) | objid::bigint) = :key"
    )
    assert await store.write(lambda tx: tx.execute(statement, {"key": key}).scalar_one()) is True


async def test_one_process_leads_and_leads_alone(store: Store) -> None:
    """On both databases a process can lead connections, prove it, and let go."""
    mine = leadership(store, owner="me")
    assert await mine.acquire(CONNECTION)
    assert await mine.acquire(CONNECTION)
    assert await mine.acquire("other")
    assert mine.led == {CONNECTION, "other"}
    assert await mine.check()
    await mine.heartbeat()
    assert await store.write(lambda tx: leaderships.owns(tx, CONNECTION, mine.term))
    await mine.release("other")
    assert mine.led == {CONNECTION}
    await mine.close()
    assert mine.led == frozenset()


async def test_of_two_processes_one_leads(pair: tuple[Leadership, Leadership], replicated: Store) -> None:
    """A second process is refused until the first lets go; connections are separate."""
    one, other = pair
    assert await one.acquire(CONNECTION)
    assert not await other.acquire(CONNECTION)
    assert await other.acquire("second")
    await one.release(CONNECTION)
    assert await other.acquire(CONNECTION)
    assert not await one.acquire(CONNECTION)
    assert await replicated.write(lambda tx: leaderships.owns(tx, CONNECTION, other.term))
    assert not await replicated.write(lambda tx: leaderships.owns(tx, CONNECTION, one.term))


async def test_a_leader_whose_session_ended_knows_and_is_followed(
    pair: tuple[Leadership, Leadership], replicated: Store
) -> None:
    """With the session go all its locks: the check fails, nothing is held, and the next term is a new one."""
    one, other = pair
    assert await one.acquire(CONNECTION)
    assert await one.acquire("second")
    term = one.term
    await end_session(replicated)
    assert await other.acquire(CONNECTION)
    assert not await one.check()
    assert one.led == frozenset()
    assert not await one.acquire(CONNECTION)
    assert await one.acquire("second")
    assert one.term != term


async def test_a_frozen_leader_is_replaced_and_a_beating_one_is_not(
    pair: tuple[Leadership, Leadership], replicated: Store
) -> None:
    """Only a heartbeat older than the limit, by the server's clock, costs a leader its session."""
    one, other = pair
    assert await one.acquire(CONNECTION)
    ago = int((leaderships.TAKEOVER_SECONDS + 1) * 1_000_000)
    frozen = update(ownership).values(heartbeat_at=ownership.c.heartbeat_at - ago)
    await replicated.write(lambda tx: tx.execute(frozen))
    await one.heartbeat()
    assert not await other.acquire(CONNECTION)
    assert await one.check()
    await replicated.write(lambda tx: tx.execute(frozen))
    assert await other.acquire(CONNECTION)
    assert not await one.check()
    assert await other.check()


async def test_a_cancelled_acquire_leaves_no_lock_unnoticed(pair: tuple[Leadership, Leadership]) -> None:
    """Whoever is cancelled while it takes a lock still knows that it has it."""
    one, other = pair
    task = asyncio.create_task(one.acquire(CONNECTION))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await one.acquire(CONNECTION)
    await one.release(CONNECTION)
    assert await other.acquire(CONNECTION)


async def test_a_server_that_restarts_ends_every_term(mortal: Store, mortal_server: PostgresqlServer) -> None:
    """After a crash of the server nobody leads; then one of them does again, and ordinary work goes on."""
    one, other = (leadership(mortal, owner=name) for name in ("one", "other"))
    assert await one.acquire(CONNECTION)
    mortal_server.kill()
    assert not await one.check()
    assert not await other.acquire(CONNECTION)
    with pytest.raises(StoreUnavailableError):
        await mortal.read(lambda tx: tx.execute(select(ownership)).all())
    mortal_server.start()
    assert await other.acquire(CONNECTION)
    assert not await one.acquire(CONNECTION)
    assert await mortal.read(lambda tx: tx.execute(select(func.count()).select_from(ownership)).scalar_one()) == 1
    await one.close()
    await other.close()


class Heard:
    """Collects what a listener is told."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[str, str | None]] = asyncio.Queue()

    def __call__(self, channel: str, payload: str | None) -> None:
        """Take what the listener tells."""
        self.queue.put_nowait((channel, payload))

    async def next(self) -> tuple[str, str | None]:
        """Return what comes next."""
        return await asyncio.wait_for(self.queue.get(), HANG_SECONDS)


class UndoError(Exception):
    """Rolls a transaction back."""


async def test_a_notification_arrives_exactly_when_its_transaction_commits(replicated: Store) -> None:
    """What is rolled back is never heard; other channels are not heard either."""
    heard = Heard()

    def undone(tx: Transaction) -> None:
        notify(tx, "intent", "undone")
        raise UndoError

    async with listening(replicated, ["intent", "outcome"], heard):
        with pytest.raises(UndoError):
            await replicated.write(undone)
        await replicated.write(lambda tx: notify(tx, "elsewhere", "1"))
        await replicated.write(lambda tx: notify(tx, "intent", "2"))
        await replicated.write(lambda tx: notify(tx, "outcome", "3"))
        assert [await heard.next(), await heard.next()] == [("intent", "2"), ("outcome", "3")]
    await replicated.write(lambda tx: notify(tx, "intent", "4"))
    assert heard.queue.empty()


async def test_a_listener_reconnects_and_says_that_it_may_have_missed_something(
    mortal: Store, mortal_server: PostgresqlServer
) -> None:
    """After the server was away, every channel is told of the gap, and notifications arrive again."""
    heard = Heard()
    async with listening(mortal, ["intent"], heard):
        mortal_server.restart()
        assert await heard.next() == ("intent", None)
        await mortal.write(lambda tx: notify(tx, "intent", "1"))
        assert await heard.next() == ("intent", "1")


async def test_on_sqlite_there_is_nobody_to_wake(sqlite_url: str) -> None:
    """Notifications are accepted and go nowhere."""
    store = await Store.open(sqlite_url)
    heard = Heard()
    async with listening(store, ["intent"], heard):
        await store.write(lambda tx: notify(tx, "intent", "1"))
    await store.close()
    assert heard.queue.empty()


async def test_a_leader_knows_until_when_nobody_takes_over(postgresql_url: str) -> None:
    """Its time ends a sixth before a heartbeat sent now would be too old, and each heartbeat moves it on."""
    store = await Store.open(postgresql_url)
    mine = leadership(store, owner="me", takeover_seconds=12.0)
    loop = asyncio.get_running_loop()
    assert mine.ends < loop.time()
    began = loop.time()
    assert await mine.acquire(CONNECTION)
    first = mine.ends
    assert began <= first - 10.0 <= loop.time()
    assert await mine.acquire("second")
    assert mine.ends == first, "the first connection was last heard of before"
    await mine.heartbeat()
    assert mine.ends > first
    assert mine.beat_seconds == 1.0
    await mine.close()
    await store.close()


async def test_what_a_cancelled_process_was_taking_is_let_go_of(
    replicated: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session was still opening when it was told to end: no session stays, and nobody finds the lock taken."""
    opening, may_open = asyncio.Event(), asyncio.Event()
    opened: list[psycopg.AsyncConnection] = []

    async def slow(url: URL) -> psycopg.AsyncConnection:
        opening.set()
        await may_open.wait()
        opened.append(await sessions.connect(url))
        return opened[0]

    monkeypatch.setattr(locks, "connect", slow)
    one = leadership(replicated, owner="one")
    taking = asyncio.create_task(one.acquire(CONNECTION))
    await opening.wait()
    taking.cancel()
    ending = asyncio.create_task(one.close())
    await asyncio.wait([taking])
    may_open.set()
    await ending

    assert [session.closed for session in opened] == [True]
    monkeypatch.undo()
    other = leadership(replicated, owner="other")
    assert await other.acquire(CONNECTION)
    await other.close()
