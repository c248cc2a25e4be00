"""Guard rails: what is never changed, what is held, and that single removals always go through."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from scim2_models import ForbiddenException

from scim_bridge.errors import PendingError, RemoteUnavailableError
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.provisioning.guard import REMOVALS, STEPS, Guard
from scim_bridge.provisioning.policy import Budget, GuardPolicy
from scim_bridge.store import connector_state, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.notifications import CHANNEL, listening
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.testing.memory_remote import Fault, MemoryRemote
from tests.contract.store.examples import row_of
from tests.hang_guard import HANG_SECONDS
from tests.statements import asked
from tests.unit.provisioning.conftest import Bridge, always, bridge_on, setting, user
from tests.unit.provisioning.test_reconcile import compared, reconciler


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.time


def guarded(**guard: Any) -> ProvisioningPolicy:
    """Return a policy with this guard."""
    return ProvisioningPolicy(budget=5.0, guard=GuardPolicy(**guard))


async def people(bridge: Bridge, number: int) -> list[str]:
    """Create people and return their ids."""
    return [(await bridge.provisioning.create_user(user(f"p{one}@x.example"))).row.id for one in range(number)]


def active(remote: MemoryRemote) -> int:
    """Return how many accounts are active."""
    return sum(account.active for account in remote.accounts.values())


async def test_a_protected_account_is_never_changed(tmp_path: Path, remote: MemoryRemote) -> None:
    """Deactivation, deletion, renaming and membership of a protected account answer 403 and call nothing."""
    policy = guarded(protected=frozenset({"Boss@x.example"}))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy) as bridge:
        remote.add_account("boss@x.example")
        with pytest.raises(ForbiddenException):
            await bridge.provisioning.create_user(user("boss@x.example"))
        await bridge.provisioning.find_user("boss@x.example")
        found = await bridge.store.read(lambda tx: resources.find_by_name(tx, "acme", "User", "boss@x.example"))
        assert found is not None
        boss = found.id
        group = await bridge.group_with("Sales")
        calls = len(remote.calls)

        with pytest.raises(ForbiddenException):
            await bridge.provisioning.modify_user(boss, setting(active=False), always)
        with pytest.raises(ForbiddenException):
            await bridge.provisioning.delete_user(boss, always)
        with pytest.raises(ForbiddenException):
            await bridge.provisioning.modify_group(group, None, [MemberDelta("add", (boss,))], always)

        assert len(remote.calls) == calls
        assert await bridge.groups_of(boss) == {}
        assert (await bridge.row("User", boss)).active


async def test_the_last_holder_of_a_named_group_stays(tmp_path: Path, remote: MemoryRemote) -> None:
    """One of two may leave; the last may neither leave, nor be deactivated, nor lose the group with its deletion."""
    policy = guarded(keep_holder=frozenset({"Billing"}))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy) as bridge:
        first, last = await people(bridge, 2)
        group = await bridge.group_with("Billing", first, last)

        await bridge.provisioning.modify_user(first, setting(active=False), always)
        with pytest.raises(ForbiddenException):
            await bridge.provisioning.modify_user(last, setting(active=False), always)
        with pytest.raises(ForbiddenException):
            await bridge.provisioning.modify_group(group, None, [MemberDelta("remove", (last,))], always)
        with pytest.raises(ForbiddenException):
            await bridge.provisioning.delete_group(group, always)

        assert active(remote) == 1
        assert (await bridge.groups_of(last))["Billing"] == (True, True)


async def test_removals_above_the_budget_are_held_until_an_operator_approves(
    tmp_path: Path, remote: MemoryRemote
) -> None:
    """The first ones go through, the others answer 429 and are not enforced; approval enforces them."""
    clock = Clock()
    policy = guarded(removals=Budget(floor=3, share=0.0))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, clock=clock) as bridge:
        ids = await people(bridge, 6)
        clock.time += timedelta(hours=1)

        for one in ids[:3]:
            await bridge.provisioning.modify_user(one, setting(active=False), always)
        for one in ids[3:]:
            with pytest.raises(PendingError) as held:
                await bridge.provisioning.modify_user(one, setting(active=False), always)
            assert "operator" in held.value.detail

        assert active(remote) == 3
        assert (await bridge.row("User", ids[3])).state is State.HELD
        assert (await bridge.row("User", ids[3])).shown_active
        approved = await bridge.store.write(lambda tx: bridge.provisioning.guard.approve(tx, None))
        await bridge.idle()
        assert sorted(approved) == sorted(ids[3:])
        assert active(remote) == 0


async def test_a_rejected_removal_goes_back_and_can_be_asked_again(tmp_path: Path, remote: MemoryRemote) -> None:
    """Rejection shows the truth again; the client's next single request goes through when the window has passed."""
    clock = Clock()
    async with bridge_on(
        tmp_path / "b.db", remote, policy=guarded(removals=Budget(floor=1, share=0.0)), clock=clock
    ) as bridge:
        ids = await people(bridge, 2)
        clock.time += timedelta(hours=1)
        await bridge.provisioning.modify_user(ids[0], setting(active=False), always)
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_user(ids[1], setting(active=False), always)

        await bridge.store.write(lambda tx: bridge.provisioning.guard.reject(tx, [ids[1]]))

        row = await bridge.row("User", ids[1])
        assert row.active
        assert row.shown_active
        clock.time += timedelta(hours=1)
        outcome = await bridge.provisioning.modify_user(ids[1], setting(active=False), always)
        assert not outcome.row.shown_active
        assert active(remote) == 0


