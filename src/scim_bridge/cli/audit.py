"""``scim-bridge audit``: the chain of what was asked and what came of it."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from scim2_models import SCIMException

from scim_bridge.cli.looking import os_user
from scim_bridge.cli.token import require_connection
from scim_bridge.config import CONNECTION_ID, Settings, load_settings
from scim_bridge.desk import Desk
from scim_bridge.keeping import PruneRefusedError, prune
from scim_bridge.protocol import strict_json
from scim_bridge.provisioning.journal import OPERATOR, actor
from scim_bridge.store import chain
from scim_bridge.store.engine import Store
from scim_bridge.views import audit as views

T = TypeVar("T")

_day = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.group()
def audit() -> None:
    """Verify, export, sign and prune the audit chain of a connection."""


@audit.command()
@click.argument("connection", metavar="CONNECTION|FILE")
@click.option("--key", type=click.Path(path_type=Path), help="Of a FILE: the public key its heads are signed with.")
@click.option("--signed-since", type=_day, help="Of a FILE: a head has to be signed since then (UTC).")
@click.pass_obj
def verify(path: Path | None, connection: str, key: Path | None, signed_since: datetime | None) -> None:
    """Recompute every hash of the chain; exit status 1 names the first entry that does not fit.

    Of a FILE that `audit export` wrote (its name has a dot or a slash) neither database nor configuration is needed.
    """
    if signed_since is not None and key is None:
        raise click.UsageError("--signed-since needs --key")
    if not CONNECTION_ID.fullmatch(connection):
        _verify_file(Path(connection), _public(key), signed_since)
        return
    if key is not None:
        raise click.UsageError("--key is for a FILE: export the chain first")
    settings = load_settings(path, connectors=())
    require_connection(settings, connection)
    told = asyncio.run(_with(settings, lambda store: store.scan(lambda tx: views.verdict(tx, connection))))
    if told.broken is not None:
        raise click.ClickException(f"the chain of {connection} is broken at entry {told.broken}")
    click.echo(
        f"{connection}: unbroken up to entry {told.sequence}. A cut-off end only shows against an exported head."
    )


@audit.command()
@click.argument("connection")
@click.option("--after", default=0, show_default=True, help="Export the entries after this sequence number.")
@click.pass_obj
def export(path: Path | None, connection: str, after: int) -> None:
    """Write the entries as one JSON object a line; the last one tells of this export."""
    settings = load_settings(path, connectors=())
    require_connection(settings, connection)

    async def work(store: Store) -> list[str]:
        await Desk(store).export([connection], "audit", by=os_user())
        return await store.scan(lambda tx: list(views.lines(tx, connection, after)))

    for line in asyncio.run(_with(settings, work)):
        click.echo(line)


@audit.command("prune")
@click.argument("connection")
@click.option("--before", type=_day, required=True, help="Delete the entries before this time (UTC).")
@click.pass_obj
def prune_(path: Path | None, connection: str, before: datetime) -> None:
    """Delete old entries, and write one that tells of it; the rest stays verifiable. Export them first.

    Exit status 1: they are younger than 30 days, or tell of somebody whose access is not ended.
    """
    settings = load_settings(path, connectors=())
    require_connection(settings, connection)
    others = sorted(set(settings.connections) - {connection})
    actor.set(f"{OPERATOR} {os_user()}")

    def work(store: Store) -> Awaitable[int]:
        return prune(store, connection, before.replace(tzinfo=UTC), others=others, now=datetime.now(UTC))

    try:
        click.echo(f"pruned: {asyncio.run(_with(settings, work))}")
    except PruneRefusedError as refusal:
        raise click.ClickException(str(refusal)) from None


@audit.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.pass_obj
def key(path: Path | None, file: Path | None) -> None:
    """Make a key to sign with in FILE, which must not be there, or take the configured one; print the public key."""
    if file is None:
        private = load_settings(path, connectors=(), signing=True).audit.key()
        if private is None:
            raise click.ClickException("[audit] signing_key is not set; scim-bridge audit key FILE makes one")
    else:
        private = Ed25519PrivateKey.generate()
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
                made.write(chain.private_pem(private))
        except OSError as error:
            raise click.ClickException(f"{file} cannot be made: {error.strerror}") from None
    click.echo(chain.public_pem(private.public_key()), nl=False)


async def _with(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    store = await Store.open(settings.store.url, exclusive=False)
    try:
        return await work(store)
    finally:
        await store.close()


def _public(file: Path | None) -> Ed25519PublicKey | None:
    try:
        return None if file is None else chain.read_public(file.read_bytes())
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise click.ClickException(f"{file}: {error}") from None


def _verify_file(file: Path, key: Ed25519PublicKey | None, signed_since: datetime | None) -> None:
    """Verify an exported file, and tell what its first and its last hash have to be compared with."""
    try:
        with file.open("rb") as exported:
            walk, fault = chain.follow(_lines(exported), key)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from None
    if fault is not None:
        raise click.ClickException(f"{file} is broken at line {fault.line}: {fault.what}")
    before, last, head = walk.first, walk.last, walk.signed
    if before is None:
        raise click.ClickException(f"{file} is empty: the last entry of an export tells of it")
    click.echo(
        f"{file}: entries {before.sequence + 1} to {last.sequence}, unbroken; the last hash is {last.hash.hex()}."
    )
    if before in walk.pruned:
        click.echo(f"Entries 1 to {before.sequence} were pruned, as entry {walk.pruned[before].sequence} tells.")
    elif before.sequence:
        click.echo(f"It goes on from entry {before.sequence}, whose hash has to be {before.hash.hex()}.")
    if key is None:
        return
    if head is None:
        raise click.ClickException(f"{file}: no head is signed")
    unsigned = last.sequence - head.sequence
    click.echo(f"Signed up to entry {head.sequence} ({head.at:%Y-%m-%d %H:%M:%S} UTC); {unsigned} entries follow it.")
    if signed_since is not None and head.at < signed_since.replace(tzinfo=UTC):
        raise click.ClickException(f"{file} is cut off: no head is signed since {signed_since:%Y-%m-%d %H:%M:%S} UTC")


def _lines(exported: BinaryIO) -> Iterator[Mapping[str, Any]]:
    """Yield what each line has; one that is no object, or ambiguous, is told as one that does not fit."""
    for line in exported:
        try:
            value = strict_json.decode(line.strip())
        except SCIMException:
            value = None
        yield value if isinstance(value, Mapping) else {}
