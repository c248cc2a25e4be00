"""One person: what is wanted, what is there, what is on its way and why, what was refused, and how it came to that."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scim_bridge.paths import attributes_of
from scim_bridge.provisioning import observing
from scim_bridge.provisioning.plan import same
from scim_bridge.store import audit, memberships, resources
from scim_bridge.store.rows import Observed, Ownership, ResourceRow, State
from scim_bridge.store.transaction import Transaction
from scim_bridge.views.people import GroupOfPerson, There, Wanted, groups_of, there, wanted
from scim_bridge.views.work import Work, work

HISTORY = 50
"""How many entries of the audit chain are told unless more are asked for."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that the remote system holds of a person.

    :param deferred: Whether the remote system does not take the wanted value yet.
    :param rewritten: Whether it always makes ``there`` of the wanted value.
    """

    path: str
    wanted: Any
    there: Any
    deferred: bool
    rewritten: bool = False

    @property
    def differs(self) -> bool:
        """Whether the two values are not the same to the remote system."""
        return not (self.rewritten or same(self.path, self.wanted, self.there))

    @property
    def note(self) -> str:
        """What is to be said of it, in words."""
        told = {"not taken yet": self.deferred, "rewritten there": self.rewritten, "differs": self.differs}
        return next((words for words, so in told.items() if so), "")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the audit chain about a person.

    :param event: ``intent``, ``outcome``, ``drift`` or ``guard``.
    :param what: The operation, decision or drift.
    :param by: Who acted.
    :param request: The id of the request that caused it, as in the log.
    :param paths: The attribute paths that changed; their values are not kept.
    :param reason: Why, in an operator's words.
    """

    at: datetime
    event: str
    what: str
    outcome: str | None
    error: str | None
    paths: tuple[str, ...]
    by: str | None
    request: str | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """All that is stored of one person.

    :param sentence: How it stands, in one sentence.
    :param missing: Whether the account is not there, or inactive, and stays so until a client asks for it.
    :param work: What is on its way, or was refused; ``None``: nothing.
    :param history: The last entries of the audit chain, the oldest first.
    """

    connection: str
    name: str
    sentence: str
    wanted: Wanted
    there: There
    state: State
    managed: bool
    missing: bool
    attributes: tuple[Attribute, ...]
    groups: tuple[GroupOfPerson, ...]
    work: Work | None
    history: tuple[Entry, ...]
    id: str
    remote_id: str | None
    external_id: str | None


@dataclass(frozen=True, slots=True)
class Gone:
    """What is left of somebody who was deleted: what the audit chain has of the id that clients knew."""

    connection: str
    id: str
    history: tuple[Entry, ...]


def person(tx: Transaction, connection_id: str, who: str, *, history: int = HISTORY) -> Person | Gone | None:
    """Return what is stored of a person.

    :param who: Their userName, or the SCIM id; of somebody who was deleted the id only.
    :param history: How many entries of the audit chain are told.
    :returns: ``None`` when there is nobody, and was nobody under this id.
    """
    row = resources.find_by_name(tx, connection_id, "User", who)
    row = row or resources.get(tx, connection_id, "User", who, deleted=True)
    row = row or resources.find_refused(tx, connection_id, "User", who)
    told = trail(tx, connection_id, who if row is None else row.id, limit=history)
    if row is None:
        return Gone(connection_id, who, told) if told else None
    managed = row.ownership is not Ownership.DISCOVERED
    groups = memberships.groups_of(tx, connection_id, [row.id]).get(row.id, [])
    known = groups_of(row, groups)
    observes = observing.current(tx, connection_id) is not None
    under_way = None if row.state is State.SETTLED else work(tx, row, observes=observes)
    return Person(
        connection_id,
        row.name,
        _sentence(row, under_way, known),
        wanted(row),
        there(row),
        row.state,
        managed,
        row.missing and not row.may_make,
        _attributes(row),
        known,
        under_way,
        told,
        row.id,
        row.remote_id,
        row.external_id,
    )


def trail(tx: Transaction, connection_id: str, resource_id: str, *, limit: int) -> tuple[Entry, ...]:
    """Return what the audit chain has of a User or Group, the oldest of the last entries first."""
    found = audit.latest(tx, connection_id, resource_id=resource_id, limit=limit)
    return tuple(entry(one) for one in reversed(found))


def entry(one: audit.AuditEvent) -> Entry:
    """Return what is told of an event."""
    event = one.event
    what = event.get("operation") or event.get("decision") or event.get("drift") or ""
    return Entry(
        one.at,
        str(event.get("event")),
        ", ".join(what) if isinstance(what, list) else str(what),
        event.get("outcome"),
        event.get("error"),
        tuple(event.get("paths", ())),
        event.get("actor"),
        event.get("request"),
        event.get("reason"),
    )


def _attributes(row: ResourceRow) -> tuple[Attribute, ...]:
    """Return those attributes that the remote system was seen to hold, or does not take yet."""
    seen = row.observed or Observed()
    paths = {*seen.attributes, *seen.deferred}
    asked = attributes_of(json.loads(row.document), paths)
    there = seen.attributes | {path: shown for path, (_, shown, twice) in seen.rewritten.items() if twice}
    made = {path for path, (sent, _, twice) in seen.rewritten.items() if twice and same(path, sent, asked.get(path))}
    return tuple(
        Attribute(path, asked.get(path), there.get(path), path in seen.deferred, path in made) for path in sorted(paths)
    )


def _sentence(row: ResourceRow, under_way: Work | None, groups: Iterable[GroupOfPerson]) -> str:
    held = [group.name for group in groups if group.there]
    state = {
        "inactive": "has an account and no access",
        "invited": "is invited, and has no access before they accept",
        "absent": "has no account",
        "unknown": "may have access: the remote system has not been asked yet",
    }.get(there(row), f"has access, in {', '.join(held)}" if held else "has access, and is in no group")
    manager = "" if row.ownership is not Ownership.DISCOVERED else "; no client manages them"
    if row.missing and not row.may_make and row.state is State.SETTLED:
        manager += "; a client wants them in: the account was removed, or deactivated, by hand"
    if under_way is None:
        return f"{row.name} {state}{manager}."
    return f"{row.name} {state}{manager}; {under_way.state}: {under_way.wanted} ({under_way.why})."
