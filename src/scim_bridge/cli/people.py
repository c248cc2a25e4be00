"""``scim-bridge people`` and ``scim-bridge groups``: who has access, with what, and which groups there are."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from scim_bridge.cli.looking import Looking
from scim_bridge.cli.tables import Face, faces
from scim_bridge.views.faces import GROUPS, PEOPLE

if TYPE_CHECKING:
    from scim_bridge.store.transaction import Transaction
    from scim_bridge.views import Page, Position
    from scim_bridge.views.people import PersonRow

STATES = ("settled", "pending", "held", "blocked")


@click.command()
@click.argument("connection", required=False)
@click.option("--filter", "filter_", metavar="FILTER", help="""A SCIM filter, as in: 'userName sw "a"'.""")
@click.option("--group", metavar="NAME", help="Only those in this group, or about to be.")
@click.option("--access", is_flag=True, help="Only those whom the remote system lets in now, as far as is known.")
@click.option("--managed/--unmanaged", default=None, help="Only those whom a client manages, or whom none does.")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@faces
@click.pass_obj
def people(
    path: Path | None,
    connection: str | None,
    *,
    filter_: str | None,
    group: str | None,
    access: bool,
    managed: bool | None,
    state: str | None,
    face: Face,
) -> None:
    """List the people of CONNECTION, or of each: what is wanted of them, what is there, and their groups.

    WANTED is what the clients said; THERE what the remote system was last seen to hold.
    """
    from scim2_models import SCIMException

    from scim_bridge.store.rows import State
    from scim_bridge.views import Page
    from scim_bridge.views import people as views

    looking = Looking(path, connection)
    chosen = views.Chosen(filter_, None if state is None else State(state), managed, group, access)

    lacking: list[str] = []

    def query(tx: "Transaction", connection_id: str, after: "Position | None") -> "Page[PersonRow]":
        try:
            return views.people(tx, connection_id, chosen, after)
        except LookupError as error:
            lacking.append(str(error))
            return Page(())

    try:
        looking.pour(query, looking.answer(views.PersonRow, f"People of {looking.scope}", PEOPLE, face))
    except SCIMException as error:
        raise click.UsageError(f"--filter: {error.detail}") from None
    if len(lacking) == len(looking.connections):
        raise click.ClickException("; ".join(lacking))


@click.command()
@click.argument("connection", required=False)
@faces
@click.pass_obj
def groups(path: Path | None, connection: str | None, *, face: Face) -> None:
    """List the groups of CONNECTION, or of each: what they stand for in the remote system, and how many are in them.

    A group that is not THERE grants nothing; REFUSED tells why. Who is in it: scim-bridge people --group NAME.
    """
    from scim_bridge.views import people as views

    looking = Looking(path, connection)
    looking.pour(views.groups, looking.answer(views.GroupRow, f"Groups of {looking.scope}", GROUPS, face))
