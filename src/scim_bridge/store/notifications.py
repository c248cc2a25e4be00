"""Wake-ups between processes, by PostgreSQL's NOTIFY and LISTEN.

A notification is only a wake-up: the row is the truth, payloads carry ids, and those that are sent while a listener
reconnects are lost. So a listener says when it had to reconnect, and whoever waits also looks from time to time.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from scim_bridge.store.engine import Store
from scim_bridge.store.sessions import connect

RECONNECT_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
"""The waits between attempts to reconnect; the last one repeats."""

CHANNEL = "scim_bridge"
"""The channel of a bridge's own notifications, which :func:`wake` and :func:`announce` send and :func:`about` reads."""

Callback = Callable[[str, str | None], None]
"""Called on the event loop with a channel and a payload; with ``None`` when notifications may have been lost."""


def notify(tx: Connection, channel: str, payload: str) -> None:
    """Send a notification, delivered exactly when the transaction commits. On SQLite there is nobody to wake.

    :param payload: Ids only; at most 8,000 bytes.
    """
    if tx.dialect.name == "postgresql":
        tx.execute(select(func.pg_notify(channel, payload)))


def wake(tx: Connection, connection_id: str) -> None:
    """Say that a connection has work: who drives it looks."""
    notify(tx, CHANNEL, f"intent {connection_id}")


def announce(tx: Connection, connection_id: str, resource_id: str) -> None:
    """Say that something came of a resource: who waits for it looks."""
    notify(tx, CHANNEL, f"outcome {connection_id} {resource_id}")


def about(payload: str) -> tuple[str, str | None]:
    """Return the connection that a notification of a bridge is about, and the resource; ``None``: there is work."""
    _, connection_id, *resource_id = payload.split(" ")
    return connection_id, resource_id[0] if resource_id else None


class Listener:
    """Listens on channels for as long as the block lasts; on SQLite it hears nothing.

    :param store: The store.
    :param channels: The channels.
    :param callback: What to do; it must not block.
    """

    def __init__(self, store: Store, channels: Sequence[str], callback: Callback) -> None:
        self._store = store
        self._channels = tuple(channels)
        self._callback = callback
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def __aenter__(self) -> Self:
        if self._store.dialect == "postgresql":
            self._task = asyncio.create_task(self._run(), name="scim-bridge notifications")
            await self._ready.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        attempt = 0
        while True:
            with suppress(psycopg.Error, OSError):
                session = await connect(self._store.url)
                try:
                    for channel in self._channels:
                        await session.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                    attempt = 0
                    self._tell_of_gap()
                    async for notification in session.notifies():
                        self._callback(notification.channel, notification.payload)
                finally:
                    await session.close()
            self._ready.set()  # a server that is down does not keep the process from starting
            await asyncio.sleep(RECONNECT_SECONDS[min(attempt, len(RECONNECT_SECONDS) - 1)])
            attempt += 1

    def _tell_of_gap(self) -> None:
        """After a reconnection, say that notifications may have been lost."""
        if self._ready.is_set():
            for channel in self._channels:
                self._callback(channel, None)
        self._ready.set()
