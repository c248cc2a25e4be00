"""Transactions of several processes on PostgreSQL, which run at the same time: they count right and block nobody."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scim_bridge.provisioning import Provisioning, ProvisioningPolicy
from scim_bridge.provisioning.policy import Budget
from scim_bridge.store import connector_state, membership_changes, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.store.transaction import Transaction
from scim_bridge.testing.contexts import connected
from scim_bridge.testing.memory import MemoryConnector
from tests.contract.store.examples import group as example_group
from tests.contract.store.examples import row_of
from tests.unit.provisioning.conftest import CONNECTION, always, setting, user
from tests.unit.provisioning.test_guard import guarded

LONG_AGO = datetime.now(UTC) - timedelta(days=1)


class Meeting:
    """Where two threads wait for each other; where only one can come, it goes on after a moment."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(2)

    def wait(self) -> None:
        """Wait for the other one."""
        with suppress(threading.BrokenBarrierError):
            self._barrier.wait(0.5)


@asynccontextmanager
async def provisioning_on(url: str, policy: ProvisioningPolicy) -> AsyncIterator[Provisioning]:
    """Open a connection that nobody drives."""
    store = await Store.open(url)
    try:
        async with connected(MemoryConnector, {}, connection_id=CONNECTION) as connector:
            yield Provisioning(CONNECTION, store, connector, policy)
    finally:
        await store.close()


async def person(store: Store, name: str) -> str:
    """Insert a User that is settled and old, and return its id."""
    row = replace(row_of(user(name)), connection_id=CONNECTION, created_at=LONG_AGO)
    row = replace(row, observed=replace(row.observed, present=True, active=True)) if row.observed else row
    await store.write(lambda tx: resources.insert(tx, row, user(name)))
    return row.id


async def test_two_removals_at_once_are_counted_as_two(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that look at the ledger of the guard together do not both find room for the last one."""
    policy = guarded(removals=Budget(floor=1, share=0.0))
    async with provisioning_on(postgresql_url, policy) as provisioning:
        store = provisioning.store
        ids = [await person(store, name) for name in ("ada@x.example", "bob@x.example")]
        meeting, get = Meeting(), connector_state.get

        def together(tx: Transaction, connection_id: str, key: str) -> Any:
            value = get(tx, connection_id, key)
            meeting.wait()
            return value

        monkeypatch.setattr(connector_state, "get", together)
        provisioning.policy = replace(provisioning.policy, budget=0.1)
        deleting = [provisioning.delete_user(one, always) for one in ids]
        await asyncio.gather(*deleting, return_exceptions=True)

        rows = await store.read(lambda tx: [resources.get(tx, CONNECTION, "User", one, deleted=True) for one in ids])
        states = {row.state for row in rows if row is not None}
        assert states == {State.PENDING, State.HELD}


async def test_a_change_of_a_group_and_an_outcome_of_its_member_do_not_lock_each_other_out(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one has the audit chain and wants the member, the other the reverse: both go through all the same."""
    async with provisioning_on(postgresql_url, ProvisioningPolicy(budget=0.1)) as provisioning:
        store = provisioning.store
        ada = await person(store, "ada@x.example")
        sales = replace(row_of(example_group("Sales")), connection_id=CONNECTION, remote_id="group-1")
        await store.write(lambda tx: resources.insert(tx, sales, example_group("Sales")))
        await store.write(lambda tx: membership_changes.set_desired(tx, CONNECTION, sales.id, [ada], desired=True))
        meeting, apply = Meeting(), membership_changes.apply

        def apply_together(*arguments: Any, **options: Any) -> Any:
            meeting.wait()
            return apply(*arguments, **options)

        def outcome(tx: Transaction) -> None:
            row = resources.get(tx, CONNECTION, "User", ada, lock=True)
            assert row is not None
            meeting.wait()
            provisioning.users.intake.record(tx, row, "outcome")

        monkeypatch.setattr(membership_changes, "apply", apply_together)
        change = provisioning.modify_group(sales.id, setting(display_name="Sale"), [MemberDelta("replace", ())], always)
        recorded = provisioning.driver._record(ada, outcome)
        answered = await asyncio.gather(change, recorded, return_exceptions=True)

        assert [type(one).__name__ for one in answered] == ["PendingError", "NoneType"]
