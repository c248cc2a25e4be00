"""Short scripts of what was really met at the edges of HubSpot, each a kind of its own, and judged by every promise."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from scim_bridge.config import GuardSettings
from scim_bridge_hubspot.emulator import HubSpotEmulator
from tests.faults.hubspot_world import HubSpotWorld, deprovisioning
from tests.faults.promises.edges import BULK_REQUEST, PATCH_OP, address
from tests.faults.promises.scripts import Scripted, listed_in
from tests.faults.simulation import Report, Violation
from tests.faults.simulation.world import World

RECORDS = r"/settings/users/[^/]+/(?!roles|teams|seats)"
"""The records of single people."""
PRIVILEGED = "Sales Manager"
"""The set that is guarded in every case."""
FLOOR = 3
"""So many of its grants are never held."""
HOUR = 3600.0


class Case(Scripted):
    """A script on HubSpot. :param mode: How access is ended there."""

    mode = "remove"

    def __init__(self, world: World, **options: Any) -> None:
        super().__init__(world, **options)
        assert isinstance(world.remote, HubSpotWorld)
        world.remote.settings = {**world.remote.settings, **deprovisioning(self.mode), "rate_limit": 100}
        world.options["guard"] = GuardSettings(privileged=frozenset({PRIVILEGED}), grants_floor=FLOOR)
        self.record.privileged = frozenset({PRIVILEGED}), FLOOR
        self.hubspot: HubSpotEmulator = world.remote.hubspot


CASES: dict[str, Callable[[Case], Awaitable[None]]] = {}
"""The scripts, by what they are about."""

case = listed_in(CASES)

HELD = "A group with many members takes the name of a guarded one while it is pending"
"""In this case the guard holds grants at the end: they are shown as they are wanted, and their client was told 429."""


def broken(name: str, report: Report) -> list[Violation]:
    """Return what is violated in a case."""
    return [one for one in report.violations if not (name == HELD and one.invariant == "reads-are-true")]


def kind_of(name: str, mode: str) -> type[Case]:
    """Return the history that follows a script, with one of the ways to end access."""
    return type("OnHubSpot", (Case,), {"script": CASES[name], "mode": mode})


async def staffed(one: Case, *names: str) -> None:
    """Provision people and put all of them into Sales."""
    for name in names:
        await one.client.provision(name)
    await one.client.push("Sales")
    members = [{"value": one.client.ids[name]} for name in names]
    await one.client.patch(f"/Groups/{one.client.groups['Sales']}", {"op": "add", "path": "members", "value": members})


async def deactivated(one: Case, name: str) -> int:
    """End somebody's access; return the status."""
    operation = {"op": "replace", "path": "active", "value": False}
    return await one.client.patch(f"/Users/{one.client.ids[name]}", operation)


