"""Kills bridges by SIGKILL at chosen boundaries, recovers them and compares HubSpot with what clients were told.

Run as a program: it imports the application once and forks one process per kill, one per recovery, and one HubSpot.
A recovery may be killed, too. ``python -m tests.faults.killing --kills 500 --seed 1`` prints one JSON document.
"""

import argparse
import asyncio
import contextlib
import gc
import itertools
import json
import os
import random
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tests.faults import defects, failpoints
from tests.faults.bridges import (
    FastClients,
    RunningBridge,
    Template,
    held,
    prepare,
    running,
    settings,
)
from tests.faults.failpoints import POINTS, WatchedTransport
from tests.faults.forks import Remote, fork
from tests.faults.lives import Client, Journal, Life, Progress, ViolationError, at_any_time, at_rest, life

SCENARIOS: tuple[tuple[Life, ...], ...] = (
    (life("ada", "create", "join Sales", "rename", "deactivate"), life("bob", "create", "delete")),
    (life("ada", "create", "join Sales", "leave Sales", "join Support"), life("bob", "create", "deactivate")),
    (life("ada", "create", "deactivate", "rename", "reactivate"), life("bob", "create", "join Support", "delete")),
    (life("ada", "create", "join Support", "deactivate", "reactivate", "delete"),),
)
"""What is under way when a process dies; the lives of a scenario are led at the same time."""

MIGRATION = len(SCENARIOS)
"""The scenario of a bridge that makes its tables, and dies doing so."""

PATIENCE = 120.0
"""Seconds after which a process is taken to be stuck."""

SHARE_OF_DOUBLE_KILLS = 0.15

Target = tuple[str, int]


@dataclass(slots=True)
class Report:
    """What a run came to.

    :param kills: How often a process was killed at its boundary.
    :param double: How often its recovery was, too.
    :param fired: Kills by boundary.
    :param distinct: How many different boundaries of different scenarios that were.
    :param boundaries: How many there are.
    :param violations: Each with what replays it.
    """

    seed: int
    kills: int = 0
    double: int = 0
    missed: int = 0
    distinct: int = 0
    boundaries: int = 0
    fired: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


