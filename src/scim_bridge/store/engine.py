"""The store: where transactions run.

A transaction is one synchronous function that takes a :class:`sqlalchemy.engine.Connection`; so no ``await`` can stand
inside one. The functions themselves are in the other modules of this package.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Literal, Protocol, TypeVar

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from scim_bridge.errors import StoreConfigurationError, StoreError, StoreUnavailableError, StoreUnreachableError
from scim_bridge.store.connector_state import probe
from scim_bridge.store.failures import cause_of, is_transient
from scim_bridge.store.postgresql import PostgresqlDatabase
from scim_bridge.store.prepared import Prepared
from scim_bridge.store.sqlite import SqliteDatabase
from scim_bridge.store.transaction import Transaction

__all__ = ["Store"]

T = TypeVar("T")
Work = Callable[[Transaction], T]
Rows = list[tuple[Any, ...]]
Access = Literal["reading", "writing"]

AGAIN = 1.0
"""Seconds between two attempts to open a database that does not answer yet."""

logger = logging.getLogger("scim_bridge.store")


class Database(Protocol):
    """What the two databases do differently. Methods with ``inline`` run on the calling thread."""

    alone: bool
    """Whether no other process has the file."""

    async def read(self, work: Work[T]) -> T:
        """Run a bounded read."""

    async def scan(self, work: Work[T]) -> T:
        """Run a read that may look at many rows."""

    async def ask(self, statement: Prepared, values: Mapping[str, Any]) -> Rows:
        """Run one statement that reads by key."""

    async def write(self, work: Work[T], *, apart: bool = False) -> T:
        """Run a transaction; durable on return. ``apart``: with a COMMIT that it shares with no other."""

    async def write_later(self, work: Work[T]) -> None:
        """Run a transaction, before any that is begun afterwards; it need not be durable on return."""

    def read_inline(self, work: Work[T]) -> T:
        """Run a read."""

    def write_inline(self, work: Work[T]) -> T:
        """Run a transaction; durable on return."""

    async def close(self) -> None:
        """Finish what was begun and let go."""


class Availability:
    """Whether a store answers.

    :param clock: Tells seconds, for how long it did not.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failing: set[Access] = set()
        self._since = 0.0

    @property
    def down(self) -> bool:
        """Whether what was tried last failed; a write that fails is not mended by reads."""
        return bool(self._failing)

    def failed(self, access: Access, error: SQLAlchemyError) -> None:
        """Note a failure; the first is told."""
        if not self._failing:
            self._since = self._clock()
            logger.error("the store is unavailable, nothing is accepted: %s (%s)", cause_of(error), access)
        self._failing.add(access)

    def worked(self, access: Access) -> None:
        """Note that a transaction ended; the first after a failure is told."""
        if not self._failing:
            return
        self._failing -= {"reading", access}
        if not self._failing:
            logger.warning("the store is available again, after %.0f s", self._clock() - self._since)


