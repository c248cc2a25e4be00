"""A connection that observes: what clients write is taken, and nothing is changed in the remote system.

An operator puts it there (``scim-bridge hold``) and lets it go (``scim-bridge go-live``) after having seen what would
happen. So does a remote system that is another one than before (:mod:`.identification`). It is kept in the store, so
that it holds on every replica and after every restart.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from scim_bridge.provisioning import identification
from scim_bridge.provisioning.journal import OPERATOR
from scim_bridge.store import audit, connector_state, notifications, resources
from scim_bridge.store.engine import Connection

KEY = "bridge:observing"

Reason = Literal["hold", "restored"]
"""Why: an operator wants it, or the database is an older copy, which knows nothing of who left since."""

Why = Reason | Literal["remote"]
"""Or the remote system is not the one that the connection had, or is not its alone."""


@dataclass(frozen=True, slots=True)
class Observing:
    """That a connection observes, since when and why.

    :param detail: What an operator is told of it.
    """

    since: datetime
    reason: Why
    detail: str


def current(tx: Connection, connection_id: str) -> Observing | None:
    """Return since when and why a connection observes, or ``None``."""
    state = connector_state.get_many(tx, connection_id, (KEY, identification.KEY))
    pin = identification.pin_of(state.get(identification.KEY))
    if pin.held_since is not None:
        return Observing(pin.held_since, "remote", pin.sentence(connection_id))
    saved = state.get(KEY)
    if saved is None:
        return None
    return Observing(
        datetime.fromisoformat(saved["since"]),
        saved["reason"],
        f"{connection_id} observes: nothing is changed in the remote system before scim-bridge go-live {connection_id}",
    )


def begin(tx: Connection, connection_id: str, reason: Reason, *, now: datetime) -> None:
    """Have a connection observe from now on.

    After a restore nobody is made because the older copy says so, not even whose creation was pending in it: they may
    have left since. A client that still waits for a creation repeats it.
    """
    if reason == "restored":
        resources.make_nobody(tx, connection_id)
    before = connector_state.get(tx, connection_id, KEY)
    since = now.isoformat() if before is None else before["since"]
    connector_state.put(tx, connection_id, KEY, {"since": since, "reason": reason}, now)
    _tell(tx, connection_id, reason, now)


def end(tx: Connection, connection_id: str, *, now: datetime) -> bool:
    """Let a connection go live: the driver does what is pending. Returns whether an operator had it observe."""
    if connector_state.get(tx, connection_id, KEY) is None:
        return False
    connector_state.delete(tx, connection_id, KEY)
    _tell(tx, connection_id, "live", now)
    return True


def _tell(tx: Connection, connection_id: str, what: str, now: datetime) -> None:
    audit.serialise(tx, connection_id)
    audit.append(tx, connection_id, {"event": "observing", "decision": what, "actor": OPERATOR}, now=now)
    notifications.wake(tx, connection_id)
