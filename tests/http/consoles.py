"""The console of a bridge that has been used, over ASGI, and browsers that visit it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from scim_bridge.app import Bridge, desk_of, open_bridge, plans_of
from scim_bridge.config import load_settings
from scim_bridge.console.opening import console_of
from scim_bridge.desk import Desk, Role
from scim_bridge.store import audit
from tests.unit.cli.test_looking import Operator, living

ORIGIN = "http://127.0.0.1:8081"

QUIET = 'connector = "memory"\nimport_at_start = false\nreconcile_minutes = 0'


@contextmanager
def used(directory: Path) -> Iterator[Operator]:
    """Yield the operator of a bridge with people, held and failed changes, and a console."""
    with living(directory, f"sqlite:///{directory / 'bridge.db'}") as operator:
        text = operator.file.read_text().replace('connector = "memory"', QUIET)
        operator.file.write_text(text + "\n[console]\n")
        yield operator


@dataclass
class Browser:
    """Somebody's browser: it keeps cookies and says from where it sends a form."""

    http: httpx2.AsyncClient
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """Open a page."""
        return await self.http.get(path, headers=self.headers | headers)

    async def post(self, path: str, fields: dict[str, Any] | None = None, **headers: str) -> httpx2.Response:
        """Send a form of a page."""
        sent = {"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN} | self.headers | headers
        return await self.http.post(path, data=fields or {}, headers=sent)


@dataclass
class Site:
    """A console and its bridge."""

    operator: Operator
    bridge: Bridge

    @asynccontextmanager
    async def browser(self, role: Role | None = None, *, person: str = "Grace") -> AsyncIterator[Browser]:
        """Yield a browser in which somebody is signed in as a role, or nobody."""
        transport = httpx2.ASGITransport(
            app=console_of(self.bridge.settings, desk_of(self.bridge), plans_of(self.bridge)),
            client=("127.0.0.1", 4711),
        )
        async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as http:
            browser = Browser(http)
            if role is not None:
                link = await Desk(self.bridge.store).invite(person, role)
                assert (await browser.post("/console/sign-in", {"link": link})).status_code == 303
            yield browser

    async def entries(self, connection: str = "acme") -> list[dict[str, Any]]:
        """Return the entries of the audit chain."""
        return await self.bridge.store.scan(lambda tx: [one.event for one in audit.export(tx, connection)])

    async def decisions(self) -> list[dict[str, Any]]:
        """Return those that are not of the bridge's own work, which goes on meanwhile."""
        return [one for one in await self.entries() if one["actor"] != "bridge"]


@asynccontextmanager
async def site(operator: Operator) -> AsyncIterator[Site]:
    """Open the bridge of an operator with its console."""
    async with open_bridge(load_settings(operator.file)) as bridge:
        yield Site(operator, bridge)
