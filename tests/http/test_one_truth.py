"""What is read of a Group, of a User and of their ``groups`` is one truth, also before it is as it is wanted."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.connector import Connector
from scim_bridge.errors import RemoteUnavailableError
from scim_bridge.protocol import preset
from scim_bridge.store import resources
from scim_bridge.store.rows import State
from scim_bridge.testing.memory import MemoryConnector, MemoryGroupsConnector
from tests.http.bridge import Tenant, bridge
from tests.unit.provisioning.test_who_cannot_be_changed import STUCK, Stuck

BOTH = pytest.mark.parametrize("connector", [MemoryConnector, MemoryGroupsConnector], ids=["on people", "on groups"])
PRESETS = pytest.mark.parametrize("client", ["generic", "entra"])

Sales = tuple[Tenant, Mapping[str, Any], Mapping[str, Any]]
"""A bridge, somebody, and the group they are in."""


@pytest.fixture
async def in_sales(tmp_path: Path, connector: type[Connector[Any]], client: str) -> AsyncIterator[Sales]:
    """Ada, who is in Sales."""
    async with bridge(tmp_path, client=preset(client), connector_type=connector) as (acme,):
        ada = await acme.user()
        yield acme, ada, await acme.group("Sales", ada["id"])


async def reads(acme: Tenant, resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a resource as every kind of read shows it: by id, in lists short and long, and in part."""
    kind, name = resource["meta"]["resourceType"], "userName" if "userName" in resource else "displayName"
    lists = [f"/{kind}s", f"/{kind}s?filter={name}%20eq%20%22{resource[name]}%22", f"/{kind}s?sortBy={name}"]
    found = [one for path in lists for one in (await acme.get(path)).json()["Resources"] if one["id"] == resource["id"]]
    assert len(found) == len(lists)
    return [*found, await acme.read(resource), await acme.read(resource, "?excludedAttributes=displayName")]


async def truth(acme: Tenant, user: Mapping[str, Any], group: Mapping[str, Any]) -> tuple[Any, bool]:
    """Return ``active`` and whether the User is in the Group, of which every read has to say the same."""
    seen = {one.get("active", "untold") for one in await reads(acme, user)}
    inside = {group["id"] in {held["value"] for held in one.get("groups", [])} for one in await reads(acme, user)}
    inside |= {user["id"] in {one["value"] for one in shown.get("members", [])} for shown in await reads(acme, group)}
    assert len(seen) == len(inside) == 1, (seen, inside)
    return seen.pop(), inside.pop()


@BOTH
@PRESETS
async def test_a_deactivation_that_is_not_confirmed_leaves_them_in_the_group(in_sales: Sales, client: str) -> None:
    """They have access still, through the group: both are told so, and both when it has ended."""
    acme, ada, sales = in_sales
    acme.remote.fail("deactivate_user", RemoteUnavailableError("down", retry_after=60.0))
    inactive = {"op": "replace", "path": "active", "value": False}
    assert (await acme.patch(f"/Users/{ada['id']}", inactive)).status_code == 429
    row = await acme.row(ada)
    assert (row.active, row.shown_active) == (False, True)

    assert await truth(acme, ada, sales) == ("untold" if client == "entra" else True, True)
    assert acme.remote_members("Sales") == {"ada@example.com"}
    assert (await acme.patch(f"/Users/{ada['id']}", inactive)).status_code == 200
    assert (await truth(acme, ada, sales))[0] is False


@BOTH
@PRESETS
async def test_an_activation_that_is_not_confirmed_is_told_as_it_is_wanted(in_sales: Sales) -> None:
    """Nothing is claimed to be taken: who is to be active, and in a group, is shown so, in every read."""
    acme, ada, sales = in_sales
    path, active = f"/Users/{ada['id']}", {"op": "replace", "path": "active"}
    await acme.patch(path, {**active, "value": False})
    acme.remote.fail("reactivate_user", RemoteUnavailableError("down", retry_after=60.0))
    assert (await acme.patch(path, {**active, "value": True})).status_code == 429

    assert await truth(acme, ada, sales) == (True, True)
    assert (await acme.patch(path, {**active, "value": True})).status_code == 200
    assert await truth(acme, ada, sales) == (True, True)
    assert acme.remote_members("Sales") == {"ada@example.com"}


@PRESETS
async def test_a_group_whose_deletion_was_refused_has_no_active(tmp_path: Path, client: str) -> None:
    """Shown again, looked at after a crash, its name on its way: it is a Group like any other (RFC 7643 §4.2)."""
    async with bridge(tmp_path, client=preset(client), connector_type=MemoryGroupsConnector) as (acme,):
        stuck = await acme.user(STUCK)
        sales = await acme.group("Sales", stuck["id"])
        portal = Stuck(acme.remote)
        assert (await acme.delete(f"/Groups/{sales['id']}")).status_code == 403
        portal.mended = True
        (group,) = acme.remote.groups.values()
        group.display_name = "Sales (by hand)"
        acme.remote.fail("update_group", RemoteUnavailableError("down", retry_after=60.0))
        left = replace(await acme.row(sales), not_before=None, ambiguous=True)  # as a process leaves it that dies
        await acme.store.write(lambda tx: resources.save(tx, left))
        await acme.provisioning.driver.idle()

        assert not acme.remote.members
        row = await acme.row(sales)
        assert (row.state, row.deleted, row.active, row.shown_active) == (State.PENDING, False, False, False)
        for shown in await reads(acme, sales):
            assert "active" not in shown
            assert not shown.get("members")
