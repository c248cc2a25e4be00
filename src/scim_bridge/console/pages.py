"""The pages that look."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Literal

from scim2_models import SCIMException
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from scim_bridge.console import lists
from scim_bridge.console.gate import RefusedError, form_of
from scim_bridge.console.house import House
from scim_bridge.console.lists import LISTINGS, Asked, Listing
from scim_bridge.desk import SignIn
from scim_bridge.store.transaction import Transaction
from scim_bridge.views import Page, audit, connections, departures
from scim_bridge.views.connections import ConnectionStatus
from scim_bridge.views.faces import CALLS, plain
from scim_bridge.views.needs import Need, needs
from scim_bridge.views.person import Gone, Person
from scim_bridge.views.person import person as look_up
from scim_bridge.views.requests import about, trace
from scim_bridge.views.work import Work

Face = Literal["json", "csv"]
FACES: tuple[Face, ...] = ("json", "csv")
MEDIA: dict[Face, str] = {"json": "application/json", "csv": "text/csv; charset=utf-8"}

TEXT = 500
"""How many characters a field of a form may have."""


# -- Overview ----------------------------------------------------------------------------------------------------------


async def overview(house: House, request: Request, visitor: SignIn) -> Response:
    """Show what needs somebody, and how each connection stands."""
    del visitor

    def question(tx: Transaction) -> list[tuple[ConnectionStatus, list[Need]]]:
        now = house.desk.clock()
        return [(connections.status(tx, one, now=now), needs(tx, one, now=now)) for one in sorted(house.plans)]

    found = await house.desk.ask(question)
    asking = [(need, *_told(need)) for _, some in found for need in some if need.asks]
    return house.page("overview", request, title="Overview", connections=[one for one, _ in found], needs=asking)


PAGES: Mapping[str, tuple[str, str]] = {
    "observes": ("plan", "See the plan"),
    "credentials": ("work", "See the work"),
    "failing": ("work", "See the work"),
    "removal": ("work", "See the work"),
    "held": ("held", "Decide"),
    "drift": ("drift", "See what differs"),
    "reported": ("drift", "See what differs"),
    "token": ("tokens", "Make a token"),
}
"""Where the console has what a condition asks for: the page, and what its button says."""


def _told(need: Need) -> tuple[str, str | None, str]:
    """Return what is told of a condition, the page for it, and what the button says."""
    page, button = PAGES.get(need.condition, (None, ""))
    if page is None:
        return str(need), None, ""
    return f"{replace(need, command='')}.", page, button


async def overview_file(house: House, request: Request, visitor: SignIn) -> Response:
    """Hand over what ``scim-bridge status --json`` tells."""
    del request
    await house.desk.export(house.connections, "overview.json", by=visitor.person)
    return document([asdict(one) for one in await _standing(house)])


async def _standing(house: House) -> list[ConnectionStatus]:
    def question(tx: Transaction) -> list[ConnectionStatus]:
        return [connections.status(tx, one, now=house.desk.clock()) for one in sorted(house.connections)]

    return await house.desk.ask(question)


# -- Lists -------------------------------------------------------------------------------------------------------------


async def listed(house: House, request: Request, visitor: SignIn, *, listing: Listing) -> Response:
    """Show a page of a list."""
    del visitor
    asked = asked_of(house, request)
    chosen = _connections(house, asked)
    problem: str | None = None
    found: Page[Any] = Page(())
    try:
        query = listing.question(asked, house.desk.clock(), sorted(house.connections))
        found = await lists.page(house.desk, query, chosen, asked.get("after"), limit=listing.rows)
    except (SCIMException, LookupError, ValueError) as error:
        problem = getattr(error, "detail", None) or "A field has a value that it cannot have."
        if isinstance(error, LookupError):
            problem = f'There is no group of the name "{asked.get("group")}" in {", ".join(chosen)}.'
    narrowed = {name: value for name, value in asked.items() if name not in {"after", "told"}}
    extra = EXTRAS.get(listing.path)
    return house.page(
        listing.path if extra else "list",
        request,
        **({} if extra is None else await extra(house, asked, chosen, found.items)),
        title=listing.title,
        status=400 if problem else 200,
        listing=listing,
        columns=_columns(listing, chosen),
        rows=found.items,
        asked=asked,
        problem=problem,
        connections=sorted(house.connections),
        following=None if found.next is None else house.seal.close(narrowed | {"after": found.next}),
        view=house.seal.close(narrowed) if narrowed else None,
        is_first="after" not in asked,
        told=asked.get("told"),
        made=getattr(request.state, "made", None),
    )


async def narrowed(house: House, request: Request, visitor: SignIn, *, listing: Listing) -> Response:
    """Take what a list is narrowed by into its URL."""
    del visitor
    form = await form_of(request)
    known = {"connection", *(field.name for field in listing.fields)}
    asked = {name: values[0].strip()[:TEXT] for name, values in form.items() if name in known and values[0].strip()}
    where = f"/console/{listing.path}"
    return RedirectResponse(f"{where}?view={house.seal.close(asked)}" if asked else where, 303)


async def file(house: House, request: Request, visitor: SignIn, *, listing: Listing, face: Face) -> Response:
    """Hand a list over, all of it."""
    asked = asked_of(house, request)
    chosen = _connections(house, asked)
    try:
        query = listing.question(asked, house.desk.clock(), sorted(house.connections))
        await lists.page(house.desk, query, chosen, None, limit=1)  # what is wrong is told before anything is sent
    except (SCIMException, LookupError, ValueError):
        raise RefusedError(400, "A field has a value that it cannot have; see the page.") from None
    await house.desk.export(chosen, f"{listing.path}.{face}", by=visitor.person)
    text = lists.file(house.desk, listing, query, chosen, face)
    return _attachment(text, f"{listing.path}.{face}", MEDIA[face])


async def chain(house: House, request: Request, visitor: SignIn) -> Response:
    """Hand over what ``scim-bridge audit export`` prints."""
    id_ = request.path_params["connection"]
    if id_ not in house.connections:
        raise HTTPException(404)
    await house.desk.export([id_], "audit.jsonl", by=visitor.person)

    async def text() -> AsyncIterator[str]:
        def some_after(tx: Transaction, after: int) -> list[str]:
            return list(islice(audit.lines(tx, id_, after), lists.CHUNK))

        after = 0
        while some := await house.desk.ask(partial(some_after, after=after)):
            after += len(some)  # entries are numbered without gaps
            yield "".join(f"{line}\n" for line in some)

    return _attachment(text(), f"audit-{id_}.jsonl", "application/x-ndjson")


def _attachment(text: AsyncIterator[str], name: str, media: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(text, media_type=media, headers=headers)


def asked_of(house: House, request: Request) -> dict[str, Any]:
    """Return what a page is asked for."""
    sealed = request.query_params.get("view")
    if sealed is None:
        return {}
    asked = house.seal.open(sealed)
    if asked is None:
        raise RefusedError(400, "This link is of an earlier run of the bridge; choose again what you want to see.")
    return asked


def _connections(house: House, asked: Asked) -> list[str]:
    one = asked.get("connection")
    if one is None:
        return sorted(house.connections)
    if one not in house.connections:
        raise HTTPException(404)
    return [one]


def _columns(listing: Listing, chosen: list[str]) -> Mapping[str, str]:
    """Return the columns; a table of one connection does not name it in every row, and ids are on a person's page."""
    hidden = {"id"} | ({"connection"} if len(chosen) == 1 else set())
    return {name: heading for name, heading in listing.columns.items() if name not in hidden}


