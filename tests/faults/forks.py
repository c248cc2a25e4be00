"""Processes that are forked, and a HubSpot in one."""

import asyncio
import json
import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable
from typing import Any, cast

from scim_bridge_hubspot.emulator.asgi import make_server
from tests.faults.bridges import portal

ANSWER_SECONDS = 120.0


class Remote:
    """A HubSpot in a process of its own; each scenario has a new one."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._process = fork(self._serve)

    def renew(self) -> None:
        """Forget everything."""
        self._get("/renew")

    def snapshot(self) -> dict[str, Any]:
        """Return what everybody has."""
        return self._look("snapshot")

    def creations(self, email: str) -> int:
        """Return how often an account was created."""
        calls = self._look("calls")["calls"]
        made = [
            call for call in calls if call["method"] == "POST" and call["committed"] and call["path"].count("/") == 3
        ]
        return sum(json.loads(call["body"]).get("email") == email for call in made)

    def end(self) -> None:
        """End the process."""
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        self._listener.close()

    def _look(self, what: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._get(f"/emulator/{what}"))
        return found

    def _get(self, path: str) -> bytes:
        # Not httpx2: each client of it reads all certificates of the machine first.
        with urllib.request.urlopen(f"{self.url}{path}", timeout=ANSWER_SECONDS) as answer:
            content: bytes = answer.read()
            return content

    def _serve(self) -> None:
        hubspot = portal()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            nonlocal hubspot
            if scope["type"] == "http" and scope["path"] == "/renew":
                hubspot = portal()
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body", "body": b""})
            else:
                await hubspot.asgi(scope, receive, send)

        async def serve(parent: int = os.getppid()) -> None:
            serving = asyncio.create_task(make_server(cast("Any", application)).serve(sockets=[self._listener]))
            while os.getppid() == parent and not serving.done():
                await asyncio.sleep(0.5)
            os._exit(0)

        asyncio.run(serve())


def fork(work: Callable[[], None]) -> int:
    """Run something in a process of its own and return its number. Its status is 0 unless it raises or is killed."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:  # noqa: BLE001 - the process ends here, whatever it is
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)
