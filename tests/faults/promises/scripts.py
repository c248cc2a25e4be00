"""Histories that follow a script."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from random import Random
from typing import Any, TypeVar

from tests.faults.promises.edges import EdgeClient
from tests.faults.promises.watching import Watched
from tests.faults.simulation.ending import Ending
from tests.faults.simulation.witness import CONNECTION
from tests.faults.simulation.world import World

Script = TypeVar("Script", bound=Callable[..., Awaitable[None]])


def listed_in(scripts: dict[str, Script]) -> Callable[[Script], Script]:
    """Return a decorator that puts a script on a list, by the first line of what it says of itself."""

    def listed(script: Script) -> Script:
        scripts[(script.__doc__ or "").splitlines()[0].rstrip(".")] = script
        return script

    return listed


class Scripted(Watched):
    """A history that follows a script.

    :param client: The only client there is.
    """

    client: EdgeClient
    script: Callable[[Any], Awaitable[None]]

    def __init__(self, world: World, **options: Any) -> None:
        super().__init__(world, **options)
        world.clients.clear()
        world.preset = "generic"
        self.client = EdgeClient(world, self.outside, Random(0))
        self.listening = Listening(self.record.lines)
        self.record.secrets |= {"corp.example", "Lovelace", "Hopper", "Noether"}

    async def run(self) -> None:
        """Follow the script, let all be well, and judge."""
        world = self.world
        root, disabled, level = logging.getLogger(), logging.root.manager.disable, logging.root.level
        logging.disable(logging.NOTSET)
        root.addHandler(self.listening)
        root.setLevel(logging.INFO)
        try:
            await world.start_bridge()
            await type(self).script(self)
            await self._heal()
            ending = Ending(world, self.restart, self.counts)
            await ending.settle()
            await self.restart()
            await asyncio.sleep(60)
            await ending.settle()
        finally:
            root.removeHandler(self.listening)
            root.setLevel(level)
            logging.disable(disabled)
        world.oracle.violations.clear()
        await self.end()
        await self.client.http.aclose()

    def by_hand(self, change: Callable[..., object], *arguments: Any, **options: Any) -> None:
        """Let a person do something in the remote system's pages."""
        change(*arguments, **options)
        self.record.shows("hand", self.seen.accounts())

    async def save(self) -> None:
        """Stop the bridge, make a backup of its database, and start it again."""
        await self._stopped(lambda database, backup: database.backup(backup))

    async def restore(self) -> None:
        """Stop the bridge, put the backup in the place of its database, and start it again."""
        await self._stopped(lambda database, backup: backup.backup(database))

    async def _stopped(self, copy: Callable[[sqlite3.Connection, sqlite3.Connection], None]) -> None:
        process = self.world.listening()
        assert process is not None
        await process.stop()
        path = self.world.store.url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path)) as database, closing(sqlite3.connect(f"{path}.backup")) as backup:
            copy(database, backup)
        await self.world.start_bridge()

    async def approve(self) -> None:
        """Let an operator approve all that is held."""
        process = self.world.listening()
        assert process is not None
        bridge = process.bridge
        assert bridge is not None
        guard = bridge.provisioning(CONNECTION).guard
        work = bridge.store.write(lambda tx: guard.approve(tx, None))
        self.record.approve()
        await asyncio.get_running_loop().create_task(work, context=process.context.copy())


class Listening(logging.Handler):
    """Keeps the lines of a log."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.INFO)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        if record.name.startswith("scim_bridge"):
            self._lines.append(f"{record.getMessage()} {record.__dict__}")
