"""What a review found about groups: grants in doubt that are withdrawn, held or refused, and members beyond a page."""

import asyncio
from pathlib import Path

import pytest

from scim_bridge.errors import PendingError, RemoteInvalidValueError
from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import User
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.provisioning.policy import Budget, GuardPolicy
from scim_bridge.provisioning.situation import situation_of
from scim_bridge.store import membership_changes, resources
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.store.transaction import Transaction
from scim_bridge.testing.memory import MemoryConnector
from scim_bridge.testing.memory_remote import Call, Fault, MemoryRemote
from tests.hang_guard import HANG_SECONDS
from tests.statements import asked
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, replace, setting, user
from tests.unit.provisioning.test_groups import people, remote_groups

ONE_GRANT = ProvisioningPolicy(
    budget=0.5, guard=GuardPolicy(privileged=frozenset({"Admins"}), grants=Budget(floor=1, share=0.0))
)


class LettingGo(MemoryConnector):
    """Lets go of a deleted group without touching it, as HubSpot's connector does."""

    name = "letting-go"

    @hookimpl
    async def delete_group(self, remote_id: str) -> None:
        """Let go."""


@pytest.fixture
def letting_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the connection one that lets go of deleted groups."""
    monkeypatch.setattr("tests.unit.provisioning.conftest.MemoryConnector", LettingGo)


async def add(bridge: Bridge, group: str, *members: str) -> None:
    """Add members to a group."""
    await bridge.provisioning.modify_group(group, None, [MemberDelta("add", members)], always)


async def remove(bridge: Bridge, group: str, *members: str) -> None:
    """Remove members from a group."""
    await bridge.provisioning.modify_group(group, None, [MemberDelta("remove", members)], always)


async def test_a_grant_whose_answer_was_lost_is_taken_back_when_withdrawn(grouped: Bridge) -> None:
    """Once the removal is answered, a membership that may have arrived is gone."""
    (ada,) = await people(grouped, "ada@x.example")
    group = await grouped.group_with("Sales")
    grouped.answer_within(0.05)
    grouped.remote.lose_answer("add_group_members")
    with pytest.raises(PendingError):
        await add(grouped, group, ada)
    grouped.answer_within()

    await remove(grouped, group, ada)

    assert remote_groups(grouped.remote, "ada@x.example") == set()


@pytest.mark.usefixtures("letting_go")
async def test_a_deleted_group_is_taken_from_whom_a_lost_answer_gave_it(tmp_path: Path, remote: MemoryRemote) -> None:
    """A group deleted while a grant of it is in doubt is held by nobody afterwards."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        (ada,) = await people(bridge, "ada@x.example")
        group = await bridge.group_with("Sales")
        bridge.answer_within(0.05)
        remote.lose_answer("set_user_groups")
        with pytest.raises(PendingError):
            await add(bridge, group, ada)
        bridge.answer_within()

        await bridge.provisioning.delete_group(group, always)
        await bridge.settle()

        assert remote_groups(remote, "ada@x.example") == set()


@pytest.mark.usefixtures("letting_go")
async def test_a_group_deleted_during_a_grant_is_held_by_nobody(tmp_path: Path, remote: MemoryRemote) -> None:
    """A grant on its way when its group is deleted is taken back."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        (ada,) = await people(bridge, "ada@x.example")
        group = await bridge.group_with("Sales")
        gate = remote.hold("set_user_groups", after_effect=True)
        granting = asyncio.create_task(add(bridge, group, ada))
        await gate.entered.wait()
        deleting = asyncio.create_task(bridge.provisioning.delete_group(group, always))
        await asyncio.sleep(0.1)

        gate.release()
        await asyncio.wait_for(deleting, HANG_SECONDS)
        await bridge.settle()

        assert remote_groups(remote, "ada@x.example") == set()
        await asyncio.gather(granting, return_exceptions=True)


@pytest.mark.usefixtures("letting_go")
async def test_a_group_deleted_while_its_member_is_inactive_does_not_return(
    tmp_path: Path, remote: MemoryRemote
) -> None:
    """Whoever is reactivated after their group was deleted does not hold it."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        (ada,) = await people(bridge, "ada@x.example")
        group = await bridge.group_with("Sales", ada)

        await bridge.provisioning.modify_user(ada, setting(active=False), always)
        await bridge.provisioning.delete_group(group, always)
        await bridge.provisioning.modify_user(ada, setting(active=True), always)

        assert remote_groups(remote, "ada@x.example") == set()


async def test_a_refused_addition_holds_no_removal_up(bridge: Bridge) -> None:
    """A person loses one group although the remote system refuses them another at the same time."""
    (ada,) = await people(bridge, "ada@x.example")
    left = await bridge.group_with("A", ada)
    joined = await bridge.group_with("B")
    refused = (await bridge.row("Group", joined)).remote_id

    def no_seat(call: Call) -> Fault | None:
        granting = call.hook == "set_user_groups" and refused in call.arguments["groups"]
        return Fault(RemoteInvalidValueError("no seat for B")) if granting else None

    bridge.remote.intercept = no_seat
    bridge.answer_within(0.5)
    await asyncio.gather(remove(bridge, left, ada), add(bridge, joined, ada), return_exceptions=True)
    while remote_groups(bridge.remote, "ada@x.example"):
        await bridge.turn()


