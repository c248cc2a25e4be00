"""What a group gave is remembered until it is taken, whatever the configuration says by then."""

from pathlib import Path
from typing import Any

import pytest

from plugins.hubspot.tests.bridge.bridged import Bridged, bridged
from plugins.hubspot.tests.connector.portals import World, world
from plugins.hubspot.tests.connector.test_deprovisioning import MODES, NO_ACCESS, settings_of
from scim_bridge.errors import PendingError, RefusedError
from scim_bridge.provisioning.drift import DriftClass
from scim_bridge_hubspot.emulator import Account, Fault, FaultKind

ADA, BOB = "ada@corp.example", "bob@corp.example"
ALIAS = "Sales EMEA"
GRANT = {"permission_set": "Sales Manager", "primary_team": "EMEA", "secondary_teams": ["Pilot"], "seats": ["Paid"]}
BASE: dict[str, Any] = {"api_version": "2026-09-beta", "fallback_seat": "View"}


def stocked() -> World:
    """Return a portal with sets, teams and seats, and Ada, to whom somebody gave the team "By hand"."""
    portal = world()
    hubspot = portal.hubspot
    for name in ("Sales", "Sales Manager", "Marketing", NO_ACCESS):
        hubspot.add_role(name)
    for name in ("EMEA", "APAC", "Pilot"):
        hubspot.add_team(name)
    for name in ("Paid", "Other", "View"):
        hubspot.add_seat_pool(name, 50)
    by_hand = hubspot.add_team("By hand")
    hubspot.add_person(ADA, secondary_teams=[by_hand], seats=["View"], first_name="Ada", last_name="Byron")
    hubspot.add_person(BOB, seats=["View"], first_name="Bob", last_name="Boole")
    return portal


def settings(portal: World, grant: dict[str, Any] | None = None, mode: str = "remove", **more: Any) -> dict[str, Any]:
    """Return settings with the alias as it is, or without it."""
    groups = {} if grant is None else {ALIAS: grant}
    return {**BASE, **settings_of(portal, mode), "groups": groups, **more}


def ada(portal: World) -> Account:
    """Return what Ada has in HubSpot."""
    return portal.hubspot.snapshot()[ADA]


def teams(portal: World) -> set[str]:
    """Return Ada's teams."""
    account = ada(portal)
    return {*account.secondary_teams, *([account.primary_team] if account.primary_team else [])}


async def in_the_alias(bridge: Bridged, *others: str) -> tuple[str, str]:
    """Have Ada in the alias and in these groups; return her id and the alias' group."""
    one = await bridge.user(ADA)
    group = await bridge.group(ALIAS, one)
    for other in others:
        await bridge.group(other, one)
    return one, group


async def shown(bridge: Bridged, group: str) -> set[str]:
    """Compare, see that a second comparison finds nothing, and return the members that a read shows."""
    await bridge.compare()
    again = await bridge.compare()
    assert not [drift for drift in again.drifts if drift.drift is not DriftClass.UNMANAGED]
    return await bridge.shown(group)


CHANGED = {"permission_set": "Sales Manager", "primary_team": "APAC", "seats": ["Other"]}
LESS = {"permission_set": "Sales Manager", "secondary_teams": ["Pilot"]}
OTHERS = pytest.mark.parametrize("others", [(), ("Marketing",)], ids=["alone", "shadowed"])


@OTHERS
@pytest.mark.parametrize(
    ("grant", "has", "seats"),
    [(CHANGED, {"APAC", "By hand"}, {"Other", "View"}), (LESS, {"Pilot", "By hand"}, {"View"})],
    ids=["others", "less"],
)
async def test_what_an_alias_no_longer_gives_is_taken(
    tmp_path: Path, others: tuple[str, ...], grant: dict[str, Any], has: set[str], seats: set[str]
) -> None:
    """The next comparison after the restart gives what it gives now, and leaves what hands gave."""
    portal = stocked()
    async with bridged(tmp_path, portal, **settings(portal, GRANT)) as bridge:
        _, group = await in_the_alias(bridge, *others)
        assert (teams(portal), set(ada(portal).seats)) == ({"EMEA", "Pilot", "By hand"}, {"Paid", "View"})
    async with bridged(tmp_path, portal, **settings(portal, grant)) as bridge:
        assert await shown(bridge, group) == {ADA}

    assert (teams(portal), set(ada(portal).seats)) == (has, seats)
    assert ada(portal).roles == (others or ("Sales Manager",))


