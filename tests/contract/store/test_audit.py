"""The audit chain shows every tampering that a chain can show."""

import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, update

from scim_bridge.store import audit, chain
from scim_bridge.store.engine import Store
from scim_bridge.store.tables import audit as audit_table
from scim_bridge.store.tables import audit_head
from scim_bridge.store.transaction import Transaction
from scim_bridge.views import audit as views
from tests.contract.store.examples import CONNECTION, NOON

EVENTS = 1003  # over two pages of an export


def fill(tx: Transaction, events: int = 20) -> None:
    """Append events to two connections."""
    for number in range(events):
        audit.append(tx, CONNECTION, {"kind": "write", "n": number}, now=NOON + timedelta(seconds=number))
    audit.append(tx, "other", {"kind": "write"}, now=NOON)


async def test_events_are_exported_in_order_with_their_times(store: Store) -> None:
    """Every event comes back once, in order, from wherever the last export ended."""

    def work(tx: Transaction) -> None:
        fill(tx, EVENTS)
        events = list(audit.export(tx, CONNECTION))
        assert [entry.sequence for entry in events] == list(range(1, EVENTS + 1))
        assert events[5].event == {"kind": "write", "n": 5, "at": events[5].at.isoformat(timespec="microseconds")}
        assert [entry.sequence for entry in audit.export(tx, CONNECTION, after=EVENTS - 2)] == [EVENTS - 1, EVENTS]
        assert audit.verify(tx, CONNECTION) is None
        assert audit.verify(tx, "other") is None
        assert audit.verify(tx, "nobody") is None
        assert audit.head(tx, CONNECTION).hash == events[-1].hash

    await store.write(work)


ROW = audit_table.c.connection_id == CONNECTION
TAMPERINGS: dict[str, tuple[Any, int]] = {
    "a changed event": (update(audit_table).where(ROW, audit_table.c.sequence == 7).values(event='{"n":1}'), 7),
    "a changed time": (update(audit_table).where(ROW, audit_table.c.sequence == 7).values(at=0), 7),
    "a dropped event": (delete(audit_table).where(ROW, audit_table.c.sequence == 7), 7),
    "a new hash": (update(audit_table).where(ROW, audit_table.c.sequence == 7).values(hash=bytes(32)), 7),
    "another resource": (update(audit_table).where(ROW, audit_table.c.sequence == 7).values(resource_id="ada"), 7),
    "a cut-off tail": (delete(audit_table).where(ROW, audit_table.c.sequence > 17), 18),
    "a moved head": (
        update(audit_head).where(audit_head.c.connection_id == CONNECTION).values(hash=bytes(32)),
        21,
    ),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
async def test_tampering_is_found_where_it_happened(store: Store, tampering: str) -> None:
    """Whatever was changed, verification names the first event that does not hold."""
    statement, first = TAMPERINGS[tampering]

    def work(tx: Transaction) -> None:
        fill(tx)
        tx.execute(statement)
        assert audit.verify(tx, CONNECTION) == first
        assert audit.verify(tx, "other") is None

    await store.write(work)


async def test_what_is_asked_of_a_time_or_of_one_resource_is_found(store: Store) -> None:
    """From any time on, whole; of one resource the latest first; of neither anything of another connection."""

    def work(tx: Transaction) -> None:
        fill(tx)
        for number in (3, 9):
            audit.append(
                tx, CONNECTION, {"kind": "User", "id": "ada", "n": number}, now=NOON + timedelta(minutes=number)
            )
        audit.append(tx, "other", {"kind": "User", "id": "ada"}, now=NOON)

        def since(**after: float) -> list[int]:
            return [entry.sequence for entry in audit.since(tx, CONNECTION, NOON + timedelta(**after))]

        assert since(days=-1) == list(range(1, 23))
        assert since(seconds=17) == [18, 19, 20, 21, 22]
        assert since(seconds=17.5) == [19, 20, 21, 22]
        assert since(minutes=9) == [22]
        assert since(days=1) == []
        assert list(audit.since(tx, "nobody", NOON)) == []
        found = audit.latest(tx, CONNECTION, resource_id="ada", limit=5)
        assert [entry.event["n"] for entry in found] == [9, 3]
        assert [entry.sequence for entry in audit.latest(tx, CONNECTION, limit=2)] == [22, 21]
        assert audit.verify(tx, CONNECTION) is None

    await store.write(work)


DAY = timedelta(days=1)


async def test_a_head_is_signed_when_it_is_due_and_by_one_of_many(store: Store) -> None:
    """Of a trail that has entries; again after its time, whether anything was new or not; not twice for one time."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    hour = timedelta(hours=1)

    def sign(tx: Transaction, *, hours: float) -> bool:
        return audit.sign(tx, CONNECTION, key, every=hour, now=NOON + hours * hour)

    def work(tx: Transaction) -> None:
        assert not sign(tx, hours=0)
        fill(tx)
        assert [sign(tx, hours=hours) for hours in (1, 1, 1.9, 2, 2.5)] == [True, False, False, True, False]
        assert sign(tx, hours=0)  # the clock was put back
        assert audit.verify(tx, CONNECTION) is None
        lines = [json.loads(one) for one in views.lines(tx, CONNECTION)]
        walk, fault = chain.follow(lines, key.public_key())
        assert fault is None
        assert walk.signed is not None
        assert walk.signed.event["sequence"] == 22
        assert walk.signed.event["connection"] == CONNECTION

    await store.write(work)


async def test_a_pruned_chain_holds_and_tells_what_is_gone(store: Store) -> None:
    """Entries before a time go, also twice; the rest verifies, here and in a file; whatever else is missing shows."""

    def work(tx: Transaction) -> None:
        fill(tx)
        assert audit.prune(tx, CONNECTION, NOON, {}, now=NOON + DAY) == 0
        (seventh,) = [one for one in audit.export(tx, CONNECTION) if one.sequence == 7]
        assert audit.prune(tx, CONNECTION, NOON + timedelta(seconds=7), {"actor": "operator"}, now=NOON + DAY) == 7
        assert audit.prune(tx, CONNECTION, NOON + timedelta(seconds=7), {}, now=NOON + DAY) == 0
        *kept, told = audit.export(tx, CONNECTION)
        assert [one.sequence for one in kept] == list(range(8, 21))
        assert told.event == {
            "event": "prune",
            "id": "prune",
            "before": (NOON + timedelta(seconds=7)).isoformat(),
            "entries": 7,
            "through": 7,
            "hash": seventh.hash.hex(),
            "actor": "operator",
            "at": (NOON + DAY).isoformat(timespec="microseconds"),
        }
        assert audit.verify(tx, CONNECTION) is None
        assert audit.prune(tx, CONNECTION, NOON + timedelta(seconds=9), {}, now=NOON + DAY) == 2
        assert audit.verify(tx, CONNECTION) is None
        walk, fault = chain.follow([json.loads(one) for one in views.lines(tx, CONNECTION)])
        assert fault is None
        assert walk.beginning() is None
        tx.execute(delete(audit_table).where(ROW, audit_table.c.sequence == 10))
        assert audit.verify(tx, CONNECTION) == 1
        assert audit.prune(tx, CONNECTION, NOON + 2 * DAY, {}, now=NOON + 2 * DAY) == 12
        assert audit.verify(tx, CONNECTION) is None
        assert [one.event["event"] for one in audit.export(tx, CONNECTION)] == ["prune"]

    await store.write(work)
