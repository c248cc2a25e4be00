"""Accounts that somebody removed, or deactivated, by hand: told as missing, made again only when that is asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from scim_bridge.errors import (
    PendingError,
    RefusedError,
    RemoteForbiddenError,
    RemoteInvalidValueError,
    RemoteUnavailableError,
)
from scim_bridge.models import Group, Name
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.provisioning.drift import DriftClass
from scim_bridge.provisioning.recorder import LOST_AGAIN
from scim_bridge.store import resources
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.testing.memory_remote import Fault, MemoryRemote
from tests.unit.provisioning.conftest import Bridge, always, bridge_on, setting, user
from tests.unit.provisioning.test_groups import people, remote_groups
from tests.unit.provisioning.test_open_outcomes import Clock
from tests.unit.provisioning.test_reconcile import classes, compared

ADA = "ada@x.example"


def remove_by_hand(remote: MemoryRemote, name: str = ADA) -> None:
    """Remove an account in the remote system, with what it held."""
    remote_id = next(key for key, account in remote.accounts.items() if account.user.user_name == name)
    del remote.accounts[remote_id]
    remote.members = {pair for pair in remote.members if pair[1] != remote_id}


def deactivate_by_hand(remote: MemoryRemote) -> None:
    """Deactivate the account of Ada in the remote system."""
    account = remote.find(ADA)
    assert account is not None
    account.active = False


async def _renamed(bridge: Bridge, ada: str, _: str) -> None:
    named = Name(given_name="Augusta", family_name="King")
    await bridge.provisioning.modify_user(ada, setting(name=named), always)


async def _left(bridge: Bridge, ada: str, group: str) -> None:
    await bridge.provisioning.modify_group(group, None, [MemberDelta("remove", (ada,))], always)


async def _emptied(bridge: Bridge, _: str, group: str) -> None:
    await bridge.provisioning.modify_group(group, None, [MemberDelta("replace", ())], always)


async def _group_deleted(bridge: Bridge, _: str, group: str) -> None:
    await bridge.provisioning.delete_group(group, always)


async def _joined(bridge: Bridge, ada: str, _: str) -> None:
    await bridge.group_with("Support", ada)


async def _group_pushed_again(bridge: Bridge, ada: str, group: str) -> None:
    def renamed(current: Group) -> Group:
        current.display_name = "Sales EMEA"
        return current

    await bridge.provisioning.modify_group(group, renamed, [MemberDelta("replace", (ada,))], always)


Write = Callable[[Bridge, str, str], Awaitable[None]]
WRITES = [_renamed, _left, _emptied, _group_deleted, _joined, _group_pushed_again]


@pytest.fixture(params=[False, True], ids=["groups on the person", "members on the group"])
def on_groups(request: pytest.FixtureRequest) -> bool:
    """Both shapes of membership."""
    return bool(request.param)


@pytest.mark.parametrize("known", [False, True], ids=["not noticed yet", "told by a comparison"])
@pytest.mark.parametrize("by_hand", [remove_by_hand, deactivate_by_hand], ids=["removed", "deactivated"])
@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__.strip("_"))
async def test_what_does_not_speak_of_the_account_does_not_bring_it_back(
    tmp_path: Path,
    remote: MemoryRemote,
    on_groups: bool,
    write: Write,
    by_hand: Callable[[MemoryRemote], None],
    known: bool,
) -> None:
    """Neither a removal, a name, a group nor a grant makes or lets in somebody whom somebody else put out."""
    clock = Clock()
    async with bridge_on(tmp_path / "b.db", remote, groups=on_groups, clock=clock) as bridge:
        (ada,) = await people(bridge, ADA)
        group = await bridge.group_with("Sales", ada)
        by_hand(remote)
        if known:
            assert classes(await compared(bridge)) == {DriftClass.MISSING}
        made = remote.called("create_user")

        await write(bridge, ada, group)
        clock.ahead = 2 * LOST_AGAIN
        await bridge.idle()
        told = await compared(bridge)

        account = remote.find(ADA)
        assert account is None or not account.active
        assert (remote.called("create_user"), remote.called("reactivate_user")) == (made, 0)
        assert [one.resource_id for one in told.missing_accounts] == [ada]
        row = await bridge.row("User", ada)
        assert row.missing
        assert (row.active, row.shown_active) == (True, False), "still wanted; and what is read is true"


@pytest.mark.parametrize("by_hand", [remove_by_hand, deactivate_by_hand], ids=["removed", "deactivated"])
async def test_a_client_that_says_active_again_gets_the_account_back(
    tmp_path: Path, remote: MemoryRemote, on_groups: bool, by_hand: Callable[[MemoryRemote], None]
) -> None:
    """``active: true`` written again speaks of the account, although nothing changes in what is desired."""
    async with bridge_on(tmp_path / "b.db", remote, groups=on_groups) as bridge:
        (ada,) = await people(bridge, ADA)
        await bridge.group_with("Sales", ada)
        by_hand(remote)
        await compared(bridge)

        await bridge.provisioning.modify_user(ada, setting(active=True), always)
        await bridge.idle()

        assert remote_groups(remote, ADA) == {"Sales"}
        account = remote.find(ADA)
        assert account is not None
        assert account.active
        row = await bridge.row("User", ada)
        assert (row.state, row.missing, row.may_make) == (State.SETTLED, False, False)


async def test_a_whole_user_with_active_makes_an_account_that_is_found_gone(
    bridge: Bridge, remote: MemoryRemote
) -> None:
    """A replacement that changes a name and says ``active: true`` is not answered 2xx without an account."""
    (ada,) = await people(bridge, ADA)
    remove_by_hand(remote)

    named = Name(given_name="Augusta", family_name="King")
    await bridge.provisioning.modify_user(ada, setting(name=named, active=True), always)

    assert remote.find(ADA) is not None


async def test_saying_active_while_a_call_is_under_way_makes_an_account_that_is_found_gone(
    bridge: Bridge, remote: MemoryRemote
) -> None:
    """It says nothing new as far as the bridge knows, and is not answered 2xx without an account (seed 1134)."""
    (ada,) = await people(bridge, ADA)
    gate = remote.hold("set_user_groups")
    joining = asyncio.create_task(bridge.group_with("Sales", ada))
    await gate.entered.wait()
    remove_by_hand(remote)
    asked = asyncio.create_task(bridge.provisioning.modify_user(ada, setting(active=True), always))
    for _ in range(3):  # by then it is accepted: writes are made one after the other
        await bridge.store.write(lambda tx: None)

    gate.opened.set()
    await joining
    outcome = await asked

    assert remote_groups(remote, ADA) == {"Sales"}
    assert (outcome.row.shown_active, outcome.row.state) == (True, State.SETTLED)


async def test_saying_active_to_somebody_who_is_there_gives_no_leave_for_later(
    bridge: Bridge, remote: MemoryRemote
) -> None:
    """What ``active: true`` asked for is true at once: it makes no account at another write, days later."""
    (ada,) = await people(bridge, ADA)
    group = await bridge.group_with("Sales", ada)
    await bridge.provisioning.modify_user(ada, setting(active=True), always)
    await bridge.provisioning.modify_user(ada, setting(active=True, external_id="e-1"), always)
    remove_by_hand(remote)

    await _left(bridge, ada, group)

    assert remote.find(ADA) is None


async def test_a_creation_makes_a_missing_account_again(bridge: Bridge, remote: MemoryRemote) -> None:
    """A client that creates somebody whose account is known to be missing gets it, under the same id."""
    (ada,) = await people(bridge, ADA)
    remove_by_hand(remote)
    await compared(bridge)

    outcome = await bridge.provisioning.create_user(user(ADA))

    assert outcome.row.id == ada
    assert remote.find(ADA) is not None


async def test_a_creation_that_went_unanswered_is_made_whatever_else_is_written(
    tmp_path: Path, remote: MemoryRemote
) -> None:
    """The account was asked for: a group, and a name, that come before it is made do not undo that."""
    async with bridge_on(tmp_path / "b.db", remote, policy=ProvisioningPolicy(budget=0.2)) as bridge:
        remote.fail("create_user", *[RemoteUnavailableError("down", retry_after=0.05)] * 8)
        with pytest.raises(PendingError):
            await bridge.provisioning.create_user(user(ADA))
        ada = next(iter(await _ids(bridge)))
        with pytest.raises(PendingError):
            await bridge.group_with("Sales", ada)
        await bridge.idle()

        assert remote_groups(remote, ADA) == {"Sales"}


async def _ids(bridge: Bridge) -> list[str]:
    rows = await bridge.store.read(lambda tx: resources.iterate(tx, "acme", "User", after=None, limit=10))
    return [row.id for row in rows]


async def test_who_is_let_in_again_by_hand_loses_what_a_client_takes(bridge: Bridge, remote: MemoryRemote) -> None:
    """An old "not there" is not believed when a group is taken away: the account is looked at first."""
    (ada,) = await people(bridge, ADA)
    group = await bridge.group_with("Sales", ada)
    deactivate_by_hand(remote)
    await compared(bridge)
    account = remote.find(ADA)
    assert account is not None
    account.active = True

    await _left(bridge, ada, group)

    assert remote_groups(remote, ADA) == set()
    assert not (await bridge.row("User", ada)).missing


async def test_who_is_there_again_by_hand_is_missing_no_longer(bridge: Bridge, remote: MemoryRemote) -> None:
    """A comparison notices it and hands what differs to the driver."""
    (ada,) = await people(bridge, ADA)
    await bridge.group_with("Sales", ada)
    remove_by_hand(remote)
    await compared(bridge)
    remote.add_account(ADA)

    await compared(bridge)

    assert remote_groups(remote, ADA) == {"Sales"}
    assert not (await bridge.row("User", ada)).missing
    assert not (await compared(bridge, apply=False)).drifts


async def test_a_user_name_that_can_only_be_changed_by_a_new_account_survives_a_cut(
    bridge: Bridge, remote: MemoryRemote
) -> None:
    """The call removed the account and was cut off: that it is not there is the bridge's own doing."""
    (ada,) = await people(bridge, ADA)

    def cut(call: object) -> Fault | None:
        if getattr(call, "hook", "") != "update_user":
            return None
        remote.intercept = None
        remote_id = str(getattr(call, "remote_id", ""))
        remote.accounts.pop(remote_id)
        return Fault(RemoteUnavailableError("cut off", ambiguous=True, retry_after=0.05))

    remote.intercept = cut
    await bridge.provisioning.modify_user(ada, setting(user_name="ada.king@x.example"), always)

    assert remote.find("ada.king@x.example") is not None


