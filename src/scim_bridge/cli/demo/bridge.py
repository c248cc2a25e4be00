"""The bridge in a process of its own: its configuration, its tokens, its death and its return."""

import json
import socket
import time
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path

import httpx2

from scim_bridge.cli.demo.portal import Portal
from scim_bridge.cli.demo.processes import ProcessFailedError, ProcessGroup, executable

START_SECONDS = 120.0
OUTAGE_RETRY_AFTER = 2
"""Seconds that clients are told to wait while HubSpot is down; a minute, the default, is too long to watch."""

HOST = "127.0.0.1"


class BridgeProcess:
    """The bridge: ``scim-bridge serve`` on a SQLite file.

    :param configuration: The configuration file.
    """

    def __init__(self, processes: ProcessGroup, configuration: Path) -> None:
        self.configuration = configuration
        self.port = free_port()
        self.kills = 0
        self.down_seconds = 0.0
        self._processes = processes
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """The root URL."""
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Start it, on the same file and port as before, and wait until it is ready."""
        command = ("--config", str(self.configuration), "serve", "--host", HOST, "--port", str(self.port))
        self._process = await self._processes.start("bridge", executable("scim-bridge"), *command)
        async with httpx2.AsyncClient(base_url=self.url, timeout=5.0) as http:

            async def ready() -> bool:
                try:
                    return (await http.get("/readyz")).status_code == 200
                except httpx2.TransportError:
                    return False

            await self._processes.wait_for("bridge", self._process, ready, seconds=START_SECONDS, what="getting ready")

    async def kill_and_restart(self) -> None:
        """Kill it by SIGKILL, whatever it is doing, and start it again."""
        if self._process is None:
            raise ProcessFailedError("bridge: not started")
        began = time.monotonic()
        self._process.kill()
        await self._process.wait()
        self.kills += 1
        await self.start()
        self.down_seconds += time.monotonic() - began

    def last_words(self) -> str:
        """Return the end of its log."""
        return self._processes.last_words("bridge")

    async def console_link(self) -> str:
        """Return a link into the operator's pages: ``scim-bridge console login``."""
        command = ("--config", str(self.configuration), "console", "login", "--minutes", "60", "--name", "demo")
        return await self._processes.output("console", executable("scim-bridge"), *command)

    async def create_token(self, connection: str) -> str:
        """Create a bearer token as an operator does: ``scim-bridge token create``."""
        command = ("--config", str(self.configuration), "token", "create", connection, "--name", "demo")
        return await self._processes.output(f"token-{connection}", executable("scim-bridge"), *command)


def write_configuration(directory: Path, clients: Mapping[str, str], portals: Mapping[str, Portal]) -> Path:
    """Write ``scim-bridge.toml`` with one connection per HubSpot account.

    :param clients: The preset of client quirks, by connection id.
    """
    database = f"sqlite:///{directory / 'scim-bridge.db'}"
    lines = ["[store]", f"url = {json.dumps(database)}", "", "[console]", f"port = {free_port()}"]
    for connection, portal in portals.items():
        secret = directory / f"{connection}.token"
        secret.touch(mode=0o600)
        secret.write_text(portal.token, encoding="utf-8")
        lines += [
            "",
            f"[connections.{connection}]",
            'connector = "hubspot"',
            f'client = "{clients[connection]}"',
            f"outage_retry_after = {OUTAGE_RETRY_AFTER}",
            "",
            f"[connections.{connection}.config]",
            f"token = {{ file = {json.dumps(secret.name)} }}",
            f'base_url = "{portal.url}"',
            "rate_limit = 190  # what HubSpot allows Enterprise accounts in 10 seconds",
            'several_roles = "take_over"  # somebody was given two permission sets by hand',
        ]
    path = directory / "scim-bridge.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def free_port() -> int:
    """Return a port that nothing listens on; the bridge takes the same one at every start."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