async def test_what_nobody_rejects_is_released(tmp_path: Path, remote: MemoryRemote) -> None:
    """A held removal is no lost one: after the hold it is enforced without anybody's doing."""
    clock = Clock()
    policy = guarded(removals=Budget(floor=0, share=0.0), hold=timedelta(minutes=30))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, clock=clock) as bridge:
        (one,) = await people(bridge, 1)
        clock.time += timedelta(hours=1)
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_user(one, setting(active=False), always)

        clock.time += timedelta(minutes=31)
        bridge.provisioning.driver.wake()
        while (await bridge.row("User", one)).state is State.HELD:
            bridge.provisioning.driver.wake()
            await bridge.turn()
        await bridge.idle()

        assert active(remote) == 0


async def test_undoing_what_was_just_set_up_is_no_mass_removal(tmp_path: Path, remote: MemoryRemote) -> None:
    """Accounts younger than the window do not count: JumpCloud's connection test deletes what it has made."""
    async with bridge_on(tmp_path / "b.db", remote, policy=guarded(removals=Budget(floor=0, share=0.0))) as bridge:
        ids = await people(bridge, 5)

        for one in ids:
            await bridge.provisioning.delete_user(one, always)

        assert not remote.accounts


@pytest.mark.parametrize("groups", [False, True], ids=["user-centric", "group-centric"])
async def test_emptying_a_group_at_once_is_a_mass_removal(
    tmp_path: Path, remote: MemoryRemote, *, groups: bool
) -> None:
    """A replace with an empty list that takes a group from many people is held as a whole."""
    clock = Clock()
    policy = guarded(removals=Budget(floor=2, share=0.0))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, clock=clock, groups=groups) as bridge:
        ids = await people(bridge, 4)
        group = await bridge.group_with("Sales", *ids)
        clock.time += timedelta(hours=1)

        with pytest.raises(PendingError):
            await bridge.provisioning.modify_group(group, None, [MemberDelta("replace", ())], always)

        assert len(remote.members) == 4
        await bridge.store.write(lambda tx: bridge.provisioning.guard.approve(tx, None))
        await bridge.idle()
        assert not remote.members


