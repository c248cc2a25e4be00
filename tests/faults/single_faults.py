"""One fault at a time between the bridge and HubSpot: every fault, at every call, before and after its effect.

A bridge in this process talks over real sockets through :class:`~tests.faults.faultproxy.FaultProxy` to an
emulator. A life without faults tells how many calls each of its steps makes; then every step is taken once for every
fault at every call, in each of several courses. Each lane has a bridge, a proxy and a HubSpot of its own, and the
promises of ``docs/promises.md`` are held against it; lanes wait at the same time.

``python -m tests.faults.single_faults`` prints one JSON document.
"""

import argparse
import asyncio
import itertools
import json
import math
import random
import socket
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

from scim_bridge_hubspot.emulator.asgi import make_server
from tests.faults import defects
from tests.faults.bridges import (
    GROUPS,
    NO_ACCESS,
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
from tests.faults.courses import COURSES, Course
from tests.faults.faultproxy import KINDS, Fault, FaultProxy
from tests.faults.households import Household
from tests.faults.instruments import workplace
from tests.faults.lives import Client, Life, ViolationError, at_rest
from tests.faults.promises.diary import Diary, NotingEmulator, lists, shown, together
from tests.faults.promises.portals import accounts_of
from tests.faults.promises.record import Account
from tests.faults.promises.rules import judge
from tests.hang_guard import HANG_SECONDS

SCENARIOS_OF_A_LANE = 75
TIMEOUT = 0.6
"""Seconds the bridge waits for HubSpot; faults that only delay take a fraction of them."""


class Scenario(NamedTuple):
    """A fault at a call of a step of a course."""

    step: str
    call: int
    fault: Fault


@dataclass(slots=True)
class Report:
    """What a run came to.

    :param scenarios: Faults that struck.
    :param unreached: Faults armed at a call that a step then did not make.
    :param due: Faults that were to strike.
    :param calls: How many calls each step that is struck makes when nothing is wrong, by course.
    :param fired: How often each fault struck.
    :param statuses: What the clients were answered.
    """

    scenarios: int = 0
    due: int = 0
    unreached: int = 0
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    fired: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Lane:
    """A bridge, the way to its HubSpot, and that."""

    course: Course
    hubspot: NotingEmulator
    proxy: FaultProxy
    bridge: RunningBridge
    client: Client
    household: Household
    diary: Path
    began: tuple[Mapping[str, str], Mapping[str, Account]]
    """The groups and the accounts that were there before anything happened."""

    async def promises(self) -> list[str]:
        """Return every promise that was broken, by what could be seen from outside."""
        groups, accounts = self.began
        lines = [*shown(groups, at=0.0), *Diary.read(self.diary), *self.hubspot.noted]
        record = together(lines, accounts, strength=GROUPS, moves="rename" in self.course.config(""))
        record.rested, record.lists = True, await lists(self.bridge.send)
        return [str(finding) for finding in judge(record)]

    async def step(self, lives: Sequence[Life]) -> None:
        """Take the next step."""
        if self.course.methods:
            await self.household.step(lives)
        else:
            await self.client.step(*lives)

    def wrong(self, lives: Sequence[Life]) -> list[str]:
        """Return what is wrong with what HubSpot holds of people now."""
        snapshot, found = holdings(self.hubspot), []
        for one in lives:
            progress = self.client.progress[one.name]
            email = one.steps[progress.answered - 1].email
            found.append(at_rest(one, progress, held(snapshot, email)))
            others = {step.email for step in one.steps} - {email}
            found += [f"{one.name} still has {other}" for other in others if held(snapshot, other)]
        return list(filter(None, found))

    def creations(self, one: Life) -> Counter[str]:
        """Return how often HubSpot created somebody's accounts, by address."""
        made = self.hubspot.calls.matching("POST", "/settings/users/")
        emails = [json.loads(call.body)["email"] for call in made if call.committed]
        return Counter(email for email in emails if email in {step.email for step in one.steps})


@asynccontextmanager
async def lane(course: Course, database: Path, template: Template) -> AsyncIterator[Lane]:
    """Open a lane for the length of a ``with`` block."""
    database.write_bytes(template.database)
    database.chmod(0o600)
    hubspot = portal()
    hubspot.add_role(NO_ACCESS)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = make_server(hubspot.asgi)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with FaultProxy(*listener.getsockname()) as proxy:
            clients = FastClients(timeout=TIMEOUT)
            configuration = settings(database, proxy.url, config=course.config(proxy.url))
            async with running(configuration, clients, template.token) as bridge:
                groups = dict(template.groups)
                notes = database.with_suffix(".diary")
                client = Client(Diary(notes).watch(bridge.send), groups)
                began = dict(groups), accounts_of(hubspot)
                household = Household(client, groups, course.methods)
                yield Lane(course, hubspot, proxy, bridge, client, household, notes, began)
        server.should_exit = True
        await serving


async def calls_of(one: Lane) -> dict[str, int]:
    """Return how many calls each step that is struck makes when nothing is wrong and the bridge is warm.

    A new bridge asks for more, and on a busy machine a call takes too long and is repeated: the fewest count.
    """
    calls: dict[str, int] = {}
    for number in range(3):
        lives = one.course.lives(f"undisturbed{number}")
        for position in range(len(one.course.steps)):
            before = one.proxy.exchanges
            await one.step(lives)
            if step := one.course.struck(position):
                made = one.proxy.exchanges - before
                calls[step] = min(made, calls.get(step, made))
    return calls


def scenarios(calls: Mapping[str, int]) -> Iterator[Scenario]:
    """Return every fault at every call."""
    for step, count in calls.items():
        for call in range(1, count + 1):
            for kind in KINDS:
                for after in (False, True):
                    yield Scenario(step, call, Fault(kind, after))


async def suffer(one: Lane, lives: Sequence[Life], todo: Mapping[str, deque[Scenario]], report: Report) -> None:
    """Lead lives, with a fault at each of their steps for which one is left."""
    for position, step in enumerate(one.course.steps):
        waiting = todo.get(one.course.struck(position))
        scenario = waiting.popleft() if waiting else None
        if scenario is not None:
            one.proxy.arm(scenario.fault, nth=scenario.call)
        where = f"{scenario.fault.name} at call {scenario.call} of {step}" if scenario else f"no fault at {step}"
        struck = one.proxy.fired.total()
        try:
            async with asyncio.timeout(HANG_SECONDS):
                await one.step(lives)
                wrong = one.wrong(lives)
                await one.bridge.idle()
            wrong = wrong or one.wrong(lives)
        except (ViolationError, TimeoutError) as error:
            wrong = [f"{type(error).__name__} {error}"]
        report.violations += [f"{one.course.name}: {where}: {each}" for each in wrong]
        report.scenarios += one.proxy.fired.total() - struck
        print(f"{report.scenarios} scenarios", file=sys.stderr, flush=True)
        if scenario is not None and one.proxy.fired.total() == struck:
            report.unreached += 1
        one.proxy.disarm()
        if wrong:
            return
    for person in lives:
        made, due = one.creations(person), one.course.creations(person)
        if made != due:
            report.violations.append(f"{one.course.name}: created {dict(made)} instead of {dict(due)}")


async def strike(course: Course, directory: Path, template: Template, share: float, report: Report) -> None:
    """Strike every step of a course."""
    async with lane(course, directory / "undisturbed.db", template) as first:
        calls = await calls_of(first)
    every = list(scenarios(calls))
    every = random.Random(0).sample(every, round(len(every) * share * course.share))
    todo = {step: deque(each for each in every if each.step == step) for step in calls}
    report.calls[course.name] = calls
    report.due += len(every)

    async def occupy(number: int) -> None:
        async with lane(course, directory / f"lane{number}.db", template) as one:
            for turn in itertools.count():
                if not any(todo.values()):
                    break
                await suffer(one, course.lives(f"person{number}x{turn}"), todo, report)
            report.violations += [f"{course.name}: afterwards {drift}" for drift in await one.bridge.drifts()]
            report.violations += [f"{course.name}: {finding}" for finding in await one.promises()]
            report.fired.update(one.proxy.fired)
            report.statuses.update(one.client.statuses)

    async with asyncio.TaskGroup() as group:
        for number in range(math.ceil(len(every) / SCENARIOS_OF_A_LANE)):
            group.create_task(occupy(number))


async def work(directory: Path, share: float) -> Report:
    """Strike everything once.

    :param share: Which part of the scenarios, at random.
    """
    report = Report()
    template = await prepare(directory)
    async with asyncio.TaskGroup() as group:
        for number, course in enumerate(COURSES):
            place = directory / str(number)
            place.mkdir()
            group.create_task(strike(course, place, template, share, report))
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
