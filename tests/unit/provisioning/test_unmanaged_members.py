"""Nobody who is not named loses anything: members whom no client manages, and groups that none has written."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from scim2_models import ForbiddenException, InvalidValueException

from scim_bridge.errors import PendingError
from scim_bridge.models import Group
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.provisioning.drift import DriftClass
from scim_bridge.provisioning.policy import Budget, GuardPolicy
from scim_bridge.store import audit, memberships, resources
from scim_bridge.store.rows import MemberDelta, Ownership, ResourceRow
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting, user
from tests.unit.provisioning.test_missing_accounts import remove_by_hand
from tests.unit.provisioning.test_reconcile import compared

MARY = "mary@x.example"
NEW = "new@x.example"

SHAPES = pytest.mark.parametrize("groups", [False, True], ids=["user-centric", "group-centric"])


def replaced(*ids: str) -> list[MemberDelta]:
    """Return the whole list of members, as PUT and PATCH replace give it."""
    return [MemberDelta("replace", ids)]


class Portal:
    """A bridge on a remote system in which Mary is in Sales by hand; the client has one new person."""

    def __init__(self, bridge: Bridge, mary: str, new: str) -> None:
        self.bridge = bridge
        self.mary = mary
        self.new = new

    async def named(self, kind: Any, name: str) -> ResourceRow:
        """Return a live User or Group by name."""
        row = await self.bridge.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, kind, name))
        assert row is not None
        return row

    async def taken_over(self) -> str:
        """Push Sales as clients do, without members; return its id."""
        return await self.bridge.group_with("Sales")

    async def write(self, group: str, deltas: Sequence[MemberDelta]) -> None:
        """Change members."""
        await self.bridge.provisioning.modify_group(group, None, deltas, always)

    def members(self) -> set[str]:
        """Return the userNames of those who are in Sales in the remote system."""
        remote = self.bridge.remote
        sales = next(remote_id for remote_id, group in remote.groups.items() if group.display_name == "Sales")
        return {str(remote.account(member).user.user_name) for member in remote.members_of(sales)}

    async def shown(self, group: str) -> set[str]:
        """Return the ids of the members that a read shows."""
        found = await self.bridge.store.read(lambda tx: memberships.members_of(tx, CONNECTION, group))
        return {one.id for one in found}

    async def told(self) -> list[tuple[Any, Any]]:
        """Return the ids of the groups, and of those who stayed in them, that the audit chain tells."""
        events = await self.bridge.store.read(lambda tx: [entry.event for entry in audit.export(tx, CONNECTION)])
        return [(event["id"], event["stayed"]) for event in events if "stayed" in event]


@asynccontextmanager
async def portal(path: Path, *, groups: bool, **policy: Any) -> AsyncIterator[Portal]:
    """Open a bridge whose first comparison has taken Mary and Sales over."""
    remote = MemoryRemote()
    sales, mary = remote.add_group("Sales"), remote.add_account(MARY)
    remote.members.add((sales, mary))
    settings = ProvisioningPolicy(budget=5.0, **policy)
    async with bridge_on(path / "b.db", remote, groups=groups, policy=settings) as bridge:
        await compared(bridge)
        new = (await bridge.provisioning.create_user(user(NEW))).row.id
        made = Portal(bridge, "", new)
        made.mary = (await made.named("User", MARY)).id
        yield made


@SHAPES
async def test_the_first_push_of_a_group_leaves_who_is_in_it_by_hand(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, groups: bool
) -> None:
    """POST, then the whole list: Mary, whom no client has written, stays, is shown, and is told in log and audit."""
    async with portal(tmp_path, groups=groups) as here:
        sales = await here.taken_over()
        with caplog.at_level(logging.INFO):
            await here.write(sales, replaced(here.new))

        assert here.members() == {MARY, NEW}
        assert await here.shown(sales) == {here.mary, here.new}
        assert (await here.named("User", MARY)).ownership is Ownership.DISCOVERED
        assert f"Group {sales}: 1 members whom no client manages stay in it" in caplog.text
        assert MARY not in caplog.text
        assert await here.told() == [(sales, [here.mary])]


@SHAPES
async def test_an_empty_list_empties_what_clients_manage(tmp_path: Path, groups: bool) -> None:
    """PUT without members, or PATCH remove members: whom the client put in leaves, Mary stays; again, it is calm."""
    async with portal(tmp_path, groups=groups) as here:
        sales = await here.taken_over()
        await here.write(sales, [MemberDelta("add", (here.new,))])
        await here.write(sales, replaced())
        calls = len(here.bridge.remote.calls)
        await here.write(sales, replaced())

        assert here.members() == {MARY}
        assert await here.shown(sales) == {here.mary}
        assert len(here.bridge.remote.calls) == calls


@SHAPES
async def test_whoever_is_named_in_a_removal_is_removed(tmp_path: Path, groups: bool) -> None:
    """Managed or not, a person whom the client names leaves; also beside a whole list in the same request."""
    async with portal(tmp_path, groups=groups) as here:
        sales = await here.taken_over()
        await here.write(sales, [MemberDelta("remove", (here.mary,)), *replaced(here.new)])

        assert here.members() == {NEW}
        assert await here.shown(sales) == {here.new}


@SHAPES
async def test_whom_the_client_itself_put_in_is_the_clients_to_leave_out(tmp_path: Path, groups: bool) -> None:
    """Once named as a member, by addition or in a whole list, Mary leaves when a later list is without her."""
    async with portal(tmp_path, groups=groups) as here:
        sales = await here.taken_over()
        await here.write(sales, replaced(here.new, here.mary))
        assert here.members() == {MARY, NEW}
        await compared(here.bridge)
        await here.write(sales, replaced(here.new))

        assert here.members() == {NEW}


@SHAPES
async def test_a_person_whom_a_client_manages_leaves_with_the_list(tmp_path: Path, groups: bool) -> None:
    """Mary is in Sales by hand, but the client has written her: a list without her is about her."""
    async with portal(tmp_path, groups=groups) as here:
        await here.bridge.provisioning.modify_user(here.mary, setting(external_id="1"), always)
        sales = await here.taken_over()
        await here.write(sales, replaced(here.new))

        assert here.members() == {NEW}


@SHAPES
async def test_what_was_taken_by_hand_is_not_given_back(tmp_path: Path, groups: bool) -> None:
    """Mary leaves Sales by hand: reads show it after a comparison, and a group that she gets does not undo it."""
    async with portal(tmp_path, groups=groups) as here:
        sales = await here.taken_over()
        before = await here.bridge.row("Group", sales)
        here.bridge.remote.members.clear()
        await compared(here.bridge)

        assert await here.shown(sales) == set()
        assert (await here.bridge.row("Group", sales)).version > before.version
        await here.bridge.group_with("Marketing", here.mary)
        assert here.members() == set()
        assert await here.bridge.groups_of(here.mary) == {"Marketing": (True, True)}


@SHAPES
@pytest.mark.parametrize("when", ["before anybody looked", "adopted, before anybody looked", "adopted, and compared"])
async def test_who_was_removed_by_hand_and_is_written_has_nothing_of_before(
    tmp_path: Path, groups: bool, when: str
) -> None:
    """Mary, in Sales by hand, is removed by hand: a client that wants her gets an account that is in no group."""
    async with portal(tmp_path, groups=groups) as here:
        sales = (await here.named("Group", "Sales")).id
        change = setting(display_name="Mary")
        if when.startswith("adopted"):
            await here.bridge.provisioning.modify_user(here.mary, change, always)
        remove_by_hand(here.bridge.remote, MARY)
        if when.endswith("compared"):
            await compared(here.bridge)
        await here.bridge.provisioning.modify_user(here.mary, setting(active=True, title="CFO"), always)
        await here.bridge.idle()

        assert here.bridge.remote.find(MARY) is not None
        assert here.members() == set()
        assert await here.shown(sales) == set()


@SHAPES
async def test_a_look_that_shows_what_was_taken_by_hand_does_not_give_it_back(tmp_path: Path, groups: bool) -> None:
    """Mary, whom a client manages by now, leaves Sales by hand, and the answer to the next write is lost."""
    async with portal(tmp_path, groups=groups) as here:
        await here.bridge.provisioning.modify_user(here.mary, setting(display_name="Mary"), always)
        here.bridge.remote.members.clear()
        here.bridge.remote.lose_answer("update_user")
        await here.bridge.provisioning.modify_user(here.mary, setting(display_name="Mary M."), always)
        await here.bridge.idle()

        assert here.members() == set()
        assert await here.shown((await here.named("Group", "Sales")).id) == set()


@SHAPES
async def test_the_operator_may_have_unmanaged_members_removed(tmp_path: Path, groups: bool) -> None:
    """``unmanaged_members = "remove"``: the list is the whole truth."""
    async with portal(tmp_path, groups=groups, unmanaged_members="remove") as here:
        sales = await here.taken_over()
        await here.write(sales, replaced(here.new))

        assert here.members() == {NEW}


@SHAPES
async def test_a_list_of_which_nobody_is_known_changes_nothing(tmp_path: Path, groups: bool) -> None:
    """Ids of a database that is no more are refused, instead of being taken for an empty list."""
    async with portal(tmp_path, groups=groups) as here:
        sales = await here.taken_over()
        await here.write(sales, [MemberDelta("add", (here.new,))])
        before = await here.bridge.row("Group", sales)
        calls = len(here.bridge.remote.calls)
        with pytest.raises(InvalidValueException):
            await here.bridge.provisioning.modify_group(
                sales, setting(display_name="Vendas"), replaced("stale-1", "stale-2"), always
            )

        assert await here.bridge.row("Group", sales) == before
        assert here.members() == {MARY, NEW}
        assert len(here.bridge.remote.calls) == calls

        await here.write(sales, replaced("stale-1", here.new))
        assert here.members() == {MARY, NEW}


@SHAPES
async def test_a_group_that_no_client_has_written_is_not_deleted(tmp_path: Path, groups: bool) -> None:
    """A client that mirrors its own list deletes what it does not know: 403, and nothing is changed."""
    async with portal(tmp_path, groups=groups) as here:
        before = await here.named("Group", "Sales")
        with pytest.raises(ForbiddenException):
            await here.bridge.provisioning.delete_group(before.id, always)

        assert await here.named("Group", "Sales") == before
        assert here.members() == {MARY}
        assert not [call for call in here.bridge.remote.effects if call.hook != "create_user"]


@SHAPES
async def test_a_deleted_group_is_left_to_whom_no_client_manages(tmp_path: Path, groups: bool) -> None:
    """Whom the client put in leaves; Mary stays, and the group with her: nobody's, under a new id."""
    async with portal(tmp_path, groups=groups) as here:
        sales = await here.taken_over()
        await here.write(sales, [MemberDelta("add", (here.new,))])
        await here.bridge.provisioning.delete_group(sales, always)
        await here.bridge.idle()

        assert here.members() == {MARY}
        left = await here.named("Group", "Sales")
        assert (left.id != sales, left.ownership) == (True, Ownership.DISCOVERED)
        assert await here.shown(left.id) == {here.mary}
        assert await here.bridge.store.read(lambda tx: resources.get(tx, CONNECTION, "Group", sales)) is None
        assert not (await compared(here.bridge)).drifts

        again = await here.bridge.group_with("Sales", here.new)
        assert again == left.id
        assert here.members() == {MARY, NEW}


