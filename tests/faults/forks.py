"""Processes that are forked, and a HubSpot in one."""

import asyncio
import json
import os
import select
import signal
import socket
import sys
import threading
import urllib.request
from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple, cast
from urllib.parse import quote

from scim_bridge_hubspot.emulator.asgi import make_server
from tests.faults.bridges import portal
from tests.faults.promises.diary import Line, NotingEmulator
from tests.hang_guard import HANG_SECONDS


class Remote:
    """A HubSpot in a process of its own; each scenario has a new one."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._process = fork(self._serve)

    def renew(self, name: str) -> None:
        """Become what was kept under a name; forget everything when the name is empty."""
        self._get(f"/renew?{quote(name)}")

    def keep(self, name: str) -> None:
        """Keep everything under a name."""
        self._get(f"/keep?{quote(name)}")

    def snapshot(self) -> dict[str, Any]:
        """Return what everybody has."""
        return self._look("snapshot")

    def noted(self) -> list[Line]:
        """Return what it noted of every call."""
        found: list[Line] = json.loads(self._get("/noted"))
        return found

    def creations(self, email: str) -> int:
        """Return how often an account was created."""
        calls = self._look("calls")["calls"]
        made = [
            call for call in calls if call["method"] == "POST" and call["committed"] and call["path"].count("/") == 3
        ]
        return sum(json.loads(call["body"]).get("email") == email for call in made)

    def end(self) -> None:
        """End the process."""
        os.kill(self._process.number, signal.SIGKILL)
        self._process.wait(HANG_SECONDS)
        self._listener.close()

    def _look(self, what: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._get(f"/emulator/{what}"))
        return found

    def _get(self, path: str) -> bytes:
        # Not httpx2: each client of it reads all certificates of the machine first.
        with urllib.request.urlopen(f"{self.url}{path}", timeout=HANG_SECONDS) as answer:
            content: bytes = answer.read()
            return content

    def _serve(self) -> None:
        hubspot = portal()
        kept: dict[bytes, NotingEmulator] = {}

        async def application(scope: Any, receive: Any, send: Any) -> None:
            nonlocal hubspot
            if scope["type"] == "http" and scope["path"] in {"/renew", "/keep"}:
                name = scope["query_string"]
                if scope["path"] == "/keep":
                    kept[name] = deepcopy(hubspot)
                else:
                    hubspot = deepcopy(kept[name]) if name else portal()
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body", "body": b""})
            elif scope["type"] == "http" and scope["path"] == "/noted":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": json.dumps(hubspot.noted).encode()})
            else:
                await hubspot.asgi(scope, receive, send)

        asyncio.run(make_server(cast("Any", application)).serve(sockets=[self._listener]))


LIFELINE = os.pipe()
"""A pipe that ends with the program; nothing is ever written to it."""


class Child(NamedTuple):
    """A process that was forked.

    :param number: Of the process.
    :param alive: A pipe that ends with it.
    """

    number: int
    alive: int

    def wait(self, patience: float) -> int:
        """Return its status, negative the signal that ended it; end it when it takes longer than so many seconds."""
        ended, _, _ = select.select([self.alive], [], [], patience)
        if not ended:
            os.kill(self.number, signal.SIGABRT)
        os.close(self.alive)
        return os.waitstatus_to_exitcode(os.waitpid(self.number, 0)[1])


def fork(work: Callable[[], None]) -> Child:
    """Run something in a process of its own. Its status is 0 unless it raises or is killed; it ends with this one."""
    sys.stdout.flush()
    alive, lives = os.pipe()
    number = os.fork()
    if number:
        os.close(lives)
        return Child(number, alive)
    os.close(LIFELINE[1])
    threading.Thread(target=_end_with_the_program, daemon=True).start()
    status = 1
    try:
        work()
        status = 0
    except BaseException:  # noqa: BLE001 - the process ends here, whatever it is
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def _end_with_the_program() -> None:
    os.read(LIFELINE[0], 1)
    os._exit(1)


class Worker:
    """A process that does one piece of work after another. When it ends, or takes too long, a new one comes.

    Forking is cheap, but the first use of anything in a fork copies the pages it lies on; this process pays that once.

    :param work: Done with the number it is given.
    """

    def __init__(self, work: Callable[[int], None]) -> None:
        self._work = work
        self._running: tuple[Child, socket.socket] | None = None

    def do(self, number: int, patience: float) -> str:
        """Have a piece of work done within so many seconds, and return what went wrong; empty when nothing did."""
        child, line = self._running = self._running or self._start()
        line.send(bytes([number]))
        ready, _, _ = select.select([line], [], [], patience)
        if ready and line.recv(1):
            return ""
        self._running = None
        line.close()
        return f"ended by {child.wait(0.0 if not ready else patience)}"

    def end(self) -> None:
        """End the process."""
        if self._running is not None:
            child, line = self._running
            line.close()
            child.wait(HANG_SECONDS)

    def _start(self) -> tuple[Child, socket.socket]:
        ours, theirs = socket.socketpair()

        def serve() -> None:
            ours.close()
            while number := theirs.recv(1):
                self._work(number[0])
                theirs.send(number)

        child = fork(serve)
        theirs.close()
        return child, ours
