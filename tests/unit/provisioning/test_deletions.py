"""A deletion is claimed when it is true: while it is held, while people still hold a group, and of whose account."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from scim2_models import ForbiddenException, NotFoundException

from scim_bridge.errors import PendingError, RefusedError, RemoteForbiddenError, RemoteUnavailableError
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.provisioning.policy import Budget, GuardPolicy
from scim_bridge.store import resources
from scim_bridge.store.rows import ResourceRow, State
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting, user


@pytest.fixture
def remote() -> MemoryRemote:
    """Return a remote system without accounts."""
    return MemoryRemote()


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.time


async def member_of_sales(bridge: Bridge) -> tuple[str, str]:
    """Create a person who holds a group; return the ids of both."""
    person = (await bridge.provisioning.create_user(user())).row.id
    return person, await bridge.group_with("Sales", person)


async def by_hand(bridge: Bridge) -> ResourceRow:
    """Take over the account that somebody made by hand."""
    await bridge.provisioning.find_user("hand@corp.example")
    row = await bridge.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, "User", "hand@corp.example"))
    assert row is not None
    return row


def keep_groups(bridge: Bridge) -> None:
    """Make the remote system one that deletes no groups, as HubSpot is."""
    for part in (bridge.provisioning.recorder, bridge.provisioning.groups.intake):
        kept = part.capabilities.operations - {"delete_group"}
        object.__setattr__(part.capabilities, "operations", kept)


async def test_a_deleted_group_stays_until_nobody_holds_it(tmp_path: Path, remote: MemoryRemote) -> None:
    """While the remote system is down DELETE answers 429, again when repeated; afterwards the person has lost it."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        keep_groups(bridge)
        person, group = await member_of_sales(bridge)
        bridge.answer_within(0.2)
        remote.down = RemoteUnavailableError("down", ambiguous=False, retry_after=0.3)
        for _ in range(2):
            with pytest.raises(PendingError):
                await bridge.provisioning.delete_group(group, always)
        assert (await bridge.row("Group", group)).deleted
        assert remote.members

        remote.down = None
        await bridge.idle()

        assert not remote.members
        assert await bridge.groups_of(person) == {}
        with pytest.raises(NotFoundException):
            await bridge.provisioning.delete_group(group, always)


async def test_a_deleted_group_whose_removal_is_refused_is_not_forgotten(tmp_path: Path, remote: MemoryRemote) -> None:
    """Somebody who may not be changed keeps the group, which is shown again, and should still leave it."""
    async with bridge_on(tmp_path / "b.db", remote, policy=ProvisioningPolicy(budget=0.5)) as bridge:
        keep_groups(bridge)
        person, group = await member_of_sales(bridge)
        remote.fail("set_user_groups", RemoteForbiddenError("this is a Super Admin"))
        with pytest.raises(RefusedError, match=r"ada@corp.example: this is a Super Admin"):
            await bridge.provisioning.delete_group(group, always)
        assert await bridge.groups_of(person) == {"Sales": (False, True)}
        assert not (await bridge.row("Group", group)).deleted
        assert (await bridge.row("User", person)).state is State.PENDING


async def test_a_deleted_group_does_not_wait_for_the_inactive(tmp_path: Path, remote: MemoryRemote) -> None:
    """Whoever is inactive has no access through a group; what their account still holds is set when they return."""
    async with bridge_on(tmp_path / "b.db", remote, policy=ProvisioningPolicy(budget=2.0)) as bridge:
        keep_groups(bridge)
        person, group = await member_of_sales(bridge)
        await bridge.provisioning.modify_user(person, setting(active=False), always)

        await bridge.provisioning.delete_group(group, always)
        await bridge.provisioning.modify_user(person, setting(active=True), always)

        assert not remote.members


