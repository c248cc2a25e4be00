"""What a review found over HTTP: one budget for a Bulk request that waits, and an ETag for what is shown."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from scim_bridge.errors import RemoteUnavailableError
from scim_bridge.protocol import preset
from tests.http.bridge import USER, bridge

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


async def test_a_bulk_request_has_one_budget_while_the_remote_system_is_down(tmp_path: Path) -> None:
    """Six operations on a remote system that is down take no longer than a few budgets together."""
    async with bridge(tmp_path) as (acme,):
        acme.provisioning.policy = replace(acme.provisioning.policy, budget=0.5)
        acme.remote.down = RemoteUnavailableError("down", retry_after=0.2)
        operations = [
            {
                "method": "POST",
                "path": "/Users",
                "bulkId": f"b{number}",
                "data": {"schemas": [USER], "userName": f"u{number}@x.example"},
            }
            for number in range(6)
        ]
        loop = asyncio.get_running_loop()
        started = loop.time()

        await acme.post("/Bulk", {"schemas": [BULK], "Operations": operations})

        assert loop.time() - started < 1.5
        acme.remote.down = None


async def test_a_group_whose_pending_removal_is_enforced_has_another_etag(tmp_path: Path) -> None:
    """A client that read the group during the removal is not told afterwards that nothing has changed."""
    async with bridge(tmp_path) as (acme,):
        user = await acme.user()
        group = await acme.group("eng", user["id"])
        path = f"/Groups/{group['id']}"
        gate = acme.remote.hold("set_user_groups")
        removing = asyncio.create_task(acme.patch(path, {"op": "remove", "path": f'members[value eq "{user["id"]}"]'}))
        await gate.entered.wait()
        during = await acme.get(path)

        gate.release()

        assert (await removing).status_code == 204
        after = await acme.get(path, If_None_Match=during.headers["etag"])
        assert after.status_code == 200


@pytest.mark.parametrize("client", ["entra", "okta", "generic"])
async def test_no_read_calls_a_person_inactive_while_their_removal_is_pending(tmp_path: Path, client: str) -> None:
    """Who still has access is shown so; a client that compares is told nothing, or it would see no removal to undo."""
    told = {} if client == "entra" else {"active": True}
    async with bridge(tmp_path, client=preset(client)) as (acme,):
        user = await acme.user()
        path = f"/Users/{user['id']}"
        gate = acme.remote.hold("deactivate_user")
        removing = asyncio.create_task(acme.patch(path, {"op": "replace", "path": "active", "value": False}))
        await gate.entered.wait()

        during = await acme.get(path)
        part = await acme.get(path + "?attributes=active,userName")
        having = await acme.get("/Users?filter=active eq true")
        without = await acme.get("/Users?filter=active eq false")

        for answer in (during, part):
            assert {name: value for name, value in answer.json().items() if name == "active"} == told
            assert answer.json()["userName"] == "ada@example.com"
        assert [one["id"] for one in having.json()["Resources"]] == [user["id"]]
        assert without.json()["Resources"] == []
        gate.release()
        assert (await removing).json()["active"] is False
        after = await acme.get(path, If_None_Match=during.headers["etag"])
        assert (after.status_code, after.json()["active"]) == (200, False)


async def test_who_returns_while_their_removal_is_pending_keeps_the_account(tmp_path: Path) -> None:
    """A client that compares what it reads with what it wants finds that it has to ask for the access."""
    async with bridge(tmp_path, client=preset("entra")) as (acme,):
        user = await acme.user()
        path = f"/Users/{user['id']}"
        gate = acme.remote.hold("deactivate_user")
        requests = [asyncio.create_task(acme.patch(path, {"op": "replace", "path": "active", "value": False}))]
        await gate.entered.wait()

        found = (await acme.get('/Users?filter=userName eq "ada@example.com"')).json()["Resources"][0]
        if found.get("active") is not True:
            requests.append(asyncio.create_task(acme.patch(path, {"op": "replace", "path": "active", "value": True})))
            while not (await acme.row(user)).active:
                await asyncio.sleep(0)
        gate.release()
        await asyncio.gather(*requests)

        assert (await acme.read(user))["active"] is True
        assert acme.remote_active() == {"ada@example.com": True}


async def test_who_writes_back_what_they_read_does_not_undo_a_removal(tmp_path: Path) -> None:
    """Of Entra ID: a new title, put together with what was read while the removal was pending, leaves that standing."""
    async with bridge(tmp_path, client=preset("entra")) as (acme,):
        user = await acme.user()
        path = f"/Users/{user['id']}"
        gate = acme.remote.hold("deactivate_user")
        removing = asyncio.create_task(acme.patch(path, {"op": "replace", "path": "active", "value": False}))
        await gate.entered.wait()
        read = await acme.read(user)

        writing = asyncio.create_task(acme.put(path, {**read, "title": "Countess"}))
        while (await acme.stored(user)).get("title") is None:
            await asyncio.sleep(0)
        gate.release()

        assert (await removing).status_code == 200
        written = (await writing).json()
        assert (written["title"], written["active"]) == ("Countess", False)
        assert acme.remote_active() == {"ada@example.com": False}
