"""Groups and membership: what a write makes of the store and of the remote system, in both shapes of membership."""

import asyncio
from pathlib import Path

import pytest
from scim2_models import InvalidValueException, UniquenessException

from scim_bridge.errors import PendingError, RefusedError, RemoteInvalidValueError, RemoteUnavailableError
from scim_bridge.models import Group
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.store import membership_changes
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting, user


def remote_groups(remote: MemoryRemote, name: str) -> set[str]:
    """Return the displayNames of the groups an account holds in the remote system."""
    account = remote.find(name)
    assert account is not None
    return {str(remote.group(group).display_name) for group in remote.groups_of(account.remote_id)}


async def people(bridge: Bridge, *names: str) -> list[str]:
    """Create people and return their ids."""
    return [(await bridge.provisioning.create_user(user(name))).row.id for name in names]


@pytest.fixture(params=["user-centric", "group-centric"])
def either(request: pytest.FixtureRequest) -> Bridge:
    """A connection of each shape of membership."""
    found: Bridge = request.getfixturevalue("bridge" if request.param == "user-centric" else "grouped")
    return found


async def test_a_group_with_members_is_granted_before_it_is_answered(either: Bridge) -> None:
    """Once create_group returns, its members hold it in the remote system."""
    ada, bob = await people(either, "ada@x.example", "bob@x.example")

    group = await either.group_with("Sales", ada, bob)

    assert remote_groups(either.remote, "ada@x.example") == {"Sales"}
    assert remote_groups(either.remote, "bob@x.example") == {"Sales"}
    assert await either.groups_of(ada) == {"Sales": (True, True)}
    assert (await either.row("Group", group)).state is State.SETTLED


async def test_a_removal_and_an_addition_in_one_request(either: Bridge) -> None:
    """Okta's delta: one leaves, one joins, both are true when it is answered."""
    ada, bob = await people(either, "ada@x.example", "bob@x.example")
    group = await either.group_with("Sales", ada)

    await either.provisioning.modify_group(
        group, None, [MemberDelta("remove", (ada,)), MemberDelta("add", (bob,))], always
    )

    assert remote_groups(either.remote, "ada@x.example") == set()
    assert remote_groups(either.remote, "bob@x.example") == {"Sales"}
    assert await either.groups_of(ada) == {}


async def test_replacing_all_members_changes_only_what_differs(either: Bridge) -> None:
    """A full push of a hundred people of whom two differ costs what the two cost."""
    ids = await people(either, *(f"p{number}@x.example" for number in range(20)))
    group = await either.group_with("Sales", *ids[:19])
    calls = len(either.remote.calls)

    await either.provisioning.modify_group(group, None, [MemberDelta("replace", tuple(ids[1:]))], always)

    assert len(either.remote.calls) - calls <= 2
    assert remote_groups(either.remote, "p0@x.example") == set()
    assert remote_groups(either.remote, "p19@x.example") == {"Sales"}


async def test_adding_a_present_and_removing_an_absent_member_change_nothing(bridge: Bridge) -> None:
    """The same change again is calm; whoever is named as to leave is looked at: somebody may have let them in."""
    either = bridge
    ada, bob = await people(either, "ada@x.example", "bob@x.example")
    group = await either.group_with("Sales", ada)
    calls, effects = len(either.remote.calls), len(either.remote.effects)

    await either.provisioning.modify_group(
        group, None, [MemberDelta("add", (ada,)), MemberDelta("remove", (bob,))], always
    )

    assert [(call.hook, call.remote_id) for call in either.remote.calls[calls:]] == [("get_user", "account-2")]
    assert len(either.remote.effects) == effects
    assert await either.groups_of(bob) == {}


async def test_a_group_of_the_remote_system_is_adopted_by_name(either: Bridge) -> None:
    """A pushed group takes the one that is there instead of making a second."""
    either.remote.add_group("Sales")
    ada, *_ = await people(either, "ada@x.example")

    await either.group_with("Sales", ada)

    assert len(either.remote.groups) == 1
    assert remote_groups(either.remote, "ada@x.example") == {"Sales"}


async def test_a_deleted_group_is_taken_from_its_members_first(either: Bridge) -> None:
    """When DELETE is answered nobody holds the group, and it is gone."""
    ada, *_ = await people(either, "ada@x.example")
    group = await either.group_with("Sales", ada)

    await either.provisioning.delete_group(group, always)

    assert remote_groups(either.remote, "ada@x.example") == set()
    assert not either.remote.groups
    assert await either.groups_of(ada) == {}


async def test_a_rename_keeps_the_members(either: Bridge) -> None:
    """Changing displayName touches nobody's membership."""
    ada, *_ = await people(either, "ada@x.example")
    group = await either.group_with("Sales", ada)

    outcome = await either.provisioning.modify_group(group, setting(display_name="Sales EMEA"), [], always)

    assert outcome.row.name == "Sales EMEA"
    assert remote_groups(either.remote, "ada@x.example") == {"Sales EMEA"}


