"""One request followed through the code: how many functions, files, moves, transactions and calls it takes.

``python -m tests.walks`` prints the table; ``--steps "User PATCH name"`` prints one walk as it goes from file to file,
and how many of its moves are between which packages and which files. A move is a call into another file of the bridge
or its connector than the call before it. The figures say how much of the house somebody has to hold who follows a
request; they do not measure speed.
"""

import argparse
import asyncio
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import scim_bridge
import scim_bridge_hubspot
from scim_bridge.store.engine import Store
from scim_bridge.upstream import HttpClients
from tests.faults.bridges import RunningBridge, portal, prepare, running, settings

HOMES = tuple(Path(str(package.__file__)).parent for package in (scim_bridge, scim_bridge_hubspot))
ELSEWHERE = ("testing", "emulator", "cli", "probe")
"""Folders of the packages that no request goes through."""

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass
class Walk:
    """What one request went through.

    :param moves: Each move, as the file that it goes to.
    :param transactions: How many reads and writes of the store.
    """

    functions: set[CodeType] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    moves: list[str] = field(default_factory=list)
    transactions: Counter[str] = field(default_factory=Counter)
    calls: int = 0


class Follower:
    """Follows what threads of this process do in the bridge's own files."""

    def __init__(self) -> None:
        self.walk = Walk()
        self._rooms: dict[CodeType, str | None] = {}
        self._last: dict[int, str] = {}

    @contextmanager
    def following(self) -> Iterator[Walk]:
        """Follow for the length of a ``with`` block; threads are followed that began after :meth:`install`."""
        self.walk = Walk()
        self._last.clear()
        yield self.walk
        self.walk = Walk()

    def install(self) -> None:
        """See every call from now on, in this thread and in those to come."""
        threading.setprofile(self._seen)
        sys.setprofile(self._seen)

    def _room(self, code: CodeType) -> str | None:
        """Return the file that some code is in, if it is the bridge's own."""
        if code not in self._rooms:
            path = Path(code.co_filename)
            home = next((home for home in HOMES if path.is_relative_to(home)), None)
            inside = None if home is None else path.relative_to(home)
            own = inside is not None and inside.parts[0] not in ELSEWHERE and not code.co_name.startswith("<")
            self._rooms[code] = f"{home.name}/{inside}" if own and home is not None else None
        return self._rooms[code]

    def _seen(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call":
            return
        room = self._room(frame.f_code)
        if room is None:
            return
        self.walk.functions.add(frame.f_code)
        self.walk.files.add(room)
        before, self._last[threading.get_ident()] = self._last.get(threading.get_ident()), room
        if before != room:
            self.walk.moves.append(f"{room} {frame.f_code.co_name}")


def count_transactions(follower: Follower) -> None:
    """Count the store's transactions into the current walk."""
    for name in ("read", "write"):
        inner = getattr(Store, name)

        async def counted(self: Store, work: Any, *, _inner: Any = inner, _name: str = name) -> Any:
            follower.walk.transactions[_name] += 1
            return await _inner(self, work)

        setattr(Store, name, counted)


def patch(**values: object) -> dict[str, Any]:
    """Return a PATCH that replaces attributes of a User."""
    return {
        "schemas": [PATCH],
        "Operations": [{"op": "replace", "path": key, "value": to} for key, to in values.items()],
    }


async def lead(follower: Follower, directory: Path) -> dict[str, Walk]:
    """Lead one person through every walk, and return what each went through."""
    template = await prepare(directory)
    database = directory / "walks.db"
    database.write_bytes(template.database)
    database.chmod(0o600)
    hubspot = portal()
    walks: dict[str, Walk] = {}
    async with running(
        settings(database, "http://127.0.0.1:1"), HttpClients(hubspot.transport()), template.token
    ) as one:
        ada, bob = [await _created(one, name) for name in ("ada", "bob")]
        sales = template.groups["Sales"]
        joined = {"schemas": [PATCH], "Operations": [{"op": "add", "path": "members", "value": [{"value": ada}]}]}
        steps: dict[str, Callable[[], Awaitable[Any]]] = {
            "GET userName eq": lambda: one.send("GET", '/Users?filter=userName%20eq%20"ada@corp.example"'),
            "User PATCH name": lambda: one.send("PATCH", f"/Users/{ada}", patch(**{"name.familyName": "Byron"})),
            "Group PATCH, one member": lambda: one.send("PATCH", f"/Groups/{sales}", joined),
            "User PATCH active false": lambda: one.send("PATCH", f"/Users/{bob}", patch(active=False)),
        }
        for name, step in steps.items():
            await one.idle()
            before = len(hubspot.calls)
            with follower.following() as walk:
                answer = await step()
                await asyncio.sleep(0)
            walk.calls = len(hubspot.calls) - before
            if answer.status not in {200, 204}:
                raise RuntimeError(f"{name} was answered {answer.status}")
            walks[f"{name} → {answer.status}"] = walk
    return walks


async def _created(bridge: RunningBridge, name: str) -> str:
    body = {"schemas": [USER], "userName": f"{name}@corp.example", "name": {"familyName": "Lovelace"}, "active": True}
    answer = await bridge.send("POST", "/Users", body)
    return str(answer.document["id"])


def table(walks: dict[str, Walk]) -> str:
    """Return the table of all walks."""
    lines = [
        "| walk | functions | files | moves between files | transactions | HubSpot calls |",
        "|---|---|---|---|---|---|",
    ]
    for name, walk in walks.items():
        kinds = ", ".join(f"{walk.transactions[kind]} {kind}s" for kind in ("write", "read") if walk.transactions[kind])
        cells = (name, len(walk.functions), len(walk.files), len(walk.moves), kinds or "none", walk.calls)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def tallied(walk: Walk) -> list[str]:
    """Return how many moves of a walk go to each package, and the pairs of files that it goes between most often."""
    files = [move.split()[0] for move in walk.moves]
    packages = Counter("/".join(file.split("/")[:2]) for file in files)
    pairs = Counter(" ↔ ".join(sorted(pair)) for pair in pairwise(files))
    return [f"{number:4} {name}" for name, number in [*packages.most_common(12), *pairs.most_common(25)]]


def walked() -> dict[str, Walk]:
    """Lead every walk, in a process of its own or at its end: the profile stays installed."""
    follower = Follower()
    follower.install()
    count_transactions(follower)
    try:
        with tempfile.TemporaryDirectory() as directory:
            return asyncio.run(lead(follower, Path(directory)))
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", help="print one walk, by the beginning of its name, as it goes from file to file")
    options = parser.parse_args()
    walks = walked()
    print(table(walks))
    for name, walk in walks.items():
        if options.steps and name.startswith(options.steps):
            print("", name, *walk.moves, "", *tallied(walk), sep="\n")


if __name__ == "__main__":
    main()
