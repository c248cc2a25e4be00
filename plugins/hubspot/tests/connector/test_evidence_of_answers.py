"""What HubSpot's own answer to a write is evidence of: what a person is given, and never what they lose."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from plugins.hubspot.tests.connector.portals import ADA, World, groups_of, person, role, world
from scim_bridge.errors import RemoteUnavailableError
from scim_bridge_hubspot.emulator import Role

BETA = "2026-09-beta"


def stocked(*held: str, **switches: Any) -> tuple[World, str, dict[str, Role]]:
    """Return a portal with Ada in it, her id, and the permission sets by name."""
    portal = world(**switches)
    sets = {name: portal.hubspot.add_role(name) for name in ("Sales", "Ops", "Boss")}
    portal.hubspot.add_team("EMEA")
    portal.hubspot.add_seat_pool("Core Seat", 5)
    ada = portal.hubspot.add_person(ADA, roles=held, first_name="Ada", last_name="Byron")
    return portal, ada.id, sets


def after_the_put(portal: World) -> list[str]:
    """Return what was asked about single people since the first PUT, by method."""
    calls = portal.calls(None, r"/settings/users/[^/]+/\d+$")
    methods = [call.method for call in calls]
    return methods[methods.index("PUT") + 1 :]


async def set_groups(portal: World, remote_id: str, *groups: str, **settings: Any) -> set[str]:
    """Set the groups of a person, and return those that the answer tells."""
    async with portal.connector(**settings) as connector:
        return groups_of(await connector.set_user_groups(remote_id, person(), groups))


async def test_a_grant_is_done_by_the_answer_to_its_put() -> None:
    """The answer is complete and equal to what was sent: nobody looks again."""
    portal, ada, sets = stocked()
    assert await set_groups(portal, ada, role(sets["Sales"])) == {role(sets["Sales"])}
    assert (after_the_put(portal), portal.account().roles) == ([], ("Sales",))


async def test_a_set_that_gives_way_to_another_is_nobodys_loss() -> None:
    """Who joins a second group leaves none, though the permission set is another one."""
    portal, ada, sets = stocked("Sales")
    await set_groups(portal, ada, *map(role, (sets["Sales"], sets["Ops"])), precedence=("Ops",))
    assert (after_the_put(portal), portal.account().roles) == ([], ("Ops",))


async def test_names_are_done_by_the_answer_to_their_put() -> None:
    """Names give no access, and what the person holds is sent as it is."""
    portal, ada, _ = stocked("Sales")
    async with portal.connector() as connector:
        await connector.update_user(ada, person(), person(given="Augusta"))
    assert (after_the_put(portal), portal.account().first_name) == ([], "Augusta")


@pytest.mark.parametrize("wanted", ["Ops", None])
async def test_a_loss_is_read_and_never_believed(wanted: str | None) -> None:
    """HubSpot says that the set of a group that was left is gone, and it is not: nobody is told that it is."""
    portal, ada, sets = stocked("Sales")
    portal.hubspot.faults.add("unkept", method="PUT", times=None)
    groups = [role(sets[wanted])] if wanted else []
    with pytest.raises(RemoteUnavailableError, match="does not show it"):
        await set_groups(portal, ada, *groups)
    assert "GET" in after_the_put(portal)
    portal.hubspot.faults.clear()
    await set_groups(portal, ada, *groups)
    assert portal.account().roles == ((wanted,) if wanted else ())


async def test_the_end_of_an_access_is_read_of_who_holds_no_set_too() -> None:
    """To be given the set of stripped people is a loss: HubSpot says that it was done, and it was not (seed 1451)."""
    portal, ada, _ = stocked()
    portal.hubspot.add_role("No access")
    portal.hubspot.faults.add("unkept", method="PUT", times=None)
    async with portal.connector(deprovision="strip", strip={"permission_set": "No access"}) as connector:
        with pytest.raises(RemoteUnavailableError, match="does not show it"):
            await connector.deactivate_user(ada, person())
        assert (await connector.get_user(ada)).resource.active is True
        portal.hubspot.faults.clear()
        await connector.deactivate_user(ada, person())
    assert portal.account().roles == ("No access",)


@pytest.mark.parametrize("alias", [{"secondary_teams": ["EMEA"]}, {"primary_team": "EMEA"}, {"seats": ["Core Seat"]}])
async def test_a_lost_team_or_seat_is_read_too(alias: dict[str, Any]) -> None:
    """Whoever leaves an alias and joins a group loses something in the same PUT."""
    portal, ada, sets = stocked()
    settings = {"groups": {"Alias": alias}, "api_version": BETA}
    await set_groups(portal, ada, "alias:Alias", **settings)
    assert after_the_put(portal) == []
    portal.hubspot.faults.add("unkept", method="PUT", times=None)
    with pytest.raises(RemoteUnavailableError, match=r"does not show it: .*other (teams|seats)"):
        await set_groups(portal, ada, role(sets["Sales"]), **settings)


async def test_a_privileged_set_is_read_though_it_is_allowed() -> None:
    """Of what makes people powerful, nothing is taken on trust."""
    portal, ada, sets = stocked()
    portal.hubspot.faults.add("unkept", method="PUT", times=None)
    with pytest.raises(RemoteUnavailableError, match="does not show it"):
        await set_groups(portal, ada, role(sets["Boss"]), privileged=("Boss",), allow_privileged=("Boss",))


SPOILT: dict[str, Callable[[dict[str, Any]], object]] = {
    "nothing": lambda _record: None,
    "no sets": lambda record: {name: value for name, value in record.items() if name != "roleIds"},
    "no teams": lambda record: {name: value for name, value in record.items() if name != "secondaryTeamIds"},
    "no person": lambda _record: {"status": "ok"},
    "other sets": lambda record: {**record, "roleIds": [*record["roleIds"], "77"]},
    "other teams": lambda record: {**record, "secondaryTeamIds": ["78"]},
    "another id": lambda record: {**record, "id": "99999999"},
    "another address": lambda record: {**record, "email": "bob@corp.example"},
    "a Super Admin": lambda record: {**record, "superAdmin": True},
}


class Spoiling(httpx2.AsyncBaseTransport):
    """Passes calls on, and spoils the answers to PUTs."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, spoil: Callable[[dict[str, Any]], object]) -> None:
        self._inner = inner
        self._spoil = spoil

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass a call on."""
        answer = await self._inner.handle_async_request(request)
        if request.method != "PUT":
            return answer
        await answer.aread()
        spoilt = self._spoil(answer.json())
        return httpx2.Response(200) if spoilt is None else httpx2.Response(200, json=spoilt)


@pytest.mark.parametrize("spoilt", SPOILT)
async def test_an_answer_that_shows_something_else_is_no_evidence(spoilt: str) -> None:
    """What is incomplete, about somebody else, or differs is followed by a look, as if nothing had been answered."""
    portal, ada, sets = stocked()
    async with portal.connector(api=Spoiling(portal.hubspot.transport(), SPOILT[spoilt])) as connector:
        answer = await connector.set_user_groups(ada, person(), [role(sets["Sales"])])
    assert groups_of(answer) == {role(sets["Sales"])}
    assert after_the_put(portal) == ["GET"]
