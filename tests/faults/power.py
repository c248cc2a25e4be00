"""Cuts the power under a bridge at work: rebuilds the disk as it may be found then, and looks for what was promised.

A real bridge serves real requests while :mod:`tests.faults.disk` records what SQLite writes and syncs. Afterwards
images of the disk are made, of moments at which a client was just answered and of any others: what was synced is there;
of the rest nothing, or some writes, or some sectors of 512 bytes of some writes. Each image is opened, checked for
damage, and asked for every intent that had been answered by then.

``python -m tests.faults.power --images 1000 --seed 1`` prints one JSON document.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from scim_bridge.errors import BridgeError
from scim_bridge.store import audit
from scim_bridge.store.engine import Store
from tests.faults import defects
from tests.faults.bridges import CONNECTION, FastClients, portal, prepare, running, settings
from tests.faults.disk import Disk, Event, install
from tests.faults.instruments import workplace
from tests.faults.lives import WHOLE, Client, Held, Life, Progress, at_rest, life

SECTOR = 512
AT_A_TIME = 4
"""Lives led at the same time: few, so that most commits hold one request, and some hold several."""

IMAGES_PER_ANSWER = 4
OPENED_BY_THE_STORE = 20
"""One image in so many is opened by the bridge's own store too, and its audit chain verified."""


@dataclass(slots=True)
class Report:
    """What a run came to.

    :param images: How many were opened, by what was left of the unsynced writes.
    :param unsynced: How many of them had unsynced writes to lose.
    :param checkpoints: How often the database file itself was synced.
    :param lost: Images that lack what was answered.
    :param damaged: Images that SQLite or the store refuses.
    """

    seed: int
    requests: int = 0
    writes: int = 0
    syncs: int = 0
    checkpoints: int = 0
    unsynced: int = 0
    images: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    damaged: int = 0
    examples: list[str] = field(default_factory=list)


class Surface:
    """What a disk holds, and what it has been given but need not hold yet."""

    def __init__(self) -> None:
        self.synced: dict[str, bytearray] = {}
        self.pending: dict[str, list[Event]] = {}

    def take(self, event: Event) -> None:
        """Take over what happened; files without a name are temporary ones."""
        if not event.path:
            return
        if event.kind == "sync":
            held = self.synced.setdefault(event.path, bytearray())
            for each in self.pending.pop(event.path, ()):
                apply(held, each)
        elif event.kind == "delete":
            self.synced.pop(event.path, None)
            self.pending.pop(event.path, None)
        else:
            self.pending.setdefault(event.path, []).append(event)

    def image(self, mode: str, chance: random.Random) -> dict[str, bytearray]:
        """Return the files as they may be found: ``lost``, ``some`` or ``torn``."""
        found = {path: bytearray(content) for path, content in self.synced.items()}
        for path, events in self.pending.items():
            held = found.setdefault(path, bytearray())
            for event in events if mode != "lost" else ():
                if chance.random() < 0.5:
                    continue
                for each in sectors(event, chance) if mode == "torn" else (event,):
                    apply(held, each)
        return found


def apply(held: bytearray, event: Event) -> None:
    """Write to a file, or cut it."""
    if event.kind == "truncate":
        del held[event.offset :]
        return
    held.extend(bytes(max(0, event.offset - len(held))))
    held[event.offset : event.offset + len(event.data)] = event.data


