"""``scim-bridge token``: the bearer tokens that clients present."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from scim_bridge.cli.tables import as_json, show
from scim_bridge.config import Settings, load_settings
from scim_bridge.desk import Desk
from scim_bridge.errors import UnknownConnectionError
from scim_bridge.store.engine import Store
from scim_bridge.views.faces import TOKENS
from scim_bridge.views.tokens import tokens

T = TypeVar("T")

DEFAULT_DAYS = 180


@click.group()
def token() -> None:
    """Create, list and revoke the tokens of a connection."""


@token.command()
@click.argument("connection")
@click.option("--days", default=DEFAULT_DAYS, show_default=True, type=click.IntRange(1, 3650), help="Lifetime.")
@click.option("--name", default="", help="What it is for; shown in the list.")
@click.pass_obj
def create(path: Path | None, connection: str, days: int, name: str) -> None:
    """Create a token for CONNECTION and show it, once."""
    settings = load_settings(path, connectors=())
    require_connection(settings, connection)
    clear = asyncio.run(_at_desk(settings, lambda desk: desk.create_token(connection, days=days, name=name)))
    click.echo(clear)
    click.echo(f"Shown once; valid for {days} days. Clients send it as: Authorization: Bearer <token>", err=True)


@token.command("list")
@click.argument("connection", required=False)
@as_json
@click.pass_obj
def list_(path: Path | None, connection: str | None, *, as_json: bool) -> None:
    """List the tokens, without their secrets."""
    settings = load_settings(path, connectors=())
    if connection is not None:
        require_connection(settings, connection)
    now = datetime.now(UTC)
    page = asyncio.run(_at_desk(settings, lambda desk: desk.ask(partial(tokens, connection_id=connection, now=now))))
    show("Tokens", TOKENS, map(asdict, page.items), as_json=as_json)


@token.command()
@click.argument("lookup_id")
@click.pass_obj
def revoke(path: Path | None, lookup_id: str) -> None:
    """Revoke the token with this id (see `token list`), at once."""
    if not asyncio.run(_at_desk(load_settings(path, connectors=()), lambda desk: desk.revoke_token(lookup_id))):
        raise click.ClickException(f"no token {lookup_id}; see: scim-bridge token list")
    click.echo(f"revoked {lookup_id}")


def require_connection(settings: Settings, connection: str) -> None:
    """Refuse an unknown connection. :raises UnknownConnectionError: naming those that are configured."""
    if connection not in settings.connections:
        configured = ", ".join(sorted(settings.connections)) or "none"
        raise UnknownConnectionError(f'unknown connection "{connection}"; configured: {configured}')


async def _at_desk(settings: Settings, deed: Callable[[Desk], Awaitable[T]]) -> T:
    store = await Store.open(settings.store.url, exclusive=False)
    try:
        return await deed(Desk(store))
    finally:
        await store.close()