def _patch(operation: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": [operation]}


@case
async def a_gateway_says_404(one: Case) -> None:
    """A gateway answers 404 to everything about people while somebody leaves."""
    await staffed(one, "ada", "bob")
    rule = one.hubspot.faults.gone("/(settings|scim)/")
    await deactivated(one, "ada")
    await one.client.delete("bob")
    one.hubspot.faults.clear(rule.id)
    await deactivated(one, "ada")


@case
async def records_are_gone(one: Case) -> None:
    """The routes of single people are gone, in HTML, while lists are there."""
    await staffed(one, "ada", "bob")
    rule = one.hubspot.faults.gone(RECORDS, media="html")
    await deactivated(one, "ada")
    await one.client.delete("bob")
    one.hubspot.faults.clear(rule.id)


@case
async def somebody_is_deleted_and_comes_again(one: Case) -> None:
    """An identity provider renames whom it deletes, and creates them again."""
    await staffed(one, "ada")
    await one.client.bury("ada")
    old = one.client.ids.pop("ada")
    await one.client.provision("ada")
    await one.client.send("DELETE", f"/Users/{old}")


@case
async def somebody_is_deleted_and_restored(one: Case) -> None:
    """An identity provider renames whom it deletes, and renames them back."""
    await staffed(one, "ada")
    await one.client.bury("ada")
    await one.client.exhume("ada")
    await deactivated(one, "ada")


@case
async def a_write_is_answered_and_not_done(one: Case) -> None:
    """HubSpot says of each write that it was done, and did not do it."""
    await staffed(one, "ada", "bob")
    rule = one.hubspot.faults.add("unkept", path="/settings/", times=None)
    await one.client.leave("Sales")
    await one.client.push("Marketing")
    await one.client.join("Marketing")
    await one.client.provision("cyd")
    await deactivated(one, "bob")
    one.hubspot.faults.clear(rule.id)


@case
async def an_address_changes_by_hand(one: Case) -> None:
    """An address is changed by hand, and the person is created again."""
    await staffed(one, "ada")
    one.by_hand(one.hubspot.ui_change_email, address("ada"), "ada.new@corp.example")
    old = one.client.ids.pop("ada")
    await one.client.provision("ada")
    await one.client.send("DELETE", f"/Users/{old}")


@case
async def a_group_is_renamed_and_made_again(one: Case) -> None:
    """A pushed group is renamed, and its old name is pushed again."""
    await staffed(one, "ada")
    await one.client.rename_group("Sales")
    await one.client.push("Sales")
    await one.client.leave("Sales")


@case
async def invited_again_by_hand(one: Case) -> None:
    """Somebody who was removed is invited by hand, and then deleted."""
    await staffed(one, "ada", "bob")
    for name in ("ada", "bob"):
        await deactivated(one, name)
        one.by_hand(one.hubspot.add_person, address(name), roles=["Sales"])
    await deactivated(one, "bob")
    await one.client.delete("ada")


@case
async def removed_by_hand(one: Case) -> None:
    """Somebody is removed by hand, and taken out of a group by a push that does not name them."""
    await staffed(one, "ada", "bob", "cyd")
    for name in ("ada", "bob", "cyd"):
        one.by_hand(one.hubspot.ui_remove, address(name))
    members = [{"value": one.client.ids["cyd"]}]
    await one.client.send("PUT", f"/Groups/{one.client.groups['Sales']}", {"displayName": "Sales", "members": members})
    await one.client.rename("bob")
    await asyncio.sleep(HOUR)


@case
async def a_record_is_mixed_up(one: Case) -> None:
    """A cache answers once with another person's record while somebody leaves."""
    await staffed(one, "ada", "bob", "cyd")
    one.hubspot.faults.add("mixed_up", method="GET", path=RECORDS)
    await deactivated(one, "ada")
    one.hubspot.faults.add("mixed_up", method="GET", path=RECORDS)
    await one.client.delete("bob")
    one.hubspot.faults.add("mixed_up", method="GET", path=RECORDS)
    await one.client.leave("Sales")


@case
async def a_pending_group_takes_another_name(one: Case) -> None:
    """A group with many members takes the name of a guarded one while it is pending."""
    names = [f"p{number}" for number in range(8)]
    for name in names:
        await one.client.provision(name)
    one.hubspot.add_role(PRIVILEGED)  # by hand, since the last comparison
    rule = one.hubspot.faults.outage(seconds=60.0)
    members = [{"value": one.client.ids[name]} for name in names]
    body = {"displayName": "Harmless", "externalId": "g", "members": members}
    sent = asyncio.create_task(one.client.send("POST", "/Groups", body))
    await asyncio.sleep(1)
    _, document = await one.client.send("GET", '/Groups?filter=displayName%20eq%20"Harmless"')
    for found in document.get("Resources") or ():
        await one.client.patch(f"/Groups/{found['id']}", {"op": "replace", "path": "displayName", "value": PRIVILEGED})
    one.hubspot.faults.clear(rule.id)
    await sent


@case
async def held_behind_many_that_wait(one: Case) -> None:
    """Privileged grants are held while many creations wait, and an operator approves them."""
    names = [f"p{number}" for number in range(8)]
    one.hubspot.add_role(PRIVILEGED)
    await one.restart()
    for name in names:
        await one.client.provision(name)
    await one.client.push(PRIVILEGED)
    rule = one.hubspot.faults.outage(seconds=HOUR)
    waiting: list[asyncio.Task[Any]] = [asyncio.create_task(one.client.create(f"q{number}")) for number in range(8)]
    await asyncio.sleep(60)
    members = [{"value": one.client.ids[name]} for name in names]
    path = f"/Groups/{one.client.groups[PRIVILEGED]}"
    waiting.append(asyncio.create_task(one.client.patch(path, {"op": "add", "path": "members", "value": members})))
    await asyncio.sleep(60)
    await one.approve()
    one.hubspot.faults.clear(rule.id)
    await asyncio.gather(*waiting)


@case
async def a_backup_is_restored(one: Case) -> None:
    """A backup from before somebody left is restored, and a group is pushed without those who are gone."""
    await staffed(one, "ada", "bob", "cyd")
    await one.save()
    await deactivated(one, "ada")
    await one.client.delete("bob")
    await one.restore()
    members = [{"value": one.client.ids["cyd"]}]
    await one.client.send("PUT", f"/Groups/{one.client.groups['Sales']}", {"displayName": "Sales", "members": members})


@case
async def members_of_nobody(one: Case) -> None:
    """A client takes over a group with members whom no client manages, and deletes another."""
    for name in ("mary", "zoe"):
        one.by_hand(one.hubspot.add_person, address(name), roles=["Sales"])
    one.by_hand(one.hubspot.add_person, address("eli"), roles=["Service"])
    await one.restart()
    await one.client.provision("ada")
    await one.client.push("Sales")
    body = {"displayName": "Sales", "members": [{"value": one.client.ids["ada"]}]}
    await one.client.send("PUT", f"/Groups/{one.client.groups['Sales']}", body)
    _, document = await one.client.send("GET", '/Groups?filter=displayName%20eq%20"Service"')
    for found in document.get("Resources") or ():
        await one.client.send("DELETE", f"/Groups/{found['id']}")


@case
async def an_address_is_given_to_somebody_else(one: Case) -> None:
    """An address is given to somebody else, who has another externalId and none of the old groups."""
    await staffed(one, "ada")
    await deactivated(one, "ada")
    await one.client.reuse("ada")


@case
async def made_and_ended_by_one_request(one: Case) -> None:
    """One Bulk request makes people, puts one into a group, and ends the access of both."""
    await one.client.push("Sales")
    join = {"op": "add", "path": "members", "value": [{"value": "bulkId:a"}]}
    leave = {"op": "replace", "path": "active", "value": False}
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": one.client.user("ada")},
        {"method": "PATCH", "path": f"/Groups/{one.client.groups['Sales']}", "data": _patch(join)},
        {"method": "PATCH", "path": "/Users/bulkId:a", "data": _patch(leave)},
        {"method": "POST", "path": "/Users", "bulkId": "b", "data": one.client.user("bob")},
        {"method": "DELETE", "path": "/Users/bulkId:b"},
    ]
    await one.client.send("POST", "/Bulk", {"schemas": [BULK_REQUEST], "Operations": operations})


