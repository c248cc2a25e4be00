"""The small durable store of each connection (:class:`~scim_bridge.connector.ConnectorState`)."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, exists, select
from sqlalchemy import delete as sql_delete

from scim_bridge.store.clock import to_microseconds
from scim_bridge.store.dialects import upsert
from scim_bridge.store.prepared import Prepared, among, array
from scim_bridge.store.tables import connector_state
from scim_bridge.store.transaction import Transaction

_KEY = (connector_state.c.connection_id == bindparam("connection"), connector_state.c.key == bindparam("name"))
_GET = Prepared(select(connector_state.c.value).where(*_KEY))
_GET_MANY = Prepared(
    select(connector_state.c.key, connector_state.c.value).where(
        connector_state.c.connection_id == bindparam("connection"), among(connector_state.c.key, "names")
    )
)
_DELETE = Prepared(sql_delete(connector_state).where(*_KEY))

PLANS = "bridge:plans"
"""The key that a connection has while it only plans: whatever is shown of it is what is wanted."""

IS_PLANNING = exists().where(connector_state.c.connection_id == bindparam("connection"), connector_state.c.key == PLANS)
"""The condition that the connection only plans; a statement looks once, and not before it matters."""


def get(tx: Transaction, connection_id: str, key: str) -> dict[str, Any] | None:
    """Return the value of a key, or ``None``."""
    found = _GET.first(tx, {"connection": connection_id, "name": key})
    if found is None:
        return None
    document: dict[str, Any] = json.loads(found[0])
    return document


def text(tx: Transaction, connection_id: str, key: str) -> str | None:
    """Return the value of a key as the text that it is stored as, or ``None``."""
    found = _GET.first(tx, {"connection": connection_id, "name": key})
    return None if found is None else str(found[0])


def get_many(tx: Transaction, connection_id: str, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the values of those of some keys that have one."""
    found = _GET_MANY.rows(tx, {"connection": connection_id, "names": array(keys)})
    return {key: json.loads(value) for key, value in found}


def put(tx: Transaction, connection_id: str, key: str, value: Mapping[str, Any], now: datetime) -> None:
    """Write the value of a key."""
    row = {
        "connection_id": connection_id,
        "key": key,
        "value": json.dumps(dict(value), ensure_ascii=False, allow_nan=False),
        "changed_at": to_microseconds(now),
    }
    upsert(tx, connector_state, ("value", "changed_at")).write(tx, row)


def probe(tx: Transaction) -> None:
    """Write something that nobody reads, and take it back: proof that the database takes writes."""
    put(tx, "", "probe", {}, datetime.fromtimestamp(0, UTC))
    delete(tx, "", "probe")


def delete(tx: Transaction, connection_id: str, key: str) -> None:
    """Forget a key; absent is fine."""
    _DELETE.write(tx, {"connection": connection_id, "name": key})
