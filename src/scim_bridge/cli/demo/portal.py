"""A HubSpot emulator in a process of its own: how it is started, looked at and broken."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from scim_bridge.cli.demo.processes import ProcessFailedError, ProcessGroup, executable
from scim_bridge.testing.clients import RemoteAccount, RemoteSnapshot

Members = Mapping[str, Mapping[str, Any]]
"""What HubSpot's members have, by lower-cased e-mail address."""

START_SECONDS = 120.0
ANNOUNCEMENT = re.compile(r"on (?P<url>http://\S+) · token (?P<token>\S+)")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that HubSpot got.

    :param status: ``None``: no whole answer was sent.
    :param committed: Whether it was a write that took effect.
    :param fault: The kind of the fault that struck it; empty for none.
    """

    number: int
    method: str
    path: str
    status: int | None
    committed: bool
    fault: str


class Portal:
    """One HubSpot account.

    :param url: Where HubSpot's API is.
    :param token: The private app's token.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        # The emulator closes idle connections after a few seconds; a new one each time meets no such end.
        limits = httpx2.Limits(max_keepalive_connections=0)
        self._http = httpx2.AsyncClient(base_url=f"{url}/emulator", timeout=30.0, limits=limits)

    async def snapshot(self) -> Members:
        """Return what every member has, by lower-cased e-mail address."""
        return await self._send("GET", "/snapshot")

    async def calls(self, *, since: int = 0) -> list[Call]:
        """Return the calls after a number."""
        answer = await self._send("GET", f"/calls?since={since}")
        fields = Call.__slots__
        return [Call(**{name: call[name] for name in fields}) for call in answer["calls"]]

    async def count(self) -> int:
        """Return how many calls there were."""
        return int((await self._send("GET", "/stats"))["calls"])

    async def break_down(self, **fault: Any) -> None:
        """Let calls fail: the fields of the emulator's faults."""
        await self._send("POST", "/faults", fault)

    async def repair(self) -> None:
        """End all faults."""
        await self._send("DELETE", "/faults")

    async def in_pages(self, action: str, **arguments: Any) -> None:
        """Do what people do in HubSpot's pages."""
        await self._send("POST", f"/ui/{action}", arguments)

    async def close(self) -> None:
        """Close the connections to it."""
        await self._http.aclose()

    async def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self._http.request(method, path, json=body)
        if answer.status_code != 200:
            raise ProcessFailedError(f"HubSpot emulator: {method} {path}: {answer.status_code} {answer.text}")
        document: dict[str, Any] = answer.json()
        return document


async def start_portal(processes: ProcessGroup, name: str, *, number: int, seed: int) -> Portal:
    """Start an emulator with a few accounts already in it.

    :param number: The id of its account.
    """
    log = f"hubspot-{name}"
    own = ("--portal-id", str(number), "--token", f"pat-na1-{name}-{seed}")
    process = await processes.start(
        log,
        executable("scim-bridge-hubspot"),
        *("emulate", "--port", "0", "--seed-demo", "--random-seed", str(seed), *own),
        environment={"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"},
    )
    portal: Portal | None = None

    async def announced() -> bool:
        nonlocal portal
        match = ANNOUNCEMENT.search(processes.log(log).read_text(encoding="utf-8"))
        portal = Portal(match["url"], match["token"]) if match else None
        return portal is not None

    await processes.wait_for(log, process, announced, seconds=START_SECONDS, what="the start")
    if portal is None:
        raise AssertionError
    return portal


def remote_snapshot(members: Members) -> RemoteSnapshot:
    """Return what HubSpot holds in SCIM's terms: names as attributes, permission sets as groups."""
    sets: dict[str, list[str]] = {}
    for email, member in members.items():
        for role in member["roles"]:
            sets.setdefault(role, []).append(email)
    accounts = {
        email: RemoteAccount(
            member["active"], {"name.givenName": member["first_name"], "name.familyName": member["last_name"]}
        )
        for email, member in members.items()
    }
    return RemoteSnapshot(accounts, sets)
