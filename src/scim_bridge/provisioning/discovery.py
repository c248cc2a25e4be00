"""Taking over what the remote system already has: accounts and groups that no client has written.

They are listed and found like any other, owned by nobody until a client writes them, and never changed before that.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from scim_bridge.models import Entitlement, Group, Kind, Lane, Remote, User
from scim_bridge.provisioning.guard import Guard
from scim_bridge.provisioning.situation import Capabilities, groups_seen, name_of, observed_of
from scim_bridge.provisioning.succession import take_name
from scim_bridge.store import documents, membership_changes, memberships, resources
from scim_bridge.store.rows import Ownership, ResourceRow, State
from scim_bridge.store.transaction import Transaction


class Discovery:
    """Records accounts and groups as the remote system shows them, for one connection.

    :param guard: Told of groups that are renamed in the remote system.
    :param forgotten: When each deleted account was deleted, by remote id.
    """

    def __init__(
        self,
        connection_id: str,
        capabilities: Capabilities,
        guard: Guard,
        *,
        new_id: Callable[[], str],
        clock: Callable[[], datetime],
        forgotten: Mapping[str, datetime],
    ) -> None:
        self.connection_id = connection_id
        self.capabilities = capabilities
        self.guard = guard
        self.forgotten = forgotten
        self.new_id = new_id
        self.clock = clock

    def known(self, tx: Transaction, kind: Kind, remote: Remote[User] | Remote[Group]) -> ResourceRow | None:
        """Return the row of an account or group, by remote id, else by name when its own is not there (yet)."""
        row = resources.find_by_remote_id(tx, self.connection_id, kind, remote.remote_id)
        if row is not None:
            return row
        named = resources.find_by_name(tx, self.connection_id, kind, name_of(remote.resource))
        if named is None or named.remote_id is None:
            return named
        return named if named.observed is not None and not named.observed.present else None

    def in_the_way(self, tx: Transaction, kind: Kind, remote: Remote[User] | Remote[Group]) -> ResourceRow | None:
        """Return what keeps the store from having an account or group: it stands for another one, and has its name."""
        if self.known(tx, kind, remote) is not None:
            return None
        return resources.find_by_name(tx, self.connection_id, kind, name_of(remote.resource))

    def take(
        self, tx: Transaction, kind: Kind, remote: Remote[User] | Remote[Group], *, asked: datetime
    ) -> ResourceRow | None:
        """Record something the store does not know yet; ``None`` when it does, or when a client deleted it meanwhile.

        :param asked: When the remote system was asked: before it answered.
        """
        if self.known(tx, kind, remote) is not None or not name_of(remote.resource):
            return None
        deleted = self.forgotten.get(remote.remote_id)
        if deleted is not None and deleted >= asked:
            return None
        named = resources.find_by_name(tx, self.connection_id, kind, name_of(remote.resource))
        if named is not None and named.observed is not None and named.observed.present and named.observed.called:
            # Its account is called otherwise by now, and this one has its name.
            take_name(tx, named, str(named.observed.attributes["userName"]), self.capabilities, now=self.clock())
            named = resources.find_by_name(tx, self.connection_id, kind, name_of(remote.resource))
        if named is not None:
            return None
        row = self._row(kind, remote)
        resources.insert(tx, row, remote.resource)
        if kind == "User":
            self._memberships(tx, row, remote, asked=asked)
        return row

    def group_of(self, tx: Transaction, one: Entitlement) -> ResourceRow | None:
        """Return the group that gives an entitlement; one that the store does not have is taken over."""
        row = resources.find_by_remote_id(tx, self.connection_id, "Group", one.remote_id)
        if row is not None:
            return row
        group = Remote(one.remote_id, Group(display_name=one.name))
        return self.take(tx, "Group", group, asked=self.clock())

    def refresh(
        self, tx: Transaction, row: ResourceRow, remote: Remote[User] | Remote[Group], *, asked: datetime
    ) -> ResourceRow:
        """Bring a row that no client owns up to what the remote system shows now.

        :param asked: When the remote system was asked: before it answered.
        """
        # A client may have written it since it was read; then it is the client's, and what the listing showed is old.
        fresh_row = resources.get(tx, self.connection_id, row.kind, row.id, lock=True)
        if fresh_row != row or row.ownership is not Ownership.DISCOVERED or row.state is not State.SETTLED:
            return fresh_row or row
        fresh = self._row(row.kind, remote)
        updated = replace(
            row, name=fresh.name, document=documents.encode(remote.resource, row.id), active=fresh.active,
            shown_active=fresh.active, observed=fresh.observed, remote_id=remote.remote_id,
        )  # fmt: skip
        if updated != row:
            if row.kind == "Group":
                self.guard.bind(tx, row)
            updated = replace(updated, modified_at=self.clock(), version=row.version + 1)
            resources.save(tx, updated, remote.resource)
        if row.kind == "User":
            self._memberships(tx, updated, remote, asked=asked)
        return updated

    def _row(self, kind: Kind, remote: Remote[User] | Remote[Group]) -> ResourceRow:
        now = self.clock()
        resource_id = self.new_id()
        observed = observed_of(remote, self.capabilities.attributes(kind))
        if not isinstance(remote.resource, Group):
            remote.resource.active = observed.active
        return ResourceRow(
            connection_id=self.connection_id,
            id=resource_id,
            kind=kind,
            name=name_of(remote.resource),
            document=documents.encode(remote.resource, resource_id),
            created_at=now,
            modified_at=now,
            remote_id=remote.remote_id,
            active=observed.active,
            shown_active=observed.active,
            observed_generation=1,
            observed=observed,
            ownership=Ownership.DISCOVERED,
            state=State.SETTLED,
        )

    def _memberships(
        self, tx: Transaction, row: ResourceRow, remote: Remote[User] | Remote[Group], *, asked: datetime
    ) -> None:
        """Record the groups of an account; what it holds is what is desired of it until a client says otherwise.

        So what was taken from it by hand is desired no more, unless a client has named the person in the group. A group
        whose members were written since the account was read is left as it is.
        """
        seen = groups_seen(remote.resource)
        if seen is None:
            return
        found = [resources.find_by_remote_id(tx, self.connection_id, "Group", one) for one in sorted(seen)]
        before = memberships.groups_of(tx, self.connection_id, [row.id])[row.id]
        ids = {group.id for group in found if group is not None}
        written = {one for one in ids.union(group.id for group in before) if self._is_written(tx, one, asked)}
        if not self.capabilities.user_centric:
            written |= {one.id for one in before if one.desired != one.observed or one.doubtful}
        groups = sorted(ids - written)
        kept = {one.id for one in before if one.observed and one.id in written}
        lost = {one.id for one in before if one.desired and not one.named}.difference(groups, written)
        membership_changes.observe_user(tx, self.connection_id, row.id, kept.union(groups))
        for group_id in groups:
            membership_changes.set_desired(tx, self.connection_id, group_id, [row.id], desired=True)
        for group_id in lost:
            membership_changes.set_desired(tx, self.connection_id, group_id, [row.id], desired=False)
        changed = lost.union(groups).difference({group.id for group in before} - lost)
        if changed:
            resources.touch(tx, self.connection_id, {row.id, *changed})
        if not self.capabilities.user_centric:
            # Whom a client has named, and who was taken out by hand, is put in again.
            again = {one.id for one in before if one.desired and one.observed and one.named}.difference(ids, written)
            resources.bump(tx, self.connection_id, again, lane=Lane.UPDATE, now=self.clock())

    def _is_written(self, tx: Transaction, group_id: str, asked: datetime) -> bool:
        """Whether the members of a group, kept there, were written since the account was read."""
        if self.capabilities.user_centric:
            return False
        group = resources.get(tx, self.connection_id, "Group", group_id, deleted=True)
        return group is None or group.modified_at >= asked
