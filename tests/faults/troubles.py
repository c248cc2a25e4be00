"""What can be wrong with the database of a bridge: each trouble begins, ends, and tells if it made a difference."""

import asyncio
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scim_bridge.errors import StoreUnavailableError
from scim_bridge_hubspot.emulator import HubSpotEmulator
from tests.faults.bridges import RunningBridge, held, holdings
from tests.faults.disk import Disk
from tests.faults.lives import Client, Life, at_rest
from tests.faults.power import desires

SCALE = 10.0
"""How many times faster than in production a lock, the busy timeout and the budget are."""

CODES = {
    "disk full": ("write", sqlite3.SQLITE_FULL),
    "write error": ("write", sqlite3.SQLITE_IOERR_WRITE),
    "sync error": ("sync", sqlite3.SQLITE_IOERR_FSYNC),
}
"""What can fail, and SQLite's result code for it."""

HOLDER = """
import sqlite3, sys
for path in sys.stdin:
    connection = sqlite3.connect(path.strip(), isolation_level=None, timeout=60)
    connection.execute("BEGIN IMMEDIATE")
    print("held", flush=True)
    sys.stdin.readline()
    connection.close()
    print("free", flush=True)
"""
"""Another process: locks the database a line names until the next line."""


@dataclass(slots=True)
class Lane:
    """A bridge on a database of its own."""

    database: Path
    hubspot: HubSpotEmulator
    bridge: RunningBridge
    client: Client
    disk: Disk

    def wrong(self, one: Life) -> str:
        """Return what HubSpot or the database lacks of what somebody was told."""
        progress = self.client.progress[one.name]
        connection = sqlite3.connect(self.database)
        try:
            stored = desires(connection).get(one.email)
        finally:
            connection.close()
        return at_rest(one, progress, held(holdings(self.hubspot), one.email)) or at_rest(one, progress, stored)


class Failing:
    """Fails operations of SQLite on one file from the nth on, so many times."""

    def __init__(self, name: str, nth: int, times: int) -> None:
        self.name = name
        self._operation, self._code = CODES[name]
        self._nth, self._times = nth, times
        self.struck = 0

    def __call__(self, kind: str, path: str) -> int:
        """Return the result code of an operation."""
        if kind != self._operation or not path.endswith(("-wal", ".db")):
            return 0
        self._nth -= 1
        if self._nth > 0 or self.struck >= self._times:
            return 0
        self.struck += 1
        return self._code


class Point:
    """A trouble, and whether it made a difference."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fired = False

    async def begin(self, lane: Lane) -> None:
        """Make it wrong."""

    async def end(self, lane: Lane) -> None:
        """Make it right."""


class DiskFailure(Point):
    """A write or sync fails."""

    def __init__(self, name: str, nth: int, times: int, troubles: dict[Path, Failing]) -> None:
        super().__init__(f"{name} {'once' if times == 1 else 'lasting'}")
        self._failing = Failing(name, nth, times)
        self._troubles = troubles

    async def begin(self, lane: Lane) -> None:
        """Let operations fail."""
        self._troubles[lane.database] = self._failing

    async def end(self, lane: Lane) -> None:
        """Let them succeed again."""
        self._troubles.pop(lane.database, None)
        self.fired = self._failing.struck > 0


class FileSizeLimit(Point):
    """The kernel lets no file of this process grow beyond a size."""

    def __init__(self, limit: int) -> None:
        super().__init__("file size limit")
        self._limit = limit

    async def begin(self, lane: Lane) -> None:
        """Set the limit."""
        lane.disk.counts["failed"] = 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._limit, resource.RLIM_INFINITY))

    async def end(self, lane: Lane) -> None:
        """Lift it."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.fired = lane.disk.counts["failed"] > 0


class PageLimit(Point):
    """The database may not grow."""

    def __init__(self) -> None:
        super().__init__("page limit")

    async def begin(self, lane: Lane) -> None:
        """Let it have no more pages than it has, and use up those that are free."""
        store = lane.bridge.bridge.store

        def limit(tx: Any) -> None:
            tx.exec_driver_sql("CREATE TABLE IF NOT EXISTS filling (content)")
            pages = tx.exec_driver_sql("PRAGMA page_count").scalar()
            tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        await store.write(limit)
        filler = "INSERT INTO filling VALUES (zeroblob(200))"
        for _ in range(200):
            try:
                await store.write(lambda tx: tx.exec_driver_sql(filler))
            except StoreUnavailableError:
                self.fired = True
                return

    async def end(self, lane: Lane) -> None:
        """Let it grow."""
        await lane.bridge.bridge.store.write(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count = 1000000").close())


class Lock(Point):
    """Another process has the write lock for some time."""

    def __init__(self, seconds: float, holder: subprocess.Popen[str]) -> None:
        super().__init__(f"locked for {seconds:g} s")
        self._seconds = seconds / SCALE
        self._holder = holder
        self._release: asyncio.Task[None] | None = None

    async def begin(self, lane: Lane) -> None:
        """Lock it, and let go after the time."""
        self.fired = await asyncio.to_thread(say, self._holder, str(lane.database)) == "held"

        async def release() -> None:
            await asyncio.sleep(self._seconds)
            await asyncio.to_thread(say, self._holder, "")

        self._release = asyncio.create_task(release())

    async def end(self, lane: Lane) -> None:
        """Wait for the end of the time."""
        if self._release is not None:
            await self._release


@contextmanager
def lock_holder() -> Iterator[subprocess.Popen[str]]:
    """Run the process that locks databases, for the length of a ``with`` block."""
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        yield holder
        if holder.stdin is not None:
            holder.stdin.close()


def say(holder: subprocess.Popen[str], line: str) -> str:
    """Tell the process a line and return its answer."""
    if holder.stdin is None or holder.stdout is None:
        raise RuntimeError("the process has no pipes")
    print(line, file=holder.stdin, flush=True)
    return holder.stdout.readline().strip()
