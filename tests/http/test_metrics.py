"""``/metrics``: how everything stands, in numbers, read from the store on every replica, without anybody's name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from scim_bridge.app import Serving
from scim_bridge.config import settings_of
from scim_bridge.errors import RemoteUnavailableError, StoreUnavailableError
from scim_bridge.models import RateLimit
from scim_bridge.provisioning import observing
from scim_bridge.store import audit, tokens
from scim_bridge.store.engine import Store
from scim_bridge.surroundings import Surroundings
from scim_bridge.testing.memory_remote import MemoryRemote
from scim_bridge.upstream import Call, HttpClients
from scim_bridge.upstream.breaker import THRESHOLD
from tests.http.bridge import USER
from tests.unit.docs.metric_names import metric_labels

ADA = "ada.lovelace@example.com"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Replica:
    """One process of a bridge, and a client of it."""

    serving: Serving
    http: httpx2.AsyncClient
    clients: HttpClients

    async def scrape(self) -> Samples:
        """Return each sample by its name, and the labels without the connection."""
        return read((await self.http.get("/metrics")).text)


def read(text: str) -> Samples:
    """Return what Prometheus would read."""
    return {
        (sample.name, frozenset((name, value) for name, value in sample.labels.items() if name != "connection")): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def labels_of(text: str) -> dict[str, set[str]]:
    """Return the labels of each metric that has samples."""
    return {
        sample.name.removesuffix("_count"): set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_sum"))
    }


def of(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """Return what a sample is found by."""
    return f"scim_bridge_{name}", frozenset(labels.items())


@asynccontextmanager
async def replica(url: str, remote: str) -> AsyncIterator[Replica]:
    """Run a process of a bridge with one connection."""
    connection = {
        "connector": "memory",
        "config": {"remote": remote},
        "import_at_start": False,
        "reconcile_minutes": 0,
        "budget_seconds": 2,
    }
    document = {"server": {"metrics": True}, "store": {"url": url}, "connections": {"acme": connection}}
    serving, clients = Serving(settings_of(document)), HttpClients()
    async with serving.bridge_of(Surroundings(http_client=clients)) as bridge:
        serving.open(bridge)
        transport = httpx2.ASGITransport(app=serving.server())
        async with httpx2.AsyncClient(transport=transport, base_url="http://bridge.test") as http:
            yield Replica(serving, http, clients)


async def keep_token(store: Store, days: int) -> dict[str, str]:
    """Return the header of a new token."""
    now = datetime.now(UTC)
    clear, record = tokens.mint("acme", now=now, environment="test", expires_at=now + timedelta(days=days))
    await store.write(lambda tx: tokens.create(tx, record))
    return {"Authorization": f"Bearer {clear}"}


async def audit_head(store: Store) -> float:
    """Return when the last entry was written."""
    (last,) = await store.read(lambda tx: audit.latest(tx, "acme", limit=1))
    return last.at.timestamp()


async def test_what_waits_is_told_by_every_replica(any_store_url: str) -> None:
    """A removal that the remote system does not take is pending with its age, and needs somebody; no name is told."""
    name = str(uuid4())
    async with replica(any_store_url, name) as first:
        bridge = first.serving.bridge
        assert bridge is not None
        header = await keep_token(bridge.store, days=3)
        body = {"schemas": [USER], "userName": ADA}
        created = await first.http.post("/acme/scim/v2/Users", json=body, headers=header)
        calm = await first.scrape()
        assert calm[of("pending")] == calm[of("oldest_removal_seconds")] == calm[of("observing")] == 0
        assert calm[of("leader")] == calm[of("tokens")] == calm[of("store_answers")] == 1
        disk = [value for (metric, _), value in calm.items() if metric == "scim_bridge_store_disk_free"]
        assert len(disk) == any_store_url.startswith("sqlite")
        assert all(0 < share < 1 for share in disk)
        assert calm[of("last_token_end_timestamp_seconds")] > datetime.now(UTC).timestamp()
        assert calm[of("requests_total", operation="create", status="201")] == 1
        assert calm[of("request_seconds_bucket", operation="create", le="+Inf")] == 1
        assert calm[of("needs", condition="token")] == 1

        MemoryRemote.named(name).fail("deactivate_user", *[RemoteUnavailableError("down")] * 100)
        user = f"/acme/scim/v2/Users/{created.json()['id']}"
        off = {"schemas": [USER], "userName": ADA, "active": False}
        assert (await first.http.put(user, json=off, headers=header)).status_code == 429
        await bridge.store.write(lambda tx: observing.begin(tx, "acme", "hold", now=datetime.now(UTC)))
        before = await audit_head(bridge.store)
        text = (await first.http.get("/metrics")).text
        told = read(text)
        assert told[of("pending")] == told[of("pending_removals")] == told[of("observing")] == 1
        assert told[of("oldest_removal_seconds")] > 0
        assert told[of("needs", condition="observes")] == 1
        assert before <= told[of("audit_head_timestamp_seconds")] <= await audit_head(bridge.store)
        assert labels_of(text).items() <= metric_labels().items()
        assert "lovelace" not in text
        assert created.json()["id"] not in text
        if not any_store_url.startswith("sqlite"):
            async with replica(any_store_url, name) as second:
                other = await second.scrape()
                shared = ("pending", "pending_removals", "held", "observing", "tokens", "audit_head_timestamp_seconds")
                assert [other[of(one)] for one in shared] == [told[of(one)] for one in shared]
                assert other[of("leader")] == 0
                assert of("requests_total", operation="create", status="201") not in other
    MemoryRemote.forget(name)


async def test_a_database_that_does_not_answer_is_told(sqlite_url: str) -> None:
    """What this process counted is told all the same."""
    name = str(uuid4())
    async with replica(sqlite_url, name) as one:
        assert one.serving.bridge is not None

        async def down(_: object) -> None:
            raise StoreUnavailableError("down")

        setattr(one.serving.bridge.store, "scan", down)  # noqa: B010 - mypy would object to an assignment
        told = await one.scrape()
    assert told[of("store_answers")] == 0
    assert of("pending") not in told
    assert told[of("requests_in_progress")] == 0
    MemoryRemote.forget(name)


async def test_calls_limit_and_circuit_of_a_remote_account(sqlite_url: str) -> None:
    """Calls by the class of their answer; which share of the limit is used up; whether the circuit is open."""
    name = str(uuid4())
    async with replica(sqlite_url, name) as one:
        network = httpx2.MockTransport(lambda _: httpx2.Response(500))
        one.clients._transport = network
        limit = RateLimit(requests=100, seconds=60)
        async with one.clients(base_url="https://crm.example", account="secret-key", rate_limit=limit) as client:
            for _ in range(THRESHOLD):
                await client.post("/users")
            for outcome in ("201", "404", "422", "no answer of ada@example.com", "429"):
                one.serving.metrics.called(Call(None, "GET", "/", outcome, 0.3, 1))
            text = (await one.http.get("/metrics")).text
        assert "crm.example 1" not in (await one.http.get("/metrics")).text  # it is gone with its last client
    told = read(text)
    account = {"account": "crm.example 1"}
    assert told[of("upstream_limit_used", **account)] == THRESHOLD / 100
    assert told[of("upstream_circuit_open", **account)] == 1
    expected = {"2xx": 1, "404": 1, "4xx": 1, "none": 1, "429": 1, "5xx": THRESHOLD}
    assert {outcome: told[of("upstream_calls_total", outcome=outcome)] for outcome in expected} == expected
    assert told[of("upstream_call_seconds_count")] == THRESHOLD + 5
    assert labels_of(text).items() <= metric_labels().items()
    assert "secret-key" not in text
    assert "ada@" not in text
    MemoryRemote.forget(name)
