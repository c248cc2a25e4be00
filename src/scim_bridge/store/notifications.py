"""Wake-ups between processes, by PostgreSQL's NOTIFY and LISTEN.

A notification is only a wake-up: the row is the truth, payloads carry ids, and those that are sent while a listener
reconnects are lost. So a listener says when it had to reconnect, and whoever waits also looks from time to time.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from sqlalchemy import func, select

from scim_bridge.store.engine import Store
from scim_bridge.store.transaction import Transaction

CHANNEL = "scim_bridge"
"""The channel of a bridge's own notifications, which :func:`wake` and :func:`announce` send and :func:`about` reads."""


def notify(tx: Transaction, channel: str, payload: str) -> None:
    """Send a notification, delivered exactly when the transaction commits. On SQLite there is nobody to wake.

    :param payload: Ids only; at most 8,000 bytes.
    """
    if tx.dialect.name == "postgresql":
        tx.execute(select(func.pg_notify(channel, payload)))


def wake(tx: Transaction, connection_id: str) -> None:
    """Say that a connection has work: who drives it looks."""
    notify(tx, CHANNEL, f"intent {connection_id}")


def announce(tx: Transaction, connection_id: str, resource_id: str) -> None:
    """Say that something came of a resource: who waits for it looks."""
    notify(tx, CHANNEL, f"outcome {connection_id} {resource_id}")


def about(payload: str) -> tuple[str, str | None]:
    """Return the connection that a notification of a bridge is about, and the resource; ``None``: there is work."""
    _, connection_id, *resource_id = payload.split(" ")
    return connection_id, resource_id[0] if resource_id else None


def listening(
    store: Store, channels: Sequence[str], callback: Callable[[str, str | None], None]
) -> AbstractAsyncContextManager[Any]:
    """Listen on channels for as long as a block lasts; on SQLite there is nothing to hear.

    :param callback: Called on the event loop with a channel and a payload; with ``None`` when notifications may have
        been lost. It must not block.
    """
    if store.dialect == "sqlite":
        return nullcontext()
    from scim_bridge.store.listener import Listener  # psycopg takes 9 MiB, which SQLite need not

    return Listener(store.url, channels, callback)