async def test_a_second_group_of_the_same_name_is_a_conflict(either: Bridge) -> None:
    """Entra ID matches groups by displayName, so it is unique."""
    await either.group_with("Sales")

    with pytest.raises(UniquenessException):
        await either.provisioning.create_group(Group(display_name="sales", external_id="other"))


async def test_an_unknown_member_is_dropped_with_a_warning(either: Bridge) -> None:
    """The known members are added; a plain 400 would make Entra ID retry for ever and add nobody."""
    ada, *_ = await people(either, "ada@x.example")
    group = await either.group_with("Sales")

    outcome = await either.provisioning.modify_group(group, None, [MemberDelta("add", (ada, "nobody"))], always)

    assert len(outcome.warnings) == 1
    assert "nobody" in outcome.warnings[0]
    assert remote_groups(either.remote, "ada@x.example") == {"Sales"}


async def test_an_unknown_member_is_refused_by_policy(tmp_path: Path, remote: MemoryRemote) -> None:
    """In strict mode nothing of the request is applied."""
    policy = ProvisioningPolicy(budget=5.0, unknown_members="refuse")
    async with bridge_on(tmp_path / "b.db", remote, policy=policy) as bridge:
        ada, *_ = await people(bridge, "ada@x.example")
        group = await bridge.group_with("Sales")

        with pytest.raises(InvalidValueException):
            await bridge.provisioning.modify_group(group, None, [MemberDelta("add", (ada, "nobody"))], always)

        assert await bridge.groups_of(ada) == {}


async def test_a_deactivated_person_keeps_the_groups_without_their_effect(bridge: Bridge) -> None:
    """Memberships survive deactivation, and what changes meanwhile counts at the return."""
    ada, *_ = await people(bridge, "ada@x.example")
    sales = await bridge.group_with("Sales", ada)
    await bridge.group_with("Support", ada)
    await bridge.provisioning.modify_user(ada, setting(active=False), always)

    await bridge.provisioning.modify_group(sales, None, [MemberDelta("remove", (ada,))], always)
    await bridge.provisioning.modify_user(ada, setting(active=True), always)

    assert remote_groups(bridge.remote, "ada@x.example") == {"Support"}


