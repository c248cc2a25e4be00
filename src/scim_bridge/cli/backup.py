"""``scim-bridge backup`` and ``scim-bridge restore``: copies of the database."""

from datetime import UTC, datetime
from pathlib import Path

import click

from scim_bridge.config import load_settings
from scim_bridge.desk import end_token
from scim_bridge.provisioning import observing
from scim_bridge.provisioning.journal import OPERATOR, actor
from scim_bridge.store import audit, backups, sign_ins
from scim_bridge.store.transaction import Transaction
from scim_bridge.views.tokens import tokens

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=FILE)
@click.pass_obj
def backup(path: Path | None, file: Path) -> None:
    """Write a copy of the database to FILE, which is not there yet, and check it.

    Works beside the running bridge. It holds personal data: keep it as you keep the database. On PostgreSQL it needs
    pg_dump.
    """
    size = backups.back_up(load_settings(path, connectors=()).store.url, file)
    click.echo(f"{file} holds the database as it was a moment ago ({size:,} bytes)")


@click.command()
@click.argument("file", type=FILE)
@click.option("--revoke-tokens", is_flag=True, help="End every token of the copy; clients need new ones.")
@click.pass_obj
def restore(path: Path | None, file: Path, *, revoke_tokens: bool) -> None:
    """Put the copy in FILE in the place of the database; every connection observes until scim-bridge go-live.

    The bridge must be stopped. An SQLite database that is there is kept beside it, and what it knows of revoked tokens
    stays true; of PostgreSQL an empty database has to be configured, and psql is needed. Nobody stays signed into the
    console.
    """
    settings = load_settings(path, connectors=())
    now = datetime.now(UTC)
    actor.set(OPERATOR)
    told: list[str] = []

    def prepare(tx: Transaction, revoked: backups.Revoked | None) -> None:
        for connection in sorted({*settings.connections, *audit.connections(tx)}):
            observing.begin(tx, connection, "restored", now=now)
        sign_ins.forget_all(tx)
        for one in tokens(tx, None, now=now).items:
            if revoke_tokens or one.token in (revoked or ()):
                end_token(tx, one.token, now=now)
        valid = [one for one in tokens(tx, None, now=now).items if one.state == "valid"]
        since = "not what was revoked since" if revoked is not None else "also what was revoked since it was made"
        told.append(f"{len(valid)} tokens of the copy are valid, {since}; scim-bridge token revoke ID ends one")
        told.extend(f"  {one.token} of {one.connection}: {one.name or '(no name)'}" for one in valid)

    aside = backups.restore(settings.store.url, file, prepare, production=settings.store.production, now=now)
    if aside is not None:
        click.echo(f"the database that was there is {aside} now; delete it when you no longer need it")
    click.echo("\n".join(["restored", *told]))
    click.echo("every connection observes, nothing is sent. Start the bridge, and for each one:")
    for connection in settings.connections:
        click.echo(f"  scim-bridge reconcile {connection}, then scim-bridge go-live {connection}")
