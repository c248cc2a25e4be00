"""``scim-bridge token``: the bearer tokens that clients present."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from scim_bridge.cli.tables import as_json, show
from scim_bridge.config import Settings, load_settings
from scim_bridge.errors import UnknownConnectionError
from scim_bridge.provisioning.journal import OPERATOR
from scim_bridge.store import audit, tokens
from scim_bridge.store.engine import Connection, Store

DEFAULT_DAYS = 180
COLUMNS = {
    "token": "Token",
    "connection": "Connection",
    "name": "Name",
    "created": "Created (UTC)",
    "expires": "Expires",
    "used": "Last used",
    "state": "State",
}


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
    clear = asyncio.run(_create(settings, connection, timedelta(days=days), name))
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
    rows = []
    now = datetime.now(UTC)
    for record in asyncio.run(_list(settings, connection)):
        expired = record.expires_at is not None and record.expires_at <= now
        state = "revoked" if record.revoked_at else "expired" if expired else "valid"
        named = {"token": record.lookup_id, "connection": record.connection_id, "name": record.label}
        times = {"created": record.created_at, "expires": record.expires_at, "used": record.used_at}
        rows.append({**named, **times, "state": state})
    show("Tokens", COLUMNS, rows, as_json=as_json)


@token.command()
@click.argument("lookup_id")
@click.pass_obj
def revoke(path: Path | None, lookup_id: str) -> None:
    """Revoke the token with this id (see `token list`), at once."""
    if not asyncio.run(_revoke(load_settings(path, connectors=()), lookup_id)):
        raise click.ClickException(f"no token {lookup_id}; see: scim-bridge token list")
    click.echo(f"revoked {lookup_id}")


def require_connection(settings: Settings, connection: str) -> None:
    """Refuse an unknown connection. :raises UnknownConnectionError: naming those that are configured."""
    if connection not in settings.connections:
        configured = ", ".join(sorted(settings.connections)) or "none"
        raise UnknownConnectionError(f'unknown connection "{connection}"; configured: {configured}')


async def _create(settings: Settings, connection: str, lifetime: timedelta, name: str) -> str:
    store = await Store.open(settings.store.url, exclusive=False)
    try:
        now = datetime.now(UTC)
        clear, record = tokens.mint(connection, label=name, now=now, expires_at=now + lifetime)

        def make(tx: Connection) -> None:
            tokens.create(tx, record)
            _note(tx, connection, "create", record.lookup_id, now)

        await store.write(make)
        return clear
    finally:
        await store.close()


async def _list(settings: Settings, connection: str | None) -> list[tokens.TokenRecord]:
    store = await Store.open(settings.store.url, exclusive=False)
    try:
        return await store.read(lambda tx: tokens.list_tokens(tx, connection))
    finally:
        await store.close()


async def _revoke(settings: Settings, lookup_id: str) -> bool:
    store = await Store.open(settings.store.url, exclusive=False)
    try:
        now = datetime.now(UTC)

        def end(tx: Connection) -> bool:
            record = tokens.find(tx, lookup_id)
            if record is None or not tokens.revoke(tx, lookup_id, now):
                return False
            _note(tx, record.connection_id, "revoke", lookup_id, now)
            return True

        return await store.write(end)
    finally:
        await store.close()


def _note(tx: Connection, connection: str, operation: str, lookup_id: str, now: datetime) -> None:
    """Write to the audit chain what became of a token."""
    audit.append(
        tx, connection, {"event": "token", "operation": operation, "token": lookup_id, "actor": OPERATOR}, now=now
    )
