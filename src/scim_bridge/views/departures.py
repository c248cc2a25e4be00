"""Who lost access: when it was asked, accepted and confirmed, how that is known, and what is left.

A departure begins with the entry of the audit chain in which a client, or an operator, wants somebody inactive or
deleted who was not, and is confirmed by the entry of the first answer of the remote system that showed it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from scim_bridge.models import Unrevoked
from scim_bridge.store import audit, connector_state, departed, memberships, resources
from scim_bridge.store.rows import ResourceRow, State
from scim_bridge.store.transaction import Transaction
from scim_bridge.views.people import there

Ending = Literal["confirmed", "pending", "held", "refused", "rejected", "withdrawn"]

PROOFS = {
    ("deactivate_user", "done"): "the remote system took the deactivation",
    ("deactivate_user", "absent"): "the remote system no longer had the account",
    ("delete_user", "done"): "the remote system took the deletion",
    ("delete_user", "absent"): "the remote system no longer had the account",
    ("probe", "absent"): "the bridge looked: no account",
    ("delete", "gone"): "nothing was left to end",
}
"""How the end of somebody's access is known, by operation and outcome of the entry."""

UNREVOKED = "bridge:unrevoked"
"""The key under which it is kept what a connector says that goes on."""

LOOKED = "the bridge looked: inactive"
NEVER = "had no access when it was asked"


@dataclass(frozen=True, slots=True)
class Departure:
    """One person who was to lose access.

    :param name: Their userName; ``None`` of somebody whose deletion was done so long ago that it is not kept.
    :param asked: When the removal was asked for, and durable.
    :param accepted: When it was let through to the remote system: when it was asked, unless the guard held it.
    :param confirmed: When the remote system was seen to have ended it.
    :param proof: How that is known.
    :param minutes: From asked to confirmed.
    :param state: What has become of it. *withdrawn*: a client wanted them in again before it was done.
    :param left: What is not ended, by name: their account, groups, access through another connection.
    :param unrevoked: What goes on though their access is ended, as no API of the remote system ends it.
    :param by: Who asked: ``token ID`` or ``operator``.
    :param request: The id of the request that asked, as in the log.
    """

    connection: str
    name: str | None
    state: Ending
    asked: datetime
    accepted: datetime | None
    confirmed: datetime | None
    minutes: float | None
    proof: str | None
    left: tuple[str, ...]
    unrevoked: tuple[str, ...]
    by: str
    request: str | None
    id: str


@dataclass(slots=True)
class _Open:
    """A departure as the chain has told it so far."""

    asked: datetime
    by: str
    request: str | None
    accepted: datetime | None
    confirmed: datetime | None = None
    proof: str | None = None
    looked: datetime | None = None
    ending: Ending | None = None


def departures(
    tx: Transaction, connection_id: str, *, since: datetime, others: Collection[str] = (), who: str | None = None
) -> list[Departure]:
    """Return who was to lose access from a time on, in the order in which it was asked.

    Reads the audit chain from there on, and the rows of those it names: it costs what has happened, not how many there
    are.

    :param others: Connections in which the same userName may have access, too.
    :param who: Only of whoever has, or had, this userName; also when the name itself is not kept any more.
    """
    told = _told(audit.since(tx, connection_id, since))
    if who is not None:
        there_ = resources.find_by_name(tx, connection_id, "User", who)
        asked = departed.find(tx, connection_id, who) | ({there_.id} if there_ is not None else set())
        told = {id_: those for id_, those in told.items() if id_ in asked}
    gone, on = departed.names(tx, connection_id, told), tuple(one.what for one in unrevoked(tx, connection_id))
    found = [
        _departure(tx, connection_id, resource_id, one, last=one is those[-1], others=others, gone=gone, on=on)
        for resource_id, those in told.items()
        for one in those
    ]
    return sorted(found, key=lambda one: one.asked)


def note_unrevoked(tx: Transaction, connection_id: str, told: Sequence[Unrevoked], *, now: datetime) -> None:
    """Keep what a connector says that goes on, for reports that are made without opening it."""
    items = [asdict(one) for one in told]
    if items != (connector_state.get(tx, connection_id, UNREVOKED) or {}).get("items"):
        connector_state.put(tx, connection_id, UNREVOKED, {"items": items}, now)


def unrevoked(tx: Transaction, connection_id: str) -> list[Unrevoked]:
    """Return what goes on when somebody's access was ended, as the connector said when the bridge started last."""
    kept = connector_state.get(tx, connection_id, UNREVOKED)
    return [] if kept is None else [Unrevoked(**one) for one in kept["items"]]


def advice(told: Iterable[Unrevoked]) -> list[str]:
    """Return a line for each of what goes on: what it is, who ends it, and where that is told."""
    return [f"{one.what}. {one.remedy}{f' ({one.source})' if one.source else ''}" for one in told]


def is_open(one: Departure) -> bool:
    """Tell whether somebody's access is not ended, or not all of it."""
    return one.state in {"pending", "held", "refused"} or bool(one.left)


