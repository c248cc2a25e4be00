"""Roles where the remote system keeps members on the group, and accounts do not tell their groups."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scim_bridge.errors import RemoteUnavailableError
from scim_bridge.provisioning import ProvisioningPolicy, search
from scim_bridge.store import resources
from scim_bridge.store.leadership import Leadership
from scim_bridge.store.transaction import Transaction
from scim_bridge.testing.memory_roles import MemoryRosterRolesConnector
from tests.http.bridge import USER, Tenant, bridge

ADA, EVE = "ada@example.com", "eve@example.com"


@asynccontextmanager
async def organisation(path: Path, assign: Any = "roles", **settings: Any) -> AsyncIterator[Tenant]:
    """Serve a remote system with the groups Sales and Support."""
    policy = ProvisioningPolicy(assign=assign, **settings)
    async with bridge(path, policy=policy, connector_type=MemoryRosterRolesConnector) as (acme,):
        for name in ("Sales", "Support"):
            acme.remote.add_group(name)
        await acme.compare()
        yield acme


async def held(acme: Tenant, user: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return what a person is shown to hold, each with what keeps it from being in force."""
    roles = (await acme.read(user)).get("roles", [])
    return sorted((one["display"], one.get("state")) for one in roles)


async def at_once(acme: Tenant) -> None:
    """Let what waits for its next attempt be tried now."""

    def hurry(tx: Transaction) -> None:
        for name in ("Sales", "Support"):
            row = resources.find_by_name(tx, acme.connection_id, "Group", name, lock=True)
            assert row is not None
            resources.save(tx, replace(row, not_before=None))

    await acme.store.write(hurry)
    acme.provisioning.driver.wake()


async def test_a_role_is_membership_of_its_group(tmp_path: Path) -> None:
    """Asked for, it is given and told as in force; taken away, it is gone when that is answered."""
    async with organisation(tmp_path) as acme:
        ada = await acme.user(ADA, roles=["Sales", "support"])
        assert acme.remote_members("Sales") == acme.remote_members("Support") == {ADA}
        assert await held(acme, ada) == [("Sales", None), ("Support", None)]

        removal = {"op": "remove", "path": 'roles[value eq "Sales"]'}
        answer = await acme.patch(f"/Users/{ada['id']}", removal)
        assert (answer.status_code, [one["display"] for one in answer.json()["roles"]]) == (200, ["Support"])
        assert (acme.remote_members("Sales"), acme.remote_members("Support")) == (set(), {ADA})

        await acme.compare()
        assert await held(acme, ada) == [("Support", None)]
        inactive = await acme.put(f"/Users/{ada['id']}", {"schemas": [USER], "userName": ADA, "active": False})
        assert (inactive.json()["active"], inactive.json().get("roles")) == (False, None)


async def test_who_is_in_a_group_by_hand_is_shown_to_hold_it_and_loses_it_when_it_is_named(tmp_path: Path) -> None:
    """Nothing takes it that does not name it; what no group gives is shown as well, and cannot be asked for."""
    async with organisation(tmp_path) as acme:
        account = acme.remote.add_account(ADA)
        sales = next(id_ for id_, group in acme.remote.groups.items() if group.display_name == "Sales")
        acme.remote.members.add((sales, account))
        acme.remote.roots.add(account)
        await acme.compare()
        (ada,) = (await acme.get("/Users")).json()["Resources"]
        assert await held(acme, ada) == [("Root", None), ("Sales", None)]
        kept = await acme.put(f"/Users/{ada['id']}", {"schemas": [USER], "userName": ADA})
        assert (kept.status_code, acme.remote_members("Sales")) == (200, {ADA})
        gone = await acme.patch(f"/Users/{ada['id']}", {"op": "remove", "path": 'roles[display eq "Sales"]'})
        assert (gone.status_code, acme.remote_members("Sales")) == (200, set())
        assert await held(acme, ada) == [("Root", None)]
        refused = await acme.post("/Users", {"schemas": [USER], "userName": EVE, "roles": ["Root"]})
        assert (refused.status_code, EVE in acme.remote_active()) == (403, False)


async def test_what_is_not_in_force_is_told_as_such(tmp_path: Path) -> None:
    """While the remote system is down a grant is pending, a removal is not claimed, and both are done afterwards."""
    async with organisation(tmp_path) as acme:
        ada = await acme.user(ADA, roles=["Sales"])
        acme.remote.down = RemoteUnavailableError("down")
        body = {"schemas": [USER], "userName": ADA, "roles": ["Support"]}
        for _ in range(2):  # whoever repeats it is not told that it is done
            assert (await acme.put(f"/Users/{ada['id']}", body)).status_code == 429
        assert await held(acme, ada) == [("Sales", None), ("Support", "pending")]
        acme.remote.down = None
        await at_once(acme)
        assert (await acme.put(f"/Users/{ada['id']}", body)).status_code == 200
        assert await held(acme, ada) == [("Support", None)]
        assert (acme.remote_members("Sales"), acme.remote_members("Support")) == (set(), {ADA})