# -- What some lists have besides their rows ---------------------------------------------------------------------------

Extra = Callable[[House, Asked, list[str], Sequence[Any]], Awaitable[dict[str, Any]]]


async def _of_departures(house: House, asked: Asked, chosen: list[str], rows: Sequence[Any]) -> dict[str, Any]:
    """Return the summary, those whose access is not ended, and what goes on of everybody who has left."""
    del rows
    query = LISTINGS["departures"].question({**asked, "open": ""}, house.desk.clock(), sorted(house.connections))
    found = [
        one
        for connection in chosen
        for one in (await house.desk.ask(partial(query, connection_id=connection, after=None, limit=MANY))).items
    ]
    leaves = sorted({one.connection for one in found if one.unrevoked})
    on = {id_: await house.desk.ask(partial(departures.unrevoked, connection_id=id_)) for id_ in leaves}
    unended = [one for one in found if departures.is_open(one)]
    return {"summary": departures.summary(found), "unended": unended, "unrevoked": on}


@dataclass(frozen=True, slots=True)
class Push:
    """What one request, or comparison, had held."""

    connection: str
    by: str | None
    request: str | None
    items: list[Work]

    @property
    def first(self) -> Work:
        """The one that is released first."""
        return min(self.items, key=lambda one: (one.next_at is None, one.next_at or one.since))


