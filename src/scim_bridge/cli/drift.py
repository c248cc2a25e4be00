"""``scim-bridge drift``: what the last comparison found."""

from pathlib import Path

import click

from scim_bridge.cli import NEEDED
from scim_bridge.cli.looking import Looking
from scim_bridge.cli.tables import Face, faces
from scim_bridge.views.faces import DRIFT, text

STYLES = {
    "extra_active": "bold red",
    "extra_privilege": "bold red",
    "missing": "yellow",
    "attribute": "yellow",
}


@click.command()
@click.argument("connection", required=False)
@click.option("--exit-status", is_flag=True, help=f"End with {NEEDED} when something differed and was only reported.")
@faces
@click.pass_obj
def drift(path: Path | None, connection: str | None, *, exit_status: bool, face: Face) -> None:
    """Tell what the last comparison of CONNECTION, or of each, found, and since when.

    Asks nobody: for what differs now, scim-bridge reconcile CONNECTION. When it was compared is told on standard error.
    """
    from scim_bridge.views import drift as views

    looking = Looking(path, connection)
    found = looking.ask(lambda tx: {one: views.last_run(tx, one) for one in looking.connections})
    answer = looking.answer(views.DriftRow, f"Drift of {looking.scope}", DRIFT, face, STYLES)
    for id_, run in found.items():
        if run is None:
            click.echo(f"{id_} was not compared yet: scim-bridge reconcile {id_}", err=True)
            continue
        summary = f"{run.compared} compared, {run.number} differ, {run.unmanaged} new and not managed by any client"
        told = "" if run.applied else "; nothing was repaired"
        click.echo(f"{id_} was compared at {text(run.at)}: {summary}{told}", err=True)
        answer.add(run.found)
    answer.end()
    reported = any(one.then == "reported" for run in found.values() if run is not None for one in run.found)
    raise SystemExit(NEEDED if exit_status and reported else 0)
