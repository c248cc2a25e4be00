"""Where members are on the group: who is in it by hand is seen, and long lists come to their end."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from scim_bridge.errors import PendingError, RemoteUnavailableError
from scim_bridge.models import Kind
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.provisioning.drift import DriftClass
from scim_bridge.store import memberships, resources
from scim_bridge.store.rows import MemberDelta, Ownership, State
from scim_bridge.store.transaction import Transaction
from scim_bridge.testing.memory import MemoryGroupsConnector, MemoryRostersConnector
from scim_bridge.testing.memory_remote import Call, Fault, MemoryRemote
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting, user
from tests.unit.provisioning.test_reconcile import classes, compared


@pytest.fixture(
    params=[MemoryGroupsConnector, MemoryRostersConnector], ids=["accounts-tell", "groups-list"], autouse=True
)
def _connector(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let accounts tell their groups, or groups list their members."""
    monkeypatch.setattr("tests.unit.provisioning.conftest.MemoryGroupsConnector", request.param)


def team_of(size: int) -> tuple[MemoryRemote, str]:
    """Return a remote system with a team that people are in before the bridge is."""
    remote = MemoryRemote()
    team = remote.add_group("Team")
    remote.members |= {(team, remote.add_account(f"p{number:03}@x.example")) for number in range(size)}
    return remote, team


async def found(bridge: Bridge, kind: Kind, name: str) -> str:
    """Return the id of a live User or Group."""

    def look(tx: Transaction) -> str:
        row = resources.find_by_name(tx, CONNECTION, kind, name)
        assert row is not None
        return row.id

    return await bridge.store.read(look)


async def shown(bridge: Bridge, group: str) -> int:
    """Return how many members a read shows."""
    return len(await bridge.store.read(lambda tx: memberships.members_of(tx, CONNECTION, group)))


async def test_who_was_in_a_team_before_is_shown_and_can_be_removed(tmp_path: Path) -> None:
    """A first comparison takes the members over; one who is named leaves; the others are nobody's and stay."""
    remote, team = team_of(150)
    async with bridge_on(tmp_path / "b.db", remote, groups=True) as bridge:
        await compared(bridge)
        group = await bridge.group_with("Team")
        assert await shown(bridge, group) == 150

        person = await found(bridge, "User", "p007@x.example")
        await bridge.provisioning.modify_group(group, None, [MemberDelta("remove", (person,))], always)
        assert len(remote.members_of(team)) == 149
        assert await shown(bridge, group) == 149
        assert not (await compared(bridge)).drifts

        await bridge.provisioning.modify_group(group, None, [MemberDelta("replace", ())], always)
        assert len(remote.members_of(team)) == 149


async def test_an_empty_list_removes_everybody_where_the_operator_says_so(tmp_path: Path) -> None:
    """``unmanaged_members = "remove"``: ``PUT members: []`` empties a team that was there before."""
    remote, team = team_of(150)
    policy = ProvisioningPolicy(budget=5.0, unmanaged_members="remove")
    async with bridge_on(tmp_path / "b.db", remote, groups=True, policy=policy) as bridge:
        await compared(bridge)
        group = await bridge.group_with("Team")
        await bridge.provisioning.modify_group(group, None, [MemberDelta("replace", ())], always)
        await bridge.idle()

        assert not remote.members_of(team)
        assert await shown(bridge, group) == 0


async def test_who_was_let_in_by_hand_and_never_seen_leaves_when_named(tmp_path: Path) -> None:
    """A removal of somebody of whom no comparison has told is sent, and waited for, instead of claimed."""
    remote, team = team_of(1)
    async with bridge_on(tmp_path / "b.db", remote, groups=True) as bridge:
        remote.members.clear()
        await compared(bridge)
        group = await bridge.group_with("Team")
        person = await found(bridge, "User", "p000@x.example")
        remote.members = {(team, one) for one in remote.accounts}
        await bridge.provisioning.modify_group(group, None, [MemberDelta("remove", (person,))], always)

        assert not remote.members
        assert await shown(bridge, group) == 0


