"""``scim-bridge audit``: the chain of what was asked and what came of it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click
from scim2_models import SCIMException

from scim_bridge.cli.token import require_connection
from scim_bridge.config import CONNECTION_ID, Settings, load_settings
from scim_bridge.protocol import strict_json
from scim_bridge.store import audit as chain
from scim_bridge.store.engine import Connection, Store
from scim_bridge.views import audit as views

T = TypeVar("T")


@click.group()
def audit() -> None:
    """Verify and export the audit chain of a connection."""


@audit.command()
@click.argument("connection", metavar="CONNECTION|FILE")
@click.pass_obj
def verify(path: Path | None, connection: str) -> None:
    """Recompute every hash of the chain; exit status 1 names the first entry that does not fit.

    Of a FILE that `audit export` wrote (its name has a dot or a slash) neither database nor configuration is needed.
    """
    if not CONNECTION_ID.fullmatch(connection):
        _verify_file(Path(connection))
        return
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


def _verify_file(file: Path) -> None:
    """Verify an exported file, and tell what its first and its last hash have to be compared with."""
    try:
        with file.open("rb") as exported:
            found = chain.verify_exported(_lines(exported))
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from None
    if isinstance(found, int):
        raise click.ClickException(f"{file} is broken at line {found}")
    before, last = found
    told = f"entries {before.sequence + 1} to {last.sequence}" if last.sequence > before.sequence else "no entries"
    click.echo(f"{file}: {told}, unbroken; the last hash is {last.hash.hex()}.")
    if before.sequence:
        click.echo(f"It goes on from entry {before.sequence}, whose hash has to be {before.hash.hex()}.")


def _lines(exported: BinaryIO) -> Iterator[Mapping[str, Any]]:
    """Yield what each line has; one that is no object, or ambiguous, is told as one that does not fit."""
    for line in exported:
        try:
            value = strict_json.decode(line.strip())
        except SCIMException:
            value = None
        yield value if isinstance(value, Mapping) else {}
