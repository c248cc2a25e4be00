"""Groups that somebody deleted in the remote system: made anew, or told as refused, and in nobody's way."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.errors import RefusedError, RemoteInvalidValueError, RemoteNotFoundError, RemoteUnavailableError
from scim_bridge.provisioning.drift import DriftClass
from scim_bridge.store import memberships, resources
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.testing.memory import MemoryConnector
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting
from tests.unit.provisioning.test_groups import people, remote_groups
from tests.unit.provisioning.test_reconcile import classes, compared


class TellsTheAccountGone(MemoryConnector):
    """Tells a group that is not there as an account that is not there, against the contract."""

    name = "tells-the-account-gone"

    def known(self, groups: Any) -> None:
        """Raise the wrong error."""
        try:
            super().known(groups)
        except RemoteInvalidValueError as error:
            raise RemoteNotFoundError("no such group") from error


@pytest.fixture(params=[MemoryConnector, TellsTheAccountGone], ids=["by contract", "account told gone"])
def connector_type(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the connection's connector tell an unknown group rightly, and wrongly."""
    monkeypatch.setattr("tests.unit.provisioning.conftest.MemoryConnector", request.param)


async def add(bridge: Bridge, group: str, *members: str) -> None:
    """Add members to a group."""
    await bridge.provisioning.modify_group(group, None, [MemberDelta("add", members)], always)


async def delete_by_hand(bridge: Bridge, group: str) -> None:
    """Delete a group in the remote system, with its memberships."""
    remote_id = (await bridge.row("Group", group)).remote_id
    assert remote_id is not None
    del bridge.remote.groups[remote_id]
    bridge.remote.members = {pair for pair in bridge.remote.members if pair[0] != remote_id}


@pytest.mark.usefixtures("connector_type")
async def test_a_group_deleted_by_hand_is_made_anew_with_its_members(tmp_path: Path, remote: MemoryRemote) -> None:
    """The next grant to one of its members finds it gone; in the end everybody has all their groups again."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        ada, bob = await people(bridge, "ada@x.example", "bob@x.example")
        sales = await bridge.group_with("Sales", ada, bob)
        support = await bridge.group_with("Support")
        await delete_by_hand(bridge, sales)

        await add(bridge, support, ada)
        await bridge.settle()

        assert remote_groups(remote, "ada@x.example") == {"Sales", "Support"}
        assert remote_groups(remote, "bob@x.example") == {"Sales"}
        assert len(remote.accounts) == 2
        assert await bridge.groups_of(bob) == {"Sales": (True, True)}
        assert not (await compared(bridge, apply=False)).drifts


@pytest.mark.usefixtures("connector_type")
async def test_a_group_that_cannot_be_made_anew_is_told_and_in_nobody_s_way(
    tmp_path: Path, remote: MemoryRemote
) -> None:
    """The others of a person are granted; the lost one stands in the ledger, refused, until it is there again."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        (ada,) = await people(bridge, "ada@x.example")
        sales = await bridge.group_with("Sales", ada)
        support = await bridge.group_with("Support")
        await delete_by_hand(bridge, sales)
        remote.fail("create_group", *[RemoteInvalidValueError("there is no Sales")] * 2)

        await add(bridge, support, ada)
        await bridge.settle()

        assert remote_groups(remote, "ada@x.example") == {"Support"}
        (told,) = await bridge.store.read(lambda tx: resources.ledger(tx, CONNECTION))
        assert (told.id, told.state, told.refusal and told.refusal.detail) == (
            sales,
            State.BLOCKED,
            "there is no Sales",
        )
        assert await bridge.groups_of(ada) == {"Sales": (True, False), "Support": (True, True)}
        calls = len(remote.calls)
        await bridge.settle()
        assert len(remote.calls) == calls
        with pytest.raises(RefusedError, match="there is no Sales"):
            await add(bridge, sales, ada)
        remote.add_group("Sales")
        assert classes(await compared(bridge)) == {DriftClass.MISSING}
        assert remote_groups(remote, "ada@x.example") == {"Sales", "Support"}
        assert not await bridge.store.read(lambda tx: resources.ledger(tx, CONNECTION))
        assert not (await compared(bridge, apply=False)).drifts


