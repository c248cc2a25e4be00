"""Three replicas of the bridge on one PostgreSQL, each behind a link of its own, and the HubSpot that they share."""

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import psycopg

from scim_bridge.cli.demo.bridge import free_port
from scim_bridge.cli.demo.processes import ProcessFailedError, ProcessGroup, executable, process_group
from scim_bridge.store.locks import lock_key
from tests.faults.replicas.portal import GROUPS, token_of
from tests.faults.replicas.proxy import Link
from tests.hang_guard import HANG_SECONDS
from tests.postgresql import PostgresqlServer

T = TypeVar("T")

REPLICAS = 3
CONNECTIONS = ("a", "b", "c", "d")
RATE_LIMIT = 60
"""Calls in ten seconds that each connection may send; few enough that histories come up against it."""

BUDGET_SECONDS = 15
TAKEOVER_SECONDS = 10
"""The lease; the default of a minute is too long to watch."""

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"

OWNERS = """
CREATE TABLE owners (at double precision, connection_id text, owner text);
CREATE FUNCTION note_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' OR NEW.owner IS DISTINCT FROM OLD.owner THEN
    INSERT INTO owners VALUES (extract(epoch from clock_timestamp()), NEW.connection_id, NEW.owner);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER note_owner AFTER INSERT OR UPDATE ON ownership FOR EACH ROW EXECUTE FUNCTION note_owner();
"""
"""Every change of leadership, with its time; the ownership table knows the last one only."""


@dataclass(slots=True)
class Replica:
    """One ``scim-bridge serve``.

    :param number: Counts from 0.
    :param link: Its way to the database.
    :param pids: The process ids it had.
    """

    number: int
    port: int
    link: Link
    configuration: Path
    process: Process | None = None
    pids: list[int] = field(default_factory=list)
    frozen: bool = False

    @property
    def url(self) -> str:
        """The root URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether its process is there, frozen or not."""
        return self.process is not None and self.process.returncode is None


