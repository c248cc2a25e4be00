"""HubSpot's limit is spent on changes: what the whole bridge asks for while nothing is wrong, counted."""

from pathlib import Path

from plugins.hubspot.tests.bridge.bridged import Bridged, bridged
from plugins.hubspot.tests.connector.portals import World, world

PEOPLE = 12


async def spent_comparing(portal: World, bridge: Bridged) -> int:
    """Compare, and return how many calls that took."""
    before = portal.hubspot.calls.total
    comparison = await bridge.compare()
    assert not [drift for drift in comparison.drifts if drift.drift != "unmanaged"]
    return portal.hubspot.calls.total - before


async def test_people_are_let_in_by_two_calls_each_and_said_again_by_none(tmp_path: Path) -> None:
    """Created one by one and put into a group, as Okta does; then everything is pushed again, and nothing is asked."""
    portal = world()
    portal.hubspot.add_role("Sales")
    names = [f"p{number}@corp.example" for number in range(PEOPLE)]
    async with bridged(tmp_path, portal, rate_limit=190) as bridge:
        await bridge.compare()
        before = portal.hubspot.calls.total
        people = [await bridge.user(name) for name in names]
        group = await bridge.group("Sales", *people)
        assert portal.hubspot.calls.total - before <= 2.1 * PEOPLE
        assert {portal.hubspot.snapshot()[name].roles for name in names} == {("Sales",)}

        before = portal.hubspot.calls.total
        for one in people:
            await bridge.active(one, active=True)
        await bridge.members(group, "replace", *people)
        assert portal.hubspot.calls.total == before


async def test_a_comparison_costs_a_call_for_a_page_of_accounts(tmp_path: Path) -> None:
    """A page has a hundred, and ten here. What comes on top is the same for any number of accounts."""
    portal = world(page_size_cap=10)
    portal.hubspot.add_role("Sales")
    costs = {}
    async with bridged(tmp_path, portal, rate_limit=190) as bridge:
        for number in (10, 30):
            for one in range(len(portal.hubspot.members), number):
                portal.hubspot.add_person(f"p{one}@corp.example", roles=["Sales"])
            await bridge.compare()  # whoever is seen for the first time is read once
            costs[number] = await spent_comparing(portal, bridge)
    assert costs[10] <= 4
    assert costs[30] - costs[10] == 2
