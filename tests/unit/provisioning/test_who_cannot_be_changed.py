"""One person who cannot be changed holds up nobody else, is named, and is shown as what the remote system holds."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.errors import RefusedError, RemoteForbiddenError
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.provisioning.recorder import REMOVAL_RETRY
from scim_bridge.store import audit, memberships
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.testing.memory_remote import Call, Fault, MemoryRemote
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting
from tests.unit.provisioning.test_deletions import Clock
from tests.unit.provisioning.test_groups import people, remote_groups

STUCK, FREE, NEXT = "stuck@x.example", "free@x.example", "next@x.example"
REASON = "this person has several permission sets"


class Stuck:
    """Refuses every change of one account's groups until it is mended."""

    def __init__(self, remote: MemoryRemote, name: str = STUCK) -> None:
        self.remote = remote
        self.mended = False
        account = remote.find(name)
        assert account is not None
        self.remote_id = account.remote_id
        remote.intercept = self

    def __call__(self, call: Call) -> Fault | None:
        """Fail the calls that would change the account's groups."""
        concerned = call.hook == "set_user_groups" and call.remote_id == self.remote_id
        concerned |= call.hook == "remove_group_members" and self.remote_id in call.arguments["members"]
        return Fault(RemoteForbiddenError(REASON)) if concerned and not self.mended else None


async def shown(bridge: Bridge, group: str) -> set[str]:
    """Return the userNames of the members that a read shows."""
    found = await bridge.store.read(lambda tx: memberships.members_of(tx, CONNECTION, group))
    return {one.name for one in found}


async def delete_refused(bridge: Bridge, group: str) -> str:
    """Delete a group, and return what the refusal says."""
    with pytest.raises(RefusedError) as refused:
        await bridge.provisioning.delete_group(group, always)
    return refused.value.detail


async def test_a_group_is_deleted_as_far_as_it_goes_and_shown_as_it_is(bridge: Bridge) -> None:
    """403 names who and why; who could leave has left; the group is shown with who could not."""
    stuck, free = await people(bridge, STUCK, FREE)
    sales = await bridge.group_with("Sales", stuck, free)
    portal = Stuck(bridge.remote)
    for _ in range(2):
        assert await delete_refused(bridge, sales) == f"{STUCK}: {REASON}"
        assert remote_groups(bridge.remote, FREE) == set()
        assert await shown(bridge, sales) == {STUCK}
        assert not (await bridge.row("Group", sales)).deleted
    person = await bridge.row("User", stuck)
    assert person.state is State.PENDING
    assert person.not_before is not None
    assert person.not_before - bridge.provisioning.clock() <= timedelta(minutes=1)

    portal.mended = True
    await bridge.provisioning.delete_group(sales, always)
    assert remote_groups(bridge.remote, STUCK) == set()
    assert not bridge.remote.groups


async def test_a_group_pushed_again_is_for_everybody_but_who_cannot_be_changed(bridge: Bridge) -> None:
    """After the refused deletion the client pushes the group with somebody else, who gets it at once."""
    stuck, new = await people(bridge, STUCK, NEXT)
    sales = await bridge.group_with("Sales", stuck)
    portal = Stuck(bridge.remote)
    await delete_refused(bridge, sales)

    again = await bridge.group_with("Sales", new)

    assert remote_groups(bridge.remote, NEXT) == {"Sales"}
    assert await shown(bridge, again) == {STUCK, NEXT}
    assert await bridge.groups_of(stuck) == {"Sales": (False, True)}
    portal.mended = True
    await bridge.provisioning.modify_group(again, None, [MemberDelta("replace", (new,))], always)
    assert await shown(bridge, again) == {NEXT}
    assert remote_groups(bridge.remote, STUCK) == set()


