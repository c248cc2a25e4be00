"""SQLite as the store of one process: safe settings, refusals, group commit and failures."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from scim_bridge.errors import StoreConfigurationError, StoreError, StoreUnavailableError
from scim_bridge.store import connector_state, sqlite, writer
from scim_bridge.store.engine import Store
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import CONNECTION, NOON


def put(key: str, size: int = 1) -> Any:
    """Return work that writes a key."""
    return lambda tx: connector_state.put(tx, CONNECTION, key, {"x": "x" * size}, NOON)


def got(key: str) -> Any:
    """Return work that reads a key."""
    return lambda tx: connector_state.get(tx, CONNECTION, key)


def path_of(url: str) -> Path:
    """Return the file of a URL."""
    return Path(url.removeprefix("sqlite:///"))


async def test_an_acknowledged_write_survives_a_power_cut_by_setting(sqlite_url: str) -> None:
    """The writer runs with a write-ahead log that is flushed at every commit, and tables are strict."""
    store = await Store.open(sqlite_url)

    def settings(tx: Transaction) -> list[Any]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "trusted_schema", "cell_size_check")
        return [tx.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    assert await store.write(settings) == ["wal", 2, 1, 5000, 0, 1]
    tables = await store.read(lambda tx: tx.exec_driver_sql("PRAGMA table_list").all())
    ours = [row for row in tables if not row[1].startswith(("sqlite_", "alembic_"))]
    assert len(ours) > 5
    assert all(row[5] == 1 for row in ours), "STRICT"
    with pytest.raises(StoreError):
        await store.read(put("key"))  # a reading connection cannot write
    await store.close()
    assert path_of(sqlite_url).stat().st_mode & 0o777 == 0o600


async def test_a_second_process_is_refused(sqlite_url: str) -> None:
    """The file belongs to one process; another is told so, in one line, and may have it afterwards."""
    store = await Store.open(sqlite_url)
    with pytest.raises(StoreConfigurationError, match=r"in use by another scim-bridge process") as caught:
        await Store.open(sqlite_url)
    assert "\n" not in str(caught.value)
    await store.close()
    await (await Store.open(sqlite_url)).close()


async def test_a_database_that_others_can_read_is_refused(sqlite_url: str) -> None:
    """The file holds personal data: its mode must be 0600, and the message says how."""
    await (await Store.open(sqlite_url)).close()
    path_of(sqlite_url).chmod(0o644)
    with pytest.raises(StoreConfigurationError, match=r"mode 0644.*chmod 600"):
        await Store.open(sqlite_url)


async def test_a_directory_in_which_others_can_replace_the_database_is_refused(sqlite_url: str) -> None:
    """Whoever may write there may put another database in its place; a sticky directory, as /tmp is, lets nobody."""
    folder = path_of(sqlite_url).parent
    folder.chmod(0o777)
    with pytest.raises(StoreConfigurationError, match=r"mode 0777.*chmod go-w"):
        await Store.open(sqlite_url)
    folder.chmod(0o1777)
    await (await Store.open(sqlite_url)).close()


async def test_a_damaged_database_is_refused(sqlite_url: str) -> None:
    """Damage is found at the start, not in the middle of a deprovisioning."""
    store = await Store.open(sqlite_url)
    for number in range(200):
        await store.write(put(f"key-{number}", 500))
    await store.close()
    path = path_of(sqlite_url)
    content = bytearray(path.read_bytes())
    for page in range(len(content) // 8192, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(content)
    with pytest.raises(StoreConfigurationError, match=r"damaged|cannot be opened"):
        await Store.open(sqlite_url)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////no/such/directory/x.db",
        "mysql://x/y",
        "nonsense",
        "postgresql://x/y",
    ],
)
async def test_an_impossible_url_is_refused_in_one_line(url: str) -> None:
    """A wrong URL stops the start with what is wrong."""
    with pytest.raises(StoreConfigurationError) as caught:
        await Store.open(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "production", "refused"),
    [("overlay", True, True), ("nfs4", True, True), ("ext4", True, False), ("tmpfs", False, False)],
)
async def test_production_refuses_file_systems_that_lose_data(
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    production: bool,
    refused: bool,
) -> None:
    """Network file systems, overlays and memory are refused in production, and only there."""
    monkeypatch.setattr(sqlite, "file_system_of", lambda _: kind)
    if refused:
        with pytest.raises(StoreConfigurationError, match=kind):
            await Store.open(sqlite_url, production=production)
    else:
        await (await Store.open(sqlite_url, production=production)).close()


def test_the_file_system_of_a_path_comes_from_the_mount_table() -> None:
    """The longest mount point wins."""
    assert sqlite.file_system_of(Path("/proc/self")) == "proc"


async def test_writes_that_queue_up_share_one_commit(sqlite_url: str) -> None:
    """What arrives during a commit is committed together, and nobody is answered before."""
    store = await Store.open(sqlite_url)
    gate = threading.Event()
    commits = 0

    def count(_connection: Transaction) -> None:
        nonlocal commits
        commits += 1

    first = asyncio.create_task(store.write(lambda _: gate.wait(10)))
    await asyncio.sleep(0)
    event.listen(Engine, "commit", count)
    others = [asyncio.create_task(store.write(put(f"key-{number}"))) for number in range(50)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in others)
    gate.set()
    await asyncio.gather(first, *others)
    event.remove(Engine, "commit", count)
    found = [await store.read(got(f"key-{number}")) for number in range(50)]
    await store.close()
    assert commits <= 3
    assert None not in found


async def test_writes_that_are_ready_at_the_same_moment_share_one_commit(sqlite_url: str) -> None:
    """The first of them does not go ahead alone, and whoever was answered together writes together again."""
    store = await Store.open(sqlite_url)
    commits = 0

    def count(_connection: Transaction) -> None:
        nonlocal commits
        commits += 1

    async def client(number: int) -> None:
        for turn in range(3):
            time.sleep(0.001)  # as others on the loop take: meanwhile the writer could go ahead
            await store.write(put(f"{number} {turn}"))

    event.listen(Engine, "commit", count)
    await asyncio.gather(*map(client, range(20)))
    event.remove(Engine, "commit", count)
    await store.close()
    assert commits == 3


async def test_what_may_wait_shares_the_next_commit_and_comes_before_it(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs no commit of its own; when nothing follows it is written all the same, at the latest on closing."""
    store = await Store.open(sqlite_url)
    commits = 0

    def count(_connection: Transaction) -> None:
        nonlocal commits
        commits += 1

    event.listen(Engine, "commit", count)
    await store.write_later(put("first", 1))
    await store.write(put("first", 2))
    assert commits == 1
    monkeypatch.setattr(writer, "LATER", 0.01)
    await store.write_later(put("alone"))
    while not await store.read(got("alone")):
        await asyncio.sleep(0.01)
    event.remove(Engine, "commit", count)
    await store.write_later(put("last"))
    await store.close()
    store = await Store.open(sqlite_url)
    assert await store.read(got("first")) == {"x": "xx"}
    assert await store.read(got("last")) == {"x": "x"}
    await store.close()


