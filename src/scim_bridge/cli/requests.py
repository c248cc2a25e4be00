"""``scim-bridge requests`` and ``scim-bridge trace``: what clients asked, and what came of one request."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scim_bridge.cli.looking import Looking
from scim_bridge.cli.tables import Face, as_json, faces, show
from scim_bridge.views.faces import CALLS, HISTORY, REQUESTS, plain

if TYPE_CHECKING:  # loaded by whoever looks, not by whoever asks for help
    from scim_bridge.views.requests import Effect, Trace

ENTRIES = {name: heading for name, heading in HISTORY.items() if name != "request"}
STYLES = {str(status): "red" for status in range(400, 600)} | {"429": "yellow"}
LATEST = 50
SINCE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.command()
@click.argument("connection", required=False)
@click.option("--latest", default=LATEST, show_default=True, type=click.IntRange(1), help="So many at most.")
@click.option("--since", type=SINCE, help="From then on (UTC).")
@click.option("--who", metavar="NAME|ID", help="Only those about this person or group, or that changed it.")
@click.option("--status", type=click.IntRange(100, 599), help="Only those that were answered so.")
@click.option("--failed", is_flag=True, help="Only those that were answered with an error.")
@click.option("--writes", is_flag=True, help="Leave out the reads that went well.")
@click.option("--token", metavar="ID", help="Only those with this token, also once it had expired.")
@faces
@click.pass_obj
def requests(
    path: Path | None,
    connection: str | None,
    *,
    latest: int,
    since: datetime | None,
    who: str | None,
    status: int | None,
    failed: bool,
    writes: bool,
    token: str | None,
    face: Face,
) -> None:
    """List what clients asked of CONNECTION, or of each: the newest first, how it was answered, and why not.

    Neither bodies nor values are kept. What came of one: scim-bridge trace REQUEST.
    """
    from scim_bridge.views import requests as views

    looking = Looking(path, connection)
    begin = None if since is None else since.replace(tzinfo=UTC)
    chosen = views.Chosen(begin, who, status, failed, writes, token)
    answer = looking.answer(views.Request, f"Requests of {looking.scope}, the newest first", REQUESTS, face, STYLES)
    for one in looking.connections:
        query = partial(views.requests, connection_id=one, chosen=chosen, after=None, limit=latest)
        answer.add(looking.ask(query).items)
    answer.end()
    if face == "table" and looking.settings.store.requests_days == 0:
        click.echo("requests are not kept: [store] requests_days = 0")


@click.command()
@click.argument("request_id", metavar="REQUEST")
@as_json
@click.pass_obj
def trace(path: Path | None, request_id: str, *, as_json: bool) -> None:
    """Tell all about one request: what was asked and answered, which calls it caused, and how it stands now.

    REQUEST is the id that the answer had as X-Request-Id, and that log lines and the audit chain have. Exit status 1:
    there is none.
    """
    from scim_bridge.views import requests as views

    looking = Looking(path, None)
    found = looking.ask(partial(views.trace, request_id=request_id))
    if not found:
        days = looking.settings.store.requests_days
        raise click.ClickException(f'no request "{request_id}" is kept; they are for {days} days')
    for one in found:
        if as_json:
            click.echo(json.dumps(asdict(one), default=plain))
        else:
            _print(one)


def _print(one: "Trace") -> None:
    asked = one.request
    click.echo(one.sentence)
    client = "" if asked.trace is None else f", trace {asked.trace}"
    click.echo(f"connection {asked.connection}, request {asked.id}{client}, {asked.at:%Y-%m-%d %H:%M:%S} UTC")
    show("Calls to the remote system", CALLS, [asdict(call) for call in one.calls], as_json=False, styles=STYLES)
    for effect in one.effects:
        _print_effect(effect)


def _print_effect(one: "Effect") -> None:
    name = one.name or one.id
    click.echo(one.now if one.now.startswith(name) else f"{name} {one.now}")
    show(f"{one.kind} {name}", ENTRIES, [asdict(entry) for entry in one.entries], as_json=False)
