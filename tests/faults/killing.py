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
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from scim_bridge.provisioning import driver
from tests.faults import defects, failpoints, warm
from tests.faults.bridges import GROUPS, FastClients, RunningBridge, held, portal, running, settings
from tests.faults.failpoints import POINTS, WatchedTransport
from tests.faults.forks import Remote, Worker, fork
from tests.faults.instruments import workplace
from tests.faults.lives import Client, Journal, Progress, ViolationError, at_any_time, at_rest
from tests.faults.promises.diary import Diary, lists, together
from tests.faults.promises.portals import accounts_of
from tests.faults.promises.rules import judge
from tests.faults.scenes import Scene, scenes
from tests.hang_guard import HANG_SECONDS

PATIENCE = 4 * HANG_SECONDS
"""Seconds after which a process is taken to be stuck."""

SHARE_OF_DOUBLE_KILLS = 0.18

Target = tuple[str, int]


@dataclass(slots=True)
class Report:
    """What a run came to.

    :param kills: How often a process was killed at its boundary.
    :param double: How often its recovery was, too.
    :param fired: Kills by boundary.
    :param distinct: How many different boundaries of different scenarios that were.
    :param boundaries: How many there are.
    :param slowest: The longest it took until nothing was pending any more after a start, in seconds.
    :param violations: Each with what replays it.
    """

    seed: int
    kills: int = 0
    double: int = 0
    missed: int = 0
    distinct: int = 0
    boundaries: int = 0
    slowest: float = 0.0
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
        self._template, self._scenes = asyncio.run(scenes(directory, self._remote))
        POINTS.hits.clear()
        gc.freeze()
        gc.disable()  # children live for a moment; a collection would copy every page they share
        self._recovery = Worker(lambda number: self._recover(self._scenes[number]))
        self._points = [self._boundaries(scene) for scene in self._scenes]
        names = sorted({name for hits in self._points for name in hits})
        self._names = itertools.cycle(self._random.sample(names, len(names)))

    def run(self, kills: int, most_violations: int) -> Report:
        """Kill so many processes, or until there were so many violations."""
        seen = set()
        while (
            self.report.kills < kills and self.report.missed <= kills and len(self.report.violations) < most_violations
        ):
            scene, target = self._draw()
            if self._kill(scene, target):
                seen.add((scene.name, target))
                print(f"{self.report.kills} of {kills} kills", file=sys.stderr, flush=True)
        self.report.distinct = len(seen)
        self.report.boundaries = sum(sum(hits.values()) for hits in self._points)
        self._recovery.end()
        self._remote.end()
        return self.report

    def _draw(self) -> tuple[Scene, Target]:
        """Draw a boundary: evenly among all of them, or of the next name."""
        if self._random.random() < 0.5:
            weights = [sum(hits.values()) for hits in self._points]
            (number,) = self._random.choices(range(len(self._points)), weights)
            hits = self._points[number]
            (name,) = self._random.choices(list(hits), list(hits.values()))
        else:
            name = next(self._names)
            number = self._random.choice([index for index, hits in enumerate(self._points) if name in hits])
        return self._scenes[number], (name, self._random.randint(1, self._points[number][name]))

    def _kill(self, scene: Scene, target: Target) -> bool:
        """Kill one process and judge what comes of it; return whether it died at the boundary."""
        scene.begin(self._here, self._remote)
        again: Target | None = None
        if self._random.random() < SHARE_OF_DOUBLE_KILLS:
            name = self._random.choice(["before a statement", "after COMMIT", "before sending", "after sending"])
            again = (name, self._random.randint(1, 12))
        if not self._ends_by_kill(lambda: self._live(scene), target):
            self.report.missed += 1
            return False
        self.report.kills += 1
        self.report.fired[target[0]] += 1
        if again is not None and self._ends_by_kill(lambda: self._recover(scene), again):
            self.report.double += 1
        wrong = self._recovery.do(self._scenes.index(scene), self._patience)
        result = self._here / "result"
        found: Any = {"violations": [f"the recovery {wrong}"]} if wrong else json.loads(result.read_text())
        self.report.slowest = max(self.report.slowest, found.get("seconds", 0.0))
        if found["violations"]:
            where = f"{target[0]} no. {target[1]} of scenario {scene.name or 'migration'}, second kill {again}"
            self.report.violations.append(f"{where}: {'; '.join(found['violations'])}")
        return True

    def _ends_by_kill(self, work: Callable[[], None], target: Target) -> bool:
        def armed() -> None:
            POINTS.target = target
            work()

        return fork(armed).wait(self._patience) == -signal.SIGKILL

    def _boundaries(self, scene: Scene) -> Counter[str]:
        """Return the boundaries of a scene that nobody disturbs, by name."""
        scene.begin(self._here, self._remote)

        def count() -> None:
            self._live(scene)
            (self._here / "hits").write_text(json.dumps(POINTS.hits))

        if fork(count).wait(self._patience) != 0:
            raise ViolationError(f"scenario {scene.name} fails undisturbed")
        hits = json.loads((self._here / "hits").read_text())
        return Counter({name: count for name, count in hits.items() if "migrating" in name or not scene.migrates})

    # -- In processes of their own ----------------------------------------------------------------------------------

    def _live(self, scene: Scene) -> None:
        """Lead the lives of a scene; the process is to be killed meanwhile."""

        async def live() -> None:
            POINTS.phase = "migrating: " if scene.migrates else ""
            async with self._bridge() as bridge:
                await self._client(bridge).lead(scene.lives)

        asyncio.run(live())

    def _recover(self, scene: Scene) -> None:
        """Start again, judge, lead the lives to the end of the scene, judge again; end without cleaning up."""
        began = time.monotonic()
        result: dict[str, Any] = {"violations": self._judge(scene, at_any_time)}

        async def recover() -> None:
            async with self._bridge() as bridge:
                with _noted(result["violations"]):
                    async with asyncio.timeout(self._patience / 4):
                        await bridge.idle()
                    result["seconds"] = time.monotonic() - began
                    await (self._fresh(bridge) if scene.migrates else self._resume(bridge, scene, result["violations"]))

        with _noted(result["violations"]):
            asyncio.run(asyncio.wait_for(recover(), self._patience / 2))
        (self._here / "result").write_text(json.dumps(result))

    async def _resume(self, bridge: RunningBridge, scene: Scene, violations: list[str]) -> None:
        violations += self._judge(scene, at_rest)
        await self._client(bridge).lead(scene.lives)
        async with asyncio.timeout(self._patience / 4):
            await bridge.idle()
        violations += self._judge(scene, at_rest)
        violations += [f"afterwards {drift}" for drift in await bridge.drifts()]
        for one in scene.lives:
            made = self._remote.creations(one.email)
            if made != one.creations:
                violations.append(f"{one.name} was created {made} times instead of {one.creations}")
        violations += self._rows()
        violations += await self._promises(bridge)

    async def _promises(self, bridge: RunningBridge) -> list[str]:
        """Return every promise that was broken, by what could be seen from outside."""
        lines = Diary.read(self._here / "diary")
        record = together([*lines, *self._remote.noted()], accounts_of(portal()), strength=GROUPS)
        record.rested, record.lists = True, await lists(bridge.send)
        return [str(finding) for finding in judge(record)]

    async def _fresh(self, bridge: RunningBridge) -> None:
        """A database whose migration was killed is as good as new."""
        integrity = await bridge.bridge.store.scan(lambda tx: tx.exec_driver_sql("PRAGMA integrity_check").scalar())
        if integrity != "ok":
            raise ViolationError(f"integrity_check: {integrity}")
        if await bridge.drifts():
            raise ViolationError("a new database knows of differences")

    def _client(self, bridge: RunningBridge) -> Client:
        """Return the client, as far as its journal tells."""
        path = self._here / "journal"
        progress = Journal.read(path)
        send = Diary(self._here / "diary").watch(bridge.send)
        return Client(send, self._template.groups, Journal(path).note, progress=progress)

    @contextlib.asynccontextmanager
    async def _bridge(self) -> AsyncIterator[RunningBridge]:
        """Run the bridge on this point's database."""
        clients = FastClients(WatchedTransport(verify=False))
        configuration = settings(self._here / "bridge.db", self._remote.url)
        async with running(configuration, clients, self._template.token) as bridge:
            POINTS.phase = ""
            bridge.reached = POINTS.reach
            yield bridge

    def _judge(self, scene: Scene, rule: Callable[..., str]) -> list[str]:
        snapshot, progress = self._remote.snapshot(), Journal.read(self._here / "journal")
        told = (rule(one, progress.get(one.name, Progress()), held(snapshot, one.email)) for one in scene.lives)
        return [f"{rule.__name__}: {wrong}" for wrong in told if wrong]

    def _rows(self) -> list[str]:
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
    warm.install()
    vars(driver)["ON_THE_WIRE"] = 0.0  # what was sent before a kill has arrived here before the recovery begins
    if arguments.defect:
        defects.DEFECTS[arguments.defect]()
    # What the kernel has written survives SIGKILL; so memory is as good as a disk here.
    with workplace("kill") as directory:
        report = Killer(directory, arguments.seed, arguments.patience).run(arguments.kills, arguments.most_violations)
    print(json.dumps({each.name: getattr(report, each.name) for each in fields(report)}))


if __name__ == "__main__":
    main()
