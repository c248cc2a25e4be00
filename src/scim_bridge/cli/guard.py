"""``scim-bridge approve`` and ``scim-bridge reject``: what the mass-change guard holds."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from scim_bridge.app import opened
from scim_bridge.cli.tables import as_json, show
from scim_bridge.cli.token import require_connection
from scim_bridge.config import Settings, load_settings
from scim_bridge.models import Lane
from scim_bridge.provisioning.guard import Guard
from scim_bridge.provisioning.journal import OPERATOR, actor
from scim_bridge.store import memberships, resources
from scim_bridge.store.engine import Connection, Store
from scim_bridge.store.rows import ResourceRow

COLUMNS = {
    "id": "Id",
    "kind": "Kind",
    "name": "Name",
    "wanted": "Wanted",
    "reason": "Held since it is one of",
    "since": "Since",
    "released_at": "Released at",
}
NAMED = 20
"""How many members a line names."""


@click.command()
@click.argument("connection")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Approve all that is held.")
@as_json
@click.pass_obj
def approve(path: Path | None, connection: str, ids: tuple[str, ...], *, everything: bool, as_json: bool) -> None:
    """Let held changes of CONNECTION through; without IDS, list them. The running server makes them."""
    settings = load_settings(path, connectors=())
    require_connection(settings, connection)
    if not ids and not everything:
        _list(settings, connection, as_json=as_json)
        return
    _tell("approved", ids, asyncio.run(_approve(settings, connection, None if everything else ids)))


@click.command()
@click.argument("connection")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Reject all that is held.")
@as_json
@click.pass_obj
def reject(path: Path | None, connection: str, ids: tuple[str, ...], *, everything: bool, as_json: bool) -> None:
    """Undo held changes of CONNECTION in the bridge; without IDS, list them."""
    if not ids and not everything:
        settings = load_settings(path, connectors=())
        require_connection(settings, connection)
        _list(settings, connection, as_json=as_json)
        return
    settings = load_settings(path, connectors=(connection,))
    require_connection(settings, connection)
    _tell("rejected", ids, asyncio.run(_reject(settings, connection, None if everything else ids)))


def _tell(word: str, ids: tuple[str, ...], decided: list[str]) -> None:
    """Say what was decided. :raises click.ClickException: When nothing of some id is held."""
    click.echo(f"{word}: {len(decided)}")
    if missing := sorted(set(ids).difference(decided)):
        raise click.ClickException(f"nothing is held under {', '.join(missing)}; without ids the command lists what is")


async def _approve(settings: Settings, connection: str, ids: tuple[str, ...] | None) -> list[str]:
    """Let changes through; no connector is needed for that, and nothing is driven here."""
    actor.set(OPERATOR)
    store = await Store.open(settings.store.url, exclusive=False)
    try:
        guard = Guard(connection, settings.connections[connection].policy().guard, clock=partial(datetime.now, UTC))
        return await store.write(lambda tx: guard.approve(tx, ids))
    finally:
        await store.close()


async def _reject(settings: Settings, connection: str, ids: tuple[str, ...] | None) -> list[str]:
    """Undo changes; the connector's schemas say what a document may hold."""
    async with opened(settings, only=connection) as bridge:
        guard = bridge.provisioning(connection).guard
        return await bridge.store.write(lambda tx: guard.reject(tx, ids))


def _list(settings: Settings, connection: str, *, as_json: bool) -> None:
    async def look() -> list[dict[str, object]]:
        store = await Store.open(settings.store.url, exclusive=False)
        try:
            guard = Guard(connection, settings.connections[connection].policy().guard, clock=partial(datetime.now, UTC))
            return await store.scan(lambda tx: [_told(tx, row) for row in guard.held(tx)])
        finally:
            await store.close()

    show(f"Held changes of {connection}", COLUMNS, asyncio.run(look()), as_json=as_json)


def _told(tx: Connection, row: ResourceRow) -> dict[str, object]:
    removal = row.lane is Lane.REMOVE
    return {
        "id": row.id,
        "kind": row.kind,
        "name": row.name,
        "wanted": _wanted(tx, row),
        "reason": "more people losing access than usual" if removal else "more privileged grants than usual",
        "since": f"{row.modified_at:%Y-%m-%d %H:%M}",
        "released_at": None if row.not_before is None else f"{row.not_before:%Y-%m-%d %H:%M}",
    }


def _wanted(tx: Connection, row: ResourceRow) -> str:
    """Tell in words, and by names, what a held change would do."""
    if row.deleted:
        return "deleted"
    if row.kind == "User":
        groups = memberships.groups_of(tx, row.connection_id, [row.id]).get(row.id, [])
        joins = [group.name for group in groups if group.desired and not group.observed]
        leaves = [group.name for group in groups if group.observed and not group.desired]
        ends = [] if row.active else ["deactivated"]
    else:
        to_add, to_remove = memberships.unsettled_of_group(tx, row.connection_id, row.id)
        joins, leaves = _names(tx, row, to_add), _names(tx, row, to_remove)
        ends = []
    words = (("joins" if row.kind == "User" else "gains", joins), ("leaves" if row.kind == "User" else "loses", leaves))
    return "; ".join([*ends, *(f"{word} {_some(names)}" for word, names in words if names)]) or "changed"


def _names(tx: Connection, group: ResourceRow, ids: list[str]) -> list[str]:
    found = (resources.get(tx, group.connection_id, "User", one, deleted=True) for one in ids[: NAMED + 1])
    named = [row.name for row in found if row is not None]
    return named[:NAMED] + ["…"] * (len(ids) - NAMED if len(ids) > NAMED else 0)


def _some(names: list[str]) -> str:
    shown = ", ".join(sorted(names[:NAMED]))
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"
