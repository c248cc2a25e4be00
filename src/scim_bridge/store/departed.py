"""Who was deleted: the name for some time, then a keyed hash of it, so that only who knows a name can ask after it."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from sqlalchemy import bindparam, select

from scim_bridge.store import connector_state
from scim_bridge.store.clock import from_microseconds, to_microseconds
from scim_bridge.store.comparison import fold
from scim_bridge.store.rows import ResourceRow
from scim_bridge.store.tables import connector_state as table
from scim_bridge.store.transaction import Transaction

_PREFIX = "bridge:departed:"
_KEY = "bridge:departures key"
_OF_CONNECTION = (table.c.connection_id == bindparam("connection"), table.c.key.startswith(_PREFIX, autoescape=True))
_ALL = select(table.c.key, table.c.value, table.c.changed_at).where(*_OF_CONNECTION)
_OLD = _ALL.where(table.c.changed_at < bindparam("before"))


def keep(tx: Transaction, row: ResourceRow, *, now: datetime) -> None:
    """Keep the name of a User whose deletion is done."""
    connector_state.put(tx, row.connection_id, _PREFIX + row.id, {"name": row.name}, now)


def names(tx: Transaction, connection_id: str, ids: Iterable[str]) -> dict[str, str]:
    """Return the names of those, among some ids, who were deleted, and whose names are still kept."""
    found = connector_state.get_many(tx, connection_id, [_PREFIX + one for one in ids])
    return {key.removeprefix(_PREFIX): value["name"] for key, value in found.items() if "name" in value}


def find(tx: Transaction, connection_id: str, name: str) -> set[str]:
    """Return the ids of those who were deleted and had this name."""
    wanted = fold(name)
    hidden = hashing(tx, now=datetime.now(UTC))(wanted) if _has_key(tx) else None
    found = set()
    for key, value, _ in tx.execute(_ALL, {"connection": connection_id}):
        kept = json.loads(value)
        if fold(kept["name"]) == wanted if "name" in kept else kept["hash"] == hidden:
            found.add(key.removeprefix(_PREFIX))
    return found


def hide(tx: Transaction, connection_id: str, before: datetime, *, now: datetime) -> int:
    """Put a keyed hash in the place of names of those who were deleted before a time; return of how many."""
    hidden, hashed = 0, hashing(tx, now=now)
    for key, value, at in tx.execute(_OLD, {"connection": connection_id, "before": to_microseconds(before)}).all():
        kept = json.loads(value)
        if "name" in kept:
            told = {"hash": hashed(fold(kept["name"]))}
            connector_state.put(tx, connection_id, key, told, from_microseconds(at))
            hidden += 1
    return hidden


def forget(tx: Transaction, connection_id: str, before: datetime) -> None:
    """Forget those who were deleted before a time: no entry tells of them."""
    for key, _, _ in tx.execute(_OLD, {"connection": connection_id, "before": to_microseconds(before)}).all():
        connector_state.delete(tx, connection_id, key)


def hashing(tx: Transaction, *, now: datetime) -> Callable[[str], str]:
    """Return what makes the HMAC-SHA-256 of a text with the key of this store, which is made where there is none."""
    kept = connector_state.get(tx, "", _KEY)
    if kept is None:
        kept = {"key": secrets.token_hex(32)}
        connector_state.put(tx, "", _KEY, kept, now)
    key = bytes.fromhex(kept["key"])
    return lambda text: hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _has_key(tx: Transaction) -> bool:
    return connector_state.get(tx, "", _KEY) is not None
