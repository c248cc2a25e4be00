"""One history: forty things are done while everything goes wrong; then all is well, and everything must agree."""

import asyncio
import logging
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from scim_bridge import app
from scim_bridge.connections import discover
from scim_bridge.provisioning import driver
from tests.faults.simulation.database import Template, simulated_databases
from tests.faults.simulation.ending import Ending
from tests.faults.simulation.loop import SimulatedLoop
from tests.faults.simulation.oracle import Violation
from tests.faults.simulation.remote import RemoteWorld
from tests.faults.simulation.world import Client, World

OPERATIONS = 40
"""How many things identity providers, or people in the remote system, do in a history."""

TROUBLE = 0.4
"""How often something goes wrong before one of them."""

IDLE_POLL = 60.0
"""Seconds after which an idle driver looks for work of others: there are none, and looking takes time to simulate."""

MakeRemote = Callable[[int], RemoteWorld]


@dataclass(slots=True)
class Report:
    """How a history went.

    :param fired: How often each fault struck.
    :param counts: What happened, by name.
    :param trace: What happened, line by line.
    """

    seed: int
    violations: list[Violation] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{one.invariant} at {one.at:.3f} s: {one.detail}" for one in self.violations]
        return "\n".join([f"history {self.seed}:", *lines])


class History:
    """Runs one history.

    :param operations: How many things happen; fewer find the shortest history that fails.
    """

    def __init__(self, world: World, *, operations: int = OPERATIONS) -> None:
        self.world = world
        self.operations = operations
        self.random = world.random
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Let things happen, let all be well, and compare."""
        world = self.world
        await world.start_bridge()
        for client in world.clients:
            self._begin(client)
        for _ in range(self.operations):
            if self.random.random() < TROUBLE:
                await self._trouble()
                self.counts["troubles"] += 1
            self._operate(self.random.choice(world.clients))
            self.counts["operations"] += 1
            await asyncio.sleep(self.random.choice([0.0, 0.01, 0.1, 1.0, 5.0, 20.0, 60.0]) * self.random.random())
        await self._heal()
        await Ending(world, self.restart, self.counts).come()

    # -- What happens ------------------------------------------------------------------------------------------------

    def _begin(self, client: Client) -> None:
        """Let a client have some people and its groups."""
        for person in client.people[:3]:
            client.provider.assign(person)
        for name in client.groups:
            client.provider.push_group(name, self._some(client))
        client.work()

    def _some(self, client: Client) -> list[Any]:
        return [person for person in client.people if self.random.random() < 0.4]

    def _operate(self, client: Client) -> None:
        """Let an identity provider's administrator, or somebody in the remote system, do one thing."""
        provider, person = client.provider, self.random.choice(client.people)
        person = provider.people.get(person.id, person)
        assigned = person.id in provider.assigned
        group = self.random.choice(client.groups)
        choices: list[tuple[float, str, Callable[[], Any]]] = [
            (
                4.0,
                "unassign" if assigned else "assign",
                lambda: (provider.unassign if assigned else provider.assign)(person),
            ),
            (
                1.5,
                "update",
                lambda: provider.update(person, family_name=self.random.choice(["Byron", "Hopper", "Noether"])),
            ),
            (2.0, "add member", lambda: provider.add_member(group, person)),
            (2.0, "remove member", lambda: provider.remove_member(group, person)),
            (1.0, "set members", lambda: provider.set_members(group, self._some(client))),
            (1.5, "by hand", lambda: self._by_hand(person.user_name)),
        ]
        if hasattr(provider, "push_now"):
            choices.append((0.5, "push now", lambda: provider.push_now(group)))
        weights = [weight for weight, _, _ in choices]
        _, name, action = self.random.choices(choices, weights)[0]
        if name == "update" and not assigned:
            name, action = "assign", lambda: provider.assign(person)
        self.world.note(f"{client.name}: {name} {person.user_name} {group if 'member' in name else ''}".rstrip())
        self.counts[name] += 1
        action()
        client.work()

    def _by_hand(self, name: str) -> None:
        """Let somebody change an account in the remote system's own pages."""
        changes = self.world.remote.changes
        what = self.random.choice(list(changes))
        before = self.world.remote.holding(name)
        if changes[what](self.random, name):
            if self.world.remote.holding(name) != before:
                self.world.oracle.by_hand(name)
            self.world.weather.fired[f"somebody {what}"] += 1
            self.world.note(f"by hand: somebody {what}: {name}")

    async def _trouble(self) -> None:
        """Let one thing go wrong, now or soon."""
        weather, random = self.world.weather, self.random
        passing, times = random.choice([0, 1, 5, 20]), random.choice([1, 1, 2, 5])
        around: dict[str, Callable[[], Any]] = {
            "connection refused": lambda: weather.add("connection refused", passing=passing, times=times),
            "unreachable": self._unreachable,
            "database busy on write": lambda: weather.add("database busy on write", passing=passing, times=times),
            "database busy on read": lambda: weather.add("database busy on read", passing=passing, times=1),
            "request lost": lambda: weather.add("request lost", passing=passing // 5),
            "request duplicated": lambda: weather.add("request duplicated", passing=passing // 5),
            "answer lost": lambda: weather.add("answer lost", passing=passing // 5),
            "client gives up": lambda: weather.add("client gives up", passing=passing // 5),
            "clock jump": self._clock_jump,
            "crash": self._crash,
            "crash again": self._crash,
            "restart": self.restart,
        }
        names = [*around, *self.world.remote.faults]
        name = random.choice(names)
        self.world.note(f"trouble: {name}")
        action = around.get(name)
        if action is None:
            self.world.remote.faults[name](random)
            return
        done = action()
        if done is not None:
            await done

    def _unreachable(self) -> None:
        now = asyncio.get_running_loop().time()
        self.world.weather.unreachable_until = now + self.random.choice([3.0, 30.0, 200.0])

    def _clock_jump(self) -> None:
        self.world.weather.skew += timedelta(seconds=self.random.choice([-60.0, -5.0, 5.0, 60.0, 3600.0]))
        self.world.weather.fired["clock jump"] += 1
        self.world.oracle.clock_jumps()

    async def _crash(self) -> None:
        """Kill the bridge after some more steps, and start it again later."""
        process = self.world.listening()
        if process is None:
            return
        process.fuse = self.random.choice([0, 3, 10, 30, 80, 200])
        for _ in range(40):
            if process.ended:
                break
            await asyncio.sleep(0.25)
        else:
            process.fuse = None
            process.die()
        self.world.note("the bridge is killed")
        self.world.weather.fired["crash"] += 1
        await self._restart_later()

    async def restart(self) -> None:
        """Stop the bridge as its supervisor does, and start it again."""
        process = self.world.listening()
        if process is None:
            return
        began = asyncio.get_running_loop().time()
        self.world.note("the bridge is stopped")
        await process.stop()
        took = asyncio.get_running_loop().time() - began
        if took > 60.0:
            self.world.oracle.violated("I10", f"it took {took:.1f} s to stop")
        self.world.weather.fired["restart"] += 1
        await self._restart_later()

    async def _restart_later(self) -> None:
        await asyncio.sleep(self.random.choice([1.0, 1.0, 5.0, 30.0]))
        await self.world.start_bridge()
        self.world.note("the bridge is up")

    # -- All is well -------------------------------------------------------------------------------------------------

    async def _heal(self) -> None:
        self.world.note("all is well from here on")
        self.world.weather.clear()
        self.world.remote.heal()
        if self.world.listening() is None:
            await self.world.start_bridge()


def run_history(
    report: Report,
    template: Template,
    authorization: str,
    remote: MakeRemote,
    *,
    operations: int = OPERATIONS,
    kind: type[History] = History,
) -> None:
    """Run the history of a seed from beginning to end.

    :param report: Names the seed, and is filled.
    :param authorization: The token in the template's database, as a header.
    :param remote: Makes the remote system of a seed.
    :param operations: How many things happen.
    :param kind: What happens: a subclass may follow a script.
    """
    random = Random(f"{report.seed}/loop")
    loop = SimulatedLoop(random, random.choice([0.0, 0.1, 0.5, 1.0]))
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="history-", dir=template.path.parent) as directory:
        database = Path(directory) / "bridge.db"
        template.copy_to(database)
        try:
            loop.run_until_complete(_run(report, database, authorization, remote, operations=operations, kind=kind))
        finally:
            logging.disable(disabled)
            asyncio.set_event_loop(None)
            loop.close()


_discover = cache(discover)
"""Entry points do not change while a history runs, and reading them is a tenth of a start."""


async def _run(
    report: Report, database: Path, authorization: str, remote: MakeRemote, *, operations: int, kind: type[History]
) -> None:
    world = World(report.seed, remote(report.seed), database, authorization)
    history = kind(world, operations=operations)
    with (
        simulated_databases(world.weather),
        mock.patch.object(app, "discover", _discover),
        mock.patch.object(driver, "IDLE_POLL", IDLE_POLL),
    ):
        try:
            await history.run()
        finally:
            report.violations, report.trace = world.oracle.violations, world.trace
            report.fired, report.counts = world.fired(), history.counts
            await world.close()
