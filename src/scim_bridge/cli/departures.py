"""``scim-bridge departures``: who lost access, when, how that is known, and what is left."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click

from scim_bridge.cli import NEEDED
from scim_bridge.cli.looking import Looking
from scim_bridge.cli.tables import Face, faces
from scim_bridge.views.faces import DEPARTURES

STYLES = {"confirmed": "green", "pending": "yellow", "held": "bold red", "refused": "bold red"}
DAYS = 30


@click.command()
@click.argument("connection", required=False)
@click.option("--days", type=click.IntRange(1, 3650), help=f"How far to look back; {DAYS}, or with --who 3650.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="From then on (UTC) instead.")
@click.option("--who", help="Only whoever has, or had, this userName, also after their deletion.")
@click.option("--open", "only_open", is_flag=True, help="Only those whose access is not ended, or not all of it.")
@click.option("--exit-status", is_flag=True, help=f"End with {NEEDED} when somebody's access is not ended.")
@faces
@click.pass_obj
def departures(
    path: Path | None,
    connection: str | None,
    *,
    days: int | None,
    since: datetime | None,
    who: str | None,
    only_open: bool,
    exit_status: bool,
    face: Face,
) -> None:
    """Report who was to lose access to CONNECTION, or to each: asked, let through, confirmed, and what is not ended.

    The name of somebody who was deleted is kept for [store] departures_days; then --who still finds them by it.
    """
    from scim_bridge.views import departures as views

    looking = Looking(path, connection)
    days = days or (DAYS if who is None else 3650)
    begin = datetime.now(UTC) - timedelta(days=days) if since is None else since.replace(tzinfo=UTC)
    every = sorted(looking.settings.connections)
    found = looking.ask(
        lambda tx: [
            one
            for id_ in looking.connections
            for one in views.departures(tx, id_, since=begin, others=[each for each in every if each != id_], who=who)
        ]
    )
    unended = [one for one in found if views.is_open(one)]
    title = f"Departures of {looking.scope} since {begin:%Y-%m-%d %H:%M}"
    answer = looking.answer(views.Departure, title, DEPARTURES, face, STYLES)
    answer.add(unended if only_open else found)
    answer.end()
    if face == "table":
        click.echo(views.summary(found))
        for id_ in sorted({one.connection for one in found if one.unrevoked}):
            for text in views.advice(looking.ask(partial(views.unrevoked, connection_id=id_))):
                click.echo(f"{id_} does not revoke {text}")
    raise SystemExit(NEEDED if exit_status and unended else 0)
