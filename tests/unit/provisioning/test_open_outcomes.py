"""Calls whose outcome is open: what a refusal, a question or a loss leaves in doubt never hides what was written."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from scim_bridge.errors import (
    ConnectorError,
    PendingError,
    RefusedError,
    RemoteForbiddenError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteSuspendedError,
    RemoteUnavailableError,
)
from scim_bridge.models import Kind, Page
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.provisioning.recorder import LOST_AGAIN
from scim_bridge.store import audit, resources
from scim_bridge.store.rows import MemberDelta, ResourceRow, State
from scim_bridge.testing.memory_remote import Call, Fault, MemoryRemote
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting, user

TURNS = 2000
"""How often others may run until what is waited for has to be so."""

SHORT = ProvisioningPolicy(budget=1.5)
"""For requests that are to be answered while their outcome is open."""


@dataclass
class Clock:
    """The time, and what a test adds to it so that nothing has to be waited for."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC) + self.ahead


def after_a_write(error: ConnectorError) -> ConnectorError:
    """Have an error say that its call may have changed something before it was refused."""
    error.ambiguous = True
    return error


def answer_lost() -> RemoteUnavailableError:
    """Return the failure of a call that took effect, after which the system asks for half a minute."""
    return RemoteUnavailableError("the answer was lost", ambiguous=True, retry_after=30.0)


async def until(bridge: Bridge, reached: Callable[[], Awaitable[bool]]) -> None:
    """Let others run until something is so."""
    for _ in range(TURNS):
        if await reached():
            return
        await bridge.turn()
    pytest.fail("what was waited for did not come to be")


async def ada(bridge: Bridge) -> ResourceRow:
    """Return the User that was accepted, whether or not its creation was answered."""
    row = await bridge.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, "User", "ada@corp.example"))
    assert row is not None
    return row


async def deactivate_during(bridge: Bridge, user_id: str) -> asyncio.Task[object]:
    """Have a client deactivate a User while a call about it is under way, and return its request."""
    request = asyncio.create_task(bridge.provisioning.modify_user(user_id, setting(active=False), always))

    async def accepted() -> bool:
        return not (await bridge.row("User", user_id)).active

    await until(bridge, accepted)
    return request


async def assert_removed_in_the_end(bridge: Bridge, user_id: str) -> None:
    """Assert that there is one account, that it is inactive, and that the bridge knows it."""
    row = await bridge.row("User", user_id)
    assert (row.state, row.active, row.ambiguous) == (State.SETTLED, False, False)
    assert {one.remote_id: one.active for one in bridge.remote.accounts.values()} == {row.remote_id: False}


async def test_an_outage_of_the_question_about_lost_groups_does_not_hide_a_write(
    tmp_path: Path, remote: MemoryRemote
) -> None:
    """A reactivation took effect before it was refused; nobody could tell why, and a removal still takes it back."""
    async with bridge_on(tmp_path / "bridge.db", remote) as bridge:
        person = (await bridge.provisioning.create_user(user())).row
        await bridge.group_with("Team", person.id)
        await bridge.provisioning.modify_user(person.id, setting(active=False), always)
        remote.fail("reactivate_user", after_a_write(RemoteInvalidValueError("no")), after_effect=True)
        remote.fail("get_group", RemoteUnavailableError("down", ambiguous=False))
        gate = remote.hold("get_group")
        back = asyncio.create_task(bridge.provisioning.modify_user(person.id, setting(active=True), always))
        await gate.entered.wait()
        off = await deactivate_during(bridge, person.id)
        gate.release()
        await asyncio.gather(back, off, return_exceptions=True)
        await bridge.idle()

        await assert_removed_in_the_end(bridge, person.id)