class Killer:
    """Kills and recovers bridges.

    :param directory: Where databases are.
    """

    def __init__(self, directory: Path, seed: int, patience: float = PATIENCE) -> None:
        self.directory = directory
        self.report = Report(seed)
        self._random = random.Random(seed)
        self._here = directory / "point"
        self._patience = patience
        self._remote = Remote()
        self._template = self._prepared()
        self._points = self._enumerate()
        names = sorted({name for hits in self._points for name in hits})
        self._names = itertools.cycle(self._random.sample(names, len(names)))

    def run(self, kills: int, most_violations: int) -> Report:
        """Kill so many processes, or until there were so many violations."""
        seen = set()
        while (
            self.report.kills < kills and self.report.missed <= kills and len(self.report.violations) < most_violations
        ):
            scenario, target = self._draw()
            if self._kill(scenario, target):
                seen.add((scenario, target))
        self.report.distinct = len(seen)
        self.report.boundaries = sum(sum(hits.values()) for hits in self._points)
        self._remote.end()
        return self.report

    def _draw(self) -> tuple[int, Target]:
        """Draw a boundary: evenly among all of them, or of the next name."""
        if self._random.random() < 0.5:
            weights = [sum(hits.values()) for hits in self._points]
            (scenario,) = self._random.choices(range(len(self._points)), weights)
            hits = self._points[scenario]
            (name,) = self._random.choices(list(hits), list(hits.values()))
        else:
            name = next(self._names)
            scenario = self._random.choice([index for index, hits in enumerate(self._points) if name in hits])
        return scenario, (name, self._random.randint(1, self._points[scenario][name]))

    def _kill(self, scenario: int, target: Target) -> bool:
        """Kill one process and judge what comes of it; return whether it died at the boundary."""
        self._renew(scenario)
        again: Target | None = None
        if self._random.random() < SHARE_OF_DOUBLE_KILLS:
            name = self._random.choice(["before a statement", "after COMMIT", "before sending", "after sending"])
            again = (name, self._random.randint(1, 12))
        if not self._ends_by_kill(lambda: self._live(scenario), target):
            self.report.missed += 1
            return False
        self.report.kills += 1
        self.report.fired[target[0]] += 1
        if again is not None and self._ends_by_kill(lambda: self._recover(scenario), again):
            self.report.double += 1
        told = self._wait(fork(lambda: self._recover(scenario)))
        result = self._here / "violations"
        found = json.loads(result.read_text()) if result.exists() else [f"the recovery ended by {told}"]
        if found:
            where = f"{target[0]} no. {target[1]} of scenario {scenario}, second kill {again}"
            self.report.violations.append(f"{where}: {'; '.join(found)}")
        return True

    def _ends_by_kill(self, work: Callable[[], None], target: Target) -> bool:
        def armed() -> None:
            POINTS.target = target
            work()

        return self._wait(fork(armed)) == -signal.SIGKILL

    def _wait(self, process: int) -> int:
        """Return the status of a process, negative the signal that ended it; end one that is stuck."""
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        os.kill(process, signal.SIGABRT)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def _renew(self, scenario: int) -> None:
        """Begin from a fresh database and a fresh HubSpot."""
        self._remote.renew()
        self._here.mkdir(exist_ok=True)
        for file in self._here.iterdir():
            file.unlink()
        if scenario != MIGRATION:
            database = self._here / "bridge.db"
            database.write_bytes(self._template.database)
            database.chmod(0o600)

    # -- In processes of their own ----------------------------------------------------------------------------------

    def _prepared(self) -> Template:
        """Return a database to begin with, and lead a life in this process, so that its children are warm.

        The threads of a bridge have ended with it; so forking is safe.
        """
        path = self.directory / "template"
        path.mkdir()
        template = asyncio.run(prepare(path))

        async def warm() -> None:
            clients = FastClients(WatchedTransport(verify=False))
            async with running(settings(path / "template.db", self._remote.url), clients, template.token) as bridge:
                await Client(bridge.send, template.groups).lead(SCENARIOS[0])
                await bridge.drifts()

        asyncio.run(warm())
        POINTS.hits.clear()
        gc.freeze()
        return template

    def _enumerate(self) -> list[Counter[str]]:
        """Return the boundaries of every scenario that nobody disturbs, by name."""
        found = []
        for scenario in range(MIGRATION + 1):
            self._renew(scenario)

            def count(scenario: int = scenario) -> None:
                self._live(scenario)
                (self._here / "hits").write_text(json.dumps(POINTS.hits))

            if self._wait(fork(count)) != 0:
                raise ViolationError(f"scenario {scenario} fails undisturbed")
            found.append(Counter(json.loads((self._here / "hits").read_text())))
        found[MIGRATION] = Counter({name: hits for name, hits in found[MIGRATION].items() if "migrating" in name})
        return found

    def _live(self, scenario: int) -> None:
        """Lead the lives of a scenario; the process is to be killed meanwhile."""

        async def live() -> None:
            POINTS.phase = "migrating: " if scenario == MIGRATION else ""
            async with self._bridge() as bridge:
                if scenario == MIGRATION:
                    return
                journal = Journal(self._here / "journal")
                client = Client(bridge.send, self._template.groups, journal.note)
                await client.lead(SCENARIOS[scenario])

        asyncio.run(live())

    def _recover(self, scenario: int) -> None:
        """Start again, judge, lead the lives to their end, judge again."""
        violations: list[str] = []

        async def recover() -> None:
            async with self._bridge() as bridge:
                with _noted(violations):
                    await (self._fresh(bridge) if scenario == MIGRATION else self._resume(bridge, scenario, violations))

        if scenario != MIGRATION:
            violations += self._judge(scenario, at_any_time)
        with _noted(violations):
            asyncio.run(asyncio.wait_for(recover(), self._patience / 2))
        (self._here / "violations").write_text(json.dumps(violations))

    async def _resume(self, bridge: RunningBridge, scenario: int, violations: list[str]) -> None:
        async with asyncio.timeout(self._patience / 4):
            await bridge.idle()
        violations += self._judge(scenario, at_rest)
        journal_path = self._here / "journal"
        progress = Journal.read(journal_path)
        journal = Journal(journal_path)
        client = Client(bridge.send, self._template.groups, journal.note, progress=progress)
        await client.lead(SCENARIOS[scenario])
        async with asyncio.timeout(self._patience / 4):
            await bridge.idle()
        violations += self._judge(scenario, at_rest)
        violations += [f"afterwards {drift}" for drift in await bridge.drifts()]
        for one in SCENARIOS[scenario]:
            made = self._remote.creations(one.email)
            if made != one.creations:
                violations.append(f"{one.name} was created {made} times instead of {one.creations}")
        violations += self._rows(scenario)

    async def _fresh(self, bridge: RunningBridge) -> None:
        """A database whose migration was killed is as good as new."""
        integrity = await bridge.bridge.store.scan(lambda tx: tx.exec_driver_sql("PRAGMA integrity_check").scalar())
        if integrity != "ok":
            raise ViolationError(f"integrity_check: {integrity}")
        if await bridge.drifts():
            raise ViolationError("a new database knows of differences")

    def _bridge(self) -> Any:
        """Return the bridge on this point's database."""
        clients = FastClients(WatchedTransport(verify=False))
        configuration = settings(self._here / "bridge.db", self._remote.url)

        @contextlib.asynccontextmanager
        async def opened() -> Any:
            async with running(configuration, clients, self._template.token) as bridge:
                POINTS.phase = ""
                bridge.reached = POINTS.reach
                yield bridge

        return opened()

    def _judge(self, scenario: int, rule: Callable[..., str]) -> list[str]:
        snapshot, progress = self._remote.snapshot(), Journal.read(self._here / "journal")
        told = (rule(one, progress.get(one.name, Progress()), held(snapshot, one.email)) for one in SCENARIOS[scenario])
        return [f"{rule.__name__}: {wrong}" for wrong in told if wrong]

    def _rows(self, scenario: int) -> list[str]:
        """Return the names that more than one live User has."""
        connection = sqlite3.connect(self._here / "bridge.db")
        query = (
            "SELECT name, COUNT(*) FROM resource WHERE kind = 'User' AND NOT deleted GROUP BY name HAVING COUNT(*) > 1"
        )
        doubled = connection.execute(query).fetchall()
        connection.close()
        return [f"{name} is there {count} times" for name, count in doubled]


@contextmanager
def _noted(violations: list[str]) -> Iterator[None]:
    try:
        yield
    except (ViolationError, TimeoutError) as error:
        violations.append(f"{type(error).__name__} {error}")


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=PATIENCE)
    parser.add_argument("--most-violations", type=int, default=20, help="end the run after so many")
    parser.add_argument("--defect", choices=sorted(defects.DEFECTS), default=None)
    arguments = parser.parse_args()
    failpoints.install()
    if arguments.defect:
        defects.DEFECTS[arguments.defect]()
    # What the kernel has written survives SIGKILL; so memory is as good as a disk here.
    memory = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="scim-bridge-kill-", dir=memory) as directory:
        report = Killer(Path(directory), arguments.seed, arguments.patience).run(
            arguments.kills, arguments.most_violations
        )
    print(json.dumps({each.name: getattr(report, each.name) for each in fields(report)}))


if __name__ == "__main__":
    main()
