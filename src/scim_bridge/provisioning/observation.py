"""What the remote system was seen to hold of a resource: the one writer of it.

Whatever the occasion (a probe, the answer of a hook, a comparison), the same functions write it down, and hand to the
driver whom it concerns: the members of a group that is there now, the groups of an account that is there again.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from scim_bridge.models import Group, Lane, Remote, User
from scim_bridge.provisioning.plan import differing, same
from scim_bridge.provisioning.situation import Capabilities, Situation, groups_seen, observed_of
from scim_bridge.provisioning.succession import part, refuse_unsettled, standing, succeed
from scim_bridge.store import membership_changes, memberships, resources
from scim_bridge.store.rows import Membership, Observed, Ownership, ResourceRow, State
from scim_bridge.store.transaction import Transaction

Answer = Remote[User] | Remote[Group] | None
"""What a hook returned; ``None``: nothing, or that there is nothing."""


class Observation:
    """Writes what was seen, for one connection. A row comes back changed; whoever asked writes it."""

    def __init__(self, connection_id: str, capabilities: Capabilities, *, clock: Callable[[], datetime]) -> None:
        self.connection_id = connection_id
        self.capabilities = capabilities
        self.clock = clock

    # -- An account or group ---------------------------------------------------------------------------------------

    def present(
        self, tx: Transaction, row: ResourceRow, answer: Remote[User] | Remote[Group], *, made: bool = False
    ) -> ResourceRow:
        """Take over what an answer shows of an account or group.

        What is first seen otherwise than in the answer to its own creation counts as adopted: that creation may have
        found it there, and its answer was lost.

        :param made: Whether the answer is that of the call that made or reactivated it.
        :raises RemoteUnavailableError: While a change of another User of this account is under way.
        """
        first, was_in = row.remote_id is None, row.is_seen_active
        former = standing(tx, row, answer.remote_id)
        if former is not None:
            row = self._in_place_of(tx, former, row, anew=first and made and not answer.existed)
        observed = _called(row, observed_of(answer, self.capabilities.attributes(row.kind), row.observed))
        row = replace(holding(row, answer), remote_id=answer.remote_id, observed=observed)
        adopted = first and (answer.existed or not made)
        if adopted:
            row = replace(row, ownership=Ownership.ADOPTED)
        if row.kind == "Group":
            if first:
                self._wake_members(tx, row)
            return row
        # What the account of another person holds is not theirs to keep.
        unmanaged = adopted and (former is None or former.ownership is Ownership.DISCOVERED)
        if self.capabilities.user_centric:
            if row.ownership is Ownership.DISCOVERED and observed.active:
                held = self._known(tx, groups_seen(answer.resource) or ())
                follow_by_hand(tx, self.connection_id, row.id, {group.id for group in held})
            elif not (first or made) and was_in and observed.active:
                row = self._without_lost(tx, row, answer)
            return self.groups(tx, row, answer, otherwise=frozenset(), keep_unmanaged=unmanaged)
        return self._memberships(tx, row, answer, anew=made)

    def _in_place_of(self, tx: Transaction, former: ResourceRow, row: ResourceRow, *, anew: bool) -> ResourceRow:
        """Take the place of the resource that stood for the same remote object.

        :param anew: Whether the object was just made: what stood for it has lost it, whatever is under way.
        """
        if row.kind == "Group":
            return succeed(tx, former, row, now=self.clock())
        if not anew:
            refuse_unsettled(former)
        part(tx, former, row)
        return row

    def vanished(self, tx: Transaction, row: ResourceRow) -> ResourceRow:
        """Take over that something is not there, and was not taken away by the bridge.

        What nobody but the remote system has put a person into went with their account: who is made anew does not get
        it unasked.
        """
        if row.kind == "User" and row.observed is not None and row.observed.present:
            row = self._without_lost(tx, row, None)
        return self.absent(tx, row)

    def _without_lost(self, tx: Transaction, row: ResourceRow, answer: Answer) -> ResourceRow:
        """Take over what somebody lost by hand that no client has put them into, if the answer tells."""
        seen = frozenset[str]() if answer is None else groups_seen(answer.resource)
        if seen is None:
            return row
        groups = memberships.groups_of(tx, self.connection_id, [row.id])[row.id]
        lost = {str(group.remote_id) for group in groups} - seen
        return replace(row, version=row.version + follow_loss(tx, self.connection_id, row.id, lost))

    def absent(self, tx: Transaction, row: ResourceRow) -> ResourceRow:
        """Take over that the remote system has no such account or group, and so nobody in it and it in nothing.

        Under which userName an account was last seen is kept: it may come back under another one.
        """
        if row.kind == "User":
            row = self._seen_in(tx, row, [])
            before = row.observed or Observed()
            name = {path: value for path, value in before.attributes.items() if path == "userName"}
            gone = replace(before, present=False, active=False, invited=False, attributes=name, deferred=(), sent="")
            holds = None if gone.holds is None else ()
            return replace(row, observed=replace(gone, holds=holds, rewritten={}))
        if not row.deleted:
            resources.touch(tx, self.connection_id, membership_changes.observe_absence(tx, self.connection_id, row.id))
            row = replace(row, remote_id=None)
        return replace(row, observed=Observed())

    def deactivated(self, tx: Transaction, row: ResourceRow, situation: Situation) -> ResourceRow:
        """Take over that an account has been deactivated."""
        if self.capabilities.inactive_is_absent:
            row = self.absent(tx, row)
        else:
            observed = replace(row.observed or Observed(), present=situation.seen.present, active=False, invited=False)
            row = replace(row, observed=observed)
        return self.finished(row)

    @staticmethod
    def finished(row: ResourceRow) -> ResourceRow:
        """Take over that a person has one account, or none."""
        return replace(row, observed=replace(row.observed or Observed(), unfinished=False))

    def updated(self, tx: Transaction, row: ResourceRow, situation: Situation, answer: Answer) -> ResourceRow:
        """Take what was sent as what is held: systems trim and fold values, and that is no difference to repair.

        Values that the remote system defers stay as they were seen. The account may be another one now: some systems
        can change a userName in no other way. One that existed is not written yet, and counts as it was seen.
        What the remote system has made of a value is noted: if it does so again, there is nothing to repair.
        """
        observed = row.observed or Observed()
        if answer is None:
            return row
        if row.kind == "User" and answer.remote_id != row.remote_id:
            row = self._moved(tx, row, answer)
        if answer.existed:
            seen = observed_of(answer, self.capabilities.attributes(row.kind), observed)
            return replace(row, observed=replace(seen, cleared=observed.cleared))
        deferred = answer.deferred | ({"userName"} if observed.called else set()).intersection(observed.deferred)
        sent = situation.desired.attributes.items()
        values = {path: value for path, value in sent if value is not None and path not in deferred}
        kept = {path: value for path, value in observed.attributes.items() if path in deferred}
        called = observed.called if "userName" in deferred else ""
        rewritten = self._rewritten(observed, situation, answer, values)
        observed = replace(observed, attributes=values | kept, deferred=tuple(sorted(deferred)), called=called)
        observed = replace(observed, rewritten=rewritten)
        return holding(replace(row, observed=replace(observed, unfinished=answer.unfinished)), answer)

    def _rewritten(
        self, before: Observed, situation: Situation, answer: Remote[User] | Remote[Group], sent: Mapping[str, Any]
    ) -> dict[str, tuple[Any, Any, bool]]:
        """Return what the remote system makes of values, as its answer to their update shows.

        One answer may be older than the update, or somebody's change by hand. What names a person is never taken for
        another name.
        """
        written = differing(situation.desired, situation.seen)
        rewritten = {path: each for path, each in before.rewritten.items() if path not in written}
        shown = observed_of(answer, self.capabilities.attributes(situation.row.kind)).attributes
        for path in sorted((written & sent.keys() & shown.keys()) - {"userName"}):
            if not same(path, sent[path], shown[path]):
                value, instead, _ = before.rewritten.get(path, (None, None, False))
                twice = same(path, value, sent[path]) and same(path, instead, shown[path])
                rewritten[path] = (sent[path], shown[path], twice)
        return rewritten

    def _moved(self, tx: Transaction, row: ResourceRow, answer: Remote[User] | Remote[Group]) -> ResourceRow:
        """Let a User stand for the account that takes the place of its own; it holds what the answer tells."""
        former = standing(tx, row, answer.remote_id)
        if former is not None:
            row = self._in_place_of(tx, former, row, anew=False)
        row = replace(row, remote_id=answer.remote_id)
        if answer.existed:
            row = replace(row, ownership=Ownership.ADOPTED)
        if self.capabilities.user_centric:
            return self.groups(tx, row, answer, otherwise=frozenset(), keep_unmanaged=answer.existed)
        return self._memberships(tx, row, answer, anew=True)

    # -- The groups of a person ------------------------------------------------------------------------------------

    def groups(
        self,
        tx: Transaction,
        row: ResourceRow,
        answer: Answer,
        *,
        otherwise: frozenset[str],
        keep_unmanaged: bool = False,
    ) -> ResourceRow:
        """Record which groups an account holds, where the remote system keeps them on the person.

        :param otherwise: What it holds if the answer does not tell.
        :param keep_unmanaged: Of an account just adopted: what it holds of groups that no client manages stays desired.
        """
        seen = None if answer is None else groups_seen(answer.resource)
        held = self._known(tx, otherwise if seen is None else seen)
        row = self._seen_in(tx, row, [group.id for group in held])
        for group in held:
            if keep_unmanaged and group.ownership is Ownership.DISCOVERED:
                membership_changes.set_desired(tx, self.connection_id, group.id, [row.id], desired=True)
        return row if answer is None else holding(row, answer)

    def _memberships(
        self, tx: Transaction, row: ResourceRow, answer: Remote[User] | Remote[Group], *, anew: bool
    ) -> ResourceRow:
        """Record which groups a person is in, where members are on the group, and hand over those that differ.

        Groups that no client manages are left alone: what is held of them is as it should be.

        :param anew: Whether the account was just made or reactivated: unless the answer tells, it may have lost all.
        """
        seen = groups_seen(answer.resource)
        groups = memberships.groups_of(tx, self.connection_id, [row.id])[row.id]
        # Whether somebody left is told by the call that removes them: this answer may be older than their joining.
        doubtful = {group.id for group in groups if group.observed and not group.desired}
        if seen is not None:
            known = self._known(tx, seen)
            row = self._seen_in(tx, row, {group.id for group in known} | doubtful)
            self._as_held(tx, row, {one.id for one in known if one.ownership is Ownership.DISCOVERED}, groups)
        elif anew:
            doubtful = {group.id for group in groups}
        membership_changes.doubt(tx, self.connection_id, row.id, doubtful)
        groups = memberships.groups_of(tx, self.connection_id, [row.id])[row.id]
        held = {group.id for group in groups if group.given}
        wanted = {group.id for group in groups if group.desired}
        resources.bump(tx, self.connection_id, held - wanted, lane=Lane.REPAIR, now=self.clock())
        if row.active and row.is_seen_active:
            resources.bump(tx, self.connection_id, wanted - held, lane=Lane.UPDATE, now=self.clock())
        return row

    def _as_held(
        self, tx: Transaction, row: ResourceRow, held: Collection[str], before: Collection[Membership]
    ) -> None:
        """Want of groups that no client manages what a person holds, unless a client has named them there."""
        for group_id in held:
            membership_changes.set_desired(tx, self.connection_id, group_id, [row.id], desired=True)
        for one in before:
            if one.desired and one.observed and not one.named and one.id not in held:
                group = resources.get(tx, self.connection_id, "Group", one.id)
                if group is not None and group.ownership is Ownership.DISCOVERED:
                    membership_changes.set_desired(tx, self.connection_id, one.id, [row.id], desired=False)

    def _known(self, tx: Transaction, remote_ids: Collection[str]) -> list[ResourceRow]:
        """Return the groups of the store among these."""
        found = [resources.find_by_remote_id(tx, self.connection_id, "Group", one) for one in sorted(remote_ids)]
        return [group for group in found if group is not None]

    def _seen_in(self, tx: Transaction, row: ResourceRow, group_ids: Collection[str]) -> ResourceRow:
        """Record the groups a person was seen in; what is no longer shown is a new version (RFC 7644 §3.14)."""
        groups = memberships.groups_of(tx, self.connection_id, [row.id])[row.id]
        seen = {group.id for group in groups if group.observed}
        if seen == set(group_ids) and not any(group.doubtful for group in groups):
            return row
        lost = _lost(groups, group_ids)
        membership_changes.observe_user(tx, self.connection_id, row.id, group_ids)
        resources.touch(tx, self.connection_id, lost)
        self._wake_deleted_groups(tx, lost)
        return replace(row, version=row.version + 1) if lost else row

    def settled(self, tx: Transaction, row: ResourceRow) -> None:
        """Hand deleted groups over that wait for a person of whom nothing more is to be expected.

        Nobody is let in through an inactive account: what it was to lose it holds no more. Whether it still shows it is
        looked at when it is reactivated.
        """
        lost = _lost(memberships.groups_of(tx, self.connection_id, [row.id])[row.id], ())
        inactive = row.observed is not None and not row.is_seen_active
        if lost and inactive and self.capabilities.user_centric:
            membership_changes.forget(tx, self.connection_id, row.id, lost)
            resources.touch(tx, self.connection_id, [row.id, *lost])
        self._wake_deleted_groups(tx, lost)

    def _wake_deleted_groups(self, tx: Transaction, lost: Collection[str]) -> None:
        """Hand the deleted groups that wait for a person who no longer holds them to the driver."""
        for group_id in lost:
            group = resources.get(tx, self.connection_id, "Group", group_id, lock=True, deleted=True)
            if group is not None and group.deleted and group.state is not State.HELD:
                resources.save(tx, replace(group, not_before=None))

    # -- The members of a group ------------------------------------------------------------------------------------

    def members(
        self,
        tx: Transaction,
        row: ResourceRow,
        *,
        added: frozenset[str] = frozenset(),
        removed: frozenset[str] = frozenset(),
    ) -> ResourceRow:
        """Record which accounts were added to a group, and which were removed from it, by remote id."""

        def ids(remote_ids: frozenset[str]) -> list[str]:
            found = (resources.find_by_remote_id(tx, self.connection_id, "User", one) for one in sorted(remote_ids))
            return [user.id for user in found if user is not None]

        left = ids(removed)
        membership_changes.observe_group(tx, self.connection_id, row.id, added=ids(added), removed=left)
        resources.touch(tx, self.connection_id, left)
        return replace(row, version=row.version + 1) if left else row

    def _wake_members(self, tx: Transaction, row: ResourceRow) -> None:
        """Hand the members of a group that has just got its remote id to the driver."""
        if self.capabilities.user_centric:
            to_add, _ = memberships.unsettled_of_group(tx, self.connection_id, row.id)
            resources.bump(tx, self.connection_id, to_add, lane=Lane.UPDATE, now=self.clock())


def holding(row: ResourceRow, answer: Remote[User] | Remote[Group]) -> ResourceRow:
    """Note what entitlements of a person an answer shows to be in force; others shown are a new version."""
    observed = row.observed or Observed()
    if answer.holds is None or observed.holds == (holds := tuple(sorted(answer.holds))):
        return row
    return replace(row, observed=replace(observed, holds=holds), version=row.version + 1)


def _called(row: ResourceRow, observed: Observed) -> Observed:
    """Note of what was just seen of an account how clients call the person, if it is not the account's own userName.

    That one was changed by hand if it is neither the client's nor what was seen before: the bridge's own changes are
    noted as they are made. Where the remote system would not take the client's, that is not asked for again.
    """
    before = row.observed or Observed()
    holds = before.holds if observed.holds is None else observed.holds
    observed = replace(observed, cleared=before.cleared, holds=holds)
    was, now = before.attributes.get("userName"), observed.attributes.get("userName")
    if row.kind != "User" or now is None or same("userName", now, row.name):
        return observed
    changed = was is not None and not same("userName", was, now)
    called = before.called or (str(was) if changed else "")
    refused = {"userName"}.intersection(before.deferred) if called and not changed else set()
    return replace(observed, called=called, deferred=tuple(sorted({*observed.deferred, *refused})))


def follow_by_hand(tx: Transaction, connection_id: str, user_id: str, group_ids: Collection[str]) -> None:
    """Take over what somebody whom no client manages was given, or lost, by hand.

    What a client has named them in, or is taking from them, is the client's to say.
    """
    before = memberships.groups_of(tx, connection_id, [user_id])[user_id]
    given = set(group_ids) - {group.id for group in before}
    lost = {group.id for group in before if group.desired and not group.named} - set(group_ids)
    for group_id in given:
        membership_changes.set_desired(tx, connection_id, group_id, [user_id], desired=True)
    for group_id in lost:
        membership_changes.set_desired(tx, connection_id, group_id, [user_id], desired=False)


def unnamed_of(tx: Transaction, connection_id: str, user_id: str, remote_ids: Collection[str]) -> list[Membership]:
    """Return those of somebody's memberships of these groups that are wanted although no client has named them."""
    groups = memberships.groups_of(tx, connection_id, [user_id])[user_id]
    return [one for one in groups if one.desired and not one.named and one.remote_id in remote_ids]


def follow_loss(tx: Transaction, connection_id: str, user_id: str, remote_ids: Collection[str]) -> bool:
    """Take over that somebody is no longer in groups into which no client has put them; return whether there are any.

    They were in them when they were found. To give that back would be to give what nobody asked for, and a group may
    give more by now.
    """
    lost = [one.id for one in unnamed_of(tx, connection_id, user_id, remote_ids)]
    if not lost:
        return False
    for group_id in lost:
        membership_changes.set_desired(tx, connection_id, group_id, [user_id], desired=False)
    membership_changes.forget(tx, connection_id, user_id, lost)
    resources.touch(tx, connection_id, [user_id, *lost])
    return True


def _lost(groups: Collection[Membership], kept: Collection[str]) -> list[str]:
    """Return the groups that a person was to leave, and has left."""
    return [group.id for group in groups if group.observed and not group.desired and group.id not in kept]
