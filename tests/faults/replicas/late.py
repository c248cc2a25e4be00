"""Calls of a former leader: ``python -m tests.faults.replicas.late [--rounds N] [--defect NAME]``.

A new leader's calls wait a window for the rate limit, inside their hooks. Before they are let through, its lock session
is ended, and another replica takes over. What waited must not be sent any more. The lease is the default, so that the
former leader learns of its loss by asking before the call, not by its next heartbeat.
"""

import argparse
import asyncio
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from scim_bridge.store.leadership import TAKEOVER_SECONDS
from tests.faults.replicas.clients import USER
from tests.faults.replicas.cluster import CONNECTIONS, Cluster, cluster
from tests.faults.replicas.oracle import UNDER_WAY, judge_calls, owners_of
from tests.faults.replicas.weather import end_session
from tests.hang_guard import HANG_SECONDS

WAITING = 80
AFTER_HEARTBEAT = 5.3
"""Seconds into a term: the leader has just looked after its session, and its calls are still waiting."""


async def play(one: Cluster, number: int) -> None:
    """Let creations wait at a new leader, and end its session."""
    connection = CONNECTIONS[0]
    terms = len(await owners_of(one))
    await end_session(one, connection)

    async def followed() -> bool:
        return len([None for _, other, _ in (await owners_of(one))[terms:] if other == connection]) > 0

    await one.until(followed, "taking over")
    began = time.monotonic()
    creating = [asyncio.create_task(_create(one, f"late-{number}-{each}@corp.example")) for each in range(WAITING)]
    await asyncio.sleep(AFTER_HEARTBEAT - (time.monotonic() - began))
    await end_session(one, connection)
    await asyncio.gather(*creating)


async def _all_done(one: Cluster) -> bool:
    return not await one.query("SELECT 1 FROM resource WHERE kind = 'User' AND state <> 'settled' LIMIT 1")


async def _create(one: Cluster, name: str) -> None:
    connection = CONNECTIONS[0]
    answer = await one.http.post(
        f"{one.replicas[0].url}/{connection}/scim/v2/Users",
        json={"schemas": [USER], "userName": name, "externalId": name, "active": True},
        headers={"Authorization": f"Bearer {one.tokens[connection]}"},
        timeout=HANG_SECONDS,
    )
    assert answer.status_code in {201, 429}, answer.text


async def main(arguments: argparse.Namespace) -> dict[str, Any]:
    """Play so many rounds and judge HubSpot's log."""
    with tempfile.TemporaryDirectory(prefix="scim-bridge-late-") as directory:
        async with cluster(Path(directory), seed=0, defect=arguments.defect, lease=TAKEOVER_SECONDS) as one:
            for number in range(arguments.rounds):
                await play(one, number)
            await one.until(partial(_all_done, one), "what waited")
            verdict = judge_calls(await one.portal("/log"), await owners_of(one))
    if verdict.late > UNDER_WAY:
        verdict.violations.append(f"{verdict.late} calls of former leaders: they go on")
    return {
        "rounds": arguments.rounds,
        "late": verdict.late,
        "writes": verdict.writes,
        "violations": verdict.violations,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--defect", default="none")
    print(json.dumps(asyncio.run(main(parser.parse_args()))))
