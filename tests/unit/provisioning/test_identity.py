"""One account or group of the remote system stands for one resource at most, whatever is renamed on either side."""

import asyncio
import json

import pytest
from scim2_models import UniquenessException

from scim_bridge.errors import PendingError, RefusedError, RemoteUnavailableError
from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Group, User
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.store import resources
from scim_bridge.store.rows import ResourceRow, State
from scim_bridge.store.transaction import Transaction
from scim_bridge.testing.memory import MemoryConnector
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting, user

RALF, OTHER = "ralf@corp.example", "ralf.new@corp.example"
TOMBSTONE = "0f5fd9b6a5a84d5fb3e3b9a1c1d2e3f4" + RALF

both_shapes = pytest.mark.parametrize("groups", [False, True], ids=["on the person", "on the group"])


async def by_name(bridge: Bridge, name: str) -> ResourceRow | None:
    """Return what a filter on userName finds, which asks the remote system when the store has nobody."""

    def find(tx: Transaction) -> ResourceRow | None:
        return resources.find_by_name(tx, CONNECTION, "User", name)

    if (row := await bridge.store.read(find)) is None:
        await bridge.provisioning.find_user(name)
        row = await bridge.store.read(find)
    return row


def names(bridge: Bridge) -> list[str]:
    """Return the userNames of the remote system, with whether they are active."""
    return sorted(f"{one.user.user_name} {one.active}" for one in bridge.remote.accounts.values())


@both_shapes
@pytest.mark.parametrize("external_id", [None, "1", "2"])
async def test_a_name_a_soft_delete_gave_up_is_free(any_store_url: str, groups: bool, external_id: str | None) -> None:
    """Renamed as they were deactivated, and pushed again: one account, a new id, nothing of the former one's."""
    async with bridge_on(any_store_url, MemoryRemote(), groups=groups) as bridge:
        former = (await bridge.provisioning.create_user(user(RALF, external_id="1"))).row.id
        await bridge.group_with("Sales", former)
        await bridge.provisioning.modify_user(former, setting(user_name=TOMBSTONE, active=False), always)
        assert await by_name(bridge, RALF) is None

        ralf = (await bridge.provisioning.create_user(user(RALF, external_id=external_id))).row
        await bridge.idle()

        assert ralf.id != former
        assert names(bridge) == [f"{RALF} True"]
        assert not bridge.remote.members
        assert await bridge.groups_of(ralf.id) == {}
        assert (await bridge.row("User", former)).remote_id is None

        await bridge.provisioning.delete_user(former, always)
        assert names(bridge) == [f"{RALF} True"]


@both_shapes
async def test_an_address_given_to_somebody_else_is_another_person(any_store_url: str, groups: bool) -> None:
    """The same userName with another externalId: a new id, no membership of the former person; their id is gone."""
    async with bridge_on(any_store_url, MemoryRemote(), groups=groups) as bridge:
        former = (await bridge.provisioning.create_user(user(RALF, external_id="1"))).row.id
        await bridge.group_with("Sales", former)
        await bridge.provisioning.modify_user(former, setting(active=False), always)

        ralf = (await bridge.provisioning.create_user(user(RALF, external_id="2"))).row
        await bridge.idle()

        assert ralf.id != former
        assert names(bridge) == [f"{RALF} True"]
        assert not bridge.remote.members
        assert await bridge.groups_of(ralf.id) == {}
        assert await bridge.store.read(lambda tx: resources.get(tx, CONNECTION, "User", former, deleted=True)) is None


@both_shapes
@pytest.mark.parametrize("external_id", [None, "1"])
async def test_the_same_person_has_their_groups(any_store_url: str, groups: bool, external_id: str | None) -> None:
    """The same externalId, or none, is the same person."""
    async with bridge_on(any_store_url, MemoryRemote(), groups=groups) as bridge:
        former = (await bridge.provisioning.create_user(user(RALF, external_id="1"))).row.id
        await bridge.group_with("Sales", former)
        await bridge.provisioning.modify_user(former, setting(active=False), always)

        ralf = (await bridge.provisioning.create_user(user(RALF, external_id=external_id))).row
        await bridge.idle()

        assert ralf.id == former
        assert len(bridge.remote.members) == 1
        assert await bridge.groups_of(ralf.id) == {"Sales": (True, True)}


