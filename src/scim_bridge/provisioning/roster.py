"""Comparing who is in which group, where the remote system keeps members on the group."""

from collections.abc import Collection

from scim_bridge.provisioning.situation import Capabilities
from scim_bridge.store import memberships, resources
from scim_bridge.store.engine import Connection
from scim_bridge.store.rows import Ownership, ResourceRow, State


def comparable(
    tx: Connection, person: ResourceRow, remote_ids: Collection[str], capabilities: Capabilities
) -> frozenset[str]:
    """Return those groups that clients manage and in which nothing about a person is on its way.

    Of groups that no client manages, what is held of them is as it should be. Where the groups are on the person, their
    own state tells what is on its way, and the set is whole.
    """
    if capabilities.user_centric:
        return frozenset(remote_ids)
    here = {one.remote_id: one for one in memberships.groups_of(tx, person.connection_id, [person.id])[person.id]}
    found: set[str] = set()
    for remote_id in remote_ids:
        group = resources.find_by_remote_id(tx, person.connection_id, "Group", remote_id)
        if group is None or group.ownership is Ownership.DISCOVERED or group.deleted or group.state is State.HELD:
            continue
        one = here.get(remote_id)
        if one is None or (one.desired and one.observed and not one.doubtful):
            found.add(remote_id)
    return frozenset(found)