@SHAPES
async def test_a_group_is_deleted_with_everybody_where_the_operator_says_so(tmp_path: Path, groups: bool) -> None:
    """``unmanaged_members = "remove"`` with ``delete_unowned = "delete"``: as clients see it."""
    async with portal(tmp_path, groups=groups, unmanaged_members="remove", delete_unowned="delete") as here:
        await here.bridge.provisioning.delete_group((await here.named("Group", "Sales")).id, always)
        await here.bridge.idle()

        assert not here.bridge.remote.members
        assert not here.bridge.remote.groups


async def test_a_group_pushed_again_before_everybody_has_left_takes_over_who_stays(tmp_path: Path) -> None:
    """The deletion is still on its way when the client pushes the group anew: Mary is in the new one."""
    async with portal(tmp_path, groups=False) as here:
        sales = await here.taken_over()
        await here.write(sales, [MemberDelta("add", (here.new,))])
        gate = here.bridge.remote.hold("set_user_groups")
        here.bridge.answer_within(0.1)
        with pytest.raises(Exception, match="pending"):
            await here.bridge.provisioning.delete_group(sales, always)
        gate.release()
        here.bridge.answer_within()
        group = Group.model_validate({"displayName": "Sales", "members": [{"value": here.new}]})
        again = (await here.bridge.provisioning.create_group(group)).row.id
        await here.bridge.idle()
        await compared(here.bridge)

        assert here.members() == {MARY, NEW}
        assert await here.shown(again) == {here.mary, here.new}