@pytest.mark.parametrize("unknown", ["refuse", "drop"])
async def test_an_unknown_role(tmp_path: Path, unknown: Any) -> None:
    """Refused with the list of those that exist, nobody is made; or left out, the others are given."""
    async with organisation(tmp_path, unknown_roles=unknown) as acme:
        answer = await acme.post("/Users", {"schemas": [USER], "userName": ADA, "roles": ["Salse", "Support"]})
        if unknown == "refuse":
            assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
            assert 'there are: "Sales", "Support"' in answer.json()["detail"]
            assert acme.remote_active() == {}
        else:
            assert [one["display"] for one in answer.json()["roles"]] == ["Support"]
            assert acme.remote_members("Support") == {ADA}


@pytest.mark.parametrize("attribute", ["title", "userType"])
async def test_one_role_in_an_attribute_of_its_own(tmp_path: Path, attribute: str) -> None:
    """`title` or `userType`, as configured: it gives, changes and takes."""
    name = "user_type" if attribute == "userType" else attribute
    async with organisation(tmp_path, role_attribute=name) as acme:
        ada = await acme.user(ADA, **{attribute: "Sales"})
        assert (ada[attribute], acme.remote_members("Sales")) == ("Sales", {ADA})
        change = {"op": "replace", "path": attribute, "value": "Support"}
        assert (await acme.patch(f"/Users/{ada['id']}", change)).status_code == 200
        assert (acme.remote_members("Sales"), acme.remote_members("Support")) == (set(), {ADA})
        assert (await acme.patch(f"/Users/{ada['id']}", {"op": "remove", "path": attribute})).status_code == 200
        assert acme.remote_members("Support") == set()


async def test_groups_and_roles_together(tmp_path: Path) -> None:
    """What both ask for stays until neither does."""
    async with organisation(tmp_path, "both") as acme:
        ada = await acme.user(ADA, roles=["Sales"])
        group = await acme.group("Sales", ada["id"])
        removal = {"op": "remove", "path": f'members[value eq "{ada["id"]}"]'}
        assert (await acme.patch(f"/Groups/{group['id']}", removal)).status_code == 204
        assert acme.remote_members("Sales") == {ADA}
        assert (await acme.put(f"/Users/{ada['id']}", {"schemas": [USER], "userName": ADA})).status_code == 200
        assert acme.remote_members("Sales") == set()
        assert await held(acme, ada) == []


@pytest.mark.parametrize("unknown", ["refuse", "drop"])
async def test_a_group_just_pushed_is_a_role_at_once(tmp_path: Path, unknown: Any) -> None:
    """It is asked for, and taken away by its name, before the next comparison; so is one that hands have made."""
    async with organisation(tmp_path, "both", unknown_roles=unknown) as acme:
        ada = await acme.user(ADA)
        group = await acme.group("Pushed")
        assert (await acme.put(f"/Users/{ada['id']}", {"schemas": [USER], **_asks(ada, "Pushed")})).status_code == 200
        assert acme.remote_members("Pushed") == {ADA}
        assert await acme.members(group) == {ada["id"]}
        assert acme.remote.called("list_entitlements") == 2  # with that of the comparison

        acme.remote.members.add((acme.remote.add_group("By hand"), (await acme.row(ada)).remote_id or ""))
        acme.provisioning.search.listed_at = -inf
        removal = {"op": "remove", "path": 'roles[display eq "By hand"]'}
        assert (await acme.patch(f"/Users/{ada['id']}", removal)).status_code == 200
        assert (acme.remote_members("By hand"), acme.remote_members("Pushed")) == (set(), {ADA})
        assert acme.remote.called("list_entitlements") == 3

        acme.remote.add_group("By hand, too")
        acme.provisioning.search.listed_at = -inf
        eve = await acme.user(EVE, roles=["By hand, too"])
        assert await held(acme, eve) == [("By hand, too", None)]
        assert acme.remote_members("By hand, too") == {EVE}


def _asks(user: dict[str, Any], role: str) -> dict[str, Any]:
    return {"userName": user["userName"], "roles": [role]}


