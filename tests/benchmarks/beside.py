"""This build beside an earlier commit, scim2-server and the floor: over real sockets, each in a process of its own."""

import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.benchmarks.served import CORE, SPARE, id_of, sizes_of
from tests.benchmarks.sockets import CONNECTIONS, Amount, Cost, measure, request, resident

ROOT = Path(__file__).resolve().parents[2]
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
START_SECONDS = 1_800.0
HUGE = 100_000


@dataclass(frozen=True, slots=True)
class Measured:
    """One process that is measured.

    :param name: What tables call it.
    :param process: Its process id.
    :param base: The URL its endpoints are below.
    :param ids: The ids of its Users, where they are not those of :func:`id_of`.
    :param group: The id of its largest group, likewise.
    :param ready: Seconds from its start until it listened.
    """

    name: str
    process: int
    base: str
    token: str
    ids: list[str] | None = None
    group: str | None = None
    ready: float = 0.0

    def user(self, number: int) -> str:
        """Return the id of a User."""
        return id_of(number) if self.ids is None else self.ids[number]

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        """Return the bytes of a request."""
        return request(self.base, self.token, method, path, body)


Requests = Callable[[Measured, int], Iterator[bytes]]
"""Returns requests without end, for a system and a number of Users."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table.

    :param name: What it is called.
    :param goal: What issue 11 asks of it, in its words; the figures are beside it.
    :param number: How many requests a round at most.
    :param connections: Over how many connections.
    :param slow: How many at most of scim2-server, which may need a second for each; 0: it is left out.
    :param rounds: How many rounds at most, where each takes long.
    :param after: Whether the CPU time contains what is done after the answer.
    :param driven: Of how many Users each request has the driver change the account: the row is of one of them.
    """

    name: str
    goal: str
    requests: Requests
    number: int = 2_000
    connections: int = 1
    slow: int = 200
    rounds: int = 100
    after: bool = True
    driven: Callable[[int], int] = lambda _: 0


_chance = random.Random(11)
_new = count(10_000_000)


def _reads(path: Callable[[Measured, int], str]) -> Requests:
    def requests(system: Measured, users: int) -> Iterator[bytes]:
        while True:
            yield system.ask("GET", path(system, users))

    return requests


def _person(users: int) -> str:
    return f"person.{_chance.randrange(users)}@example.com"


def _filter(text: str) -> str:
    return f"/Users?filter={quote(text)}"


def _creations(system: Measured, users: int) -> Iterator[bytes]:
    for number in _new:
        name = f"new.{number}@example.com"
        user = {"schemas": [f"{CORE}:User"], "userName": name, "displayName": f"New {number}", "active": True}
        yield system.ask("POST", "/Users", user | {"emails": [{"value": name, "type": "work", "primary": True}]})


def _patches(
    path: Callable[[Measured, int], str], operation: Callable[[Measured, int, int], dict[str, Any]]
) -> Requests:
    taken: dict[int, count[int]] = {}

    def requests(system: Measured, users: int) -> Iterator[bytes]:
        for number in taken.setdefault(system.process, count()):
            one = number % users
            body = {"schemas": [PATCH_OP], "Operations": [operation(system, one, users)]}
            yield system.ask("PATCH", path(system, one), body)

    return requests


def _new_groups(size: Callable[[int], int]) -> Requests:
    def requests(system: Measured, users: int) -> Iterator[bytes]:
        members = [{"value": system.user(number)} for number in range(size(users))]
        for number in _new:
            group = {"schemas": [f"{CORE}:Group"], "displayName": f"New {number}", "members": members}
            yield system.ask("POST", "/Groups", group)

    return requests


def _all(users: int) -> int:
    return sizes_of(users)[0]