@pytest.mark.parametrize("groups", [False, True], ids=["user-centric", "group-centric"])
async def test_a_rejected_emptying_of_a_group_keeps_everybody_in_it(
    tmp_path: Path, remote: MemoryRemote, *, groups: bool
) -> None:
    """After the rejection the group is as the remote system has it, and nothing is left to do."""
    clock = Clock()
    policy = guarded(removals=Budget(floor=1, share=0.0))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, clock=clock, groups=groups) as bridge:
        ids = await people(bridge, 3)
        group = await bridge.group_with("Sales", *ids)
        clock.time += timedelta(hours=1)
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_group(group, None, [MemberDelta("replace", ())], always)

        await bridge.store.write(lambda tx: bridge.provisioning.guard.reject(tx, None))
        await bridge.idle()

        assert len(remote.members) == 3
        assert [await bridge.groups_of(one) for one in ids] == [{"Sales": (True, True)}] * 3


async def test_privileged_grants_above_the_budget_are_held(tmp_path: Path, remote: MemoryRemote) -> None:
    """Grants of a privileged group have a budget of their own."""
    policy = guarded(privileged=frozenset({"Admins"}), grants=Budget(floor=1, share=0.0))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy) as bridge:
        ids = await people(bridge, 3)
        group = await bridge.group_with("Admins")

        await bridge.provisioning.modify_group(group, None, [MemberDelta("add", (ids[0],))], always)
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_group(group, None, [MemberDelta("add", (ids[1], ids[2]))], always)

        assert len(remote.members) == 1


async def test_a_removal_never_counts_the_whole_directory(tmp_path: Path, remote: MemoryRemote) -> None:
    """Whether removals are too many for a directory is asked of the database without counting the directory."""
    clock = Clock()
    policy = guarded(removals=Budget(floor=0, share=0.5))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, clock=clock) as bridge:
        ids = await people(bridge, 4)
        clock.time += timedelta(hours=1)
        with asked() as sent:
            for one in ids[:2]:
                await bridge.provisioning.modify_user(one, setting(active=False), always)
            with pytest.raises(PendingError):
                await bridge.provisioning.modify_user(ids[2], setting(active=False), always)

        assert active(remote) == 2
        assert (await bridge.row("User", ids[2])).state is State.HELD
        assert sent
        assert not any("count(" in statement.lower() for statement, _ in sent)


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_a_decision_wakes_every_replica(postgresql_url: str, decision: str) -> None:
    """Whoever drives the connection, and whoever waits for the resource, hears of an operator's decision at once."""
    store = await Store.open(postgresql_url)
    guard = Guard("acme", GuardPolicy(), clock=Clock())
    ada = user("ada@x.example")
    held = replace(row_of(ada), connection_id="acme", state=State.HELD)
    await store.write(lambda tx: resources.insert(tx, held, ada))
    heard: set[str | None] = set()
    complete = asyncio.Event()

    def hear(_channel: str, payload: str | None) -> None:
        heard.add(payload)
        if len(heard) == 2:
            complete.set()

    async with listening(store, [CHANNEL], hear):
        await store.write(lambda tx: getattr(guard, decision)(tx, [held.id]))
        await asyncio.wait_for(complete.wait(), HANG_SECONDS)
    await store.close()

    assert heard == {"intent acme", f"outcome acme {held.id}"}