async def test_a_full_disk_accepts_nothing_and_the_store_recovers(sqlite_url: str) -> None:
    """When the database cannot grow, every write of the batch is refused as transient; with room again, writes work."""
    store = await Store.open(sqlite_url)
    pages = await store.write(lambda tx: tx.exec_driver_sql("PRAGMA page_count").scalar_one())
    await store.write(lambda tx: tx.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}").scalar_one())
    outcomes = await asyncio.gather(
        *(store.write(put(f"key-{number}", 30_000)) for number in range(3)), return_exceptions=True
    )
    assert any(isinstance(outcome, StoreUnavailableError) for outcome in outcomes)
    for number, outcome in enumerate(outcomes):
        found = await store.read(got(f"key-{number}"))
        assert (found is None) == isinstance(outcome, StoreUnavailableError)
    await store.write(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count = 1000000").scalar_one())
    await store.write(put("afterwards"))
    assert await store.read(lambda tx: connector_state.get(tx, CONNECTION, "afterwards")) is not None
    await store.close()


async def test_a_locked_database_is_transient(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock held by somebody else's tool refuses a write as transient and leaves reads alone."""
    monkeypatch.setitem(sqlite.WRITER_PRAGMAS, "busy_timeout", 20)
    store = await Store.open(sqlite_url)
    await store.write(put("before"))
    intruder = sqlite3.connect(path_of(sqlite_url), isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError) as caught:
        await store.write(put("during"))
    assert caught.value.status == 429
    assert await store.read(lambda tx: connector_state.get(tx, CONNECTION, "before")) is not None
    intruder.execute("ROLLBACK")
    intruder.close()
    await store.write(put("during"))
    await store.close()


async def test_a_closed_store_says_so(sqlite_url: str) -> None:
    """Nothing waits for ever on a store that is closed; closing twice is fine."""
    store = await Store.open(sqlite_url)
    await store.close()
    await store.close()
    with pytest.raises(StoreError):
        await store.write(put("key"))


async def test_a_store_without_threads_runs_everything_in_place(sqlite_url: str) -> None:
    """For simulations, work runs on the caller's thread, in order."""
    store = await Store.open(sqlite_url, threads=False)
    here = threading.get_ident()
    assert [await run(lambda _: threading.get_ident()) for run in (store.read, store.scan, store.write)] == [here] * 3
    await store.write(put("key"))
    assert await store.read(lambda tx: connector_state.get(tx, CONNECTION, "key")) is not None
    await store.close()


async def test_a_copy_of_the_files_of_a_running_store_holds_what_was_acknowledged(
    sqlite_url: str, tmp_path: Path
) -> None:
    """What was acknowledged is in the files at that instant: a process killed then loses none of it."""
    store = await Store.open(sqlite_url)
    copy = tmp_path / "copy.db"
    for number in range(20):
        await store.write(put(f"key-{number}"))
    shutil.copy(path_of(sqlite_url), copy)
    shutil.copy(f"{path_of(sqlite_url)}-wal", f"{copy}-wal")
    await store.close()
    again = await Store.open(f"sqlite:///{copy}")
    found = [await again.read(got(f"key-{number}")) for number in range(20)]
    await again.close()
    assert None not in found


WITHOUT_POSTGRESQL = """
import asyncio, sys
import scim_bridge.app
from scim_bridge.store.engine import Store
from scim_bridge.store.leadership import leadership
from scim_bridge.store.notifications import CHANNEL, listening

async def main():
    store = await Store.open(sys.argv[1])
    await leadership(store).acquire("corp")
    async with listening(store, [CHANNEL], print):
        pass
    await store.close()

asyncio.run(main())
print("psycopg" in sys.modules)
"""


def test_the_driver_of_postgresql_is_not_loaded_for_sqlite(sqlite_url: str) -> None:
    """It would take 9 MiB."""
    arguments = [sys.executable, "-c", WITHOUT_POSTGRESQL, sqlite_url]
    told = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "False"