async def test_a_group_pushed_again_while_its_deletion_is_on_its_way_takes_its_place(bridge: Bridge) -> None:
    """The client does not wait for its deletion: one group of the remote system, one Group, and nobody waits."""
    stuck, new = await people(bridge, STUCK, NEXT)
    sales = await bridge.group_with("Sales", stuck, new)
    Stuck(bridge.remote)
    gate = bridge.remote.hold("set_user_groups")
    bridge.answer_within(0.05)
    with pytest.raises(Exception, match="pending"):
        await bridge.provisioning.delete_group(sales, always)
    with pytest.raises(Exception, match="pending"):
        await bridge.group_with("Sales", new)
    gate.release()
    bridge.answer_within()
    again = await bridge.group_with("Sales", new)

    assert again != sales
    assert remote_groups(bridge.remote, NEXT) == {"Sales"}
    assert await shown(bridge, again) == {STUCK, NEXT}
    assert len(bridge.remote.groups) == 1


@pytest.mark.parametrize("form", ["PUT", "PATCH"])
async def test_a_mended_cause_is_noticed_within_a_minute(tmp_path: Path, remote: MemoryRemote, form: str) -> None:
    """A refused removal is tried again after a minute, not each second; then the person is settled."""
    clock = Clock()
    policy = ProvisioningPolicy(budget=5.0)
    async with bridge_on(tmp_path / "b.db", remote, policy=policy, clock=clock) as bridge:
        stuck, free = await people(bridge, STUCK, FREE)
        sales = await bridge.group_with("Sales", stuck, free)
        portal = Stuck(remote)
        deltas = [MemberDelta("replace", (free,)) if form == "PUT" else MemberDelta("remove", (stuck,))]
        with pytest.raises(RefusedError, match=f"{STUCK}: {REASON}"):
            await bridge.provisioning.modify_group(sales, None, deltas, always)
        calls = remote.called("set_user_groups")
        portal.mended = True
        bridge.provisioning.driver.wake()
        await bridge.provisioning.driver.idle()
        assert remote.called("set_user_groups") == calls

        clock.time += REMOVAL_RETRY
        await bridge.idle()

        assert remote_groups(remote, STUCK) == set()
        assert await shown(bridge, sales) == {FREE}


async def test_the_same_refusal_is_told_once_an_hour(
    tmp_path: Path, remote: MemoryRemote, caplog: pytest.LogCaptureFixture
) -> None:
    """What is tried each minute fills neither the log nor the audit chain."""
    clock = Clock()
    async with bridge_on(tmp_path / "b.db", remote, clock=clock) as bridge:
        (stuck,) = await people(bridge, STUCK)
        sales = await bridge.group_with("Sales", stuck)
        Stuck(remote)
        with caplog.at_level(logging.ERROR), pytest.raises(RefusedError):
            await bridge.provisioning.modify_group(sales, None, [MemberDelta("replace", ())], always)
        for _ in range(61):
            clock.time += REMOVAL_RETRY
            bridge.provisioning.driver.wake()
            await bridge.provisioning.driver.idle()

        assert remote.called("set_user_groups") == 1 + 1 + 61
        events = await bridge.store.read(lambda tx: [entry.event for entry in audit.export(tx, CONNECTION)])
        assert sum(event.get("outcome") == "refused" for event in events) == 2
        assert caplog.text.count("was refused") == 2


async def test_all_who_cannot_be_changed_are_named(bridge: Bridge) -> None:
    """One answer tells of everybody whom an operator has to look at, each with the reason."""
    names = [f"p{number}@x.example" for number in range(12)]
    sales = await bridge.group_with("Sales", *await people(bridge, *names))

    def refuse(call: Call) -> Fault | None:
        return Fault(RemoteForbiddenError(REASON)) if call.hook == "set_user_groups" else None

    bridge.remote.intercept = refuse
    detail = await delete_refused(bridge, sales)

    assert detail.count(REASON) == 10
    assert detail.endswith("; and 2 more")


async def test_a_deletion_that_the_remote_system_refuses_leaves_the_group_shown(grouped: Bridge) -> None:
    """Members on the group: as long as it cannot be left it is there; a repeat is refused again, and later done."""
    (stuck,) = await people(grouped, STUCK)
    sales = await grouped.group_with("Sales", stuck)
    portal = Stuck(grouped.remote)
    for _ in range(2):
        assert await delete_refused(grouped, sales) == f"{STUCK}: {REASON}"
        assert not (await grouped.row("Group", sales)).deleted
        assert await shown(grouped, sales) == {STUCK}
    portal.mended = True
    await grouped.provisioning.delete_group(sales, always)

    assert not grouped.remote.groups


