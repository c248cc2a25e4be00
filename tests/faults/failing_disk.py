"""A bridge whose disk is full, fails, or whose database somebody else has locked: what it answers then, and afterwards.

Each point is one request of a life while something is wrong:

- a write or a sync of SQLite's fails, once or from then on (:mod:`tests.faults.disk`), each of them in turn;
- the kernel refuses to let files grow (``RLIMIT_FSIZE``);
- the database may not have more pages (``PRAGMA max_page_count``);
- another process holds the write lock for 0.1, 1, 5, 10 or 60 s; busy timeout and budget are as many times shorter.

Whatever is answered 2xx is true in HubSpot and stored; everything else is 429 with ``Retry-After``. Once it is over, the
client repeats its request, and all is well. ``python -m tests.faults.failing_disk --points 300 --seed 1`` prints one JSON
document.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from scim_bridge.store import sqlite
from scim_bridge_hubspot.emulator import HubSpotEmulator
from tests.faults import defects
from tests.faults.bridges import FastClients, RunningBridge, Template, held, holdings, portal, prepare, running, settings
from tests.faults.disk import Disk, install
from tests.faults.lives import Answer, Client, Life, ViolationError, at_rest, life
from tests.faults.power import desires

STEPS = (
    "create",
    "join Sales",
    "rename",
    "leave Sales",
    "join Support",
    "deactivate",
    "rename",
    "reactivate",
    "deactivate",
    "delete",
)
LANES = 10
SCALE = 10.0
"""How many times faster than in production a lock, the busy timeout and the budget are."""

LOCKS = (0.1, 1.0, 5.0, 10.0, 60.0)
"""Seconds, before they are scaled."""

BUDGET = 25.0
LATEST = 0.4
"""Seconds after which what is wrong ends, if no answer came before."""

PATIENCE = 60.0

CODES = {
    "disk full": ("write", sqlite3.SQLITE_FULL),
    "write error": ("write", sqlite3.SQLITE_IOERR_WRITE),
    "sync error": ("sync", sqlite3.SQLITE_IOERR_FSYNC),
}
"""What can fail, and SQLite's result code for it."""

HOLDER = """
import sqlite3, sys
for path in sys.stdin:
    connection = sqlite3.connect(path.strip(), isolation_level=None, timeout=60)
    connection.execute("BEGIN IMMEDIATE")
    print("held", flush=True)
    sys.stdin.readline()
    connection.close()
    print("free", flush=True)
"""
"""Another process: locks the database a line names until the next line."""


@dataclass(slots=True)
class Report:
    """What a run came to.

    :param points: Requests sent while something was wrong.
    :param fired: Those at which it made a difference: an operation failed, or the lock was waited for.
    :param statuses: Answers while it was wrong.
    :param slowest: The longest time a request took in seconds of production.
    """

    seed: int
    points: int = 0
    fired: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    violations: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Lane:
    """A bridge on a database of its own."""

    database: Path
    hubspot: HubSpotEmulator
    bridge: RunningBridge
    client: Client
    disk: Disk

    def wrong(self, one: Life) -> str:
        """Return what HubSpot or the database lacks of what somebody was told."""
        progress = self.client.progress[one.name]
        connection = sqlite3.connect(self.database)
        try:
            stored = desires(connection).get(one.email)
        finally:
            connection.close()
        return at_rest(one, progress, held(holdings(self.hubspot), one.email)) or at_rest(one, progress, stored)


class Failing:
    """Fails operations of SQLite on one file from the nth on, so many times."""

    def __init__(self, name: str, nth: int, times: int) -> None:
        self.name = name
        self._operation, self._code = CODES[name]
        self._nth, self._times = nth, times
        self.struck = 0

    def __call__(self, kind: str, path: str) -> int:
        """Return the result code of an operation."""
        if kind != self._operation or not path.endswith(("-wal", ".db")):
            return 0
        self._nth -= 1
        if self._nth > 0 or self.struck >= self._times:
            return 0
        self.struck += 1
        return self._code


class Point:
    """A trouble, and whether it made a difference."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fired = False

    async def begin(self, lane: Lane) -> None:
        """Make it wrong."""

    async def end(self, lane: Lane) -> None:
        """Make it right."""


class DiskFailure(Point):
    """A write or sync fails."""

    def __init__(self, name: str, nth: int, times: int, troubles: dict[Path, Failing]) -> None:
        super().__init__(f"{name} {'once' if times == 1 else 'lasting'}")
        self._failing = Failing(name, nth, times)
        self._troubles = troubles

    async def begin(self, lane: Lane) -> None:
        """Let operations fail."""
        self._troubles[lane.database] = self._failing

    async def end(self, lane: Lane) -> None:
        """Let them succeed again."""
        self._troubles.pop(lane.database, None)
        self.fired = self._failing.struck > 0


class FileSizeLimit(Point):
    """The kernel lets no file of this process grow beyond a size."""

    def __init__(self, limit: int) -> None:
        super().__init__("file size limit")
        self._limit = limit

    async def begin(self, lane: Lane) -> None:
        """Set the limit."""
        lane.disk.counts["failed"] = 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._limit, resource.RLIM_INFINITY))

    async def end(self, lane: Lane) -> None:
        """Lift it."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.fired = lane.disk.counts["failed"] > 0


