"""A start with a long backlog: ``python -m tests.faults.replicas.backlog sqlite`` (or ``postgresql``).

10,000 creations and 20 removals wait in the database when ``scim-bridge serve`` starts; with ``--killed``, another one
that was working on them at HubSpot's limit was killed the moment before. Measured: when it is ready, when the first
removal is on its way, how long deactivations take behind the creations, how much of HubSpot's limit is used and whether
it ever answers 429. HubSpot keeps its limit of 100 calls in ten seconds.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from scim_bridge.app import connectors_of
from scim_bridge.cli.demo.bridge import free_port
from scim_bridge.cli.demo.processes import ProcessGroup, executable, process_group
from scim_bridge.config import load_settings
from scim_bridge.provisioning import Provisioning
from scim_bridge.provisioning.users import UserIntake
from scim_bridge.store.engine import Store
from scim_bridge.store.kept import KeptState
from tests.faults.replicas.cluster import start_portal
from tests.faults.replicas.filling import commit_creations, commit_settled, left
from tests.faults.replicas.portal import token_of
from tests.hang_guard import HANG_SECONDS
from tests.postgresql import PostgresqlServer

ACCOUNT = "corp"
LIMIT = 100
WINDOW = 10.0
REMOVALS = 20
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass
class Backlog:
    """What the measurement runs on.

    :param users: ``id`` of each active User by userName.
    """

    directory: Path
    processes: ProcessGroup
    portal: str
    port: int
    url: str
    token: str = ""
    users: dict[str, str] = field(default_factory=dict)
    http: httpx2.AsyncClient = field(default_factory=httpx2.AsyncClient)

    @property
    def configuration(self) -> Path:
        """The configuration file."""
        return self.directory / "scim-bridge.toml"

    @property
    def command(self) -> Sequence[str]:
        """The arguments that serve it."""
        return "--config", str(self.configuration), "serve", "--port", str(self.port)

    async def calls(self) -> list[dict[str, Any]]:
        """Return HubSpot's log."""
        answer = await self.http.get(f"{self.portal}/log", timeout=HANG_SECONDS)
        found: list[dict[str, Any]] = answer.json()
        return found


@asynccontextmanager
async def backlog(dialect: str, directory: Path) -> AsyncIterator[Backlog]:
    """Open a HubSpot and an empty database, for the length of a ``with`` block."""
    async with AsyncExitStack() as stack:
        processes = await stack.enter_async_context(process_group(directory))
        ports = await start_portal(processes, 1, 0.0, [ACCOUNT], limit=LIMIT)
        url = f"sqlite:///{directory / 'scim-bridge.db'}"
        if dialect == "postgresql":
            server = await asyncio.to_thread(stack.enter_context, PostgresqlServer.running())
            url = server.url(await asyncio.to_thread(server.create_database))
        one = Backlog(directory, processes, f"http://127.0.0.1:{ports[0]}", free_port(), url)
        stack.push_async_callback(one.http.aclose)
        one.configuration.write_text(
            f'[store]\nurl = "{url}"\n[connections.{ACCOUNT}]\nconnector = "hubspot"\nimport_at_start = false\n'
            f"reconcile_minutes = 0\n[connections.{ACCOUNT}.guard]\nmass_change = false\n"
            f'[connections.{ACCOUNT}.config]\ntoken = "{token_of(ACCOUNT)}"\nbase_url = "{one.portal}"\n'
            f"rate_limit = {LIMIT}\n",
            encoding="utf-8",
        )
        making = ("--config", str(one.configuration), "token", "create", ACCOUNT)
        one.token = await processes.output("token", executable("scim-bridge"), *making)
        yield one


@asynccontextmanager
async def intake(one: Backlog) -> AsyncIterator[tuple[Store, UserIntake]]:
    """Open the database to commit what a server would; nothing is driven."""
    settings = load_settings(one.configuration)
    store = await Store.open(one.url)
    async with connectors_of(settings, state=partial(KeptState, store, clock=partial(datetime.now, UTC))) as connectors:
        policy = settings.connections[ACCOUNT].policy()
        yield store, Provisioning(ACCOUNT, store, connectors[ACCOUNT], policy).users
        await store.close()


async def fill(one: Backlog, pending: int, active: int) -> None:
    """Write creations that wait, and people who are settled."""
    async with intake(one) as (store, users):
        names = [f"old{number:03}@corp.example" for number in range(active + REMOVALS)]
        one.users = await commit_settled(store, users, {name: await _add(one, name) for name in names})
        await commit_creations(store, users, [f"new{number}@corp.example" for number in range(pending)])


async def remove(one: Backlog) -> None:
    """Write removals that wait."""
    async with intake(one) as (store, users):
        for name in sorted(one.users)[:REMOVALS]:
            user_id = one.users.pop(name)
            await store.write(partial(users.modify, user_id=user_id, change=left, check=lambda _tag: None))


