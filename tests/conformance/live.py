"""A bridge that listens on a port, for clients and tools that others wrote."""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scim_bridge.server.serve import Listen, configuration
from tests.hang_guard import HANG_SECONDS
from tests.http.bridge import Tenant, bridge

T = TypeVar("T")


class Live:
    """A bridge that listens on a port, in a thread of its own.

    Method, path below ``/scim/v2`` and status of each answer are in ``answers``.

    :param given: What :func:`tests.http.bridge.bridge` takes besides.
    """

    def __init__(self, directory: Path, **given: Any) -> None:
        self._directory = directory
        self._given = given
        self._ready = threading.Event()
        self._stop: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self.url = ""
        self.answers: list[tuple[str, str, int]] = []
        self.tenant: Tenant
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with bridge(self._directory, **self._given) as (self.tenant,):
            server = uvicorn.Server(configuration(_noting(self.tenant.server, self.answers), Listen(port=0)))
            serving = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            self.url = f"http://127.0.0.1:{port}/acme/scim/v2"
            self._ready.set()
            await self._stop.wait()
            server.should_exit = True
            await serving

    def ask(self, question: Coroutine[Any, Any, T]) -> T:
        """Run something where the bridge runs."""
        return asyncio.run_coroutine_threadsafe(question, self._loop).result(HANG_SECONDS)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(HANG_SECONDS)
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


def _noting(application: ASGIApp, answers: list[tuple[str, str, int]]) -> ASGIApp:
    """Return an application that notes how requests were answered."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                answers.append((scope["method"], scope["path"].partition("/scim/v2")[2], message["status"]))
            await send(message)

        await application(scope, receive, noted)

    return answer
