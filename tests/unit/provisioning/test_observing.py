"""A connection that observes takes what clients write and changes nothing in the remote system."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from scim_bridge.errors import PendingError
from scim_bridge.provisioning import observing
from scim_bridge.provisioning.drift import DriftClass
from scim_bridge.provisioning.observing import Reason
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting, user
from tests.unit.provisioning.test_groups import people, remote_groups
from tests.unit.provisioning.test_reconcile import by_name, classes, compared, reconciler

ADA = "ada@x.example"


async def hold(bridge: Bridge, reason: Reason = "hold") -> None:
    """Have the connection observe."""
    await bridge.store.write(lambda tx: observing.begin(tx, CONNECTION, reason, now=datetime.now(UTC)))


async def go_live(bridge: Bridge) -> bool:
    """Let it go live, and wait until all is done."""
    ended = await bridge.store.write(lambda tx: observing.end(tx, CONNECTION, now=datetime.now(UTC)))
    await bridge.idle()
    return ended


@pytest.mark.parametrize("groups", [False, True], ids=["groups on the person", "members on the group"])
async def test_writes_are_taken_and_sent_when_it_goes_live(tmp_path: Path, remote: MemoryRemote, groups: bool) -> None:
    """Removals, grants and creations are durable and answered 429, across a restart; then all of them are true."""
    async with bridge_on(tmp_path / "b.db", remote, groups=groups) as bridge:
        ada, bob = await people(bridge, ADA, "bob@x.example")
        sales = await bridge.group_with("Sales", ada)
        await hold(bridge)
        effects = len(remote.effects)
        with pytest.raises(PendingError, match="only observes"):
            await bridge.provisioning.modify_user(ada, setting(active=False), always)
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_group(sales, None, [MemberDelta("add", (bob,))], always)
        with pytest.raises(PendingError):
            await bridge.provisioning.create_user(user("cyd@x.example"))
        with pytest.raises(PendingError):  # nothing changes, and nothing is claimed
            await bridge.provisioning.modify_user(ada, setting(active=False), always)
        assert (await bridge.row("User", ada)).state is State.PENDING

    async with bridge_on(tmp_path / "b.db", remote, groups=groups) as bridge:
        await bridge.provisioning.driver.idle()
        assert len(remote.effects) == effects

        assert await go_live(bridge)

        account = remote.find(ADA)
        assert account is None or not account.active
        assert remote_groups(remote, "bob@x.example") == {"Sales"}
        assert remote.find("cyd@x.example") is not None
        assert not await go_live(bridge)


async def test_a_comparison_tells_and_repairs_nothing(bridge: Bridge, remote: MemoryRemote) -> None:
    """Not even what gives somebody too much, until an operator has seen it."""
    (ada,) = await people(bridge, ADA)
    await bridge.provisioning.modify_user(ada, setting(active=False), always)
    account = remote.find(ADA)
    assert account is not None
    account.active = True
    remote.add_account("new@x.example")
    await hold(bridge)
    effects = len(remote.effects)

    found = await reconciler(bridge).run()

    assert classes(found) == {DriftClass.EXTRA_ACTIVE}
    assert len(remote.effects) == effects
    assert await by_name(bridge, "new@x.example") is None
    await go_live(bridge)
    await compared(bridge)
    assert not account.active


async def test_a_creation_that_was_pending_in_an_older_copy_is_not_made(tmp_path: Path, remote: MemoryRemote) -> None:
    """The person may have left since; a client that still waits for it repeats it, and then it is made."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        await hold(bridge)
        for name in (ADA, "bob@x.example"):
            with pytest.raises(PendingError):
                await bridge.provisioning.create_user(user(name))
        await hold(bridge, "restored")
        with pytest.raises(PendingError):
            await bridge.provisioning.create_user(user("bob@x.example"))

        await go_live(bridge)

        assert remote.find(ADA) is None
        assert remote.find("bob@x.example") is not None
        row = await by_name(bridge, ADA)
        assert row is not None
        assert row.missing
        assert (await bridge.provisioning.create_user(user(ADA))).row.id == row.id
        assert remote.find(ADA) is not None


async def test_held_again_it_keeps_since_when(bridge: Bridge) -> None:
    """The reason may change; the beginning does not."""
    await hold(bridge)
    first = await bridge.store.read(lambda tx: observing.current(tx, CONNECTION))
    await hold(bridge, "restored")
    second = await bridge.store.read(lambda tx: observing.current(tx, CONNECTION))

    assert first is not None
    assert second is not None
    assert (second.since, second.reason) == (first.since, "restored")
