"""``scim-bridge import`` and ``scim-bridge reconcile``: everything, compared."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from scim_bridge.app import Bridge, opened
from scim_bridge.cli import TRY_LATER
from scim_bridge.cli.tables import as_json, show
from scim_bridge.cli.token import require_connection
from scim_bridge.config import Settings, load_settings
from scim_bridge.errors import RemoteUnavailableError
from scim_bridge.provisioning import observing
from scim_bridge.provisioning.drift import SECURITY, Comparison, DriftClass
from scim_bridge.store import resources
from scim_bridge.store.transaction import Transaction

COLUMNS = {
    "drift": "",
    "kind": "Kind",
    "name": "Name",
    "differs": "Differs in",
    "then": "",
    "id": "Id",
    "remote_id": "Remote id",
}

PATIENCE = 600.0
"""Seconds that a command waits for its turn at each read; the server that it runs beside goes first."""

SECURITY_DRIFT = 2
"""Exit status when somebody has more than they should: usable as an external guard."""


@click.command("import")
@click.argument("connection")
@click.pass_obj
def import_(path: Path | None, connection: str) -> None:
    """Take over the accounts and groups that the remote system of CONNECTION has."""
    settings = load_settings(path, connectors=(connection,))
    require_connection(settings, connection)
    comparison, _ = asyncio.run(compare(settings, connection, apply=True, drive=False))
    taken = sum(one.drift is DriftClass.UNMANAGED for one in comparison.drifts)
    click.echo(f"{comparison.compared} accounts and groups listed, {taken} new ones taken over")


@click.command()
@click.argument("connection")
@click.option("--plan/--apply", "plan", default=True, help="Only tell (the default), or repair.")
@click.option("--make-missing", is_flag=True, help="With --apply: make the accounts again that are missing.")
@as_json
@click.pass_obj
def reconcile(path: Path | None, connection: str, *, plan: bool, make_missing: bool, as_json: bool) -> None:
    """Compare the remote system of CONNECTION with what is desired.

    Exit status 2: somebody has more than they should have, and it was not repaired. 75: it could not be finished now.
    """
    settings = load_settings(path, connectors=(connection,))
    require_connection(settings, connection)
    work = compare(settings, connection, apply=not plan, drive=True, make_missing=make_missing)
    comparison, names = asyncio.run(work)
    tell(settings, connection, comparison, names, plan=plan, make_missing=make_missing, as_json=as_json)
    raise SystemExit(SECURITY_DRIFT if plan and comparison.security else 0)


def tell(
    settings: Settings,
    connection: str,
    comparison: Comparison,
    names: Mapping[str, str],
    *,
    plan: bool,
    make_missing: bool = False,
    as_json: bool = False,
) -> None:
    """Print what a comparison found, and what becomes of it."""
    drifts = [one for one in comparison.drifts if one.drift is not DriftClass.UNMANAGED]
    unmanaged = len(comparison.drifts) - len(drifts)
    enforced = settings.connections[connection].missing_accounts == "enforce"
    if drifts:
        rows = []
        for one in sorted(drifts, key=lambda one: (one.drift not in SECURITY, one.drift, one.resource_id)):
            planned = plan and (make_missing or enforced or not one.is_missing_account)
            action = "repaired" if one.repaired else "would be repaired" if planned else "reported"
            told = {"drift": str(one.drift), "kind": one.kind, "name": names.get(one.resource_id)}
            subject = [names.get(part, part) for part in one.subject]
            rows.append({**told, "id": one.resource_id, "remote_id": one.remote_id, "differs": subject, "then": action})
        styles = {str(drift): "bold red" if drift in SECURITY else "yellow" for drift in DriftClass}
        show(f"Drift of {connection}", COLUMNS, rows, as_json=as_json, styles=styles)
    summary = f"{comparison.compared} compared, {len(drifts)} differ, {unmanaged} new and not managed by any client"
    click.echo(summary, err=as_json)


async def compare(
    settings: Settings, connection: str, *, apply: bool, drive: bool, make_missing: bool = False
) -> tuple[Comparison, dict[str, str]]:
    """Compare with a progress bar; after repairs, wait until they are through.

    :returns: The comparison, and the names behind the ids in it.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed}"), TimeElapsedColumn())
    async with opened(settings, only=connection) as bridge:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(f"comparing {connection}", total=None)
            reconciler = bridge.reconcilers[connection]
            if make_missing:
                reconciler.missing_accounts = "enforce"
            reconciler.listings.patience = PATIENCE
            try:
                if told := await _held(bridge, connection, imports=apply and not drive):
                    if apply:
                        raise click.ClickException(told)
                    click.echo(told, err=True)
                comparison = await reconciler.run(
                    apply=apply, progress=lambda compared: progress.update(task, completed=compared)
                )
            except RemoteUnavailableError as error:
                click.echo(f"not finished, {progress.tasks[0].completed:.0f} compared: {error.detail}", err=True)
                raise SystemExit(TRY_LATER) from None
            if apply and drive and bridge.drives:
                progress.update(task, description="repairing")
                await bridge.provisioning(connection).driver.idle()
        return comparison, await bridge.store.scan(lambda tx: _names(tx, connection, comparison))


async def _held(bridge: Bridge, connection: str, *, imports: bool) -> str:
    """Return why a comparison may only tell now; empty when it need not: what is taken over changes nothing there.

    :param imports: Whether nothing is to be repaired.
    """
    if problem := await bridge.provisioning(connection).identification.problem():
        return problem
    observes = await bridge.store.read(lambda tx: observing.current(tx, connection))
    return "" if observes is None or (imports and observes.plans) else observes.detail


def _names(tx: Transaction, connection: str, comparison: Comparison) -> dict[str, str]:
    """Return names by id and, of groups, by remote id: drift itself carries none."""
    groups = {part for one in comparison.drifts for part in one.subject}
    held = {part: resources.find_by_remote_id(tx, connection, "Group", part) for part in groups}
    names = {remote_id: row.name for remote_id, row in held.items() if row is not None}
    for one in comparison.drifts:
        row = resources.get(tx, connection, one.kind, one.resource_id, deleted=True) if one.resource_id else None
        if row is not None:
            names[one.resource_id] = row.name
    return names
