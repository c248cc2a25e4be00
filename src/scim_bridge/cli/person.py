"""``scim-bridge person`` and ``scim-bridge explain``: one person, and why they have what they have."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scim_bridge.cli.looking import Looking
from scim_bridge.cli.tables import as_json, show
from scim_bridge.views.faces import HISTORY, REQUESTS, plain

if TYPE_CHECKING:  # loaded by whoever looks, not by whoever asks for help
    from scim_bridge.config import Settings
    from scim_bridge.models import Explanation
    from scim_bridge.provisioning import Provisioning
    from scim_bridge.provisioning.situation import Situation
    from scim_bridge.store.transaction import Transaction
    from scim_bridge.views.people import GroupOfPerson
    from scim_bridge.views.person import Gone, Person

ATTRIBUTES = {"path": "", "wanted": "Wanted", "there": "There", "note": ""}
GROUPS = {"name": "Group", "wanted": "Wanted", "there": "There", "note": "", "remote_id": "Remote id"}
PUSHES = {name: REQUESTS[name] for name in ("status", "at", "action", "kind", "paths", "reason", "by", "id")}
BY_HAND = "by hand: no client manages it"
MISSING = """\
missing: the account is not there, or inactive; it is made again when a client writes active = true,
or by reconcile --apply --make-missing"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the remote system, and its connector, add to what is stored.

    :param effects: What each group of the person has for an effect, by remote id.
    :param next_step: What the bridge would do next.
    """

    effects: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    next_step: str | None = None


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[CONNECTION] WHO")
@click.option("--ask", is_flag=True, help="Ask the remote system, too: which groups take effect. Needs its secrets.")
@click.option("--history", default=50, show_default=True, type=click.IntRange(1), help="So many entries of the audit.")
@as_json
@click.pass_obj
def person(path: Path | None, words: tuple[str, ...], *, ask: bool, history: int, as_json: bool) -> None:
    """Tell all about WHO: what is wanted, what is there, what waits and why, what was refused, and the history.

    WHO is a userName, or the id that clients know: of somebody who was deleted the id only. Without CONNECTION, every
    connection is looked through. Exit status 1: there is nobody.
    """
    if len(words) > 2:
        raise click.UsageError("name one person: [CONNECTION] WHO")
    connection, who = (None, words[0]) if len(words) == 1 else words
    _tell(path, connection, who, ask=ask, history=history, as_json=as_json)


@click.command()
@click.argument("connection")
@click.argument("user_name")
@as_json
@click.pass_obj
def explain(path: Path | None, connection: str, user_name: str, *, as_json: bool) -> None:
    """Tell why USER_NAME has what they have: short for scim-bridge person --ask."""
    _tell(path, connection, user_name, ask=True, history=50, as_json=as_json)


def _tell(path: Path | None, connection: str | None, who: str, *, ask: bool, history: int, as_json: bool) -> None:
    from scim_bridge.views import person as views
    from scim_bridge.views.requests import about

    looking = Looking(path, connection)
    told = looking.ask(lambda tx: [views.person(tx, one, who, history=history) for one in looking.connections])
    found = [one for one in told if one is not None]
    if not found:
        raise click.ClickException(
            f'nobody in {looking.scope} has the userName or id "{who}"; scim-bridge people lists everybody, of somebody'
            " who was deleted give the id, which scim-bridge departures --who NAME tells"
        )
    if as_json:
        looking.exported("json")
    for one in found:
        asked = asyncio.run(_ask(path, one.connection, one.id)) if ask and isinstance(one, views.Person) else None
        pushes = [
            asdict(each) for each in looking.ask(partial(about, connection_id=one.connection, resource_id=one.id))
        ]
        if as_json:
            document = asdict(one) | {"requests": pushes} | ({} if asked is None else {"asked": asdict(asked)})
            click.echo(json.dumps(document, default=plain))
        elif isinstance(one, views.Person):
            _print(one, asked or Asked())
        else:
            _print_gone(one)
        if not as_json and pushes:
            show("Requests, the newest first", PUSHES, pushes, as_json=False)


def _print(one: "Person", asked: Asked) -> None:
    click.echo(one.sentence)
    click.echo(f"connection {one.connection}, id {one.id}, remote id {one.remote_id or 'none'}, {one.state}")
    if one.missing:
        click.echo(MISSING)
    attributes = [
        {
            "path": each.path,
            "wanted": each.wanted,
            "there": each.there,
            "note": each.note,
        }
        for each in one.attributes
    ]
    show("Attributes", ATTRIBUTES, attributes, as_json=False)
    groups = [
        {
            "name": each.name,
            "wanted": each.wanted,
            "there": each.there,
            "note": "; ".join(filter(None, (asked.effects.get(each.remote_id or ""), _note(each)))),
            "remote_id": each.remote_id,
        }
        for each in one.groups
    ]
    show("Groups", GROUPS, groups, as_json=False)
    for line in asked.notes:
        click.echo(line)
    if asked.next_step is not None:
        click.echo(f"next step: {asked.next_step}")
    show("History", HISTORY, [asdict(entry) for entry in one.history], as_json=False)


def _note(group: "GroupOfPerson") -> str | None:
    return BY_HAND if group.by_hand else "on return" if group.on_return else None


def _print_gone(one: "Gone") -> None:
    click.echo(f"{one.id} was deleted from {one.connection}; the audit chain has no names")
    show("History", HISTORY, [asdict(entry) for entry in one.history], as_json=False)


async def _ask(path: Path | None, connection: str, resource_id: str) -> Asked:
    """Ask the connector of a person, and the remote system, what their groups come to."""
    from scim_bridge.app import opened
    from scim_bridge.config import load_settings
    from scim_bridge.provisioning.situation import situation_of
    from scim_bridge.store import resources

    settings: Settings = load_settings(path, connectors=(connection,))
    async with opened(settings, only=connection) as bridge:
        provisioning = bridge.provisioning(connection)

        def look(tx: "Transaction") -> "Situation | None":
            row = resources.get(tx, connection, "User", resource_id, deleted=True)
            return None if row is None else situation_of(tx, row, provisioning.capabilities)

        situation = await bridge.store.read(look)
        if situation is None:
            return Asked()
        explanation = await _explained(provisioning, situation)
    step = None if situation.step is None else str(situation.step)
    if explanation is None:
        return Asked(next_step=step)
    effects = dict.fromkeys(explanation.effective, "effective")
    effects |= {remote_id: f"shadowed: {why}" for remote_id, why in explanation.shadowed.items()}
    return Asked(effects, (explanation.summary, *explanation.notes), step)


async def _explained(provisioning: "Provisioning", situation: "Situation") -> "Explanation | None":
    """Ask the remote system; of an account it does not have there is nothing to explain."""
    from scim_bridge.errors import ConnectorError
    from scim_bridge.models import Explanation

    if "explain_user" not in provisioning.connector.operations or not situation.seen.present:
        return None
    groups = sorted(situation.desired.links)
    try:
        return await provisioning.connector.explain_user(str(situation.row.remote_id), situation.user(), groups)
    except ConnectorError as error:
        return Explanation(f"the remote system could not be asked: {error.detail}")
