"""What is done from a page: each act is one form, and one entry of the audit chain with the person."""

from collections.abc import Mapping
from typing import Literal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from scim_bridge.console import pages, standing
from scim_bridge.console.gate import RefusedError, form_of
from scim_bridge.console.house import House
from scim_bridge.console.lists import LISTINGS
from scim_bridge.desk import Decision, SignIn
from scim_bridge.store.transaction import Transaction
from scim_bridge.views import audit

REASON = 500
"""How many characters a reason may have."""

DECISIONS: Mapping[str, Decision] = {"approve": "approve", "reject": "reject"}
WORDS: Mapping[Decision, str] = {"approve": "approved", "reject": "rejected"}


async def decide(house: House, request: Request, visitor: SignIn) -> Response:
    """Approve or reject what is chosen by name, for a reason."""
    form = await form_of(request)
    connection = _connection(house, form)
    decision = DECISIONS.get(_one(form, "decision"))
    reason, ids = _one(form, "reason"), form.get("id", [])
    if decision is None or not ids:
        raise RefusedError(400, "Choose at least one name, and approve or reject; nothing was decided.")
    if not 0 < len(reason) <= REASON:
        raise RefusedError(400, f"Give a reason, of {REASON} characters at most; nothing was decided.")
    decided = await house.desk.decide(connection, decision, ids, by=visitor.person, reason=reason)
    told = f"{WORDS[decision]} in {connection}: {len(decided)}."
    if missing := len(set(ids).difference(decided)):
        told += f" No longer held, so not decided: {missing}."
    return _back(house, "held", told)


HOLDS: Mapping[str, Literal["hold", "plan"]] = {"hold": "hold", "plan": "plan"}


async def hold(house: House, request: Request, visitor: SignIn) -> Response:
    """Have a connection send nothing, from now on."""
    form = await form_of(request)
    connection = _connection(house, form)
    reason = HOLDS.get(_one(form, "reason"))
    if reason is None:
        raise RefusedError(400, "Choose whether it plans or only observes; nothing was done.")
    await house.desk.hold(connection, reason, by=visitor.person)
    return _back(house, "plan", f"{connection} {'plans' if reason == 'plan' else 'observes'}: nothing is sent.")


async def compare(house: House, request: Request, visitor: SignIn) -> Response:
    """Compare the remote system, as go-live does first."""
    del visitor
    connection = _connection(house, await form_of(request))
    return _back(house, "plan", await house.desk.compare(connection))


async def go_live(house: House, request: Request, visitor: SignIn) -> Response:
    """Let happen what the page showed, if its numbers of removals and privileged grants are typed."""
    form = await form_of(request)
    connection = _connection(house, form)
    shown = house.seal.open(_one(form, "shown")) or {}
    if shown.get("connection") != connection:
        raise RefusedError(400, "This form is of an earlier run of the bridge; load the plan again.")
    for name, words in (("removed", "removals"), ("privileged", "privileged grants")):
        if (_one(form, name) or "0") != str(shown[name]):
            raise RefusedError(400, f"Not accepted: this plan has {shown[name]} {words}. Type that number to accept.")
    if problem := await house.desk.problem(connection):
        raise RefusedError(409, problem)

    def accepted(tx: Transaction) -> Mapping[str, int] | None:
        found = house.plans[connection](tx)
        fresh = found.compared is not None and house.desk.clock() - found.compared <= standing.FRESH
        if not fresh or found.decided != shown["decided"]:
            return None
        return {"removed": found.removed, "changed": found.changed, "created": found.created}

    ended = await house.desk.go_live(connection, accepted, by=visitor.person)
    if ended is None:
        raise RefusedError(
            409,
            "It did not go live: more or other things would be taken away or given than were shown, since clients"
            " wrote meanwhile, or the comparison is over an hour old. Look at the plan again.",
        )
    return _back(house, "plan", f"{connection} is live." if ended else f"{connection} was live already.")


async def create_token(house: House, request: Request, visitor: SignIn) -> Response:
    """Make a token and show it, this once."""
    form = await form_of(request)
    connection = _connection(house, form)
    days, name = _one(form, "days"), _one(form, "name")
    valid = days.isdecimal() and len(days) <= 4 and 1 <= int(days) <= 3650
    if not valid or len(name) > 100 or not name.isprintable():
        raise RefusedError(400, "A token is valid for 1 to 3650 days, and its name has 100 characters at most.")
    clear = await house.desk.create_token(connection, days=int(days), name=name, by=visitor.person)
    request.state.made = (connection, clear, int(days))
    return await pages.listed(house, request, visitor, listing=LISTINGS["tokens"])


async def revoke_token(house: House, request: Request, visitor: SignIn) -> Response:
    """End a token."""
    lookup_id = request.path_params["token"]
    ended = await house.desk.revoke_token(lookup_id, by=visitor.person)
    return _back(house, "tokens", f"{lookup_id} is revoked." if ended else f"{lookup_id} was not valid any more.")


async def verify(house: House, request: Request, visitor: SignIn) -> Response:
    """Recompute every hash of a chain."""
    del visitor
    connection = _connection(house, await form_of(request))
    found = await house.desk.ask(lambda tx: audit.verdict(tx, connection))
    if found.broken is not None:
        told = f"The chain of {connection} is BROKEN at entry {found.broken}."
    else:
        told = (
            f"The chain of {connection} is unbroken up to entry {found.sequence}. Keep this head elsewhere, it shows a"
            f" cut-off end: {found.head}"
        )
    return _back(house, "audit", told)


def _back(house: House, path: str, told: str) -> Response:
    """Return to a list with a sentence; to load it again does nothing again."""
    return RedirectResponse(f"/console/{path}?view={house.seal.close({'told': told})}", 303)


def _connection(house: House, form: Mapping[str, list[str]]) -> str:
    connection = _one(form, "connection")
    if connection not in house.connections:
        raise RefusedError(400, "Choose a connection; nothing was done.")
    return connection


def _one(form: Mapping[str, list[str]], name: str) -> str:
    return form.get(name, [""])[0].strip()
