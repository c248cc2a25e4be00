"""``scim-bridge explain``: why a person has what they have."""

import asyncio
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from scim_bridge.app import opened
from scim_bridge.cli.token import require_connection
from scim_bridge.config import Settings, load_settings
from scim_bridge.errors import ConnectorError
from scim_bridge.models import Explanation
from scim_bridge.provisioning import Provisioning
from scim_bridge.provisioning.situation import Situation, situation_of
from scim_bridge.store import memberships, resources
from scim_bridge.store.comparison import fold
from scim_bridge.store.engine import Connection
from scim_bridge.store.rows import GroupReference, Ownership, ResourceRow

BY_HAND = "by hand: no client manages it"


@click.command()
@click.argument("connection")
@click.argument("user_name")
@click.pass_obj
def explain(path: Path | None, connection: str, user_name: str) -> None:
    """Tell what the client wants of USER_NAME, what the remote system holds, and why they differ."""
    settings = load_settings(path)
    require_connection(settings, connection)
    found = asyncio.run(_explain(settings, connection, user_name))
    if found is None:
        raise click.ClickException(f"no User with this userName in {connection}")
    situation, groups, explanation = found
    _print_state(situation)
    _print_groups(groups, explanation, discovered=situation.row.ownership is Ownership.DISCOVERED)
    if explanation is not None:
        for line in (explanation.summary, *explanation.notes):
            click.echo(line)


def _print_state(situation: Situation) -> None:
    row = situation.row
    table = Table("", "Desired", "Observed", title=f"User {row.id} ({row.state}, remote id {row.remote_id or 'none'})")
    table.add_row("active", str(situation.desired.active), str(situation.seen.active))
    for path in sorted({*situation.desired.attributes, *situation.seen.attributes}):
        wanted, seen = situation.desired.attributes.get(path), situation.seen.attributes.get(path)
        table.add_row(path, str(wanted), f"{seen} (deferred)" if path in situation.seen.deferred else str(seen))
    Console().print(table)
    if row.refusal is not None:
        click.echo(f"refused: {row.refusal.detail}")
    if situation.step is not None:
        click.echo(f"next step: {situation.step}")


def _print_groups(groups: list[GroupReference], explanation: Explanation | None, *, discovered: bool) -> None:
    """Print a person's groups.

    :param discovered: Whether no client has written the person: then what none has named stays as it is.
    """
    table = Table("Group", "Remote id", "Desired", "Observed", "Effect", title="Groups")
    for group in groups:
        effect = ""
        if explanation is not None and group.remote_id is not None:
            shadowed = explanation.shadowed.get(group.remote_id)
            effect = (
                f"shadowed: {shadowed}" if shadowed else "effective" if group.remote_id in explanation.effective else ""
            )
        if discovered and group.desired and not group.named:
            effect = f"{effect}; {BY_HAND}" if effect else BY_HAND
        table.add_row(group.name, group.remote_id or "-", str(group.desired), str(group.observed), effect)
    Console().print(table)


async def _explain(
    settings: Settings, connection: str, user_name: str
) -> tuple[Situation, list[GroupReference], Explanation | None] | None:
    async with opened(settings, only=connection) as bridge:
        provisioning = bridge.provisioning(connection)

        def look(tx: Connection) -> tuple[Situation, list[GroupReference]] | None:
            row = resources.find_by_name(tx, connection, "User", user_name) or _refused(tx, connection, user_name)
            if row is None:
                return None
            groups = memberships.groups_of(tx, connection, [row.id]).get(row.id, [])
            return situation_of(tx, row, provisioning.capabilities), groups

        found = await bridge.store.read(look)
        if found is None:
            return None
        situation, groups = found
        return situation, groups, await _from_connector(provisioning, situation)


def _refused(tx: Connection, connection: str, user_name: str) -> ResourceRow | None:
    """Return the creation of this userName that was refused last, if the bridge still knows of it."""
    rows = resources.ledger(tx, connection)
    refused = (row for row in rows if row.kind == "User" and row.deleted and row.refusal is not None)
    return next((row for row in refused if fold(row.name) == fold(user_name)), None)


async def _from_connector(provisioning: Provisioning, situation: Situation) -> Explanation | None:
    """Ask the remote system; of an account it does not have there is nothing to explain."""
    if "explain_user" not in provisioning.connector.operations or not situation.seen.present:
        return None
    groups = sorted(situation.desired.links)
    try:
        return await provisioning.connector.explain_user(str(situation.row.remote_id), situation.user(), groups)
    except ConnectorError as error:
        return Explanation(f"the remote system could not be asked: {error.detail}")
