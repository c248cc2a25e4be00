"""SQLite as the store of one process: settings, checks and connections.

WAL with ``synchronous=FULL``: an acknowledged commit survives a power cut.
"""

import asyncio
import fcntl
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from scim_bridge.errors import StoreConfigurationError, StoreInUseError
from scim_bridge.store import migrations
from scim_bridge.store.failures import is_transient
from scim_bridge.store.prepared import Prepared, translated
from scim_bridge.store.transaction import Transaction
from scim_bridge.store.writer import Writer

T = TypeVar("T")

OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables."""

LOCK_SECONDS = 3.0
"""How long a server waits for a command that has the file for a moment."""

READERS = 4
"""Connections, and threads, of reads that may scan."""

UNSAFE_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "fuse.sshfs",
        "overlay",
        "tmpfs",
        "ramfs",
    }
)
"""File systems that lie about locks or durability, or vanish with the container."""

WRITER_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "busy_timeout": 5000,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "wal_autocheckpoint": 1000,
}
READER_PRAGMAS = {"query_only": 1, "trusted_schema": 0, "cell_size_check": 1}


class DatabaseFile:
    """The database file of this process, locked against every other process until :meth:`release`.

    :param url: ``sqlite:///path``.
    :param production: Whether to refuse file systems on which SQLite is not safe.
    :param exclusive: Whether to refuse a file that another process has, or to work beside it.
    :raises StoreConfigurationError: when the file cannot be used safely.
    """

    def __init__(self, url: URL, *, production: bool, exclusive: bool = True) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreConfigurationError(
                f"SQLite {sqlite3.sqlite_version} is too old; use a Python built with SQLite 3.37 or newer"
            )
        if url.database in (None, "", ":memory:"):
            raise StoreConfigurationError("[store] url names no file; write sqlite:///path/to/scim-bridge.db")
        self.path = Path(str(url.database)).absolute()
        if not self.path.parent.is_dir():
            raise StoreConfigurationError(f"the directory {self.path.parent} does not exist; create it")
        if production:
            self._refuse_unsafe_file_system()
        self._lock = self._take_lock(exclusive=exclusive)
        try:
            self._create()
        except BaseException:
            self.release()
            raise

    def _refuse_unsafe_file_system(self) -> None:
        kind = file_system_of(self.path.parent)
        if kind in UNSAFE_FILE_SYSTEMS:
            raise StoreConfigurationError(
                f"{self.path} is on a file system of type {kind}, on which SQLite may lose what it acknowledged; "
                "put it on a local disk or use PostgreSQL"
            )

    @property
    def shared(self) -> bool:
        """Whether another process has the database, and this one only works beside it."""
        return self._lock is None

    def _take_lock(self, *, exclusive: bool) -> int | None:
        lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # A command that runs for a moment must not keep a server from starting.
        until = time.monotonic() + (LOCK_SECONDS if exclusive else 0.0)
        while not _locked(lock):
            if time.monotonic() < until:
                time.sleep(0.05)
                continue
            os.close(lock)
            if not exclusive:
                return None
            raise StoreInUseError(
                f"{self.path} is in use by another scim-bridge process; stop it, or use PostgreSQL for several"
            )
        return lock

    def _create(self) -> None:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        folder = stat.S_IMODE(self.path.parent.stat().st_mode)
        if folder & 0o022 and not folder & stat.S_ISVTX:
            raise StoreConfigurationError(
                f"other accounts of this machine can replace files in {self.path.parent} (mode {folder:04o}); "
                f"run: chmod go-w {self.path.parent}"
            )
        mode = stat.S_IMODE(self.path.stat().st_mode)
        if mode & 0o077:
            raise StoreConfigurationError(
                f"{self.path} can be read by other accounts of this machine (mode {mode:04o}); "
                f"run: chmod 600 {self.path}"
            )

    def release(self) -> None:
        """Let other processes have the file."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def file_system_of(path: Path) -> str:
    """Return the type of the file system a path is on, from the mount table; empty where there is none."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return ""
    best, kind = "", ""
    for line in mounts.read_text(encoding="utf-8").splitlines():
        _, mount, candidate, *_ = line.split(" ")
        mount = mount.encode().decode("unicode_escape")
        if path.resolve().is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, candidate
    return kind


def _set(connection: sqlite3.Connection, pragmas: dict[str, Any]) -> None:
    """Make settings and read them back. :raises StoreConfigurationError: When SQLite does not take one."""
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name} = {value}")
        if (found := connection.execute(f"PRAGMA {name}").fetchone()) != (value,):
            raise StoreConfigurationError(f"SQLite does not accept PRAGMA {name} = {value}; it has {found}")


def _engine(path: Path, begin: str, pragmas: dict[str, Any], size: int) -> Engine:
    """Return an engine whose transactions start with ``begin`` and whose settings were read back."""
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_reset_on_return=None,
        hide_parameters=True,  # they are personal data, and the text of an error travels
        connect_args={"check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own transaction control would break SAVEPOINT and make migrations unsafe.
        connection.isolation_level = None
        try:
            _set(connection, pragmas)
        except BaseException:
            connection.close()  # the pool never had it
            raise

    def start(connection: sqlite3.Connection) -> None:
        connection.execute(begin)

    # Not a listener of "begin": one listener makes every statement of the engine a third slower.
    engine.dialect.do_begin = start  # type: ignore[assignment,method-assign] # see above
    return engine


def writer_engine(path: Path) -> Engine:
    """Return the engine of the one connection that writes."""
    return _engine(path, "BEGIN IMMEDIATE", WRITER_PRAGMAS, 1)


def reader_engine(path: Path, *, size: int, busy_timeout: int) -> Engine:
    """Return an engine of connections that cannot write.

    :param busy_timeout: Milliseconds to wait for a lock.
    """
    return _engine(path, "BEGIN", READER_PRAGMAS | {"busy_timeout": busy_timeout}, size)


def check_integrity(connection: Transaction, path: Path) -> None:
    """Refuse a damaged database.

    :raises StoreConfigurationError: with what SQLite found.
    """
    try:
        finding = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    except DBAPIError as error:
        finding = str(error.orig)
    if finding != "ok":
        raise StoreConfigurationError(f"{path} is damaged ({finding}); restore a backup")


class SqliteDatabase:
    """An SQLite database, taken by this process.

    :param url: ``sqlite:///path``.
    :param production: Whether to refuse file systems on which SQLite is not safe.
    :param exclusive: Whether to take it alone. A command beside a running server does not: it reads, and writes single
        short transactions, and drives nothing.
    :raises StoreConfigurationError: when the database cannot be used safely.
    """

    def __init__(self, url: URL, *, production: bool, exclusive: bool = True) -> None:
        self._file = DatabaseFile(url, production=production, exclusive=exclusive)
        self.alone = not self._file.shared
        self._writer_engine = writer_engine(self._file.path)
        self._inline_engine = reader_engine(self._file.path, size=1, busy_timeout=0)
        self._scan_engine = reader_engine(self._file.path, size=READERS, busy_timeout=5000)
        self._scans = ThreadPoolExecutor(READERS, "scim-bridge store reader")
        try:
            self._writer_connection = self._writer_engine.connect()
            with self._writer_connection.begin():
                if self._file.shared:
                    migrations.require_current(self._writer_connection)
                else:
                    check_integrity(self._writer_connection, self._file.path)
                    migrations.upgrade(self._writer_connection)
            self._reader_connection = self._inline_engine.connect()
        except BaseException:
            self._dispose()
            raise
        self._writer = Writer(self._writer_connection)

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a bounded read on the calling thread; only when the database is busy, on another one."""
        try:
            return self.read_inline(work)
        except DBAPIError as error:
            if not is_transient(error):
                raise
        return await self.scan(work)

    async def ask(self, statement: Prepared, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run one statement on the calling thread; only when the database is busy, on another one."""
        dialect = self._inline_engine.dialect
        try:
            return statement.run(self._reader_connection.connection.dbapi_connection, dialect, values)
        except sqlite3.Error as error:
            if not is_transient(error):
                raise translated(error, dialect) from error
        return await self.scan(lambda tx: statement.rows(tx, values))

    async def scan(self, work: Callable[[Transaction], T]) -> T:
        """Run a read on a reader thread."""

        def run() -> T:
            with self._scan_engine.begin() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._scans, run)

    async def write(self, work: Callable[[Transaction], T], *, apart: bool = False) -> T:
        """Run a transaction on the writer thread."""
        result: T = await self._writer.submit(work, apart=apart)
        return result

    async def write_later(self, work: Callable[[Transaction], T]) -> None:
        """Queue a transaction that waits for others, and is waited for by nobody."""
        # Nobody would look at its error, and asyncio would log that with a traceback.
        self._writer.submit(work, later=True).add_done_callback(lambda ended: ended.cancelled() or ended.exception())

    def read_inline(self, work: Callable[[Transaction], T]) -> T:
        """Run a read on the calling thread."""
        with self._reader_connection.begin():
            return work(self._reader_connection)

    def write_inline(self, work: Callable[[Transaction], T]) -> T:
        """Run a transaction on the calling thread. Never together with :meth:`write`."""
        with self._writer_connection.begin():
            return work(self._writer_connection)

    async def close(self) -> None:
        """Finish what is queued and release the file."""
        await self._writer.stop()
        self._scans.shutdown()
        self._dispose()

    def _dispose(self) -> None:
        for name in ("_reader_connection", "_writer_connection"):
            if hasattr(self, name):
                getattr(self, name).close()
        for engine in (self._inline_engine, self._scan_engine, self._writer_engine):
            engine.dispose()
        self._file.release()
