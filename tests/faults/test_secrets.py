"""Secrets that are replaced while a real server runs: after a refusal, and at SIGHUP with a request under way."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from scim_bridge_hubspot.emulator.wire import Request
from tests.faults.bridges import CONNECTION
from tests.faults.killed_servers import Siege, siege

USER = "urn:ietf:params:scim:schemas:core:2.0:User"


class Watched:
    """A HubSpot that notes with which token each call came, and can hold the answer to one."""

    def __init__(self, one: Siege) -> None:
        self.one, self.bearers = one, list[str]()
        real = one.hubspot.handle

        def handle(request: Request) -> Any:
            self.bearers.append(request.headers.get("authorization", "").removeprefix("Bearer "))
            return real(request)

        one.hubspot.handle = handle  # type: ignore[method-assign]

    def make(self, token: str) -> None:
        """Let HubSpot take another token, beside those that it takes."""
        first = self.one.hubspot.tokens[self.one.hubspot.token]
        self.one.hubspot.tokens[token] = replace(first, value=token, revoked=False)

    async def add(self, name: str) -> httpx2.Response:
        """Provision somebody."""
        return await self.one.http.post("/Users", json={"schemas": [USER], "userName": name, "active": True})


async def test_a_server_goes_on_with_a_secret_that_was_replaced(tmp_path: Path) -> None:
    """No request is refused for it, none is lost, and no call comes with the old one afterwards."""
    async with siege(tmp_path, ()) as one:
        assert one.process._process
        hubspot, seen, file = one.hubspot, Watched(one), tmp_path / f"{CONNECTION}.token"
        assert (await seen.add("ada@example.com")).status_code == 201

        seen.make("second")
        file.write_text("second\n", encoding="utf-8")
        hubspot.tokens[hubspot.token].revoked = True
        assert (await seen.add("bob@example.com")).status_code == 201
        refused = [call for call in hubspot.calls if call.status == 401]
        assert len(refused) == 1

        seen.make("third")
        file.write_text("third\n", encoding="utf-8")
        hubspot.faults.add("slow", method="POST", path="/settings/users", delay=0.5)
        under_way = asyncio.create_task(seen.add("eve@example.com"))
        seen.bearers.clear()
        os.kill(one.process._process.pid, signal.SIGHUP)
        while "third" not in seen.bearers:
            await asyncio.sleep(0.01)
        assert (await under_way).status_code == 201
        hubspot.tokens["second"].revoked = True
        assert (await seen.add("tim@example.com")).status_code == 201
        assert seen.bearers[-1] == "third"
        assert [call for call in hubspot.calls if call.status == 401] == refused
        log = one.process.last_words()
    people = {person.email for person in hubspot.people.values() if person.membership}
    assert {"ada@example.com", "bob@example.com", "eve@example.com", "tim@example.com"} <= people
    assert "second" not in log.replace("seconds", "")
    assert "third" not in log
