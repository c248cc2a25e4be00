"""Writes of Groups: the transactions that turn them into desired state.

Membership is rows, and a change of it costs what it changes. Where the remote system keeps membership on the person,
it is the persons that get a new generation; where it keeps it on the group, the group.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from scim2_models import ForbiddenException

from scim_bridge.models import Group, Lane
from scim_bridge.provisioning.intake import Accepted, Check, Intake, nested_groups, taken, unknown_members
from scim_bridge.provisioning.journal import record
from scim_bridge.provisioning.situation import name_of
from scim_bridge.store import documents, membership_changes, memberships, resources
from scim_bridge.store.rows import MemberDelta, MembershipChange, Ownership, ResourceRow, State, net
from scim_bridge.store.transaction import Transaction

Change = Callable[[Group], Group | None]

BY_ROLES = 'the operator of the bridge has set assign = "roles"'


class GroupIntake:
    """Accepts creations, changes and deletions of the Groups of one connection."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake

    def create(self, tx: Transaction, group: Group) -> Accepted:
        """Accept a creation (RFC 7644 §3.3).

        A group of the remote system that no client has written yet, or whose deletion was refused, is taken over by
        name. Those who are in it stay: clients create groups empty and add people afterwards, and that must not empty a
        group that is in use.

        :raises UniquenessException: When a Group of this connection has the displayName.
        """
        name = str(group.display_name)
        deltas = [MemberDelta("add", tuple(str(member.value) for member in group.members or [] if member.value))]
        row = resources.find_by_name(tx, self.intake.connection_id, "Group", name, lock=True)
        free = row is not None and (row.ownership is Ownership.DISCOVERED or not row.active)
        row = row and _wanted(row)
        if row is not None and self.intake.is_repeat(row, group):
            return replace(self._members(tx, self.intake.untouched(tx, row), deltas), repeated=True)
        if row is not None and free:
            row = self.intake.store(tx, row, group, lane=Lane.CREATE, matters=self.intake.matters(row, group))
            return self._members(tx, row, deltas)
        if row is not None and not self.intake.policy.duplicate_group_names:
            raise taken("Group")
        unique = not self.intake.policy.duplicate_group_names
        return self._members(tx, self.intake.insert(tx, "Group", group, unique=unique), deltas, new=True)

    def modify(
        self, tx: Transaction, group_id: str, change: Change | None, deltas: Sequence[MemberDelta], check: Check
    ) -> Accepted:
        """Accept a replacement or a modification (RFC 7644 §3.5).

        :param change: Changes the attributes of a Group without members; ``None`` when only members change.
        :raises NotFoundException: When there is no such Group.
        :raises InvalidValueException: When a member is unknown and the policy refuses such.
        """
        row = self.intake.live(tx, "Group", group_id)
        check(row.etag)
        row = _wanted(row)
        group = change(documents.decode(row, Group)) if change is not None else None
        row = self.intake.untouched(tx, row) if group is None else self._changed(tx, row, group)
        accepted = self._members(tx, row, deltas)
        if group is None and row.remote_id is None and self.intake.capabilities.user_centric and _only_leave(deltas):
            return replace(accepted, waits={}, then_members=False)  # nobody has it: whoever is to leave it is out
        return accepted

    def _changed(self, tx: Transaction, row: ResourceRow, group: Group) -> ResourceRow:
        """Store new attributes of a group. Whoever is still to get it counts under the name that it has then."""
        guard, renamed = self.intake.guard, replace(row, name=name_of(group))
        guard.bind(tx, row)
        joining: frozenset[str] = frozenset()
        if guard.is_privileged(tx, renamed) and not guard.is_privileged(tx, row):
            joining = frozenset(memberships.unsettled_of_group(tx, self.intake.connection_id, row.id)[0])
        hold = not self.intake.capabilities.user_centric and guard.hold_grants(tx, renamed, len(joining))
        matters = hold or self.intake.matters(row, group)
        row = self.intake.store(tx, row, group, lane=Lane.UPDATE, matters=matters, hold=hold)
        if self.intake.capabilities.user_centric:
            self._hold(tx, self._grants_to_hold(tx, row, joining))
        return row

    def delete(self, tx: Transaction, group_id: str, check: Check) -> Accepted:
        """Accept a deletion (RFC 7644 §3.6): its members lose it first, then the group goes.

        Whoever is in it although no client manages them stays, and the group with them: it is nobody's again, under a
        new id.

        :raises NotFoundException: When there is no such Group.
        :raises ForbiddenException: When no client has ever written it and the policy protects such groups.
        """
        pending = resources.get(tx, self.intake.connection_id, "Group", group_id, lock=True, deleted=True)
        if pending is not None and pending.deleted and pending.state in {State.PENDING, State.HELD}:
            row = self.intake.untouched(tx, pending)
            return self._deleted(tx, row, frozenset())
        row = self.intake.live(tx, "Group", group_id)
        check(row.etag)
        if row.ownership is Ownership.DISCOVERED and self.intake.policy.delete_unowned != "delete":
            raise ForbiddenException(
                detail="no client has written this group, nothing was changed; delete_unowned may allow its deletion"
            )
        change = membership_changes.remove_group(
            tx,
            self.intake.connection_id,
            row.id,
            keep_unmanaged=self.intake.policy.unmanaged_members == "keep",
            two_ways=self.intake.policy.assign == "both",
        )
        self.intake.guard.permit_members(tx, row, change)
        hold = not self.intake.capabilities.user_centric and self.intake.guard.hold_removals(tx, change.removed)
        row = replace(
            self.intake.rearm(tx, row, Lane.REMOVE, hold=hold),
            deleted=True,
            active=False,
            modified_at=self.intake.clock(),
        )
        resources.save(tx, row)
        self.intake.record(tx, row, "delete", stayed=change.stayed)
        return replace(self._deleted(tx, row, change.removed), stayed=len(change.stayed))

    def _deleted(self, tx: Transaction, row: ResourceRow, affected: Collection[str]) -> Accepted:
        waits = self.intake.waits_of(row)
        if self.intake.capabilities.user_centric:
            held = self._removals_to_hold(tx, affected)
            self.intake.guard.withdraw_held(tx, affected)
            self._doubt(tx, row, affected)
            bumped = resources.bump(tx, self.intake.connection_id, affected, lane=Lane.REMOVE, now=self.intake.clock())
            self._hold(tx, held)
            return Accepted(row, waits | bumped, frozenset({row.id, *bumped}), then_members=True)
        looks = self._bump_returned(tx, affected)
        return Accepted(row, waits | looks, frozenset({row.id, *looks}))

    def _bump_returned(self, tx: Transaction, leaving: Collection[str]) -> dict[str, int]:
        """Have those looked at who may have been let in by hand, where members are on the group."""
        now = self.intake.clock()
        return resources.bump(tx, self.intake.connection_id, self._look_again(tx, leaving), lane=Lane.REMOVE, now=now)

    def asked_by_role(self, tx: Transaction, row: ResourceRow, deltas: Sequence[MemberDelta]) -> Accepted:
        """Accept that the roles of a person ask for a group, or no longer do."""
        return self._members(tx, row, deltas, by_role=True)

    def _members(
        self,
        tx: Transaction,
        row: ResourceRow,
        deltas: Sequence[MemberDelta],
        *,
        new: bool = False,
        by_role: bool = False,
    ) -> Accepted:
        """Apply member deltas and hand what they change to the driver.

        :param new: Whether the group was just made: its first members are part of its first version (RFC 7643 §3.1).
        :param by_role: Whether it is the roles of the members that say so.
        :raises ForbiddenException: When a group adds people though only roles are to.
        """
        policy = self.intake.policy
        keep = policy.unmanaged_members == "keep"
        change = membership_changes.apply(
            tx,
            self.intake.connection_id,
            row.id,
            deltas,
            self.intake.clock(),
            keep_unmanaged=keep,
            by_role=by_role,
            two_ways=policy.assign == "both",
        )
        if change.added and not by_role and policy.assign == "roles":
            raise ForbiddenException(detail=f"nobody is added through groups here: {BY_ROLES}; nothing was changed")
        nested = frozenset(
            group.id for group in resources.get_many(tx, self.intake.connection_id, "Group", change.unknown)
        )
        if nested and policy.nested_groups == "refuse":
            raise nested_groups(nested)
        named, _, complete = net(deltas)
        # A list of which nobody is known is one of ids that are no longer true, not one of nobody.
        if change.unknown and (policy.unknown_members == "refuse" or (complete and change.unknown == named)):
            raise unknown_members(change.unknown)
        if not self.intake.capabilities.user_centric and row.remote_id is not None:
            change = replace(change, removed=change.removed.union(self._unseen(tx, row, net(deltas)[1])))
        unknown = sorted(change.unknown - nested)
        warnings = tuple(f"member {one} is not a User of this connection" for one in unknown)
        self.intake.guard.permit_members(tx, row, change)
        if (change.added or change.removed) and not new:
            row = replace(row, modified_at=self.intake.clock(), version=row.version + 1)
            resources.save(tx, row)
        if self.intake.capabilities.user_centric:
            accepted = self._bump_people(tx, row, change, deltas)
        else:
            accepted = self._bump_group(tx, row, change, deltas)
        return replace(accepted, warnings=warnings, nested=len(nested), stayed=len(change.stayed))

    def _unseen(self, tx: Transaction, row: ResourceRow, named: Collection[str]) -> list[str]:
        """Return those whom a client names in a removal though they were never seen in the group, and have it sent.

        They may have been let in by hand since the last comparison: that nothing is known of it is not that they are
        out. A call about somebody who is not in it is success.
        """
        users = resources.get_many(tx, self.intake.connection_id, "User", named)
        there = [user.id for user in users if user.remote_id and user.observed and user.observed.present]
        return membership_changes.suspect(tx, self.intake.connection_id, row.id, there)

    def _bump_people(
        self, tx: Transaction, row: ResourceRow, change: MembershipChange, deltas: Sequence[MemberDelta]
    ) -> Accepted:
        """Give the persons concerned a new generation.

        A group that the remote system does not have yet has nothing to grant: its members are handed over in the
        transaction that records its remote id.
        """
        waits = self.intake.waits_of(row)
        if row.remote_id is None:
            self._hold(tx, self._grants_to_hold(tx, row, change.added))
            return Accepted(row, waits, then_members=True)
        now = self.intake.clock()
        held = self._removals_to_hold(tx, change.removed) | self._grants_to_hold(tx, row, change.added)
        self.intake.guard.withdraw_held(tx, change.removed)
        leaving = change.removed | self._doubt(tx, row, change.removed.union(net(deltas)[1]))
        removed = resources.bump(tx, self.intake.connection_id, leaving, lane=Lane.REMOVE, now=now)
        added = resources.bump(tx, self.intake.connection_id, change.added, lane=Lane.UPDATE, now=now)
        self._hold(tx, held)
        if removed or added:
            self.intake.record(tx, row, "members", paths=["members"], stayed=change.stayed)
        earlier, late = self._unfinished(tx, row, deltas)
        return Accepted(row, waits | earlier | removed | added, late | frozenset(removed))

    def _doubt(self, tx: Transaction, row: ResourceRow, leaving: Collection[str]) -> frozenset[str]:
        """Return those who are to leave a group, and may be in it by hand although they were not seen in it.

        They are looked at before it is answered: what was seen of them may be older than what somebody gave them.
        """
        found = resources.get_many(tx, self.intake.connection_id, "User", leaving, lock=True)
        inside = {user.id: user for user in found if user.active and user.is_seen_active}
        suspected = membership_changes.suspect(tx, self.intake.connection_id, row.id, inside)
        for one in suspected:
            resources.save(tx, replace(inside[one], ambiguous=True))
        return self._look_again(tx, leaving).union(suspected)

    def _look_again(self, tx: Transaction, leaving: Collection[str]) -> frozenset[str]:
        """Return those who are to leave a group and are not known to be out, though they are to be, or were seen to be.

        Somebody may have let them in by hand since, or given them the group before the end of their access is done, be
        it that of a User who is deleted.
        """
        found = resources.get_many(tx, self.intake.connection_id, "User", leaving, lock=True, deleted=True)
        unsure = [
            user for user in found if _is_ending(user) or (not user.deleted and self.intake.may_have_returned(user))
        ]
        for user in unsure:
            resources.save(tx, replace(user, ambiguous=True))
        return frozenset(user.id for user in unsure)

    def _removals_to_hold(self, tx: Transaction, ids: Collection[str]) -> frozenset[str]:
        """Count people who lose a group, and return those who are held; not who is losing everything already."""
        if not self.intake.guard.hold_removals(tx, ids):
            return frozenset()
        return frozenset(ids) - {user.id for user in self._being_removed(tx, ids) if not user.active}

    def _grants_to_hold(self, tx: Transaction, row: ResourceRow, ids: Collection[str]) -> frozenset[str]:
        """Count people who get a group, and return those who are held.

        Who is losing something at the moment is not, or that would wait as well: of them the grant is withdrawn.
        """
        if not self.intake.guard.hold_grants(tx, row, len(ids)):
            return frozenset()
        leaving = self._being_removed(tx, ids)
        for user in leaving:
            self.intake.guard.withdraw_grants(tx, user)
        return frozenset(ids) - {user.id for user in leaving}

    def _being_removed(self, tx: Transaction, ids: Collection[str]) -> list[ResourceRow]:
        """Return those of these people of whom a removal is on its way; to be asked before they are handed over."""
        users = resources.get_many(tx, self.intake.connection_id, "User", ids, deleted=True)
        return [user for user in users if user.state is State.PENDING and user.lane is Lane.REMOVE]

    def _hold(self, tx: Transaction, ids: Collection[str]) -> None:
        """Hold people for an operator whose groups are changing in unusual numbers."""
        release = self.intake.clock() + self.intake.policy.guard.hold
        for user in resources.get_many(tx, self.intake.connection_id, "User", ids, lock=True, deleted=True):
            resources.save(tx, replace(user, state=State.HELD, not_before=release))
            record(tx, user, "guard", now=self.intake.clock(), decision="held")

    def _unfinished(
        self, tx: Transaction, row: ResourceRow, deltas: Sequence[MemberDelta]
    ) -> tuple[dict[str, int], frozenset[str]]:
        """Return the people named here whose earlier change is still on its way, and those of them who leave.

        Without it, the retry of a request that was answered 429 would find its change already desired and claim it
        done. What was refused of it is tried again at once.
        """
        joining, leaving = self._on_their_way(tx, row, deltas)
        waits = {}
        for user in resources.get_many(
            tx, self.intake.connection_id, "User", leaving | joining, lock=True, deleted=True
        ):
            if user.state is not State.SETTLED:
                waits[user.id] = user.generation
                if user.state is State.PENDING and user.refusal is not None:
                    resources.save(tx, replace(user, not_before=None, refusal=None))
        return waits, leaving.intersection(waits)

    def _on_their_way(
        self, tx: Transaction, row: ResourceRow, deltas: Sequence[MemberDelta]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Return who of those whom these deltas are about is still to join the group, and who still to leave."""
        named = {member for delta in deltas for member in delta.ids}
        whole = any(delta.action == "replace" for delta in deltas)
        to_add, to_remove = memberships.unsettled_of_group(tx, self.intake.connection_id, row.id)
        return frozenset(named.intersection(to_add)), frozenset(to_remove if whole else named.intersection(to_remove))

    def _bump_group(
        self, tx: Transaction, row: ResourceRow, change: MembershipChange, deltas: Sequence[MemberDelta]
    ) -> Accepted:
        """Give the group a new generation, and its persons a new version: their ``groups`` read differently now."""
        if change.added or change.removed:
            hold = self.intake.guard.hold_removals(tx, change.removed)
            hold |= self.intake.guard.hold_grants(tx, row, len(change.added))
            lane = Lane.REMOVE if change.removed else Lane.UPDATE
            row = self.intake.rearm(tx, row, lane, hold=hold, keep=change.added)
            resources.save(tx, row)
            resources.touch(tx, self.intake.connection_id, change.added | change.removed)
            self.intake.record(tx, row, "members", paths=["members"], stayed=change.stayed)
        waits = self.intake.waits_of(row)
        removes = bool(change.removed) or (bool(waits) and bool(self._on_their_way(tx, row, deltas)[1]))
        looks = self._bump_returned(tx, change.removed.union(net(deltas)[1]))
        return Accepted(row, waits | looks, frozenset({row.id} if removes else ()) | frozenset(looks))


def _wanted(row: ResourceRow) -> ResourceRow:
    """Return a group as one that its client wants: it writes it, whatever became of an earlier deletion."""
    return row if row.active else replace(row, active=True, shown_active=True)


def _only_leave(deltas: Sequence[MemberDelta]) -> bool:
    """Whether member deltas take people out, and nothing else."""
    return bool(deltas) and all(delta.action == "remove" for delta in deltas)


def _is_ending(user: ResourceRow) -> bool:
    """Whether somebody's access is still to be taken away."""
    return not user.active and user.is_seen_active
