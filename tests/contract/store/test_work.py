"""The driver's work list."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

from sqlalchemy import Text, cast, literal, select, true
from sqlalchemy import insert as sql_insert

from scim_bridge.connector import correlation_id
from scim_bridge.models import Kind, Lane
from scim_bridge.store import resources
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import PendingKey, Refusal, State
from scim_bridge.store.tables import resource
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import CONNECTION, NOON, group, row_of, user

SECOND = timedelta(seconds=1)


def insert(tx: Transaction, id_: str, kind: Kind = "User", **changes: object) -> None:
    """Insert a resource that is pending unless told otherwise."""
    made = user(id_) if kind == "User" else group(id_)
    resources.insert(tx, row_of(made, id=id_, **{"state": State.PENDING, **changes}), made)


async def test_due_work_comes_most_urgent_and_longest_waiting_first(store: Store) -> None:
    """Order is lane, then due time, then age; what is not due, not pending, or in other hands is left out."""

    def work(tx: Transaction) -> None:
        insert(tx, "update", lane=Lane.UPDATE)
        insert(tx, "late", lane=Lane.CREATE, not_before=NOON)
        insert(tx, "early", lane=Lane.CREATE, not_before=NOON - SECOND)
        insert(tx, "now", lane=Lane.CREATE)
        insert(tx, "remove", "Group", lane=Lane.REMOVE, deleted=True, generation=5)
        insert(tx, "waiting", lane=Lane.REMOVE, not_before=NOON + SECOND)
        insert(tx, "busy", lane=Lane.REMOVE)
        for state in (State.SETTLED, State.BLOCKED, State.HELD):
            insert(tx, state.value, lane=Lane.REMOVE, state=state)
        found = resources.pending(tx, CONNECTION, now=NOON, limit=9, exclude={"busy"})
        assert [key.id for key in found] == ["remove", "now", "early", "late", "update"]
        assert found[0] == PendingKey("remove", "Group", Lane.REMOVE, 5, None)
        assert found[3].not_before == NOON
        few = resources.pending(tx, CONNECTION, now=NOON, limit=2, exclude={"busy"})
        assert [key.id for key in few] == ["remove", "now", "early", "update"], "so many of each lane"
        assert resources.next_due(tx, CONNECTION, now=NOON) == NOON + SECOND
        assert resources.next_due(tx, CONNECTION, now=NOON + SECOND) is None

    await store.write(work)


async def test_a_bump_starts_a_new_generation(store: Store) -> None:
    """Generation and version go up by one, and everything of the last attempt is forgotten."""

    def work(tx: Transaction) -> None:
        insert(tx, "a", state=State.BLOCKED, attempt=4, not_before=NOON + SECOND, refusal=Refusal(400, None, "no"))
        insert(tx, "b", generation=3)
        found = resources.bump(tx, CONNECTION, ["a", "b", "nobody"], lane=Lane.CREATE, now=NOON)
        assert found == {"a": 2, "b": 4}
        row = resources.get(tx, CONNECTION, "User", "a")
        assert row is not None
        assert (row.state, row.attempt, row.not_before, row.refusal) == (State.PENDING, 0, None, None)
        assert (row.version, row.lane) == (2, Lane.CREATE)

    await store.write(work)


async def test_a_bump_never_makes_pending_work_less_urgent(store: Store) -> None:
    """A removal that waits stays a removal when an update follows; settled work takes the lane of the update."""

    def work(tx: Transaction) -> None:
        insert(tx, "a", lane=Lane.REMOVE)
        insert(tx, "b", lane=Lane.REMOVE, state=State.SETTLED)
        insert(tx, "c", lane=Lane.UPDATE)
        resources.bump(tx, CONNECTION, ["a", "b", "c"], lane=Lane.CREATE, now=NOON)
        found = {id_: resources.get(tx, CONNECTION, "User", id_) for id_ in ("a", "b", "c")}
        assert {id_: row.lane for id_, row in found.items() if row} == {
            "a": Lane.REMOVE,
            "b": Lane.CREATE,
            "c": Lane.CREATE,
        }

    await store.write(work)


async def test_a_touch_changes_the_version_alone(store: Store) -> None:
    """A resource that only looks different gets a new ETag and no work."""

    def work(tx: Transaction) -> None:
        ids = [f"user-{number}" for number in range(600)]
        for id_ in ids:
            insert(tx, id_, state=State.SETTLED)
        resources.touch(tx, CONNECTION, ids)
        rows = resources.iterate(tx, CONNECTION, "User", after=None, limit=1000)
        assert {(row.version, row.generation, row.state) for row in rows} == {(2, 1, State.SETTLED)}
        assert len(resources.bump(tx, CONNECTION, ids, lane=Lane.UPDATE, now=NOON)) == 600

    await store.write(work)


async def test_what_is_held_and_what_was_refused_is_found_behind_any_number_of_others(store: Store) -> None:
    """Ten thousand pending removals before them in the list hide neither a held grant nor a refused creation."""

    def work(tx: Transaction) -> None:
        insert(tx, "pending", lane=Lane.REMOVE)
        columns = [column for column in resource.c if column.name not in {"sequence", "id", "name_key"}]
        numbers = select(literal(1).label("n")).cte("numbers", recursive=True)
        numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n <= 10_000))
        names = cast(numbers.c.n, Text)
        many = (
            select(*columns, names, names).select_from(resource.join(numbers, true())).where(resource.c.id == "pending")
        )
        tx.execute(sql_insert(resource).from_select([*(column.name for column in columns), "id", "name_key"], many))
        insert(tx, "held", lane=Lane.UPDATE, state=State.HELD)
        no = Refusal(400, None, "no")
        insert(tx, "refused", lane=Lane.UPDATE, state=State.BLOCKED, deleted=True, refusal=no)

        assert len(resources.ledger(tx, CONNECTION, limit=20_000)) == 10_004
        assert [row.id for row in resources.held(tx, CONNECTION)] == ["held"]
        found = resources.find_refused(tx, CONNECTION, "User", str(user("refused").user_name))
        assert found is not None
        assert found.id == "refused"
        assert resources.find_refused(tx, CONNECTION, "User", str(user("held").user_name)) is None

    await store.write(work)


async def test_the_ledger_lists_what_is_not_settled_removals_first(store: Store) -> None:
    """Pending, blocked and held resources are listed, and counted by kind and state."""

    def work(tx: Transaction) -> None:
        insert(tx, "a", lane=Lane.UPDATE, state=State.BLOCKED)
        insert(tx, "b", lane=Lane.REMOVE, state=State.HELD)
        insert(tx, "c", "Group", lane=Lane.REMOVE)
        insert(tx, "d", state=State.SETTLED)
        assert [row.id for row in resources.ledger(tx, CONNECTION)] == ["b", "c", "a"]
        assert len(resources.ledger(tx, CONNECTION, limit=1)) == 1
        assert resources.counts(tx, CONNECTION) == {
            ("User", State.BLOCKED): 1,
            ("User", State.HELD): 1,
            ("Group", State.PENDING): 1,
            ("User", State.SETTLED): 1,
        }

    await store.write(work)


async def test_a_connection_has_at_least_as_many_as_it_has(store: Store) -> None:
    """Resources of one kind count, deleted ones too, and those of other kinds and connections do not."""

    def work(tx: Transaction) -> None:
        assert resources.at_least(tx, CONNECTION, "User", 0)
        assert not resources.at_least(tx, CONNECTION, "User", 1)
        for number in range(3):
            insert(tx, f"user-{number}", deleted=number == 0)
        insert(tx, "group", "Group")
        insert(tx, "elsewhere", connection_id="other")
        assert resources.at_least(tx, CONNECTION, "User", 3)
        assert not resources.at_least(tx, CONNECTION, "User", 4)

    await store.write(work)


async def test_a_generation_remembers_which_request_caused_it(store: Store) -> None:
    """Until it is settled, whatever else is written to the row; a generation that nobody asked for has none."""

    def work(tx: Transaction) -> None:
        made = user("ada")
        row = row_of(made, id="ada", state=State.PENDING)

        def caused(request: str | None, change: Callable[[], object]) -> str | None:
            correlation_id.set(request)
            change()
            (key,) = resources.pending(tx, CONNECTION, now=NOON, limit=9)
            return key.request_id

        assert caused("first", lambda: resources.insert(tx, row, made)) == "first"
        assert caused("driver", lambda: resources.save(tx, replace(row, attempt=1))) == "first"
        assert caused("second", lambda: resources.save(tx, replace(row, generation=2))) == "second"
        bump = partial(resources.bump, tx, CONNECTION, ["ada"], lane=Lane.UPDATE, now=NOON)
        assert caused("third", bump) == "third"
        assert caused(None, bump) is None
        assert caused("fourth", bump) == "fourth"
        resources.save(tx, replace(row, generation=5, state=State.SETTLED))
        assert tx.execute(select(resource.c.request_id)).scalar_one() is None

    await store.write(work)
