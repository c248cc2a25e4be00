"""Members whom no client manages, and what one group takes over from another that is the same."""

from collections.abc import Callable

from scim_bridge.store import membership_changes, memberships, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import MemberDelta, MembershipChange, Ownership
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import CONNECTION, NOON, row_of, user
from tests.contract.store.test_memberships import fill, rows


async def on_people(store: Store, work: Callable[[Transaction], None]) -> None:
    """Run a test's body: nobody has written user-0 to user-3, who are in group-0 by hand; user-4 is a client's."""

    def transaction(tx: Transaction) -> None:
        fill(tx, ownership=Ownership.DISCOVERED)
        resources.save(tx, row_of(user("user-4"), id="user-4", ownership=Ownership.ADOPTED))
        by_hand = [f"user-{number}" for number in range(5)]
        membership_changes.observe_group(tx, CONNECTION, "group-0", added=by_hand, removed=[])
        membership_changes.set_desired(tx, CONNECTION, "group-0", by_hand, desired=True)
        work(tx)

    await store.write(transaction)


def apply(tx: Transaction, *deltas: tuple[str, list[str]], keep: bool = True) -> MembershipChange:
    """Apply deltas to group-0."""
    changes = [MemberDelta(action, tuple(ids)) for action, ids in deltas]
    return membership_changes.apply(tx, CONNECTION, "group-0", changes, NOON, keep_unmanaged=keep)


async def test_a_whole_list_leaves_whom_nobody_manages(store: Store) -> None:
    """Whom a client has written, or has ever named, leaves; the others stay unless that is not wanted."""

    def work(tx: Transaction) -> None:
        first = apply(tx, ("replace", ["user-0"]))
        assert first.removed == {"user-4"}
        assert first.stayed == {"user-1", "user-2", "user-3"}
        second = apply(tx, ("add", ["user-1"]), ("remove", ["user-2"]), ("replace", []))
        assert second.removed == {"user-0", "user-1", "user-2"}
        assert second.stayed == {"user-3"}
        assert apply(tx, ("replace", []), keep=False).removed == {"user-3"}

    await on_people(store, work)


async def test_what_a_comparison_sees_makes_nothing_unnamed(store: Store) -> None:
    """Whom a client named once stays named, however often the membership is seen by hand."""

    def work(tx: Transaction) -> None:
        apply(tx, ("add", ["user-0"]))
        membership_changes.set_desired(tx, CONNECTION, "group-0", ["user-0", "user-1"], desired=True)
        assert memberships.unmanaged(tx, CONNECTION, "group-0", ["user-0", "user-1", "user-4"]) == {"user-1"}

    await on_people(store, work)


async def test_a_deleted_group_keeps_them(store: Store) -> None:
    """``remove_group`` tells who leaves and who stays; a group is left to somebody as long as they are seen in it."""

    def work(tx: Transaction) -> None:
        apply(tx, ("add", ["user-0"]))
        change = membership_changes.remove_group(tx, CONNECTION, "group-0", keep_unmanaged=True)
        assert change.removed == {"user-0", "user-4"}
        assert change.stayed == {"user-1", "user-2", "user-3"}
        assert memberships.is_left(tx, CONNECTION, "group-0")
        membership_changes.observe_absence(tx, CONNECTION, "group-0")
        assert not memberships.is_left(tx, CONNECTION, "group-0")

    await on_people(store, work)


async def test_a_group_takes_over_who_was_seen_in_its_former(store: Store) -> None:
    """Who is leaving is seen in the new one, wanted only as that wants it; whom a call may be taking is in doubt."""

    def work(tx: Transaction) -> None:
        membership_changes.remove_group(tx, CONNECTION, "group-0")
        membership_changes.set_desired(tx, CONNECTION, "group-0", ["user-3"], desired=True)
        resources.save(tx, row_of(user("user-1"), id="user-1", ambiguous=True))
        membership_changes.set_desired(tx, CONNECTION, "group-1", ["user-0", "user-1"], desired=True)
        membership_changes.hand_over(tx, CONNECTION, "group-0", "group-1")
        assert {row for row in rows(tx) if row[0] == "group-1"} == {
            ("group-1", "user-0", True, True),
            ("group-1", "user-1", True, True),
            ("group-1", "user-2", False, True),
            ("group-1", "user-3", True, True),
            ("group-1", "user-4", False, True),
        }
        taken = {one.id: one.given for one in memberships.members_of(tx, CONNECTION, "group-1")}
        assert taken == {"user-0": True, "user-1": False, "user-2": True, "user-3": True, "user-4": True}

    await on_people(store, work)
