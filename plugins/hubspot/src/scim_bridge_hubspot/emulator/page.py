"""A page for people: who is in the portal, what the bridge just did, and a form that breaks things.

Everything is rendered here and escaped; nothing is loaded from elsewhere and no script runs. The part that refreshes
itself stands in a frame, so that it does not take away what is being typed into the forms.
"""

from collections.abc import Iterable
from dataclasses import fields
from html import escape
from typing import get_args
from urllib.parse import parse_qsl

from .engine import Engine
from .faults import Fault, FaultKind
from .wire import Answer, Request

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
}

STYLE = """
:root{color-scheme:light dark;font:14px/1.45 system-ui,sans-serif}
body{margin:0;display:flex;flex-direction:column;height:100vh}
header{padding:.6rem 1rem;border-bottom:1px solid #8886;display:flex;gap:1.2rem;flex-wrap:wrap;align-items:center}
h1{font-size:1.1rem;margin:0}h2{font-size:1rem;margin:1.2rem 0 .3rem}
iframe{border:0;flex:1;width:100%}main{padding:0 1rem 1rem}
form{display:flex;gap:.4rem;align-items:center;flex-wrap:wrap}input,select,button{font:inherit}
input[type=number]{width:5.5rem}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.18rem .6rem .18rem 0;border-bottom:1px solid #8883;vertical-align:top}
th{font-weight:600;opacity:.7}.off{opacity:.55;text-decoration:line-through}.bad{color:#c33}.ok{color:#284}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:0 2rem}
code{font-size:.92em;word-break:break-all}details{margin-top:1rem}
"""

ACTIONS = ("deactivate", "reactivate", "remove", "activate")


def answer(engine: Engine, request: Request) -> Answer | None:
    """Answer a request for the page or from its forms; ``None`` when it is for something else."""
    if request.path == "/" and request.method == "GET":
        return html(frame(engine))
    if request.path == "/page/state" and request.method == "GET":
        return html(state(engine), refresh='<meta http-equiv="refresh" content="2">')
    if request.path.startswith("/page/") and request.method == "POST":
        return submit(engine, request)
    return None


def submit(engine: Engine, request: Request) -> Answer:
    """Do what a form says and show the page again."""
    form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
    try:
        if request.path == "/page/clear":
            engine.faults.clear()
        elif request.path == "/page/fault":
            engine.faults.add(fault_of(form))
        elif form.get("action") in ACTIONS:
            getattr(engine, f"ui_{form['action']}")(form.get("email", ""))
    except (ValueError, KeyError) as error:
        return html(f"<main><h1>That did not work</h1><p>{escape(str(error))}</p><a href='/'>Back</a></main>", 400)
    return Answer(303, None, {"Location": "/"})


def fault_of(form: dict[str, str]) -> Fault:
    """Return the fault that a form describes; empty fields keep the fault's own default."""
    numbers = {"nth": int, "times": int, "status": int, "seconds": float, "delay": float, "retry_after": float}
    known = {field.name for field in fields(Fault)}
    values = {name: numbers.get(name, str)(text) for name, text in form.items() if name in known and text}
    if "seconds" in values and "times" not in values:
        values["times"] = None
    return Fault.from_mapping(values)


def frame(engine: Engine) -> str:
    """Return the outer page: the forms, which stay, and the state, which refreshes itself."""
    kinds = "".join(f"<option>{kind}</option>" for kind in get_args(FaultKind))
    methods = "".join(f"<option>{method}</option>" for method in ("GET", "POST", "PUT", "PATCH", "DELETE"))
    actions = "".join(f"<option>{action}</option>" for action in ACTIONS)
    people = "".join(f'<option value="{escape(person.email)}">' for person in engine.members)
    return f"""<header><h1>HubSpot emulator <small>({escape(engine.profile.name)})</small></h1>
<form method="post" action="/page/fault"><b>Fault</b><select name="kind" aria-label="kind">{kinds}</select>
<select name="method" aria-label="method"><option value="">any method</option>{methods}</select>
<input name="path" placeholder="path (regular expression)">
<input type="number" name="nth" min="1" placeholder="nth"><input type="number" name="times" min="1" placeholder="times">
<input type="number" name="seconds" min="1" placeholder="seconds">
<input type="number" name="status" min="400" max="599" placeholder="status">
<input type="number" name="delay" min="0" step="any" placeholder="delay"><button>Add</button></form>
<form method="post" action="/page/clear"><button>Clear faults</button></form>
<form method="post" action="/page/person"><b>By hand</b><select name="action" aria-label="action">{actions}</select>
<input name="email" list="people" placeholder="e-mail" required><datalist id="people">{people}</datalist>
<button>Do it</button></form></header><iframe src="/page/state" title="state"></iframe>"""