async def test_a_held_deletion_is_not_claimed_by_its_retry(tmp_path: Path, remote: MemoryRemote) -> None:
    """A client that hears 404 takes the account for gone; while an operator has not approved it hears 429."""
    clock = Clock()
    policy = ProvisioningPolicy(budget=0.5, guard=GuardPolicy(removals=Budget(floor=0, share=0.0)))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, clock=clock) as bridge:
        person = (await bridge.provisioning.create_user(user())).row.id
        clock.time += timedelta(hours=1)
        for _ in range(2):
            with pytest.raises(PendingError, match="operator"):
                await bridge.provisioning.delete_user(person, always)
        assert [account.active for account in remote.accounts.values()] == [True]

        await bridge.store.write(lambda tx: bridge.provisioning.guard.approve(tx, None))
        await bridge.idle()

        assert not [account for account in remote.accounts.values() if account.active]


@pytest.mark.parametrize(("choice", "accounts"), [("refuse", [True]), ("deactivate", [False]), ("delete", [])])
async def test_deleting_what_no_client_has_written_is_the_operators_choice(
    tmp_path: Path,
    remote: MemoryRemote,
    choice: Literal["refuse", "deactivate", "delete"],
    accounts: list[bool],
) -> None:
    """A client that mirrors its own list deletes whatever it does not know; by default it may not."""
    remote.add_account("hand@corp.example")
    policy = ProvisioningPolicy(budget=5.0, delete_unowned=choice)
    async with bridge_on(tmp_path / "b.db", remote, policy=policy) as bridge:
        found = await by_hand(bridge)
        if choice == "refuse":
            with pytest.raises(ForbiddenException):
                await bridge.provisioning.delete_user(found.id, always)
        else:
            await bridge.provisioning.delete_user(found.id, always)
        assert [account.active for account in remote.accounts.values()] == accounts


async def test_an_owned_account_may_be_deleted(tmp_path: Path, remote: MemoryRemote) -> None:
    """Once a client has written an account it is the client's."""
    remote.add_account("hand@corp.example")
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        found = await by_hand(bridge)
        await bridge.provisioning.modify_user(found.id, setting(external_id="1"), always)
        await bridge.provisioning.delete_user(found.id, always)
        assert not remote.accounts


async def test_what_was_read_before_a_deletion_brings_nobody_back(bridge: Bridge, remote: MemoryRemote) -> None:
    """Somebody is deleted while the remote system still answers a filter about them: no ghost is taken over."""
    person = (await bridge.provisioning.create_user(user())).row.id
    gate = remote.hold("find_user", after_effect=True)
    asking = asyncio.create_task(bridge.provisioning.find_user("ada@corp.example"))
    await gate.entered.wait()
    await bridge.provisioning.delete_user(person, always)
    assert remote.find("ada@corp.example") is None
    gate.release()
    await asking
    found = await bridge.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, "User", "ada@corp.example"))
    assert found is None

    remote.add_account("ada@corp.example")
    await bridge.provisioning.find_user("ada@corp.example")
    found = await bridge.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, "User", "ada@corp.example"))
    assert found is not None, "made by hand afterwards"


async def test_nobody_is_let_in_under_a_user_name_whose_removal_is_on_its_way(bridge: Bridge) -> None:
    """Sent again, the removal would take the new account, where the remote system gives a person the same id again."""
    remote = bridge.remote
    ada = (await bridge.provisioning.create_user(user(external_id="one"))).row
    leaving = remote.hold("delete_user", after_effect=True)
    deletion = asyncio.create_task(bridge.provisioning.delete_user(ada.id, always))
    await leaving.entered.wait()
    creation = asyncio.create_task(bridge.provisioning.create_user(user(external_id="two")))
    while await bridge.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, "User", ada.name)) is None:
        await asyncio.sleep(0)
    new = await bridge.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, "User", ada.name))
    assert new is not None
    while (await bridge.row("User", new.id)).attempt == 0 and not creation.done():
        await asyncio.sleep(0.001)
    made = remote.called("create_user")

    leaving.opened.set()
    await deletion
    await creation

    assert made == 1, "somebody was let in while the removal was on its way"
    assert remote.find(ada.name) is not None