@pytest.mark.parametrize("groups", [False, True], ids=["user-centric", "group-centric"])
@pytest.mark.parametrize("passing", ["deactivated and back", "another group left", "the group left"])
async def test_what_passes_a_hold_takes_no_held_grant_along(
    tmp_path: Path, remote: MemoryRemote, *, groups: bool, passing: str
) -> None:
    """A removal goes through at once, also of somebody whose privileged grant is held; the grant does not."""
    policy = guarded(privileged=frozenset({"Admins"}), grants=Budget(floor=1, share=0.0))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, groups=groups) as bridge:
        provisioning = bridge.provisioning
        ids = await people(bridge, 4)
        admins = await bridge.group_with("Admins", ids[0])
        sales = await bridge.group_with("Sales", *ids)
        with pytest.raises(PendingError):
            await provisioning.modify_group(admins, None, [MemberDelta("add", tuple(ids[1:]))], always)

        if passing == "deactivated and back":
            await provisioning.modify_user(ids[1], setting(active=False), always)
            await provisioning.modify_user(ids[1], setting(active=True), always)
        else:
            group, who = (sales, ids[1]) if passing == "another group left" else (admins, ids[0])
            await provisioning.modify_group(group, None, [MemberDelta("remove", (who,))], always)
        await bridge.idle()

        admin = (await bridge.row("Group", admins)).remote_id
        assert len(remote.members_of(str(admin))) == (0 if passing == "the group left" else 1)


@pytest.mark.parametrize("by_hand", [False, True], ids=["by a client", "in the remote system"])
async def test_a_new_name_takes_no_group_out_of_the_guard(
    tmp_path: Path, remote: MemoryRemote, *, by_hand: bool
) -> None:
    """Renaming a privileged group, or one that must have a holder, does not free it; neither does a restart."""
    admins_only = frozenset({"Admins"})
    policy = guarded(privileged=admins_only, keep_holder=admins_only, grants=Budget(floor=1, share=0.0))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy) as bridge:
        remote_id = remote.add_group("Admins")
        await compared(bridge)
        found = await bridge.store.read(lambda tx: resources.find_by_remote_id(tx, "acme", "Group", remote_id))
        assert found is not None
        group = found.id
        ids = await people(bridge, 4)
        if by_hand:
            remote.groups[remote_id].display_name = "Harmless"
            await compared(bridge)
        else:
            await bridge.provisioning.modify_group(group, setting(display_name="Harmless"), [], always)
        assert (await bridge.row("Group", group)).name == "Harmless"
        await bridge.provisioning.modify_group(group, None, [MemberDelta("add", (ids[0],))], always)

    async with bridge_on(tmp_path / "b.db", remote, policy=policy) as bridge:
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_group(group, None, [MemberDelta("add", tuple(ids[1:]))], always)
        assert len(remote.members) == 1
        with pytest.raises(ForbiddenException):
            await bridge.provisioning.modify_user(ids[0], setting(active=False), always)
        with pytest.raises(ForbiddenException):
            await bridge.provisioning.modify_group(group, None, [MemberDelta("remove", (ids[0],))], always)


async def test_a_rejected_deletion_leaves_the_account_to_who_took_the_name(
    tmp_path: Path, remote: MemoryRemote
) -> None:
    """Somebody created again while their deletion is held has the account once the operator rejects the deletion."""
    clock = Clock()
    policy = guarded(removals=Budget(floor=0, share=0.0))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, clock=clock) as bridge:
        (one,) = await people(bridge, 1)
        clock.time += timedelta(hours=1)
        with pytest.raises(PendingError):
            await bridge.provisioning.delete_user(one, always)
        bridge.answer_within(0.1)
        with pytest.raises(PendingError):
            await bridge.provisioning.create_user(user("p0@x.example"))
        bridge.answer_within()

        await bridge.store.write(lambda tx: bridge.provisioning.guard.reject(tx, None))
        clock.time += timedelta(minutes=1)
        again = await bridge.provisioning.create_user(user("p0@x.example"))

        assert again.row.id != one
        assert list(remote.accounts) == [again.row.remote_id]
        assert active(remote) == 1
        assert await bridge.store.read(bridge.provisioning.guard.held) == []


