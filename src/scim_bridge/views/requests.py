"""What clients asked, how it was answered, and what came of it: from the request to the calls that it caused.

What is kept has ids only; names are those of today, and of somebody who is gone there is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from scim_bridge.models import Kind
from scim_bridge.store import audit, request_log, resources, tokens
from scim_bridge.store.request_log import Chosen, KeptCall, KeptRequest
from scim_bridge.store.transaction import Transaction
from scim_bridge.views import Page, Position
from scim_bridge.views.person import Entry, Gone, Person, entry, person, trail
from scim_bridge.views.work import work

__all__ = ["Call", "Chosen", "Effect", "Request", "Trace", "requests", "trace"]

PAGE = 200
ABOUT = 20
"""So many requests are told of one person."""

ASKED = {
    "read": "read {}",
    "search": "searched {}",
    "create": "create {}",
    "replace": "replace {}",
    "patch": "change {}",
    "delete": "delete {}",
    "bulk": "do several things at once",
}
"""What an action asks for, in words."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a client.

    :param action: ``read``, ``search``, ``create``, ``replace``, ``patch``, ``delete``, ``bulk``; of a request that was
        not let in, its method.
    :param kind: ``User`` or ``Group``, if it was about one, or about several.
    :param name: What the one that it was about is called now.
    :param paths: The attributes that it changed, by their paths.
    :param filter: The attributes that a search compared.
    :param quirks: The quirks of the client that were met.
    :param reason: Why it failed, in our own words.
    :param by: Whose token it was, in words; or why there was no valid one.
    :param target: The id of what it was about.
    :param id: What answers, log lines and the audit chain know it by.
    :param trace: The id of the client's trace (W3C Trace Context).
    """

    connection: str
    at: datetime
    action: str
    kind: str | None
    name: str | None
    paths: tuple[str, ...]
    filter: tuple[str, ...]
    quirks: tuple[str, ...]
    status: int
    reason: str | None
    scim_type: str | None
    by: str
    milliseconds: float
    method: str
    target: str | None
    token: str | None
    trace: str | None
    id: str

    @property
    def failed(self) -> bool:
        """Whether it was answered with an error."""
        return self.status >= 400

    @property
    def about(self) -> str:
        """What it was about, in a few words."""
        if self.name is not None:
            return self.name
        return {"User": "Users", "Group": "Groups"}.get(self.kind or "", "") if self.target is None else self.target


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt of a call to the remote system.

    :param route: Its path, without what stands in it.
    :param outcome: The status of the answer, or why there is none.
    """

    at: datetime
    method: str
    route: str
    outcome: str
    milliseconds: float
    attempt: int


@dataclass(frozen=True, slots=True)
class Effect:
    """What has become of a User or Group that a request was about, or changed.

    :param name: Its name now; ``None``: it is gone.
    :param now: How it stands now, in one sentence.
    :param entries: What the audit chain has of it that this request caused, the oldest first.
    """

    kind: str
    name: str | None
    id: str
    now: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """One request, from what was asked to how it stands now.

    :param sentence: What was asked and answered, in one sentence.
    :param calls: The calls that it caused, also those that the driver made later.
    """

    request: Request
    sentence: str
    calls: tuple[Call, ...]
    effects: tuple[Effect, ...]


def requests(
    tx: Transaction, connection_id: str, chosen: Chosen, after: Position | None, *, limit: int | None = None
) -> Page[Request]:
    """Return a page of requests, the newest first; what was written together may be in the order of the writing.

    :param chosen: Which; its ``target`` may be a userName or displayName, too.
    """
    limit = limit or PAGE
    before = None if after is None else (int(after[0]), int(after[1]))
    found = request_log.newest(tx, connection_id, _with_id(tx, connection_id, chosen), before=before, limit=limit)
    items = _told(tx, connection_id, sorted(found, key=lambda one: one.at, reverse=True))
    return Page(items, found[-1].place if len(found) == limit else None)


def about(tx: Transaction, connection_id: str, resource_id: str) -> tuple[Request, ...]:
    """Return the last requests that asked about a User or Group, or changed it, the newest first."""
    return requests(tx, connection_id, Chosen(target=resource_id), None, limit=ABOUT).items


def trace(tx: Transaction, request_id: str, *, connection_id: str | None = None) -> tuple[Trace, ...]:
    """Return what came of the requests with an id: one, unless clients chose the same id twice; the newest first.

    :param connection_id: Only what was asked of this connection.
    """
    found = request_log.of_id(tx, request_id)
    return tuple(_traced(tx, one) for one in found if connection_id in (None, one.connection_id))