async def _of_held(house: House, asked: Asked, chosen: list[str], rows: Sequence[Any]) -> dict[str, Any]:
    """Return what is held, push by push."""
    del house, asked, chosen
    pushes: dict[tuple[str, str], Push] = {}
    for one in rows:
        key = (one.connection, one.request or one.id)
        pushes.setdefault(key, Push(one.connection, one.by, one.request, [])).items.append(one)
    return {"pushes": list(pushes.values())}


async def _of_tokens(house: House, asked: Asked, chosen: list[str], rows: Sequence[Any]) -> dict[str, Any]:
    """Return what a new token is made with."""
    del house, asked, rows
    return {"choices": chosen, "days": DAYS}


async def _of_audit(house: House, asked: Asked, chosen: list[str], rows: Sequence[Any]) -> dict[str, Any]:
    """Return the connections whose chains can be verified."""
    del house, asked, rows
    return {"choices": chosen}


EXTRAS: dict[str, Extra] = {
    "departures": _of_departures,
    "held": _of_held,
    "tokens": _of_tokens,
    "audit": _of_audit,
}
"""The lists that have a template of their own."""

MANY = 100_000
DAYS = 180
"""For how long a token is valid unless something else is chosen."""


# -- A request ---------------------------------------------------------------------------------------------------------


async def request_told(house: House, request: Request, visitor: SignIn) -> Response:
    """Show one request, from what was asked to the calls that it caused and how it stands now."""
    del visitor
    found = await house.desk.ask(partial(trace, request_id=request.path_params["id"]))
    told = [one for one in found if one.request.connection in house.connections]
    if not told:
        raise HTTPException(404)
    return house.page("request", request, title="Request", traces=told, columns=CALLS)


# -- A person ----------------------------------------------------------------------------------------------------------


async def person(house: House, request: Request, visitor: SignIn) -> Response:
    """Show one person: the sentence first, then why."""
    del visitor
    found = await _person(house, request)
    if isinstance(found, Gone):
        return house.page("gone", request, title="Deleted", gone=found)
    return house.page("person", request, title=found.name, person=found)


async def person_file(house: House, request: Request, visitor: SignIn) -> Response:
    """Hand over what ``scim-bridge person --json`` tells."""
    found = await _person(house, request)
    await house.desk.export([found.connection], "person.json", by=visitor.person)
    pushes = await house.desk.ask(partial(about, connection_id=found.connection, resource_id=found.id))
    return document(asdict(found) | {"requests": [asdict(each) for each in pushes]})


async def _person(house: House, request: Request) -> Person | Gone:
    connection = request.path_params["connection"]
    if connection not in house.connections:
        raise HTTPException(404)
    ask = partial(look_up, connection_id=connection, who=request.path_params["id"])
    found = await house.desk.ask(ask)
    if found is None:
        raise HTTPException(404)
    return found


def document(told: Any) -> Response:
    """Return JSON."""
    return Response(json.dumps(told, default=plain), media_type=MEDIA["json"])