@OTHERS
async def test_what_an_alias_gave_is_taken_when_it_is_gone(tmp_path: Path, others: tuple[str, ...]) -> None:
    """The group stays one that gives nothing: its people lose what it gave, and can leave it, and nobody can join."""
    portal = stocked()
    async with bridged(tmp_path, portal, **settings(portal, GRANT)) as bridge:
        one, group = await in_the_alias(bridge, *others)
        two = await bridge.user(BOB)
    async with bridged(tmp_path, portal, **settings(portal)) as bridge:
        assert await shown(bridge, group) == {ADA}
        assert (teams(portal), set(ada(portal).seats), ada(portal).roles) == ({"By hand"}, {"View"}, others)

        with pytest.raises(RefusedError, match="no longer maps: alias:Sales EMEA"):
            await bridge.members(group, "add", two)
        assert await bridge.shown(group) == {ADA}
        await bridge.members(group, "remove", one)
        assert await shown(bridge, group) == set()
        await bridge.delete_group(group)
        assert not (await bridge.compare()).drifts
        with pytest.raises(RefusedError, match='HubSpot has nothing named "Sales EMEA"'):
            await bridge.group(ALIAS, one)


@OTHERS
@pytest.mark.parametrize("grant", [None, CHANGED, LESS], ids=["gone", "others", "less"])
async def test_a_removal_takes_what_was_given_then(
    tmp_path: Path, others: tuple[str, ...], grant: dict[str, Any] | None
) -> None:
    """Also before anything was compared: the client is answered when all of it is gone."""
    portal = stocked()
    async with bridged(tmp_path, portal, **settings(portal, GRANT)) as bridge:
        one, group = await in_the_alias(bridge, *others)
    async with bridged(tmp_path, portal, **settings(portal, grant)) as bridge:
        await bridge.members(group, "remove", one)
        assert (teams(portal), set(ada(portal).seats), ada(portal).roles) == ({"By hand"}, {"View"}, others)
        assert await shown(bridge, group) == set()


async def test_what_was_taken_by_hand_from_a_shadowed_alias_is_given_back(tmp_path: Path) -> None:
    """Its set gives way to another one, its teams and its seat do not: the comparison and ``explain`` agree."""
    portal = stocked()
    async with bridged(tmp_path, portal, **settings(portal, GRANT)) as bridge:
        await in_the_alias(bridge, "Marketing")
        membership = portal.hubspot.member(ADA).membership
        assert membership is not None
        membership.primary_team_id, membership.secondary_team_ids, membership.seat_names = None, [], ["View"]

        compared = await bridge.compare()

        assert [(one.drift, one.subject) for one in compared.drifts if one.subject] == [
            (DriftClass.MISSING, ("alias:Sales EMEA",))
        ]
        assert (teams(portal), set(ada(portal).seats)) == ({"EMEA", "Pilot"}, {"Paid", "View"})
        assert not (await bridge.compare()).drifts


@pytest.mark.parametrize("mode", MODES)
async def test_nobody_comes_back_with_what_an_alias_gave(tmp_path: Path, mode: str) -> None:
    """It went while they were away; what hands gave comes back."""
    portal = stocked()
    async with bridged(tmp_path, portal, **settings(portal, GRANT, mode)) as bridge:
        one, group = await in_the_alias(bridge)
        await bridge.active(one, False)
    async with bridged(tmp_path, portal, **settings(portal, None, mode)) as bridge:
        await bridge.active(one, True)
        assert (teams(portal), set(ada(portal).seats) - {"View"}) == ({"By hand"}, set())
        assert await shown(bridge, group) == {ADA}


async def test_what_an_alias_gave_stays_while_a_name_of_it_is_not_there(tmp_path: Path) -> None:
    """A team that was renamed in HubSpot is nobody's loss; who leaves the alias loses it all the same."""
    portal = stocked()
    async with bridged(tmp_path, portal, **settings(portal, GRANT)) as bridge:
        one, group = await in_the_alias(bridge)
        sales = await bridge.group("Sales")
    emea = next(team for team in portal.hubspot.teams.values() if team.name == "EMEA")
    emea.name = "Europe"
    async with bridged(tmp_path, portal, **settings(portal, GRANT)) as bridge:
        assert await shown(bridge, group) == {ADA}
        await bridge.members(sales, "add", one)
        assert teams(portal) == {"Europe", "Pilot", "By hand"}
        await bridge.members(group, "remove", one)
        assert (teams(portal), set(ada(portal).seats), ada(portal).roles) == ({"By hand"}, {"View"}, ("Sales",))


async def test_a_set_that_is_not_there_keeps_no_team_that_its_alias_no_longer_names(tmp_path: Path) -> None:
    """What is kept for a name that is not there is of that name's kind: the set stays, teams and seats are taken."""
    portal = stocked()
    async with bridged(tmp_path, portal, **settings(portal, GRANT)) as bridge:
        _, group = await in_the_alias(bridge)
    portal.hubspot.ui_rename("Sales Manager", "Lead")
    async with bridged(tmp_path, portal, **settings(portal, {"permission_set": "Sales Manager"})) as bridge:
        assert await shown(bridge, group) == {ADA}

    assert (ada(portal).roles, teams(portal), set(ada(portal).seats)) == (("Lead",), {"By hand"}, {"View"})


