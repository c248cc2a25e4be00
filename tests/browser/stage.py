"""A bridge and a HubSpot that is none, each in a process of its own, after a day's work of an identity provider."""

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import httpx2

from scim_bridge.cli.demo.bridge import BridgeProcess, write_configuration
from scim_bridge.cli.demo.portal import start_portal
from scim_bridge.cli.demo.processes import executable, process_group

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
LEAVE = {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "value": {"active": False}}]}

GUARD = """
[connections.okta.guard]
grants_floor = 0
privileged = ["Marketing"]
"""
PEOPLE = ("ada", "bob", "cleo", "dan", "eve")


@dataclass(frozen=True)
class Stage:
    """What runs.

    :param configuration: The configuration file of the bridge.
    :param remote: The address of the HubSpot that is none.
    :param token: What the identity provider comes with.
    :param ids: The ids of those it created.
    """

    configuration: Path
    url: str
    remote: str
    token: str
    ids: dict[str, str]

    def command(self, *arguments: str) -> str:
        """Return what a command of the bridge prints."""
        line = [executable("scim-bridge"), "--config", str(self.configuration), *arguments]
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout

    def link(self, role: str) -> str:
        """Return a link that signs somebody in."""
        return self.command("console", "login", "--name", "Grace", "--role", role).strip()

    def push(self, method: str, path: str, body: dict[str, Any]) -> int:
        """Send what an identity provider sends; return how it was answered."""
        headers = {"Authorization": f"Bearer {self.token}", "User-Agent": "Okta SCIM Client 1.0.0"}
        return httpx2.request(
            method, f"{self.url}/okta/scim/v2{path}", json=body, headers=headers, timeout=60
        ).status_code

    def leave(self, name: str) -> int:
        """Have the identity provider deactivate somebody."""
        return self.push("PATCH", f"/Users/{self.ids[name]}", LEAVE)

    def join(self, name: str) -> int:
        """Have the identity provider create somebody."""
        return self.push("POST", "/Users", {"schemas": [USER], "userName": f"{name}@example.com", "active": True})

    def fault(self, **fault: Any) -> None:
        """Break HubSpot."""
        httpx2.post(f"{self.remote}/emulator/faults", json=fault).raise_for_status()

    def is_in_hubspot(self, name: str) -> bool:
        """Whether somebody has access in HubSpot."""
        found = httpx2.get(f"{self.remote}/emulator/snapshot").json().get(f"{name}@example.com")
        return found is not None and found["active"]

    def held_in_hubspot(self, name: str) -> list[str]:
        """Return the permission sets that somebody has in HubSpot."""
        answer = httpx2.get(f"{self.remote}/emulator/snapshot").json()
        roles: list[str] = answer[f"{name}@example.com"]["roles"]
        return roles


@contextmanager
def stage() -> Iterator[Stage]:
    """Run everything, in an event loop of its own, for the length of a ``with`` block."""
    ready: Queue[Stage | BaseException] = Queue()
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    async def play() -> None:
        async with _played() as made:
            ready.put(made)
            await over.wait()

    def run() -> None:
        try:
            loop.run_until_complete(play())
        except BaseException as error:  # noqa: BLE001 - it is raised where the stage is waited for
            ready.put(error)
        finally:
            loop.close()

    thread = Thread(target=run)
    thread.start()
    try:
        made = ready.get()
        if isinstance(made, BaseException):
            raise made
        yield made
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(over.set)
        thread.join()


@asynccontextmanager
async def _played() -> AsyncIterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="scim-bridge-browser-") as name:
        directory = Path(name)
        async with process_group(directory) as processes:
            portal = await start_portal(processes, "okta", number=1, seed=7)
            try:
                file = write_configuration(directory, {"okta": "okta"}, {"okta": portal})
                file.write_text(file.read_text() + GUARD)
                bridge = BridgeProcess(processes, file)
                await bridge.start()
                token = await bridge.create_token("okta")
                ids = await _work(bridge, token)
                yield Stage(file, bridge.url, portal.url, token, ids)
            finally:
                await portal.close()


async def _work(bridge: BridgeProcess, token: str) -> dict[str, str]:
    """Do what an identity provider does, so that each page has something to show."""
    headers = {"Authorization": f"Bearer {token}", "User-Agent": "Okta SCIM Client 1.0.0"}
    async with httpx2.AsyncClient(base_url=f"{bridge.url}/okta/scim/v2", headers=headers, timeout=60) as http:

        async def send(method: str, path: str, body: dict[str, Any], status: int) -> dict[str, Any]:
            answer = await http.request(method, path, json=body)
            assert answer.status_code == status, answer.text
            return answer.json() if answer.content else {}

        ids = {}
        for one in PEOPLE:
            user = {"schemas": [USER], "userName": f"{one}@example.com", "active": True}
            user["name"] = {"givenName": one.title(), "familyName": "Example"}
            ids[one] = (await send("POST", "/Users", user, 201))["id"]

        def group(name: str, *members: str) -> dict[str, Any]:
            return {"schemas": [GROUP], "displayName": name, "members": [{"value": ids[one]} for one in members]}

        await send("POST", "/Groups", group("Sales", "ada", "bob", "dan"), 201)
        await send("POST", "/Groups", group("Marketing", "cleo"), 429)  # privileged: held
        await send("PATCH", f"/Users/{ids['dan']}", LEAVE, 200)
        return ids
