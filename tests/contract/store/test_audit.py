"""The audit chain shows every tampering that a chain can show."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.engine import Connection

from scim_bridge.store import audit
from scim_bridge.store.engine import Store
from scim_bridge.store.tables import audit as audit_table
from scim_bridge.store.tables import audit_head
from tests.contract.store.examples import CONNECTION, NOON

EVENTS = 1003  # over two pages of an export


def fill(tx: Connection, events: int = 20) -> None:
    """Append events to two connections."""
    for number in range(events):
        audit.append(tx, CONNECTION, {"kind": "write", "n": number}, now=NOON + timedelta(seconds=number))
    audit.append(tx, "other", {"kind": "write"}, now=NOON)


async def test_events_are_exported_in_order_with_their_times(store: Store) -> None:
    """Every event comes back once, in order, from wherever the last export ended."""

    def work(tx: Connection) -> None:
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

    def work(tx: Connection) -> None:
        fill(tx)
        tx.execute(statement)
        assert audit.verify(tx, CONNECTION) == first
        assert audit.verify(tx, "other") is None

    await store.write(work)


async def test_what_is_asked_of_a_time_or_of_one_resource_is_found(store: Store) -> None:
    """From any time on, whole; of one resource the latest first; of neither anything of another connection."""

    def work(tx: Connection) -> None:
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
