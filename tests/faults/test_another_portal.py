"""Fault histories in which another portal's token is configured for a while: nothing reaches that portal."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest

from scim_bridge.provisioning import identification
from tests.faults.histories import Histories
from tests.faults.hubspot_world import ROLES, HubSpotWorld, WatchedEmulator
from tests.faults.simulation import History

ASTRAY = 0.3
"""The share of troubles that are a start with another portal's token."""


class Astray(History):
    """At some starts the bridge has another portal's token, until the next start."""

    totals: ClassVar[Counter[str]] = Counter()

    async def run(self) -> None:
        """Let things happen, and see that the other portal is as it was."""
        remote = self.world.remote
        assert isinstance(remote, HubSpotWorld)
        other = WatchedEmulator(
            switches=remote.hubspot.switches, profile=remote.hubspot.profile, clock=remote.hubspot.clock
        )
        other.portal_id += 1
        sets = [other.add_role(name) for name in ROLES]
        for client in self.world.clients:  # some of the same people, with something to lose
            for person in client.people[::2]:
                other.add_person(person.user_name, roles=[sets[0]], first_name="Of", last_name="Another")
        before = other.snapshot()
        self.other = other
        await super().run()
        if other.snapshot() != before or [call for call in other.calls if _changes(call.method, call.path)]:
            self.world.oracle.violated("R7", "something reached another portal")
        type(self).totals["asked"] += other.calls.total

    async def _trouble(self) -> None:
        if self.random.random() >= ASTRAY or self.world.listening() is None or not self._pinned():
            await super()._trouble()
            return
        self.world.note("trouble: another portal's token")
        remote = self.world.remote
        vars(remote)["transport"] = self.other.transport
        await self.restart()
        await asyncio.sleep(self.random.choice([1.0, 60.0, 400.0]))
        del vars(remote)["transport"]
        await self.restart()
        type(self).totals["astray"] += 1

    def _pinned(self) -> bool:
        """Whether the bridge has met its own portal: whichever it meets first is taken for that."""
        with closing(sqlite3.connect(self.world.store.url.removeprefix("sqlite:///"))) as connection:
            found = connection.execute(
                "SELECT value FROM connector_state WHERE key = ?", (identification.KEY,)
            ).fetchone()
        return found is not None


def _changes(method: str, path: str) -> bool:
    return method != "GET" and ("/settings/" in path or "/scim/" in path)


@pytest.mark.parametrize("seed", range(2, 5))
def test_nothing_reaches_another_portal_whatever_happens(tmp_path: Path, seed: int) -> None:
    """With the right token again all is done that was accepted, and whoever left is out."""
    Astray.totals.clear()
    report = Histories(tmp_path).one(seed, kind=Astray)

    assert report.violations == []
    assert Astray.totals["astray"] > 0
    assert Astray.totals["asked"] > 0
