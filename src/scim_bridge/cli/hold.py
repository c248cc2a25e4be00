"""``scim-bridge hold`` and ``scim-bridge go-live``: a connection that only observes, and its release."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from scim_bridge.app import opened
from scim_bridge.cli import REMOTE_DIFFERS
from scim_bridge.cli.reconcile import compare, tell
from scim_bridge.cli.token import require_connection
from scim_bridge.config import Settings, load_settings
from scim_bridge.provisioning import identification, observing
from scim_bridge.provisioning.journal import OPERATOR, actor
from scim_bridge.store import resources
from scim_bridge.store.engine import Connection, Store
from scim_bridge.store.rows import State


@click.command()
@click.argument("connections", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every connection of the configuration.")
@click.option("--restored", is_flag=True, help="The database is an older copy: make nobody because it says so.")
@click.pass_obj
def hold(path: Path | None, connections: tuple[str, ...], *, everything: bool, restored: bool) -> None:
    """Have CONNECTIONS observe: writes are taken and answered 429, and nothing is changed in the remote system.

    Needs no secret of a connector, and works beside the server or, after a restore, before its start.
    """
    settings = load_settings(path, connectors=())
    chosen = tuple(settings.connections) if everything else connections
    if not chosen:
        raise click.UsageError("name connections, or use --all")
    for connection in chosen:
        require_connection(settings, connection)
    asyncio.run(_hold(settings, chosen, "restored" if restored else "hold"))
    for connection in chosen:
        click.echo(
            f"{connection} observes; see scim-bridge reconcile {connection}, then scim-bridge go-live {connection}"
        )


async def _hold(settings: Settings, chosen: tuple[str, ...], reason: observing.Reason) -> None:
    store = await Store.open(settings.store.url, production=settings.store.production, exclusive=False)
    try:
        for connection in chosen:
            await store.write(partial(observing.begin, connection_id=connection, reason=reason, now=datetime.now(UTC)))
    finally:
        await store.close()


@click.command("go-live")
@click.argument("connection")
@click.option("--accept-remote", is_flag=True, help="The remote system is another one than before, and is right.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def go_live(path: Path | None, connection: str, *, accept_remote: bool, yes: bool) -> None:
    """Show what would happen in the remote system of CONNECTION, ask, and let it happen.

    Exit status 3: the remote system is not the one that the connection had.
    """
    settings = load_settings(path, connectors=(connection,))
    require_connection(settings, connection)
    pin, told = asyncio.run(_identified(settings, connection))
    if pin.problem == "shared" or (pin.problem is not None and not accept_remote):
        click.echo(f"scim-bridge: {pin.sentence(connection)}", err=True)
        raise SystemExit(REMOTE_DIFFERS)
    if pin.problem is not None:
        click.echo(f"the remote system was {pin.identity}, and is {told or 'one that does not tell'} from now on")
    comparison, names = asyncio.run(compare(settings, connection, apply=False, drive=False))
    tell(settings, connection, comparison, names, plan=True)
    pending = asyncio.run(_pending(settings, connection))
    click.echo(f"{pending} changes are pending and would be sent; a missing account is not made again by this")
    if not yes:
        click.confirm("let it happen?", abort=True)
    ended = asyncio.run(_release(settings, connection, told, accepted=pin.problem is not None))
    click.echo(f"{connection} is live" if ended else f"{connection} was live already")


async def _identified(settings: Settings, connection: str) -> tuple[identification.Pin, str | None]:
    """Ask the remote system who it is; return what is to be said of it, and what it told."""
    async with opened(settings, only=connection) as bridge:
        provisioning = bridge.provisioning(connection)
        told = await identification.identity_of(provisioning.connector)
        _, pin = await bridge.store.read(lambda tx: provisioning.identification.judged(tx, told))
    return pin, told


async def _pending(settings: Settings, connection: str) -> int:
    async with opened(settings, only=connection) as bridge:
        counts = await bridge.store.read(lambda tx: resources.counts(tx, connection))
    return sum(number for (_, state), number in counts.items() if state is State.PENDING)


async def _release(settings: Settings, connection: str, told: str | None, *, accepted: bool) -> bool:
    actor.set(OPERATOR)

    def release(tx: Connection) -> bool:
        if accepted:
            identification.accept(tx, connection, told, now=datetime.now(UTC))
        return observing.end(tx, connection, now=datetime.now(UTC)) or accepted

    store = await Store.open(settings.store.url, production=settings.store.production, exclusive=False)
    try:
        return await store.write(release)
    finally:
        await store.close()
