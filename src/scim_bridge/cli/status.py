"""``scim-bridge status``: how each connection stands, and what needs an operator."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scim_bridge.cli import NEEDED
from scim_bridge.cli.looking import Looking
from scim_bridge.cli.tables import as_json, console, print_json
from scim_bridge.views.faces import text

if TYPE_CHECKING:
    from scim_bridge.views.connections import ConnectionStatus

LINES = {
    "mode": "Mode",
    "why": "Why",
    "since": "Since",
    "people": "People",
    "groups": "Groups",
    "pending": "Pending",
    "removals": "… of them removals",
    "oldest_removal": "Oldest removal not confirmed",
    "oldest_removal_at": "… asked at",
    "held": "Held for you",
    "refused": "Refused by the remote system",
    "client_seen": "A client last came",
    "remote_answered": "The remote system last answered",
    "compared": "Last compared",
    "differ": "… differed",
    "driver": "Driven by",
    "driver_seen": "… last heard of",
}
STYLES = {"live": "green", "plans": "yellow", "observes": "yellow", "held": "bold red"}


@click.command()
@click.argument("connection", required=False)
@as_json
@click.option("--exit-status", is_flag=True, help=f"End with {NEEDED} when something needs an operator.")
@click.pass_obj
def status(path: Path | None, connection: str | None, *, as_json: bool, exit_status: bool) -> None:
    """Tell how CONNECTION, or each, stands, and what needs an operator, with the command for it. Times are UTC."""
    from scim_bridge.views import connections
    from scim_bridge.views.needs import of_disk

    looking = Looking(path, connection)
    watch, now = looking.settings.alerts.watch(), datetime.now(UTC)
    found = looking.ask(lambda tx: [connections.status(tx, one, watch, now=now) for one in looking.connections])
    for one in found:
        if as_json:
            print_json(one)
        else:
            _print(one)
    needs = [str(one) for one in of_disk(looking.settings.store.file, watch)]
    needs += [sentence for one in found for sentence in one.needs]
    if not as_json:
        click.echo("\n".join(["needs you:", *(f"  {one}" for one in needs)]) if needs else "nothing needs you")
    raise SystemExit(NEEDED if exit_status and needs else 0)


def _print(one: "ConnectionStatus") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=one.connection, title_justify="left", box=None, show_header=False)
    for name, heading in LINES.items():
        value = getattr(one, name)
        if value is not None:
            table.add_row(heading, Text(text(value), style=STYLES.get(str(value), "")))
    console().print(table)
    click.echo()
