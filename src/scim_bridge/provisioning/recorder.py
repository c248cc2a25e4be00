"""From what a hook answered to *observed* state: the second local transaction of a write.

:class:`Recorder` holds the transactions that the driver runs after each call: what was seen is recorded whatever the
generation, since it is true either way; *settled* is written only when nothing differs any more; a refusal is written
only against the generation that was refused.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta

from scim_bridge.errors import ConnectorError, RemoteConflictError, RemoteInvalidValueError
from scim_bridge.models import Group, Kind, Lane, Remote, User
from scim_bridge.provisioning import observing
from scim_bridge.provisioning.journal import record
from scim_bridge.provisioning.observation import Answer, Observation
from scim_bridge.provisioning.plan import Step, differing, same
from scim_bridge.provisioning.reversal import Reversal
from scim_bridge.provisioning.situation import Capabilities, Situation, situation_of
from scim_bridge.provisioning.succession import (
    called_otherwise,
    contested,
    keeps,
    let_go,
    named_by,
    refuse_unsettled,
    standing,
    take_name,
)
from scim_bridge.store import departed, membership_changes, memberships, resources
from scim_bridge.store.rows import Observed, Ownership, Refusal, ResourceRow, State
from scim_bridge.store.transaction import Transaction

REMOVAL_RETRY = timedelta(minutes=1)
"""When a removal that was refused is tried again; it never runs out of attempts."""

REFUSED_KEPT = timedelta(hours=1)
"""For how long a refused creation, of which nothing remains, is told in the ledger."""

LOST_AGAIN = timedelta(seconds=30)
"""When what was made anew, and is told as not there again, is made anew again."""

HOLDERS_RETRY = timedelta(seconds=30)
"""When a deleted group looks again whether somebody still holds it; the last one to lose it wakes it."""


MAKING = frozenset({Step.CREATE_USER, Step.REACTIVATE_USER, Step.CREATE_GROUP})
UPDATING = frozenset({Step.UPDATE_USER, Step.UPDATE_GROUP})


class Recorder:
    """Records what the driver saw, for one connection.

    :param new_id: Mints resource ids.
    """

    def __init__(
        self,
        connection_id: str,
        capabilities: Capabilities,
        *,
        new_id: Callable[[], str],
        clock: Callable[[], datetime],
    ) -> None:
        self.new_id = new_id
        self.connection_id = connection_id
        self.capabilities = capabilities
        self.clock = clock
        self.reversal = Reversal(connection_id, capabilities)
        self.observation = Observation(connection_id, capabilities, clock=clock)
        self.forgotten: dict[str, datetime] = {}
        """When each account was deleted, by remote id: what was read of it before is old. A few bytes a deletion."""

        self.logger = logging.getLogger(f"scim_bridge.driver.{connection_id}")
        self.lost_at: dict[str, datetime] = {}
        """When each resource was last found lost, by id."""

    def load(self, tx: Transaction, kind: Kind, resource_id: str) -> Situation | None:
        """Return where a pending resource stands; ``None`` when there is nothing (more) to do for it."""
        row = resources.get(tx, self.connection_id, kind, resource_id, lock=True, deleted=True)
        if row is None or row.state is not State.PENDING:
            return None
        if row.refusal is not None and situation_of(tx, row, self.capabilities).is_removal:
            row = replace(row, refusal=None)  # it is tried again; only what is refused now counts
        by_hand = row.kind == "User" and row.ownership is Ownership.DISCOVERED and self.capabilities.user_centric
        if by_hand or row.is_invited or (row.missing and not row.may_make):
            # What was given to them by hand since they were last seen is not to go with a complete set; and who was not
            # there may be again, and hold what they are to lose; and who was invited may have accepted.
            row = replace(row, ambiguous=True)
        return self._go_on(tx, row)

    def seen(self, tx: Transaction, situation: Situation, answer: Answer) -> Situation | None:
        """Record a probe: the remote system shows this, or nothing (``None``)."""
        row = self._fresh(tx, situation)
        if row is None:
            return None
        if answer is not None and row.remote_id not in (None, answer.remote_id):
            named = resources.find_by_name(tx, self.connection_id, row.kind, row.name)
            if named is not None and named.id != row.id:
                answer = None  # found by a name that is another's by now
        self._audit(tx, row, None, "absent" if answer is None else "present")
        if row.remote_id != situation.row.remote_id:  # what was asked for is another User's by now
            return self._go_on(tx, replace(row, ambiguous=True))
        renamed = situation.step is Step.UPDATE_USER and "userName" in differing(situation.desired, situation.seen)
        # Some systems can change a userName only by making the account anew, and this one may be cut off in between.
        made = answer is None and renamed and row.active
        row = replace(row, ambiguous=False, may_make=row.may_make or made)
        if answer is not None and (other := self._contender(tx, row, answer)) is not None:
            return self._contested(tx, row, other, answer)
        if answer is None:
            row = self.observation.absent(tx, row) if renamed else self.observation.vanished(tx, row)
        else:
            row = self.observation.present(tx, row, answer)
        let_in = row.kind == "User" and row.is_seen_active
        if let_in and not (row.active or row.deleted or row.shown_active):
            row = replace(row, shown_active=True, version=row.version + 1)  # let in by hand, and not out again yet
        return self._go_on(tx, row)

    def done(
        self, tx: Transaction, situation: Situation, step: Step, answer: Answer, *, absent: bool = False
    ) -> Situation | None:
        """Record that a step was confirmed, and return what comes next; ``None`` when the resource is settled.

        :param absent: Whether what it was to remove, or to deactivate, was not there.
        """
        row = self._fresh(tx, situation)
        if row is None:
            return None
        self._audit(tx, row, step, "absent" if absent else "done")
        if _is_anothers(row, situation, answer):
            return self._go_on(tx, replace(row, ambiguous=True))
        made = step in MAKING
        if answer is not None and (made or step in UPDATING):
            other = self._contender(tx, row, answer, made=made)
            if other is not None:
                told = replace(row, ambiguous=False, attempt=0)
                return self._contested(tx, told, other, answer) if made else self._taken(tx, told, other, situation)
        not_before = row.not_before if row.state is State.HELD else None
        row = replace(row, ambiguous=_was_in_doubt(situation), attempt=0, not_before=not_before)
        return self._go_on(tx, self._taken_over(tx, row, situation, step, answer, absent=absent))

    def _taken_over(
        self, tx: Transaction, row: ResourceRow, situation: Situation, step: Step, answer: Answer, *, absent: bool
    ) -> ResourceRow:
        """Take over what a step that was confirmed has changed."""
        match step:
            case Step.DELETE_USER | Step.DELETE_GROUP:
                row = self.observation.finished(self.observation.absent(tx, row))
            case Step.FINISH_USER:
                row = self.observation.finished(row)
            case Step.DEACTIVATE_USER:
                if absent:
                    row = self.observation.finished(self.observation.vanished(tx, row))
                else:
                    row = self.observation.deactivated(tx, row, situation)
                gone = absent or self.capabilities.inactive_is_absent
                # Under the userName that they were to get meanwhile somebody may have made an account.
                row = replace(row, ambiguous=gone and _is_called_otherwise(row))
            case Step.ADD_GROUP_MEMBERS:
                row = self.observation.members(tx, row, added=situation.portion)
            case Step.REMOVE_GROUP_MEMBERS:
                row = self.observation.members(tx, row, removed=situation.portion)
            case Step.SET_USER_GROUPS:
                row = self.observation.groups(tx, row, answer, otherwise=situation.desired.links)
            case Step.UPDATE_USER | Step.UPDATE_GROUP:
                row = self.observation.updated(tx, row, situation, answer)
                self._tell_rewritten(situation.row, row)
            case Step.CREATE_USER | Step.REACTIVATE_USER | Step.CREATE_GROUP:
                row = row if answer is None else self.observation.present(tx, row, answer, made=True)
        return row

    def _tell_rewritten(self, before: ResourceRow, row: ResourceRow) -> None:
        """Tell of which attributes the remote system keeps another value than it is sent; none is in the log."""
        known = {} if before.observed is None else before.observed.rewritten
        now = {} if row.observed is None else row.observed.rewritten
        if news := sorted(path for path, each in now.items() if each[2] and known.get(path) != each):
            told = "%s %s: the remote system keeps another value of %s than it is sent; it is not sent again"
            self.logger.warning(told, row.kind, row.id, ", ".join(news))

    def _contender(
        self, tx: Transaction, row: ResourceRow, answer: Remote[User] | Remote[Group], *, made: bool = False
    ) -> ResourceRow | None:
        """Return the resource that stands for what was found, and goes on doing so.

        :param made: Whether the answer is that of a call that makes; what it has just made is nobody else's.
        :raises RemoteUnavailableError: While a change of that resource is under way.
        """
        other = standing(tx, row, answer.remote_id)
        if other is None or not keeps(other) or (made and row.remote_id is None and not answer.existed):
            return None
        refuse_unsettled(other)
        return other

    def _contested(
        self, tx: Transaction, row: ResourceRow, other: ResourceRow, answer: Remote[User] | Remote[Group]
    ) -> Situation | None:
        """Record that what was found is another resource's: a creation is refused, and nothing is there to be removed.

        Nothing was made. The other one gets the name under which its account was found, so that whoever searches for
        it finds the resource that stands in the way.
        """
        self._audit(tx, row, None, "refused", RemoteConflictError.__name__)
        row = self.observation.absent(tx, replace(row, remote_id=None))
        if row.kind == "Group" and row.observed_generation:
            self._settle(tx, replace(row, refusal=contested(row, other)))
            return None
        if not row.deleted and (row.active or not row.observed_generation):
            row = self.reversal.unmade(tx, replace(row, refusal=contested(row, other)))
        following = self._go_on(tx, row)
        take_name(tx, other, named_by(answer), self.capabilities, now=self.clock())
        return following

    def _taken(self, tx: Transaction, row: ResourceRow, other: ResourceRow, situation: Situation) -> Situation | None:
        """Record that the account of a new userName is another User's: the change is refused, nothing was written."""
        self._audit(tx, row, None, "refused", RemoteConflictError.__name__)
        observed = replace(row.observed or Observed(), unfinished=True)
        row = replace(row, observed=observed, refusal=contested(row, other))
        return self._go_on(tx, self.reversal.reverted(tx, row, situation))

    def gone(self, tx: Transaction, situation: Situation, *, ambiguous: bool = False) -> Situation | None:
        """Record that the remote system no longer has what a step was to change.

        An account that cannot be reactivated because it is not there is made anew: to let it in again was asked for.
        """
        row = self._fresh(tx, situation)
        if row is None:
            return None
        self._audit(tx, row, situation.step, "unknown" if ambiguous else "absent")
        if ambiguous:
            return self._go_on(tx, replace(row, ambiguous=True))
        row = self.observation.vanished(tx, replace(row, ambiguous=False))
        if situation.step is Step.REACTIVATE_USER:
            row = replace(row, remote_id=None)
        return self._go_on(tx, row)

    def inside(self, tx: Transaction, situation: Situation, remote_ids: Collection[str]) -> bool:
        """Record who is in a group that is about to be deleted; tell whether it stays, or others have to leave first.

        Whoever no client manages stays, and the group with them, also where it is not known who they are.
        """
        row = self._fresh(tx, situation)
        if row is None or row.generation != situation.row.generation:
            return True
        found = [resources.find_by_remote_id(tx, self.connection_id, "User", one) for one in sorted(remote_ids)]
        users = {user.id: user for user in found if user is not None}
        new = users.keys() - memberships.those_of(tx, self.connection_id, row.id, users)
        membership_changes.observe_group(tx, self.connection_id, row.id, added=new, removed=[])
        unmanaged = [one for one in new if users[one].ownership is Ownership.DISCOVERED]
        membership_changes.set_desired(tx, self.connection_id, row.id, unmanaged, desired=True)
        if not new and len(users) < len(found):
            let_go(tx, row, self.new_id(), now=self.clock())
            return True
        return bool(new)

    def lost(
        self, tx: Transaction, situation: Situation, remote_ids: Collection[str], *, ambiguous: bool
    ) -> Situation | None:
        """Record that groups a step was to give, or accounts it was to add, are not there, and go on with the others.

        :param remote_ids: Of groups, where the step was about a person; of accounts, where it was about a group.
        """
        row = self._fresh(tx, situation)
        if row is None:
            return None
        self._audit(tx, row, situation.step, "refused", RemoteInvalidValueError.__name__)
        kind: Kind = "Group" if row.kind == "User" else "User"
        for remote_id in remote_ids:
            other = resources.find_by_remote_id(tx, self.connection_id, kind, remote_id)
            if other is not None:
                self._lose(tx, kind, other.id)
        return self._go_on(tx, _after_a_call(row, in_doubt=ambiguous))

    def _lose(self, tx: Transaction, kind: Kind, resource_id: str) -> None:
        """Have looked at again, a group made anew, what clients manage; forget what nobody does."""
        row = resources.get(tx, self.connection_id, kind, resource_id, lock=True)
        if row is None:
            return
        gone = self.observation.vanished(tx, row)
        if row.ownership is Ownership.DISCOVERED:
            resources.remove(tx, self.connection_id, row.id)
            return
        resources.save(tx, gone)
        now = self.clock()
        resources.bump(tx, self.connection_id, [row.id], lane=Lane.CREATE, now=now)
        before, self.lost_at[row.id] = self.lost_at.get(row.id), now
        again = resources.get(tx, self.connection_id, kind, row.id, lock=True)
        repeated = before is not None and now - before < 2 * LOST_AGAIN
        if again is not None and again.state is State.PENDING and (repeated or (again.missing and not again.may_make)):
            # Made anew, and again not there: what is asked lags, or is wrong. To go on at once would never end. Of an
            # account that is not made anew a second look tells that it is missing.
            resources.save(tx, replace(again, not_before=now + LOST_AGAIN))

    def postpone(
        self, tx: Transaction, situation: Situation, error: ConnectorError, *, ambiguous: bool, delay: float
    ) -> None:
        """Record a transient failure: the same is tried again after ``delay`` seconds, without end."""
        row = self._fresh(tx, situation)
        if row is None:
            return
        self._audit(tx, row, situation.step, "unknown" if ambiguous else "failed", type(error).__name__)
        not_before: datetime | None = self.clock() + timedelta(seconds=delay)
        if row.generation != situation.row.generation:
            not_before = row.not_before if row.state is State.HELD else self.clock()
        row = _after_a_call(row, in_doubt=situation.probe or ambiguous or _was_in_doubt(situation))
        resources.save(tx, replace(row, attempt=row.attempt + 1, not_before=not_before))

    def refuse(
        self, tx: Transaction, situation: Situation, error: ConnectorError, *, audited: bool = True
    ) -> Situation | None:
        """Record a permanent refusal and go on with what else differs.

        Desired goes back to observed and the refusal stays visible until the client writes again. Not so for a removal:
        it stays desired, is tried again and alarms.

        :param audited: Whether it gets an entry in the audit chain: not when the same was refused a minute ago.
        """
        row = self._fresh(tx, situation)
        if row is None:
            return None
        if audited:
            self._audit(tx, row, situation.step, "refused", type(error).__name__)
        row = _after_a_call(row, in_doubt=error.ambiguous)
        otherwise = called_otherwise(row, situation)
        if row.generation != situation.row.generation or row.ambiguous or otherwise is not row:
            # What was refused was not all there was to the call: look, then try the rest.
            return self._go_on(tx, otherwise)
        refusal = Refusal(error.status, error.scim_type, self.reversal.named(tx, situation) + error.detail)
        if situation.step is Step.CREATE_GROUP and row.observed_generation:
            # It was there once, and clients know it: it stays, granted to nobody, until it is there or written again.
            self._settle(tx, replace(row, refusal=refusal))
            return None
        if situation.step is Step.SET_USER_GROUPS and situation.desired.links - situation.seen.links:
            # The complete set was refused, and it may be for what it adds: what it takes away must not wait for that.
            return self._go_on(tx, replace(self.reversal.withdraw_additions(tx, row), refusal=refusal))
        row = replace(row, refusal=refusal, ambiguous=_was_in_doubt(situation))
        if situation.is_removal and row.kind == "User":
            if self.capabilities.user_centric:
                # Whoever cannot be changed at all is given nothing either.
                row = self.reversal.withdraw_additions(tx, row)
                self._show_groups_again(tx, row, refusal)
            self._try_later(tx, row)
            return None
        return self._go_on(tx, self.reversal.reverted(tx, row, situation))

    def _try_later(self, tx: Transaction, row: ResourceRow) -> None:
        """Have a removal that was refused tried again, for as long as it takes."""
        row = replace(row, attempt=row.attempt + 1, not_before=self.clock() + REMOVAL_RETRY)
        resources.save(tx, self.reversal.shown_again(tx, row))

    def _show_groups_again(self, tx: Transaction, row: ResourceRow, refusal: Refusal) -> None:
        """Show the deleted groups that a person cannot leave: their deletion was refused, and they are still held."""
        refusal = replace(refusal, detail=f"{row.name}: {refusal.detail}")
        for held in memberships.groups_of(tx, self.connection_id, [row.id])[row.id]:
            group = resources.get(tx, self.connection_id, "Group", held.id, lock=True, deleted=True)
            if group is None or not group.deleted or held.desired:
                continue
            shown = self.reversal.shown_again(tx, group)
            if not shown.deleted:
                self._settle(tx, replace(shown, refusal=refusal))

    # -- Going on --------------------------------------------------------------------------------------------------

    def is_current(self, tx: Transaction, situation: Situation) -> bool:
        """Whether the client still wants what a situation says."""
        row = situation.row
        fresh = resources.get(tx, self.connection_id, row.kind, row.id, deleted=True)
        return fresh is not None and fresh.generation == row.generation and fresh.state is State.PENDING

    def _fresh(self, tx: Transaction, situation: Situation) -> ResourceRow | None:
        """Return the row as it is now: a newer desired state may have arrived during the call."""
        row = situation.row
        return resources.get(tx, self.connection_id, row.kind, row.id, lock=True, deleted=True)

    def _go_on(self, tx: Transaction, row: ResourceRow) -> Situation | None:
        """Write the row and return its situation, or settle it when nothing differs."""
        if row.state is not State.PENDING:  # the guard took it during the call: it is an operator's now
            resources.save(tx, row)
            return None
        situation = situation_of(tx, row, self.capabilities)
        if situation.step is Step.REMOVE_GROUP_MEMBERS and row.refusal is not None:
            # It was refused a moment ago, and waits for its next attempt; what else differs does not wait for it.
            situation = situation.but_for_removals(self.capabilities)
            if situation.step is None:
                self._try_later(tx, row)
                return None
        if self._waits_for_holders(tx, row):
            resources.save(tx, replace(row, not_before=self.clock() + HOLDERS_RETRY))
            return None
        if situation.step is None and not situation.probe:
            self._settle(tx, row)
            return None
        if observing.current(tx, self.connection_id) is not None:
            resources.save(tx, row)  # it began meanwhile, nothing is sent: what is left stays pending
            return None
        # A call is about to be sent. Should the process die before its outcome is recorded, whoever goes on has to ask
        # first; so the row says "ambiguous" while a call is under way.
        if situation.step is Step.CREATE_USER and not situation.probe:
            row = replace(row, observed=replace(row.observed or Observed(), sent=row.name))
        resources.save(tx, replace(row, ambiguous=True))
        return situation

    def _waits_for_holders(self, tx: Transaction, row: ResourceRow) -> bool:
        """Whether people still hold a deleted group: it goes last, or what they are to lose would be forgotten."""
        if row.kind != "Group" or not row.deleted or not self.capabilities.user_centric:
            return False
        return memberships.is_being_left(tx, self.connection_id, row.id)

    def _settle(self, tx: Transaction, row: ResourceRow) -> None:
        if row.deleted and row.refusal is None:
            if row.kind == "Group" and memberships.is_left(tx, self.connection_id, row.id):
                let_go(tx, row, self.new_id(), now=self.clock())
                return
            if row.remote_id is not None:
                self.forgotten[row.remote_id] = self.clock()
            resources.remove(tx, self.connection_id, row.id)
            if row.kind == "User":
                departed.keep(tx, row, now=self.clock())
            record(tx, row, "outcome", now=self.clock(), operation="delete", outcome="gone")
            return
        if row.deleted:
            # Of creations refused under one name the latest tells enough.
            resources.remove_refused(tx, self.connection_id, row.kind, name=row.name)
        shown = row.active and not (row.missing or row.is_invited)
        settled = replace(
            row,
            state=State.SETTLED if row.refusal is None else State.BLOCKED,
            observed_generation=row.generation,
            attempt=0,
            not_before=None,
            ambiguous=False,
            may_make=False,
            shown_active=shown,
            version=row.version + (shown != row.shown_active),
            observed=self._still_to_clear(tx, row),
        )
        resources.save(tx, settled)
        if settled.missing and row.refusal is None:
            record(tx, settled, "drift", now=self.clock(), drift=["missing"])
            self.logger.error("User %s is missing in the remote system; it is not made again unasked", row.id)
        if row.kind == "User":
            self.observation.settled(tx, row)

    def _still_to_clear(self, tx: Transaction, row: ResourceRow) -> Observed | None:
        """Return what was seen, with what is to be cleared when it can be; of what is done nothing is kept."""
        if row.observed is None or not row.observed.cleared:
            return row.observed
        desired, seen = situation_of(tx, row, self.capabilities).desired.attributes, row.observed.attributes
        left = [one for one in row.observed.cleared if desired[one] is None and not same(one, None, seen.get(one))]
        return replace(row.observed, cleared=tuple(left))

    def forget_refused(self, tx: Transaction) -> int:
        """Forget creations refused long ago of which nothing is in the remote system; return how many."""
        return resources.remove_refused(tx, self.connection_id, before=self.clock() - REFUSED_KEPT)

    def _audit(
        self, tx: Transaction, row: ResourceRow, step: Step | None, outcome: str, error: str | None = None
    ) -> None:
        """Write what came of a call to the audit chain; ids and class names only."""
        operation = "probe" if step is None else str(step)
        details = {"operation": operation, "outcome": outcome} | ({"error": error} if error else {})
        record(tx, row, "outcome", now=self.clock(), **details)


def _was_in_doubt(situation: Situation) -> bool:
    """Whether something else about a group is in doubt, for which its members did not wait to be taken out."""
    return situation.step is Step.REMOVE_GROUP_MEMBERS and situation.row.ambiguous


def _after_a_call(row: ResourceRow, *, in_doubt: bool) -> ResourceRow:
    """Return a row whose call failed: unless it may have taken effect, nothing is under the userName that was sent."""
    if not in_doubt and row.observed is not None:
        row = replace(row, observed=replace(row.observed, sent=""))
    return replace(row, ambiguous=in_doubt)


def _is_called_otherwise(row: ResourceRow) -> bool:
    """Whether clients call a User by another userName than that of the account they were last seen with."""
    name = None if row.observed is None else row.observed.attributes.get("userName")
    return name is not None and not same("userName", name, row.name)


def _is_anothers(row: ResourceRow, situation: Situation, answer: Answer) -> bool:
    """Whether an answer is about the account that a resource had when it was asked, and has no more."""
    asked = situation.row.remote_id
    return answer is not None and asked is not None and answer.remote_id == asked != row.remote_id
