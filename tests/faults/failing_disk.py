"""A bridge whose disk is full, fails, or whose database somebody else has locked: what it answers then, and afterwards.

Each point is one request of a life while something is wrong:

- a write or a sync of SQLite's fails, once or from then on (:mod:`tests.faults.disk`), which one is drawn;
- the kernel refuses to let files grow (``RLIMIT_FSIZE``);
- the database may not have more pages (``PRAGMA max_page_count``);
- another process holds the write lock for 0.1, 1, 5, 10 or 60 s; busy timeout and budget are as many times shorter.

Whatever is answered 2xx is true in HubSpot and stored; everything else is 429 with ``Retry-After``. Once it is over,
the client repeats its request, and all is well. ``python -m tests.faults.failing_disk --points 300 --seed 1`` prints
one JSON document.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from scim_bridge.store import sqlite
from tests.faults import defects
from tests.faults.bridges import (
    FastClients,
    Template,
    portal,
    prepare,
    running,
    settings,
)
from tests.faults.disk import Disk, install
from tests.faults.instruments import workplace
from tests.faults.lives import WHOLE, Answer, Client, Life, ViolationError, life
from tests.faults.troubles import (
    CODES,
    SCALE,
    DiskFailure,
    Failing,
    FileSizeLimit,
    Lane,
    Lock,
    PageLimit,
    Point,
    lock_holder,
)
from tests.hang_guard import HANG_SECONDS

LANES = 10
LOCKS = (0.1, 1.0, 5.0, 10.0, 60.0)
"""Seconds, before they are scaled."""

BUDGET = 25.0
LATEST = 0.4
"""Seconds after which what is wrong ends, if no answer came before."""

PATIENCE = HANG_SECONDS


@dataclass(slots=True)
class Report:
    """What a run came to.

    :param patience: Seconds that a step may take once nothing is wrong any more.
    :param most_violations: How many end the run.
    :param points: Requests sent while something was wrong.
    :param fired: Those at which it made a difference: an operation failed, or the lock was waited for.
    :param statuses: Answers while it was wrong.
    :param slowest: The longest time a request took in seconds of production.
    """

    seed: int
    patience: float = PATIENCE
    most_violations: int = 20
    points: int = 0
    fired: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    violations: list[str] = field(default_factory=list)


@asynccontextmanager
async def lane(path: Path, template: Template, disk: Disk, *, budget: float) -> AsyncIterator[Lane]:
    """Open a lane for the length of a ``with`` block."""
    path.write_bytes(template.database)
    path.chmod(0o600)
    hubspot = portal()
    configuration = settings(path, "http://127.0.0.1:1", budget_seconds=budget)
    async with running(configuration, FastClients(hubspot.transport()), template.token) as bridge:
        client = Client(bridge.send, template.groups)
        yield Lane(path, hubspot, bridge, client, disk)
        finding = await bridge.bridge.store.scan(lambda tx: tx.exec_driver_sql("PRAGMA integrity_check").scalar())
        drifts = await bridge.drifts()
        if finding != "ok" or drifts:
            raise ViolationError(f"afterwards: integrity {finding}, differences {drifts}")


async def suffer(one: Lane, subject: Life, point: Point, report: Report, scale: float) -> None:
    """Take the next step of a life while something is wrong, and again when it is over."""
    client = one.client
    progress = client.progress.get(subject.name)
    step = subject.steps[progress.answered if progress else 0]
    where = f"{point.name} at {step.name} of {subject.name}"
    await point.begin(one)
    began = time.monotonic()
    first: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    async def send(method: str, path: str, body: Any) -> Answer:
        answer = await one.bridge.send(method, path, body)
        if not first.done():
            report.slowest = max(report.slowest, (time.monotonic() - began) * scale)
            first.set_result(answer)
        return answer

    client.send = send
    taken = asyncio.create_task(client.step(subject))
    both: set[asyncio.Future[Any]] = {taken, first}
    await asyncio.wait(both, timeout=LATEST, return_when=asyncio.FIRST_COMPLETED)
    read = await one.bridge.send("GET", "/Users?count=1", None)
    await point.end(one)
    try:
        async with asyncio.timeout(report.patience):
            await taken
            wrong = one.wrong(subject)
            await one.bridge.idle()
        wrong = wrong or one.wrong(subject)
    except (ViolationError, TimeoutError) as error:
        wrong = f"{type(error).__name__} {error}"
    if read.status not in (200, 429):
        wrong = f"{wrong}; reading was answered {read.status}"
    if first.done() and first.result().status not in (200, 201, 204, 429):
        wrong = f"{wrong}; answered {first.result().status}"
    if wrong:
        report.violations.append(f"{where}: {wrong}")
    report.points += 1
    print(f"{report.points} points", file=sys.stderr, flush=True)
    report.fired[point.name] += point.fired
    report.statuses[first.result().status if first.done() else 0] += 1


async def lead(one: Lane, name: str, points: Callable[[], Point | None], report: Report, *, scale: float = 1.0) -> None:
    """Lead lives, each step in trouble, until there is none left."""
    turn = 0
    while True:
        subject = life(f"{name}x{turn}", *WHOLE)
        for _ in subject.steps:
            point = points() if len(report.violations) < report.most_violations else None
            if point is None:
                return
            await suffer(one, subject, point, report, scale)
        turn += 1


class Instrument:
    """Makes the points and runs them.

    :param points: How many disk failures that make a difference; the other troubles have their own numbers.
    """

    def __init__(self, directory: Path, disk: Disk, report: Report, points: int) -> None:
        self.report = report
        self._directory = directory
        self._disk = disk
        self._random = random.Random(report.seed)
        self._points = points
        self._troubles: dict[Path, Failing] = {}

    async def run(self) -> Report:
        """Run everything."""
        self._disk.recording = False
        template = await prepare(self._directory)
        self._disk.fail = self._fail
        await self._failures(template)
        await self._limits(template)
        await self._locks(template)
        return self.report

    def _fail(self, kind: str, path: str) -> int:
        failing = self._troubles.get(Path(path.removesuffix("-wal")))
        return failing(kind, path) if failing else 0

    async def _together(self, work: Sequence[Awaitable[None]]) -> None:
        for outcome in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(outcome, ViolationError):
                self.report.violations.append(str(outcome))
            elif outcome is not None:
                raise outcome

    async def _failures(self, template: Template) -> None:
        """Writes and syncs that a step may make."""

        def point() -> Point | None:
            if self.report.fired.total() >= self._points:
                return None
            name = self._random.choice(list(CODES))
            nth = self._random.randint(1, 8 if name == "sync error" else 40)
            return DiskFailure(name, nth, self._random.choice([1, 1_000_000]), self._troubles)

        async def occupy(number: int) -> None:
            async with lane(self._directory / f"lane{number}.db", template, self._disk, budget=BUDGET) as one:
                await lead(one, f"person{number}", point, self.report)

        await self._together([occupy(number) for number in range(LANES)])

    async def _limits(self, template: Template) -> None:
        async with lane(self._directory / "limits.db", template, self._disk, budget=BUDGET) as one:
            points: list[Point] = [FileSizeLimit(self._random.randint(1, 64) * 1024) for _ in range(30)]
            points += [PageLimit() for _ in range(20)]
            left = iter(points)
            await self._together([lead(one, "limited", lambda: next(left, None), self.report)])

    async def _locks(self, template: Template) -> None:
        sqlite.WRITER_PRAGMAS["busy_timeout"] = round(int(str(sqlite.WRITER_PRAGMAS["busy_timeout"])) / SCALE)

        async def occupy(number: int) -> None:
            path = self._directory / f"locked{number}.db"
            async with lane(path, template, self._disk, budget=BUDGET / SCALE) as one:
                with lock_holder() as holder:
                    locks = iter([Lock(seconds, holder) for seconds in LOCKS * 2])
                    await lead(one, f"locked{number}", lambda: next(locks, None), self.report, scale=SCALE)

        await self._together([occupy(number) for number in range(4)])


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=PATIENCE)
    parser.add_argument("--most-violations", type=int, default=20, help="end the run after so many")
    parser.add_argument("--defect", choices=sorted(defects.DEFECTS), default=None)
    arguments = parser.parse_args()
    if arguments.defect:
        defects.DEFECTS[arguments.defect]()
    with workplace("disk") as directory:
        asked = Report(arguments.seed, arguments.patience, arguments.most_violations)
        report = asyncio.run(Instrument(directory, install(), asked, arguments.points).run())
    print(json.dumps({each.name: getattr(report, each.name) for each in fields(report)}))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
