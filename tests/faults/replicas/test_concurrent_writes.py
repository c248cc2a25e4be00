"""What two processes write to the same rows of PostgreSQL at the same time."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy import select, text

from scim_bridge.store import membership_changes, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.tables import member
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import CONNECTION, group, row_of, user
from tests.hang_guard import HANG_SECONDS

WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


def fill(tx: Transaction) -> None:
    """Let somebody be a member, as desired and as seen."""
    resources.insert(tx, row_of(user("ada"), id="ada"), user("ada"))
    resources.insert(tx, row_of(group("sales"), id="sales", remote_id="remote"), group("sales"))
    membership_changes.set_desired(tx, CONNECTION, "sales", ["ada"], desired=True)
    membership_changes.observe_user(tx, CONNECTION, "ada", ["sales"])


def leave(tx: Transaction) -> None:
    """Want the member no longer, as a client's PATCH does."""
    membership_changes.set_desired(tx, CONNECTION, "sales", ["ada"], desired=False)


def vanish(tx: Transaction) -> None:
    """See the member no longer, as the driver does after a deactivation."""
    membership_changes.observe_user(tx, CONNECTION, "ada", [])


@pytest.mark.parametrize(("first", "second"), [(leave, vanish), (vanish, leave)])
async def test_a_member_who_leaves_while_the_account_vanishes_is_shown_no_more(
    postgresql_url: str, first: Callable[[Transaction], None], second: Callable[[Transaction], None]
) -> None:
    """Found by histories: each saw the other's half of the membership, and the row that nobody wanted stayed."""
    store = await Store.open(postgresql_url)
    await store.write(fill)
    begun = threading.Event()

    def slow(tx: Transaction) -> None:
        first(tx)
        begun.set()
        deadline = time.monotonic() + HANG_SECONDS
        while not tx.execute(WAITING).scalar_one():
            assert time.monotonic() < deadline, "the other one did not have to wait"

    slower = asyncio.create_task(store.write(slow))
    await asyncio.to_thread(begun.wait, HANG_SECONDS)
    await store.write(second)
    await slower
    left = await store.read(lambda tx: tx.execute(select(member)).all())
    await store.close()
    assert left == []
