"""What a request that waits is told of refusals: of those that are about what it asked for, and of no others."""

from collections.abc import Sequence

from scim_bridge.errors import RefusedError
from scim_bridge.provisioning.plan import Step, differing
from scim_bridge.provisioning.reversal import PEOPLE_TOLD
from scim_bridge.provisioning.situation import Capabilities, situation_of
from scim_bridge.store import memberships
from scim_bridge.store.rows import ResourceRow, State
from scim_bridge.store.transaction import Transaction


def is_as_asked(tx: Transaction, row: ResourceRow, group_id: str, *, joins: bool) -> bool:
    """Tell whether somebody of whom something was refused is in a group, or out of it, as was asked for.

    What was refused is something else then: a new userName, another group. Whoever asked for that is told.

    :param joins: Whether they are to be in the group.
    """
    groups = memberships.groups_of(tx, row.connection_id, [row.id])[row.id]
    return row.state is State.BLOCKED and joins == any(one.given for one in groups if one.id == group_id)


def only_leaving_is_refused(tx: Transaction, row: ResourceRow, capabilities: Capabilities) -> bool:
    """Tell whether nothing differs but members who cannot leave a group, or groups that a person cannot leave."""
    situation = situation_of(tx, row, capabilities)
    if row.state is not State.PENDING or row.deleted:
        return False
    if row.kind == "User":
        leaves = situation.step is Step.SET_USER_GROUPS and situation.desired.links <= situation.seen.links
        return leaves and not differing(situation.desired, situation.seen)
    return situation.step is Step.REMOVE_GROUP_MEMBERS and situation.but_for_removals(capabilities).step is None


def together(refused: Sequence[RefusedError]) -> RefusedError:
    """Return one refusal that tells of several people."""
    told = [error.detail for error in refused[:PEOPLE_TOLD]]
    more = len(refused) - len(told)
    told += [f"and {more} more"] if more > 0 else []
    return RefusedError("; ".join(told), status=refused[0].status, scim_type=refused[0].scim_type)
