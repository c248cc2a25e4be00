"""What goes wrong is logged without the data of a person."""

import asyncio
import logging
from pathlib import Path

import pytest
from sqlalchemy import text

from scim_bridge.errors import StoreError
from scim_bridge.provisioning.leading import Schedule, drive
from scim_bridge.store.engine import Store
from scim_bridge.store.transaction import Transaction
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import Bridge, bridge_on, user
from tests.unit.provisioning.test_reconcile import reconciler

CANARY = "canary-77@corp.example"


def failing(tx: Transaction) -> None:
    """Send a statement that fails, with a person's address among its parameters."""
    tx.execute(text("SELECT * FROM nowhere WHERE name = :name"), {"name": CANARY})


async def test_an_error_of_the_database_tells_no_parameters(any_store_url: str) -> None:
    """The text of a failed statement, and of the error it came from, holds no value that was sent with it."""
    store = await Store.open(any_store_url)
    try:
        for run in (store.read, store.write):
            with pytest.raises(StoreError) as raised:
                await run(failing)
            assert "nowhere" in str(raised.value.__cause__)
            assert CANARY not in str(raised.value.__cause__)
    finally:
        await store.close()


async def test_the_driver_logs_no_personal_data(bridge: Bridge, caplog: pytest.LogCaptureFixture) -> None:
    """A drive that fails unexpectedly is logged with the classes and the place of its errors, never with their text."""

    async def broken() -> bool:
        raise ValueError(f"{CANARY} is already taken") from KeyError(CANARY)

    bridge.answer_within(0.05)
    vars(bridge.provisioning.driver.identification)["confirmed"] = broken
    await asyncio.gather(bridge.provisioning.create_user(user(CANARY)), return_exceptions=True)
    while "driving" not in caplog.text:
        await bridge.turn()

    (record, *_) = [one for one in caplog.records if "driving" in one.getMessage()]
    logged = logging.Formatter().format(record)
    assert "ValueError" in logged
    assert "KeyError" in logged
    assert "in broken" in logged
    assert "canary" not in logged.replace("CANARY", "")


async def test_a_comparison_logs_no_personal_data(
    tmp_path: Path, remote: MemoryRemote, caplog: pytest.LogCaptureFixture
) -> None:
    """The same of a comparison."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        compare = reconciler(bridge)

        async def broken() -> None:
            raise ValueError(f"{CANARY} is no account")

        vars(compare)["run"] = broken
        async with drive(bridge.provisioning.driver, compare, Schedule(), chance=lambda: 0.0):
            while "comparing failed" not in caplog.text:
                await bridge.turn()

    assert "ValueError" in caplog.text
    assert "canary" not in caplog.text


async def test_members_that_are_nobody_are_logged_without_what_was_sent(
    bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that sends addresses instead of ids as members finds none of them in the log."""
    await bridge.group_with("Sales", CANARY)

    assert "1 were left out" in caplog.text
    assert CANARY not in caplog.text
