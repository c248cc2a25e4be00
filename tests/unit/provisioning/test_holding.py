"""What the mass-change guard holds, and what it must not: calls under way, earlier removals, rejected deletions."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from scim_bridge.errors import PendingError, RemoteUnavailableError
from scim_bridge.provisioning.policy import Budget
from scim_bridge.provisioning.recorder import HOLDERS_RETRY
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import always, bridge_on, setting
from tests.unit.provisioning.test_guard import Clock, active, guarded, people


@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
async def test_what_is_held_during_a_call_stays_held_when_the_call_ends(
    tmp_path: Path, remote: MemoryRemote, *, fails: bool
) -> None:
    """A removal that is held while another change of the same person is under way waits for the operator too."""
    clock = Clock()
    policy = guarded(removals=Budget(floor=0, share=0.0), hold=timedelta(minutes=30))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, clock=clock) as bridge:
        (one,) = await people(bridge, 1)
        clock.time += timedelta(hours=1)
        if fails:
            remote.fail("update_user", RemoteUnavailableError("down", ambiguous=False))
        gate = remote.hold("update_user")
        update = asyncio.create_task(bridge.provisioning.modify_user(one, setting(title="Countess"), always))
        await gate.entered.wait()

        with pytest.raises(PendingError):
            await bridge.provisioning.modify_user(one, setting(active=False), always)
        gate.release()
        with suppress(PendingError):
            await update
        await bridge.idle()

        row = await bridge.row("User", one)
        assert (row.state, row.not_before) == (State.HELD, clock.time + timedelta(minutes=30))
        assert active(remote) == 1
        await bridge.store.write(lambda tx: bridge.provisioning.guard.approve(tx, None))
        await bridge.idle()
        assert active(remote) == 0


@pytest.mark.parametrize("groups", [False, True], ids=["user-centric", "group-centric"])
async def test_a_rejected_deletion_of_a_group_keeps_the_group(
    tmp_path: Path, remote: MemoryRemote, *, groups: bool
) -> None:
    """The people of a deleted group are held; rejected, they keep the group, and so the group stays."""
    clock = Clock()
    policy = guarded(removals=Budget(floor=1, share=0.0))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, clock=clock, groups=groups) as bridge:
        ids = await people(bridge, 3)
        group = await bridge.group_with("Sales", *ids)
        clock.time += timedelta(hours=1)
        for _ in range(2):  # asked again, it is still held
            bridge.answer_within(0.5)
            with pytest.raises(PendingError):
                await bridge.provisioning.delete_group(group, always)

        await bridge.store.write(lambda tx: bridge.provisioning.guard.reject(tx, None))
        clock.time += HOLDERS_RETRY
        await bridge.idle()

        assert len(remote.members) == 3
        assert not (await bridge.row("Group", group)).deleted
        assert [await bridge.groups_of(one) for one in ids] == [{"Sales": (True, True)}] * 3


@pytest.mark.parametrize("later", ["removed", "granted"])
async def test_a_removal_under_way_is_not_held_for_a_later_mass_change(
    tmp_path: Path, remote: MemoryRemote, later: str
) -> None:
    """Somebody is being deactivated when a change of their group, of too many people, is held: they are let through."""
    clock = Clock()
    policy = guarded(
        removals=Budget(floor=1, share=0.0), grants=Budget(floor=0, share=0.0), privileged=frozenset({"Admins"})
    )
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, clock=clock) as bridge:
        ids = await people(bridge, 3)
        sales, admins = await bridge.group_with("Sales", *ids), await bridge.group_with("Admins")
        clock.time += timedelta(hours=1)
        bridge.answer_within(0.2)
        remote.fail("deactivate_user", RemoteUnavailableError("down", ambiguous=False, retry_after=30.0))
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_user(ids[0], setting(active=False), always)

        group, delta = (
            (sales, MemberDelta("replace", ())) if later == "removed" else (admins, MemberDelta("add", (*ids,)))
        )
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_group(group, None, [delta], always)
        clock.time += timedelta(minutes=1)
        await bridge.idle()

        assert active(remote) == 2
        assert [(await bridge.row("User", one)).state for one in ids[1:]] == [State.HELD] * 2


async def test_a_held_deletion_of_a_group_is_released_although_somebody_left_it(
    tmp_path: Path, remote: MemoryRemote
) -> None:
    """Where members are on the group: one of them is deleted meanwhile, and the deletion still ends by itself."""
    clock = Clock()
    policy = guarded(removals=Budget(floor=1, share=0.0), hold=timedelta(minutes=30))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, clock=clock, groups=True) as bridge:
        ids = await people(bridge, 3)
        group = await bridge.group_with("Sales", *ids)
        clock.time += timedelta(hours=1)
        with pytest.raises(PendingError):
            await bridge.provisioning.delete_group(group, always)
        await bridge.provisioning.delete_user(ids[0], always)

        assert (await bridge.row("Group", group)).not_before == clock.time + timedelta(minutes=30)
        await bridge.store.write(lambda tx: bridge.provisioning.guard.approve(tx, None))
        await bridge.idle()
        assert not remote.groups
