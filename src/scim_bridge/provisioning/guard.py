"""Guard rails against a rightful client that is wrong: what is never changed, and what is held for an operator.

Every guard looks inside the transaction that accepts a write, so that no two writes slip past it together. None of them
stands in the way of a single removal, except where an operator named the account or the group.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from math import ceil
from typing import Any

from scim2_models import ForbiddenException

from scim_bridge.models import User
from scim_bridge.provisioning.journal import record
from scim_bridge.provisioning.policy import Budget, GuardPolicy
from scim_bridge.store import (
    audit,
    connector_state,
    documents,
    membership_changes,
    memberships,
    notifications,
    resources,
)
from scim_bridge.store.comparison import fold
from scim_bridge.store.rows import Membership, MembershipChange, Refusal, ResourceRow, State
from scim_bridge.store.transaction import Transaction

REMOVALS = "bridge:guard:removals"
PRIVILEGED = "bridge:guard:privileged"
NAMED = "bridge:guard:named"

STEPS = 60
"""In how many steps a window moves on."""


class Guard:
    """The guards of one connection."""

    def __init__(
        self, connection_id: str, policy: GuardPolicy, *, clock: Callable[[], datetime], user_model: type[User] = User
    ) -> None:
        self.connection_id = connection_id
        self.policy = policy
        self.clock = clock
        self.user_model = user_model
        self._protected = frozenset(fold(name) for name in policy.protected)
        self._keep_holder = frozenset(fold(name) for name in policy.keep_holder)
        self._privileged = frozenset(fold(name) for name in policy.privileged)

    # -- Never -----------------------------------------------------------------------------------------------------

    def permit_user(self, tx: Transaction, row: ResourceRow, *, leaves: bool) -> None:
        """Refuse to change a protected account, or to take away the last holder of a group.

        :param leaves: Whether the change deactivates or deletes the account.
        :raises ForbiddenException: With the reason.
        """
        self.permit_name(row.name)
        if not leaves or not self._keep_holder:
            return
        for group in memberships.groups_of(tx, self.connection_id, [row.id]).get(row.id, []):
            if group.desired and self._is_one_of(tx, self._keep_holder, group.id, group.name):
                self._permit_leaving(tx, group.id, 1)

    def permit_name(self, name: str) -> None:
        """Refuse to create, and so to adopt, a protected account.

        :raises ForbiddenException: With the reason.
        """
        if fold(name) in self._protected:
            raise ForbiddenException(
                detail="this account is protected by the operator of the bridge; nothing was changed"
            )

    def permit_members(self, tx: Transaction, group: ResourceRow, change: MembershipChange) -> None:
        """Refuse to change the groups of a protected account, or to empty a group that must have a holder.

        Called after the change was applied to the membership rows.

        :raises ForbiddenException: With the reason; the transaction is rolled back.
        """
        if self._protected:
            for user in resources.get_many(tx, self.connection_id, "User", change.added | change.removed):
                self.permit_user(tx, user, leaves=False)
        if change.removed and self._is_one_of(tx, self._keep_holder, group.id, group.name):
            self._permit_leaving(tx, group.id, 0)

    def _permit_leaving(self, tx: Transaction, group_id: str, leaving: int) -> None:
        if memberships.count_holders(tx, self.connection_id, group_id) - leaving < 1:
            raise ForbiddenException(
                detail="this would leave a group without an active holder that must have one; nothing was changed"
            )

    # -- Which group a name means ----------------------------------------------------------------------------------

    def bind(self, tx: Transaction, group: ResourceRow) -> None:
        """Note which group a name of the policy means, before the group is renamed: it stays guarded by its id."""
        name = fold(group.name)
        if name not in self._keep_holder | self._privileged:
            return
        bound = connector_state.get(tx, self.connection_id, NAMED) or {}
        ids = bound.get(name, [])
        if group.id not in ids:
            connector_state.put(tx, self.connection_id, NAMED, {**bound, name: [*ids, group.id]}, self.clock())

    def _is_one_of(self, tx: Transaction, names: Collection[str], group_id: str, name: str) -> bool:
        """Tell whether a group has one of these names, or had one when it was renamed."""
        if not names or fold(name) in names:
            return bool(names)
        bound = connector_state.get(tx, self.connection_id, NAMED) or {}
        return any(group_id in bound.get(one, ()) for one in names)

    # -- Held ------------------------------------------------------------------------------------------------------

    def hold_removals(self, tx: Transaction, ids: Collection[str]) -> bool:
        """Count people who lose access, and tell whether they are too many at once, or in a day, and must be held.

        Accounts younger than a window do not count in it: setting up, testing and undoing are no mass offboarding.
        """
        budgets = self._budgets(REMOVALS)
        users = resources.get_many(tx, self.connection_id, "User", ids if budgets else (), deleted=True)
        created = [user.created_at for user in users]
        now = self.clock()
        return self._over(tx, REMOVALS, [sum(one <= now - budget.window for one in created) for budget in budgets])

    def is_privileged(self, tx: Transaction, group: ResourceRow | Membership) -> bool:
        """Tell whether grants of a group are counted."""
        return self._is_one_of(tx, self._privileged, group.id, group.name)

    def hold_grants(self, tx: Transaction, group: ResourceRow, number: int) -> bool:
        """Count grants of a privileged group, and tell whether they are too many at once and must be held."""
        return self.is_privileged(tx, group) and self._over(tx, PRIVILEGED, [number])

    def withdraw_grants(self, tx: Transaction, row: ResourceRow, *, keep: Collection[str] = ()) -> None:
        """Want the privileged grants of something held no longer, since it is about to be let through for a removal.

        The client that asked for them was told 429; it asks again, and they are counted again.

        :param keep: Of a group: members whose grant is not the matter.
        """
        if row.kind == "Group":
            if self._is_one_of(tx, self._privileged, row.id, row.name):
                to_add, _ = memberships.unsettled_of_group(tx, self.connection_id, row.id)
                membership_changes.set_desired(
                    tx, self.connection_id, row.id, set(to_add).difference(keep), desired=False
                )
                self._record(tx, row, "withdrawn")
            return
        for group in memberships.groups_of(tx, self.connection_id, [row.id])[row.id]:
            waits = group.desired and not group.observed
            if waits and self._is_one_of(tx, self._privileged, group.id, group.name):
                membership_changes.set_desired(tx, self.connection_id, group.id, [row.id], desired=False)
                self._record(tx, row, "withdrawn")

    def withdraw_held(self, tx: Transaction, ids: Collection[str]) -> None:
        """Withdraw the privileged grants of those of these people that are held."""
        for one in ids if self._privileged else ():
            user = resources.get(tx, self.connection_id, "User", one, lock=True, deleted=True)
            if user is not None and user.state is State.HELD:
                self.withdraw_grants(tx, user)

    def many_removals_of_a_day(self, tx: Transaction) -> int:
        """Return how many people lost access within a day, once that is more than half of what a day allows; else 0."""
        budget = self.policy.removals_of_a_day
        if budget is None:
            return 0
        number = sum(self._counted(connector_state.get(tx, self.connection_id, REMOVALS), budget).values())
        return 0 if self._is_usual(tx, budget, 2 * number) else number

    def _budgets(self, key: str) -> list[Budget]:
        """Return the budgets that changes of a kind are counted against."""
        policy = self.policy
        budgets = (policy.grants,) if key == PRIVILEGED else (policy.removals, policy.removals_of_a_day)
        return [budget for budget in budgets if budget is not None]

    def _over(self, tx: Transaction, key: str, numbers: Sequence[int]) -> bool:
        """Count changes in sliding windows; those beyond a budget are not counted, they are held.

        While the connection plans nothing is: an operator is shown all of it before anything happens.

        :param numbers: How many there are now, for each budget of the kind.
        """
        if any(numbers) and connector_state.get(tx, self.connection_id, connector_state.PLANS) is not None:
            return False
        now = self.clock()
        windows: dict[str, dict[str, int]] = {}
        saved = connector_state.get(tx, self.connection_id, key) if any(numbers) else None
        for budget, number in zip(self._budgets(key), numbers, strict=False):
            counted = self._counted(saved, budget)
            if number and not self._is_usual(tx, budget, sum(counted.values()) + number):
                return True
            step = str(int(now.timestamp() // _step(budget)))
            windows[_name(budget)] = counted | ({step: counted.get(step, 0) + number} if number else {})
        if any(numbers) and windows:
            connector_state.put(tx, self.connection_id, key, {"windows": windows}, now)
        return False

    def _counted(self, saved: Mapping[str, Any] | None, budget: Budget) -> dict[str, int]:
        """Return how many changes count in a window, by step of it; a step counts until all of it is past.

        :param saved: What the store has of changes of a kind.
        """
        since = (self.clock() - budget.window).timestamp() // _step(budget)
        steps: dict[str, int] = (saved or {}).get("windows", {}).get(_name(budget), {})
        return {step: number for step, number in steps.items() if int(step) >= since}

    def _is_usual(self, tx: Transaction, budget: Budget, number: int) -> bool:
        """Tell whether so many changes are within a budget. The directory is not counted: a write would pay for it."""
        if number <= budget.floor:
            return True
        return budget.share > 0 and resources.at_least(tx, self.connection_id, "User", ceil(number / budget.share))

    def held(self, tx: Transaction) -> list[ResourceRow]:
        """Return what is held."""
        return resources.held(tx, self.connection_id)

    def approve(self, tx: Transaction, ids: Collection[str] | None, *, reason: str | None = None) -> list[str]:
        """Hand held resources to the driver; ``None`` means all. Returns the ids.

        :param reason: Why, in the operator's words.
        """
        audit.serialise(tx, self.connection_id)
        chosen = [row for row in self.held(tx) if ids is None or row.id in ids]
        return self._release(tx, chosen, "approved", reason)

    def release_overdue(self, tx: Transaction) -> tuple[list[str], int]:
        """Hand over what was held long enough; returns those ids, and how many are still held.

        A held removal that nobody looks at must not become a lost one.
        """
        audit.serialise(tx, self.connection_id)
        now = self.clock()
        held = self.held(tx)
        overdue = [row for row in held if row.not_before is not None and row.not_before <= now]
        return self._release(tx, overdue, "released"), len(held) - len(overdue)

    def reject(self, tx: Transaction, ids: Collection[str] | None, *, reason: str | None = None) -> list[str]:
        """Let what is desired of held resources go back to what is observed; ``None`` means all. Returns the ids.

        :param reason: Why, in the operator's words.
        """
        audit.serialise(tx, self.connection_id)
        rejected = [row for row in self.held(tx) if ids is None or row.id in ids]
        for row in rejected:
            if row.deleted and resources.find_by_name(tx, self.connection_id, row.kind, row.name) is not None:
                # Another User has the name by now: the account that stays is that one's to take over.
                resources.remove(tx, self.connection_id, row.id)
            else:
                self._revert(tx, row)
            self._record(tx, row, "rejected", reason)
        return [row.id for row in rejected]

    def _release(self, tx: Transaction, rows: list[ResourceRow], decision: str, reason: str | None = None) -> list[str]:
        for row in rows:
            resources.save(tx, replace(row, state=State.PENDING, not_before=None))
            self._record(tx, row, decision, reason)
        return [row.id for row in rows]

    def _revert(self, tx: Transaction, row: ResourceRow) -> None:
        if row.kind == "Group":
            self._revert_group(tx, _rejected(row))
        else:
            self._revert_user(tx, _rejected(row))

    def _revert_group(self, tx: Transaction, row: ResourceRow) -> None:
        to_add, to_remove = memberships.unsettled_of_group(tx, self.connection_id, row.id)
        membership_changes.set_desired(tx, self.connection_id, row.id, to_add, desired=False)
        membership_changes.set_desired(tx, self.connection_id, row.id, to_remove, desired=True)
        resources.save(tx, replace(row, active=True))

    def _revert_user(self, tx: Transaction, row: ResourceRow) -> None:
        active = row.is_seen_active
        for group in memberships.groups_of(tx, self.connection_id, [row.id]).get(row.id, []):
            membership_changes.set_desired(tx, self.connection_id, group.id, [row.id], desired=group.observed)
            if group.observed:
                self._revert_deletion(tx, group.id)
        user = documents.decode(row, self.user_model)
        user.active = active
        document = documents.encode(user, row.id)
        resources.save(tx, replace(row, active=active, shown_active=active, document=document), user)

    def _revert_deletion(self, tx: Transaction, group_id: str) -> None:
        """Keep a group whose deletion waits for people who are not to lose it now, unless its name is another's."""
        group = resources.get(tx, self.connection_id, "Group", group_id, lock=True, deleted=True)
        if group is None or not group.deleted:
            return
        if resources.find_by_name(tx, self.connection_id, "Group", group.name) is None:
            resources.save(tx, replace(_rejected(group), active=True))

    def _record(self, tx: Transaction, row: ResourceRow, decision: str, reason: str | None = None) -> None:
        """Write a decision to the audit chain, and wake who drives the connection and who waits, on every replica."""
        more = {"actor": "guard"} if decision == "released" else {"reason": reason} if reason else {}
        record(tx, row, "guard", now=self.clock(), decision=decision, **more)
        notifications.wake(tx, self.connection_id)
        notifications.announce(tx, self.connection_id, row.id)


def _name(budget: Budget) -> str:
    """Return what a window is counted under: its length in seconds."""
    return str(int(budget.window.total_seconds()))


def _step(budget: Budget) -> float:
    """Return the seconds of a step of a window: few are kept however many changes there are."""
    return budget.window.total_seconds() / STEPS


def inherit(tx: Transaction, connection_id: str, former_id: str, group_id: str, now: datetime) -> None:
    """Let a group that takes the place of another be guarded as that one was."""
    bound = connector_state.get(tx, connection_id, NAMED) or {}
    heirs = {name: [*ids, group_id] for name, ids in bound.items() if former_id in ids and group_id not in ids}
    if heirs:
        connector_state.put(tx, connection_id, NAMED, {**bound, **heirs}, now)


def _rejected(row: ResourceRow) -> ResourceRow:
    """Return a row that is as it was before an operator rejected its change."""
    return replace(
        row,
        state=State.BLOCKED,
        refusal=Refusal(403, None, "rejected by the operator of the bridge"),
        observed_generation=row.generation,
        not_before=None,
        may_make=False,
        deleted=False,
        version=row.version + 1,
    )
