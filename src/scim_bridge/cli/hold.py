"""``scim-bridge hold`` and ``scim-bridge go-live``: a connection that only observes, or plans, and its release."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from scim_bridge.cli import REMOTE_DIFFERS, TRY_LATER
from scim_bridge.cli import plan as planning
from scim_bridge.cli.reconcile import compare, tell
from scim_bridge.cli.token import require_connection
from scim_bridge.config import Settings, load_settings
from scim_bridge.provisioning import identification, observing
from scim_bridge.provisioning.journal import OPERATOR, actor
from scim_bridge.store.engine import Store
from scim_bridge.store.transaction import Transaction
from scim_bridge.views.plan import Plan


@click.command()
@click.argument("connections", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every connection of the configuration.")
@click.option("--plan", "plans", is_flag=True, help="Answer clients as if what they want were so.")
@click.option("--restored", is_flag=True, help="The database is an older copy: make nobody because it says so.")
@click.pass_obj
def hold(path: Path | None, connections: tuple[str, ...], *, everything: bool, plans: bool, restored: bool) -> None:
    """Have CONNECTIONS observe: writes are taken, and nothing is changed in the remote system.

    They are answered 429, unless with --plan. Needs no secret of a connector, and works beside the server or, after a
    restore, before its start.
    """
    settings = load_settings(path, connectors=())
    chosen = tuple(settings.connections) if everything else connections
    if not chosen:
        raise click.UsageError("name connections, or use --all")
    if plans and restored:
        raise click.UsageError("--plan answers what an older copy cannot know; use --restored alone")
    for connection in chosen:
        require_connection(settings, connection)
    asyncio.run(_hold(settings, chosen, "restored" if restored else "plan" if plans else "hold"))
    for connection in chosen:
        if plans:
            click.echo(f"{connection} plans; see scim-bridge plan {connection}, then scim-bridge go-live {connection}")
        else:
            click.echo(
                f"{connection} observes; see scim-bridge reconcile {connection}, then scim-bridge go-live {connection}"
            )


async def _hold(settings: Settings, chosen: tuple[str, ...], reason: observing.Reason) -> None:
    actor.set(OPERATOR)
    store = await Store.open(settings.store.url, production=settings.store.production, exclusive=False)
    try:
        for connection in chosen:
            await store.write(partial(observing.begin, connection_id=connection, reason=reason, now=datetime.now(UTC)))
    finally:
        await store.close()


@click.command("go-live")
@click.argument("connection")
@click.option("--accept-remote", is_flag=True, help="The remote system is another one than before, and is right.")
@click.option("--accept-removals", type=click.IntRange(min=0), help="With --yes: the plan removes exactly so many.")
@click.option(
    "--accept-privileged", type=click.IntRange(min=0), help="With --yes: it gives exactly so many privileged groups."
)
@click.option("--yes", is_flag=True, help="Do not ask; refused where something is removed, or privileged, unseen.")
@click.pass_obj
def go_live(
    path: Path | None,
    connection: str,
    *,
    accept_remote: bool,
    accept_removals: int | None,
    accept_privileged: int | None,
    yes: bool,
) -> None:
    """Compare the remote system of CONNECTION, show the plan, ask, and let it happen.

    Exit status 1: the plan was not accepted. 3: the remote system is not the one that the connection had. 75: more is
    to be removed, or privileged, than was shown: clients wrote meanwhile; or it could not be compared now.
    """
    settings = load_settings(path, connectors=(connection,))
    require_connection(settings, connection)
    pin, told = asyncio.run(_identified(settings, connection))
    if pin.problem == "shared" or (pin.problem is not None and not accept_remote):
        click.echo(f"scim-bridge: {pin.sentence(connection)}", err=True)
        raise SystemExit(REMOTE_DIFFERS)
    if pin.problem is not None:
        click.echo(f"the remote system was {pin.identity}, and is {told or 'one that does not tell'} from now on")
    shown = asyncio.run(_plan(settings, connection, other=pin.problem is not None))
    click.echo("a missing account is not made again by this")
    if yes:
        for number, accepted, of in (
            (shown.removed, accept_removals, "removals"),
            (shown.privileged, accept_privileged, "privileged"),
        ):
            if number != (accepted or 0):
                raise click.ClickException(f"not accepted: it takes --accept-{of} {number} to say yes to this plan")
    else:
        click.confirm("let it happen?", abort=True)
    ended = asyncio.run(_release(settings, connection, shown, told, accepted=pin.problem is not None))
    click.echo(f"{connection} is live" if ended else f"{connection} was live already")


async def _identified(settings: Settings, connection: str) -> tuple[identification.Pin, str | None]:
    """Ask the remote system who it is; return what is to be said of it, and what it told."""
    async with planning.planning(settings, connection) as bench:
        told = await identification.identity_of(bench.connector)
        judge = identification.Identification(
            connection, bench.store, bench.connector, clock=partial(datetime.now, UTC), apart=settings.apart(connection)
        )
        _, pin = await bench.store.read(lambda tx: judge.judged(tx, told))
    return pin, told


async def _plan(settings: Settings, connection: str, *, other: bool) -> Plan:
    """Compare everything, and show what would be done; what is taken over while the connection plans is in the plan.

    :param other: Whether the remote system is another one than before: then nothing is taken over.
    """
    async with planning.planning(settings, connection) as bench:
        observes = await bench.store.read(partial(observing.current, connection_id=connection))
    plans = observes is not None and observes.plans and not other
    comparison, names = await compare(settings, connection, apply=plans, drive=False)
    if not plans:
        tell(settings, connection, comparison, names, plan=True)
    shown = await planning.planned(settings, connection)
    planning.tell(shown)
    return shown


async def _release(settings: Settings, connection: str, shown: Plan, told: str | None, *, accepted: bool) -> bool:
    """Let it happen, with its numbers in the audit chain, unless clients wrote meanwhile and it takes or gives more."""
    actor.set(OPERATOR)
    async with planning.planning(settings, connection) as bench:

        def release(tx: Transaction) -> bool | None:
            if bench.plan(tx).exceeds(shown):
                return None
            if accepted:
                identification.accept(tx, connection, told, now=datetime.now(UTC))
            numbers = {"removed": shown.removed, "changed": shown.changed, "created": shown.created}
            return observing.end(tx, connection, now=datetime.now(UTC), seen=numbers) or accepted

        ended = await bench.store.write(release)
    if ended is None:
        click.echo("clients wrote meanwhile, and more is to be removed or privileged; look again", err=True)
        raise SystemExit(TRY_LATER)
    return ended
