"""The pages that are lists: what each asks, by which columns it is told, and by which fields it is narrowed."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, Protocol

from scim_bridge.desk import Desk
from scim_bridge.store.rows import State
from scim_bridge.store.transaction import Transaction
from scim_bridge.views import Page, Position, audit, departures, drift, people, requests, work
from scim_bridge.views import tokens as held_tokens
from scim_bridge.views.faces import (
    AUDIT,
    DEPARTURES,
    DRIFT,
    GROUPS,
    HELD,
    PENDING,
    PEOPLE,
    REQUESTS,
    TOKENS,
    cells,
    lines,
    names,
    plain,
)

CHUNK = 500
"""How many rows a file is read by."""

LOOKS = 20
"""How many questions are asked at most for one page that a filter makes short."""

Asked = Mapping[str, Any]
"""What a page is asked for, by name of field."""


class Query(Protocol):
    """A question whose answer comes in pages."""

    def __call__(self, tx: Transaction, connection_id: str, after: Position | None, *, limit: int) -> Page[Any]:
        """Return a page."""


@dataclass(frozen=True, slots=True)
class Field:
    """What a list is narrowed by.

    :param choices: The label of each value; without any it is a text.
    """

    name: str
    label: str
    choices: Mapping[str, str] | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list.

    :param path: Its segment under ``/console``.
    :param lead: What it tells, in a sentence.
    :param kind: The dataclass of its rows.
    :param columns: The heading of each column by the field of the rows.
    :param question: Makes the query from what is asked, the time, and the connections there are.
    :param rows: How many a page has.
    """

    path: str
    title: str
    lead: str
    kind: type[Any]
    columns: Mapping[str, str]
    question: Callable[[Asked, datetime, Sequence[str]], Query]
    fields: tuple[Field, ...] = ()
    rows: int = 50


def _people(asked: Asked, now: datetime, connections: Sequence[str]) -> Query:
    del now, connections
    parts = [f"({asked['filter']})"] if asked.get("filter") else []
    if text := asked.get("find"):
        parts.append(f"(userName co {json.dumps(text)} or displayName co {json.dumps(text)})")
    chosen = people.Chosen(
        " and ".join(parts) or None,
        State(asked["state"]) if asked.get("state") else None,
        {"yes": True, "no": False}.get(asked.get("managed", "")),
        asked.get("group") or None,
        bool(asked.get("access")),
    )

    def query(tx: Transaction, connection_id: str, after: Position | None, *, limit: int) -> Page[Any]:
        return people.people(tx, connection_id, chosen, after, limit=limit)

    return query


def _work(asked: Asked, now: datetime, connections: Sequence[str]) -> Query:
    del now, connections
    states = (State(asked["state"]),) if asked.get("state") else (State.PENDING, State.HELD, State.BLOCKED)
    return partial(work.pending, states=states)


def _held(asked: Asked, now: datetime, connections: Sequence[str]) -> Query:
    del asked, now, connections
    return partial(work.pending, states=(State.HELD,))


def _groups(asked: Asked, now: datetime, connections: Sequence[str]) -> Query:
    del asked, now, connections
    return people.groups


def _drift(asked: Asked, now: datetime, connections: Sequence[str]) -> Query:
    del asked, now, connections

    def query(tx: Transaction, connection_id: str, after: Position | None, *, limit: int) -> Page[Any]:
        last = drift.last_run(tx, connection_id)
        return _slice(() if last is None else last.found, after, limit)

    return query


def _departures(asked: Asked, now: datetime, connections: Sequence[str]) -> Query:
    who = asked.get("who") or None
    since = now - timedelta(days=int(asked.get("days") or DAYS) if who is None else ALL_DAYS)

    def query(tx: Transaction, connection_id: str, after: Position | None, *, limit: int) -> Page[Any]:
        others = [one for one in connections if one != connection_id]
        found = departures.departures(tx, connection_id, since=since, others=others, who=who)
        if asked.get("open"):
            found = [one for one in found if departures.is_open(one)]
        return _slice(found, after, limit)

    return query


def _tokens(asked: Asked, now: datetime, connections: Sequence[str]) -> Query:
    del asked, connections

    def query(tx: Transaction, connection_id: str, after: Position | None, *, limit: int) -> Page[Any]:
        return _slice(held_tokens.tokens(tx, connection_id, now=now).items, after, limit)

    return query


def _audit(asked: Asked, now: datetime, connections: Sequence[str]) -> Query:
    del now, connections
    return partial(audit.entries, about=asked.get("about") or None)


def _requests(asked: Asked, now: datetime, connections: Sequence[str]) -> Query:
    del now, connections
    which = asked.get("which") or ""
    chosen = requests.Chosen(target=asked.get("who") or None, failed=which == "failed", writes=which == "writes")

    def query(tx: Transaction, connection_id: str, after: Position | None, *, limit: int) -> Page[Any]:
        return requests.requests(tx, connection_id, chosen, after, limit=limit)

    return query


