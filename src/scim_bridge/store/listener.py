"""Listening to PostgreSQL's notifications (:mod:`scim_bridge.store.notifications`)."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from scim_bridge.store.sessions import connect

RECONNECT_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
"""The waits between attempts to reconnect; the last one repeats."""

Callback = Callable[[str, str | None], None]
"""Called on the event loop with a channel and a payload; with ``None`` when notifications may have been lost."""


class Listener:
    """Listens on channels for as long as the block lasts.

    :param url: The store's URL.
    :param channels: The channels.
    :param callback: What to do; it must not block.
    """

    def __init__(self, url: URL, channels: Sequence[str], callback: Callback) -> None:
        self._url = url
        self._channels = tuple(channels)
        self._callback = callback
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def __aenter__(self) -> Self:
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
                session = await connect(self._url)
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
