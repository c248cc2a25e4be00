"""How long nobody drives a connection: ``python -m tests.faults.replicas.hand_over [--times N] [--seed S]``.

The leader is killed, cut off from the database or frozen, and somebody is deactivated through another replica at once.
Measured from the fault to the removal's arrival at HubSpot, by whoever follows.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.faults.replicas.clients import PATCH_OP, USER
from tests.faults.replicas.cluster import CONNECTIONS, TAKEOVER_SECONDS, Cluster, Replica, cluster
from tests.hang_guard import HANG_SECONDS

KINDS = ("killed", "cut off", "frozen")


async def provision(one: Cluster, names: list[str]) -> list[str]:
    """Create people and return their ids, once all are in HubSpot."""

    async def create(name: str) -> str:
        body = {"schemas": [USER], "userName": name, "externalId": name, "active": True}
        deadline = time.monotonic() + HANG_SECONDS
        while True:
            answer = await _send(one, one.replicas[0], "POST", "/Users", body)
            if answer[0] == 201:
                return str(answer[1]["id"])
            assert time.monotonic() < deadline, answer
            await asyncio.sleep(1)

    return [await create(name) for name in names]


async def _send(one: Cluster, replica: Replica, method: str, path: str, body: Any) -> tuple[int, Any]:
    answer = await one.http.request(
        method,
        f"{replica.url}/{CONNECTIONS[0]}/scim/v2{path}",
        json=body,
        headers={"Authorization": f"Bearer {one.tokens[CONNECTIONS[0]]}"},
        timeout=HANG_SECONDS,
    )
    return answer.status_code, answer.json() if answer.content else {}


async def measure(one: Cluster, kind: str, email: str, user_id: str) -> float:
    """Strike the leader and return the seconds until the removal arrives at HubSpot."""
    leader: Replica | None = None

    async def somebody_leads() -> bool:
        nonlocal leader
        leader = await one.owner(CONNECTIONS[0])
        return leader is not None

    await one.until(somebody_leads, "a leader")
    assert leader is not None
    other = next(replica for replica in one.replicas if replica is not leader)
    began = time.time()
    if kind == "killed":
        await one.kill(leader)
    elif kind == "cut off":
        leader.link.part()
    else:
        one.freeze(leader)
    leave = {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    status, told = await _send(one, other, "PATCH", f"/Users/{user_id}", leave)
    while status == 429:
        await asyncio.sleep(0.2)
        status, told = await _send(one, other, "PATCH", f"/Users/{user_id}", leave)
    assert status == 200, told
    if kind == "killed":
        await one.start(leader)
    elif kind == "cut off":
        leader.link.join()
    else:
        one.thaw(leader)
    removals = [call for call in await one.portal("/log") if call["person"] == email and call["method"] == "DELETE"]
    assert {call["replica"] for call in removals} != {leader.number}, "a replica that was struck removed somebody"
    return float(min(call["came"] for call in removals)) - began


async def main(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure every kind so many times."""
    with tempfile.TemporaryDirectory(prefix="scim-bridge-hand-over-") as directory:
        async with cluster(Path(directory), seed=arguments.seed) as one:
            emails = {
                (kind, number): f"{kind.replace(' ', '-')}-{number}@corp.example"
                for number in range(arguments.times)
                for kind in KINDS
            }
            ids = await provision(one, list(emails.values()))
            took: dict[str, list[float]] = {kind: [] for kind in KINDS}
            for ((kind, _), email), user_id in zip(emails.items(), ids, strict=True):
                took[kind].append(round(await measure(one, kind, email, user_id), 2))
    return {"hand_over": took, "lease": TAKEOVER_SECONDS, "load": [round(load, 1) for load in os.getloadavg()]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    print(json.dumps(asyncio.run(main(parser.parse_args()))))