async def test_a_held_grant_is_not_released_by_another_group(tmp_path: Path, remote: MemoryRemote) -> None:
    """Adding a person to an ordinary group does not give them the privileged one that an operator has not approved."""
    async with bridge_on(tmp_path / "b.db", remote, policy=ONE_GRANT) as bridge:
        ids = await people(bridge, "a@x.example", "b@x.example", "c@x.example")
        admins = await bridge.group_with("Admins")
        sales = await bridge.group_with("Sales")
        with pytest.raises(PendingError):
            await add(bridge, admins, *ids)
        assert (await bridge.row("User", ids[0])).state is State.HELD
        assert remote_groups(remote, "a@x.example") == set()

        await asyncio.gather(add(bridge, sales, ids[0]), return_exceptions=True)
        await bridge.settle()

        assert "Admins" not in remote_groups(remote, "a@x.example")


async def test_privileged_grants_with_a_group_s_creation_are_held(tmp_path: Path, remote: MemoryRemote) -> None:
    """Creating a privileged group with members over an existing one is no way round the budget of grants."""
    async with bridge_on(tmp_path / "b.db", remote, policy=ONE_GRANT) as bridge:
        remote.add_group("Admins")
        ids = await people(bridge, "a@x.example", "b@x.example", "c@x.example")

        await asyncio.gather(bridge.group_with("Admins", *ids), return_exceptions=True)

        assert remote_groups(remote, "a@x.example") == set()


async def test_many_inactive_members_keep_no_active_one_out(grouped: Bridge) -> None:
    """The active are granted the group also when more than two hundred inactive ones come before them."""
    ids = [
        (await grouped.provisioning.create_user(User(user_name=f"i{one}@x.example", active=False))).row.id
        for one in range(205)
    ]
    names = [f"a{one}@x.example" for one in range(5)]
    active = await people(grouped, *names)

    await grouped.group_with("All", *ids, *active)

    assert len([name for name in names if remote_groups(grouped.remote, name)]) == 5


async def test_a_version_changes_when_a_pending_removal_is_enforced(bridge: Bridge) -> None:
    """Where the groups of a person differ before and after, so do the versions of the group and of the person."""
    (ada,) = await people(bridge, "ada@x.example")
    group = await bridge.group_with("A", ada)
    gate = bridge.remote.hold("set_user_groups")
    removing = asyncio.create_task(remove(bridge, group, ada))
    await gate.entered.wait()
    versions = [(await bridge.row("Group", group)).version, (await bridge.row("User", ada)).version]
    groups = await bridge.groups_of(ada)

    gate.release()
    await removing

    group_version, user_version = (await bridge.row("Group", group)).version, (await bridge.row("User", ada)).version
    assert await bridge.groups_of(ada) == groups or (group_version != versions[0] and user_version != versions[1])


async def test_a_drive_ends_with_the_last_portion_however_many_there_are(grouped: Bridge) -> None:
    """A group whose members go in many portions is done in one drive, when they join and when they leave."""
    recorder = grouped.provisioning.driver.recorder
    recorder.capabilities = replace(recorder.capabilities, members_per_call=2)
    ids = await people(grouped, *(f"p{one}@x.example" for one in range(41)))

    group = await grouped.group_with("All", *ids)
    assert grouped.remote.called("add_group_members") == 21
    assert len(grouped.remote.members) == 41
    await remove(grouped, group, *ids)

    assert grouped.remote.called("remove_group_members") == 21
    assert not grouped.remote.members
    assert (await grouped.row("Group", group)).attempt == 0


async def test_a_drive_ends_although_the_remote_system_shows_no_change(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A connector that never converges is left for a while, after a few steps."""
    (ada,) = await people(bridge, "ada@x.example")
    sales = await bridge.group_with("Sales")
    monkeypatch.setattr(bridge.remote, "groups_of", lambda _remote_id: frozenset())
    bridge.answer_within(0.3)

    with pytest.raises(PendingError):
        await add(bridge, sales, ada)
    while "next attempt in" not in caplog.text:
        await bridge.turn()

    assert bridge.remote.called("set_user_groups") < 5


async def test_each_portion_of_members_costs_no_more_than_it_has(grouped: Bridge) -> None:
    """Of a thousand people who are to join, one call takes some, and no more than those are looked at for it."""
    (ada,) = await people(grouped, "ada@x.example")
    person, group = await grouped.row("User", ada), await grouped.row("Group", await grouped.group_with("Sales"))

    def look(tx: Transaction) -> int:
        for number in range(1000):
            one = replace(person, id=f"id-{number:04}", name=f"p{number}", remote_id=f"account-{number + 100}")
            resources.insert(tx, one, user(one.name))
            membership_changes.set_desired(tx, CONNECTION, group.id, [one.id], desired=True)
        with asked() as sent:
            portion = len(situation_of(tx, group, grouped.provisioning.capabilities).desired.links)
        assert len(sent) < 2 * portion
        return portion

    most = grouped.provisioning.capabilities.members_per_call
    assert await grouped.store.write(look) == most
