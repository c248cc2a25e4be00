"""What a write costs in CPU time and in counts, which do not depend on what else the machine does.

``python -m tests.benchmarks.costs`` prints, for each write, CPU milliseconds, statements, commits, transactions of the
store, JSON documents that were read and models that were validated; with what goes on after the answer. With
``--profile`` it prints how many Python calls each of them takes, and where the time goes.
"""

import argparse
import asyncio
import contextlib
import cProfile
import json
import pstats
import random
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlalchemy import event
from sqlalchemy.engine import Engine

from scim_bridge.store.engine import Store
from tests.benchmarks import operations
from tests.benchmarks.measurement import settled
from tests.benchmarks.operations import Operation
from tests.benchmarks.systems import Request, System, bridge_system
from tests.http.bridge import GROUP

CLIENTS = 32
_numbers = count(1)


def _whole_group(system: System, chance: random.Random, number: int) -> list[Request]:
    """A Group of everybody."""
    del chance
    members = [{"value": id_} for id_, _ in system.users]
    bodies = [{"displayName": f"Everybody {next(_numbers)}", "members": members} for _ in range(number)]
    return [Request("POST", "/Groups", "", {"schemas": [GROUP], **body}) for body in bodies]


WRITES = {
    "POST /Users": operations.CREATE,
    "PATCH active=false": operations.DEACTIVATE,
    "PATCH group +1": operations.JOIN_LARGEST,
    "POST group of all": Operation("POST /Groups, everybody in it", _whole_group, operations.CREATE.undo),
}


class Counts:
    """Counts what this process does, while it is asked to."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    def statement(self, text: str) -> None:
        """Count a statement as SQLite runs it."""
        word = text.split(None, 1)[0].upper()
        self.of[{"COMMIT": "commits", "BEGIN": "begins"}.get(word, "statements")] += 1

    def install(self) -> None:
        """Count from now on; before any database is opened."""

        @event.listens_for(Engine, "connect")
        def traced(connection: sqlite3.Connection, _record: object) -> None:
            connection.set_trace_callback(self.statement)

        self._patch(json, "loads", "documents")
        self._patch(Store, "write", "writes")
        self._patch(Store, "read", "reads")
        validate = BaseModel.__dict__["model_validate"].__func__

        def validated(model: type[BaseModel], *arguments: Any, **options: Any) -> Any:
            self.of["models"] += 1
            return validate(model, *arguments, **options)

        BaseModel.model_validate = classmethod(validated)  # type: ignore[assignment,method-assign] # replaced, to count its calls

    def _patch(self, owner: Any, name: str, counted: str) -> None:
        inner = getattr(owner, name)

        def outer(*arguments: Any, **options: Any) -> Any:
            self.of[counted] += 1
            return inner(*arguments, **options)

        setattr(owner, name, outer)


async def _send(system: System, requests: Sequence[Request], clients: int) -> list[bytes]:
    """Send requests from some clients, each one at a time, and wait until nothing is left to do."""
    answers: dict[int, bytes] = {}

    async def client(first: int) -> None:
        for place in range(first, len(requests), clients):
            answers[place] = await system.send(requests[place])

    await asyncio.gather(*(client(first) for first in range(clients)))
    await settled(system)
    return [answers[place] for place in sorted(answers)]


async def _rounds(
    system: System, operation: Operation, number: int, rounds: int, clients: int, each: Callable[[], Any]
) -> None:
    chance = random.Random(20)
    for _ in range(rounds + 1):
        requests = operation.requests(system, chance, number)
        with each():
            answers = await _send(system, requests, clients)
        for request in operation.undo(system, requests, answers):
            with contextlib.suppress(RuntimeError):  # of many members it may not be done within the budget
                await system.send(request)
        await settled(system)


async def measure(users: int, number: int, rounds: int, only: str, visit: Callable[..., Awaitable[None]]) -> None:
    """Measure each write, one client and many, in a directory of so many users."""
    with tempfile.TemporaryDirectory() as directory:
        async with bridge_system(Path(directory) / "bridge", users, max(number, CLIENTS) * 8, (users,)) as system:
            for name, operation in WRITES.items():
                if only not in name:
                    continue
                whole = name == "POST group of all"
                many = 1 if whole else number
                await visit(system, operation, name, many, rounds, 1)
                if not whole:
                    await visit(system, operation, f"{name}, {CLIENTS} at once", many, rounds, CLIENTS)


async def main_async(options: argparse.Namespace) -> None:
    """Print the table."""
    costs: dict[str, float] = {}
    walls: dict[str, float] = {}

    async def timed(system: System, operation: Operation, name: str, number: int, rounds: int, clients: int) -> None:
        seen: list[float] = []
        wall: list[float] = []

        @contextlib.contextmanager
        def each() -> Iterator[None]:
            began, at = time.process_time(), time.perf_counter()
            yield
            seen.append((time.process_time() - began) / number * 1000)
            wall.append((time.perf_counter() - at) / number * 1000)

        await _rounds(system, operation, number, rounds, clients, each)
        costs[name], walls[name] = min(seen[1:]), min(wall[1:])

    await measure(options.users, options.number, options.rounds, options.only, timed)
    counts = Counts()
    counts.install()
    rows: dict[str, dict[str, float]] = {}

    async def counted(system: System, operation: Operation, name: str, number: int, rounds: int, clients: int) -> None:
        @contextlib.contextmanager
        def each() -> Iterator[None]:
            counts.of.clear()
            yield
            rows[name] = {what: total / number for what, total in counts.of.items()}

        await _rounds(system, operation, number, 1, clients, each)

    await measure(options.users, options.number, 1, options.only, counted)
    columns = ("statements", "commits", "begins", "writes", "reads", "documents", "models")
    print(f"{'':34}{'CPU ms':>10}{'wall ms':>10}" + "".join(f"{column:>12}" for column in columns))
    for name, row in rows.items():
        cells = "".join(f"{row.get(column, 0):>12,.1f}" for column in columns)
        print(f"{name:34}{costs[name]:>10.2f}{walls[name]:>10.2f}{cells}")


async def profiled(options: argparse.Namespace) -> None:
    """Print how many calls a write takes, and where the time goes."""

    async def visit(system: System, operation: Operation, name: str, number: int, rounds: int, clients: int) -> None:
        if clients > 1:
            return
        profile = cProfile.Profile(time.process_time)
        await _rounds(system, operation, number, rounds, clients, lambda: profile)
        stats: Any = pstats.Stats(profile)
        print(f"{name}: {stats.total_calls / number / (rounds + 1):,.0f} Python calls each")
        stats.sort_stats(options.sort).print_stats(options.lines)

    await measure(options.users, options.number, options.rounds, options.only, visit)


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.costs", description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--number", type=int, default=64, help="requests of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="a part of the name of what is measured")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--sort", default="tottime")
    parser.add_argument("--lines", type=int, default=50)
    options = parser.parse_args()
    if options.profile:
        setattr(Store, "open", partial(Store.open, threads=False))  # noqa: B010 - mypy would object to an assignment
        asyncio.run(profiled(options))
    else:
        asyncio.run(main_async(options))


if __name__ == "__main__":
    main()