@case
async def groups_and_people_while_nothing_answers(one: Case) -> None:
    """Without HubSpot a group is deleted and pushed again, and somebody who leaves joins another one and returns."""
    await staffed(one, "ada", "bob", "cyd")
    await one.client.push("Service")
    rule = one.hubspot.faults.outage(seconds=HOUR)
    members = [{"value": one.client.ids["bob"]}]
    again = {"displayName": "Sales", "externalId": "again", "members": members}
    join = {"op": "add", "path": "members", "value": [{"value": one.client.ids["cyd"]}]}
    waiting: list[asyncio.Task[Any]] = []
    for request in (
        one.client.drop("Sales"),
        one.client.send("POST", "/Groups", again),
        deactivated(one, "cyd"),
        one.client.patch(f"/Groups/{one.client.groups['Service']}", join),
    ):
        waiting.append(asyncio.create_task(request))
        await asyncio.sleep(2)
    one.hubspot.faults.clear(rule.id)
    await asyncio.gather(*waiting)
    await one.client.provision("cyd")


@case
async def the_wrong_data_centre(one: Case) -> None:
    """The wrong data centre, an edge and a gateway answer in their own words."""
    await staffed(one, "ada", "bob")
    for status, media in ((488, "json"), (403, "html"), (403, "plain"), (400, "html"), (408, "empty"), (410, "json")):
        one.hubspot.faults.add("edge", status=status, media=media, path="/(settings|scim)/", times=2)
        await one.client.rename("ada")
        await one.client.join("Sales")
    one.hubspot.faults.add("edge", status=421, path="/(settings|scim)/", times=3)
    await one.client.create("cyd")
    one.hubspot.faults.add("edge", status=403, media="html", method="DELETE", path="/settings/", times=3)
    await deactivated(one, "bob")
