"""A connection that observes: what clients write is taken, and nothing is changed in the remote system.

An operator puts it there (``scim-bridge hold``) and lets it go (``scim-bridge go-live``) after having seen what would
happen. It is kept in the store, so that it holds on every replica and after every restart.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from scim_bridge.provisioning.journal import OPERATOR
from scim_bridge.provisioning.ownership import CHANNEL
from scim_bridge.store import audit, connector_state, notifications, resources
from scim_bridge.store.engine import Connection

KEY = "bridge:observing"

Reason = Literal["hold", "restored"]
"""Why: an operator wants it, or the database is an older copy, which knows nothing of who left since."""


@dataclass(frozen=True, slots=True)
class Observing:
    """That a connection observes, since when and why."""

    since: datetime
    reason: Reason


def current(tx: Connection, connection_id: str) -> Observing | None:
    """Return since when and why a connection observes, or ``None``."""
    saved = connector_state.get(tx, connection_id, KEY)
    return None if saved is None else Observing(datetime.fromisoformat(saved["since"]), saved["reason"])


def begin(tx: Connection, connection_id: str, reason: Reason, *, now: datetime) -> None:
    """Have a connection observe from now on.

    After a restore nobody is made because the older copy says so, not even whose creation was pending in it: they may
    have left since. A client that still waits for a creation repeats it.
    """
    if reason == "restored":
        resources.make_nobody(tx, connection_id)
    before = current(tx, connection_id)
    since = now if before is None else before.since
    connector_state.put(tx, connection_id, KEY, {"since": since.isoformat(), "reason": reason}, now)
    _tell(tx, connection_id, reason, now)


def end(tx: Connection, connection_id: str, *, now: datetime) -> bool:
    """Let a connection go live: the driver does what is pending. Returns whether it observed."""
    if current(tx, connection_id) is None:
        return False
    connector_state.delete(tx, connection_id, KEY)
    _tell(tx, connection_id, "live", now)
    return True


def _tell(tx: Connection, connection_id: str, what: str, now: datetime) -> None:
    audit.serialise(tx, connection_id)
    audit.append(tx, connection_id, {"event": "observing", "decision": what, "actor": OPERATOR}, now=now)
    notifications.notify(tx, CHANNEL, f"intent {connection_id}")
