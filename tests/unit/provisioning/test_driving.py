"""What keeps a driver working: neither a failing store nor a failing remote system ends it, or starves anybody."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.errors import ConnectorError, PendingError, RemoteUnavailableError, StoreError
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.testing.memory_remote import Call, Fault, MemoryRemote
from scim_bridge.upstream import breaker, lane
from tests.hang_guard import HANG_SECONDS
from tests.unit.provisioning.conftest import Bridge, always, bridge_on, setting, user


async def test_an_unexpected_failure_of_the_store_does_not_end_the_driver(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that fails once in a way that is no outage is asked again; what is pending is still done."""
    person = (await bridge.provisioning.create_user(user())).row.id
    failures = [StoreError("the store failed")]
    read = bridge.store.read

    async def failing(work: Any) -> Any:
        if failures and "Driver._dispatch" in work.__qualname__:
            raise failures.pop()
        return await read(work)

    monkeypatch.setattr(bridge.store, "read", failing)
    monkeypatch.setattr("scim_bridge.provisioning.driver.STORE_BACKOFF", 0.01)
    bridge.provisioning.driver.wake()
    while failures:
        await bridge.turn()

    async with asyncio.timeout(HANG_SECONDS):
        outcome = await bridge.provisioning.modify_user(person, setting(active=False), always)

    assert not outcome.row.shown_active


async def test_removals_that_always_fail_starve_no_grant(
    tmp_path: Path, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remote system answers every deactivation with an error of its own, and everything else rightly."""
    monkeypatch.setattr(breaker, "INTERVAL", 0.2)
    monkeypatch.setattr(breaker, "GRACE", 0.1)
    circuit = breaker.Breaker()

    def break_circuit(call: Call) -> Fault | None:
        now = asyncio.get_running_loop().time()
        try:
            probe = circuit.admit(lane.get(), now)
        except ConnectorError as error:
            return Fault(error)
        if call.hook != "deactivate_user":
            circuit.succeeded()
            return None
        circuit.failed(now, probe=probe)
        return Fault(RemoteUnavailableError("an error of its own", ambiguous=False, retry_after=0.05))

    async with bridge_on(tmp_path / "b.db", remote, policy=ProvisioningPolicy(concurrency=4)) as bridge:
        made = asyncio.gather(*[bridge.provisioning.create_user(user(f"p{one}@x.example")) for one in range(12)])
        ids = [outcome.row.id for outcome in await made]
        bridge.answer_within(0.1)
        remote.intercept = break_circuit
        for one in ids:
            with pytest.raises(PendingError):
                await bridge.provisioning.modify_user(one, setting(active=False), always)
        assert circuit.is_open

        bridge.answer_within()
        await bridge.provisioning.create_user(user("ada@x.example"))

        assert remote.find("ada@x.example") is not None
