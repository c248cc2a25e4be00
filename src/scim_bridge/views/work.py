"""What is not settled: what waits, what is held for an operator, what was refused; since when, why, and when next."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from scim_bridge.models import Kind, Lane
from scim_bridge.provisioning import observing
from scim_bridge.store import audit, inventory, memberships, resources
from scim_bridge.store.rows import ResourceRow, State
from scim_bridge.store.transaction import Transaction
from scim_bridge.views import Page, Position
from scim_bridge.views.people import there, was_refused

PAGE = 200

NAMED = 20
"""How many members a line names."""

TRAIL = 20
"""How many of its last entries of the audit chain tell what became of something so far."""

WORDS = {
    "RemoteUnavailableError": "the remote system did not answer as it should",
    "RemoteRateLimitedError": "the remote system's limit is used up",
    "RemoteSuspendedError": "the remote system has been failing, and is left alone for a while",
    "RemoteFullError": "the remote system has no licence, seat or allowance left",
    "RemoteMisroutedError": "something else than the remote system answered; scim-bridge check tells more",
    "RemoteCredentialsError": "the remote system refuses the bridge's credentials; scim-bridge check tells more",
}
"""What an operator is told of a failure, by the class that the audit chain has."""

URGENCY = {Lane.REMOVE: "removal", Lane.REPAIR: "repair", Lane.CREATE: "creation", Lane.UPDATE: "update"}


@dataclass(frozen=True, slots=True)
class Work:
    """Something that is not settled.

    :param lane: How urgent it is, in a word; removals go first.
    :param wanted: What is to be done, in words and by names.
    :param why: Why it is not done.
    :param since: When a client, or a comparison, last wrote it.
    :param by: Who asked: ``token ID``, ``operator``, ``reconcile``; ``None``: nobody directly, a group's change did.
    :param request: The id of the request that asked, as in the log.
    :param attempts: Attempts in a row that failed.
    :param next_at: When it is tried again or, of something held, released; ``None``: at once, or when a client writes.
    """

    connection: str
    state: State
    lane: str
    kind: Kind
    name: str
    wanted: str
    why: str
    since: datetime
    by: str | None
    request: str | None
    attempts: int
    next_at: datetime | None
    id: str


def pending(
    tx: Transaction,
    connection_id: str,
    after: Position | None,
    *,
    states: Collection[State] = inventory.UNSETTLED,
    limit: int | None = None,
) -> Page[Work]:
    """Return a page of what is not settled, removals first.

    :param states: Only what is in these states.
    """
    limit = limit or PAGE
    place = None if after is None else (int(after[0]), int(after[1]))
    found = inventory.work(tx, connection_id, states=states, after=place, limit=limit)
    observes = observing.current(tx, connection_id) is not None
    items = tuple(work(tx, row, observes=observes) for _, row in found)
    last = found[-1] if len(found) == limit else None
    return Page(items, None if last is None else (int(last[1].lane), last[0]))


def work(tx: Transaction, row: ResourceRow, *, observes: bool) -> Work:
    """Return what is told of something that is not settled.

    :param observes: Whether its connection observes.
    """
    trail = audit.latest(tx, row.connection_id, resource_id=row.id, limit=TRAIL)
    asked = next((one.event for one in trail if one.event.get("event") in {"intent", "drift"}), {})
    return Work(
        row.connection_id,
        row.state,
        URGENCY.get(row.lane, "update"),
        row.kind,
        row.name,
        wanted(tx, row),
        _why(row, trail, observes=observes),
        row.modified_at,
        asked.get("actor"),
        asked.get("request"),
        row.attempt,
        row.not_before,
        row.id,
    )


def wanted(tx: Transaction, row: ResourceRow) -> str:
    """Tell in words, and by names, what is to be done."""
    if row.deleted:
        return "made" if was_refused(row) else "deleted"
    begins = [] if row.kind == "Group" or row.active else ["deactivated"]
    if row.active and there(row) in {"absent", "inactive"} and (row.may_make or not row.observed_generation):
        begins = ["let in" if there(row) == "inactive" else "made"]
    if row.kind == "User":
        groups = memberships.groups_of(tx, row.connection_id, [row.id]).get(row.id, [])
        joins = [group.name for group in groups if group.desired and not group.given]
        leaves = [group.name for group in groups if group.observed and not group.desired]
        changes = {"joins": _some(joins, len(joins)), "leaves": _some(leaves, len(leaves))}
    else:
        to_add, to_remove = memberships.unsettled_of_group(tx, row.connection_id, row.id)
        changes = {"gains": _people(tx, row, to_add), "loses": _people(tx, row, to_remove)}
    return "; ".join([*begins, *(f"{word} {names}" for word, names in changes.items() if names)]) or "changed"


def _why(row: ResourceRow, trail: list[audit.AuditEvent], *, observes: bool) -> str:
    if row.state is State.HELD:
        removal = row.lane is Lane.REMOVE
        return "more people losing access than usual" if removal else "more privileged grants than usual"
    if row.refusal is not None:
        return f"refused: {row.refusal.detail}"
    if observes:
        return f"the connection observes: scim-bridge go-live {row.connection_id}"
    last = next((one.event for one in trail if one.event.get("event") == "outcome"), {})
    if last.get("generation") == row.generation and (error := last.get("error")):
        return WORDS.get(error, str(error))
    return "a call is under way, or its outcome unknown" if row.ambiguous else "waits for its turn"


def _people(tx: Transaction, group: ResourceRow, ids: list[str]) -> str:
    found = resources.get_many(tx, group.connection_id, "User", ids[:NAMED], deleted=True)
    return _some([row.name for row in found], len(ids))


def _some(names: list[str], number: int) -> str:
    """Return some names, and how many more there are."""
    shown = ", ".join(sorted(names[:NAMED]))
    return shown if number <= NAMED else f"{shown} and {number - NAMED} more"
