"""What fault histories found: each rule here was broken once, and a seed of `tests/faults` showed it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scim_bridge.errors import PendingError, RemoteUnavailableError
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.provisioning.driver import MAX_ASKED
from scim_bridge.store import audit
from scim_bridge.testing.memory_remote import MemoryRemote
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
