"""``scim-bridge audit``: the chain of what was asked and what came of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from scim_bridge.cli.token import require_connection
from scim_bridge.config import Settings, load_settings
from scim_bridge.store.engine import Connection, Store
from scim_bridge.views import audit as views

T = TypeVar("T")


@click.group()
def audit() -> None:
    """Verify and export the audit chain of a connection."""


@audit.command()
@click.argument("connection")
@click.pass_obj
def verify(path: Path | None, connection: str) -> None:
    """Recompute every hash of the chain; exit status 1 names the first entry that does not fit."""
    settings = load_settings(path, connectors=())
    require_connection(settings, connection)
    told = asyncio.run(_ask(settings, lambda tx: views.verdict(tx, connection)))
    if told.broken is not None:
        raise click.ClickException(f"the chain of {connection} is broken at entry {told.broken}")
    click.echo(f"{connection}: {told.sequence} entries, unbroken. A cut-off end only shows against an exported head.")


@audit.command()
@click.argument("connection")
@click.option("--after", default=0, show_default=True, help="Export the entries after this sequence number.")
@click.pass_obj
def export(path: Path | None, connection: str, after: int) -> None:
    """Write the entries as one JSON object a line."""
    settings = load_settings(path, connectors=())
    require_connection(settings, connection)
    for line in asyncio.run(_ask(settings, lambda tx: list(views.lines(tx, connection, after)))):
        click.echo(line)


async def _ask(settings: Settings, question: Callable[[Connection], T]) -> T:
    store = await Store.open(settings.store.url, exclusive=False)
    try:
        return await store.scan(question)
    finally:
        await store.close()