def _with_id(tx: Transaction, connection_id: str, chosen: Chosen) -> Chosen:
    """Return the choice with the id of what may be named."""
    if chosen.target is None:
        return chosen
    kinds: tuple[Kind, ...] = ("User", "Group")
    named = (resources.find_by_name(tx, connection_id, kind, chosen.target) for kind in kinds)
    row = next((one for one in named if one is not None), None)
    return chosen if row is None else replace(chosen, target=row.id)


def _told(tx: Transaction, connection_id: str, found: Sequence[KeptRequest]) -> tuple[Request, ...]:
    paths = request_log.paths_of(tx, connection_id, [one.id for one in found if one.method != "GET"])
    names: dict[str, str] = {}
    for kind in ("User", "Group"):
        ids = sorted({one.target for one in found if one.target is not None and one.kind == kind})
        names |= {row.id: row.name for row in resources.get_many(tx, connection_id, kind, ids, deleted=True)}
    labels = {record.lookup_id: record.label for record in tokens.list_tokens(tx)} if found else {}
    return tuple(_request(one, paths.get(one.id, ()), names, labels) for one in found)


def _request(one: KeptRequest, paths: tuple[str, ...], names: Mapping[str, str], labels: Mapping[str, str]) -> Request:
    told = one.told
    operations = told.get("operations")
    bulk = None if operations is None else f"{operations[1]} of {operations[0]} operations failed"
    return Request(
        one.connection_id,
        one.at,
        one.action if one.action != "unknown" else one.method,
        one.kind,
        names.get(one.target or ""),
        paths,
        tuple(told.get("filter", ())),
        tuple(told.get("quirks", ())),
        one.status,
        told.get("reason") or (bulk if operations is not None and operations[1] else None),
        told.get("scimType"),
        _by(one, labels),
        round(one.seconds * 1000, 1),
        one.method,
        one.target,
        one.token,
        told.get("trace"),
        one.id,
    )


def _by(one: KeptRequest, labels: Mapping[str, str]) -> str:
    """Tell whose token it was; one that was refused is named too."""
    what = str(one.told.get("refused", "token"))
    if one.token is None:
        return what if what != "token" else "nobody"
    label = labels.get(one.token)
    return f"{what} {one.token} ({label})" if label else f"{what} {one.token}"


def _traced(tx: Transaction, kept: KeptRequest) -> Trace:
    (asked,) = _told(tx, kept.connection_id, [kept])
    entries: dict[tuple[str, str], list[Entry]] = {}
    if kept.kind is not None and kept.target is not None:
        entries[kept.kind, kept.target] = []
    for one in audit.of_request(tx, kept.connection_id, kept.id):
        if "id" in one.event:
            entries.setdefault((str(one.event.get("kind")), str(one.event["id"])), []).append(entry(one))
    effects = tuple(_effect(tx, kept.connection_id, *about, those) for about, those in entries.items())
    return Trace(asked, _sentence(asked), tuple(_call(one) for one in request_log.calls_of(tx, kept.id)), effects)


def _effect(tx: Transaction, connection_id: str, kind: str, id_: str, entries: list[Entry]) -> Effect:
    if kind == "User":
        one = person(tx, connection_id, id_, history=1)
        if isinstance(one, Person):
            return Effect(kind, one.name, id_, one.sentence, tuple(entries))
        return Effect(kind, None, id_, "is deleted" if isinstance(one, Gone) else "was never here", tuple(entries))
    row = resources.get(tx, connection_id, "Group", id_, deleted=True)
    if row is None:
        gone = trail(tx, connection_id, id_, limit=1)
        return Effect(kind, None, id_, "is deleted" if gone else "was never here", tuple(entries))
    under_way = work(tx, row, observes=False)
    now = "is as it is wanted" if row.state == "settled" else f"is {row.state}: {under_way.wanted}; {under_way.why}"
    return Effect(kind, row.name, id_, now, tuple(entries))


def _sentence(one: Request) -> str:
    """Tell what was asked and answered."""
    about = f"{one.kind or ''} {one.about}".strip() if one.name or one.target else one.about
    asked = ASKED.get(one.action, f"{one.action} {{}}").format(about or "something")
    told = [f"{one.by} asked to {asked}" if one.action != "search" else f"{one.by} {asked}"]
    if one.filter:
        told.append(f"by {', '.join(one.filter)}")
    if one.paths:
        told.append(f"which changed {', '.join(one.paths)}")
    if one.quirks:
        told.append(f"in a form of its own ({', '.join(one.quirks)})")
    ended = f"It was answered {one.status} after {one.milliseconds:g} ms"
    return f"{' '.join(told)}. {ended}{'' if one.reason is None else ': ' + one.reason}."


def _call(one: KeptCall) -> Call:
    return Call(one.at, one.method, one.route, one.outcome, round(one.seconds * 1000, 1), one.attempt)
