"""``scim-bridge pending`` and ``scim-bridge held``: what waits, for the remote system or for an operator."""

from functools import partial
from pathlib import Path

import click

from scim_bridge.cli.looking import Looking
from scim_bridge.cli.tables import Face, faces
from scim_bridge.views.faces import HELD, PENDING

STYLES = {"pending": "yellow", "held": "bold red", "blocked": "red"}


@click.command()
@click.argument("connection", required=False)
@faces
@click.pass_obj
def pending(path: Path | None, connection: str | None, *, face: Face) -> None:
    """List what is not settled in CONNECTION, or in each: removals first, since when, why, and when it is tried next.

    pending: it is tried again. held: it waits for you. blocked: the remote system refused it; it waits for its client.
    """
    from scim_bridge.views import work as views

    looking = Looking(path, connection)
    looking.pour(views.pending, looking.answer(views.Work, f"Not settled in {looking.scope}", PENDING, face, STYLES))


@click.command()
@click.argument("connection", required=False)
@faces
@click.pass_obj
def held(path: Path | None, connection: str | None, *, face: Face) -> None:
    """List what the mass-change guard holds in CONNECTION, or in each.

    Decide with: scim-bridge approve CONNECTION ID, or scim-bridge reject CONNECTION ID. Without a decision it is let
    through at RELEASED AT.
    """
    list_held(Looking(path, connection), face)


def list_held(looking: Looking, face: Face) -> None:
    """Print what is held."""
    from scim_bridge.store.rows import State
    from scim_bridge.views import work as views

    query = partial(views.pending, states=(State.HELD,))
    looking.pour(query, looking.answer(views.Work, f"Held changes of {looking.scope}", HELD, face))
