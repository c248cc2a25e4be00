"""One fault at a time between the bridge and HubSpot: every fault, at every call, before and after its effect.

A bridge in this process talks over real sockets through :class:`~scim_bridge.testing.faultproxy.FaultProxy` to an
emulator. A life without faults tells how many calls each of its steps makes; then every step is taken once for every
fault at every call. Each lane has a bridge, a proxy and a HubSpot of its own; lanes wait at the same time.

``python -m tests.faults.single_faults`` prints one JSON document.
"""

import argparse
import asyncio
import json
import random
import socket
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

from scim_bridge.testing.faultproxy import KINDS, Fault, FaultProxy
from scim_bridge_hubspot.emulator import HubSpotEmulator
from scim_bridge_hubspot.emulator.asgi import make_server
from tests.faults import defects
from tests.faults.bridges import (
    FastClients,
    RunningBridge,
    Template,
    held,
    holdings,
    portal,
    prepare,
    running,
    settings,
)
from tests.faults.instruments import workplace
from tests.faults.lives import Client, Life, ViolationError, at_rest, life

STEPS = (
    "create",
    "join Sales",
    "rename",
    "leave Sales",
    "join Support",
    "deactivate",
    "reactivate",
    "delete",
)
LANES = 12
TIMEOUT = 0.6
"""Seconds the bridge waits for HubSpot; faults that only delay take a fraction of them."""

PATIENCE = 60.0
"""Seconds within which a step must converge."""


class Scenario(NamedTuple):
    """A fault at a call of a step."""

    step: int
    call: int
    fault: Fault


@dataclass(slots=True)
class Report:
    """What a run came to.

    :param scenarios: Faults that struck.
    :param unreached: Faults armed at a call that a step then did not make.
    :param calls: How many calls each step makes when nothing is wrong.
    :param fired: How often each fault struck.
    :param statuses: What the clients were answered.
    """

    scenarios: int = 0
    unreached: int = 0
    calls: dict[str, int] = field(default_factory=dict)
    fired: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Lane:
    """A bridge, the way to its HubSpot, and that."""

    hubspot: HubSpotEmulator
    proxy: FaultProxy
    bridge: RunningBridge
    client: Client

    def holds(self, one: Life) -> str:
        """Return what is wrong with what HubSpot holds of somebody now."""
        return at_rest(one, self.client.progress[one.name], held(holdings(self.hubspot), one.email))

    def creations(self, one: Life) -> int:
        """Return how often HubSpot created somebody's account."""
        made = self.hubspot.calls.matching("POST", "/settings/users/")
        return sum(call.committed and json.loads(call.body)["email"] == one.email for call in made)


@asynccontextmanager
async def lane(directory: Path, number: int, template: Template) -> AsyncIterator[Lane]:
    """Open a lane for the length of a ``with`` block."""
    database = directory / f"lane{number}.db"
    database.write_bytes(template.database)
    database.chmod(0o600)
    hubspot = portal()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = make_server(hubspot.asgi)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with FaultProxy(*listener.getsockname()) as proxy:
            clients = FastClients(timeout=TIMEOUT)
            async with running(settings(database, proxy.url), clients, template.token) as bridge:
                yield Lane(hubspot, proxy, bridge, Client(bridge.send, template.groups))
        server.should_exit = True
        await serving


async def calls_of(one: Lane) -> dict[str, int]:
    """Return how many calls each step makes when nothing is wrong and the bridge is warm."""
    calls: dict[str, int] = {}
    for name in ("warm", "measured"):
        subject = life(name, *STEPS)
        for step in STEPS:
            before = one.proxy.exchanges
            await one.client.step(subject)
            calls[step] = one.proxy.exchanges - before
    return calls


def scenarios(calls: dict[str, int]) -> Iterator[Scenario]:
    """Return every fault at every call."""
    for position, step in enumerate(STEPS):
        for call in range(1, calls[step] + 1):
            for kind in KINDS:
                for after in (False, True):
                    yield Scenario(position, call, Fault(kind, after))


async def suffer(one: Lane, subject: Life, todo: list[deque[Scenario]], report: Report) -> None:
    """Lead a life, with a fault at each of its steps for which one is left."""
    for position, step in enumerate(STEPS):
        scenario = todo[position].popleft() if todo[position] else None
        if scenario is not None:
            one.proxy.arm(scenario.fault, nth=scenario.call)
        where = f"{scenario.fault.name} at call {scenario.call} of {step}" if scenario else f"no fault at {step}"
        struck = one.proxy.fired.total()
        try:
            async with asyncio.timeout(PATIENCE):
                await one.client.step(subject)
                wrong = one.holds(subject)
                await one.bridge.idle()
            wrong = wrong or one.holds(subject)
        except (ViolationError, TimeoutError) as error:
            wrong = f"{type(error).__name__} {error}"
        if wrong:
            report.violations.append(f"{where}: {wrong}")
        report.scenarios += one.proxy.fired.total() - struck
        print(f"{report.scenarios} scenarios", file=sys.stderr, flush=True)
        if scenario is not None and one.proxy.fired.total() == struck:
            report.unreached += 1
        one.proxy.disarm()
    made = one.creations(subject)
    if made != subject.creations:
        report.violations.append(f"{subject.name} was created {made} times instead of {subject.creations}")


async def work(directory: Path, share: float) -> Report:
    """Strike everything once.

    :param share: Which part of the scenarios, at random.
    """
    report = Report()
    template = await prepare(directory)
    async with lane(directory, 0, template) as first:
        report.calls = await calls_of(first)
    every = list(scenarios(report.calls))
    every = random.Random(0).sample(every, round(len(every) * share))
    todo = [deque(each for each in every if each.step == position) for position in range(len(STEPS))]

    async def occupy(number: int) -> None:
        async with lane(directory, number, template) as one:
            for turn in range(len(every)):
                if not any(todo):
                    break
                await suffer(one, life(f"person{number}x{turn}", *STEPS), todo, report)
            report.violations += [f"afterwards {drift}" for drift in await one.bridge.drifts()]
            report.fired.update(one.proxy.fired)
            report.statuses.update(one.client.statuses)

    async with asyncio.TaskGroup() as group:
        for number in range(1, LANES + 1):
            group.create_task(occupy(number))
    return report


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--defect", choices=sorted(defects.DEFECTS), default=None)
    arguments = parser.parse_args()
    if arguments.defect:
        defects.DEFECTS[arguments.defect]()
    with workplace("single") as directory:
        report = asyncio.run(work(directory, arguments.share))
    print(json.dumps({each.name: getattr(report, each.name) for each in fields(report)}))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