async def test_an_account_that_is_told_missing_after_its_creation_is_looked_for(
    tmp_path: Path, remote: MemoryRemote
) -> None:
    """What a creation reads back too early is not there yet; a removal that came meanwhile still finds the account."""
    async with bridge_on(tmp_path / "bridge.db", remote) as bridge:
        gate = remote.hold("create_user", after_effect=True)
        remote.fail("create_user", after_a_write(RemoteNotFoundError("not there yet")), after_effect=True)
        made = asyncio.create_task(bridge.provisioning.create_user(user()))
        await gate.entered.wait()
        person = await ada(bridge)
        off = await deactivate_during(bridge, person.id)
        gate.release()
        await asyncio.gather(made, off, return_exceptions=True)
        await bridge.idle()

        await assert_removed_in_the_end(bridge, person.id)


async def test_a_refused_question_leaves_a_creation_in_doubt(tmp_path: Path, remote: MemoryRemote) -> None:
    """A creation whose answer was lost is not told as refused because the bridge may not look for the account."""
    clock = Clock()
    async with bridge_on(tmp_path / "bridge.db", remote, policy=SHORT, clock=clock) as bridge:
        lost = RemoteUnavailableError("the answer was lost", ambiguous=True, retry_after=0.05)
        remote.fail("create_user", lost, after_effect=True)
        remote.intercept = refusing("find_user")

        with pytest.raises(PendingError):
            await bridge.provisioning.create_user(user())
        await until(bridge, lambda: question_recorded(bridge, "find_user"))

        row = await ada(bridge)
        assert (row.state, row.ambiguous, row.refusal) == (State.PENDING, True, None)
        remote.intercept = None
        clock.ahead = timedelta(minutes=5)
        await bridge.idle()
        row = await ada(bridge)
        assert (row.state, row.ambiguous) == (State.SETTLED, False)
        assert list(remote.accounts) == [row.remote_id]


async def test_a_refused_search_leaves_the_removal_of_an_account_in_doubt(tmp_path: Path, remote: MemoryRemote) -> None:
    """Whether there is an account to be deactivated may not be asked: the removal is not told as done, nor as void."""
    clock = Clock()
    async with bridge_on(tmp_path / "bridge.db", remote, policy=SHORT, clock=clock) as bridge:
        remote.fail("create_user", answer_lost(), after_effect=True)
        with pytest.raises(PendingError):
            await bridge.provisioning.create_user(user())
        person = await ada(bridge)

        await assert_pending_while_refused(bridge, person.id, "find_user")

        clock.ahead = timedelta(minutes=5)
        await bridge.idle()
        await assert_removed_in_the_end(bridge, person.id)


async def test_a_refused_reading_leaves_the_removal_of_a_known_account_in_doubt(
    tmp_path: Path, remote: MemoryRemote
) -> None:
    """Whether an account became active again may not be read: its removal is not told as done."""
    clock = Clock()
    async with bridge_on(tmp_path / "bridge.db", remote, policy=SHORT, clock=clock) as bridge:
        person = (await bridge.provisioning.create_user(user())).row
        await bridge.provisioning.modify_user(person.id, setting(active=False), always)
        remote.fail("reactivate_user", answer_lost(), after_effect=True)
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_user(person.id, setting(active=True), always)

        await assert_pending_while_refused(bridge, person.id, "get_user")

        clock.ahead = timedelta(minutes=5)
        await bridge.idle()
        await assert_removed_in_the_end(bridge, person.id)


async def test_a_removal_does_not_wait_for_what_is_tried_after_an_outage(tmp_path: Path, remote: MemoryRemote) -> None:
    """One creation is tried when an outage may be over, and hangs; a person who leaves is deactivated beside it."""
    async with bridge_on(tmp_path / "bridge.db", remote, policy=ProvisioningPolicy(budget=1.5)) as bridge:
        leaver = (await bridge.provisioning.create_user(user("leaver@corp.example"))).row
        remote.fail("create_user", RemoteSuspendedError("open", retry_after=0.05))
        failing = remote.hold("create_user")
        made = asyncio.create_task(bridge.provisioning.create_user(user()))
        await failing.entered.wait()
        failing.release()
        trial = remote.hold("create_user")
        await trial.entered.wait()

        await bridge.provisioning.modify_user(leaver.id, setting(active=False), always)

        assert not trial.opened.is_set()
        assert leaver.remote_id is not None
        assert not remote.account(leaver.remote_id).active
        assert (await bridge.row("User", leaver.id)).state is State.SETTLED
        trial.release()
        await made


