"""Membership rows: deltas, what is shown, what is unsettled."""

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from scim_bridge.store import membership_changes, memberships, resources, shown
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import MemberDelta, Membership, MembershipChange
from scim_bridge.store.tables import member
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import CONNECTION, NOON, group, row_of, user

USERS = [f"user-{number}" for number in range(5)]
GROUPS = ["group-0", "group-1"]


def fill(tx: Transaction, **changes: Any) -> None:
    """Insert five people and two groups."""
    for id_ in USERS:
        resources.insert(tx, row_of(user(id_), id=id_, **changes), user(id_))
    for id_ in GROUPS:
        resources.insert(tx, row_of(group(id_), id=id_, remote_id=f"remote-{id_}"), group(id_))


def apply(tx: Transaction, *deltas: tuple[str, list[str]], to: str = "group-0") -> MembershipChange:
    """Apply deltas to a group."""
    return membership_changes.apply(
        tx, CONNECTION, to, [MemberDelta(action, tuple(ids)) for action, ids in deltas], NOON
    )


def rows(tx: Transaction) -> set[tuple[str, str, bool, bool]]:
    """Return all membership rows."""
    found = tx.execute(select(member.c.group_id, member.c.user_id, member.c.desired, member.c.observed))
    return {(group_id, user_id, desired, observed) for group_id, user_id, desired, observed in found}


async def in_transaction(store: Store, work: Callable[[Transaction], None]) -> None:
    """Run a test's body on people and groups."""

    def transaction(tx: Transaction) -> None:
        fill(tx)
        work(tx)

    await store.write(transaction)


async def test_unknown_members_are_reported_and_not_stored(store: Store) -> None:
    """An id of nobody, of a group, or of a deleted person is unknown; to remove one is calm."""

    def work(tx: Transaction) -> None:
        gone = row_of(user("gone"), id="gone", deleted=True)
        resources.insert(tx, gone, user("gone"))
        change = apply(tx, ("add", ["user-1", "nobody", "group-1", "gone"]), ("remove", ["stranger"]))
        assert change == MembershipChange(frozenset({"user-1"}), frozenset(), frozenset({"nobody", "group-1", "gone"}))
        assert rows(tx) == {("group-0", "user-1", True, False)}

    await in_transaction(store, work)


async def test_a_change_that_changes_nothing_reports_nothing(store: Store) -> None:
    """A present member added and an absent one removed are calm."""

    def work(tx: Transaction) -> None:
        apply(tx, ("add", ["user-1"]))
        assert apply(tx, ("add", ["user-1"]), ("remove", ["user-2"])) == MembershipChange(
            frozenset(), frozenset(), frozenset()
        )

    await in_transaction(store, work)


async def test_a_removal_is_shown_until_it_is_true(store: Store) -> None:
    """A member that is observed stays shown after the client removed it, and goes when the remote system agrees."""

    def work(tx: Transaction) -> None:
        apply(tx, ("add", ["user-1", "user-2"]))
        membership_changes.observe_group(tx, CONNECTION, "group-0", added=["user-1"], removed=[])
        apply(tx, ("remove", ["user-1", "user-2"]))
        assert memberships.members_of(tx, CONNECTION, "group-0") == [
            Membership("user-1", "user-1", None, "User", desired=False, observed=True)
        ]
        assert memberships.unsettled_of_group(tx, CONNECTION, "group-0") == ([], ["user-1"])
        membership_changes.observe_user(tx, CONNECTION, "user-1", [])
        assert rows(tx) == set()

    await in_transaction(store, work)


async def test_observing_a_person_sets_exactly_the_groups_seen(store: Store) -> None:
    """Groups seen and not wanted get a row of their own; groups wanted and not seen stay wanted."""

    def work(tx: Transaction) -> None:
        apply(tx, ("add", ["user-1"]))
        membership_changes.observe_user(tx, CONNECTION, "user-1", ["group-1"])
        assert rows(tx) == {("group-0", "user-1", True, False), ("group-1", "user-1", False, True)}
        assert memberships.groups_of(tx, CONNECTION, ["user-1", "user-2"]) == {
            "user-1": [
                Membership("group-0", "group-0", "remote-group-0", "Group", desired=True, observed=False),
                Membership("group-1", "group-1", "remote-group-1", "Group", desired=False, observed=True, named=False),
            ],
            "user-2": [],
        }

    await in_transaction(store, work)


