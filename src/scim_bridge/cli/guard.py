"""``scim-bridge approve`` and ``scim-bridge reject``: what the mass-change guard holds."""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from scim_bridge.app import opened
from scim_bridge.cli.token import require_connection
from scim_bridge.config import load_settings
from scim_bridge.provisioning.guard import Guard
from scim_bridge.store.engine import Connection
from scim_bridge.store.rows import ResourceRow

Decision = Callable[[Guard, Connection, Collection[str] | None], list[str]]


@click.command()
@click.argument("connection")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Approve all that is held.")
@click.pass_obj
def approve(path: Path | None, connection: str, ids: tuple[str, ...], *, everything: bool) -> None:
    """Let held changes of CONNECTION through; without IDS, list them."""
    _decide(path, connection, ids, "approved", Guard.approve, everything=everything)


@click.command()
@click.argument("connection")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Reject all that is held.")
@click.pass_obj
def reject(path: Path | None, connection: str, ids: tuple[str, ...], *, everything: bool) -> None:
    """Undo held changes of CONNECTION in the bridge; without IDS, list them."""
    _decide(path, connection, ids, "rejected", Guard.reject, everything=everything)


def _decide(
    path: Path | None, connection: str, ids: tuple[str, ...], word: str, decision: Decision, *, everything: bool
) -> None:
    settings = load_settings(path)
    require_connection(settings, connection)

    async def work() -> tuple[list[ResourceRow], list[str]]:
        async with opened(settings, only=connection) as bridge:
            guard = bridge.provisioning(connection).guard
            if not ids and not everything:
                return await bridge.store.read(guard.held), []
            decided = await bridge.store.write(lambda tx: decision(guard, tx, None if everything else ids))
            if bridge.drives:
                await bridge.provisioning(connection).driver.idle()
            return [], decided

    held, decided = asyncio.run(work())
    if decided or ids or everything:
        click.echo(f"{word}: {len(decided)}")
        return
    table = Table("Id", "Kind", "Wanted", "Since", "Released at", title=f"Held changes of {connection}")
    for row in held:
        wanted = "deleted" if row.deleted else "other groups" if row.active else "inactive"
        table.add_row(row.id, row.kind, wanted, f"{row.modified_at:%Y-%m-%d %H:%M}", f"{row.not_before:%Y-%m-%d %H:%M}")
    Console().print(table)
