"""When a group of the remote system outlives the Group that stood for it, and another Group takes its place.

A client may delete a group and push it again before everybody has left it, and a deleted group may have members whom no
client manages. Either way one group of the remote system stands for one Group at most, and what people were seen to
hold of it is not forgotten.
"""

from dataclasses import replace
from datetime import datetime

from scim_bridge.errors import RemoteUnavailableError
from scim_bridge.models import Group
from scim_bridge.provisioning.guard import inherit
from scim_bridge.store import documents, memberships, resources
from scim_bridge.store.engine import Connection
from scim_bridge.store.rows import Ownership, ResourceRow, State

OPERATOR = 30.0
"""Seconds after which it is looked again whether an operator has decided on a deletion."""


def succeed(tx: Connection, former: ResourceRow, row: ResourceRow, *, now: datetime) -> ResourceRow:
    """Let a Group that was found to be the same group as a deleted one take its place, with who still holds it.

    Whoever could not leave the former is shown in the new one until they have left, and holds up nobody else.

    :raises RemoteUnavailableError: When a call about the former is under way, or an operator has to decide on it.
    """
    if former.ambiguous or former.state is State.HELD:
        seconds = OPERATOR if former.state is State.HELD else 1.0
        raise RemoteUnavailableError("a deletion of the same group is under way", ambiguous=False, retry_after=seconds)
    memberships.hand_over(tx, row.connection_id, former.id, row.id)
    inherit(tx, row.connection_id, former.id, row.id, now)
    resources.remove(tx, former.connection_id, former.id)
    return replace(row, lane=min(row.lane, former.lane), version=row.version + 1)


def let_go(tx: Connection, row: ResourceRow, resource_id: str, *, now: datetime) -> None:
    """Keep a deleted group for the members whom no client manages: it is nobody's, under an id that was never used."""
    if resources.find_by_name(tx, row.connection_id, "Group", row.name) is not None:
        resources.remove(tx, row.connection_id, row.id)  # it was pushed again, and is about to be taken over
        return
    document = documents.decode(row, Group)
    document.external_id = None
    heir = replace(
        row,
        id=resource_id,
        document=documents.encode(document, resource_id),
        external_id=None,
        created_at=now,
        modified_at=now,
        active=True,
        shown_active=True,
        generation=1,
        observed_generation=1,
        ownership=Ownership.DISCOVERED,
        state=State.SETTLED,
        attempt=0,
        not_before=None,
        ambiguous=False,
        deleted=False,
        version=1,
    )
    resources.replace(tx, replace(row, remote_id=None))
    resources.insert(tx, heir, document)
    memberships.hand_over(tx, row.connection_id, row.id, heir.id)
    inherit(tx, row.connection_id, row.id, heir.id, now)
    resources.remove(tx, row.connection_id, row.id)