async def test_a_guarded_group_stays_guarded_when_it_is_left_to_somebody(tmp_path: Path) -> None:
    """Renamed, deleted, left to Mary and pushed under its harmless name: grants of it are counted as before."""
    guard = GuardPolicy(privileged=frozenset({"Sales"}), grants=Budget(floor=0, share=0.0))
    async with portal(tmp_path, groups=False, guard=guard) as here:
        sales = await here.taken_over()
        await here.bridge.provisioning.modify_group(sales, setting(display_name="Harmless"), [], always)
        await here.bridge.provisioning.delete_group(sales, always)
        await here.bridge.idle()
        with pytest.raises(PendingError, match="operator"):
            await here.bridge.group_with("Harmless", here.new)

        assert {remote_id for _, remote_id in here.bridge.remote.members} == {
            (await here.named("User", MARY)).remote_id
        }


@pytest.mark.parametrize("managed", [False, True], ids=["unmanaged", "managed"])
async def test_whoever_is_named_is_removed_also_when_it_was_not_known_that_they_are_in_it(
    tmp_path: Path, *, managed: bool
) -> None:
    """Given Service by hand a moment ago: a removal looks before it is answered, and takes that group only."""
    async with portal(tmp_path, groups=False) as here:
        remote = here.bridge.remote
        if managed:
            await here.bridge.provisioning.modify_user(here.mary, setting(external_id="1"), always)
        service = await here.bridge.group_with("Service")
        group = next(remote_id for remote_id, one in remote.groups.items() if one.display_name == "Service")
        mary = str((await here.named("User", MARY)).remote_id)
        remote.members.add((group, mary))
        await here.write(service, [MemberDelta("remove", (here.mary,))])

        assert (group, mary) not in remote.members
        assert here.members() == {MARY}
        calls = len(remote.calls)
        await here.write(service, [MemberDelta("remove", (here.mary,))])
        assert [call.hook for call in remote.calls[calls:]] == ["get_user"]
        assert await here.shown(service) == set()


