"""The connector of a connection, exchanged for one with other secrets while it is in use.

A connector takes its secrets when it is opened, so other secrets need another object. It is opened beside the one in
use, has to tell the same remote system, and takes its place when no call is under way: never do two objects of one
connection work at once, each with locks and notes of its own, and none is closed under a call.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pluggy

from scim_bridge.connector import Connector
from scim_bridge.errors import ConfigurationError, ConnectorError


@dataclass(frozen=True, slots=True)
class Opened:
    """An open connector object.

    :param hooks: A plugin manager that holds it and nothing else.
    :param config: The settings that it was opened with.
    :param resources: What closes it.
    """

    connector: Connector[Any]
    hooks: pluggy.PluginManager
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)  # there are secrets in it
    resources: AsyncExitStack = field(default_factory=AsyncExitStack)


class Place:
    """Where the object stands that is in use: many call it, and one may exchange it."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self._calls = 0
        self._idle, self._free = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._free.set()

    @asynccontextmanager
    async def used(self) -> AsyncIterator[Opened]:
        """Give the object for one call. Whoever comes while it is being exchanged waits for that."""
        while not self._free.is_set():
            await self._free.wait()
        self._calls += 1
        self._idle.clear()
        try:
            yield self.opened
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    @asynccontextmanager
    async def unused(self) -> AsyncIterator[None]:
        """Wait until no call is under way, and let none begin in the ``with`` block."""
        self._free.clear()
        try:
            await self._idle.wait()
            yield
        finally:
            self._free.set()


class Renewal:
    """Exchanges the object of a connection once its secrets are others.

    :param reread: Returns the settings with the secrets as they are now.
    :param open_anew: Opens an object with settings.
    :param identify: Asks an object which remote system it is; ``None``: it cannot tell.
    """

    def __init__(
        self,
        place: Place,
        *,
        reread: Callable[[], Mapping[str, Any]],
        open_anew: Callable[[Mapping[str, Any]], Awaitable[Opened]],
        identify: Callable[[Opened], Awaitable[str | None]],
    ) -> None:
        self._place = place
        self._reread = reread
        self._open_anew = open_anew
        self._identify = identify
        self._lock = asyncio.Lock()
        self.told: tuple[str | None] | None = None
        """What the remote system told of who it is; ``None``: it has not been asked yet."""

    async def renew(self, used: Opened | None = None) -> bool:
        """Read the secrets again, and go on with them if they are others.

        :param used: With which object somebody was refused: when it is not in use any more, that has been done.
        :returns: Whether others are in use now.
        """
        async with self._lock:
            if used is not None and used is not self._place.opened:
                return True
            try:
                config = self._reread()
                if config == self._place.opened.config:
                    return False
                fresh = await self._open_anew(config)
            except (ConfigurationError, ConnectorError) as error:
                text = "the secrets that were read again will not do: %s"
                self._place.opened.connector.context.logger.error(text, error)  # noqa: TRY400 - one line says it
                return False
            return await self._exchange(fresh)

    async def _exchange(self, fresh: Opened) -> bool:
        closing = fresh
        try:
            told = await self._identify(fresh)
            async with self._place.unused():
                if self.told not in {None, (told,)}:
                    self._place.opened.connector.context.logger.error(
                        "the secrets that were read again are of another remote system, and are not used; what to do"
                        " about it is told after a restart"
                    )
                    return False
                closing, self._place.opened = self._place.opened, fresh
        except ConnectorError as error:
            failed = type(error).__name__
            self._place.opened.connector.context.logger.warning(
                "with the secrets that were read again the remote system cannot be asked: %s", failed
            )
            return False
        else:
            self._place.opened.connector.context.logger.info("the secrets have changed; the new ones are in use")
            return True
        finally:
            await closing.resources.aclose()