async def test_a_group_that_may_not_be_deleted_is_shown(either_shape: Bridge) -> None:
    """The remote system refuses the deletion itself: everybody has left, the group is there, and a repeat is tried."""
    bridge = either_shape
    (free,) = await people(bridge, FREE)
    sales = await bridge.group_with("Sales", free)
    bridge.remote.fail("delete_group", RemoteForbiddenError("in use"))

    assert await delete_refused(bridge, sales) == "in use"
    row = await bridge.row("Group", sales)
    assert (row.deleted, row.state, row.shown_active == row.active) == (False, State.BLOCKED, True)
    assert await shown(bridge, sales) == set()

    await bridge.provisioning.delete_group(sales, always)
    assert not bridge.remote.groups


@pytest.fixture(params=["user-centric", "group-centric"])
def either_shape(request: pytest.FixtureRequest) -> Any:
    """A connection of each shape of membership."""
    return request.getfixturevalue("bridge" if request.param == "user-centric" else "grouped")


@pytest.mark.parametrize("form", ["remove", "replace"])
async def test_an_inactive_member_who_is_removed_is_gone_at_once(either_shape: Bridge, form: str) -> None:
    """Where the account stays, inactive: group and person show it no more, and reactivation does not grant it."""
    bridge = either_shape
    (ada,) = await people(bridge, "ada@x.example")
    sales = await bridge.group_with("Sales", ada)
    await bridge.provisioning.modify_user(ada, setting(active=False), always)
    assert await shown(bridge, sales) == {"ada@x.example"}

    deltas = [MemberDelta("remove", (ada,)) if form == "remove" else MemberDelta("replace", ())]
    await bridge.provisioning.modify_group(sales, None, deltas, always)

    assert await shown(bridge, sales) == set()
    assert await bridge.groups_of(ada) == {}
    await bridge.provisioning.modify_user(ada, setting(active=True), always)
    await bridge.idle()
    assert remote_groups(bridge.remote, "ada@x.example") == set()
    assert await bridge.groups_of(ada) == {}


def refusing(remote: MemoryRemote, hook: str, *names: str) -> None:
    """Refuse every call of a hook that names one of these people, as a whole."""
    ids = {account.remote_id for account in remote.accounts.values() if account.user.user_name in names}

    def refuse(call: Call) -> Fault | None:
        concerned = call.hook == hook and ids.intersection(call.arguments["members"])
        return Fault(RemoteForbiddenError(REASON)) if concerned else None

    remote.intercept = refuse


async def emptied(bridge: Bridge, group: str, form: str) -> None:
    """Replace a group's members by nobody, or delete it."""
    if form == "PUT":
        await bridge.provisioning.modify_group(group, None, [MemberDelta("replace", ())], always)
    else:
        await bridge.provisioning.delete_group(group, always)


@pytest.mark.parametrize("form", ["PUT", "DELETE"])
async def test_members_that_are_removed_in_one_call_leave_but_for_who_cannot(grouped: Bridge, form: str) -> None:
    """The call for all of them is refused for two: the others leave, the two are named and shown, and leave later."""
    names = [f"p{number:02}@x.example" for number in range(20)]
    sales = await grouped.group_with("Sales", *await people(grouped, *names))
    stuck = {names[3], names[17]}
    refusing(grouped.remote, "remove_group_members", *stuck)
    for _ in range(2):
        with pytest.raises(RefusedError) as refused:
            await emptied(grouped, sales, form)
        assert all(name in refused.value.detail for name in stuck)
        assert refused.value.detail.endswith(f": {REASON}")
        assert await shown(grouped, sales) == stuck
        assert len(grouped.remote.members) == len(stuck)
    assert grouped.remote.called("remove_group_members") < 2 * len(names)

    grouped.remote.intercept = None
    await grouped.provisioning.delete_group(sales, always)
    assert not grouped.remote.members