@pytest.mark.usefixtures("connector_type")
async def test_somebody_is_reactivated_although_one_of_their_groups_is_gone(
    tmp_path: Path, remote: MemoryRemote
) -> None:
    """A reactivation that is refused for a lost group goes through, and that group comes later."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        (ada,) = await people(bridge, "ada@x.example")
        sales = await bridge.group_with("Sales", ada)
        await bridge.provisioning.modify_user(ada, setting(active=False), always)
        await delete_by_hand(bridge, sales)

        outcome = await bridge.provisioning.modify_user(ada, setting(active=True), always)
        await bridge.settle()

        assert outcome.row.shown_active
        assert remote_groups(remote, "ada@x.example") == {"Sales"}


async def test_a_group_that_nobody_manages_is_forgotten_when_it_is_gone(bridge: Bridge) -> None:
    """What an adopted account held of a group that was only found goes with that group; nothing is made."""
    account = bridge.remote.add_account("ada@x.example")
    found = bridge.remote.add_group("Found")
    bridge.remote.members.add((found, account))
    await compared(bridge)
    (ada,) = await people(bridge, "ada@x.example")
    del bridge.remote.groups[found]
    bridge.remote.members.clear()
    support = await bridge.group_with("Support")

    await add(bridge, support, ada)
    await bridge.settle()

    assert remote_groups(bridge.remote, "ada@x.example") == {"Support"}
    assert {group.display_name for group in bridge.remote.groups.values()} == {"Support"}
    assert await bridge.groups_of(ada) == {"Support": (True, True)}


async def test_members_of_a_group_deleted_by_hand_are_added_again(grouped: Bridge) -> None:
    """Where members are on the group, the next addition finds it gone, and everybody is in the new one."""
    ada, bob = await people(grouped, "ada@x.example", "bob@x.example")
    sales = await grouped.group_with("Sales", ada)
    await delete_by_hand(grouped, sales)

    await add(grouped, sales, bob)
    await grouped.settle()

    assert remote_groups(grouped.remote, "ada@x.example") == {"Sales"}
    assert remote_groups(grouped.remote, "bob@x.example") == {"Sales"}
    assert await grouped.store.read(lambda tx: memberships.unsettled_of_group(tx, CONNECTION, sales)) == ([], [])


@pytest.mark.parametrize("groups", [False, True], ids=["user-centric", "group-centric"])
async def test_a_comparison_finds_a_group_that_somebody_deleted(
    tmp_path: Path, remote: MemoryRemote, *, groups: bool
) -> None:
    """A managed group that is not there is drift; it is made anew with its members."""
    async with bridge_on(tmp_path / "b.db", remote, groups=groups) as bridge:
        (ada,) = await people(bridge, "ada@x.example")
        await delete_by_hand(bridge, await bridge.group_with("Sales", ada))

        found = await compared(bridge)

        assert DriftClass.MISSING in classes(found)
        assert remote_groups(remote, "ada@x.example") == {"Sales"}
        assert not (await compared(bridge, apply=False)).drifts


async def test_a_group_that_one_answer_says_is_gone_hides_nobody_s_removal(bridge: Bridge) -> None:
    """A grant finds a group gone that is there, while somebody is to leave it: they still leave it."""
    ada, bob = await people(bridge, "ada@x.example", "bob@x.example")
    sales = await bridge.group_with("Sales", bob)
    bridge.remote.fail("set_user_groups", RemoteUnavailableError("busy", ambiguous=False, retry_after=1.0))
    leaving = asyncio.create_task(
        bridge.provisioning.modify_group(sales, None, [MemberDelta("remove", (bob,))], always)
    )
    while not bridge.provisioning.driver.failures:
        await bridge.turn()
    bridge.remote.fail("set_user_groups", RemoteInvalidValueError("there is no such group"))
    bridge.remote.fail("get_group", RemoteNotFoundError("there is no such group"))

    await add(bridge, sales, ada)
    await leaving
    await bridge.settle()

    assert remote_groups(bridge.remote, "bob@x.example") == set()
    assert remote_groups(bridge.remote, "ada@x.example") == {"Sales"}


async def test_a_removal_that_is_told_the_group_is_gone_is_tried_again(grouped: Bridge) -> None:
    """Where members are on the group: it is asked for before everybody is taken to have left it."""
    ada, bob = await people(grouped, "ada@x.example", "bob@x.example")
    sales = await grouped.group_with("Sales", ada, bob)
    grouped.remote.fail("remove_group_members", RemoteNotFoundError("there is no such group"))

    await grouped.provisioning.modify_group(sales, None, [MemberDelta("remove", (bob,))], always)

    assert remote_groups(grouped.remote, "bob@x.example") == set()
    assert remote_groups(grouped.remote, "ada@x.example") == {"Sales"}
