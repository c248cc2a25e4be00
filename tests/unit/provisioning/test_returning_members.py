"""Where members are kept on the group: who comes back is in their groups again, and who is inactive is not added."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scim_bridge.errors import PendingError
from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Remote, User
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.provisioning.policy import Budget, GuardPolicy
from scim_bridge.provisioning.recorder import LOST_AGAIN
from scim_bridge.store import memberships
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.testing.memory import MemoryGroupsConnector
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting
from tests.unit.provisioning.test_groups import people, remote_groups
from tests.unit.provisioning.test_open_outcomes import Clock
from tests.unit.provisioning.test_reconcile import compared
from tests.unit.provisioning.vanishing import Vanishing


class Forgetful(MemoryGroupsConnector):
    """Forgets the memberships of a deactivated account, and does not tell the groups of an account."""

    name = "forgetful"

    def seen(self, remote_id: str, *, existed: bool = False) -> Remote[User]:
        """Return the account without its groups."""
        remote = super().seen(remote_id, existed=existed)
        remote.resource.groups = None
        return remote

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Take all groups away as well."""
        await super().deactivate_user(remote_id)
        self.remote.members = {pair for pair in self.remote.members if pair[1] != remote_id}


@pytest.mark.parametrize("connector_type", [MemoryGroupsConnector, Forgetful, Vanishing])
async def test_who_is_reactivated_is_in_their_groups_again(
    tmp_path: Path, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch, connector_type: type[MemoryGroupsConnector]
) -> None:
    """Whatever the remote system does with the memberships of an inactive account, they are back afterwards."""
    monkeypatch.setattr("tests.unit.provisioning.conftest.MemoryGroupsConnector", connector_type)
    async with bridge_on(tmp_path / "b.db", remote, groups=True) as bridge:
        ada, bob = await people(bridge, "ada@x.example", "bob@x.example")
        sales = await bridge.group_with("Sales", ada, bob)
        left = await bridge.group_with("Left", ada)
        joined = await bridge.group_with("Joined")

        await bridge.provisioning.modify_user(ada, setting(active=False), always)
        await bridge.provisioning.modify_group(left, None, [MemberDelta("remove", (ada,))], always)
        await bridge.provisioning.modify_group(joined, None, [MemberDelta("add", (ada,))], always)
        await bridge.provisioning.modify_user(ada, setting(active=True), always)
        await bridge.settle()

        assert remote_groups(remote, "ada@x.example") == {"Sales", "Joined"}
        assert remote_groups(remote, "bob@x.example") == {"Sales"}
        assert await bridge.groups_of(ada) == {"Sales": (True, True), "Joined": (True, True)}
        assert await bridge.store.read(lambda tx: memberships.unsettled_of_group(tx, CONNECTION, sales)) == ([], [])


@pytest.mark.parametrize("by_hand", [False, True], ids=["gone", "made again by hand"])
async def test_who_is_made_anew_is_in_their_groups_again(grouped: Bridge, *, by_hand: bool) -> None:
    """An account removed by hand, and perhaps made again by hand, ends in the groups of its User."""
    (ada,) = await people(grouped, "ada@x.example")
    await grouped.group_with("Sales", ada)
    remote_id = (await grouped.row("User", ada)).remote_id
    assert remote_id is not None
    del grouped.remote.accounts[remote_id]
    grouped.remote.members.clear()
    if by_hand:
        grouped.remote.add_account("ada@x.example")

    await compared(grouped, missing_accounts="report" if by_hand else "enforce")
    await compared(grouped)
    await grouped.settle()

    assert remote_groups(grouped.remote, "ada@x.example") == {"Sales"}
    assert len(grouped.remote.accounts) == 1
    assert await grouped.groups_of(ada) == {"Sales": (True, True)}


async def test_an_absent_account_keeps_nobody_out_of_a_group(tmp_path: Path, remote: MemoryRemote) -> None:
    """An addition that names an account removed by hand adds the others, and that one once a client asks for it."""
    clock = Clock()
    async with bridge_on(tmp_path / "bridge.db", remote, groups=True, clock=clock) as grouped:
        ada, bob = await people(grouped, "ada@x.example", "bob@x.example")
        sales = await grouped.group_with("Sales")
        remote_id = (await grouped.row("User", ada)).remote_id
        assert remote_id is not None
        del remote.accounts[remote_id]

        await grouped.provisioning.modify_group(sales, None, [MemberDelta("add", (ada, bob))], always)
        clock.ahead = 2 * LOST_AGAIN
        await grouped.idle()

        assert remote.find("ada@x.example") is None
        assert remote_groups(remote, "bob@x.example") == {"Sales"}
        await grouped.provisioning.modify_user(ada, setting(active=True), always)
        await grouped.settle()
        assert remote_groups(remote, "ada@x.example") == {"Sales"}
        assert len(remote.groups) == 1


async def test_nobody_inactive_is_added_to_a_group(grouped: Bridge) -> None:
    """To an inactive account nothing is granted; out of a group it is taken."""
    (ada,) = await people(grouped, "ada@x.example")
    left = await grouped.group_with("Left", ada)
    joined = await grouped.group_with("Joined")
    await grouped.provisioning.modify_user(ada, setting(active=False), always)

    await grouped.provisioning.modify_group(joined, None, [MemberDelta("add", (ada,))], always)
    await grouped.provisioning.modify_group(left, None, [MemberDelta("remove", (ada,))], always)

    assert remote_groups(grouped.remote, "ada@x.example") == set()
    assert grouped.remote.called("add_group_members") == 1
    assert await grouped.groups_of(ada) == {"Joined": (True, False)}


async def test_a_managed_group_given_during_a_lost_answer_is_taken_away(grouped: Bridge) -> None:
    """What an account is seen to hold of a group that clients manage, and should not, is taken from it."""
    sales = await grouped.group_with("Sales")
    remote_id = (await grouped.row("Group", sales)).remote_id
    assert remote_id is not None
    account = grouped.remote.add_account("ada@x.example")
    found = grouped.remote.add_group("Found")
    grouped.remote.members |= {(remote_id, account), (found, account)}

    await people(grouped, "ada@x.example")
    await grouped.settle()

    assert remote_groups(grouped.remote, "ada@x.example") == {"Found"}


async def test_privileged_grants_are_counted_where_members_are_on_the_group(
    tmp_path: Path, remote: MemoryRemote
) -> None:
    """A privileged group that gets too many members at once is held as a whole until an operator approves."""
    guard = GuardPolicy(privileged=frozenset({"Admins"}), grants=Budget(floor=1, share=0.0))
    policy = ProvisioningPolicy(budget=5.0, guard=guard)
    start = datetime.now(UTC) + timedelta(0)
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, groups=True, clock=lambda: start) as bridge:
        ids = await people(bridge, "a@x.example", "b@x.example", "c@x.example")
        admins = await bridge.group_with("Admins", ids[0])

        with pytest.raises(PendingError):
            await bridge.provisioning.modify_group(admins, None, [MemberDelta("add", tuple(ids[1:]))], always)
        assert (await bridge.row("Group", admins)).state is State.HELD
        assert len(remote.members) == 1

        await bridge.store.write(lambda tx: bridge.provisioning.guard.approve(tx, None))
        await bridge.settle()
        assert len(remote.members) == 3
