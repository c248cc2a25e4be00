"""Entries of the audit chain: who did what to which generation of a resource. Ids and class names only."""

from contextvars import ContextVar
from datetime import datetime

from scim_bridge.store import audit
from scim_bridge.store.rows import ResourceRow
from scim_bridge.store.transaction import Transaction
from scim_bridge.upstream import correlation_id

actor: ContextVar[str] = ContextVar("scim_bridge_actor", default="bridge")
"""Who acts in this context: ``token ID``, ``operator``, ``reconcile``, ``guard``, or the bridge, which drives."""


OPERATOR = "operator"
"""The actor of commands."""


def record(tx: Transaction, row: ResourceRow, event: str, *, now: datetime, **details: str | list[str]) -> None:
    """Write an entry about a resource, in the transaction that it tells of.

    Who acts, and for which request, is told by the context.

    :param event: ``intent``, ``outcome``, ``drift`` or ``guard``.
    :param details: What else there is to tell; no personal data.
    """
    entry = {"event": event, "kind": row.kind, "id": row.id, "generation": row.generation, **acting(), **details}
    audit.append(tx, row.connection_id, entry, now=now)


def acting() -> dict[str, str]:
    """Return what every entry tells of whoever acts."""
    request = correlation_id.get()
    return {"actor": actor.get(), **({} if request is None else {"request": request})}