def _slice(found: Sequence[Any], after: Position | None, limit: int) -> Page[Any]:
    """Return a page of an answer that does not come in pages."""
    begin = 0 if after is None else int(after[0])
    end = begin + limit
    return Page(tuple(found[begin:end]), (end,) if end < len(found) else None)


DAYS = 30
ALL_DAYS = 3650
"""How far is looked back for somebody of whom only the name is known."""

_STATE = Field("state", "State", {"": "any", **{one.value: one.value for one in State}})
_UNSETTLED = Field(
    "state", "State", {"": "any", "pending": "pending", "held": "held", "blocked": "blocked: refused there"}
)

LISTINGS: dict[str, Listing] = {
    one.path: one
    for one in (
        Listing(
            "people",
            "People",
            "Who has access, with what, and who manages them. Wanted: what clients said; there: what was last seen.",
            people.PersonRow,
            PEOPLE,
            _people,
            (
                Field("find", "Name", hint="a part of the user name or display name"),
                Field("group", "In group", hint="the whole name of a group"),
                _STATE,
                Field("managed", "Managed", {"": "any", "yes": "by a client", "no": "by no client"}),
                Field("access", "Access", {"": "any", "yes": "let in now, as far as is known"}),
                Field("filter", "SCIM filter", hint='as in: title eq "Engineer"'),
            ),
        ),
        Listing(
            "departures",
            "Departures",
            "Who was to lose access: when it was asked, let through, confirmed, how that is known, what is not ended.",
            departures.Departure,
            DEPARTURES,
            _departures,
            (
                Field("days", "Looking back", {"30": "30 days", "7": "7 days", "90": "90 days", "365": "a year"}),
                Field("open", "Which", {"": "all", "yes": "not ended, or not all of it"}),
                Field("who", "User name", hint="the whole one, also of somebody whose name is not kept any more"),
            ),
        ),
        Listing(
            "work",
            "Work",
            "What is not settled, removals first: since when, why, and when it is tried next.",
            work.Work,
            PENDING,
            _work,
            (_UNSETTLED,),
        ),
        Listing(
            "held",
            "Held",
            "What the mass-change guard holds for you. Without a decision it is let through when its time is over.",
            work.Work,
            HELD,
            _held,
            rows=500,  # a push stays in one piece
        ),
        Listing(
            "groups",
            "Groups",
            "Which groups there are, what they stand for, and how many are in them. What is not there grants nothing.",
            people.GroupRow,
            GROUPS,
            _groups,
        ),
        Listing(
            "drift",
            "Drift",
            "What the last comparison found in the remote system that nobody had asked for, and since when.",
            drift.DriftRow,
            DRIFT,
            _drift,
        ),
        Listing(
            "requests",
            "Requests",
            "What clients asked, the newest first, how it was answered, why not. Neither bodies nor values are kept.",
            requests.Request,
            REQUESTS,
            _requests,
            (
                Field("who", "About", hint="the name or id of a person or group"),
                Field("which", "Which", {"": "all", "writes": "without reads that went well", "failed": "failed"}),
            ),
        ),
        Listing(
            "audit",
            "Audit",
            "What was asked, decided and done, the last first; each entry is hashed with the one before it.",
            audit.AuditRow,
            AUDIT,
            _audit,
            (Field("about", "About", hint="the id of a person or group: its last entries"),),
        ),
        Listing("tokens", "Tokens", "What clients come with, and until when.", held_tokens.TokenRow, TOKENS, _tokens),
    )
}


async def page(
    desk: Desk, query: Query, connections: Sequence[str], after: Position | None, *, limit: int
) -> Page[Any]:
    """Return a page of the answers of several connections, one connection after the other.

    :param after: The connection's number, then where its page ended.
    """
    number, within = (0, None) if after is None else (int(after[0]), after[1:] or None)
    items: list[Any] = []
    for _ in range(LOOKS):
        if number >= len(connections):
            return Page(tuple(items))
        ask = partial(query, connection_id=connections[number], after=within, limit=limit - len(items))
        found = await desk.ask(ask)
        items += found.items
        number, within = (number, found.next) if found.next is not None else (number + 1, None)
        if len(items) >= limit:
            break
    is_last = number >= len(connections)
    return Page(tuple(items), None if is_last else (number, *(within or ())))


async def file(
    desk: Desk, listing: Listing, query: Query, connections: Sequence[str], face: Literal["json", "csv"]
) -> AsyncIterator[str]:
    """Yield all of an answer as a file, as the command line writes it; its JSON is one array."""
    yield lines([names(listing.kind)]) if face == "csv" else "["
    after: Position | None = None
    parted = "\n"
    while True:
        found = await page(desk, query, connections, after, limit=CHUNK)
        for item in found.items:
            if face == "csv":
                yield lines([cells(item)])
            else:
                yield parted + json.dumps(asdict(item), default=plain)
                parted = ",\n"
        after = found.next
        if after is None:
            break
    if face == "json":
        yield "\n]\n"