async def test_what_is_always_refused_after_a_write_is_told_as_refused(tmp_path: Path, remote: MemoryRemote) -> None:
    """A connector that calls each refusal open is asked what it shows once, and its next refusal counts."""
    async with bridge_on(tmp_path / "bridge.db", remote) as bridge:
        person = (await bridge.provisioning.create_user(user(title="Countess"))).row
        refused = Fault(after_a_write(RemoteInvalidValueError("too long")))
        remote.intercept = lambda call: refused if call.hook == "update_user" else None

        with pytest.raises(RefusedError):
            await bridge.provisioning.modify_user(person.id, setting(title="x" * 300), always)

        row = await bridge.row("User", person.id)
        assert (row.state, row.ambiguous) == (State.BLOCKED, False)
        assert b"Countess" in row.document
        assert (remote.called("update_user"), remote.called("get_user")) == (2, 1)
        events = await bridge.store.read(lambda tx: [one.event for one in audit.export(tx, CONNECTION)])
        outcomes = [(one["operation"], one["outcome"]) for one in events if one["event"] == "outcome"]
        assert outcomes[-3:] == [("update_user", "refused"), ("probe", "present"), ("update_user", "refused")]


@pytest.mark.parametrize("on_groups", [False, True], ids=["groups on the person", "members on the group"])
async def test_what_is_lost_again_waits_before_it_is_made_anew_again(
    tmp_path: Path, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch, on_groups: bool
) -> None:
    """A system that lags shows nowhere what it just took: the bridge does not make it anew in a circle."""
    clock = Clock()
    grant, look = ("add_group_members", "get_user") if on_groups else ("set_user_groups", "get_group")
    policy = ProvisioningPolicy(budget=1.0)
    async with bridge_on(tmp_path / "bridge.db", remote, groups=on_groups, policy=policy, clock=clock) as bridge:
        person = (await bridge.provisioning.create_user(user())).row
        group = await bridge.group_with("Team")
        kind: Kind = "User" if on_groups else "Group"
        lost = person.id if on_groups else group
        faults = {grant: Fault(RemoteInvalidValueError("unknown")), look: Fault(RemoteNotFoundError("not there yet"))}
        remote.intercept = lambda call: faults.get(call.hook)
        monkeypatch.setattr(bridge.provisioning.connector, "list_groups", AsyncMock(return_value=Page([], None)))
        with suppress(PendingError) if on_groups else pytest.raises(PendingError):
            await bridge.provisioning.modify_group(group, None, [MemberDelta("add", (person.id,))], always)

        async def put_off() -> bool:
            return (await bridge.row(kind, lost)).not_before is not None and not bridge.provisioning.driver.busy()

        await until(bridge, put_off)
        calls = len(remote.calls)
        for _ in range(50):
            bridge.provisioning.driver.wake()
            await bridge.turn()

        row = await bridge.row(kind, lost)
        assert row.state is State.PENDING
        assert row.not_before is not None
        assert clock() < row.not_before <= clock() + LOST_AGAIN
        assert (len(remote.calls), remote.called(grant), remote.members) == (calls, 1 if on_groups else 2, set())
        assert await bridge.groups_of(person.id) == {"Team": (True, False)}
        remote.intercept = None
        clock.ahead = 2 * LOST_AGAIN
        await bridge.idle()
        assert await bridge.groups_of(person.id) == {"Team": (True, True)}
        assert remote.members == {((await bridge.row("Group", group)).remote_id, person.remote_id)}