async def test_a_person_who_is_removed_is_wanted_nowhere(store: Store) -> None:
    """``remove_user`` names every group they are or were to be in, and leaves what is still to be undone."""

    def work(tx: Transaction) -> None:
        apply(tx, ("add", ["user-1", "user-2"]))
        membership_changes.observe_user(tx, CONNECTION, "user-1", ["group-1"])
        assert membership_changes.remove_user(tx, CONNECTION, "user-1") == ["group-0", "group-1"]
        assert rows(tx) == {("group-0", "user-2", True, False), ("group-1", "user-1", False, True)}

    await in_transaction(store, work)


async def test_a_group_that_is_removed_wants_nobody(store: Store) -> None:
    """``remove_group`` names everybody concerned; ``groups_of`` shows the dying group unless told not to."""

    def work(tx: Transaction) -> None:
        apply(tx, ("add", ["user-1", "user-2"]))
        membership_changes.observe_group(tx, CONNECTION, "group-0", added=["user-1"], removed=[])
        assert membership_changes.remove_group(tx, CONNECTION, "group-0").removed == {"user-1", "user-2"}
        assert rows(tx) == {("group-0", "user-1", False, True)}
        resources.save(tx, row_of(group("group-0"), id="group-0", deleted=True))
        assert len(memberships.groups_of(tx, CONNECTION, ["user-1"])["user-1"]) == 1
        assert memberships.groups_of(tx, CONNECTION, ["user-1"], deleted=False)["user-1"] == []

    await in_transaction(store, work)


async def test_holders_are_desired_members_who_are_active_and_live(store: Store) -> None:
    """Inactive, deleted and merely observed people hold nothing."""

    def work(tx: Transaction) -> None:
        apply(tx, ("add", ["user-1", "user-2", "user-3"]))
        membership_changes.observe_group(tx, CONNECTION, "group-0", added=["user-4"], removed=[])
        resources.save(tx, row_of(user("user-2"), id="user-2", active=False))
        resources.save(tx, row_of(user("user-3"), id="user-3", deleted=True))
        assert memberships.count_holders(tx, CONNECTION, "group-0") == 1

    await in_transaction(store, work)


async def test_members_are_paged_by_id(store: Store) -> None:
    """Pages join to all members, as clients are shown them."""

    def work(tx: Transaction) -> None:
        apply(tx, ("replace", USERS))
        first = memberships.members_of(tx, CONNECTION, "group-0", limit=3)
        rest = memberships.members_of(tx, CONNECTION, "group-0", limit=3, after=first[-1].id)
        assert [each.id for each in first + rest] == USERS
        assert shown.members(tx, CONNECTION, "group-0") == USERS
        assert shown.members(tx, CONNECTION, "group-1") == []

    await in_transaction(store, work)


async def test_a_group_of_thousands_changes_as_a_whole(store: Store) -> None:
    """More members than one statement takes are added, replaced and removed completely."""
    people = [f"many-{number:04}" for number in range(620)]

    def work(tx: Transaction) -> None:
        for id_ in people:
            resources.insert(tx, row_of(user(id_), id=id_), user(id_))
        assert apply(tx, ("replace", people)).added == frozenset(people)
        assert apply(tx, ("replace", people[310:])).removed == frozenset(people[:310])
        assert apply(tx, ("remove", people)).removed == frozenset(people[310:])
        assert rows(tx) == set()

    await in_transaction(store, work)


ids = st.lists(st.sampled_from([*USERS, "nobody"]), max_size=4)
steps = st.one_of(
    st.lists(st.tuples(st.sampled_from(["add", "remove", "replace"]), ids), max_size=3).map(
        lambda each: ("apply", each)
    ),
    st.tuples(st.just("observe user"), st.sampled_from(USERS), st.lists(st.sampled_from(GROUPS), unique=True)),
    st.tuples(st.just("observe group"), ids, ids),
    st.tuples(st.just("desire"), st.lists(st.sampled_from(USERS), max_size=3), st.booleans()),
    st.tuples(st.just("remove user"), st.sampled_from(USERS)),
)


