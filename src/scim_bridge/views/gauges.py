"""How a connection stands, in numbers: what ``/metrics`` reads from the store, so that every replica tells the same."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from scim_bridge.models import Lane
from scim_bridge.provisioning import drift, observing
from scim_bridge.provisioning.drift import DriftClass
from scim_bridge.provisioning.policy import Watch
from scim_bridge.store import audit, inventory, tokens
from scim_bridge.store.rows import State
from scim_bridge.store.transaction import Transaction
from scim_bridge.views.needs import needs

GAUGES = {
    "observing": "1 while nothing is sent: it observes, plans or is held.",
    "pending": "Changes that are not done.",
    "pending_removals": "Changes that are not done and end somebody's access, or take a group away.",
    "oldest_removal_seconds": "How long ago the oldest removal that is not confirmed was asked for; 0: there is none.",
    "held": "Changes that wait for an operator.",
    "refused": "Changes that the remote system refused.",
    "drift": f"Differences that the last comparison found, by class, of the {drift.KEPT} kept at most.",
    "missing_accounts": "Accounts that the last comparison missed, and that stay out until somebody asks for them.",
    "compared_timestamp_seconds": "When everything was last compared.",
    "needs": "What needs an operator, by condition: of how many it holds.",
    "tokens": "Tokens that are valid.",
    "last_token_end_timestamp_seconds": "When the last valid token ends; +Inf: never.",
    "audit_head_timestamp_seconds": "When the last entry of the audit chain was written.",
}
"""Each by its name, with its meaning; all have the label ``connection``."""

Number = tuple[str, dict[str, str], float]


def gauges(tx: Transaction, connection_id: str, watch: Watch, *, now: datetime) -> Iterator[Number]:
    """Yield name, further labels and value of each. Costs what is not settled, not how many people there are."""
    numbers = inventory.counts(tx, connection_id)

    def changes(state: State) -> int:
        return sum(number for (one, _), number in numbers.items() if one is state)

    oldest = inventory.oldest_removal(tx, connection_id, states=(State.PENDING, State.HELD))
    yield "observing", {}, observing.current(tx, connection_id) is not None
    yield "pending", {}, changes(State.PENDING)
    yield "pending_removals", {}, numbers.get((State.PENDING, Lane.REMOVE), 0)
    yield "oldest_removal_seconds", {}, 0.0 if oldest is None else (now - oldest.modified_at).total_seconds()
    yield "held", {}, changes(State.HELD)
    yield "refused", {}, changes(State.BLOCKED)
    yield from _of_comparison(drift.last(tx, connection_id))
    for need in needs(tx, connection_id, watch, now=now):
        yield "needs", {"condition": need.condition}, need.number
    yield from _of_tokens(tx, connection_id, now)
    for entry in audit.latest(tx, connection_id, limit=1):
        yield "audit_head_timestamp_seconds", {}, entry.at.timestamp()


def _of_comparison(compared: drift.LastComparison | None) -> Iterator[Number]:
    if compared is None:
        return
    found = [one.drift for one in compared.drifts]
    classes = Counter(one.drift for one in found)
    for one in DriftClass:
        yield "drift", {"drift": one}, compared.unmanaged if one is DriftClass.UNMANAGED else classes[one]
    yield "missing_accounts", {}, sum(one.is_missing_account and not one.repaired for one in found)
    yield "compared_timestamp_seconds", {}, compared.at.timestamp()


def _of_tokens(tx: Transaction, connection_id: str, now: datetime) -> Iterator[Number]:
    records = [one for one in tokens.list_tokens(tx, connection_id) if one.revoked_at is None]
    ends = [float("inf") if one.expires_at is None else one.expires_at.timestamp() for one in records]
    valid = [end for end in ends if end > now.timestamp()]
    yield "tokens", {}, len(valid)
    if valid:
        yield "last_token_end_timestamp_seconds", {}, max(valid)