@dataclass
class Cluster:
    """Everything that runs.

    :param defect: What is planted in the replicas; ``none`` for nothing.
    :param portal_port: The emulator's first port.
    :param groups: ``id`` of each Group by connection and displayName.
    """

    directory: Path
    processes: ProcessGroup
    server: PostgresqlServer
    database: str
    defect: str
    portal_ports: list[int] = field(default_factory=list)
    replicas: list[Replica] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    groups: dict[str, dict[str, str]] = field(default_factory=dict)
    http: httpx2.AsyncClient = field(default_factory=httpx2.AsyncClient)

    # -- The database ----------------------------------------------------------------------------------------------

    async def query(self, statement: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement straight on the database; while it is down, again."""
        deadline = time.monotonic() + HANG_SECONDS
        dsn = f"host=127.0.0.1 port={self.server.port} user=postgres dbname={self.database} connect_timeout=5"
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as session:
                    cursor = await session.execute(statement, values)
                    return await cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def owner(self, connection: str) -> Replica | None:
        """Return the replica that holds a connection's lock."""
        rows = await self.query(
            "SELECT owner FROM ownership JOIN pg_locks ON locktype = 'advisory' AND granted"
            " AND ((classid::bigint << 32) | objid::bigint) = %(key)s WHERE connection_id = %(connection)s",
            {"key": lock_key(connection), "connection": connection},
        )
        return self.replica_of(rows[0][0]) if rows else None

    def replica_of(self, owner: str) -> Replica | None:
        """Return the replica that calls itself this in the ownership table."""
        pid = int(owner.split(":")[1])
        return next((replica for replica in self.replicas if pid in replica.pids), None)

    # -- Replicas --------------------------------------------------------------------------------------------------

    async def start(self, replica: Replica) -> None:
        """Start a replica, and return when it listens. One that finds no database ends, and is started again."""
        while True:
            try:
                return await self._start(replica)
            except ProcessFailedError:
                if replica.process is None or replica.process.returncode not in {1, 2}:
                    raise

    async def _start(self, replica: Replica) -> None:
        if self.defect == "none":
            command = [executable("scim-bridge")]
        else:
            command = [sys.executable, "-m", "tests.faults.replicas.serve", self.defect]
        name = f"replica-{replica.number}"
        replica.process = await self.processes.start(
            name,
            *command,
            *("--config", str(replica.configuration), "serve", "--port", str(replica.port)),
            environment={"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        replica.frozen = False
        replica.pids.append(replica.process.pid)

        async def listens() -> bool:
            try:
                return (await self.http.get(f"{replica.url}/healthz", timeout=5)).status_code == 200
            except httpx2.TransportError:
                return False

        await self.processes.wait_for(name, replica.process, listens, seconds=HANG_SECONDS, what="the start")

    async def kill(self, replica: Replica) -> None:
        """Kill a replica with SIGKILL."""
        assert replica.process is not None
        replica.process.kill()
        await replica.process.wait()

    def freeze(self, replica: Replica) -> None:
        """Stop a replica where it stands."""
        assert replica.process is not None
        replica.frozen = True
        replica.process.send_signal(signal.SIGSTOP)

    def thaw(self, replica: Replica) -> None:
        """Let a replica go on."""
        assert replica.process is not None
        replica.process.send_signal(signal.SIGCONT)
        replica.frozen = False

    # -- HubSpot ---------------------------------------------------------------------------------------------------

    async def portal(self, path: str) -> Any:
        """Ask the emulator something outside HubSpot's API."""
        answer = await self.http.get(f"http://127.0.0.1:{self.portal_ports[0]}{path}", timeout=30)
        answer.raise_for_status()
        return answer.json()

    # -- Waiting ---------------------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str, seconds: float = HANG_SECONDS) -> None:
        """Wait until something is the case. :raises AssertionError: When it takes too long."""
        deadline = time.monotonic() + seconds
        while not await condition():
            assert time.monotonic() < deadline, f"{what} took longer than {seconds:.0f} s"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def cluster(
    directory: Path, *, seed: int, defect: str = "none", failures: float = 0.0, lease: float = TAKEOVER_SECONDS
) -> AsyncIterator[Cluster]:
    """Run a cluster with its groups made, for the length of a ``with`` block.

    :param failures: The probability that a call to HubSpot fails.
    """
    async with AsyncExitStack() as stack:
        server = await asyncio.to_thread(stack.enter_context, PostgresqlServer.running())
        processes = await stack.enter_async_context(process_group(directory))
        one = Cluster(directory, processes, server, await asyncio.to_thread(server.create_database), defect)
        stack.push_async_callback(one.http.aclose)
        await one.query(OWNERS)
        one.portal_ports = await start_portal(processes, seed, failures, CONNECTIONS)
        for number in range(REPLICAS):
            link = Link(server.port)
            await link.open()
            stack.push_async_callback(link.close)
            replica = Replica(number, free_port(), link, directory / f"replica-{number}.toml")
            replica.configuration.write_text(_configuration(one, link.port, number, lease), encoding="utf-8")
            one.replicas.append(replica)
        for connection in CONNECTIONS:
            command = ("--config", str(one.replicas[0].configuration), "token", "create", connection)
            one.tokens[connection] = await processes.output("token", executable("scim-bridge"), *command)
        await asyncio.gather(*(one.start(replica) for replica in one.replicas))
        for connection in CONNECTIONS:
            ids = await asyncio.gather(*(_create_group(one, connection, name) for name in GROUPS))
            one.groups[connection] = dict(zip(GROUPS, ids, strict=True))
        yield one


async def start_portal(
    processes: ProcessGroup, seed: int, failures: float, accounts: Sequence[str], *, limit: int = 0
) -> list[int]:
    """Start the emulator and return its ports.

    :param limit: Calls in ten seconds that each account may send before it is answered 429; 0: any number.
    """
    process = await processes.start(
        "portal",
        *(sys.executable, "-m", "tests.faults.replicas.portal", str(seed), str(failures), str(limit), *accounts),
        environment={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    ports: list[int] = []

    async def announced() -> bool:
        line = processes.log("portal").read_text(encoding="utf-8").partition("\n")
        if line[1]:
            ports.extend(json.loads(line[0]))
        return bool(ports)

    await processes.wait_for("portal", process, announced, seconds=HANG_SECONDS, what="the start")
    return ports


def _configuration(one: Cluster, database_port: int, number: int, lease: float) -> str:
    database = f"postgresql+psycopg://postgres@127.0.0.1:{database_port}/{one.database}"
    lines = ["[store]", f'url = "{database}"', f"takeover_seconds = {lease}"]
    for connection in CONNECTIONS:
        lines += [
            f"[connections.{connection}]",
            "shared_remote = true",  # one portal for all of them, with people of their own
            'connector = "hubspot"',
            "import_at_start = false",
            "reconcile_minutes = 0",
            f"budget_seconds = {BUDGET_SECONDS}",
            "outage_retry_after = 1",
            f"[connections.{connection}.guard]",
            "mass_change = false",
            f"[connections.{connection}.config]",
            f'token = "{token_of(connection)}"',
            f'base_url = "http://127.0.0.1:{one.portal_ports[number]}"',
            f"rate_limit = {RATE_LIMIT}",
            'teams_as_groups = "secondary"',
        ]
    return "\n".join(lines) + "\n"


async def _create_group(one: Cluster, connection: str, name: str) -> str:
    """Create a group, again while it is answered 429: a new leader leaves a window of the rate limit free first."""
    deadline = time.monotonic() + HANG_SECONDS
    while True:
        answer = await one.http.post(
            f"{one.replicas[0].url}/{connection}/scim/v2/Groups",
            json={"schemas": [GROUP], "displayName": name, "externalId": name},
            headers={"Authorization": f"Bearer {one.tokens[connection]}"},
            timeout=BUDGET_SECONDS * 2,
        )
        if answer.status_code == 201:
            return str(answer.json()["id"])
        assert answer.status_code == 429, answer.text
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(1)