def sectors(event: Event, chance: random.Random) -> Iterator[Event]:
    """Return those sectors of a write that made it to the disk."""
    if event.kind == "truncate":
        yield event
        return
    start, end = event.offset, event.offset + len(event.data)
    while start < end:
        boundary = min(end, (start // SECTOR + 1) * SECTOR)
        if chance.random() < 0.5:
            yield Event("write", event.path, start, event.data[start - event.offset : boundary - event.offset])
        start = boundary


async def record(disk: Disk, directory: Path, lives: Sequence[Life]) -> dict[int, int]:
    """Let a bridge work, from its very first write on, and return how often each status was answered."""
    template = await prepare(directory)
    configuration = settings(directory / "template.db", "http://127.0.0.1:1")
    async with running(configuration, FastClients(portal().transport()), template.token) as bridge:

        def note(name: str, progress: Progress) -> None:
            disk.note("note", (name, Progress(progress.begun, progress.answered, progress.id)))

        client = Client(bridge.send, template.groups, note)
        for first in range(0, len(lives), AT_A_TIME):
            await client.lead(lives[first : first + AT_A_TIME])
    return client.statuses


class Cutter:
    """Makes images and looks into them.

    :param directory: Where images are opened.
    """

    def __init__(self, directory: Path, lives: Sequence[Life], report: Report) -> None:
        self._directory = directory
        self._lives = {one.name: one for one in lives}
        self._report = report
        self._random = random.Random(report.seed)
        self._progress: dict[str, Progress] = {}

    def run(self, events: Sequence[Event], images: int) -> None:
        """Walk through what happened; cut the power half of the times right after a client's note, else anywhere."""
        notes = [index for index, event in enumerate(events) if event.kind == "note"]
        anywhere = self._random.choices(range(notes[0], len(events)), k=images // 2)
        cuts = Counter(anywhere + self._random.sample(notes * images, k=images - len(anywhere)))
        surface = Surface()
        for index, event in enumerate(events):
            if event.kind == "note":
                name, progress = event.data
                self._progress[name] = progress
            else:
                surface.take(event)
            for _ in range(cuts[index]):
                self._cut(surface)

    def _cut(self, surface: Surface) -> None:
        report = self._report
        mode = ("lost", "some", "torn")[report.images.total() % 3]
        report.images[mode] += 1
        if report.images.total() % 100 == 0:
            print(f"{report.images.total()} images", file=sys.stderr, flush=True)
        report.unsynced += any(surface.pending.values())
        for file in self._directory.iterdir():
            file.unlink()
        for path, content in surface.image(mode, self._random).items():
            (self._directory / Path(path).name).write_bytes(content)
        try:
            wrong = self._look(self._directory / "template.db")
            if not wrong and report.images.total() % OPENED_BY_THE_STORE == 0:
                asyncio.run(_open(self._directory / "template.db"))
        except (sqlite3.Error, BridgeError) as error:
            report.damaged += 1
            wrong = [f"damaged: {error}"]
        else:
            report.lost += bool(wrong)
        if wrong and len(report.examples) < 5:
            report.examples.append(f"image {report.images.total()} ({mode}): {'; '.join(wrong)}")

    def _look(self, database: Path) -> list[str]:
        """Return what an image lacks of what was answered."""
        if not self._progress:
            return []
        connection = sqlite3.connect(database)
        try:
            finding = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if finding != "ok":
                raise sqlite3.DatabaseError(finding)
            desired = desires(connection)
        finally:
            connection.close()
        told = (
            at_rest(self._lives[name], progress, desired.get(self._lives[name].email))
            for name, progress in self._progress.items()
        )
        return [wrong for wrong in told if wrong]


def desires(connection: sqlite3.Connection) -> dict[str, Held]:
    """Return what the bridge has durably noted that everybody should have; nothing for inactive people."""
    groups: dict[str, set[str]] = {}
    query = "SELECT m.user_id, g.name FROM member m JOIN resource g ON g.id = m.group_id WHERE m.desired"
    for user, group in connection.execute(query):
        groups.setdefault(user, set()).add(group)
    query = "SELECT id, name, document FROM resource WHERE kind = 'User' AND active AND NOT deleted"
    return {
        name: Held(json.loads(document)["name"]["familyName"], frozenset(groups.get(id_, ())))
        for id_, name, document in connection.execute(query)
    }


async def _open(database: Path) -> None:
    """Open an image as the bridge does. :raises BridgeError: When it refuses it, or its audit chain is broken."""
    database.chmod(0o600)
    store = await Store.open(f"sqlite:///{database}")
    try:
        broken = await store.scan(lambda tx: audit.verify(tx, CONNECTION))
    finally:
        await store.close()
    if broken is not None:
        raise BridgeError(f"the audit chain is broken at {broken}")


def cut(seed: int, images: int, directory: Path) -> Report:
    """Let a bridge work and cut its power so often."""
    report = Report(seed)
    count = max(AT_A_TIME, images // (IMAGES_PER_ANSWER * len(WHOLE)))
    lives = [life(f"person{number}", *WHOLE) for number in range(count)]
    disk = install()
    statuses = asyncio.run(record(disk, directory, lives))
    disk.recording = False
    report.requests = sum(statuses.values())
    report.writes, report.syncs = disk.counts["write"], disk.counts["sync"]
    report.checkpoints = sum(event.kind == "sync" and event.path.endswith(".db") for event in disk.events)
    images_in = directory / "image"
    images_in.mkdir()
    Cutter(images_in, lives, report).run(disk.events, images)
    return report


def main(planted: Callable[[str], None] = lambda name: defects.DEFECTS[name]()) -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--defect", choices=sorted(defects.DEFECTS), default=None)
    arguments = parser.parse_args()
    if arguments.defect:
        planted(arguments.defect)
    with workplace("power") as directory:
        report = cut(arguments.seed, arguments.images, directory)
    print(json.dumps({each.name: getattr(report, each.name) for each in fields(report)}))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