async def test_members_that_are_added_in_one_call_join_but_for_who_cannot(grouped: Bridge) -> None:
    """The refused one is desired no more, and named; all others have it."""
    names = [f"p{number:02}@x.example" for number in range(20)]
    ids = await people(grouped, *names)
    sales = await grouped.group_with("Sales")
    refusing(grouped.remote, "add_group_members", names[7])
    with pytest.raises(RefusedError, match=f"^{names[7]}: {REASON}$"):
        await grouped.provisioning.modify_group(sales, None, [MemberDelta("add", tuple(ids))], always)
    await grouped.idle()

    assert await shown(grouped, sales) == set(names) - {names[7]}
    assert len(grouped.remote.members) == len(names) - 1
    assert await grouped.groups_of(ids[7]) == {}


async def test_a_client_that_writes_again_ends_what_is_tried_in_parts(grouped: Bridge) -> None:
    """Somebody who is put back while the others are being removed part by part stays."""
    names = [f"p{number:02}@x.example" for number in range(8)]
    ids = await people(grouped, *names)
    sales = await grouped.group_with("Sales", *ids)
    refusing(grouped.remote, "remove_group_members", names[0])
    gate = grouped.remote.hold("remove_group_members")
    removal = asyncio.create_task(grouped.provisioning.modify_group(sales, None, [MemberDelta("replace", ())], always))
    await gate.entered.wait()
    kept = asyncio.create_task(grouped.provisioning.modify_group(sales, None, [MemberDelta("add", tuple(ids))], always))
    while not all([await is_desired(grouped, one) for one in ids]):
        await grouped.turn()
    gate.release()
    await asyncio.gather(removal, kept, return_exceptions=True)
    await grouped.idle()

    assert await shown(grouped, sales) == set(names)
    assert len(grouped.remote.members) == len(names)


async def is_desired(bridge: Bridge, person: str) -> bool:
    """Whether a person is wanted in Sales."""
    return (await bridge.groups_of(person)).get("Sales", (False, False))[0]


async def test_who_cannot_leave_a_group_holds_up_nobody_who_joins_it(grouped: Bridge) -> None:
    """The removal is refused and named; in the same request another joins and the group has its new name."""
    stuck, new = await people(grouped, STUCK, NEXT)
    sales = await grouped.group_with("Sales", stuck)
    portal = Stuck(grouped.remote)
    deltas = [MemberDelta("replace", (new,))]
    with pytest.raises(RefusedError, match=f"{STUCK}: {REASON}"):
        await grouped.provisioning.modify_group(sales, setting(display_name="Vendas"), deltas, always)
    await grouped.provisioning.driver.idle()

    assert remote_groups(grouped.remote, NEXT) == {"Vendas"}
    assert await shown(grouped, sales) == {STUCK, NEXT}
    assert grouped.remote.called("remove_group_members") == 1
    row = await grouped.row("Group", sales)
    assert (row.state, row.not_before is not None) == (State.PENDING, True)

    portal.mended = True
    await grouped.provisioning.modify_group(sales, None, deltas, always)
    assert remote_groups(grouped.remote, STUCK) == set()
    assert (await grouped.row("Group", sales)).state is State.SETTLED


async def test_a_group_pushed_again_takes_over_who_is_to_leave_its_members(grouped: Bridge) -> None:
    """After a refused deletion the name is pushed again: the new member joins, the other leaves later."""
    stuck, new = await people(grouped, STUCK, NEXT)
    sales = await grouped.group_with("Sales", stuck)
    portal = Stuck(grouped.remote)
    await delete_refused(grouped, sales)
    assert await grouped.group_with("Sales", new) == sales
    assert remote_groups(grouped.remote, NEXT) == {"Sales"}
    assert await shown(grouped, sales) == {STUCK, NEXT}

    (later,) = await people(grouped, FREE)
    await grouped.provisioning.modify_group(sales, None, [MemberDelta("add", (later,))], always)
    assert remote_groups(grouped.remote, FREE) == {"Sales"}
    portal.mended = True
    await grouped.provisioning.modify_group(sales, None, [MemberDelta("remove", (stuck,))], always)
    assert remote_groups(grouped.remote, STUCK) == set()