class PageLimit(Point):
    """The database may not grow."""

    def __init__(self) -> None:
        super().__init__("page limit")

    async def begin(self, lane: Lane) -> None:
        """Let it have no more pages than it has, and use up those that are free."""
        store = lane.bridge.bridge.store

        def limit(tx: Any) -> None:
            tx.exec_driver_sql("CREATE TABLE IF NOT EXISTS filling (content)")
            pages = tx.exec_driver_sql("PRAGMA page_count").scalar()
            tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        await store.write(limit)
        filler = "INSERT INTO filling VALUES (zeroblob(200))"
        for _ in range(200):
            try:
                await store.write(lambda tx: tx.exec_driver_sql(filler))
            except Exception as error:  # noqa: BLE001 - the store's own error, whichever it is
                self.fired = type(error).__name__ == "StoreUnavailableError"
                return

    async def end(self, lane: Lane) -> None:
        """Let it grow."""
        await lane.bridge.bridge.store.write(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count = 1000000").close())


class Lock(Point):
    """Another process has the write lock for some time."""

    def __init__(self, seconds: float, holder: subprocess.Popen[str]) -> None:
        super().__init__(f"locked for {seconds:g} s")
        self._seconds = seconds / SCALE
        self._holder = holder
        self._release: asyncio.Task[None] | None = None

    async def begin(self, lane: Lane) -> None:
        """Lock it, and let go after the time."""
        self.fired = await asyncio.to_thread(say, self._holder, str(lane.database)) == "held"

        async def release() -> None:
            await asyncio.sleep(self._seconds)
            await asyncio.to_thread(say, self._holder, "")

        self._release = asyncio.create_task(release())

    async def end(self, lane: Lane) -> None:
        """Wait for the end of the time."""
        if self._release is not None:
            await self._release


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
    await asyncio.wait({taken, first}, timeout=LATEST, return_when=asyncio.FIRST_COMPLETED)
    read = await one.bridge.send("GET", "/Users?count=1", None)
    await point.end(one)
    try:
        async with asyncio.timeout(PATIENCE):
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
    report.fired[point.name] += point.fired
    report.statuses[first.result().status if first.done() else 0] += 1


async def lead(
    one: Lane, name: str, points: Callable[[], Point | None], report: Report, *, scale: float = 1.0
) -> None:
    """Lead lives, each step in trouble, until there is none left."""
    turn = 0
    while True:
        subject = life(f"{name}x{turn}", *STEPS)
        for _ in subject.steps:
            point = points()
            if point is None:
                return
            await suffer(one, subject, point, report, scale)
        turn += 1


class Instrument:
    """Makes the points and runs them.

    :param points: How many disk failures; the other troubles have their own numbers.
    """

    def __init__(self, directory: Path, disk: Disk, seed: int, points: int) -> None:
        self.report = Report(seed)
        self._directory = directory
        self._disk = disk
        self._random = random.Random(seed)
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
        """Every write and sync that a step may make, in turn."""
        left = iter(range(self._points))

        def point() -> Point | None:
            if next(left, None) is None:
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
        sqlite.WRITER_PRAGMAS["busy_timeout"] = round(sqlite.WRITER_PRAGMAS["busy_timeout"] / SCALE)

        async def occupy(number: int) -> None:
            path = self._directory / f"locked{number}.db"
            async with lane(path, template, self._disk, budget=BUDGET / SCALE) as one:
                with lock_holder() as holder:
                    locks = iter([Lock(seconds, holder) for seconds in LOCKS * 2])
                    await lead(one, f"locked{number}", lambda: next(locks, None), self.report, scale=SCALE)

        await self._together([occupy(number) for number in range(4)])


@contextmanager
def lock_holder() -> Iterator[subprocess.Popen[str]]:
    """Run the process that locks databases, for the length of a ``with`` block."""
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        yield holder
        if holder.stdin is not None:
            holder.stdin.close()


def say(holder: subprocess.Popen[str], line: str) -> str:
    """Tell the process a line and return its answer."""
    if holder.stdin is None or holder.stdout is None:
        raise RuntimeError("the process has no pipes")
    print(line, file=holder.stdin, flush=True)
    return holder.stdout.readline().strip()


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--defect", choices=sorted(defects.DEFECTS), default=None)
    arguments = parser.parse_args()
    if arguments.defect:
        defects.DEFECTS[arguments.defect]()
    memory = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="scim-bridge-disk-", dir=memory) as directory:
        report = asyncio.run(Instrument(Path(directory), install(), arguments.seed, arguments.points).run())
    print(json.dumps({each.name: getattr(report, each.name) for each in fields(report)}))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