class Store:
    """The database of the bridge. Open it with :meth:`open`.

    :param url: Where it is.
    :param database: What runs the work.
    :param threads: Whether work may run on other threads.
    """

    def __init__(self, url: URL, database: Database, *, threads: bool) -> None:
        self.url = url
        self.dialect: Literal["sqlite", "postgresql"] = "sqlite" if url.get_backend_name() == "sqlite" else "postgresql"
        self.alone = database.alone
        """Whether no other process has the SQLite file; on PostgreSQL always true: there, leadership decides."""
        self._database = database
        self._threads = threads
        self._availability = Availability()

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        production: bool = False,
        exclusive: bool = True,
        threads: bool = True,
        wait_seconds: float = 0.0,
    ) -> "Store":
        """Migrate and check a database, and take it.

        :param url: ``sqlite:///path`` or ``postgresql+psycopg://…``.
        :param production: Whether to refuse file systems on which SQLite is not safe.
        :param exclusive: Whether an SQLite file is taken for this process alone, or shared with the server that has it.
        :param threads: Whether work may run on other threads; ``False`` for deterministic simulations.
        :param wait_seconds: For how long to wait for a database that does not answer yet.
        :raises StoreConfigurationError: in one line, what is wrong and what to change.
        :raises StoreUnreachableError: When the database does not answer.
        """
        parsed = parse(url)

        def connect() -> Database:
            if parsed.get_backend_name() == "sqlite":
                return SqliteDatabase(parsed, production=production, exclusive=exclusive)
            return PostgresqlDatabase(parsed)

        until, told = time.monotonic() + wait_seconds, False
        while True:
            try:
                with refused_plainly():
                    database = await asyncio.to_thread(connect) if threads else connect()
                return cls(parsed, database, threads=threads)
            except StoreUnreachableError as error:
                if time.monotonic() >= until:
                    raise
                if not told:
                    logger.warning("%s; waiting for it, for %.0f s at most", error, wait_seconds)
                told = True
            await asyncio.sleep(AGAIN)

    async def read(self, work: Work[T]) -> T:
        """Run a bounded read (by key, or one indexed page) and return its result.

        :raises StoreUnavailableError: when the database is locked or down.
        """
        with self._translated("reading"):
            return await self._database.read(work) if self._threads else self._database.read_inline(work)

    async def ask(self, statement: Prepared, values: Mapping[str, Any]) -> Rows:
        """Run one statement that reads by key, without a transaction around it, and return its rows.

        :raises StoreUnavailableError: when the database is locked or down.
        """
        if not self._threads:
            return await self.read(lambda tx: statement.rows(tx, values))
        with self._translated("reading"):
            return await self._database.ask(statement, values)

    async def scan(self, work: Work[T]) -> T:
        """Run a read that may look at many rows; never on the event loop's thread.

        :raises StoreUnavailableError: when the database is locked or down.
        """
        with self._translated("reading"):
            return await self._database.scan(work) if self._threads else self._database.read_inline(work)

    async def write(self, work: Work[T]) -> T:
        """Run a whole transaction and return its result once it is durable.

        An error of ``work`` rolls back this transaction alone and is raised again. A cancelled caller does not undo
        the transaction.

        :raises StoreUnavailableError: when the database is locked, full or down; nothing was accepted.
        """
        within = _in_this_context(work)
        with self._translated("writing"):
            return await self._database.write(within) if self._threads else self._database.write_inline(within)

    async def write_apart(self, work: Work[T]) -> T:
        """Run a whole transaction that no request waits for: when it fails, nothing else does.

        :raises StoreUnavailableError: when the database is locked, full or down.
        """
        with self._translated("writing"):
            if self._threads:
                return await self._database.write(work, apart=True)
            return self._database.write_inline(work)

    async def write_later(self, work: Work[T]) -> None:
        """Run a transaction that may be lost if the process dies within a moment: SQLite adds it to the next commit.

        What this process writes afterwards comes after it.

        :raises StoreUnavailableError: when the database is locked, full or down; on SQLite nobody is told.
        """
        within = _in_this_context(work)
        with self._translated("writing"):
            await self._database.write_later(within) if self._threads else self._database.write_inline(within)

    async def close(self) -> None:
        """Finish the transactions that were begun and let go of the database."""
        await self._database.close()

    async def answers(self) -> bool:
        """Tell whether the database answers; after a write that failed, whether one works again."""
        try:
            if self._availability.down:
                await self.write(probe)
            else:
                await self.read(lambda tx: tx.exec_driver_sql("SELECT 1").scalar())
        except StoreError:
            return False
        return True

    @contextmanager
    def _translated(self, access: Access) -> Iterator[None]:
        """Turn errors of the database into the store's; those of the work itself pass."""
        try:
            yield
        except SQLAlchemyError as error:
            if is_transient(error):
                self._availability.failed(access, error)
                raise StoreUnavailableError("the store is not available; nothing was accepted, retry") from error
            raise StoreError("the store failed") from error
        self._availability.worked(access)


def _in_this_context(work: Work[T]) -> Work[T]:
    """Let work know who acts, and for which request, on another thread, too."""
    context = copy_context()
    return lambda tx: context.run(work, tx)


@contextmanager
def refused_plainly() -> Iterator[None]:
    """Turn what goes wrong while a database is opened into one line without values of its URL."""
    try:
        yield
    except SQLAlchemyError as error:
        kind = StoreUnreachableError if is_transient(error) else StoreConfigurationError
        raise kind(f"[store] url: the database cannot be opened: {cause_of(error)}") from error
    except (TypeError, ValueError) as error:  # of an option whose value is none
        raise StoreConfigurationError("[store] url: an option of the url has no valid value") from error


def parse(url: str) -> URL:
    """Return the parts of a ``[store] url``. :raises StoreConfigurationError: When it is none."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: of a port that is no number
        parsed = None
    if parsed is None or parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise StoreConfigurationError(
            "[store] url is neither sqlite:///path/to/scim-bridge.db nor postgresql+psycopg://user:password@host/name"
        )
    return parsed
