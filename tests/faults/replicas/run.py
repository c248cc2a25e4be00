"""Histories with three replicas: ``python -m tests.faults.replicas.run --histories N --seed S [--defect NAME]``.

A history is a few people whose clients change them at the same time through different replicas; several run at once,
under a weather of faults. At its end everything is as desired; at the end of all, the log of HubSpot is judged.
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
from pathlib import Path
from typing import Any

from tests.faults.replicas.clients import Clients, Person, people
from tests.faults.replicas.cluster import Cluster, cluster
from tests.faults.replicas.oracle import Call, judge_calls, judge_person, owners_of
from tests.faults.replicas.weather import Weather

PEOPLE = 3
AT_ONCE = 20
FAILURES = 0.01
SETTLE_SECONDS = 120.0
PENDING = """
SELECT name FROM resource WHERE connection_id = %(connection)s AND kind = 'User' AND state <> 'settled'
AND name = ANY(%(names)s)
"""


class Histories:
    """Runs histories and keeps what they showed."""

    def __init__(self, one: Cluster, seed: int) -> None:
        self.cluster = one
        self.seed = seed
        self.people: list[Person] = []
        self.settling: list[float] = []
        self.stuck: list[str] = []
        self.different: list[str] = []
        self.clients = Clients(one, random.Random(f"clients {seed}"))

    async def run(self, count: int) -> None:
        """Run so many histories, several at once."""
        numbers = iter(range(count))

        async def worker() -> None:
            for number in numbers:
                await self._history(number)

        await asyncio.gather(*(worker() for _ in range(min(count, AT_ONCE))))

    async def _history(self, number: int) -> None:
        group = people(number, self.seed, PEOPLE)
        self.people += group
        await asyncio.gather(*(self.clients.lead(person) for person in group))
        began = time.monotonic()
        values = {"connection": group[0].connection, "names": [person.email for person in group]}
        while pending := await self.cluster.query(PENDING, values):
            if time.monotonic() - began > SETTLE_SECONDS:
                self.stuck += [f"{name} is still pending after {SETTLE_SECONDS:.0f} s" for (name,) in pending]
                break
            await asyncio.sleep(0.25)
        self.settling.append(time.monotonic() - began)
        await asyncio.gather(*(self.clients.look(person) for person in group))
        held = await self.cluster.portal("/held")
        for person in group:
            last = person.operations[-1].seen
            wanted = sorted(last.groups) if last.status == "active" else None
            if held.get(person.email) != wanted:
                self.different.append(f"{person.email}: HubSpot holds {held.get(person.email)} instead of {wanted}")


async def main(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run and judge."""
    directory = Path(tempfile.mkdtemp(prefix="scim-bridge-replicas-"))
    began = time.monotonic()
    try:
        async with cluster(directory, seed=arguments.seed, defect=arguments.defect, failures=FAILURES) as one:
            weather = Weather(one, random.Random(f"weather {arguments.seed}"))
            histories = Histories(one, arguments.seed)
            striking = asyncio.create_task(weather.run())
            running = asyncio.create_task(histories.run(arguments.histories))
            await asyncio.wait([striking, running], return_when=asyncio.FIRST_COMPLETED)
            if striking.done():  # it never ends by itself
                running.cancel()
                await striking
            striking.cancel()
            await running
            await weather.calm()
            await asyncio.sleep(1)  # what was sent last arrives
            calls = await one.portal("/log")
            report = await _judged(one, histories, weather, calls)
    finally:
        if not arguments.keep:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            print(directory, file=sys.stderr)
    return {"seed": arguments.seed, "seconds": round(time.monotonic() - began), **report}


async def _judged(one: Cluster, histories: Histories, weather: Weather, calls: list[Call]) -> dict[str, Any]:
    owners = await owners_of(one)
    verdict = judge_calls(calls, owners, weather.thawed)
    wrong = [*histories.stuck, *histories.different, *verdict.violations]
    for person in histories.people:
        wrong += judge_person(one, person, calls)
    known = Counter(operation.action for person in histories.people for operation in person.operations)
    return {
        "histories": len(histories.people) // PEOPLE,
        "operations": dict(known),
        "statuses": histories.clients.statuses,
        "fired": weather.fired,
        "terms": len(owners),
        "calls": verdict.calls,
        "writes": verdict.writes,
        "fullest_window": verdict.fullest_window,
        "late_writes": verdict.late,
        "settled_after": round(max(histories.settling), 1),
        "violations": wrong,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--histories", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--defect", default="none")
    parser.add_argument("--keep", action="store_true", help="keep the logs, and say where")
    print(json.dumps(asyncio.run(main(parser.parse_args()))))
