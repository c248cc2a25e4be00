"""Where one resource stands: desired and seen, read from the store, and the values that hooks are given."""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace

from scim_bridge.connections.bound import BoundConnector
from scim_bridge.models import Group, Kind, Lane, Remote, User
from scim_bridge.paths import attributes_of, nested
from scim_bridge.provisioning.plan import REMOVALS, Desired, Seen, Step, next_group_step, next_user_step, same
from scim_bridge.store import memberships, resources
from scim_bridge.store.rows import Observed, ResourceRow, State
from scim_bridge.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What provisioning needs to know of a connector.

    :param operations: Names of the hooks it implements.
    :param user_attributes: Attribute paths of a User that the remote system holds.
    :param group_attributes: The same of a Group.
    :param inactive_is_absent: Whether a deactivated account is not to be found there.
    :param members_per_call: How many members one add or remove hook is given at most.
    :param user_model: The class of Users, with the connector's own extensions.
    """

    operations: frozenset[str]
    user_attributes: frozenset[str]
    group_attributes: frozenset[str]
    inactive_is_absent: bool
    members_per_call: int
    user_model: type[User] = User

    @classmethod
    def of(cls, connector: BoundConnector, user_model: type[User] = User) -> "Capabilities":
        """Read them off a connector."""
        return cls(
            connector.operations,
            connector.user_attributes,
            connector.group_attributes,
            connector.inactive_is_absent,
            connector.members_per_call,
            user_model,
        )

    @property
    def user_centric(self) -> bool:
        """Whether membership is written on the person (``set_user_groups``)."""
        return Step.SET_USER_GROUPS in self.operations

    def attributes(self, kind: Kind) -> frozenset[str]:
        """Return the attribute paths that the remote system holds of a resource type."""
        return self.user_attributes if kind == "User" else self.group_attributes


@dataclass(frozen=True, slots=True)
class Situation:
    """One resource between desired and seen.

    :param probe: Whether the remote system must be asked before anything is written.
    :param step: The next step; ``None`` when nothing differs.
    """

    row: ResourceRow
    desired: Desired
    seen: Seen
    probe: bool
    step: Step | None
    user_model: type[User] = User

    @property
    def is_removal(self) -> bool:
        """Whether the next step takes access away."""
        if self.step is Step.SET_USER_GROUPS:
            return bool(self.seen.links - self.desired.links)
        return self.step in REMOVALS

    @property
    def portion(self) -> frozenset[str]:
        """The remote ids of the members that the next step adds or removes; of any other step none."""
        if self.step is Step.ADD_GROUP_MEMBERS:
            return self.desired.links - self.seen.links
        return self.seen.links - self.desired.links if self.step is Step.REMOVE_GROUP_MEMBERS else frozenset()

    def but_for_removals(self, capabilities: Capabilities) -> "Situation":
        """Return the same of a group as if nobody were to leave it; one that is to be deleted is left first."""
        seen = replace(self.seen, links=frozenset())
        step = next_group_step(self.desired, seen, capabilities.operations) if self.desired.exists else None
        return replace(self, step=step, probe=step is not None and self.row.is_unsure)

    def of_members(self, members: frozenset[str]) -> "Situation":
        """Return the same, about these members of the next step's portion alone."""
        if self.step is Step.ADD_GROUP_MEMBERS:
            return replace(self, desired=replace(self.desired, links=self.desired.links - self.portion | members))
        return replace(self, seen=replace(self.seen, links=self.seen.links - self.portion | members))

    def user(self) -> User:
        """Return the desired User as hooks see it: no id, ``groups`` holding remote ids.

        Its userName is that of the account, if there is one, unless the step is to write the client's.
        """
        document = json.loads(self.row.document)
        document.pop("id", None)
        if self.seen.present and (self.step is not Step.UPDATE_USER or "userName" in self.seen.deferred):
            document["userName"] = self.seen.attributes.get("userName", self.row.name)
        document["groups"] = [{"value": remote_id} for remote_id in sorted(self.desired.links)]
        document["active"] = self.desired.active
        return self.user_model.model_validate(document)

    def user_before(self) -> User:
        """Return the User as it was last seen, with the attributes that the connector keeps."""
        document = nested(self.seen.attributes)
        document["groups"] = [{"value": remote_id} for remote_id in sorted(self.seen.links)]
        return self.user_model.model_validate({**document, "active": self.seen.active})

    def group(self) -> Group:
        """Return the desired Group as hooks see it: no id, no members."""
        document = json.loads(self.row.document)
        document.pop("id", None)
        return Group.model_validate(document)

    def group_before(self) -> Group:
        """Return the Group as it was last seen."""
        return Group.model_validate(nested(self.seen.attributes))