async def test_an_address_is_not_given_on_before_its_former_holder_has_left(bridge: Bridge) -> None:
    """While the removal is pending, somebody else's creation is a 429 and changes nothing."""
    former = (await bridge.provisioning.create_user(user(RALF, external_id="1"))).row.id
    bridge.remote.down = RemoteUnavailableError("down", ambiguous=False)
    bridge.answer_within(0.05)
    with pytest.raises(PendingError):
        await bridge.provisioning.modify_user(former, setting(active=False), always)

    with pytest.raises(PendingError):
        await bridge.provisioning.create_user(user(RALF, external_id="2"))

    assert (await bridge.row("User", former)).state is State.PENDING


@both_shapes
@pytest.mark.parametrize("asked", [False, True], ids=["created at once", "searched before"])
@pytest.mark.parametrize("active", [True, False])
async def test_the_name_given_by_hand_to_the_account_of_another_user(
    any_store_url: str, groups: bool, asked: bool, active: bool
) -> None:
    """The account's User gets its name: a search finds it, a creation is a 409 before anything is made."""
    async with bridge_on(any_store_url, MemoryRemote(), groups=groups) as bridge:
        ralf = (await bridge.provisioning.create_user(user(RALF, external_id="1"))).row
        bridge.remote.account(str(ralf.remote_id)).user.user_name = OTHER
        if asked:
            found = await by_name(bridge, OTHER)
            assert found is not None
            assert found.id == ralf.id

        with pytest.raises((UniquenessException, RefusedError)) as refused:
            await bridge.provisioning.create_user(
                User(user_name=OTHER, active=active, external_id="2"),
            )

        assert getattr(refused.value, "status", 409) == 409
        assert names(bridge) == [f"{OTHER} True"]
        assert not [call for call in bridge.remote.effects if call.hook == "create_user"][1:]
        found = await by_name(bridge, OTHER)
        assert found is not None
        assert found.id == ralf.id
        assert json.loads(found.document)["userName"] == OTHER


@both_shapes
async def test_an_unmanaged_account_renamed_by_hand_is_taken_over(any_store_url: str, groups: bool) -> None:
    """Found under its old name, created under its new one: one User, with the groups that nobody manages."""
    async with bridge_on(any_store_url, MemoryRemote(), groups=groups) as bridge:
        account = bridge.remote.add_account(RALF)
        assert await by_name(bridge, RALF) is not None
        bridge.remote.account(account).user.user_name = OTHER

        created = (await bridge.provisioning.create_user(user(OTHER))).row

        assert created.remote_id == account
        rows = await bridge.store.read(lambda tx: resources.iterate(tx, CONNECTION, "User", after=None, limit=9))
        assert [row.id for row in rows] == [created.id]


@both_shapes
@pytest.mark.parametrize("again", ["deactivate", "delete"])
async def test_somebody_added_again_under_another_id_is_looked_for_by_name(
    any_store_url: str, groups: bool, again: str
) -> None:
    """Deactivated, their account deleted and made anew by hand: said again, or deleted, they are out again."""
    async with bridge_on(any_store_url, MemoryRemote(), groups=groups) as bridge:
        ralf = (await bridge.provisioning.create_user(user(RALF))).row
        await bridge.provisioning.modify_user(ralf.id, setting(active=False), always)
        bridge.remote.accounts.clear()
        bridge.remote.add_account(RALF)

        if again == "delete":
            await bridge.provisioning.delete_user(ralf.id, always)
            assert not bridge.remote.accounts
        else:
            await bridge.provisioning.modify_user(ralf.id, setting(active=False), always)
            assert names(bridge) == [f"{RALF} False"]
        assert await by_name(bridge, RALF) is None or again == "deactivate"


async def test_a_deleted_user_takes_nothing_from_whoever_has_the_name_by_now(any_store_url: str) -> None:
    """Their own account is gone; the one that has their name is another User's."""
    async with bridge_on(any_store_url, MemoryRemote()) as bridge:
        former = (await bridge.provisioning.create_user(user(RALF, external_id="1"))).row
        await bridge.provisioning.modify_user(former.id, setting(user_name=TOMBSTONE, active=False), always)
        bridge.remote.accounts.clear()
        await bridge.provisioning.create_user(user(RALF, external_id="1"))

        await bridge.provisioning.delete_user(former.id, always)

        assert names(bridge) == [f"{RALF} True"]


