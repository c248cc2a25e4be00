"""A bridge as a process of its own: the real application, which may be started, stopped and killed at any await."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, MutableMapping
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Any

import httpx2

from scim_bridge.app import Bridge, Serving, open_bridge
from scim_bridge.config import Settings
from scim_bridge.surroundings import Surroundings
from tests.faults.simulation.loop import PROCESS, Mortal, SimulatedLoop

BURIALS = 20
"""How often the tasks of a dead process are cancelled before they are left behind."""

Application = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]


class Process(Mortal):
    """A running bridge.

    :param settings: Its configuration.
    :param surroundings: Makes what it takes from the machine.
    """

    def __init__(self, settings: Settings, surroundings: Callable[[], Surroundings]) -> None:
        super().__init__()
        self.application: Application | None = None
        self.bridge: Bridge | None = None
        self.failure = ""
        self.context = copy_context()
        self.context.run(PROCESS.set, self)
        self.connections: dict[asyncio.Future[Any], None] = {}  # in order, unlike a set
        self.at_death.append(self._vanish)
        self._settings = settings
        self._surroundings = surroundings
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._started: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._stopping = asyncio.Event()
        self._frozen: list[asyncio.Task[Any]] = []

    async def start(self) -> bool:
        """Return whether it came up."""
        self._life = asyncio.get_running_loop().create_task(self._live(), context=self.context)
        return await self._started

    async def stop(self) -> None:
        """Stop it as SIGTERM does; it may die meanwhile."""
        self.application = None
        self._stopping.set()
        await self._ended

    def freeze(self) -> None:
        """Keep what a dead process was doing, which otherwise would be cleaned up by the garbage collector."""
        self._frozen = [task for task in self.tasks if not task.done()]

    async def bury(self) -> None:
        """Let the tasks of a dead process end, with nothing left that they could reach."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        loop.revive(self)
        for _ in range(BURIALS):
            frozen = [task for task in self.tasks if not task.done()]
            if not frozen:
                break
            for task in frozen:
                task.cancel()
            await asyncio.wait(frozen, timeout=60)
        self._frozen.clear()

    async def _live(self) -> None:
        serving = Serving(self._settings)

        @asynccontextmanager
        async def lifespan() -> AsyncIterator[None]:
            async with open_bridge(
                self._settings, surroundings=self._surroundings(), metrics=serving.metrics
            ) as self.bridge:
                serving.open(self.bridge)
                yield

        application = serving.server(lifespan)
        messages: list[MutableMapping[str, Any]] = [{"type": "lifespan.startup"}]

        async def receive() -> MutableMapping[str, Any]:
            if messages:
                return messages.pop()
            await self._stopping.wait()
            return {"type": "lifespan.shutdown"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if not self._started.done():
                self.failure = str(message.get("message", ""))
                self.application = application if message["type"] == "lifespan.startup.complete" else None
                self._started.set_result(self.application is not None)

        try:
            await application({"type": "lifespan"}, receive, send)
        finally:
            if not self.ended:
                self.die()

    def _vanish(self) -> None:
        """Do what the kernel does: reset the connections; whoever waits for the process is told."""
        self.application = None
        self.freeze()
        for connection in list(self.connections):
            if not connection.done():
                connection.set_exception(httpx2.ReadError("connection reset by peer"))
        if not self._started.done():
            self._started.set_result(False)
        if not self._ended.done():
            self._ended.set_result(None)