async def test_a_removal_does_not_wait_for_an_answer_about_what_its_call_adds(
    tmp_path: Path, remote: MemoryRemote
) -> None:
    """A set of groups is refused for the one it adds, and nobody can tell why: what it takes away goes all the same."""
    async with bridge_on(tmp_path / "bridge.db", remote, policy=ProvisioningPolicy(budget=1.0)) as bridge:
        person = (await bridge.provisioning.create_user(user())).row
        left = await bridge.group_with("Left", person.id)
        denied = await bridge.group_with("Denied")
        denied_remote_id = (await bridge.row("Group", denied)).remote_id

        def refused(call: Call) -> Fault | None:
            if call.hook == "get_group":
                return Fault(RemoteUnavailableError("down", ambiguous=False))
            if denied_remote_id in call.arguments.get("groups", ()):
                return Fault(RemoteInvalidValueError("not for this account"))
            return None

        remote.intercept = refused
        await asyncio.gather(
            bridge.provisioning.modify_group(denied, None, [MemberDelta("add", (person.id,))], always),
            bridge.provisioning.modify_group(left, None, [MemberDelta("remove", (person.id,))], always),
            return_exceptions=True,
        )

        assert remote.members == set()
        assert await bridge.groups_of(person.id) == {}
        assert (await bridge.row("User", person.id)).state is State.BLOCKED


# -- Questions that are refused ------------------------------------------------------------------------------------


def refusing(hook: str) -> Callable[[Call], Fault | None]:
    """Have each call of a hook refused, for good and without a doubt."""
    return lambda call: Fault(RemoteForbiddenError("may not look")) if call.hook == hook else None


async def question_recorded(bridge: Bridge, hook: str) -> bool:
    """Whether a question was asked, and what came of it is written."""
    return bridge.remote.called(hook) > 0 and not bridge.provisioning.driver.busy()


async def assert_pending_while_refused(bridge: Bridge, user_id: str, question: str) -> None:
    """Deactivate a User whose account may not be asked for, assert that this stays open, and allow the question."""
    bridge.remote.intercept = refusing(question)
    with pytest.raises(PendingError):
        await bridge.provisioning.modify_user(user_id, setting(active=False), always)
    await until(bridge, lambda: question_recorded(bridge, question))
    row = await bridge.row("User", user_id)
    assert (row.state, row.active, row.ambiguous, row.refusal) == (State.PENDING, False, True, None)
    assert row.shown_active  # no read says that the person is inactive
    assert [one.active for one in bridge.remote.accounts.values()] == [True]
    bridge.remote.intercept = None


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_creation_in_doubt_is_found_under_the_name_it_was_sent_with(
    tmp_path: Path, remote: MemoryRemote, *, leaves: bool
) -> None:
    """An answer is lost, and the client renames the person meanwhile, or soft-deletes them: there is one account."""
    clock = Clock()
    async with bridge_on(tmp_path / "bridge.db", remote, policy=SHORT, clock=clock) as bridge:
        remote.fail("create_user", answer_lost(), after_effect=True)
        with pytest.raises(PendingError):
            await bridge.provisioning.create_user(user())
        person = (await ada(bridge)).id
        remote.fail("find_user", *[RemoteUnavailableError("down", ambiguous=False, retry_after=30.0)])
        change = setting(user_name="0123456789abcdef0123456789abcdefada@corp.example", active=not leaves)
        with suppress(PendingError):
            await bridge.provisioning.modify_user(person, change, always)

        clock.ahead += timedelta(minutes=2)
        await bridge.idle()

        row = await bridge.row("User", person)
        assert (row.state, row.active, row.ambiguous) == (State.SETTLED, not leaves, False)
        assert {one.remote_id: one.active for one in remote.accounts.values()} == {row.remote_id: not leaves}