async def test_a_membership_made_by_hand_is_drift(tmp_path: Path) -> None:
    """A managed person is put into a managed group by hand, another is taken out: both are told and mended."""
    remote, team = team_of(2)
    async with bridge_on(tmp_path / "b.db", remote, groups=True) as bridge:
        await compared(bridge)
        people = [await found(bridge, "User", f"p00{number}@x.example") for number in range(2)]
        for number, person in enumerate(people):
            await bridge.provisioning.modify_user(person, setting(external_id=str(number)), always)
        group = await bridge.group_with("Team", people[0])
        await bridge.provisioning.modify_group(group, None, [MemberDelta("replace", (people[0],))], always)
        accounts = list(remote.accounts)
        assert remote.members_of(team) == {accounts[0]}
        remote.members = {(team, accounts[1])}

        comparison = await compared(bridge)

        assert classes(comparison) == {DriftClass.EXTRA_PRIVILEGE, DriftClass.MISSING}
        assert remote.members_of(team) == {accounts[0]}
        assert not (await compared(bridge)).drifts


async def test_a_group_that_no_client_manages_keeps_and_shows_who_is_in_it(tmp_path: Path) -> None:
    """A managed person is in an unmanaged team by hand: that is shown, is no drift, and is followed when it ends."""
    remote, team = team_of(1)
    async with bridge_on(tmp_path / "b.db", remote, groups=True) as bridge:
        await compared(bridge)
        person = await found(bridge, "User", "p000@x.example")
        await bridge.provisioning.modify_user(person, setting(external_id="1"), always)
        group = await found(bridge, "Group", "Team")
        assert not (await compared(bridge)).drifts

        assert remote.members_of(team) == set(remote.accounts)
        assert await shown(bridge, group) == 1


@pytest.mark.parametrize("limit", [1, 40])
async def test_more_members_than_one_deadline_allows_leave_in_portions(tmp_path: Path, limit: int) -> None:
    """Calls that take too long are followed by smaller ones, and what was done is not begun anew."""
    remote, team = team_of(150)
    sizes: list[int] = []

    def intercept(call: Call) -> Fault | None:
        members = call.arguments.get("members", ())
        sizes.extend([len(members)] if members else [])
        late = RemoteUnavailableError("the remote system did not answer in time", ambiguous=True)
        return Fault(late) if len(members) > limit else None

    policy = ProvisioningPolicy(budget=5.0, unmanaged_members="remove")
    async with bridge_on(tmp_path / "b.db", remote, groups=True, policy=policy) as bridge:
        await compared(bridge)
        group = await bridge.group_with("Team")
        remote.intercept = intercept
        bridge.answer_within(0.0)
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_group(group, None, [MemberDelta("replace", ())], always)
        await settled(bridge, group)

        assert not remote.members_of(team)
        assert max(sizes) == 150
        assert sum(size for size in sizes if size <= limit) == 150


async def hastened(bridge: Bridge, group: str) -> bool:
    """Have a group that was postponed tried at once, and tell whether it is settled."""

    def hasten(tx: Transaction) -> bool:
        row = resources.get(tx, CONNECTION, "Group", group, lock=True, deleted=True)
        if row is None:
            return True
        if row.not_before is not None:
            resources.save(tx, replace(row, not_before=None))
        return row.state is State.SETTLED

    bridge.provisioning.driver.wake()
    await bridge.turn()
    return await bridge.store.write(hasten)


async def settled(bridge: Bridge, group: str) -> None:
    """Work until a group is settled."""
    while not await hastened(bridge, group):
        pass


async def test_a_member_who_fails_each_time_holds_up_nobody_else(tmp_path: Path) -> None:
    """The remote system always fails about one of many: all others leave, and the one is tried until it works."""
    remote, team = team_of(20)
    stuck = sorted(remote.accounts)[3]
    failing = True

    def intercept(call: Call) -> Fault | None:
        if failing and stuck in call.arguments.get("members", ()):
            return Fault(RemoteUnavailableError("the remote system failed", ambiguous=True))
        return None

    policy = ProvisioningPolicy(budget=5.0, unmanaged_members="remove")
    async with bridge_on(tmp_path / "b.db", remote, groups=True, policy=policy) as bridge:
        await compared(bridge)
        group = await bridge.group_with("Team")
        remote.intercept = intercept
        bridge.answer_within(0.0)
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_group(group, None, [MemberDelta("replace", ())], always)
        while await shown(bridge, group) > 1:
            await hastened(bridge, group)
        assert remote.members_of(team) == {stuck}
        failing = False
        await settled(bridge, group)

        assert not remote.members_of(team)


def lists_members(bridge: Bridge) -> bool:
    """Whether groups list their members; else what accounts tell is known from comparisons alone."""
    return "list_group_members" in bridge.provisioning.connector.operations


