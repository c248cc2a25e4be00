"""The bridge's real SQLite store in a simulation's hands: it can be busy, and it can be dropped as by a crash."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from sqlalchemy.engine import URL, Dialect, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.util import LRUCache

from scim_bridge.store import engine, sqlite
from scim_bridge.store.transaction import Transaction
from tests.faults.simulation.loop import PROCESS
from tests.faults.simulation.weather import Weather

T = TypeVar("T")


class InlineWriter:
    """Stands in for the writer thread, which a store without threads never uses."""

    def __init__(self, connection: Transaction) -> None:
        self.connection = connection

    async def stop(self) -> None:
        """Do nothing."""


class SimulatedSqlite(sqlite.SqliteDatabase):
    """An SQLite database of a simulated process.

    :param weather: Tells when it is busy.
    """

    weather: Weather

    def __init__(self, url: URL, *, production: bool, exclusive: bool = True) -> None:
        super().__init__(url, production=production, exclusive=exclusive)
        # A crash of the process loses nothing that was written; only a power cut would, which another test plays.
        driver: Any = self._writer_connection.connection.driver_connection
        driver.execute("PRAGMA synchronous=0")
        self._open = True
        process = PROCESS.get()
        if process is not None:
            process.at_death.append(self._drop)

    async def close(self) -> None:
        """Release the files."""
        self._drop()

    def read_inline(self, work: Callable[[Transaction], T]) -> T:
        """Run a read, unless the database is busy."""
        self._check("read")
        return super().read_inline(work)

    def write_inline(self, work: Callable[[Transaction], T]) -> T:
        """Run a transaction, unless the database is busy."""
        self._check("write")
        result = super().write_inline(work)
        self.weather.committed()
        return result

    def _check(self, what: str) -> None:
        if not self._open or self.weather.database_is_busy(what):
            busy = sqlite3.OperationalError("database is locked")
            busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise OperationalError("BEGIN", {}, busy)

    def _drop(self) -> None:
        """Let go of the files as the kernel does when a process ends."""
        if self._open:
            self._open = False
            self._scans.shutdown(wait=False)
            self._dispose()


_COMPILED: LRUCache[Any, Any] = LRUCache(2_000)
_DIALECTS: dict[str, Dialect] = {}
"""By how transactions begin."""
_engine = sqlite._engine


def _sharing_engine(path: Path, begin: str, *arguments: Any) -> Engine:
    """Make an engine of the store; a history makes many, and compiling their statements again takes half its time."""
    made = _engine(path, begin, *arguments)
    # What is compiled belongs to a dialect, and SQLAlchemy shares it between engines of one pool only.
    made.dialect = made.pool._dialect = _DIALECTS.setdefault(begin, made.dialect)
    made._compiled_cache = _COMPILED
    return made


@contextmanager
def simulated_databases(weather: Weather) -> Iterator[None]:
    """Let every store that is opened inside be one of a simulated process."""
    kind = type("SimulatedSqlite", (SimulatedSqlite,), {"weather": weather})
    with (
        mock.patch.object(engine, "SqliteDatabase", kind),
        mock.patch.object(sqlite, "Writer", InlineWriter),
        mock.patch.object(sqlite, "_engine", _sharing_engine),
        mock.patch.object(sqlite, "check_integrity"),
    ):
        yield


class Template:
    """A migrated database with what every history begins with, made once and copied.

    :param directory: Where it lies.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "template.db"

    async def make(self, fill: Callable[[Transaction], Any]) -> None:
        """Migrate and fill it."""
        store = await engine.Store.open(f"sqlite:///{self.path}")
        await store.write(fill)
        await store.close()
        with sqlite3.connect(self.path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def copy_to(self, path: Path) -> None:
        """Begin a history."""
        shutil.copyfile(self.path, path)
        path.chmod(0o600)