async def test_whose_return_was_refused_is_missing_and_not_put_out_when_let_in_by_hand(bridge: Bridge) -> None:
    """Deactivated by hand; a client's ``active: true`` is refused; let in by hand: nobody asked for their end."""
    provisioning, remote = bridge.provisioning, bridge.remote
    ada = (await provisioning.create_user(user())).row.id
    account = remote.find("ada@corp.example")
    assert account is not None
    account.active = False
    await compared(bridge)
    remote.fail("reactivate_user", RemoteForbiddenError("deactivated by hand"))
    with pytest.raises(RefusedError, match="by hand"):
        await provisioning.modify_user(ada, setting(active=True), always)
    row = await bridge.row("User", ada)
    assert (row.state, row.active, row.shown_active, row.missing) == (State.BLOCKED, True, False, True)

    account.active = True
    await compared(bridge)
    await bridge.settle()

    assert account.active
    assert remote.called("deactivate_user") == 0
    row = await bridge.row("User", ada)
    assert (row.active, row.shown_active, row.missing) == (True, True, False)


@pytest.mark.parametrize("by_hand", [remove_by_hand, deactivate_by_hand], ids=["removed", "deactivated"])
async def test_somebody_of_whom_something_was_refused_is_told_as_missing_too(
    bridge: Bridge, remote: MemoryRemote, by_hand: Callable[[MemoryRemote], None]
) -> None:
    """What was refused waits for its client; that the account is not there any more is read at once, and undone so."""
    (ada,) = await people(bridge, ADA)
    remote.fail("update_user", RemoteInvalidValueError("no such name"))
    with pytest.raises(RefusedError):
        await bridge.provisioning.modify_user(ada, setting(name=Name(family_name="King")), always)
    by_hand(remote)

    told = await compared(bridge)

    assert [one.resource_id for one in told.missing_accounts] == [ada]
    row = await bridge.row("User", ada)
    assert (row.state, row.missing, row.shown_active) == (State.BLOCKED, True, False)
    assert (remote.called("create_user"), remote.called("reactivate_user")) == (1, 0)

    created = await bridge.provisioning.create_user(user(ADA))
    assert created.row.id == ada, "shown inactive, so no 409"
    account = remote.find(ADA)
    assert account is not None
    assert account.active


async def test_what_was_taken_by_hand_from_somebody_of_whom_something_was_refused_is_given_again(
    tmp_path: Path, remote: MemoryRemote, on_groups: bool
) -> None:
    """A refused name says nothing of groups: the difference is repaired, and the refusal stays."""
    async with bridge_on(tmp_path / "b.db", remote, groups=on_groups) as bridge:
        (ada,) = await people(bridge, ADA)
        await bridge.group_with("Sales", ada)
        remote.fail("update_user", RemoteInvalidValueError("no such name"))
        with pytest.raises(RefusedError):
            await bridge.provisioning.modify_user(ada, setting(name=Name(family_name="King")), always)
        remote.members.clear()

        assert classes(await compared(bridge)) == {DriftClass.MISSING}

        assert remote_groups(remote, ADA) == {"Sales"}
        row = await bridge.row("User", ada)
        assert (row.state, row.refusal is not None) == (State.BLOCKED, True)
        assert not classes(await compared(bridge, apply=False))
