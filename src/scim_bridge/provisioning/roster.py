"""Comparing who is in which group, where the remote system keeps members on the group."""

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from scim_bridge.connections.bound import BoundConnector
from scim_bridge.errors import RemoteNotFoundError
from scim_bridge.models import Lane
from scim_bridge.provisioning.situation import Capabilities
from scim_bridge.store import audit, membership_changes, memberships, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import Membership, Ownership, ResourceRow, State
from scim_bridge.store.transaction import Transaction

PAGE = 100
"""Groups, and members of one, that are looked at together."""


def comparable(
    tx: Transaction, person: ResourceRow, remote_ids: Collection[str], capabilities: Capabilities
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


@dataclass(frozen=True, slots=True)
class Difference:
    """Who is in a group that clients manage, and should not be, and who should be and is not; by remote id."""

    group: ResourceRow
    extra: tuple[str, ...]
    lacking: tuple[str, ...]


class Rosters:
    """Compares the members that each group lists, where the connector can list them (``list_group_members``)."""

    def __init__(
        self, connection_id: str, store: Store, connector: BoundConnector, *, clock: Callable[[], datetime]
    ) -> None:
        self.connection_id = connection_id
        self.store = store
        self.connector = connector
        self.clock = clock
        self._generation = 0
        """Of the group that is being compared, as it was when its members were asked for, or changed here since."""

    async def differences(self, *, apply: bool, repair_missing: bool) -> AsyncIterator[Difference]:
        """Compare every group of the remote system; accounts are known by then.

        :param apply: Record what is seen, and hand to the driver who should not be there.
        :param repair_missing: Hand to it who is missing, too.
        """
        after: str | None = None
        while "list_group_members" in self.connector.operations:
            page = partial(resources.iterate, connection_id=self.connection_id, kind="Group", after=after, limit=PAGE)
            groups = await self.store.scan(page)
            for group in groups:
                if group.remote_id is None or group.state not in {State.SETTLED, State.BLOCKED}:
                    continue  # what is on its way is left to the driver
                found = await self._compare(group, apply=apply, repair_missing=repair_missing)
                if found.extra or found.lacking:
                    yield found
            if len(groups) < PAGE:
                return
            after = groups[-1].id

    async def _compare(self, group: ResourceRow, *, apply: bool, repair_missing: bool) -> Difference:
        listed: set[str] = set()
        extra: list[str] = []
        cursor = None
        self._generation = group.generation
        try:
            while True:
                page = await self.connector.list_group_members(str(group.remote_id), cursor, PAGE)
                new = set(page.members) - listed
                listed |= new
                extra += await self._run(partial(self._joined, group=group, remote_ids=new, apply=apply))
                cursor = page.cursor
                if cursor is None:
                    break
        except RemoteNotFoundError:
            return Difference(group, tuple(extra), ())  # the comparison of groups tells that
        left = partial(self._left, group=group, listed=listed, apply=apply, repair=repair_missing)
        return Difference(group, tuple(extra), tuple(await self._run(left)))

    async def _run(self, work: Callable[[Transaction], list[str]]) -> list[str]:
        def alone(tx: Transaction) -> list[str]:
            audit.serialise(tx, self.connection_id)
            return work(tx)

        return await self.store.write(alone)

    def _unwritten(self, tx: Transaction, group: ResourceRow) -> ResourceRow | None:
        """Return a group as it is now, unless somebody else has written it since its members were asked for."""
        fresh = resources.get(tx, self.connection_id, "Group", group.id, lock=True)
        return fresh if fresh is not None and fresh.generation == self._generation else None

    def _hand_over(self, tx: Transaction, group: ResourceRow, lane: Lane) -> None:
        bumped = resources.bump(tx, self.connection_id, [group.id], lane=lane, now=self.clock())
        self._generation = bumped[group.id]

    def _joined(self, tx: Transaction, group: ResourceRow, remote_ids: Collection[str], *, apply: bool) -> list[str]:
        """Take over who is listed; return those who should not be there, of whom nothing was known."""
        fresh = self._unwritten(tx, group)
        if fresh is None:
            return []
        users = [resources.find_by_remote_id(tx, self.connection_id, "User", one) for one in sorted(remote_ids)]
        known = {user.id: user for user in users if user is not None}
        here = memberships.those_of(tx, self.connection_id, group.id, known)
        new = [user for user in known.values() if user.id not in here]
        theirs = [user for user in new if Ownership.DISCOVERED in {user.ownership, fresh.ownership}]
        extra = [user for user in new if user not in theirs]
        if apply and new:
            ids = [user.id for user in new]
            membership_changes.observe_group(tx, self.connection_id, group.id, added=ids, removed=[])
            wanted = [user.id for user in theirs]
            membership_changes.set_desired(tx, self.connection_id, group.id, wanted, desired=True)
            resources.touch(tx, self.connection_id, [group.id, *ids])
            if extra:
                self._hand_over(tx, group, Lane.REPAIR)
        return [str(user.remote_id) for user in extra]

    def _left(self, tx: Transaction, group: ResourceRow, listed: set[str], *, apply: bool, repair: bool) -> list[str]:
        """Take over who is listed no longer; return those who should be, in a group that clients manage."""
        fresh = self._unwritten(tx, group)
        if fresh is None:
            return []
        gone = [
            one
            for one in memberships.members_of(tx, self.connection_id, group.id)
            if one.desired and one.observed and not one.doubtful and one.remote_id not in listed
        ]
        lacking = [one for one in gone if fresh.ownership is not Ownership.DISCOVERED and self._is_managed(tx, one)]
        ids = {one.id for one in gone} - (set() if repair else {one.id for one in lacking})
        if apply and ids:
            membership_changes.observe_group(tx, self.connection_id, group.id, added=[], removed=ids)
            unmanaged = ids - {one.id for one in lacking}
            membership_changes.set_desired(tx, self.connection_id, group.id, unmanaged, desired=False)
            resources.touch(tx, self.connection_id, [group.id, *ids])
            if lacking and repair:
                self._hand_over(tx, group, Lane.UPDATE)
        return [str(one.remote_id) for one in lacking]

    def _is_managed(self, tx: Transaction, member: Membership) -> bool:
        user = resources.get(tx, self.connection_id, "User", member.id)
        if user is None or not user.active:
            return False
        return member.named or user.ownership is not Ownership.DISCOVERED
