"""What is desired once the remote system has refused: it goes back to what was seen, in what was refused alone."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from scim_bridge.models import Group
from scim_bridge.paths import with_values
from scim_bridge.provisioning.plan import Step, differing
from scim_bridge.provisioning.situation import Capabilities, Situation, name_of
from scim_bridge.store import documents, membership_changes, memberships, resources
from scim_bridge.store.rows import Observed, ResourceRow
from scim_bridge.store.transaction import Transaction

PEOPLE_TOLD = 10
"""How many people a refusal names."""


class Reversal:
    """Takes back what the remote system refused of the resources of one connection."""

    def __init__(self, connection_id: str, capabilities: Capabilities) -> None:
        self.connection_id = connection_id
        self.capabilities = capabilities

    def reverted(self, tx: Transaction, row: ResourceRow, situation: Situation) -> ResourceRow:
        """Let desired go back to observed in what the refused step was about, and in nothing else."""
        match situation.step:
            case Step.CREATE_USER if not row.observed_generation:
                return self.unmade(tx, row)
            case Step.CREATE_USER | Step.REACTIVATE_USER:
                # It is missing, as it was seen to be. To want it inactive would end, later on, what nobody wants ended.
                return replace(row, may_make=False)
            case Step.CREATE_GROUP:
                return self.unmade(tx, row)
            case Step.ADD_GROUP_MEMBERS:
                refused = [user.id for user in self.members(tx, situation)]
                membership_changes.set_desired(tx, self.connection_id, row.id, refused, desired=False)
                resources.touch(tx, self.connection_id, refused)
                row = replace(row, version=row.version + 1)
            case Step.DELETE_GROUP:
                row = self.shown_again(tx, row)
            case Step.UPDATE_USER | Step.UPDATE_GROUP:
                different = differing(situation.desired, situation.seen)
                observed, values = row.observed or Observed(), situation.seen.attributes
                if "userName" in different and observed.called:  # back to what clients know, not to the account's own
                    values = {**values, "userName": observed.called}
                    row = replace(row, observed=replace(observed, deferred=(*observed.deferred, "userName")))
                return self._rewritten(tx, row, different, values)
            case _:
                pass  # a removal is never reverted
        return row

    def unmade(self, tx: Transaction, row: ResourceRow) -> ResourceRow:
        """Take back a creation that was refused; a User that was there once, and clients know, is inactive."""
        if row.kind == "User" and row.observed_generation:
            return self._rewritten(tx, replace(row, active=False), {"active"}, {"active": False})
        if row.kind == "User":
            membership_changes.remove_user(tx, self.connection_id, row.id, doubtful=False)
        else:
            membership_changes.remove_group(tx, self.connection_id, row.id, doubtful=False)
        return replace(row, deleted=True, active=False)

    def members(self, tx: Transaction, situation: Situation) -> list[ResourceRow]:
        """Return the people whom a step about members was about."""
        find = resources.find_by_remote_id
        found = [find(tx, self.connection_id, "User", one) for one in sorted(situation.portion)]
        return [user for user in found if user is not None]

    def named(self, tx: Transaction, situation: Situation) -> str:
        """Return the beginning of a refusal that says whose it is."""
        names = [user.name for user in self.members(tx, situation)]
        more = [f"{len(names) - PEOPLE_TOLD} more"] if len(names) > PEOPLE_TOLD else []
        return ", ".join(names[:PEOPLE_TOLD] + more) + ": " if names else ""

    def withdraw_additions(self, tx: Transaction, row: ResourceRow) -> ResourceRow:
        """Want a person no longer in the groups that were not seen to be held; what is read is another version then."""
        groups = memberships.groups_of(tx, self.connection_id, [row.id])[row.id]
        refused = [group.id for group in groups if group.desired and not group.observed]
        for group_id in refused:
            membership_changes.set_desired(tx, self.connection_id, group_id, [row.id], desired=False)
        resources.touch(tx, self.connection_id, refused)
        return replace(row, version=row.version + 1) if refused else row

    def _rewritten(
        self, tx: Transaction, row: ResourceRow, paths: Collection[str], values: Mapping[str, Any]
    ) -> ResourceRow:
        """Write these values into the desired document; a name stays when none was seen."""
        name = "userName" if row.kind == "User" else "displayName"
        named = {path for path in paths if path in values or path != name}
        for path in named & {name}:
            holder = resources.find_by_name(tx, self.connection_id, row.kind, str(values[path]))
            if row.unique_name and holder is not None and holder.id != row.id:
                # Somebody else has the old name by now: it cannot go back, and is not asked for again in vain.
                named = named - {path}
                observed = row.observed or Observed()
                row = replace(row, observed=replace(observed, deferred=(*observed.deferred, path)))
        document = with_values(json.loads(row.document), named, values)
        resource = (self.capabilities.user_model if row.kind == "User" else Group).model_validate(document)
        row = replace(row, name=name_of(resource), document=documents.encode(resource, row.id), version=row.version + 1)
        resources.save(tx, row, resource)
        return row

    def shown_again(self, tx: Transaction, row: ResourceRow) -> ResourceRow:
        """Return a resource whose deletion was refused as one that is there, unless its name is another's by now.

        It is not ``active``: a User has still to lose its access; a Group, which its client wants no longer, is taken
        over by whoever pushes its name again.
        """
        if not row.deleted or resources.find_by_name(tx, self.connection_id, row.kind, row.name) is not None:
            return row
        if row.kind == "Group":
            return replace(row, deleted=False, shown_active=False, version=row.version + 1)
        row = self._rewritten(tx, row, {"active"}, {"active": False})
        return replace(row, deleted=False, shown_active=row.is_seen_active)
