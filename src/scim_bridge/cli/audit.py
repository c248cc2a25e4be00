"""``scim-bridge audit``: the chain of what was asked and what came of it."""

import asyncio
import json
from pathlib import Path

import click

from scim_bridge.cli.token import require_connection
from scim_bridge.config import Settings, load_settings
from scim_bridge.store import audit as chain
from scim_bridge.store.engine import Store


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
    broken, head = asyncio.run(_verify(settings, connection))
    if broken is not None:
        raise click.ClickException(f"the chain of {connection} is broken at entry {broken}")
    click.echo(f"{connection}: {head} entries, unbroken. A cut-off end only shows against an exported head.")


@audit.command()
@click.argument("connection")
@click.option("--after", default=0, show_default=True, help="Export the entries after this sequence number.")
@click.pass_obj
def export(path: Path | None, connection: str, after: int) -> None:
    """Write the entries as one JSON object a line."""
    settings = load_settings(path, connectors=())
    require_connection(settings, connection)
    for entry in asyncio.run(_export(settings, connection, after)):
        line = {"sequence": entry.sequence, "at": entry.at.isoformat(), "hash": entry.hash.hex(), "event": entry.event}
        click.echo(json.dumps(line, sort_keys=True))


async def _verify(settings: Settings, connection: str) -> tuple[int | None, int]:
    store = await Store.open(settings.store.url, exclusive=False)
    try:
        broken = await store.scan(lambda tx: chain.verify(tx, connection))
        head = await store.read(lambda tx: chain.head(tx, connection))
        return broken, head.sequence
    finally:
        await store.close()


async def _export(settings: Settings, connection: str, after: int) -> list[chain.AuditEvent]:
    store = await Store.open(settings.store.url, exclusive=False)
    try:
        return await store.scan(lambda tx: list(chain.export(tx, connection, after)))
    finally:
        await store.close()