def _some(users: int) -> int:
    return max(1, users // 5)


def _group_path(system: Measured, _: int) -> str:
    return f"/Groups/{system.group or id_of(-2)}"


RETRIEVE = Operation(
    "GET /Users/{id}",
    "≥ 50 % of the floor, ≥ 5 ×",
    _reads(lambda system, users: f"/Users/{system.user(_chance.randrange(users))}"),
    connections=CONNECTIONS,
)
SEARCH = Operation(
    "userName eq",
    "≥ 30 % of the floor, ≥ 6 ×",
    _reads(lambda _, users: _filter(f'userName eq "{_person(users)}"')),
    connections=CONNECTIONS,
)
CONTAINS = Operation(
    "emails.value co",
    "≥ 5 ×",
    _reads(lambda _, users: _filter(f'emails.value co "son.{_chance.randrange(users // 10, users)}@"')),
    200,
    slow=5,
)
READS = (
    RETRIEVE,
    SEARCH,
    Operation(
        "page of 100",
        "≥ 4 ×",
        _reads(lambda _, users: f"/Users?startIndex={_chance.randrange(0, users, 100) + 1}&count=100"),
        200,
        slow=5,
    ),
    CONTAINS,
    Operation("GET the largest group", "≥ 10 ×", _reads(_group_path), 40, slow=2),
)
WRITES = (
    Operation("POST /Users", "≥ 6 ×", _creations, 40),
    Operation(
        "PATCH active=false",
        "≥ 6 ×",
        _patches(
            lambda system, one: f"/Users/{system.user(one)}",
            lambda *_: {"op": "replace", "path": "active", "value": False},
        ),
        40,
    ),
    Operation(
        "PATCH the largest group, +1",
        "≥ 6 ×",
        _patches(
            _group_path,
            lambda system, one, users: {
                "op": "add",
                "path": "members",
                "value": [{"value": system.user(users + one % SPARE)}],
            },
        ),
        20,
        slow=1,
    ),
    Operation("POST a group of as many", "≥ 10 ×", _new_groups(_all), 1, slow=1, rounds=2, after=False),
    Operation("the driver, each change", "≥ 8 ×", _new_groups(_some), 1, slow=0, rounds=3, driven=_some),
    Operation("POST /Users, 32 at once", "≥ 12 × one client", _creations, 160, connections=32),
)
LISTS = (
    RETRIEVE,
    SEARCH,
    Operation("first page", "≥ 5 ×", _reads(lambda *_: "/Users?startIndex=1&count=100"), 200, slow=0),
    Operation("last page", "≥ 5 ×", _reads(lambda _, users: f"/Users?startIndex={users - 99}&count=100"), 200, slow=0),
    Operation("page by userName", "≥ 5 ×", _reads(lambda *_: "/Users?sortBy=userName&count=100"), 100, slow=0),
    Operation(CONTAINS.name, "≥ 8 ×", CONTAINS.requests, 100, slow=0),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What an operation cost each system, in a directory of so many users."""

    operation: Operation
    users: int
    costs: dict[str, Cost]


@dataclass(frozen=True, slots=True)
class Whole:
    """A figure of each system as a whole.

    :param goal: What issue 11 asks of it, in its words.
    """

    name: str
    unit: str
    goal: str
    of: dict[str, float]


@contextlib.contextmanager
def running(name: str, kind: str, directory: Path, users: int, source: Path = ROOT) -> Iterator[Measured]:
    """Run a system of some sources until it is measured."""
    directory.mkdir(exist_ok=True)
    told = directory / f"{kind}.json"
    told.unlink(missing_ok=True)
    paths = [source / "src", *sorted(source.glob("plugins/*/src")), ROOT]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.benchmarks.served", kind, str(directory), str(users)]
    with (directory / "log").open("wb") as log:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=directory)
        try:
            until = time.monotonic() + START_SECONDS
            while not told.exists():
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{name} did not start: {(directory / 'log').read_text()[-2_000:]}")
                time.sleep(0.005)
            ready = time.monotonic() - began
            yield Measured(name, process.pid, **json.loads(told.read_text()), ready=ready)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@contextlib.contextmanager
def sources_of(commit: str, directory: Path) -> Iterator[Path]:
    """Check a commit out beside this one."""
    place = directory / "base"
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
    try:
        yield place
    finally:
        subprocess.run([*git, "remove", "--force", str(place)], check=True)


def compare(
    systems: list[Measured], operations: tuple[Operation, ...], users: int, rounds: int, seconds: float
) -> list[Row]:
    """Measure operations on all systems in turn (A B C A B C …), so that what else the machine does strikes all."""
    rows = []
    for operation in operations:
        costs: dict[str, Cost] = {}
        for turn in range(min(rounds, operation.rounds) + 1):
            for system in systems:
                number = operation.number if system.name != "scim2-server" else min(operation.number, operation.slow)
                if not number or (system.name == "floor" and operation not in (RETRIEVE, SEARCH)):
                    continue
                # What is made on first use is made in the turn that does not count.
                into = costs.setdefault(system.name, Cost()) if turn else Cost()
                amount = Amount(
                    number if turn else 1, seconds, operation.connections, operation.after, operation.driven(users)
                )
                measure(system.process, system.base, operation.requests(system, users), into, amount)
        rows.append(Row(operation, users, costs))
        told = ", ".join(f"{name} {cost.median_busy * 1000:.3g} ms" for name, cost in costs.items())
        print(f"{operation.name}: {told} of CPU", file=sys.stderr, flush=True)
    return rows


def tables(
    directory: Path, base: Path | None, *, users: int, huge: int, rounds: int, seconds: float
) -> tuple[list[Row], list[Whole]]:
    """Return the rows of everything, those of the reads of a large directory (``huge`` 0: none), and the wholes."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        systems = [
            enter(running("floor", "floor", directory / "floor", users)),
            enter(running("scim2-server", "peer", directory / "peer", users)),
            *bridges(stack, directory, base, users),
        ]
        rows = compare(systems, READS + WRITES, users, rounds, seconds)
        wholes = [_memory(f"memory, {users:,} users and the remote system's, written", systems[1:])]
    if huge:
        with contextlib.ExitStack() as stack:
            systems = bridges(stack, directory, base, huge)
            rows += compare(systems, LISTS, huge, rounds, seconds)
            wholes += [_memory(f"memory, {huge:,} users, read", systems)]
    return rows, [*wholes, _starts(directory, base, huge or users, rounds)]


def _memory(name: str, systems: list[Measured]) -> Whole:
    return Whole(name, "MiB", "≤ 115", {system.name: resident(system.process) for system in systems})


def _starts(directory: Path, base: Path | None, users: int, rounds: int) -> Whole:
    """Return how long a bridge takes to start before a directory that is there."""
    seen: dict[str, list[float]] = {}
    for _ in range(rounds):
        with contextlib.ExitStack() as stack:
            for system in bridges(stack, directory, base, users):
                seen.setdefault(system.name, []).append(system.ready)
    return Whole(
        f"start to ready, {users:,} users",
        "s",
        "≤ 0.6 × base",
        {name: statistics.median(all_) for name, all_ in seen.items()},
    )


def bridges(stack: contextlib.ExitStack, directory: Path, base: Path | None, users: int) -> list[Measured]:
    """Run the bridge of the earlier commit and that of this one; its database is made of the earlier one's."""
    ours = directory / f"this-{users}"
    systems = []
    if base is not None:
        theirs = directory / f"base-{users}"
        if not ours.exists():
            with running("base", "bridge", theirs, users, base):
                pass
            shutil.copytree(theirs, ours)
        systems.append(stack.enter_context(running("base", "bridge", theirs, users, base)))
    systems.append(stack.enter_context(running("this", "bridge", ours, users)))
    return systems
