"""What a review found about people and comparisons: refusals that end, names in doubt, writes between a comparison."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.errors import (
    ConnectorError,
    PendingError,
    RefusedError,
    RemoteForbiddenError,
    RemoteImmutableError,
    RemoteInvalidValueError,
    RemoteUnavailableError,
)
from scim_bridge.models import User
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.provisioning.policy import GuardPolicy
from scim_bridge.store import connector_state, resources
from scim_bridge.store.rows import State
from scim_bridge.store.transaction import Transaction
from scim_bridge.testing.memory_remote import Call, Fault, MemoryRemote
from tests.hang_guard import HANG_SECONDS
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting, user
from tests.unit.provisioning.test_groups import people, remote_groups
from tests.unit.provisioning.test_reconcile import by_name, compared, reconciler


async def due_now(bridge: Bridge, *ids: str) -> None:
    """Let the time pass until these Users are tried again."""

    def due(tx: Transaction) -> None:
        for one in ids:
            row = resources.get(tx, CONNECTION, "User", one, deleted=True, lock=True)
            assert row is not None
            resources.save(tx, replace(row, not_before=None))

    await bridge.store.write(due)
    bridge.provisioning.driver.wake()


def is_active(remote: MemoryRemote, name: str) -> bool:
    """Return whether an account of the remote system is active."""
    account = remote.find(name)
    assert account is not None
    return account.active


async def refused_deletion(bridge: Bridge) -> tuple[str, str | None]:
    """Create Ada and have her deletion refused once, then her access ended; return the id and the remote id she had."""
    row = (await bridge.provisioning.create_user(user("ada@x.example"))).row
    bridge.remote.fail("delete_user", RemoteForbiddenError("last admin"))
    with pytest.raises(RefusedError):
        await bridge.provisioning.delete_user(row.id, always)
    shown = await bridge.row("User", row.id)
    assert (shown.deleted, shown.shown_active, shown.active) == (False, True, False)
    await due_now(bridge, row.id)
    await bridge.settle()
    return row.id, row.remote_id


async def test_a_refused_deletion_is_shown_and_the_access_ends_as_soon_as_it_can(bridge: Bridge) -> None:
    """The User is there as long as its account is; once that can be changed it is inactive, and a repeat deletes it."""
    person, _ = await refused_deletion(bridge)

    assert not is_active(bridge.remote, "ada@x.example")
    row = await bridge.row("User", person)
    assert (row.deleted, row.shown_active, row.state) == (False, False, State.SETTLED)

    await bridge.provisioning.delete_user(person, always)
    assert bridge.remote.find("ada@x.example") is None
    left = await bridge.store.read(lambda tx: resources.get(tx, CONNECTION, "User", person, deleted=True))
    assert left is None


async def test_a_returning_person_may_get_their_old_remote_id(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """HubSpot gives a returning address its old id, which a deletion once refused no longer occupies."""
    person, remote_id = await refused_deletion(bridge)
    await bridge.provisioning.delete_user(person, always)
    monkeypatch.setattr(bridge.remote, "mint", lambda _: remote_id)

    again = await bridge.provisioning.create_user(user("ada@x.example"))

    assert again.row.remote_id == remote_id


async def test_a_refused_deactivation_that_succeeds_later_is_settled(bridge: Bridge) -> None:
    """Once the account is inactive after all, the User shows no refusal."""
    person = (await bridge.provisioning.create_user(user("ada@x.example"))).row.id
    bridge.remote.fail("deactivate_user", RemoteForbiddenError("last admin"))
    with pytest.raises(RefusedError):
        await bridge.provisioning.modify_user(person, setting(active=False), always)

    await due_now(bridge, person)
    await bridge.settle()

    row = await bridge.row("User", person)
    assert not is_active(bridge.remote, "ada@x.example")
    assert row.state is State.SETTLED
    assert row.refusal is None


async def test_a_refused_rename_whose_old_name_is_taken_does_not_stay_pending(bridge: Bridge) -> None:
    """A User that cannot go back to its old name is not tried again without end."""
    person = (await bridge.provisioning.create_user(user("ada@x.example"))).row.id
    gate = bridge.remote.hold("update_user")
    bridge.remote.fail("update_user", *[RemoteImmutableError("no") for _ in range(100)])
    renaming = asyncio.create_task(bridge.provisioning.modify_user(person, setting(user_name="new@x.example"), always))
    await gate.entered.wait()
    bridge.remote.hold("create_user")
    other = asyncio.create_task(bridge.provisioning.create_user(user("ada@x.example")))
    await asyncio.sleep(0.1)

    gate.release()
    while (await bridge.row("User", person)).state is State.PENDING:
        await bridge.turn()

    renaming.cancel()
    other.cancel()


async def test_creating_somebody_inactive_deactivates_the_account_they_have(bridge: Bridge) -> None:
    """A User created inactive over an active account leaves that account inactive."""
    bridge.remote.add_account("eve@x.example")

    await bridge.provisioning.create_user(User(user_name="eve@x.example", active=False))
    await bridge.settle()

    assert not is_active(bridge.remote, "eve@x.example")


async def test_a_comparison_leaves_somebody_created_inactive_inactive(bridge: Bridge) -> None:
    """A comparison after the creation does not take the account's old state for the wanted one."""
    bridge.remote.add_account("eve@x.example")
    await bridge.provisioning.create_user(User(user_name="eve@x.example", active=False))

    await compared(bridge)

    assert not is_active(bridge.remote, "eve@x.example")