def summary(found: Collection[Departure]) -> str:
    """Return how many were asked, and how long they took, in a sentence."""
    took = sorted(one.minutes for one in found if one.minutes is not None)
    times = f"; half within {took[len(took) // 2]:.1f} minutes, all within {took[-1]:.1f}" if took else ""
    return f"{len(found)} asked, {len(took)} confirmed, {sum(map(is_open, found))} not ended{times}"


def _told(events: Iterable[audit.AuditEvent]) -> dict[str, list[_Open]]:
    found: dict[str, list[_Open]] = {}
    held: dict[str, Any] = {}
    for entry in events:
        event = entry.event
        if event.get("kind") != "User":
            continue
        id_ = str(event["id"])
        last = found.get(id_, [None])[-1]
        open_ = last if last is not None and last.ending is None else None
        if event["event"] == "intent":
            _intent(found, id_, open_, entry, held=held.get(id_) == event["generation"])
        elif event["event"] == "guard":
            if event["decision"] == "held":
                held[id_] = event["generation"]  # the intent that is held comes next, of the same generation
            if open_ is not None:
                _decided(open_, event, entry.at)
        elif open_ is not None and event["event"] == "outcome":
            _outcome(open_, event, entry.at)
    return found


def _intent(
    found: dict[str, list[_Open]], id_: str, open_: _Open | None, entry: audit.AuditEvent, *, held: bool
) -> None:
    """Take an entry of what a client wants: who is inactive and becomes active, or the other way round, says so."""
    event = entry.event
    leaves = event["operation"] == "delete" or (event.get("lane") == "REMOVE" and "active" in event.get("paths", ()))
    if open_ is not None:
        if event["operation"] != "delete" and "active" in event.get("paths", ()):  # wanted in again
            open_.ending = "withdrawn" if open_.confirmed is None else "confirmed"
    elif leaves:
        begun = _Open(entry.at, str(event.get("actor")), event.get("request"), None if held else entry.at)
        found.setdefault(id_, []).append(begun)


def _decided(open_: _Open, event: dict[str, Any], at: datetime) -> None:
    if event["decision"] == "held" and open_.confirmed is None:
        open_.accepted = None
    elif event["decision"] in {"approved", "released"}:
        open_.accepted = at
    elif event["decision"] == "rejected":
        open_.ending = "rejected"


def _outcome(open_: _Open, event: dict[str, Any], at: datetime) -> None:
    told = (event["operation"], event["outcome"])
    if told in PROOFS and open_.confirmed is None:
        open_.confirmed, open_.proof = at, PROOFS[told]
        if told == ("delete", "gone") and open_.looked is not None:
            open_.confirmed, open_.proof = open_.looked, LOOKED
    elif told == ("probe", "present"):
        open_.looked = at


def _departure(
    tx: Transaction,
    connection_id: str,
    resource_id: str,
    one: _Open,
    *,
    last: bool,
    others: Collection[str],
    gone: Mapping[str, str],
    on: tuple[str, ...],
) -> Departure:
    row = resources.get(tx, connection_id, "User", resource_id, deleted=True)
    one = _settled(one, row) if last else one
    ending = one.ending or ("confirmed" if one.confirmed else "pending")
    leaves = last and ending not in {"rejected", "withdrawn"}
    minutes = None if one.confirmed is None else round((one.confirmed - one.asked).total_seconds() / 60, 2)
    return Departure(
        connection_id,
        gone.get(resource_id) if row is None else row.name,
        ending,
        one.asked,
        one.accepted,
        one.confirmed,
        minutes,
        one.proof,
        _left(tx, row, others) if leaves else (),
        on if leaves else (),
        one.by,
        one.request,
        resource_id,
    )


def _settled(one: _Open, row: ResourceRow | None) -> _Open:
    """Tell by its row what became of a departure of which no entry says so."""
    if one.ending is not None or one.confirmed is not None:
        return one
    ending: Ending | None = None
    if row is None or (row.state is State.SETTLED and not row.active):
        seen = one.looked
        return replace(one, confirmed=seen or one.asked, proof=NEVER if seen is None else LOOKED)
    if row.state is State.HELD:
        ending = "held"
    elif row.active and not row.deleted:
        ending = "withdrawn"
    elif row.refusal is not None:
        ending = "refused"
    return replace(one, ending=ending)


def _left(tx: Transaction, row: ResourceRow | None, others: Collection[str]) -> tuple[str, ...]:
    """Return what somebody who is to have no access still has, as far as the store knows."""
    if row is None:
        return ()
    found = []
    if there(row) in {"active", "unknown"}:
        found.append(f"the account in {row.connection_id}")
        groups = memberships.groups_of(tx, row.connection_id, [row.id]).get(row.id, [])
        found += sorted(f"group {group.name}" for group in groups if group.observed)
    for other in others:
        elsewhere = resources.find_by_name(tx, other, "User", row.name)
        if elsewhere is not None and elsewhere.shown_active:
            found.append(f"access through {other}")
    return tuple(found)
