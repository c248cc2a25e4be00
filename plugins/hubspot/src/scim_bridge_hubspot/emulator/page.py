"""A page for people: who is in the portal, what the bridge just did, and forms that break things.

Every value is escaped by its template; nothing is loaded from elsewhere, no script runs, nothing loads itself again.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.resources import files
from typing import Any, get_args
from urllib.parse import parse_qsl

from jinja2 import Environment, PackageLoader, StrictUndefined

from .engine import Engine
from .faults import Fault, FaultKind
from .wire import Answer, Request

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
}

STATIC = {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
ACTIONS = ("deactivate", "reactivate", "remove", "activate")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
CALLS = 40
"""How many of the newest calls are shown."""


def answer(engine: Engine, request: Request) -> Answer | None:
    """Answer a request for the page or from its forms; ``None`` when it is for something else."""
    if request.path == "/" and request.method == "GET":
        return html("page", told(engine))
    name = request.path.removeprefix("/page/")
    if name in STATIC and request.method == "GET":
        return Answer(200, files(__package__).joinpath("templates", name).read_bytes(), HEADERS, STATIC[name])
    if request.path.startswith("/page/") and request.method == "POST":
        return submit(engine, request)
    return None


def submit(engine: Engine, request: Request) -> Answer:
    """Do what a form says and show the page again."""
    form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
    email = form.get("email", "")
    try:
        if request.path == "/page/clear":
            engine.faults.clear()
        elif request.path == "/page/fault":
            engine.faults.add(fault_of(form))
        elif form.get("action") in ACTIONS:
            getattr(engine, f"ui_{form['action']}")(email)
    except KeyError:
        return html("problem", {"why": f"Nobody in the portal has the e-mail address {email}."}, 400)
    except ValueError as error:
        return html("problem", {"why": str(error)}, 400)
    return Answer(303, None, {"Location": "/"})


def fault_of(form: dict[str, str]) -> Fault:
    """Return the fault that a form describes; empty fields keep the fault's own default."""
    numbers = {"nth": int, "times": int, "status": int, "seconds": float, "delay": float, "retry_after": float}
    known = {field.name for field in fields(Fault)}
    values = {name: numbers.get(name, str)(text) for name, text in form.items() if name in known and text}
    if "seconds" in values and "times" not in values:
        values["times"] = None
    return Fault.from_mapping(values)


def told(engine: Engine) -> dict[str, Any]:
    """Return what the page tells of a portal."""
    people = sorted(engine.snapshot().items())
    choices = engine.switches.choices()
    return {
        "profile": engine.profile.name,
        "people": people,
        "active": sum(account.active for _, account in people),
        "roles": list(engine.roles.values()),
        "teams": [(team, *map(len, engine.team_members(team))) for team in engine.teams.values()],
        "seats": [(pool, engine.remaining(pool)) for pool in engine.seats.values()],
        "rules": engine.faults.rules,
        "struck": dict(engine.faults.fired),
        "total": engine.calls.total,
        "calls": list(engine.calls)[: -CALLS - 1 : -1],
        "switches": [(name, value, choices[name]) for name, value in engine.switches.as_mapping().items()],
        "kinds": get_args(FaultKind),
        "methods": METHODS,
        "actions": ACTIONS,
    }


@cache
def templates() -> Environment:
    """Return the templates."""
    return Environment(loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def html(template: str, values: Mapping[str, Any], status: int = 200) -> Answer:
    """Return a page."""
    document = templates().get_template(f"{template}.html").render(values)
    return Answer(status, document.encode(), HEADERS, "text/html; charset=utf-8")
