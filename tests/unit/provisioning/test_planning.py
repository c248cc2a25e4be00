"""A connection that plans answers as if all were done, sends nothing, and does it when it goes live."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from scim2_models import NotFoundException

from scim_bridge.errors import PendingError
from scim_bridge.provisioning import ProvisioningPolicy, observing
from scim_bridge.provisioning.policy import Budget, GuardPolicy
from scim_bridge.provisioning.reconcile import Reconciler
from scim_bridge.store import audit, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.testing.memory_remote import MemoryRemote
from scim_bridge.views import plan as view
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting, user
from tests.unit.provisioning.test_groups import people, remote_groups
from tests.unit.provisioning.test_observing import go_live

ADA, BOB, CYD = "ada@x.example", "bob@x.example", "cyd@x.example"
WRITES = frozenset({"create", "update", "delete", "deactivate", "reactivate", "set", "add", "remove", "finish"})

GROUPS = pytest.mark.parametrize("groups", [False, True], ids=["groups on the person", "members on the group"])


async def plan_from_now_on(bridge: Bridge) -> None:
    """Have the connection plan."""
    await bridge.store.write(lambda tx: observing.begin(tx, CONNECTION, "plan", now=datetime.now(UTC)))


async def planned(bridge: Bridge) -> view.Plan:
    """Return the plan."""
    provisioning = bridge.provisioning
    return await bridge.store.read(lambda tx: view.plan(tx, CONNECTION, provisioning.capabilities, provisioning.guard))


def told(plan: view.Plan) -> set[tuple[str, str, str | None]]:
    """Return what is done to whom, and in which group."""
    return {(one.action, one.name, one.group) for one in plan.changes}


def written(remote: MemoryRemote) -> list[str]:
    """Return the hooks that were called to change something."""
    return [call.hook for call in remote.calls if call.hook.partition("_")[0] in WRITES]


@GROUPS
async def test_what_is_wanted_is_answered_shown_and_done_when_it_goes_live(
    tmp_path: Path, remote: MemoryRemote, groups: bool
) -> None:
    """Every kind of write, across a restart: nothing is sent before, the plan names it all, and then it is true."""
    async with bridge_on(tmp_path / "b.db", remote, groups=groups) as bridge:
        ada, bob = await people(bridge, ADA, BOB)
        sales, old = await bridge.group_with("Sales", ada, bob), await bridge.group_with("Old", bob)
        await plan_from_now_on(bridge)
        before = len(written(remote))
        provisioning = bridge.provisioning

        outcome = await provisioning.modify_user(ada, setting(active=False), always)
        created = await provisioning.create_user(user(CYD))
        await provisioning.modify_user(bob, setting(display_name="Bobby"), always)
        await provisioning.modify_group(sales, None, [MemberDelta("remove", (bob,))], always)
        fresh = await bridge.group_with("New", bob, created.row.id)
        await provisioning.delete_group(old, always)

        assert not outcome.row.active
        assert created.created
        plan = await planned(bridge)
        assert plan.plans
        assert plan.has_removals
        assert told(plan) >= {
            ("remove", ADA, None),
            ("remove", BOB, "Sales"),
            ("remove", BOB, "Old"),
            ("remove", "Old", None),
            ("create", CYD, None),
            ("create", "New", None),
            ("change", BOB, "New"),
            ("change", CYD, "New"),
        }
        assert [one.action for one in plan.removals] == ["remove"] * plan.removed
        with pytest.raises(NotFoundException):
            await provisioning.modify_group(old, None, [], always)
        assert len(written(remote)) == before

    async with bridge_on(tmp_path / "b.db", remote, groups=groups) as bridge:
        await bridge.provisioning.driver.idle()
        assert len(written(remote)) == before
        assert told(await planned(bridge)) == told(plan)

        assert await go_live(bridge)

        account = remote.find(ADA)
        assert account is None or not account.active
        assert remote_groups(remote, BOB) == {"New"} == remote_groups(remote, CYD)
        assert {str(group.display_name) for group in remote.groups.values()} == {"Sales", "New"}
        assert (await planned(bridge)).is_empty
        assert (await bridge.row("Group", fresh)).state is State.SETTLED


@GROUPS
async def test_whoever_is_put_back_as_they_were_nets_to_nothing(
    tmp_path: Path, remote: MemoryRemote, groups: bool
) -> None:
    """Out and in again, out of a group and in again: the plan is empty, and nothing is changed by going live."""
    async with bridge_on(tmp_path / "b.db", remote, groups=groups) as bridge:
        (ada,) = await people(bridge, ADA)
        sales = await bridge.group_with("Sales", ada)
        await plan_from_now_on(bridge)
        before = len(written(remote))
        for active in (False, True):
            await bridge.provisioning.modify_user(ada, setting(active=active), always)
        for action in ("remove", "add"):
            await bridge.provisioning.modify_group(sales, None, [MemberDelta(action, (ada,))], always)

        assert told(await planned(bridge)) == set()
        await go_live(bridge)

        assert len(written(remote)) == before
        assert remote_groups(remote, ADA) == {"Sales"}


@GROUPS
async def test_what_was_there_before_and_is_pushed_as_it_is_needs_nothing(
    tmp_path: Path, remote: MemoryRemote, groups: bool
) -> None:
    """Import, match, push: nothing differs, so nothing is in the plan; whoever no client names is left alone."""
    sales = remote.add_group("Sales")
    remote.members |= {(sales, remote.add_account(one)) for one in (ADA, BOB)}
    async with bridge_on(tmp_path / "b.db", remote, groups=groups) as bridge:
        await plan_from_now_on(bridge)
        await Reconciler(bridge.provisioning).run()
        ada = await bridge.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, "User", ADA))
        group = await bridge.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, "Group", "Sales"))
        assert ada is not None
        assert group is not None
        pushed = await bridge.provisioning.create_user(_as_it_is(ada.document))
        assert pushed.row.id == ada.id
        assert (await bridge.group_with("Sales", ada.id)) == group.id

        assert (await planned(bridge)).changes == ()
        await go_live(bridge)

        assert written(remote) == []
        assert remote_groups(remote, BOB) == {"Sales"}


def _as_it_is(document: bytes) -> Any:
    """Return a creation that says what an account holds."""
    found = type(user()).model_validate_json(document)
    found.id = None
    return found


async def test_a_hand_that_makes_it_true_takes_it_out_of_the_plan(bridge: Bridge, remote: MemoryRemote) -> None:
    """What a comparison sees of somebody whose change is planned counts: the plan is about what still differs."""
    ada, bob = await people(bridge, ADA, BOB)
    await plan_from_now_on(bridge)
    await bridge.provisioning.modify_user(ada, setting(active=False), always)
    await bridge.provisioning.delete_user(bob, always)
    accounts = [remote.find(ADA), remote.find(BOB)]
    assert accounts[0] is not None
    assert accounts[1] is not None
    accounts[0].active = False
    del remote.accounts[accounts[1].remote_id]

    await Reconciler(bridge.provisioning).run()

    plan = await planned(bridge)
    assert (plan.changes, plan.looks) == ((), 2)
    await Reconciler(bridge.provisioning).run()
    accounts[0].active = True  # by hand, after the last comparison: what is planned is looked at
    await go_live(bridge)
    assert not accounts[0].active


async def test_nobody_is_let_in_by_going_live_whom_no_client_asked_for(bridge: Bridge, remote: MemoryRemote) -> None:
    """An account that was removed by hand is not made because its User was renamed."""
    (ada,) = await people(bridge, ADA)
    account = remote.find(ADA)
    assert account is not None
    await plan_from_now_on(bridge)
    del remote.accounts[account.remote_id]
    await Reconciler(bridge.provisioning).run()
    await bridge.provisioning.modify_user(ada, setting(display_name="Countess"), always)

    assert not (await planned(bridge)).created
    await go_live(bridge)

    assert remote.find(ADA) is None


async def test_the_guard_holds_nothing_of_a_plan_and_counts_afterwards(tmp_path: Path, remote: MemoryRemote) -> None:
    """An operator sees all of it before it happens; what comes after going live is guarded as ever."""
    guard = GuardPolicy(
        removals=Budget(0, 0.0, timedelta(microseconds=1)),
        removals_of_a_day=None,
        grants=Budget(0, 0.0),
        privileged=frozenset({"Admins"}),
    )
    policy = ProvisioningPolicy(budget=1.0, guard=guard)
    async with bridge_on(tmp_path / "b.db", remote, policy=policy) as bridge:
        await plan_from_now_on(bridge)
        ada = (await bridge.provisioning.create_user(user(ADA))).row.id
        bob = (await bridge.provisioning.create_user(user(BOB))).row.id
        admins = await bridge.group_with("Admins", ada)
        await bridge.provisioning.modify_user(bob, setting(active=False), always)

        plan = await planned(bridge)
        assert plan.privileged == 1
        assert [one.name for one in plan.changes if one.privileged] == [ADA]
        assert not any(one.held for one in plan.changes)
        await go_live(bridge)

        assert remote_groups(remote, ADA) == {"Admins"}
        with pytest.raises(PendingError, match="held"):
            await bridge.provisioning.modify_user(ada, setting(active=False), always)
        assert admins


async def test_what_was_held_before_waits_for_its_operator(tmp_path: Path, remote: MemoryRemote) -> None:
    """To plan, and to go live, decide nothing about it: it is in the plan, marked."""
    guard = GuardPolicy(removals=Budget(0, 0.0, timedelta(microseconds=1)), removals_of_a_day=None)
    async with bridge_on(tmp_path / "b.db", remote, policy=ProvisioningPolicy(budget=5.0, guard=guard)) as bridge:
        (ada,) = await people(bridge, ADA)
        with pytest.raises(PendingError, match="held"):
            await bridge.provisioning.modify_user(ada, setting(active=False), always)
        await plan_from_now_on(bridge)

        assert [(one.name, one.held) for one in (await planned(bridge)).removals] == [(ADA, True)]
        await go_live(bridge)

        assert (await bridge.row("User", ada)).state is State.HELD


async def test_a_plan_that_takes_or_gives_more_is_another_one(bridge: Bridge) -> None:
    """Somebody else who is let in is no matter; somebody else who goes is."""
    ada, bob = await people(bridge, ADA, BOB)
    await plan_from_now_on(bridge)
    await bridge.provisioning.modify_user(ada, setting(active=False), always)
    shown = await planned(bridge)
    await bridge.provisioning.create_user(user(CYD))
    assert not (await planned(bridge)).exceeds(shown)

    await bridge.provisioning.modify_user(bob, setting(active=False), always)
    assert (await planned(bridge)).exceeds(shown)
    await bridge.provisioning.modify_user(bob, setting(active=True), always)
    await bridge.provisioning.modify_user(ada, setting(active=True), always)
    assert not (await planned(bridge)).exceeds(shown)


async def test_whoever_dies_between_the_switch_and_the_first_call_loses_nothing(
    remote: MemoryRemote, any_store_url: str
) -> None:
    """The switch is durable and what was planned is pending: the next process does it, removals and all."""
    async with bridge_on(any_store_url, remote) as bridge:
        ada, bob = await people(bridge, ADA, BOB)
        sales = await bridge.group_with("Sales", ada, bob)
        await plan_from_now_on(bridge)
        # The driver has not looked since: the transaction of the write does.
        await bridge.provisioning.modify_user(ada, setting(active=False), always)
        await bridge.provisioning.modify_group(sales, None, [MemberDelta("remove", (bob,))], always)
        before = written(remote)
    store = await Store.open(any_store_url)
    assert await store.write(lambda tx: observing.end(tx, CONNECTION, now=datetime.now(UTC)))
    await store.close()
    assert written(remote) == before

    async with bridge_on(any_store_url, remote) as bridge:
        await bridge.settle()

        account = remote.find(ADA)
        assert account is None or not account.active
        assert remote_groups(remote, BOB) == set()


async def test_a_call_under_way_is_the_last_one(bridge: Bridge, remote: MemoryRemote) -> None:
    """It begins to plan between two calls about one person: the first is recorded, the second is not sent."""
    (ada,) = await people(bridge, ADA)
    sales = await bridge.group_with("Sales")
    gate = remote.hold("update_user")
    writing = asyncio.create_task(bridge.provisioning.modify_user(ada, setting(display_name="Countess"), always))
    await gate.entered.wait()
    joining = asyncio.create_task(bridge.provisioning.modify_group(sales, None, [MemberDelta("add", (ada,))], always))
    while (await bridge.groups_of(ada)) == {}:
        await bridge.turn()
    await plan_from_now_on(bridge)
    before = len(written(remote))
    gate.release()
    await asyncio.gather(writing, joining, return_exceptions=True)
    while bridge.provisioning.driver.busy():
        await bridge.turn()

    assert len(written(remote)) == before
    assert told(await planned(bridge)) == {("change", ADA, "Sales")}


async def test_going_live_is_in_the_audit_chain_with_its_numbers(bridge: Bridge) -> None:
    """Who, when, and how much; and the connection remembers it: the configuration's mode counts once."""
    await plan_from_now_on(bridge)
    await bridge.store.write(
        lambda tx: observing.end(tx, CONNECTION, now=datetime.now(UTC), seen={"removed": 1, "changed": 2, "created": 3})
    )

    last = (await bridge.store.read(lambda tx: audit.latest(tx, CONNECTION, limit=1)))[0]
    assert last.event["event"] == "observing"
    assert {key: last.event[key] for key in ("decision", "removed", "changed", "created")} == {
        "decision": "live",
        "removed": 1,
        "changed": 2,
        "created": 3,
    }
    await bridge.store.write(lambda tx: observing.start(tx, CONNECTION, now=datetime.now(UTC)))
    assert await bridge.store.read(lambda tx: observing.current(tx, CONNECTION)) is None
    assert await bridge.store.read(lambda tx: observing.live_since(tx, CONNECTION)) is not None
