"""A write is one transaction to accept it and one to confirm it, and nothing is lost in between."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scim2_models import PreconditionFailedException

from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import Bridge, always, bridge_on, setting, user


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return what tells how many transactions there were since it was asked last."""
    number = 0
    write = Store.write

    async def counted(self: Store, work: Any) -> Any:
        nonlocal number
        number += 1
        return await write(self, work)

    def since() -> int:
        nonlocal number
        found, number = number, 0
        return found

    monkeypatch.setattr(Store, "write", counted)
    return since


async def test_a_write_is_accepted_and_confirmed_in_two_transactions(
    bridge: Bridge, written: Callable[[], int]
) -> None:
    """The call that follows is noted where the write is accepted; that a creation was answered waits for another."""
    await bridge.provisioning.create_user(user("first@x.example"))
    await bridge.idle()
    written()
    ada = (await bridge.provisioning.create_user(user())).row.id
    assert written() == 2
    group = await bridge.group_with("Sales")
    await bridge.idle()
    written()

    await bridge.provisioning.modify_group(group, None, [MemberDelta("add", (ada,))], always)
    assert written() == 2
    assert [member for _, member in bridge.remote.members] == list(bridge.remote.accounts)[1:]
    await bridge.provisioning.modify_user(ada, setting(active=False), always)
    assert written() == 2
    assert [account.active for account in bridge.remote.accounts.values()] == [True, False]
    row = await bridge.row("User", ada)
    assert (row.state, row.ambiguous) == (State.SETTLED, False)


async def test_a_write_that_fails_keeps_no_place(bridge: Bridge) -> None:
    """Whoever wrote in vain leaves no place taken, and the next write of the same User goes through."""
    ada = (await bridge.provisioning.create_user(user())).row.id

    def refuse(_etag: str) -> None:
        raise PreconditionFailedException

    for _ in range(20):
        with pytest.raises(PreconditionFailedException):
            await bridge.provisioning.modify_user(ada, setting(active=False), refuse)

    assert not bridge.provisioning.driver.places.claimed
    await bridge.provisioning.modify_user(ada, setting(active=False), always)
    assert not any(account.active for account in bridge.remote.accounts.values())


async def test_what_waits_for_a_place_is_not_overtaken(tmp_path: Path, remote: MemoryRemote) -> None:
    """While work waits for a place, who writes anew waits behind it, except to take something away."""
    async with bridge_on(tmp_path / "b.db", remote, policy=ProvisioningPolicy(concurrency=1)) as bridge:
        leaver = (await bridge.provisioning.create_user(user("leaver@x.example"))).row.id
        await bridge.idle()
        gate = remote.hold("create_user")
        first = asyncio.create_task(bridge.provisioning.create_user(user("first@x.example")))
        await gate.entered.wait()
        driver = bridge.provisioning.driver

        assert not driver.claim("somebody")
        others = [asyncio.create_task(bridge.provisioning.create_user(user(f"p{one}@x.example"))) for one in range(3)]
        await bridge.provisioning.modify_user(leaver, setting(active=False), always)
        assert [account.active for account in remote.accounts.values()] == [False]
        assert not driver.claim("somebody")
        gate.release()
        await asyncio.gather(first, *others)

        assert len(remote.accounts) == 5
        await bridge.idle()
        assert driver.claim("somebody")
        driver.release("somebody")


async def test_who_died_before_the_call_asks_first(
    tmp_path: Path, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A creation that was accepted and never sent is looked for, and made once, after the restart."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        driver = bridge.provisioning.driver
        await bridge.provisioning.create_user(user("first@x.example"))  # from here on the driver has looked for work

        def die(_situation: Any) -> Any:
            driver.places.most = 0  # nothing is taken up any more
            raise KeyError

        monkeypatch.setattr(driver, "begin", die)
        with pytest.raises(KeyError):
            await bridge.provisioning.create_user(user())
    assert len(remote.accounts) == 1
    calls = remote.called("find_user")

    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        await bridge.idle()

    assert remote.called("find_user") == calls + 1
    assert [account.active for account in remote.accounts.values()] == [True, True]
