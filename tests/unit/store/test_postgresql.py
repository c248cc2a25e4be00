"""PostgreSQL as the store of several processes: settings, locks and outages."""

import asyncio
import threading
from dataclasses import replace

import pytest

from scim_bridge.errors import StoreConfigurationError, StoreUnavailableError, StoreUnreachableError
from scim_bridge.store import postgresql, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import CONNECTION, row_of, user
from tests.hang_guard import HANG_SECONDS
from tests.postgresql import PostgresqlServer


async def test_sessions_give_up_in_time_and_commit_durably(postgresql_url: str) -> None:
    """Every pooled session has its timeouts, READ COMMITTED and a synchronous commit."""
    store = await Store.open(postgresql_url)
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_isolation")

    def settings(tx: Transaction) -> list[str]:
        return [tx.exec_driver_sql(f"SHOW {name}").scalar_one() for name in (*names, "synchronous_commit")]

    assert await store.write(settings) == ["5s", "3s", "10s", "read committed", "on"]
    await store.close()


async def test_a_server_that_loses_commits_is_refused(postgresql_url: str) -> None:
    """``synchronous_commit = off`` stops the start, with what to change."""
    with pytest.raises(StoreConfigurationError, match=r"synchronous_commit = off; the store needs on"):
        await Store.open(f"{postgresql_url}?options=-csynchronous_commit%3Doff")


async def test_a_server_that_is_down_is_told_in_one_line_without_values() -> None:
    """The message has the reason; neither host nor user nor a parameter, which can be a secret."""
    with pytest.raises(StoreUnreachableError) as caught:
        await Store.open("postgresql+psycopg://bridge:hunter2@127.0.0.1:1/bridge?application_name=hunter3")
    assert str(caught.value) == "[store] url: the database cannot be opened: the server cannot be reached"


async def test_a_database_or_an_option_that_is_none_is_told_without_its_name(postgresql_url: str) -> None:
    """What libpq says quotes both."""
    with pytest.raises(StoreConfigurationError, match=r"there is no database, or no user, of this name$"):
        await Store.open(postgresql_url.rpartition("/")[0] + "/hunter2")
    with pytest.raises(StoreConfigurationError, match=r"an option of the url is not known$"):
        await Store.open(f"{postgresql_url}?hunter2=3")


async def test_a_locked_row_waits_its_turn_and_then_gives_up(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second transaction waits for the row; beyond the lock timeout it is refused as transient."""
    monkeypatch.setitem(postgresql.SETTINGS, "lock_timeout", "300ms")
    store = await Store.open(postgresql_url)
    row = row_of(user("ada"))
    await store.write(lambda tx: resources.insert(tx, row, user("ada")))
    locked, release = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        resources.get(tx, CONNECTION, "User", row.id, lock=True)
        locked.set()
        release.wait(HANG_SECONDS)

    holder = asyncio.create_task(store.write(hold))
    await asyncio.to_thread(locked.wait, HANG_SECONDS)
    assert await store.read(lambda tx: resources.get(tx, CONNECTION, "User", row.id)) == row
    with pytest.raises(StoreUnavailableError):
        await store.write(lambda tx: resources.get(tx, CONNECTION, "User", row.id, lock=True))
    release.set()
    await holder
    await store.write(lambda tx: resources.save(tx, replace(row, version=2)))
    await store.close()


async def test_concurrent_changes_of_a_locked_row_are_all_counted(postgresql_url: str) -> None:
    """Read, change, write under a row lock loses no update."""
    store = await Store.open(postgresql_url)
    row = row_of(user("ada"))
    await store.write(lambda tx: resources.insert(tx, row, user("ada")))

    def count(tx: Transaction) -> None:
        found = resources.get(tx, CONNECTION, "User", row.id, lock=True)
        assert found is not None
        resources.save(tx, replace(found, version=found.version + 1))

    await asyncio.gather(*(store.write(count) for _ in range(24)))
    found = await store.read(lambda tx: resources.get(tx, CONNECTION, "User", row.id))
    await store.close()
    assert found is not None
    assert found.version == 25


async def test_replicas_that_start_together_migrate_once(postgresql_server: PostgresqlServer) -> None:
    """Several processes may open an empty database at the same time; all of them work."""
    name = postgresql_server.create_database(migrated=False)
    stores = await asyncio.gather(*(Store.open(postgresql_server.url(name)) for _ in range(4)))
    row = row_of(user("ada"))
    await stores[0].write(lambda tx: resources.insert(tx, row, user("ada")))
    found = [await store.read(lambda tx: resources.get(tx, CONNECTION, "User", row.id)) for store in stores]
    for store in stores:
        await store.close()
    postgresql_server.drop_database(name)
    assert found == [row] * 4