async def work_until_killed(one: Backlog) -> None:
    """Let a bridge work at HubSpot's limit for a while, and kill it."""
    bridge = await one.processes.start("killed", executable("scim-bridge"), *one.command)

    async def busy() -> bool:
        return len(await one.calls()) > 1.5 * LIMIT

    await one.processes.wait_for("killed", bridge, busy, seconds=HANG_SECONDS, what="work at the limit")
    bridge.kill()
    await bridge.wait()


async def _add(one: Backlog, name: str) -> str:
    """Let somebody be in HubSpot, and return HubSpot's id of them."""
    made = await one.http.post(f"{one.portal}/emulator/ui/add_person", json={"email": name})
    return str(made.json()["id"])


async def measure(one: Backlog, seconds: float, deactivations: int) -> dict[str, Any]:
    """Start the bridge and measure."""
    began = time.time()
    bridge = await one.processes.start("bridge", executable("scim-bridge"), *one.command)
    url = f"http://127.0.0.1:{one.port}"
    served: list[float] = []

    async def answers(path: str) -> bool:
        try:
            return (await one.http.get(f"{url}{path}", timeout=HANG_SECONDS)).status_code == 200
        except httpx2.TransportError:
            return False

    async def listens() -> bool:
        return await answers("/healthz")

    async def ready() -> bool:
        return await answers("/readyz")

    await one.processes.wait_for("bridge", bridge, listens, seconds=HANG_SECONDS, what="the start")
    served.append(time.time())
    await one.processes.wait_for("bridge", bridge, ready, seconds=HANG_SECONDS, what="getting ready")
    is_ready = time.time()
    await asyncio.sleep(2 * WINDOW)  # the first window is sent in one burst, and what waited may be more than it holds
    steady = time.time()
    took, statuses = await _deactivate(one, url, deactivations)
    await asyncio.sleep(max(0.0, steady + seconds - time.time()))
    ended = time.time()
    calls = await one.calls()
    removals = [call["came"] for call in calls if call["method"] == "DELETE" and call["came"] > began]
    used = sum(steady <= call["came"] < ended for call in calls)
    took.sort()
    return {
        "listens": round(served[0] - began, 2),
        "ready": round(is_ready - began, 2),
        "first_removal": round(min(removals) - began, 2),
        "first_removal_after_listening": round(min(removals) - served[0], 2),
        "removals_done": round(sorted(removals)[REMOVALS - 1] - began, 2),
        "creations_before_the_removals": sum(
            call["method"] == "POST" and began < call["came"] < sorted(removals)[REMOVALS - 1] for call in calls
        ),
        "deactivations": len(took),
        "deactivation_p50": round(took[len(took) // 2], 2),
        "deactivation_p99": round(took[min(len(took) - 1, int(len(took) * 0.99))], 2),
        "statuses": statuses,
        "used": round(used / ((ended - steady) / WINDOW * LIMIT), 3),
        "seconds": round(ended - steady, 1),
        "fullest_window": _fullest(calls),
        "answered_429": sum(call["status"] == 429 for call in calls),
        "load": [round(load, 1) for load in os.getloadavg()],
    }


async def _deactivate(one: Backlog, url: str, count: int) -> tuple[list[float], dict[int, int]]:
    took: list[float] = []
    statuses: dict[int, int] = {}
    for name in sorted(one.users)[:count]:
        began, answer = time.monotonic(), None
        while answer is None or answer.status_code == 429:
            answer = await one.http.patch(
                f"{url}/{ACCOUNT}/scim/v2/Users/{one.users[name]}",
                json={"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "active", "value": False}]},
                headers={"Authorization": f"Bearer {one.token}"},
                timeout=HANG_SECONDS,
            )
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        took.append(time.monotonic() - began)
    return took, statuses


def _fullest(calls: list[dict[str, Any]]) -> int:
    times = sorted(call["came"] for call in calls)
    return max((sum(start <= time < start + WINDOW for time in times) for start in times), default=0)


async def main(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fill, start and measure."""
    with tempfile.TemporaryDirectory(prefix="scim-bridge-backlog-") as directory:
        async with backlog(arguments.dialect, Path(directory)) as one:
            await fill(one, arguments.pending, arguments.deactivations)
            if arguments.killed:
                await work_until_killed(one)
            await remove(one)
            report = await measure(one, arguments.seconds, arguments.deactivations)
            return {"dialect": arguments.dialect, "killed": arguments.killed, **report}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("dialect", choices=["sqlite", "postgresql"])
    parser.add_argument("--pending", type=int, default=10_000)
    parser.add_argument("--killed", action="store_true", help="another one was killed at work just before")
    parser.add_argument("--deactivations", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30.0)
    print(json.dumps(asyncio.run(main(parser.parse_args()))))
    sys.stdout.flush()
