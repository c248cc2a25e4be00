"""What keeps a driver working: neither a failing store nor a failing remote system ends it, or starves anybody."""

import asyncio
from typing import Any

import pytest

from scim_bridge.errors import StoreError
from tests.unit.provisioning.conftest import Bridge, always, setting, user


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

    async with asyncio.timeout(3.0):
        outcome = await bridge.provisioning.modify_user(person, setting(active=False), always)

    assert not outcome.row.shown_active