async def test_teams_and_seats_that_are_groups_no_more_are_taken(tmp_path: Path) -> None:
    """As aliases: the setting that made them groups is gone, what they gave is remembered."""
    portal = stocked()
    on: dict[str, Any] = {"teams_as_groups": "secondary", "seats_as_groups": True, "fallback_seat": "View"}
    async with bridged(tmp_path, portal, **settings(portal, **on)) as bridge:
        one = await bridge.user(BOB)
        groups = [await bridge.group(name, one) for name in ("EMEA", "Paid")]
        account = portal.hubspot.snapshot()[BOB]
        assert (account.secondary_teams, account.seats) == (("EMEA",), ("Paid",))
    async with bridged(tmp_path, portal, **settings(portal)) as bridge:
        await bridge.compare()
        account = portal.hubspot.snapshot()[BOB]
        assert (account.secondary_teams, account.seats) == ((), ("View",))
        for group in groups:
            await bridge.members(group, "remove", one)
        assert not (await bridge.compare()).drifts


@pytest.mark.parametrize("kind", ["drop_after", "drop_before"])
async def test_what_was_given_without_an_answer_is_taken_all_the_same(tmp_path: Path, kind: FaultKind) -> None:
    """The bridge dies before it learns whether a grant took effect, and the alias is gone when it starts again."""
    portal = stocked()
    async with bridged(tmp_path, portal, budget=0.5, **settings(portal, GRANT)) as bridge:
        one = await bridge.user(ADA)
        portal.hubspot.faults.add(Fault(kind, "PUT"))
        portal.hubspot.faults.add(
            Fault("drop_before", path="^/settings/users/", nth=1 + (kind == "drop_after"), times=None)
        )
        with pytest.raises(PendingError):
            await bridge.group(ALIAS, one)
    assert ("EMEA" in teams(portal)) == (kind == "drop_after")
    portal.hubspot.faults.clear()
    async with bridged(tmp_path, portal, **settings(portal)) as bridge:
        await bridge.compare()
        await bridge.compare()

    assert (teams(portal), set(ada(portal).seats), ada(portal).roles) == ({"By hand"}, {"View"}, ())


async def test_whoever_held_an_alias_by_hand_is_not_given_what_it_becomes(tmp_path: Path) -> None:
    """Bob had its team before any client knew him, and is in the alias for that; Ada was put into it by a client."""
    portal = stocked()
    bob = portal.hubspot.member(BOB).membership
    assert bob is not None
    bob.secondary_team_ids = [next(id_ for id_, team in portal.hubspot.teams.items() if team.name == "EMEA")]
    async with bridged(tmp_path, portal, **settings(portal, {"secondary_teams": ["EMEA"]})) as bridge:
        await bridge.compare()
        await bridge.user(BOB)
        _, group = await in_the_alias(bridge)
        assert await shown(bridge, group) == {ADA, BOB}
    async with bridged(tmp_path, portal, **settings(portal, GRANT)) as bridge:
        assert await shown(bridge, group) == {ADA}

    assert ada(portal).roles == ("Sales Manager",)
    account = portal.hubspot.snapshot()[BOB]
    assert (account.roles, account.secondary_teams, account.seats) == ((), ("EMEA",), ("View",))


@pytest.mark.parametrize("change", ["renamed", "deleted"])
async def test_who_is_found_in_an_alias_stays_there_when_a_team_of_it_is_not(tmp_path: Path, change: str) -> None:
    """Bob had its teams before any client knew him: he keeps them, and can be put into another group."""
    portal = stocked()
    ids = {team.name: id_ for id_, team in portal.hubspot.teams.items()}
    bob = portal.hubspot.member(BOB).membership
    assert bob is not None
    bob.secondary_team_ids = [ids["EMEA"], ids["APAC"]]
    grants = {"All": {"secondary_teams": ["EMEA", "APAC"]}, "One": {"secondary_teams": ["EMEA"]}}
    aliases: dict[str, Any] = {"groups": grants, "teams_as_groups": "secondary"}
    async with bridged(tmp_path, portal, **{**settings(portal), **aliases}) as bridge:
        await bridge.compare()
        one = await bridge.user(BOB)
    if change == "renamed":
        portal.hubspot.ui_rename("APAC", "Asia")
    else:
        portal.hubspot.ui_delete("APAC")
    async with bridged(tmp_path, portal, **{**settings(portal), **aliases}) as bridge:
        if change == "renamed":  # else a client is there before the comparison
            await bridge.compare()
        await bridge.group("Marketing", one)
        await bridge.compare()

    account = portal.hubspot.snapshot()[BOB]
    left = {"EMEA", "Asia"} if change == "renamed" else {"EMEA"}
    assert (account.roles, set(account.secondary_teams)) == (("Marketing",), left)
