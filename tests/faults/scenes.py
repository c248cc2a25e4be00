"""What is under way when a process is killed: people in the middle of their lives, and everything as it was then.

The lives of a scenario are led at the same time, two steps of each at a time. Before each two, the database, HubSpot
and the client's journal are kept; so a kill in somebody's last step need not lead their whole life again.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tests.faults.bridges import FastClients, Template, prepare, running, settings
from tests.faults.failpoints import WatchedTransport
from tests.faults.forks import Remote
from tests.faults.lives import Client, Journal, Life, Progress, life
from tests.faults.promises.diary import Diary, shown

SCENARIOS: tuple[tuple[Life, ...], ...] = (
    (life("ada", "create", "join Sales", "rename", "deactivate"), life("bob", "create", "delete")),
    (life("ada", "create", "join Sales", "leave Sales", "join Support"), life("bob", "create", "deactivate")),
    (life("ada", "create", "deactivate", "rename", "reactivate"), life("bob", "create", "join Support", "delete")),
    (life("ada", "create", "join Support", "deactivate", "reactivate", "delete"),),
)

STEPS = 2
"""So many steps of each life are one scene."""


class Scene(NamedTuple):
    """Where a process begins that is to be killed.

    :param lives: To the end of the scene.
    :param progress: How far they are when it begins.
    :param database: The bridge's, as it is then; empty for a bridge that makes its tables.
    :param diary: What the client has sent and was answered by then.
    """

    name: str
    lives: tuple[Life, ...]
    progress: dict[str, Progress]
    database: bytes
    diary: bytes = b""

    @property
    def migrates(self) -> bool:
        """Whether the bridge makes its tables, and nobody is there."""
        return not self.lives

    def begin(self, directory: Path, remote: Remote) -> None:
        """Put everything where it was then."""
        remote.renew(self.name)
        directory.mkdir(exist_ok=True)
        for file in directory.iterdir():
            file.unlink()
        journal = Journal(directory / "journal")
        for name, progress in self.progress.items():
            journal.note(name, progress)
        journal.close()
        (directory / "diary").write_bytes(self.diary)
        if not self.migrates:
            database = directory / "bridge.db"
            database.write_bytes(self.database)
            database.chmod(0o600)


async def scenes(directory: Path, remote: Remote) -> tuple[Template, list[Scene]]:
    """Lead all lives once, undisturbed, and return where every scene begins.

    That warms this process, too: whoever is forked from it finds every module imported and every statement compiled.
    """
    template = await prepare(directory)
    found = []
    for number, lives in enumerate(SCENARIOS):
        database = directory / f"scenario{number}.db"
        database.write_bytes(template.database)
        database.chmod(0o600)
        remote.renew("")
        progress: dict[str, Progress] = {}
        written = directory / f"scenario{number}.diary"
        diary = Diary(written)
        for _, what, *values in shown(template.groups, at=0.0):
            diary.note(what, *values)
        for begin in range(0, max(len(one.steps) for one in lives), STEPS):
            until = tuple(replace(one, steps=one.steps[: begin + STEPS]) for one in lives)
            name = f"{number}, steps {begin + 1} to {begin + STEPS}"
            remote.keep(name)
            known = {who: replace(each) for who, each in progress.items()}
            found.append(Scene(name, until, known, database.read_bytes(), written.read_bytes()))
            clients = FastClients(WatchedTransport(verify=False))
            async with running(settings(database, remote.url), clients, template.token) as bridge:
                await Client(diary.watch(bridge.send), template.groups, progress=progress).lead(until)
                await bridge.idle()
                await bridge.drifts()
    return template, [*found, Scene("", (), {}, b"")]
