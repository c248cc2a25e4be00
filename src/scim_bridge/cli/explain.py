"""``scim-bridge explain``: why a person has what they have."""

import asyncio
import json
from pathlib import Path

import click

from scim_bridge.app import opened
from scim_bridge.cli.tables import Row, as_json, show
from scim_bridge.cli.token import require_connection
from scim_bridge.config import Settings, load_settings
from scim_bridge.errors import ConnectorError
from scim_bridge.models import Explanation
from scim_bridge.provisioning import Provisioning, observing
from scim_bridge.provisioning.situation import Situation, situation_of
from scim_bridge.store import audit, memberships, resources
from scim_bridge.store.engine import Connection, Store
from scim_bridge.store.rows import GroupReference, Ownership

STATE = {"path": "", "desired": "Desired", "observed": "Observed"}
GROUPS = {
    "group": "Group",
    "remote_id": "Remote id",
    "desired": "Desired",
    "observed": "Observed",
    "effect": "Effect",
}
TRAIL = {
    "at": "At",
    "event": "Event",
    "operation": "What",
    "outcome": "Outcome",
    "error": "Error",
    "paths": "Changed",
    "actor": "By",
    "request": "Request",
}
BY_HAND = "by hand: no client manages it"


@click.command()
@click.argument("connection")
@click.argument("user_name")
@as_json
@click.pass_obj
def explain(path: Path | None, connection: str, user_name: str, *, as_json: bool) -> None:
    """Tell what the client wants of USER_NAME, what the remote system holds, and why they differ.

    Of somebody who is deleted, give the id that clients had: the audit chain tells the rest.
    """
    settings = load_settings(path, connectors=(connection,))
    require_connection(settings, connection)
    found = asyncio.run(_explain(settings, connection, user_name))
    if found is None:
        _explain_gone(settings, connection, user_name, as_json=as_json)
        return
    situation, groups, explanation = found
    told = _groups(groups, explanation, discovered=situation.row.ownership is Ownership.DISCOVERED)
    if as_json:
        click.echo(json.dumps(_document(situation, told, explanation)))
        return
    _print_state(situation)
    show("Groups", GROUPS, told, as_json=False)
    if explanation is not None:
        for line in (explanation.summary, *explanation.notes):
            click.echo(line)


def _explain_gone(settings: Settings, connection: str, resource_id: str, *, as_json: bool) -> None:
    """Tell what the audit chain has of a resource by its id: of somebody who was deleted nothing else is left."""

    async def trail() -> list[Row]:
        store = await Store.open(settings.store.url, exclusive=False)
        try:
            found = await store.scan(lambda tx: [entry.event for entry in audit.export(tx, connection)])
        finally:
            await store.close()
        return [event for event in found if event.get("id") == resource_id]

    entries = asyncio.run(trail())
    if not entries:
        raise click.ClickException(f"no User with this userName in {connection}, and no entry under this id")
    rows = [{**one, "operation": one.get("operation") or one.get("decision") or one.get("drift")} for one in entries]
    show(f"What the audit chain has of {resource_id}", TRAIL, rows, as_json=as_json)


def _print_state(situation: Situation) -> None:
    row = situation.row
    title = f"User {row.id} ({row.state}, remote id {row.remote_id or 'none'})"
    show(title, STATE, _attributes(situation), as_json=False)
    if row.refusal is not None:
        click.echo(f"refused: {row.refusal.detail}")
    if row.missing and not row.may_make:
        click.echo(
            "missing: the account is not there, or inactive; it is made again when a client writes active = true,"
        )
        click.echo("or by reconcile --apply --make-missing")
    if situation.step is not None:
        click.echo(f"next step: {situation.step}")


def _attributes(situation: Situation) -> list[Row]:
    rows: list[Row] = [{"path": "active", "desired": situation.desired.active, "observed": situation.seen.active}]
    for path in sorted({*situation.desired.attributes, *situation.seen.attributes}):
        wanted, seen = situation.desired.attributes.get(path), situation.seen.attributes.get(path)
        shown = f"{seen} (deferred)" if path in situation.seen.deferred else seen
        rows.append({"path": path, "desired": wanted, "observed": shown})
    return rows


def _document(situation: Situation, groups: list[Row], explanation: Explanation | None) -> dict[str, object]:
    """Return all that is told as one JSON object."""
    row = situation.row
    return {
        "id": row.id,
        "name": row.name,
        "state": str(row.state),
        "remote_id": row.remote_id,
        "attributes": _attributes(situation),
        "groups": groups,
        "refused": None if row.refusal is None else row.refusal.detail,
        "next_step": None if situation.step is None else str(situation.step),
        "notes": [] if explanation is None else [explanation.summary, *explanation.notes],
    }


def _groups(groups: list[GroupReference], explanation: Explanation | None, *, discovered: bool) -> list[Row]:
    """Tell of a person's groups.

    :param discovered: Whether no client has written the person: then what none has named stays as it is.
    """
    rows: list[Row] = []
    for group in groups:
        effect = ""
        if explanation is not None and group.remote_id is not None:
            shadowed = explanation.shadowed.get(group.remote_id)
            effect = (
                f"shadowed: {shadowed}" if shadowed else "effective" if group.remote_id in explanation.effective else ""
            )
        if discovered and group.desired and not group.named:
            effect = f"{effect}; {BY_HAND}" if effect else BY_HAND
        held = {"desired": group.desired, "observed": group.observed}
        rows.append({"group": group.name, "remote_id": group.remote_id, **held, "effect": effect})
    return rows


async def _explain(
    settings: Settings, connection: str, user_name: str
) -> tuple[Situation, list[GroupReference], Explanation | None] | None:
    async with opened(settings, only=connection) as bridge:
        provisioning = bridge.provisioning(connection)

        def look(tx: Connection) -> tuple[Situation, list[GroupReference]] | None:
            row = resources.find_by_name(tx, connection, "User", user_name)
            row = row or resources.find_refused(tx, connection, "User", user_name)
            if row is None:
                return None
            groups = memberships.groups_of(tx, connection, [row.id]).get(row.id, [])
            return situation_of(tx, row, provisioning.capabilities), groups

        found = await bridge.store.read(look)
        if found is None:
            return None
        situation, groups = found
        observes = await bridge.store.read(lambda tx: observing.current(tx, connection))
        if observes is not None:
            click.echo(observes.detail, err=True)
        return situation, groups, await _from_connector(provisioning, situation)


async def _from_connector(provisioning: Provisioning, situation: Situation) -> Explanation | None:
    """Ask the remote system; of an account it does not have there is nothing to explain."""
    if "explain_user" not in provisioning.connector.operations or not situation.seen.present:
        return None
    groups = sorted(situation.desired.links)
    try:
        return await provisioning.connector.explain_user(str(situation.row.remote_id), situation.user(), groups)
    except ConnectorError as error:
        return Explanation(f"the remote system could not be asked: {error.detail}")
