"""PostgreSQL as the store of several processes: settings and checks."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import create_engine, func, select, true
from sqlalchemy.engine import URL, Engine
from sqlalchemy.pool import QueuePool

from scim_bridge.errors import StoreConfigurationError
from scim_bridge.store import migrations
from scim_bridge.store.prepared import Prepared
from scim_bridge.store.transaction import Transaction

T = TypeVar("T")

POOL_SIZE = 8
"""Connections, and worker threads, of one process."""

MIGRATION_LOCK = 7_263_001
"""Key of the advisory lock that migrations hold."""

SETTINGS = {
    "statement_timeout": "5s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "10s",
    "default_transaction_isolation": r"read\ committed",
    "timezone": "UTC",
    "client_encoding": "utf8",
}
"""Set in every pooled session. Migrations lift the statement timeout."""


def connect_arguments(url: URL, settings: dict[str, str]) -> dict[str, Any]:
    """Return the driver's arguments for a session with these settings, which notices a dead peer within seconds.

    Options that the URL itself has come first.
    """
    given = url.query.get("options", ())
    own = (f"-c {name}={value}" for name, value in settings.items())
    options = " ".join(((given,) if isinstance(given, str) else given) + tuple(own))
    return {
        "options": options,
        "connect_timeout": 5,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        "application_name": "scim-bridge",
    }


def pooled_engine(url: URL) -> Engine:
    """Return the engine of ordinary transactions."""
    return create_engine(
        url,
        poolclass=QueuePool,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=True,
        hide_parameters=True,  # they are personal data, and the text of an error travels
        connect_args=connect_arguments(url, SETTINGS),
    )


def check_settings(connection: Transaction) -> None:
    """Refuse a server whose settings lose or garble what was acknowledged.

    :raises StoreConfigurationError: naming the setting and the value it needs.
    """
    wanted = {"synchronous_commit": ("on", "remote_apply"), "server_encoding": ("UTF8",)}
    for name, values in wanted.items():
        found = connection.exec_driver_sql(f"SHOW {name}").scalar_one()
        if found not in values:
            raise StoreConfigurationError(f"PostgreSQL has {name} = {found}; the store needs {values[0]}")


class PostgresqlDatabase:
    """A PostgreSQL database. Work runs on worker threads, one for each pooled session.

    :param url: ``postgresql+psycopg://…``.
    :raises StoreConfigurationError: when the server's settings are unsafe.
    """

    alone = True
    """Leadership decides who drives."""

    def __init__(self, url: URL) -> None:
        self._engine = pooled_engine(url)
        self._threads = ThreadPoolExecutor(POOL_SIZE, "scim-bridge store")
        try:
            with self._engine.begin() as connection:
                check_settings(connection)
                if migrations.current(connection) != migrations.HEAD:
                    # Replicas that start together wait here for the first one.
                    connection.execute(select(func.set_config("statement_timeout", "0", true())))
                    connection.execute(select(func.set_config("lock_timeout", "0", true())))
                    connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
                    migrations.upgrade(connection)
        except BaseException:
            self._engine.dispose()
            raise

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a read on a worker thread."""
        return await self._run(work)

    scan = read

    async def ask(self, statement: Prepared, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run one statement on a worker thread."""
        return await self._run(lambda tx: statement.rows(tx, values))

    async def write(self, work: Callable[[Transaction], T], *, apart: bool = False) -> T:
        """Run a transaction on a worker thread; it goes on when the caller is cancelled."""
        del apart  # each has a COMMIT of its own
        return await self._run(work)

    async def write_later(self, work: Callable[[Transaction], T]) -> None:
        """Run a transaction; without the caller's waiting, what is written next might come before it."""
        await self._run(work)

    async def _run(self, work: Callable[[Transaction], T]) -> T:
        # Without the shield, the cancellation of a caller would take back a function that is still queued.
        running = asyncio.get_running_loop().run_in_executor(self._threads, self.write_inline, work)
        # Once the caller is gone nobody would look at an error, and asyncio would log that with a traceback.
        running.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return await asyncio.shield(running)

    def write_inline(self, work: Callable[[Transaction], T]) -> T:
        """Run a transaction on the calling thread."""
        with self._engine.begin() as connection:
            return work(connection)

    read_inline = write_inline

    async def close(self) -> None:
        """Finish what is queued and close the sessions."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()
