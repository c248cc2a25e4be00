"""The store: where transactions run.

A transaction is one synchronous function that takes a :class:`sqlalchemy.engine.Connection`; so no ``await`` can stand
inside one. The functions themselves are in the other modules of this package.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol, TypeVar

from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from scim_bridge.errors import StoreConfigurationError, StoreError, StoreUnavailableError
from scim_bridge.store.failures import is_transient
from scim_bridge.store.postgresql import PostgresqlDatabase
from scim_bridge.store.sqlite import SqliteDatabase

__all__ = ["Connection", "Store"]

T = TypeVar("T")
Work = Callable[[Connection], T]


class Database(Protocol):
    """What the two databases do differently. Methods with ``inline`` run on the calling thread."""

    alone: bool
    """Whether no other process has the file."""

    async def read(self, work: Work[T]) -> T:
        """Run a bounded read."""

    async def scan(self, work: Work[T]) -> T:
        """Run a read that may look at many rows."""

    async def write(self, work: Work[T]) -> T:
        """Run a transaction; durable on return."""

    def read_inline(self, work: Work[T]) -> T:
        """Run a read."""

    def write_inline(self, work: Work[T]) -> T:
        """Run a transaction; durable on return."""

    async def close(self) -> None:
        """Finish what was begun and let go."""


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

    @classmethod
    async def open(cls, url: str, *, production: bool = False, exclusive: bool = True, threads: bool = True) -> "Store":
        """Migrate and check a database, and take it.

        :param url: ``sqlite:///path`` or ``postgresql+psycopg://…``.
        :param production: Whether to refuse file systems on which SQLite is not safe.
        :param exclusive: Whether an SQLite file is taken for this process alone, or shared with the server that has it.
        :param threads: Whether work may run on other threads; ``False`` for deterministic simulations.
        :raises StoreConfigurationError: in one line, what is wrong and what to change.
        """
        parsed = _parse(url)

        def connect() -> Database:
            if parsed.get_backend_name() == "sqlite":
                return SqliteDatabase(parsed, production=production, exclusive=exclusive)
            return PostgresqlDatabase(parsed)

        try:
            database = await asyncio.to_thread(connect) if threads else connect()
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()
            raise StoreConfigurationError(f"[store] url {parsed!r} cannot be opened: {reason[0]}") from error
        return cls(parsed, database, threads=threads)

    async def read(self, work: Work[T]) -> T:
        """Run a bounded read (by key, or one indexed page) and return its result.

        :raises StoreUnavailableError: when the database is locked or down.
        """
        with _translated():
            return await self._database.read(work) if self._threads else self._database.read_inline(work)

    async def scan(self, work: Work[T]) -> T:
        """Run a read that may look at many rows; never on the event loop's thread.

        :raises StoreUnavailableError: when the database is locked or down.
        """
        with _translated():
            return await self._database.scan(work) if self._threads else self._database.read_inline(work)

    async def write(self, work: Work[T]) -> T:
        """Run a whole transaction and return its result once it is durable.

        An error of ``work`` rolls back this transaction alone and is raised again. A cancelled caller does not undo
        the transaction.

        :raises StoreUnavailableError: when the database is locked, full or down; nothing was accepted.
        """
        with _translated():
            return await self._database.write(work) if self._threads else self._database.write_inline(work)

    async def close(self) -> None:
        """Finish the transactions that were begun and let go of the database."""
        await self._database.close()


@contextmanager
def _translated() -> Iterator[None]:
    """Turn errors of the database into the store's; those of the work itself pass."""
    try:
        yield
    except SQLAlchemyError as error:
        if is_transient(error):
            raise StoreUnavailableError("the store is not available; nothing was accepted, retry") from error
        raise StoreError("the store failed") from error


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise StoreConfigurationError(
            "[store] url is neither sqlite:///path/to/scim-bridge.db nor postgresql+psycopg://user:password@host/name"
        )
    return parsed
