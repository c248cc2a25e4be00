"""``scim-bridge plan``: what would be done in the remote system, removals first."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scim_bridge.cli import NEEDED
from scim_bridge.cli.looking import Looking
from scim_bridge.cli.tables import Answer, Face, faces, print_json
from scim_bridge.views.faces import PLAN

if TYPE_CHECKING:
    from scim_bridge.config import Settings
    from scim_bridge.connections import BoundConnector
    from scim_bridge.models import RateLimit
    from scim_bridge.provisioning.guard import Guard
    from scim_bridge.store.engine import Store
    from scim_bridge.store.transaction import Transaction
    from scim_bridge.views.plan import Plan


@click.command("plan")
@click.argument("connection", required=False)
@faces
@click.option("--exit-status", is_flag=True, help=f"End with {NEEDED} when something would be done; else with 0.")
@click.pass_obj
def plan(path: Path | None, connection: str | None, *, face: Face, exit_status: bool) -> None:
    """Tell what would be done in the remote system of CONNECTION, or each; removals first. Nothing is done.

    JSON is one object for each connection, with has_removals and all changes.
    """
    from scim_bridge.cli.token import require_connection
    from scim_bridge.config import EVERY, load_settings
    from scim_bridge.views.plan import Change

    settings = load_settings(path, connectors=EVERY if connection is None else (connection,))
    if connection is None:
        settings.require_connections()
    else:
        require_connection(settings, connection)
    chosen = sorted(settings.connections) if connection is None else [connection]
    found = [asyncio.run(planned(settings, one)) for one in chosen]
    if face != "table":
        Looking(path, connection).exported(face)
    if face == "csv":
        answer = Answer(Change, "", PLAN, face)
        answer.add(change for one in found for change in one.changes)
    for one in found:
        if face == "json":
            print_json(one)
        elif face == "table":
            tell(one)
    raise SystemExit(NEEDED if exit_status and not all(one.is_empty for one in found) else 0)


async def planned(settings: "Settings", connection: str) -> "Plan":
    """Return the plan of a connection, with a progress bar."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed}"), TimeElapsedColumn())
    async with planning(settings, connection) as bench:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(f"planning {connection}", total=None)

            def told(done: int) -> None:
                progress.update(task, completed=done)

            return await bench.store.scan(partial(bench.plan, progress=told))


@dataclass(frozen=True, slots=True)
class Bench:
    """What a plan is made of."""

    store: "Store"
    connector: "BoundConnector"
    guard: "Guard"
    limit: "RateLimit | None"

    def plan(self, tx: "Transaction", *, progress: "Callable[[int], None] | None" = None) -> "Plan":
        """Return the plan as it is in a transaction."""
        from scim_bridge.provisioning.situation import Capabilities
        from scim_bridge.views import plan as view

        capabilities = Capabilities.of(self.connector)
        return view.plan(tx, self.guard.connection_id, capabilities, self.guard, limit=self.limit, progress=progress)


@asynccontextmanager
async def planning(settings: "Settings", connection: str) -> "AsyncIterator[Bench]":
    """Open what a plan is made of, without a driver; the remote system is not asked by that."""
    from scim_bridge.app import connectors_of
    from scim_bridge.provisioning.guard import Guard
    from scim_bridge.store.engine import Store
    from scim_bridge.store.kept import KeptState
    from scim_bridge.upstream import HttpClients

    store = await Store.open(settings.store.url, production=settings.store.production, exclusive=False)
    try:
        clients, clock = HttpClients(), partial(datetime.now, UTC)
        state = partial(KeptState, store, clock=clock)
        async with connectors_of(settings.only(connection), http_client=clients, state=state) as pool:
            guard = Guard(connection, settings.connections[connection].policy().guard, clock=clock)
            strictest = min(clients.limits(), key=lambda one: one.requests / one.seconds, default=None)
            yield Bench(store, pool[connection], guard, strictest)
    finally:
        await store.close()


def tell(found: "Plan") -> None:
    """Print a plan: what is read first comes last, the numbers and under them, by name, what is taken away."""
    from scim_bridge.views.plan import Change

    for title, action in (("Created", "create"), ("Changed", "change")):
        changes = [one for one in found.changes if one.action == action]
        if changes:
            answer = Answer(Change, f"{title} in {found.connection}", PLAN, "table")
            answer.add(changes)
            answer.end()
            click.echo()
    compared = "never" if found.compared is None else f"{found.compared:%Y-%m-%d %H:%M} UTC"
    looks = f"; {found.looks} have to be looked at first" if found.looks else ""
    minutes = "" if found.minutes is None else f", {found.minutes} minutes of the remote system's limit"
    click.echo(f"at least {found.calls} calls{minutes}; the remote system was last compared: {compared}{looks}")
    click.echo(f"{found.connection}: {found.sentence}")
    for one in found.removals:
        marks = [word for word, so in (("privileged", one.privileged), ("held", one.held)) if so]
        of = one.kind if one.group is None else f"group {one.group}"
        click.echo(f"  − {one.name} ({of}): {', '.join([one.what, *marks])}")
