"""Kills a real ``scim-bridge serve`` under load, again and again, at moments drawn by a seed; and starts it again."""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from scim_bridge.cli.demo.bridge import BridgeProcess, write_configuration
from scim_bridge.cli.demo.portal import Portal
from scim_bridge.cli.demo.processes import process_group
from scim_bridge_hubspot.emulator.asgi import make_server
from tests.faults.bridges import CONNECTION, GROUP, GROUPS, held, holdings, portal
from tests.faults.lives import Answer, Client, Life, Progress, at_any_time, at_rest
from tests.faults.promises.diary import Diary, NotingEmulator, lists, together
from tests.faults.promises.portals import accounts_of
from tests.faults.promises.rules import judge
from tests.hang_guard import HANG_SECONDS

GUARD_OFF = f"\n[connections.{CONNECTION}.guard]\nmass_change = false\n"


@dataclass
class Siege:
    """A server under load that is killed.

    :param kills: How often it was killed.
    :param dropped: Requests that were not answered.
    :param violations: What HubSpot held that it should not have, at a kill or in the end.
    """

    http: httpx2.AsyncClient
    hubspot: NotingEmulator
    process: BridgeProcess
    lives: Sequence[Life]
    kills: int = 0
    dropped: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    _notes: int = 0
    _noted: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, method: str, path: str, body: Any) -> Answer:
        """Send a request; one that is not answered is to be repeated, as after a 429."""
        try:
            response = await self.http.request(method, path, json=body)
        except httpx2.TransportError:
            self.dropped += 1
            return Answer(429, {"retry-after": "1"}, {})
        self.statuses[response.status_code] += 1
        return Answer(response.status_code, response.headers, response.json() if response.content else {})

    async def run(self, kills: int, seed: int, diary: Path) -> None:
        """Lead the lives; kill the server so often meanwhile.

        :param diary: A file for what is sent and answered.
        """
        send, groups = Diary(diary).watch(self.send), {}
        for name in GROUPS:
            group = await send("POST", "/Groups", {"schemas": [GROUP], "displayName": name})
            groups[name] = str(group.document["id"])
        client = Client(send, groups, self._note, pause=0.2)
        leading = asyncio.create_task(client.lead(self.lives))
        notes = 2 * sum(len(one.steps) for one in self.lives)
        moments = sorted(random.Random(seed).sample(range(2, notes - 1), kills))
        for moment in moments:
            while self._notes < moment:
                self._noted.clear()
                await self._noted.wait()
            await self.process.kill_and_restart()
            self.kills += 1
            self._judge(client, at_any_time)
        await leading
        self._judge(client, at_rest)
        for one in self.lives:
            made = self.hubspot.calls.matching("POST", r"/settings/users/[^/]+$")
            count = sum(call.committed and one.email in call.body for call in made)
            if count != one.creations:
                self.violations.append(f"{one.name} was created {count} times instead of {one.creations}")

        record = together([*Diary.read(diary), *self.hubspot.noted], accounts_of(portal()), strength=GROUPS)
        record.rested, record.lists = True, await lists(send)
        self.violations += [str(finding) for finding in judge(record)]

    def _note(self, _name: str, _progress: Progress) -> None:
        self._notes += 1
        self._noted.set()

    def _judge(self, client: Client, rule: Any) -> None:
        snapshot = holdings(self.hubspot)
        for one in self.lives:
            wrong = rule(one, client.progress.get(one.name, Progress()), held(snapshot, one.email))
            self.violations += [f"after {self.kills} kills: {wrong}"] if wrong else []


@asynccontextmanager
async def siege(directory: Path, lives: Sequence[Life]) -> AsyncIterator[Siege]:
    """Start a HubSpot in this process and a server in one of its own, for the length of a ``with`` block."""
    async with AsyncExitStack() as stack:
        hubspot = portal()
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        emulator = make_server(hubspot.asgi)
        serving = asyncio.create_task(emulator.serve(sockets=[listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        remote = Portal(url, hubspot.token)
        stack.push_async_callback(remote.close)
        processes = await stack.enter_async_context(process_group(directory))
        configuration = write_configuration(directory, {CONNECTION: "generic"}, {CONNECTION: remote})
        configuration.write_text(configuration.read_text(encoding="utf-8") + GUARD_OFF, encoding="utf-8")
        process = BridgeProcess(processes, configuration)
        await process.start()
        token = await process.create_token(CONNECTION)
        base = f"{process.url}/{CONNECTION}/scim/v2"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
        http = await stack.enter_async_context(httpx2.AsyncClient(base_url=base, headers=headers, timeout=HANG_SECONDS))
        yield Siege(http, hubspot, process, lives)
        emulator.should_exit = True
        await serving
