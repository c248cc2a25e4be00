"""Histories with three replicas: ``python -m tests.faults.replicas.run --histories N --seed S [--defect NAME]``.

A history is a few people whose clients change them at the same time through different replicas; several run at once,
under a weather of faults. When it is over, everything comes to be as desired; then HubSpot's log is judged.
"""

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scim_bridge_hubspot.emulator import HubSpotEmulator
from tests.faults.promises.diary import Line, shown, together
from tests.faults.promises.portals import accounts_of
from tests.faults.promises.rules import judge
from tests.faults.replicas.clients import Clients, Person, people
from tests.faults.replicas.cluster import Cluster, cluster
from tests.faults.replicas.oracle import Call, hand_overs, judge_calls, judge_person, owners_of, told
from tests.faults.replicas.weather import Weather
from tests.hang_guard import HANG_SECONDS

PEOPLE = 3
AT_ONCE = 20
MOST = 3
"""How many times as many histories are run when not every fault has struck by then."""

FAILURES = 0.01
ROWS = """
SELECT id, state, deleted, active, generation, observed_generation, remote_id, observed FROM resource
WHERE connection_id = %(connection)s AND name = %(name)s
"""
EVENTS = """
SELECT at / 1e6, event FROM audit WHERE connection_id = %(connection)s AND event::json ->> 'id' = ANY(%(ids)s)
ORDER BY sequence
"""
PENDING = "SELECT name FROM resource WHERE kind = 'User' AND state <> 'settled'"


class Histories:
    """Runs histories and keeps what they showed."""

    def __init__(self, one: Cluster, seed: int) -> None:
        self.cluster = one
        self.seed = seed
        self.people: list[Person] = []
        self.settling = 0.0
        self.stuck: list[str] = []
        self.different: list[str] = []
        self.clients = Clients(one, random.Random(f"clients {seed}"))

    async def run(self, count: int, enough: Callable[[], bool]) -> None:
        """Run so many histories, several at once, and more until it is ``enough``, up to a bound."""
        numbers = iter(range(count * MOST))

        async def worker() -> None:
            for number in numbers:
                if number >= count and enough():
                    break
                group = people(number, self.seed, PEOPLE)
                self.people += group
                await asyncio.gather(*(self.clients.lead(person) for person in group))

        await asyncio.gather(*(worker() for _ in range(min(count, AT_ONCE))))

    async def settle(self) -> None:
        """Wait until nothing is pending, now that nothing fails any more; then compare what is here and there.

        What a client sent and gave up on may still arrive: then it begins anew.
        """
        began = time.monotonic()
        while not self.stuck:
            await self._until_nothing_waits(began + HANG_SECONDS)
            self.settling = time.monotonic() - began
            await asyncio.gather(*(self.clients.look(person) for person in self.people))
            held = await self.cluster.portal("/held")
            if not await self.cluster.query(PENDING):
                await self._compare(held)
                break

    async def _compare(self, held: Mapping[str, list[str]]) -> None:
        """Note where HubSpot is not what clients see."""
        for person in self.people:
            last = person.operations[-1].seen
            wanted = sorted(last.groups) if last.status == "active" else None
            if held.get(person.email) != wanted:
                lines = [*told(person.operations), *await self._trail(person)]
                found = f"{person.email}: HubSpot holds {held.get(person.email)} instead of {wanted}:"
                self.different.append("\n".join([found, *lines]))

    async def _until_nothing_waits(self, deadline: float) -> None:
        while pending := await self.cluster.query(PENDING):
            if time.monotonic() > deadline:
                self.stuck += [f"{name} is still pending after {HANG_SECONDS:.0f} s" for (name,) in pending]
                break
            await asyncio.sleep(0.25)

    async def _trail(self, person: Person) -> list[str]:
        """Return what the store and the audit have of a person."""
        values = {"connection": person.connection, "name": person.email}
        rows = await self.cluster.query(ROWS, values)
        events = await self.cluster.query(EVENTS, {**values, "ids": [row[0] for row in rows]})
        return ["    " + " ".join(map(str, line)) for line in [*rows, *events]]


async def main(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run and judge."""
    directory = Path(tempfile.mkdtemp(prefix="scim-bridge-replicas-"))
    began = time.monotonic()
    try:
        async with cluster(directory, seed=arguments.seed, defect=arguments.defect, failures=FAILURES) as one:
            weather = Weather(one, random.Random(f"weather {arguments.seed}"))
            histories = Histories(one, arguments.seed)
            striking = asyncio.create_task(weather.run())
            running = asyncio.create_task(histories.run(arguments.histories, lambda: weather.is_complete))
            await asyncio.wait([striking, running], return_when=asyncio.FIRST_COMPLETED)
            if striking.done():  # it never ends by itself
                running.cancel()
                await striking
            striking.cancel()
            await running
            await weather.calm()
            await histories.settle()
            await asyncio.sleep(1)  # what was sent last arrives
            calls = await one.portal("/log")
            if arguments.keep:
                evidence = {
                    "calls": calls,
                    "terms": await owners_of(one),
                    "strikes": list(map(asdict, weather.strikes)),
                }
                (directory / "evidence.json").write_text(json.dumps(evidence), encoding="utf-8")
            report = await _judged(one, histories, weather, calls)
    finally:
        if not arguments.keep:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            print(directory, file=sys.stderr)
    return {"seed": arguments.seed, "seconds": round(time.monotonic() - began), **report}


async def _judged(one: Cluster, histories: Histories, weather: Weather, calls: list[Call]) -> dict[str, Any]:
    owners = await owners_of(one)
    verdict = judge_calls(calls, owners)
    wrong = [*histories.stuck, *histories.different, *verdict.violations]
    for person in histories.people:
        wrong += judge_person(one, person, calls)
    wrong += _promises(histories, await one.portal("/noted"))
    known = Counter(operation.action for person in histories.people for operation in person.operations)
    return {
        "histories": len(histories.people) // PEOPLE,
        "operations": dict(known),
        "statuses": histories.clients.statuses,
        "fired": weather.fired,
        "hand_over": {
            kind: {"times": len(took), "worst": round(max(took), 1)}
            for kind, took in sorted(hand_overs(owners, weather.strikes).items())
        },
        "terms": len(owners),
        "calls": verdict.calls,
        "writes": verdict.writes,
        "fullest_window": verdict.fullest_window,
        "late_calls": verdict.late,
        "settled_after": round(histories.settling, 1),
        "violations": wrong,
    }


def _promises(histories: Histories, noted: list[Line]) -> list[str]:
    """Return every promise that was broken, by what could be seen from outside."""
    lists = [line for groups in histories.cluster.groups.values() for line in shown(groups, at=0.0)]
    owner = accounts_of(HubSpotEmulator(seed=histories.seed))
    record = together([*lists, *histories.clients.lines, *noted], owner)
    record.rested = not histories.stuck
    found = []
    for finding in judge(record):
        about = [one for person in histories.people if person.email in str(finding) for one in told(person.operations)]
        found.append("\n".join([str(finding), *about]))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--histories", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--defect", default="none")
    parser.add_argument("--keep", action="store_true", help="keep the logs, and say where")
    print(json.dumps(asyncio.run(main(parser.parse_args()))))
