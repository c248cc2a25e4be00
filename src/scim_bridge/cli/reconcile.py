"""``scim-bridge import`` and ``scim-bridge reconcile``: everything, compared."""

import asyncio
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from scim_bridge.app import opened
from scim_bridge.cli.token import require_connection
from scim_bridge.config import Settings, load_settings
from scim_bridge.provisioning.reconcile import SECURITY, Comparison, DriftClass

SECURITY_DRIFT = 2
"""Exit status when somebody has more than they should: usable as an external guard."""


@click.command("import")
@click.argument("connection")
@click.pass_obj
def import_(path: Path | None, connection: str) -> None:
    """Take over the accounts and groups that the remote system of CONNECTION has."""
    settings = load_settings(path)
    require_connection(settings, connection)
    comparison = asyncio.run(_compare(settings, connection, apply=True, drive=False))
    taken = sum(one.drift is DriftClass.UNMANAGED for one in comparison.drifts)
    click.echo(f"{comparison.compared} accounts and groups listed, {taken} new ones taken over")


@click.command()
@click.argument("connection")
@click.option("--plan/--apply", "plan", default=True, help="Only tell (the default), or repair.")
@click.pass_obj
def reconcile(path: Path | None, connection: str, *, plan: bool) -> None:
    """Compare the remote system of CONNECTION with what is desired.

    Exit status 2: somebody has more than they should have, and it was not repaired.
    """
    settings = load_settings(path)
    require_connection(settings, connection)
    comparison = asyncio.run(_compare(settings, connection, apply=not plan, drive=True))
    drifts = [one for one in comparison.drifts if one.drift is not DriftClass.UNMANAGED]
    unmanaged = len(comparison.drifts) - len(drifts)
    if drifts:
        table = Table("", "Kind", "Id", "Remote id", "Differs in", "", title=f"Drift of {connection}")
        for one in sorted(drifts, key=lambda one: (one.drift not in SECURITY, one.drift, one.resource_id)):
            style = "bold red" if one.drift in SECURITY else "yellow"
            action = "repaired" if one.repaired else "would be repaired" if plan else "reported"
            table.add_row(
                f"[{style}]{one.drift}[/]", one.kind, one.resource_id, one.remote_id, ", ".join(one.subject), action
            )
        Console().print(table)
    click.echo(f"{comparison.compared} compared, {len(drifts)} differ, {unmanaged} new and not managed by any client")
    raise SystemExit(SECURITY_DRIFT if plan and comparison.security else 0)


async def _compare(settings: Settings, connection: str, *, apply: bool, drive: bool) -> Comparison:
    """Compare with a progress bar; after repairs, wait until they are through."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed}"), TimeElapsedColumn())
    async with opened(settings, only=connection) as bridge:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(f"comparing {connection}", total=None)
            reconciler = bridge.reconcilers[connection]
            comparison = await reconciler.run(
                apply=apply, progress=lambda compared: progress.update(task, completed=compared)
            )
            if apply and drive and bridge.drives:
                progress.update(task, description="repairing")
                await bridge.provisioning(connection).driver.idle()
        return comparison
