"""One history: forty things happen while everything goes wrong; then all is well again, and everything must agree."""

import asyncio
import logging
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from scim_bridge import app
from scim_bridge.store.comparison import fold
from scim_bridge.testing.clients import IdentityProvider
from scim_bridge.testing.simulation.database import Template, simulated_databases
from scim_bridge.testing.simulation.loop import SimulatedLoop
from scim_bridge.testing.simulation.oracle import Violation
from scim_bridge.testing.simulation.remote import RemoteWorld
from scim_bridge.testing.simulation.world import Client, World

OPERATIONS = 40
SETTLE_WITHIN = 700.0
"""Virtual seconds after which nothing may be pending once all is well: the longest back-off is ten minutes."""

ROUNDS = 6
"""How often the administrator may press the button of what failed for good."""

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
        self.unlinked: set[str] = set()
        """People whose link an identity provider dropped when it gave up, and with it what it said of their groups."""
        self.reminders: list[Callable[[], Any]] = []

    async def run(self) -> None:
        """Let things happen, let all be well, and compare."""
        world = self.world
        await world.start_bridge()
        for client in world.clients:
            self._begin(client)
        for _ in range(self.operations):
            if self.random.random() < 0.4:
                await self._trouble()
            else:
                self._operate(self.random.choice(world.clients))
            self.counts["operations"] += 1
            await asyncio.sleep(self.random.choice([0.0, 0.01, 0.1, 1.0, 5.0, 20.0, 60.0]) * self.random.random())
        await self._heal()
        await self._converge()

    # -- What happens ------------------------------------------------------------------------------------------------------

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
            (4.0, "unassign" if assigned else "assign", lambda: (provider.unassign if assigned else provider.assign)(person)),
            (1.5, "update", lambda: provider.update(person, family_name=self.random.choice(["Byron", "Hopper", "Noether"]))),
            (2.0, "add member", lambda: provider.add_member(group, person)),
            (2.0, "remove member", lambda: provider.remove_member(group, person)),
            (1.0, "set members", lambda: provider.set_members(group, self._some(client))),
            (1.5, "by hand", lambda: self._by_hand(person.user_name)),
        ]
        if hasattr(provider, "push_now"):
            choices.append((0.5, "push now", lambda: provider.push_now(group)))
        weights = [weight for weight, _, _ in choices]
        _, name, action = self.random.choices(choices, weights)[0]
        if name in {"update"} and not assigned:
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
            "restart": self._restart,
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

    async def _restart(self) -> None:
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

    # -- All is well -------------------------------------------------------------------------------------------------------

    async def _heal(self) -> None:
        self.world.note("all is well from here on")
        self.world.weather.clear()
        self.world.remote.heal()
        if self.world.listening() is None:
            await self.world.start_bridge()

    async def _converge(self) -> None:
        """Let everybody finish, then compare what is wanted with what there is."""
        world = self.world
        await self._settle()
        self._compare_desired()
        for _ in range(ROUNDS):
            for client in world.clients:
                client.work()
                await client.done()
            if not self._take_back() and not self._press_the_button():
                break
        await self._settle()
        await self._restart()  # compares everything at its start
        await asyncio.sleep(60)
        await self._settle()
        self._compare_wanted()
        await self._compare_plan()
        world.oracle.check_audit()

    def _press_the_button(self) -> bool:
        """Let administrators resubmit what failed, and end what an identity provider forgot it had begun."""
        pressed = False
        for client in self.world.clients:
            provider = client.provider
            if provider.tasks or getattr(provider, "disabled", False):
                self.counts["failed for good"] += len(provider.tasks)
                for task in provider.tasks:
                    self.world.note(f"admin task {task}")
                    self.unlinked.add(task.subject)
                provider.admin_retry()
                pressed = True
            for person in list(provider.people.values()):
                pressed = self._remind(client, person) or pressed
        return pressed

    def _remind(self, client: Client, person: Any) -> bool:
        """Let an administrator do and undo again what a client never heard was done, and so has forgotten.

        The bridge did what it was asked; no client can be made to take back what it does not know it said. The same goes
        for what somebody gave by hand before the account or the group was taken over.
        """
        provider, name, oracle = client.provider, fold(person.user_name), self.world.oracle
        desire = self.world.witness.desire(name)

        def forgotten(group: str) -> bool:
            return (name, group) in oracle.unheard or name in oracle.touched or person.id in self.unlinked

        reminded = False
        if person.id not in provider.assigned and desire.active and forgotten(""):
            provider.assign(person)
            self.reminders.append(partial(provider.unassign, person))
            reminded = True
        for group in provider.groups.values():
            wanted = person.id in group.members and person.id in provider.believed
            if (group.name in desire.groups) != wanted and desire.active and forgotten(group.name):
                do, undo = provider.add_member, provider.remove_member
                if wanted:
                    do, undo = undo, do
                do(group.name, person)
                self.reminders.append(partial(undo, group.name, person))
                reminded = True
        self.counts["forgotten"] += reminded
        return reminded

    def _take_back(self) -> bool:
        """Want again what reminders pretended not to want."""
        reminders, self.reminders = self.reminders, []
        for take_back in reminders:
            take_back()
        return bool(reminders)

    async def _settle(self) -> None:
        """Wait until the bridge has nothing left to do (I3)."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_WITHIN + max(0.0, -self.world.weather.skew.total_seconds())
        while any(state == "pending" for _, _, state, refusal in self.world.witness.unsettled()):
            if loop.time() > deadline:
                left = [f"{kind} {name} ({refusal})" for kind, name, state, refusal in self.world.witness.unsettled() if state == "pending"]
                self.world.oracle.violated("I3", f"still pending after {SETTLE_WITHIN:.0f} calm seconds: {', '.join(left)}")
                return
            await asyncio.sleep(1.0)

    def _compare_desired(self) -> None:
        """Check that what was durably desired is there, unless a hand undid it since (I3, I6)."""
        oracle = self.world.oracle
        for provider, person in self._people():
            name = fold(person.user_name)
            desire, holding = self.world.witness.desire(name), self.world.remote.holding(name)
            if name in oracle.touched and oracle.touched[name] >= oracle.worked_on.get(name, -1.0):
                continue
            if name in oracle.touched:
                continue
            if desire.ids and desire.active != holding.active:
                oracle.violated("I6", f"{name}: desired is {desire}, there is {holding}")

    def _compare_wanted(self) -> None:
        """Check that the remote system is what the identity providers want (I6)."""
        for provider, person in self._people():
            groups = {group.name for group in provider.groups.values() if person.id in group.members}
            if fold(person.user_name) in self.world.oracle.touched:  # what came with an account made by hand stays
                pushed = {group.name for group in provider.groups.values()}
                groups |= self.world.witness.desire(fold(person.user_name)).groups - pushed
            wanted = self.world.remote.come_to(groups) if person.id in provider.assigned else frozenset()
            active = person.id in provider.assigned
            holding = self.world.remote.holding(person.user_name)
            if not active and not self.world.witness.desire(fold(person.user_name)).owned:
                continue  # made by hand, and never spoken of: none of the identity provider's business
            privileges = holding.privileges if holding.active else frozenset()
            if active != holding.active or wanted != privileges:
                self.world.oracle.violated(
                    "I6", f"{person.user_name}: wanted is {active} {sorted(wanted)}, there is {holding.active} {sorted(privileges)}"
                )
            for path, value in holding.attributes if active else ():
                if person.attributes.get(path, "") != value:
                    self.world.oracle.violated("I6", f"{person.user_name}: {path} is {value!r}, wanted is {person.attributes.get(path)!r}")

    def _people(self) -> list[tuple[IdentityProvider, Any]]:
        return [(client.provider, person) for client in self.world.clients for person in client.provider.people.values()]

    async def _compare_plan(self) -> None:
        """Check that a comparison finds nothing to do (I6)."""
        process = self.world.listening()
        if process is None or process.bridge is None:
            raise AssertionError("the bridge has died although all is well")
        for reconciler in process.bridge.reconcilers.values():
            work = reconciler.run(apply=False)
            comparison = await asyncio.get_running_loop().create_task(work, context=process.context.copy())
            left = [one for one in comparison.drifts if one.drift != "unmanaged"]
            if left:
                self.world.oracle.violated("I6", f"the plan is not empty: {left}")


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
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="history-", dir=template.path.parent) as directory:
        database = Path(directory) / "bridge.db"
        template.copy_to(database)
        try:
            loop.run_until_complete(_run(report, database, authorization, remote, operations, kind))
        finally:
            logging.disable(logging.NOTSET)
            asyncio.set_event_loop(None)
            loop.close()


_discover = cache(app.discover)
"""Entry points do not change while a history runs, and reading them is a tenth of a start."""


async def _run(
    report: Report, database: Path, authorization: str, remote: MakeRemote, operations: int, kind: type[History]
) -> None:
    world = World(report.seed, remote(report.seed), database, authorization)
    history = kind(world, operations=operations)
    with simulated_databases(world.weather), mock.patch.object(app, "discover", _discover):
        try:
            await history.run()
        finally:
            report.violations, report.trace = world.oracle.violations, world.trace
            report.fired, report.counts = world.fired(), history.counts
            await world.close()