async def test_who_is_to_be_out_is_called_as_their_account_is(
    any_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A soft delete renames what is never renamed in the remote system: a connector that asks by name finds them."""
    told: list[str | None] = []
    deactivate = MemoryConnector.deactivate_user

    @hookimpl
    async def deactivate_user(self: MemoryConnector, remote_id: str, user: User) -> None:
        told.append(user.user_name)
        await deactivate(self, remote_id)

    monkeypatch.setattr(MemoryConnector, "deactivate_user", deactivate_user)
    async with bridge_on(any_store_url, MemoryRemote()) as bridge:
        ralf = (await bridge.provisioning.create_user(user(RALF))).row
        await bridge.provisioning.modify_user(ralf.id, setting(user_name=TOMBSTONE, active=False), always)

        assert told == [RALF]
        assert names(bridge) == [f"{RALF} False"]


async def test_an_account_made_under_an_id_that_another_user_had(
    any_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HubSpot gives whoever is added again the id they had: what was just made is never left behind a refusal."""
    remote = MemoryRemote()
    async with bridge_on(any_store_url, remote) as bridge:
        former = (await bridge.provisioning.create_user(user("anna@corp.example", external_id="1"))).row
        remote.accounts.clear()
        monkeypatch.setattr(remote, "mint", lambda prefix: str(former.remote_id))

        ralf = (await bridge.provisioning.create_user(user(RALF, external_id="2"))).row

        assert ralf.remote_id == former.remote_id
        left = await bridge.row("User", former.id)
        assert left.remote_id is None
        assert left.state is State.BLOCKED
        assert names(bridge) == [f"{RALF} True"]


@both_shapes
async def test_a_group_made_under_the_old_name_of_a_renamed_one(any_store_url: str, groups: bool) -> None:
    """Where the remote system takes the new name, the old one is free: two groups, each with its own members."""
    async with bridge_on(any_store_url, MemoryRemote(), groups=groups) as bridge:
        ralf = (await bridge.provisioning.create_user(user(RALF))).row
        first = await bridge.group_with("Sales", ralf.id)
        await bridge.provisioning.modify_group(first, setting(display_name="Sales EU"), [], always)

        second = await bridge.group_with("Sales")

        held = {str(bridge.remote.group(group).display_name) for group, _ in bridge.remote.members}
        assert held == {"Sales EU"}
        assert (await bridge.row("Group", first)).remote_id != (await bridge.row("Group", second)).remote_id


@both_shapes
async def test_a_group_whose_remote_name_is_another_groups(any_store_url: str, groups: bool) -> None:
    """Renamed by hand to what a client then pushes: refused, with the group that stands in the way; nothing changes."""
    async with bridge_on(any_store_url, MemoryRemote(), groups=groups) as bridge:
        ralf = (await bridge.provisioning.create_user(user(RALF))).row
        first = await bridge.group_with("Sales", ralf.id)
        remote_id = str((await bridge.row("Group", first)).remote_id)
        bridge.remote.group(remote_id).display_name = "Vertrieb"

        for _ in range(2):
            with pytest.raises(RefusedError, match='"Sales" stands for it') as refused:
                await bridge.provisioning.create_group(Group(display_name="Vertrieb"))
            assert refused.value.status == 400

        assert len(bridge.remote.members) == 1
        assert list(bridge.remote.groups) == [remote_id]


async def test_a_creation_that_leaves_out_what_the_account_has_keeps_it(bridge: Bridge) -> None:
    """Store and remote system say the same after a person was taken over, or returned, with fewer attributes."""
    account = bridge.remote.add_account(RALF, title="Count")
    await by_name(bridge, RALF)

    taken = (await bridge.provisioning.create_user(User(user_name=RALF, active=True))).row
    await bridge.provisioning.modify_user(taken.id, setting(active=False), always)
    again = (await bridge.provisioning.create_user(User(user_name=RALF, active=True))).row

    for row in (taken, again):
        assert json.loads(row.document)["title"] == "Count"
    assert bridge.remote.account(account).user.title == "Count"


async def test_a_creation_repeated_with_less_while_it_is_pending_changes_both_alike(
    any_store_url: str, remote: MemoryRemote
) -> None:
    """Nobody was told of the first one, whose answer was lost: the second is the same User, and clears nothing."""
    policy = ProvisioningPolicy(budget=5.0)
    async with bridge_on(any_store_url, remote, policy=policy) as bridge:
        remote.lose_answer("create_user")
        bridge.answer_within(0.05)
        await asyncio.gather(
            bridge.provisioning.create_user(user(RALF, external_id="1", title="Count")), return_exceptions=True
        )
        bridge.answer_within(5.0)

        again = (await bridge.provisioning.create_user(User(user_name=RALF, external_id="1", active=True))).row

        (account,) = remote.accounts.values()
        assert json.loads(again.document)["title"] == account.user.title == "Count"
        assert json.loads(again.document)["name"]["givenName"] == "Ada"
