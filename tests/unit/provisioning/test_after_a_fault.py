"""What fault histories found: each rule here was broken once, and a seed of `tests/faults` showed it."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scim_bridge.errors import PendingError, RefusedError, RemoteInvalidValueError, RemoteUnavailableError
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.provisioning.places import REMOVALS_AT_START
from scim_bridge.provisioning.service import now
from scim_bridge.provisioning.waiting import MAX_ASKED
from scim_bridge.store import audit
from scim_bridge.store.rows import State
from scim_bridge.testing.memory_remote import Call, Fault, MemoryRemote
from tests.hang_guard import HANG_SECONDS
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting, user


async def test_what_a_probe_found_stands_in_the_audit_trail(bridge: Bridge) -> None:
    """A write whose answer was lost has an outcome in the trail: what the remote system showed when it was asked."""
    bridge.remote.lose_answer("create_user")

    outcome = await bridge.provisioning.create_user(user())

    events = await bridge.store.read(lambda tx: [one.event for one in audit.export(tx, CONNECTION)])
    outcomes = [(one["operation"], one["outcome"]) for one in events if one["event"] == "outcome"]
    assert ("probe", "present") in outcomes
    assert {one["id"] for one in events} == {outcome.row.id}


async def test_no_answer_puts_a_removal_off_for_longer_than_ten_minutes(tmp_path: Path, remote: MemoryRemote) -> None:
    """A remote system that asks for an hour gets ten minutes (reliability: cap of Retry-After)."""
    async with bridge_on(tmp_path / "bridge.db", remote, policy=ProvisioningPolicy(budget=1.0)) as bridge:
        created = await bridge.provisioning.create_user(user())
        remote.fail("deactivate_user", RemoteUnavailableError("moving", ambiguous=False, retry_after=3600.0))

        with pytest.raises(PendingError):
            await bridge.provisioning.modify_user(created.row.id, setting(active=False), always)

        row = await bridge.row("User", created.row.id)
        assert row.not_before is not None
        assert row.not_before <= datetime.now(UTC) + timedelta(seconds=MAX_ASKED)


async def test_what_was_refused_after_a_part_of_it_took_effect_is_looked_at_and_tried_once_more(bridge: Bridge) -> None:
    """What a call left is seen before its refusal counts; the second one does, and nothing goes round and round."""
    created = await bridge.provisioning.create_user(user())
    refused = RemoteInvalidValueError("no")
    refused.ambiguous = True  # as after a write of the same hook
    bridge.remote.fail("update_user", *[refused] * 9)
    calls = bridge.remote.called("update_user")

    with pytest.raises(RefusedError):
        await bridge.provisioning.modify_user(created.row.id, setting(display_name="Head"), always)

    row = await bridge.row("User", created.row.id)
    assert bridge.remote.called("update_user") - calls <= 2
    assert row.state is not State.PENDING


async def test_few_removals_begin_at_a_start_until_the_first_are_done(tmp_path: Path, remote: MemoryRemote) -> None:
    """Ten people lost access before a restart: four removals go out at first, so that they come to their end."""
    path = tmp_path / "bridge.db"
    async with bridge_on(path, remote) as bridge:
        people = [(await bridge.provisioning.create_user(user(f"user{number}"))).row.id for number in range(10)]
        bridge.answer_within(0.2)
        remote.down = RemoteUnavailableError("down", ambiguous=False)
        for one in people:
            with pytest.raises(PendingError):
                await bridge.provisioning.modify_user(one, setting(active=False), always)
    remote.down = None
    before = remote.called("deactivate_user")
    gate = remote.hold("deactivate_user")

    async with bridge_on(path, remote, clock=lambda: datetime.now(UTC) + timedelta(minutes=5)) as bridge:
        await gate.entered.wait()
        for _ in range(50):
            await bridge.turn()
        assert remote.called("deactivate_user") - before == REMOVALS_AT_START
        gate.release()
        await bridge.idle()

    assert not any(account.active for account in remote.accounts.values())


async def test_a_driver_stopped_before_its_first_step_does_not_begin(bridge: Bridge) -> None:
    """A bridge that is stopped while it starts ends (a history in which it never did; seed 268)."""
    driver = bridge.provisioning.driver
    await driver.stop()
    running = asyncio.create_task(driver.run())

    await driver.stop()

    await asyncio.wait_for(running, HANG_SECONDS)


@pytest.mark.parametrize("deletes", [False, True])
async def test_a_removal_that_withdraws_a_return_looks_first(bridge: Bridge, *, deletes: bool) -> None:
    """Who was to return during an outage was let in by hand; their removal takes that away before it is answered."""
    person = (await bridge.provisioning.create_user(user())).row.id
    await bridge.provisioning.modify_user(person, setting(active=False), always)
    bridge.remote.fail("reactivate_user", RemoteUnavailableError("down", ambiguous=False, retry_after=30.0))
    with pytest.raises(PendingError):
        await bridge.provisioning.modify_user(person, setting(active=True), always)
    (account,) = bridge.remote.accounts.values()
    account.active = True

    if deletes:
        await bridge.provisioning.delete_user(person, always)
    else:
        await bridge.provisioning.modify_user(person, setting(active=False), always)

    assert [one for one in bridge.remote.accounts.values() if one.active] == []


async def test_work_that_finishes_later_is_told_once_an_hour(
    tmp_path: Path, remote: MemoryRemote, caplog: pytest.LogCaptureFixture
) -> None:
    """Each look at a job that is under way would fill the log; what fails otherwise is told each time."""
    later = RemoteUnavailableError("accepted, done later", ambiguous=True, retry_after=0.05)
    down = RemoteUnavailableError("down", ambiguous=False, retry_after=0.05)
    script, ahead = [later, later, later, later, down, down], timedelta()

    def failing(call: Call) -> Fault | None:
        nonlocal ahead
        if call.hook != "create_user" or not script:
            return None
        ahead += timedelta(hours=len(script) == 4)  # before the third look
        return Fault(script.pop(0))

    caplog.set_level(logging.DEBUG, "scim_bridge.driver")
    remote.intercept = failing
    async with bridge_on(tmp_path / "bridge.db", remote, clock=lambda: now() + ahead) as bridge:
        await bridge.provisioning.create_user(user())
    told = [record.levelname for record in caplog.records if record.getMessage().startswith("create_user of User")]
    assert told == ["WARNING", "DEBUG", "WARNING", "DEBUG", "WARNING", "WARNING"]