@pytest.mark.parametrize("groups", [False, True], ids=["groups on the person", "members on the group"])
@pytest.mark.parametrize("how", ["pending", "lost"])
async def test_members_who_wait_count_under_the_name_that_the_group_gets(
    tmp_path: Path, remote: MemoryRemote, *, groups: bool, how: str
) -> None:
    """A group that nobody holds yet takes a privileged name: its members are held, as if they were added then."""
    policy = guarded(privileged=frozenset({"Admins"}), grants=Budget(floor=3, share=0.0))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, groups=groups) as bridge:
        ids = await people(bridge, 10)
        if how == "pending":
            bridge.answer_within(0.3)
            remote.intercept = lambda call: (
                Fault(RemoteUnavailableError("down", retry_after=0.05)) if call.hook == "create_group" else None
            )
            with pytest.raises(PendingError):
                await bridge.group_with("Harmless", *ids)
        else:
            await bridge.group_with("Harmless", *ids)
            bridge.answer_within(0.3)
            remote.groups.clear()
            remote.members.clear()
            remote.intercept = lambda call: (
                Fault(RemoteUnavailableError("down", retry_after=0.05)) if call.hook == "create_group" else None
            )
            await reconciler(bridge).run()
        group = await bridge.store.read(lambda tx: resources.find_by_name(tx, "acme", "Group", "Harmless"))
        assert group is not None
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_group(group.id, setting(display_name="Admins"), [], always)
        remote.intercept = None
        await bridge.provisioning.driver.idle()

        assert not remote.members
        held = await bridge.store.read(bridge.provisioning.guard.held)
        assert {row.id for row in held} == ({group.id} if groups else set(ids))
        await bridge.store.write(lambda tx: bridge.provisioning.guard.approve(tx, None))
        await bridge.idle()
        assert len(remote.members) == 10


async def test_small_portions_are_held_when_a_day_has_seen_too_many(
    tmp_path: Path, remote: MemoryRemote, caplog: pytest.LogCaptureFixture
) -> None:
    """Each window allows its removals, the day does not; half of a day's is told, and the next day counts anew."""
    clock = Clock()
    policy = guarded(
        removals=Budget(floor=2, share=0.0), removals_of_a_day=Budget(floor=5, share=0.0, window=timedelta(days=1))
    )
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, clock=clock) as bridge:
        ids = await people(bridge, 8)
        guard = bridge.provisioning.guard
        clock.time += timedelta(days=2)

        told = []
        for one in ids[:5]:
            await bridge.provisioning.modify_user(one, setting(active=False), always)
            told.append(await bridge.store.read(guard.many_removals_of_a_day))
            clock.time += timedelta(minutes=20)
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_user(ids[5], setting(active=False), always)

        assert told == [0, 0, 3, 4, 5]
        assert active(remote) == 3
        assert (await bridge.row("User", ids[5])).state is State.HELD
        while "people lost access within a day" not in caplog.text:
            bridge.provisioning.driver.wake()  # it looks now and then
            await bridge.turn()
        clock.time += timedelta(days=1)
        await bridge.provisioning.modify_user(ids[6], setting(active=False), always)
        assert not (await bridge.row("User", ids[6])).shown_active


async def test_a_window_keeps_few_numbers_however_many_changes_it_counts(tmp_path: Path, remote: MemoryRemote) -> None:
    """What a removal writes for the guard does not grow with the removals of the day."""
    clock = Clock()
    day = Budget(floor=1000, share=0.0, window=timedelta(days=1))
    async with bridge_on(
        tmp_path / "b.db", remote, policy=guarded(removals=None, removals_of_a_day=day), clock=clock
    ) as bridge:
        ids = await people(bridge, 1)
        clock.time += timedelta(days=2)
        guard = bridge.provisioning.guard
        for _ in range(300):
            assert not await bridge.store.write(lambda tx: guard.hold_removals(tx, ids))
            clock.time += timedelta(minutes=10)

        saved = await bridge.store.read(lambda tx: connector_state.get(tx, "acme", REMOVALS))

        assert saved is not None
        assert len(saved["windows"]["86400"]) <= STEPS + 1
        assert sum(saved["windows"]["86400"].values()) in {144, 145, 146, 147}