async def test_what_was_given_by_hand_since_is_not_lost_with_a_complete_set(tmp_path: Path) -> None:
    """The client puts Mary into Service; what somebody gave her after the last comparison stays as well."""
    async with portal(tmp_path, groups=False) as here:
        remote = here.bridge.remote
        by_hand = remote.add_group("Marketing")
        await compared(here.bridge)
        remote.members.add((by_hand, str((await here.named("User", MARY)).remote_id)))
        await here.bridge.group_with("Service", here.mary)

        assert {remote.groups[group].display_name for group, _ in remote.members} == {"Sales", "Marketing", "Service"}
        assert set(await here.bridge.groups_of(here.mary)) == {"Sales", "Marketing", "Service"}


@pytest.mark.parametrize("named", [False, True], ids=["unnamed", "named"])
async def test_only_what_a_client_asked_for_is_given_back(tmp_path: Path, *, named: bool) -> None:
    """Mary is adopted with the group she has by hand, and loses it by hand: a comparison gives back what was named."""
    async with portal(tmp_path, groups=False) as here:
        await here.bridge.provisioning.create_user(user(MARY))
        sales = await here.taken_over()
        if named:
            await here.write(sales, [MemberDelta("add", (here.mary,))])
        before, calls = await here.named("User", MARY), len(here.bridge.remote.effects)
        here.bridge.remote.members.clear()

        planned = await compared(here.bridge, apply=False)
        assert await here.shown(sales) == {here.mary}
        found = await compared(here.bridge)

        assert [(one.drift, len(one.subject)) for one in planned.drifts] == [(DriftClass.MISSING, 1)]
        assert [(one.drift, one.repaired) for one in found.drifts] == [(DriftClass.MISSING, named)]
        assert here.members() == ({MARY} if named else set())
        assert await here.shown(sales) == ({here.mary} if named else set())
        assert bool(here.bridge.remote.effects[calls:]) is named
        assert (await here.named("User", MARY)).version > before.version or named
        assert (await compared(here.bridge)).drifts == []


@SHAPES
async def test_whom_a_client_takes_over_is_looked_at(tmp_path: Path, groups: bool) -> None:
    """Mary was deactivated by hand since she was listed: a creation that finds her is not answered by what was."""
    async with portal(tmp_path, groups=groups) as here:
        account = here.bridge.remote.find(MARY)
        assert account is not None
        account.active = False

        created = await here.bridge.provisioning.create_user(user(MARY))

        assert created.row.id == here.mary
        assert created.row.shown_active
        assert account.active
