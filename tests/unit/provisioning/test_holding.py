"""What the mass-change guard holds, and what it must not hold: calls under way, earlier removals, rejected deletions."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from scim_bridge.errors import PendingError, RemoteUnavailableError
from scim_bridge.provisioning.policy import Budget
from scim_bridge.store.rows import State
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import always, bridge_on, setting
from tests.unit.provisioning.test_guard import Clock, active, guarded, people


@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
async def test_what_is_held_during_a_call_stays_held_when_the_call_ends(
    tmp_path: Path, remote: MemoryRemote, *, fails: bool
) -> None:
    """A removal that is held while another change of the same person is under way waits for the operator all the same."""
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
