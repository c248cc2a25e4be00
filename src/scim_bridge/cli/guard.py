"""``scim-bridge approve`` and ``scim-bridge reject``: what the mass-change guard holds."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from scim_bridge.app import desk_of, opened
from scim_bridge.cli.looking import Looking
from scim_bridge.cli.tables import Face, faces
from scim_bridge.cli.token import require_connection
from scim_bridge.cli.work import list_held
from scim_bridge.config import Settings, load_settings
from scim_bridge.desk import Desk
from scim_bridge.provisioning.guard import Guard
from scim_bridge.store.engine import Store


def _text(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Refuse what no database and no form of JSON can hold: bytes that are no UTF-8."""
    if value is not None and any("\ud800" <= one <= "\udfff" for one in value):
        raise click.BadParameter("not text in UTF-8")
    return value


_why = click.option("--reason", callback=_text, help="Why; it stands in the audit chain.")


@click.command()
@click.argument("connection")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Approve all that is held.")
@_why
@faces
@click.pass_obj
def approve(
    path: Path | None, connection: str, ids: tuple[str, ...], *, everything: bool, reason: str | None, face: Face
) -> None:
    """Let held changes of CONNECTION through; the running server makes them. Without IDS, as scim-bridge held."""
    if not ids and not everything:
        list_held(Looking(path, connection), face)
        return
    settings = load_settings(path, connectors=())
    require_connection(settings, connection)
    _tell("approved", ids, asyncio.run(_approve(settings, connection, None if everything else ids, reason)))


@click.command()
@click.argument("connection")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Reject all that is held.")
@_why
@faces
@click.pass_obj
def reject(
    path: Path | None, connection: str, ids: tuple[str, ...], *, everything: bool, reason: str | None, face: Face
) -> None:
    """Undo held changes of CONNECTION in the bridge. Without IDS, as scim-bridge held."""
    if not ids and not everything:
        list_held(Looking(path, connection), face)
        return
    settings = load_settings(path, connectors=(connection,))
    require_connection(settings, connection)
    _tell("rejected", ids, asyncio.run(_reject(settings, connection, None if everything else ids, reason)))


def _tell(word: str, ids: tuple[str, ...], decided: list[str]) -> None:
    """Say what was decided. :raises click.ClickException: When nothing of some id is held."""
    click.echo(f"{word}: {len(decided)}")
    if missing := sorted(set(ids).difference(decided)):
        raise click.ClickException(f"nothing is held under {', '.join(missing)}; scim-bridge held lists what is")


async def _approve(settings: Settings, connection: str, ids: tuple[str, ...] | None, reason: str | None) -> list[str]:
    """Let changes through; no connector is needed for that, and nothing is driven here."""
    store = await Store.open(settings.store.url, exclusive=False)
    try:
        guard = Guard(connection, settings.connections[connection].policy().guard, clock=partial(datetime.now, UTC))
        return await Desk(store, {connection: guard}).decide(connection, "approve", ids, by=None, reason=reason)
    finally:
        await store.close()


async def _reject(settings: Settings, connection: str, ids: tuple[str, ...] | None, reason: str | None) -> list[str]:
    """Undo changes; the connector's schemas say what a document may hold."""
    async with opened(settings, only=connection) as bridge:
        return await desk_of(bridge).decide(connection, "reject", ids, by=None, reason=reason)