class Model:
    """What the rows must say, as two sets."""

    def __init__(self) -> None:
        self.desired: set[tuple[str, str]] = set()
        self.observed: set[tuple[str, str]] = set()

    def rows(self) -> set[tuple[str, str, bool, bool]]:
        """Return the rows that stand for the sets."""
        return {(*pair, pair in self.desired, pair in self.observed) for pair in self.desired | self.observed}

    def apply(self, group_id: str, deltas: list[tuple[str, list[str]]]) -> None:
        """Apply a client's deltas one by one, the plain way."""
        for action, given_ids in deltas:
            pairs = {(group_id, user_id) for user_id in given_ids if user_id in USERS}
            if action == "replace":
                self.desired = {pair for pair in self.desired if pair[0] != group_id} | pairs
            elif action == "add":
                self.desired |= pairs
            else:
                self.desired -= pairs

    def step(self, step: tuple[Any, ...]) -> None:
        """Do one step."""
        if step[0] == "apply":
            self.apply("group-0", step[1])
        elif step[0] == "observe user":
            self.observed = {pair for pair in self.observed if pair[1] != step[1]} | {
                (each, step[1]) for each in step[2]
            }
        elif step[0] == "observe group":
            self.observed |= {("group-1", user_id) for user_id in step[1] if user_id in USERS}
            self.observed -= {("group-1", user_id) for user_id in step[2]}
        elif step[0] == "desire":
            pairs = {("group-1", user_id) for user_id in step[1]}
            self.desired = self.desired | pairs if step[2] else self.desired - pairs
        else:
            self.desired = {pair for pair in self.desired if pair[1] != step[1]}


def do(tx: Transaction, step: tuple[Any, ...]) -> None:
    """Do one step in the database."""
    if step[0] == "apply":
        apply(tx, *step[1])
    elif step[0] == "observe user":
        membership_changes.observe_user(tx, CONNECTION, step[1], step[2])
    elif step[0] == "observe group":
        known = [user_id for user_id in step[1] if user_id in USERS]
        membership_changes.observe_group(tx, CONNECTION, "group-1", added=known, removed=step[2])
    elif step[0] == "desire":
        membership_changes.set_desired(tx, CONNECTION, "group-1", step[1], desired=step[2])
    else:
        membership_changes.remove_user(tx, CONNECTION, step[1])


class UndoError(Exception):
    """Rolls a transaction back."""


async def test_who_may_be_in_a_group_is_noted_only_of_whom_nothing_is_known(store: Store) -> None:
    """A suspected membership is to be removed; who is to be in, or was seen in it, is left as it is."""

    def work(tx: Transaction) -> None:
        apply(tx, ("add", ["user-1"]))
        membership_changes.observe_group(tx, CONNECTION, "group-0", added=["user-2"], removed=[])
        before = rows(tx)

        assert membership_changes.suspect(tx, CONNECTION, "group-0", ["user-1", "user-2", "user-3"]) == ["user-3"]
        assert rows(tx) == before | {("group-0", "user-3", False, True)}
        assert memberships.unsettled_of_group(tx, CONNECTION, "group-0") == (["user-1"], ["user-2", "user-3"])
        assert memberships.those_of(tx, CONNECTION, "group-0", USERS) == {"user-1", "user-2", "user-3"}
        assert membership_changes.suspect(tx, CONNECTION, "group-0", ["user-3"]) == []
        assert "user-3" not in shown.members(tx, CONNECTION, "group-0")  # to a reader it would be a claim
        assert memberships.groups_of(tx, CONNECTION, ["user-3"], deleted=False)["user-3"] == []

    await in_transaction(store, work)


def test_rows_follow_two_sets_through_any_history(any_store_url: str) -> None:
    """After any history of changes and observations the rows are the desired and the observed set, and no other row."""
    store = asyncio.run(Store.open(any_store_url, threads=False))

    @settings(max_examples=120 if store.dialect == "sqlite" else 40, suppress_health_check=list(HealthCheck))
    @given(st.lists(steps, max_size=8))
    def check(history: list[tuple[Any, ...]]) -> None:
        def work(tx: Transaction) -> None:
            fill(tx)
            model = Model()
            for step in history:
                do(tx, step)
                model.step(step)
                assert rows(tx) == model.rows()
            raise UndoError

        try:
            asyncio.run(store.write(work))
        except UndoError:
            return

    check()
    asyncio.run(store.close())