def state(engine: Engine) -> str:
    """Return the part that refreshes itself."""
    snapshot = sorted(engine.snapshot().items())
    users = (
        (
            f'<span class="{"ok" if account.active else "off"}">{escape(email)}</span>',
            escape(f"{account.first_name} {account.last_name}"),
            escape(", ".join((*account.roles, *(["Super Admin"] if account.super_admin else [])))),
            escape(", ".join(filter(None, (account.primary_team, *account.secondary_teams)))),
            escape(", ".join(account.seats)),
        )
        for email, account in snapshot
    )
    active = sum(account.active for _, account in snapshot)
    return f"""<main><h2>People: {active} active of {len(snapshot)}</h2>
{table(("E-mail", "Name", "Permission sets", "Teams", "Seats"), users)}
<div class="grid"><section><h2>Permission sets</h2>{roles(engine)}</section>
<section><h2>Teams</h2>{teams(engine)}</section><section><h2>Seats</h2>{seats(engine)}</section>
<section><h2>Faults in force</h2>{faults(engine)}</section></div>
<h2>Calls: {engine.calls.total}</h2>{calls(engine)}
<details><summary>Switches</summary>{switches(engine)}</details></main>"""


def roles(engine: Engine) -> str:
    """Return the permission sets."""
    rows = (
        (
            escape(role.name),
            role.id,
            "billing" if role.requires_billing_write else "",
            "Super Admin" if role.super_admin else "",
        )
        for role in engine.roles.values()
    )
    return table(("Name", "Id", "Needs", "Gives"), rows)


def teams(engine: Engine) -> str:
    """Return the teams with the number of their members."""
    rows = (
        (escape(team.name), team.id, *(str(len(members)) for members in engine.team_members(team)))
        for team in engine.teams.values()
    )
    return table(("Name", "Id", "Primary", "Secondary"), rows)


def seats(engine: Engine) -> str:
    """Return the kinds of seats."""
    rows = ((escape(pool.name), limit(pool.total), limit(engine.remaining(pool))) for pool in engine.seats.values())
    return table(("Name", "Bought", "Left"), rows)


def limit(number: int | None) -> str:
    """Return a number of seats."""
    return "no limit" if number is None else str(number)


def faults(engine: Engine) -> str:
    """Return the faults in force and how often each kind struck."""
    rows = (
        (
            rule.fault.kind,
            escape(f"{rule.fault.method or 'any'} {rule.fault.path or '/'}"),
            f"{rule.fired} of {rule.fault.times or '∞'}",
        )
        for rule in engine.faults.rules
    )
    struck = ", ".join(f"{kind} {count}" for kind, count in engine.faults.fired.items())
    return table(("Kind", "Calls", "Struck"), rows) + f"<p>Struck so far: {struck or 'none'}</p>"


def calls(engine: Engine) -> str:
    """Return the newest calls, newest first."""
    rows = (
        (
            str(call.number),
            call.method,
            f"<code>{escape(call.path)}{escape('?' + call.query if call.query else '')}</code>",
            f'<span class="{"ok" if call.status and call.status < 400 else "bad"}">{call.status or "cut off"}</span>',
            "yes" if call.committed else "",
            escape(call.fault),
            f"<code>{escape(call.body[:160])}</code>",
        )
        for call in list(engine.calls)[:-41:-1]
    )
    return table(("#", "Method", "Path", "Answer", "Changed", "Fault", "Body"), rows)


def switches(engine: Engine) -> str:
    """Return the readings in force."""
    choices = engine.switches.choices()
    rows = (
        (name, f"<b>{escape(str(value))}</b>", escape(", ".join(map(str, choices[name]))))
        for name, value in engine.switches.as_mapping().items()
    )
    return table(("Switch", "Reading", "All readings"), rows)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of cells that are HTML already."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def html(body: str, status: int = 200, refresh: str = "") -> Answer:
    """Return a page. :param refresh: An element that lets it load again by itself."""
    document = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{refresh}<title>HubSpot emulator</title>'
        f"<style>{STYLE}</style></head><body>{body}</body></html>"
    )
    return Answer(status, document.encode(), HEADERS, "text/html; charset=utf-8")
