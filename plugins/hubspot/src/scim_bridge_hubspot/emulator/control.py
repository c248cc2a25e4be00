"""The control API below ``/emulator``: what tests and demonstrations in other processes look at and change.

=======  ================================  ==========================================================================
method   path                              meaning
=======  ================================  ==========================================================================
GET      ``/emulator/snapshot``            what every member has, by address
GET      ``/emulator/calls``               the log; ``since=N`` leaves out the calls up to that number
DELETE   ``/emulator/calls``               forget the log
GET      ``/emulator/stats``               counts of calls by status, of committed writes, of faults by kind
GET      ``/emulator/faults``              the faults in force
POST     ``/emulator/faults``              add one: the fields of :class:`~.faults.Fault`
POST     ``/emulator/faults/outage``       ``{"seconds": …}`` or ``{"calls": …}``
POST     ``/emulator/faults/gone``         ``{"path": …}``: routes that are gone, for ``seconds`` if told
POST     ``/emulator/faults/random``       ``{"rate": …, "kinds": […], "seed": …}``
DELETE   ``/emulator/faults[/{id}]``       drop all, or one
GET      ``/emulator/switches``            the readings in force
POST     ``/emulator/ui/{action}``         what people do in HubSpot's pages: the arguments of ``Portal.ui_*``/``add_*``
=======  ================================  ==========================================================================
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any

from .engine import Engine
from .faults import Fault
from .wire import Answer, RefusalError, Request, json_object

PREFIX = "/emulator"

Handler = Callable[[Engine, Request, str], object]
"""Takes what the path says after the fixed part; returns what is written as JSON."""


def answer(engine: Engine, request: Request) -> Answer | None:
    """Answer a request to the control API; ``None`` when it is for HubSpot."""
    if not request.path.startswith(f"{PREFIX}/"):
        return None
    path = request.path.removeprefix(PREFIX)
    for method, pattern, handler in HANDLERS:
        match = re.fullmatch(pattern, path)
        if match and method == request.method:
            try:
                return Answer(200, handler(engine, request, match["rest"]))
            except RefusalError as refusal:
                return Answer(400, {"error": refusal.message})
            except (ValueError, TypeError, KeyError) as error:
                return Answer(400, {"error": f"{type(error).__name__}: {error}"})
    return Answer(404, {"error": f"no {request.method} {request.path}"})


def snapshot(engine: Engine, _request: Request, _rest: str) -> object:
    """Return what every member has, with the Settings id."""
    return {email: {"id": engine.member(email).id, **account._asdict()} for email, account in engine.snapshot().items()}


def calls(engine: Engine, request: Request, _rest: str) -> object:
    """Return the calls after a number."""
    since = int(request.query.get("since", "0"))
    return {"total": engine.calls.total, "calls": [asdict(call) for call in engine.calls if call.number > since]}


def forget_calls(engine: Engine, _request: Request, _rest: str) -> object:
    """Empty the log."""
    engine.calls.clear()
    return {}


def stats(engine: Engine, _request: Request, _rest: str) -> object:
    """Return the counts of what the log still holds, and of the faults."""
    held = list(engine.calls)
    return {
        "calls": engine.calls.total,
        "members": len(engine.members),
        "by_status": Counter(str(call.status or "none") for call in held),
        "by_operation": Counter(f"{call.method} {call.template}" for call in held),
        "committed": sum(call.committed for call in held),
        "faults": engine.faults.fired,
        "used_today": engine.limits.used_today,
    }


def list_faults(engine: Engine, _request: Request, _rest: str) -> object:
    """Return the faults in force and the counts of all."""
    return {"faults": engine.faults.as_list(), "fired": engine.faults.fired}


def add_fault(engine: Engine, request: Request, rest: str) -> object:
    """Add a fault, an outage, routes that are gone, or random faults; return the ids of the rules."""
    values = json_object(request.body)
    if rest == "/outage":
        rules = [engine.faults.outage(**values)]
    elif rest == "/gone":
        rules = [engine.faults.gone(**values)]
    elif rest == "/random":
        rules = engine.faults.random(**values)
    else:
        rules = [engine.faults.add(Fault.from_mapping(values))]
    return {"ids": [rule.id for rule in rules]}


def drop_faults(engine: Engine, _request: Request, rest: str) -> object:
    """Drop one fault or all."""
    engine.faults.clear(int(rest[1:]) if rest else None)
    return {}


def switches(engine: Engine, _request: Request, _rest: str) -> object:
    """Return the readings in force."""
    return engine.switches.as_mapping()


def act(engine: Engine, request: Request, rest: str) -> object:
    """Do what a person does in HubSpot's pages; teams are given by name."""
    arguments = json_object(request.body)
    action = ACTIONS[rest[1:]]
    by_name = {team.name: team for team in engine.teams.values()}
    for key in ("primary_team", "parent"):
        if arguments.get(key) is not None:
            arguments[key] = by_name[arguments[key]]
    if "secondary_teams" in arguments:
        arguments["secondary_teams"] = [by_name[name] for name in arguments["secondary_teams"]]
    made = action(engine, arguments)
    return asdict(made) if is_dataclass(made) and not isinstance(made, type) else {}


def assign_roles(engine: Engine, arguments: dict[str, Any]) -> None:
    """Give a member permission sets by name."""
    engine.ui_assign_roles(arguments["email"], *arguments["roles"])


ACTIONS: dict[str, Callable[[Engine, dict[str, Any]], object]] = {
    "add_person": lambda engine, arguments: engine.add_person(**arguments),
    "add_role": lambda engine, arguments: engine.add_role(**arguments),
    "add_team": lambda engine, arguments: engine.add_team(**arguments),
    "add_seat_pool": lambda engine, arguments: engine.add_seat_pool(**arguments),
    "activate": lambda engine, arguments: engine.ui_activate(**arguments),
    "deactivate": lambda engine, arguments: engine.ui_deactivate(**arguments),
    "reactivate": lambda engine, arguments: engine.ui_reactivate(**arguments),
    "remove": lambda engine, arguments: engine.ui_remove(**arguments),
    "change_email": lambda engine, arguments: engine.ui_change_email(**arguments),
    "assign_roles": assign_roles,
    "rename": lambda engine, arguments: engine.ui_rename(**arguments),
    "delete": lambda engine, arguments: engine.ui_delete(**arguments),
    "super_admin": lambda engine, arguments: engine.ui_super_admin(**arguments),
}
"""What ``/emulator/ui/{action}`` can do."""

HANDLERS: list[tuple[str, str, Handler]] = [
    ("GET", "/snapshot(?P<rest>)", snapshot),
    ("GET", "/calls(?P<rest>)", calls),
    ("DELETE", "/calls(?P<rest>)", forget_calls),
    ("GET", "/stats(?P<rest>)", stats),
    ("GET", "/faults(?P<rest>)", list_faults),
    ("POST", "/faults(?P<rest>(/outage|/gone|/random)?)", add_fault),
    ("DELETE", r"/faults(?P<rest>(/\d+)?)", drop_faults),
    ("GET", "/switches(?P<rest>)", switches),
    ("POST", f"/ui(?P<rest>/({'|'.join(ACTIONS)}))", act),
]
"""The operations of the control API."""
