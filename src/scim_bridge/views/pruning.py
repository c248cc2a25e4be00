"""What may leave the audit chains: nothing young, and nothing that tells of somebody whose access is not ended."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from scim_bridge.store.chain import YOUNG_DAYS
from scim_bridge.store.transaction import Transaction
from scim_bridge.views.departures import departures, is_open

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def needed(
    tx: Transaction, connection_id: str, before: datetime, *, others: Collection[str], now: datetime
) -> str | None:
    """Return why the entries before a time are needed; ``None``: they may go.

    :param others: The other connections, in which somebody may have access, too.
    """
    if before > now - timedelta(days=YOUNG_DAYS):
        return f"entries of the last {YOUNG_DAYS} days are kept"
    unended = [
        one
        for one in departures(tx, connection_id, since=BEGINNING, others=others)
        if is_open(one) and one.asked < before
    ]
    if not unended:
        return None
    who = ", ".join(one.id for one in unended[:5]) + (" and others" if len(unended) > 5 else "")
    return f"{len(unended)} whose access is not ended were asked for before: {who}; see: scim-bridge departures --open"
