"""A connection that observes: what clients write is taken, and nothing is changed in the remote system.

An operator puts it there (``scim-bridge hold``) and lets it go (``scim-bridge go-live``) after having seen what would
happen. So does a remote system that is another one than before (:mod:`.identification`), and the configuration of a new
connection (``mode = "plan"``). It is kept in the store, so that it holds on every replica and after every restart.

There are two ways of answering meanwhile. A connection that *plans* answers, and shows, what clients want as if it were
so, and what it would do is its plan. Any other answers 429, and shows what is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from scim_bridge.provisioning import identification
from scim_bridge.provisioning.journal import acting
from scim_bridge.store import audit, connector_state, notifications, resources
from scim_bridge.store.transaction import Transaction

KEY = "bridge:observing"
LIVE = "bridge:live"
"""The key under which a connection remembers when it last went live."""

Reason = Literal["hold", "restored", "plan"]
"""Why: an operator wants it; the database is an older copy, which knows nothing of who left since; or it plans."""

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

    @property
    def plans(self) -> bool:
        """Whether clients are answered as if what they write were done."""
        return self.reason == "plan"


def current(tx: Transaction, connection_id: str) -> Observing | None:
    """Return since when and why a connection observes, or ``None``."""
    state = connector_state.get_many(tx, connection_id, (KEY, identification.KEY))
    pin = identification.pin_of(state.get(identification.KEY))
    if pin.held_since is not None:
        return Observing(pin.held_since, "remote", pin.sentence(connection_id))
    saved = state.get(KEY)
    if saved is None:
        return None
    words = (
        "plans: clients are answered as if what they want were so, and nothing is changed in the remote system"
        if saved["reason"] == "plan"
        else "observes: nothing is changed in the remote system"
    )
    detail = f"{connection_id} {words} before scim-bridge go-live {connection_id}"
    return Observing(datetime.fromisoformat(saved["since"]), saved["reason"], detail)


def live_since(tx: Transaction, connection_id: str) -> datetime | None:
    """Return when an operator last let a connection go live, or ``None``."""
    saved = connector_state.get(tx, connection_id, LIVE)
    return None if saved is None else datetime.fromisoformat(saved["since"])


def is_said_otherwise(tx: Transaction, connection_id: str, mode: Literal["live", "plan"]) -> str:
    """Return, for an operator, in what the configuration differs from what is; empty when it does not."""
    observes = current(tx, connection_id)
    if mode == "plan" and observes is None:
        since = live_since(tx, connection_id)
        was = "was in use before" if since is None else f"went live at {since:%Y-%m-%d %H:%M} UTC"
        return f'mode = "plan" counts at the first start only, and {connection_id} {was}: it is live'
    if mode == "live" and observes is not None and observes.plans:
        return f'mode = "live" counts at the first start only: {connection_id} plans'
    return ""


def start(tx: Transaction, connection_id: str, *, now: datetime) -> None:
    """Have a connection plan, as the configuration says, if this is its first start.

    From then on the store's mode counts: a file that is edited, or that differs between replicas, must neither send
    what nobody has seen nor have clients told of removals that are not sent.
    """
    if connector_state.get_many(tx, connection_id, (KEY, LIVE, identification.KEY)):
        return
    if not any(resources.iterate(tx, connection_id, kind, after=None, limit=1) for kind in ("User", "Group")):
        begin(tx, connection_id, "plan", now=now)


def begin(tx: Transaction, connection_id: str, reason: Reason, *, now: datetime) -> None:
    """Have a connection observe from now on.

    After a restore nobody is made because the older copy says so, not even whose creation was pending in it: they may
    have left since. A client that still waits for a creation repeats it.
    """
    if reason == "restored":
        resources.make_nobody(tx, connection_id)
    before = connector_state.get(tx, connection_id, KEY)
    since = now.isoformat() if before is None else before["since"]
    connector_state.put(tx, connection_id, KEY, {"since": since, "reason": reason}, now)
    _show(tx, connection_id, plans=reason == "plan", now=now)
    _tell(tx, connection_id, reason, now)


def end(tx: Transaction, connection_id: str, *, now: datetime, seen: Mapping[str, Any] | None = None) -> bool:
    """Let a connection go live: the driver does what is pending. Returns whether it had been told to observe.

    :param seen: What the operator saw of what is going to happen: numbers, for the audit chain.
    """
    if connector_state.get(tx, connection_id, KEY) is None:
        return False
    connector_state.delete(tx, connection_id, KEY)
    connector_state.put(tx, connection_id, LIVE, {"since": now.isoformat()}, now)
    _show(tx, connection_id, plans=False, now=now)
    _tell(tx, connection_id, "live", now, **(seen or {}))
    return True


def _show(tx: Transaction, connection_id: str, *, plans: bool, now: datetime) -> None:
    """Have reads show what is wanted, or what is; whatever is read otherwise from now on gets a new version."""
    if plans == (connector_state.get(tx, connection_id, connector_state.PLANS) is not None):
        return
    if plans:
        connector_state.put(tx, connection_id, connector_state.PLANS, {}, now)
    else:
        connector_state.delete(tx, connection_id, connector_state.PLANS)
    resources.shown_otherwise(tx, connection_id)


def _tell(tx: Transaction, connection_id: str, what: str, now: datetime, **numbers: Any) -> None:
    audit.serialise(tx, connection_id)
    audit.append(tx, connection_id, {"event": "observing", "decision": what, **acting(), **numbers}, now=now)
    notifications.wake(tx, connection_id)
