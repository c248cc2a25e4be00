"""A database that an earlier version left, with work pending and held, goes on where it stood."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scim_bridge.models import Name
from scim_bridge.provisioning.policy import Budget
from scim_bridge.store import audit, migrations, resources, tokens
from scim_bridge.store.rows import ResourceRow, State
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import CONNECTION, Bridge, bridge_on
from tests.unit.provisioning.test_guard import guarded

DUMP = Path(__file__).parents[2] / "contract" / "store" / "made_at_8256e3b.sql"
LATER = datetime(2026, 11, 2, 12, 31, tzinfo=UTC)
"""A minute after its last write: what is held there is not to be released yet."""

TOKEN = "MiqXJQW8"


def remote_then() -> MemoryRemote:
    """Return the remote system as it was when the earlier version was stopped."""
    remote = MemoryRemote()
    remote.add_account("unmanaged@corp.example")
    people = [
        remote.add_account(
            f"{name}@corp.example", active=name != "bob", name=Name(given_name="Ada", family_name="Byron")
        )
        for name in ("ada", "bob", "cyd", "dan", "eve")
    ]
    sales = remote.add_group("Sales")
    remote.members |= {(sales, people[0]), (sales, people[2]), (sales, people[3])}
    return remote


def upgraded(directory: Path) -> Path:
    """Write the database of the earlier version."""
    path = directory / "bridge.db"
    path.touch(0o600)
    with sqlite3.connect(path) as connection:
        connection.executescript(DUMP.read_text())
    connection.close()
    return path


async def by_name(bridge: Bridge) -> dict[str, ResourceRow]:
    """Return the people whom clients see, by the first word of their userName."""
    rows = await bridge.store.read(
        lambda tx: [
            resources.find_by_name(tx, CONNECTION, "User", f"{name}@corp.example")
            for name in ("ada", "bob", "cyd", "dan", "eve", "fay", "unmanaged")
        ]
    )
    return {row.name.partition("@")[0]: row for row in rows if row is not None}


async def test_what_an_earlier_version_left_is_done_and_nothing_else(tmp_path: Path) -> None:
    """The pending removal and creation are done, what is held stays held, who is settled is not touched."""
    remote = remote_then()
    policy = guarded(removals=Budget(floor=1, share=0.0), hold=timedelta(hours=1))
    async with bridge_on(upgraded(tmp_path), remote, policy=policy, clock=lambda: LATER) as bridge:
        await bridge.idle()
        people = await by_name(bridge)

        assert await bridge.store.read(migrations.current) == migrations.HEAD
        state = {
            account.user.user_name: (account.active, len(remote.groups_of(key)))
            for key, account in remote.accounts.items()
        }
        assert state == {
            "unmanaged@corp.example": (True, 0),
            "ada@corp.example": (True, 1),
            "bob@corp.example": (False, 0),
            "cyd@corp.example": (False, 1),
            "dan@corp.example": (True, 1),
            "eve@corp.example": (True, 0),
            "fay@corp.example": (True, 0),
        }
        changed = {call.hook for call in remote.effects if call.hook not in {"get_user", "find_user", "get_group"}}
        assert changed == {"deactivate_user", "create_user"}
        assert [name for name, row in people.items() if row.shown_active] == ["ada", "dan", "eve", "fay", "unmanaged"]
        assert people["eve"].state is State.HELD
        assert await bridge.groups_of(people["ada"].id) == {"Sales": (True, True)}

        await bridge.store.write(lambda tx: bridge.provisioning.guard.approve(tx, None))
        await bridge.idle()

        assert not remote.accounts[people["eve"].remote_id or ""].active
        assert await bridge.store.scan(lambda tx: audit.verify(tx, CONNECTION)) is None
        assert await bridge.store.read(lambda tx: tokens.find(tx, TOKEN)) is not None
