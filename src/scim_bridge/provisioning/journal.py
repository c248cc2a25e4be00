"""Entries of the audit chain: who did what to which generation of a resource. Ids and class names only."""

from datetime import datetime

from scim_bridge.store import audit
from scim_bridge.store.engine import Connection
from scim_bridge.store.rows import ResourceRow


def record(tx: Connection, row: ResourceRow, event: str, *, now: datetime, **details: str | list[str]) -> None:
    """Write an entry about a resource, in the transaction that it tells of.

    :param event: ``intent``, ``outcome``, ``drift`` or ``guard``.
    :param details: What else there is to tell; no personal data.
    """
    entry = {"event": event, "kind": row.kind, "id": row.id, "generation": row.generation, **details}
    audit.append(tx, row.connection_id, entry, now=now)
