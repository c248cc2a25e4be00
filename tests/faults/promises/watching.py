"""Histories that are watched from outside: what was seen is judged when they are over."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import httpx2

from tests.faults.hubspot_world import HubSpotWorld
from tests.faults.promises.record import Account, Ask, Record
from tests.faults.promises.rules import judge
from tests.faults.simulation import History, Violation
from tests.faults.simulation.network import BridgeTransport, Inbound
from tests.faults.simulation.remote import RemoteWorld
from tests.faults.simulation.world import BASE_URL, World

READER = "reader"
PATIENCE = 40
"""How often a reader that is told to wait asks again."""


class Outside:
    """Writes what crosses the bridge's door into a record. :param note: Takes a line of the trace."""

    def __init__(self, record: Record, note: Callable[[str], None]) -> None:
        self.record = record
        self._note = note
        self._open: dict[int, Ask] = {}

    def starts(self) -> None:
        """Note that a bridge starts."""
        self.record.start()

    def asked(self, exchange: Inbound) -> None:
        """Nothing has reached the bridge yet."""

    def arrived(self, exchange: Inbound) -> None:
        """Note that a request reaches the bridge."""
        ask = self.record.asked(exchange.method, exchange.path, exchange.body)
        if ask is not None:
            self._open[id(exchange)] = ask
            self._note(f">> {ask.method} {ask.path} {exchange.body.decode('utf-8', 'replace')}".rstrip())

    def answered(self, exchange: Inbound) -> None:
        """Note that the bridge answers it."""
        ask = self._open.pop(id(exchange), None)
        if ask is not None:
            self.record.answered(ask, exchange.status or 0, exchange.retry_after or "", exchange.answer)
            told = ask.answer.get("detail", "")
            self._note(f"<< {exchange.status} to {ask.method} {ask.path} of {ask.at:.3f} {told}".rstrip())

    def heard(self, exchange: Inbound) -> None:
        """What the client makes of it is its own business."""


class SeenRemote(RemoteWorld, Protocol):
    """A remote system that notes in a record what it shows.

    :param record: Where everything is noted.
    """

    record: Record

    def accounts(self) -> dict[str, Account]:
        """Return what its pages show of everybody, by its id."""


class Watched(History):
    """A history that every promise is held against.

    :param remote: Makes the remote system.
    """

    remote: Callable[[int], SeenRemote] = HubSpotWorld
    record: Record
    outside: Outside

    def __init__(self, world: World, **options: Any) -> None:
        super().__init__(world, **options)
        self.seen = cast(SeenRemote, world.remote)
        self.record = self.seen.record
        self.outside = Outside(self.record, world.note)
        world.watchers.append(self.outside)

    async def run(self) -> None:
        """Let it happen, read everything, and judge."""
        await super().run()
        await self.end()

    async def end(self) -> None:
        """Read what a client reads, and judge."""
        self.record.rested = not any(one.invariant == "I3" for one in self.world.oracle.violations)
        if self.record.rested:
            self.record.lists = (await self.read("/Users"), await self.read("/Groups"))
        for finding in judge(self.record):
            self.world.oracle.violations.append(Violation(finding.rule, finding.at, finding.detail))

    async def read(self, path: str) -> list[Mapping[str, Any]]:
        """Return everything below a path."""
        transport = BridgeTransport(READER, self.world.listening, self.world.weather, self.outside)
        async with httpx2.AsyncClient(base_url=BASE_URL, transport=transport) as http:
            headers = {"Authorization": self.world.authorization}
            for _ in range(PATIENCE):
                answer = await http.get(f"{path}?count=200", headers=headers)
                if answer.status_code == 200:
                    resources: list[Mapping[str, Any]] = answer.json()["Resources"]
                    return resources
                await asyncio.sleep(1)
        raise AssertionError(f"{path} is not answered")