async def test_a_removal_under_way_is_not_claimed_by_its_retry(tmp_path: Path, remote: MemoryRemote) -> None:
    """A membership removal answered 429 answers 429 again while the remote system still grants it."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        ada, bob = await people(bridge, "ada@x.example", "bob@x.example")
        group = await bridge.group_with("Sales", ada, bob)
        bridge.answer_within(0.5)
        remote.down = RemoteUnavailableError("down", ambiguous=False, retry_after=0.2)

        for deltas in ([MemberDelta("remove", (ada,))], [MemberDelta("remove", (ada, bob))]):
            with pytest.raises(PendingError):
                await bridge.provisioning.modify_group(group, None, deltas, always)
        assert await bridge.groups_of(ada) == {"Sales": (False, True)}

        remote.down = None
        await bridge.idle()
        assert remote_groups(remote, "ada@x.example") == set()
        assert remote_groups(remote, "bob@x.example") == set()


async def test_removals_are_enforced_before_additions_are_claimed(bridge: Bridge) -> None:
    """While a removal is held, a mixed change is not answered, though its additions are through."""
    ada, bob = await people(bridge, "ada@x.example", "bob@x.example")
    group = await bridge.group_with("Sales", ada)
    gate = bridge.remote.hold("set_user_groups")
    writing = asyncio.create_task(
        bridge.provisioning.modify_group(
            group, None, [MemberDelta("remove", (ada,)), MemberDelta("add", (bob,))], always
        )
    )
    await gate.entered.wait()
    assert not writing.done()
    gate.release()
    await writing

    grants = [call for call in bridge.remote.calls if call.hook == "set_user_groups"]
    assert not grants[-2].arguments["groups"] or not grants[-1].arguments["groups"]
    assert remote_groups(bridge.remote, "ada@x.example") == set()


async def test_a_group_that_the_remote_system_refuses_is_told_and_kept_from_nobody(bridge: Bridge) -> None:
    """A name that matches nothing answers 400; nobody becomes a member of what is not there."""
    ada, *_ = await people(bridge, "ada@x.example")
    bridge.remote.fail("create_group", RemoteInvalidValueError("no permission set of this name; there are: Sales"))

    with pytest.raises(RefusedError) as refused:
        await bridge.group_with("Sails", ada)

    assert "there are: Sales" in refused.value.detail
    assert await bridge.groups_of(ada) == {}


async def test_a_refused_grant_goes_back_to_what_is_observed(bridge: Bridge) -> None:
    """The membership that was refused is not shown, and those that are held stay."""
    ada, *_ = await people(bridge, "ada@x.example")
    await bridge.group_with("Sales", ada)
    bridge.remote.fail("set_user_groups", RemoteInvalidValueError("this combination has no seat"))

    with pytest.raises(RefusedError):
        await bridge.group_with("Support", ada)

    assert await bridge.groups_of(ada) == {"Sales": (True, True)}
    assert remote_groups(bridge.remote, "ada@x.example") == {"Sales"}


async def test_two_changes_of_one_group_at_once_lose_nobody(either: Bridge) -> None:
    """Parallel PATCHes, as Entra ID sends them, are deltas: both hold."""
    ids = await people(either, *(f"p{number}@x.example" for number in range(6)))
    group = await either.group_with("Sales")

    await asyncio.gather(
        *(either.provisioning.modify_group(group, None, [MemberDelta("add", (one,))], always) for one in ids)
    )

    assert all(remote_groups(either.remote, f"p{number}@x.example") == {"Sales"} for number in range(6))


async def test_a_large_group_write_is_answered_before_its_additions_but_after_its_removals(
    tmp_path: Path, remote: MemoryRemote
) -> None:
    """Okta closes the socket at 60 s: many additions are answered once durable, and driven to their end."""
    policy = ProvisioningPolicy(budget=10.0, deferrable_additions=3)
    async with bridge_on(tmp_path / "b.db", remote, policy=policy) as bridge:
        ids = await people(bridge, *(f"p{number}@x.example" for number in range(8)))
        group = await bridge.group_with("Sales", ids[0])

        await bridge.provisioning.modify_group(group, None, [MemberDelta("replace", tuple(ids[1:]))], always)

        assert remote_groups(remote, "p0@x.example") == set()
        await bridge.idle()
        assert all(remote_groups(remote, f"p{number}@x.example") == {"Sales"} for number in range(1, 8))


@pytest.mark.parametrize("way", ["remove", "replace", "delete"])
async def test_who_is_inactive_and_was_let_in_by_hand_is_looked_at_when_they_leave(either: Bridge, way: str) -> None:
    """An inactive member was let in by hand with the group: they are out again before their leaving is claimed."""
    ada, bob = await people(either, "ada@x.example", "bob@x.example")
    group = await either.group_with("Sales", ada, bob)
    await either.provisioning.modify_user(ada, setting(active=False), always)
    account = either.remote.find("ada@x.example")
    assert account is not None
    account.active = True

    if way == "delete":
        await either.provisioning.delete_group(group, always)
    else:
        delta = MemberDelta("remove", (ada,)) if way == "remove" else MemberDelta("replace", (bob,))
        await either.provisioning.modify_group(group, None, [delta], always)

    assert account.active is False
    assert await either.groups_of(ada) == {}
    row = await either.row("User", ada)
    assert row.state is State.SETTLED
    assert row.observed is not None
    assert not row.observed.active


async def test_who_was_to_be_in_a_group_and_was_not_seen_there_is_looked_at_when_they_leave(bridge: Bridge) -> None:
    """A client takes somebody out of a group who lost it by hand, as the store knows, and was given it again."""
    ada, *_ = await people(bridge, "ada@x.example")
    group = await bridge.group_with("Sales", ada)
    account = bridge.remote.find("ada@x.example")
    assert account is not None
    await bridge.store.write(lambda tx: membership_changes.forget(tx, CONNECTION, ada, [group]))

    await bridge.provisioning.modify_group(group, None, [MemberDelta("replace", ())], always)

    assert remote_groups(bridge.remote, "ada@x.example") == set()
    assert await bridge.groups_of(ada) == {}


@pytest.mark.parametrize("deleted", [False, True])
async def test_whoever_is_on_their_way_out_leaves_no_group_before_they_are_out(either: Bridge, deleted: bool) -> None:
    """The end of somebody's access is pending, and they were given a group by hand: 429, until they are out."""
    ada, *_ = await people(either, "ada@x.example")
    group = await either.group_with("Sales")
    either.answer_within(0.2)
    hook = "delete_user" if deleted else "deactivate_user"
    either.remote.fail(hook, RemoteUnavailableError("down", ambiguous=False, retry_after=30.0))
    bridge = either.provisioning
    with pytest.raises(PendingError):
        await (bridge.delete_user(ada, always) if deleted else bridge.modify_user(ada, setting(active=False), always))
    either.remote.fail(hook, RemoteUnavailableError("down", ambiguous=False, retry_after=30.0))

    with pytest.raises(PendingError):
        await bridge.modify_group(group, None, [MemberDelta("remove", (ada,))], always)

    row = await either.row("User", ada)
    assert (row.active, row.deleted) == (False, deleted)
    account = either.remote.find("ada@x.example")
    assert account is not None
    assert account.active