def situation_of(tx: Transaction, row: ResourceRow, capabilities: Capabilities) -> Situation:
    """Work out where a resource stands. Costs what has changed, never the size of a group."""
    wanted, held = _links(tx, row, capabilities)
    observed = row.observed or Observed()
    values = attributes_of(json.loads(row.document), capabilities.attributes(row.kind))
    desired = Desired(
        exists=not row.deleted,
        active=row.active,
        make=row.may_make,
        attributes=dict.fromkeys(observed.cleared) | values,
        links=wanted,
        left=row.kind == "Group" and row.deleted and memberships.is_left(tx, row.connection_id, row.id),
    )
    seen = Seen(
        known=row.remote_id is not None,
        present=observed.present,
        active=observed.active,
        attributes=observed.attributes,
        deferred=frozenset(observed.deferred),
        links=held,
        unfinished=observed.unfinished,
        invited=observed.invited,
    )
    choose = next_user_step if row.kind == "User" else next_group_step
    step = choose(desired, seen, capabilities.operations)
    # Members who were taken out already can be taken out again: nobody waits for an answer about the group.
    probe = row.is_unsure and step is not Step.REMOVE_GROUP_MEMBERS
    return Situation(row, desired, seen, probe, step, capabilities.user_model)


def _links(tx: Transaction, row: ResourceRow, capabilities: Capabilities) -> tuple[frozenset[str], frozenset[str]]:
    """Return the remote ids of links that are desired and that are held.

    Of a group only the members that differ are read; of a person all groups, which are few.
    """
    if row.kind == "User":
        groups = memberships.groups_of(tx, row.connection_id, [row.id]).get(row.id, [])
        known = [(group, group.remote_id) for group in groups if group.remote_id is not None]
        return (
            frozenset(remote_id for group, remote_id in known if group.desired),
            frozenset(remote_id for group, remote_id in known if group.given),
        )
    if capabilities.user_centric:
        return frozenset(), frozenset()
    to_add, to_remove = memberships.unsettled_of_group(tx, row.connection_id, row.id)
    most = capabilities.members_per_call
    joining, leaving = remote_ids_of(tx, row, to_add, most, active=True), remote_ids_of(tx, row, to_remove, most)
    return frozenset(joining), frozenset(leaving)


def remote_ids_of(
    tx: Transaction, group: ResourceRow, user_ids: Collection[str], most: int, *, active: bool = False
) -> list[str]:
    """Return the remote ids of those users that are present in the remote system, ``most`` at most.

    :param active: Whether only those count that are active and meant to be: to nobody else anything is granted.
    """
    found: list[str] = []
    for user_id in user_ids:
        if len(found) == most:
            break
        user = resources.get(tx, group.connection_id, "User", user_id, deleted=True)
        if user is None or user.remote_id is None or user.observed is None or not user.observed.present:
            continue
        if not active or (user.active and user.is_seen_active):
            found.append(user.remote_id)
    return found


def observed_of(
    remote: Remote[User] | Remote[Group], paths: frozenset[str], before: Observed | None = None
) -> Observed:
    """Return what a hook's answer says of the remote state.

    :param before: What was seen before: what the remote system always makes of a value counts as that value.
    """
    document = remote.resource.model_dump()
    active = getattr(remote.resource, "active", None) is not False
    values = attributes_of(document, paths)
    known = {} if before is None else before.rewritten
    rewritten = {path: each for path, each in known.items() if path in values and same(path, values[path], each[1])}
    values |= {path: sent for path, (sent, _, twice) in rewritten.items() if twice}
    deferred = tuple(sorted(remote.deferred))
    return Observed(
        present=True,
        active=active,
        attributes=values,
        deferred=deferred,
        unfinished=remote.unfinished,
        invited=remote.invited and not active,
        holds=None if remote.holds is None else tuple(sorted(remote.holds)),
        rewritten=rewritten,
    )


def rearmed(row: ResourceRow, lane: Lane) -> ResourceRow:
    """Return a row with a new generation, which the driver works on at once."""
    return replace(row, generation=row.generation + 1, state=State.PENDING, lane=lane, attempt=0, not_before=None)


def name_of(resource: User | Group) -> str:
    """Return userName or displayName; empty when there is none."""
    return str((resource.display_name if isinstance(resource, Group) else resource.user_name) or "")


def groups_seen(resource: User | Group) -> frozenset[str] | None:
    """Return the remote ids of the groups an account was seen to hold; ``None`` when the answer could not tell."""
    if isinstance(resource, Group) or resource.groups is None:
        return None
    return frozenset(str(group.value) for group in resource.groups if group.value)
