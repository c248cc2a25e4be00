"""An older copy of the database is restored: whoever left since stays out, whatever the client pushes afterwards."""

import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from plugins.hubspot.tests.bridge.bridged import CONNECTION, Bridged, always, bridged
from plugins.hubspot.tests.bridge.test_nobody_else import portal_of, roles
from plugins.hubspot.tests.connector.portals import World
from plugins.hubspot.tests.connector.test_deprovisioning import MODES, NO_ACCESS, settings_of
from scim_bridge.errors import PendingError
from scim_bridge.provisioning import observing

STAYS, LEAVER, DELETED = "stays@corp.example", "leaver@corp.example", "deleted@corp.example"


async def _put(bridge: Bridged, sales: str, stays: str, *_: str) -> None:
    await bridge.members(sales, "replace", stays)


async def _patch(bridge: Bridged, sales: str, _: str, *gone: str) -> None:
    await bridge.members(sales, "remove", *gone)


async def _delete(bridge: Bridged, sales: str, *_: str) -> None:
    await bridge.delete_group(sales)


def access(portal: World, email: str) -> tuple[str, ...] | None:
    """Return the permission sets with which somebody gets in; ``None`` when they do not."""
    account = portal.hubspot.snapshot().get(email)
    return account.roles if account is not None and account.active else None


Push = Callable[..., Awaitable[None]]


@pytest.mark.parametrize("held", [False, True], ids=["forgotten to hold", "by the procedure"])
@pytest.mark.parametrize("push", [_put, _patch, _delete], ids=["PUT", "PATCH remove", "DELETE"])
@pytest.mark.parametrize("mode", MODES)
async def test_whoever_left_since_the_backup_stays_out(tmp_path: Path, mode: str, push: Push, held: bool) -> None:
    """The leaver and the deleted are not made anew by a group pushed without them; they are told as missing."""
    portal = portal_of()
    settings = settings_of(portal, mode)
    database, backup = tmp_path / "bridge.db", tmp_path / "backup.db"
    async with bridged(tmp_path, portal, **settings) as bridge:
        stays, leaver, deleted = [await bridge.user(email) for email in (STAYS, LEAVER, DELETED)]
        sales = await bridge.group("Sales", stays, leaver, deleted)
        with sqlite3.connect(database) as connection:
            connection.execute("VACUUM INTO ?", (str(backup),))
        connection.close()
        await bridge.active(leaver, False)
        await bridge.provisioning.delete_user(deleted, always)
    out = {email: access(portal, email) for email in (LEAVER, DELETED)}
    for file in tmp_path.glob("bridge.db*"):
        file.unlink()
    shutil.copy(backup, database)
    database.chmod(0o600)
    writes = len(portal.writes())

    async with bridged(tmp_path, portal, **settings) as bridge:
        if held:
            await bridge.store.write(lambda tx: observing.begin(tx, CONNECTION, "restored", now=datetime.now(UTC)))
            with pytest.raises(PendingError):
                await push(bridge, sales, stays, leaver, deleted)
            planned = await bridge.compare()
            assert len(portal.writes()) == writes
            assert {one.resource_id for one in planned.missing_accounts} <= {leaver, deleted}
            await bridge.store.write(lambda tx: observing.end(tx, CONNECTION, now=datetime.now(UTC)))
            await bridge.provisioning.driver.idle()
        else:
            await push(bridge, sales, stays, leaver, deleted)
        told = await bridge.compare()

        assert {email: access(portal, email) for email in (LEAVER, DELETED)} == out
        assert all(not one or one == (NO_ACCESS,) for one in out.values())
        assert {one.resource_id for one in told.missing_accounts} == {leaver, deleted}
        assert roles(portal, STAYS) == (() if push is _delete else ("Sales",))
        for one in (leaver, deleted):
            await bridge.active(one, False)
        assert not [one for one in (await bridge.compare()).drifts if one.drift != "unmanaged"]