@pytest.mark.parametrize("known", [True, False], ids=["an account that is known", "an account made since"])
async def test_whoever_was_let_in_by_hand_keeps_a_group_that_its_client_deletes(tmp_path: Path, known: bool) -> None:
    """Nobody has compared since: the client's member loses it; the other one, and the group with them, stays."""
    remote = MemoryRemote()
    async with bridge_on(tmp_path / "b.db", remote, groups=True) as bridge:
        other = remote.add_account("other@x.example") if known else ""
        await compared(bridge)
        mine = (await bridge.provisioning.create_user(user("mine@x.example"))).row.id
        group = await bridge.group_with("Team", mine)
        (team,) = remote.groups
        other = other or remote.add_account("other@x.example")
        remote.members.add((team, other))
        await bridge.provisioning.delete_group(group, always)

        if not lists_members(bridge):
            assert not remote.groups
            return
        assert remote.members_of(team) == {other}
        assert remote.called("delete_group") == 0
        await compared(bridge)
        heir = await found(bridge, "Group", "Team")
        assert heir != group
        assert (await bridge.row("Group", heir)).ownership is Ownership.DISCOVERED
        assert await shown(bridge, heir) == 1


async def test_a_managed_person_let_in_by_hand_does_not_keep_a_deleted_group(tmp_path: Path) -> None:
    """They leave with all others: the group goes."""
    remote = MemoryRemote()
    async with bridge_on(tmp_path / "b.db", remote, groups=True) as bridge:
        mine = (await bridge.provisioning.create_user(user("mine@x.example"))).row.id
        group = await bridge.group_with("Team")
        (team,) = remote.groups
        remote.members.add((team, str((await bridge.row("User", mine)).remote_id)))
        await bridge.provisioning.delete_group(group, always)

        assert not remote.groups
        assert not remote.members


@pytest.mark.parametrize("write", ["PUT", "DELETE"])
@pytest.mark.parametrize("lost", [False, True], ids=["at once", "again, after a lost answer"])
async def test_nobody_who_loses_a_group_waits_for_a_look_at_who_is_in_it(
    tmp_path: Path, write: str, lost: bool
) -> None:
    """The remote system cannot be read: the members are out all the same. What is to be seen first is told later."""
    remote = MemoryRemote()

    def unreadable(call: Call) -> Fault | None:
        reads = call.hook in {"get_group", "list_group_members", "get_user", "find_user", "list_users", "list_groups"}
        return Fault(RemoteUnavailableError("down", ambiguous=False, retry_after=60.0)) if reads else None

    async with bridge_on(tmp_path / "b.db", remote, groups=True) as bridge:
        mine = (await bridge.provisioning.create_user(user("mine@x.example"))).row.id
        group = await bridge.group_with("Team", mine)
        remote.intercept = unreadable
        if lost:
            remote.fail("remove_group_members", RemoteUnavailableError("no answer", ambiguous=True, retry_after=0.05))
        waits = lost or (write == "DELETE" and lists_members(bridge))
        with pytest.raises(PendingError) if waits else nullcontext():
            if write == "PUT":
                await bridge.provisioning.modify_group(group, None, [MemberDelta("replace", ())], always)
            else:
                await bridge.provisioning.delete_group(group, always)

        assert not remote.members
        assert await shown(bridge, group) == 0
        remote.intercept = None
        await settled(bridge, group)
        assert bool(remote.groups) == (write == "PUT")


async def test_what_was_in_doubt_before_a_removal_is_looked_at_after_it(tmp_path: Path) -> None:
    """A rename took effect unseen and is taken back, with a removal: the member is out first, then the name is back."""
    remote = MemoryRemote()
    async with bridge_on(tmp_path / "b.db", remote, groups=True) as bridge:
        mine = (await bridge.provisioning.create_user(user("mine@x.example"))).row.id
        group = await bridge.group_with("Team", mine)
        lost = RemoteUnavailableError("no answer", ambiguous=True, retry_after=60.0)
        remote.fail("update_group", lost, after_effect=True)
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_group(group, setting(display_name="Crew"), [], always)
        before = len(remote.calls)
        back = setting(display_name="Team")
        await bridge.provisioning.modify_group(group, back, [MemberDelta("remove", (mine,))], always)

        hooks = [call.hook for call in remote.calls[before:]]
        assert hooks == ["remove_group_members", "get_group", "update_group"]
        assert not remote.members
        assert [one.display_name for one in remote.groups.values()] == ["Team"]