async def test_a_protected_account_nobody_has_looked_up_is_not_touched(tmp_path: Path, remote: MemoryRemote) -> None:
    """Creating a User over a protected account has no effect, also when the bridge has never seen that account."""
    policy = ProvisioningPolicy(budget=5.0, guard=GuardPolicy(protected=frozenset({"boss@x.example"})))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy) as bridge:
        remote.add_account("boss@x.example")

        await asyncio.gather(bridge.provisioning.create_user(user("boss@x.example")), return_exceptions=True)

        assert not remote.effects


async def test_a_comparison_never_overwrites_a_deactivation(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client's write between the comparison's reading and its writing of a User stays."""
    bridge.remote.add_account("eve@x.example")
    await compared(bridge)
    eve = await by_name(bridge, "eve@x.example")
    account = bridge.remote.find("eve@x.example")
    assert eve is not None
    assert account is not None
    person = eve.id
    account.user.title = None
    comparing = reconciler(bridge)
    real = comparing.store
    gate = bridge.remote.hold("deactivate_user")
    tasks: list[asyncio.Task[Any]] = []

    class Between:
        """A store in which a client writes once, between the reading of a User and the next write."""

        armed = False

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        async def read(self, work: Any) -> Any:
            """Read, and note that a User was read."""
            found = await real.read(work)
            if getattr(found, "kind", None) == "User" and not tasks:
                self.armed = True
            return found

        async def write(self, work: Any) -> Any:
            """Write after the client, whose transaction is queued first."""
            if self.armed:
                self.armed = False
                deactivation = bridge.provisioning.modify_user(person, setting(active=False), always)
                tasks.append(asyncio.create_task(deactivation))
                await asyncio.sleep(0)
            return await real.write(work)

    monkeypatch.setattr(comparing, "store", Between())
    await comparing.run()
    gate.release()
    await asyncio.wait(tasks, timeout=HANG_SECONDS)

    row = await bridge.row("User", person)
    for task in tasks:
        task.cancel()
    assert not row.active


async def test_the_driver_has_not_recovered_while_the_backlog_is_untried(tmp_path: Path, remote: MemoryRemote) -> None:
    """After a restart with more due than is tried at once, the driver is not recovered while the first ones hang."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        ids = await people(bridge, *(f"p{one}@x.example" for one in range(20)))
        bridge.answer_within(0.05)
        remote.down = RemoteUnavailableError("down")
        await asyncio.gather(
            *(bridge.provisioning.modify_user(one, setting(active=False), always) for one in ids),
            return_exceptions=True,
        )
    remote.down = None
    remote.hold("deactivate_user")
    remote.hold("get_user")
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        driver = bridge.provisioning.driver
        driver._stopping = False
        await asyncio.sleep(0.05)
        driver.places.recovered = False
        await due_now(bridge, *ids)
        await asyncio.sleep(0.1)
        driver.wake()
        await asyncio.sleep(0.1)

        assert not driver.places.recovered


async def test_a_creation_after_a_pending_deletion_ends_with_an_account(bridge: Bridge) -> None:
    """Whoever comes back while their deletion is pending has an account, and the User names that one."""
    person = (await bridge.provisioning.create_user(user("ada@x.example"))).row.id
    bridge.answer_within(0.3)
    bridge.remote.fail("delete_user", RemoteUnavailableError("down", retry_after=1.0))
    with pytest.raises(PendingError):
        await bridge.provisioning.delete_user(person, always)
    bridge.answer_within()

    again = await bridge.provisioning.create_user(user("ada@x.example"))
    await bridge.settle()

    account = bridge.remote.find("ada@x.example")
    row = await bridge.row("User", again.row.id)
    assert account is not None
    assert row.remote_id == account.remote_id


async def test_a_comparison_repairs_somebody_whose_change_was_refused(bridge: Bridge) -> None:
    """A group given by hand is taken away again, also from a person whose renaming was refused."""
    (ada,) = await people(bridge, "ada@x.example")
    admins = bridge.remote.add_group("Admins")
    bridge.remote.fail("update_user", RemoteInvalidValueError("no"))
    with pytest.raises(RefusedError):
        await bridge.provisioning.modify_user(ada, setting(user_name="x@x.example"), always)
    await compared(bridge)
    account = bridge.remote.find("ada@x.example")
    assert account is not None
    bridge.remote.members.add((admins, account.remote_id))

    await compared(bridge)

    assert remote_groups(bridge.remote, "ada@x.example") == set()


async def test_a_comparison_whose_cursor_has_expired_starts_over(bridge: Bridge) -> None:
    """A saved cursor that the remote system refuses stops at most one comparison."""
    await bridge.store.write(
        lambda tx: connector_state.put(
            tx, CONNECTION, "bridge:reconcile:User", {"cursor": "999"}, bridge.provisioning.clock()
        )
    )

    def expired(call: Call) -> Fault | None:
        refused = call.hook == "list_users" and call.arguments["cursor"]
        return Fault(RemoteInvalidValueError("cursor expired")) if refused else None

    bridge.remote.intercept = expired
    with suppress(ConnectorError):
        await reconciler(bridge).run()

    assert (await reconciler(bridge).run()).complete