async def test_an_unknown_role_while_the_remote_system_is_down_is_not_refused(tmp_path: Path) -> None:
    """It may be newer than the last listing. Whoever is to be out does not wait for that."""
    async with organisation(tmp_path, unknown_roles="drop") as acme:
        ada = await acme.user(ADA, roles=["Sales"])
        acme.remote.down = RemoteUnavailableError("down")
        answer = await acme.post("/Users", {"schemas": [USER], "userName": EVE, "roles": ["Neu"]})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
        assert (await acme.get('/Users?filter=userName eq "eve@example.com"')).json()["totalResults"] == 0
        body = {"schemas": [USER], "active": False, **_asks(ada, "Neu")}
        assert (await acme.put(f"/Users/{ada['id']}", body)).status_code == 429
        assert not (await acme.row(ada)).active
        assert acme.remote.called("list_entitlements") == 2


async def test_many_unknown_roles_cost_few_listings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks during a listing shares the next one."""
    monkeypatch.setattr(search, "LISTED_EVERY", 0)
    async with organisation(tmp_path) as acme:
        gate, asks, all_ask = (
            acme.remote.hold("list_entitlements"),
            acme.provisioning.search.list_entitlements,
            asyncio.Event(),
        )
        asking: list[None] = []

        async def counted() -> None:
            asking.append(None)
            if len(asking) == len(bodies):
                all_ask.set()
            await asks()

        monkeypatch.setattr(acme.provisioning.search, "list_entitlements", counted)
        bodies = [{"schemas": [USER], "userName": f"p{n}@example.com", "roles": ["Neu"]} for n in range(9)]
        answers = [asyncio.create_task(acme.post("/Users", body)) for body in bodies]
        await all_ask.wait()
        gate.release()
        statuses = {answer.status_code for answer in await asyncio.gather(*answers)}
        assert statuses == {400}
        assert acme.remote.called("list_entitlements") <= 3  # with that of the comparison


async def test_a_name_that_means_nothing_is_asked_for_once_a_minute(tmp_path: Path) -> None:
    """Everybody of a client may have it, and none of them waits for a listing; one that is a group by now is listed."""
    async with organisation(tmp_path, "both", unknown_roles="drop") as acme:
        for name in (ADA, EVE, "bob@example.com"):
            await acme.user(name, roles=["Neu"])
        assert acme.remote.called("list_entitlements") == 2  # with that of the comparison
        await acme.group("Neu")
        acme.provisioning.search.listed_at = -inf
        await acme.user("dan@example.com", roles=["Neu"])
        assert acme.remote_members("Neu") == {"dan@example.com"}
        search_ = acme.provisioning.search
        search_.unheard, search_.listed_at = {"Later": -inf}, -inf
        eva = await acme.user("eva@example.com", roles=["Later"])
        assert acme.remote.called("list_entitlements") == 4
        search_.listed_at = -inf  # a removal is asked about each time
        removal = {"op": "remove", "path": 'roles[display eq "Later"]'}
        assert (await acme.patch(f"/Users/{eva['id']}", removal)).status_code == 200
        assert acme.remote.called("list_entitlements") == 5


async def test_a_new_role_is_found_beside_a_name_that_means_nothing(tmp_path: Path) -> None:
    """A name that everybody of a client has keeps nobody from what is newer than the last listing."""
    async with organisation(tmp_path, unknown_roles="drop", role_attribute="title") as acme:
        await acme.user(ADA, roles=["Neu"])
        acme.remote.add_group("By hand")
        acme.provisioning.search.listed_at = -inf
        eve = await acme.user(EVE, roles=["Neu", "By hand"])
        assert await held(acme, eve) == [("By hand", None)]
        acme.remote.add_group("By title")
        acme.provisioning.search.listed_at = -inf
        bob = await acme.user("bob@example.com", roles=["Neu"], title="By title")
        assert await held(acme, bob) == [("By title", None)]


async def test_where_another_process_asks_a_group_just_pushed_is_a_role_soon(tmp_path: Path) -> None:
    """Nothing is refused or left out that is a Group here; what is none is told as ever."""
    async with organisation(tmp_path, "both") as acme:
        ada = await acme.user(ADA)
        await acme.group("Pushed")
        acme.provisioning.search.leadership = cast("Leadership", SimpleNamespace(led=frozenset(), term=""))
        for role, status in (("Pushed", 429), ("Neu", 400)):
            body = {"schemas": [USER], **_asks(ada, role)}
            assert (await acme.put(f"/Users/{ada['id']}", body)).status_code == status
        assert acme.remote.called("list_entitlements") == 1
