"""What the demonstration's administrators do, and what counts as a trouble that happened."""

from random import Random

import httpx2
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.cli.demo import story
from scim_bridge.cli.demo.people import BY_HAND, people_of
from scim_bridge.cli.demo.portal import Call, Portal
from scim_bridge.cli.demo.story import Tenant, Trouble
from scim_bridge.testing.clients import GenericClient

NOWHERE = httpx2.AsyncClient(base_url="http://127.0.0.1:1/scim/v2")
PORTAL = Portal("http://127.0.0.1:1", "none")
GROUPS = ("Sales", "Marketing", "Support", "Read Only")


def tenant_of(number: int, groups: int, seed: int) -> Tenant:
    """Return an Okta of the demonstration that has pushed nothing yet."""
    people = people_of("okta", number, Random(seed))
    provider = GenericClient(NOWHERE, authorization="Bearer none")
    return Tenant("okta", "Okta", provider, PORTAL, people, GROUPS[:groups])


def call(*, fault: str = "", method: str = "POST", status: int | None = None) -> Call:
    """Return a call."""
    return Call(1, method, "/", status, committed=False, fault=fault)


@given(seed=st.integers(0, 10_000), number=st.integers(4, 60), groups=st.integers(2, 4))
def test_nobody_is_ever_in_two_groups(seed: int, number: int, groups: int) -> None:
    """HubSpot's API gives a person one permission set, so two groups could not be compared."""
    tenant, random = tenant_of(number, groups, seed), Random(seed)
    story.assign_people(tenant, random)
    story.push_groups(tenant, random)
    first = [group.members for group in tenant.provider.groups.values()]
    assert sum(map(len, first)) == len(set().union(*first)) == number
    story.move_members(tenant, random)
    second = [group.members for group in tenant.provider.groups.values()]
    assert sum(map(len, second)) == len(set().union(*second)) == number - groups
    assert first != second


@given(seed=st.integers(0, 10_000), number=st.integers(4, 60))
def test_everybody_has_a_name_of_their_own_and_one_has_an_account_already(seed: int, number: int) -> None:
    """People are told apart by userName, and a seed repeats them."""
    people = people_of("okta", number, Random(seed))
    assert len({person.user_name for person in people}) == len({person.id for person in people}) == number
    assert people[0] is BY_HAND["okta"]
    assert people == people_of("okta", number, Random(seed))


def test_those_who_come_back_are_some_of_those_who_left() -> None:
    """At the end some people are active again and some are not."""
    tenant, random = tenant_of(20, 2, seed=1), Random(1)
    story.assign_people(tenant, random)
    story.deactivate_people(tenant, random)
    left = {person.id for person in tenant.people} - tenant.provider.assigned
    story.reactivate_people(tenant, random)
    stayed_away = {person.id for person in tenant.people} - tenant.provider.assigned
    assert len(left) == 5
    assert 0 < len(stayed_away) < len(left)
    assert stayed_away < left


def test_a_trouble_is_counted_by_kind_method_and_status() -> None:
    """An outage is not mistaken for a single failure, nor a read for a write."""
    outage = Trouble("okta", "down", {"kind": "error", "status": 503})
    refusal = Trouble("okta", "500", {"kind": "error", "method": "DELETE"})
    dropped = Trouble("okta", "dropped", {"kind": "drop_before"})
    calls = [
        call(fault="error", status=503, method="GET"),
        call(fault="error", status=503, method="DELETE"),
        call(fault="error", status=500, method="DELETE"),
        call(fault="error", status=500, method="PUT"),
        call(fault="drop_before"),
        call(status=201),
    ]
    story.count(calls, [outage, refusal, dropped])
    assert [outage.fired, refusal.fired, dropped.fired] == [2, 1, 1]


def test_the_story_makes_hubspot_fail_and_kills_the_bridge() -> None:
    """The demonstration has failures in the middle, not only before or after."""
    told = story.chapters(outage_seconds=6.0)
    troubled = [bool(chapter.troubles or chapter.kill) for chapter in told]
    assert sum(chapter.kill for chapter in told) == 2
    assert any(troubled[1:-1])
    statuses = {trouble.fault.get("status") for chapter in told for trouble in chapter.troubles}
    kinds = {trouble.fault["kind"] for chapter in told for trouble in chapter.troubles}
    assert {500, 503} <= statuses
    assert {"rate_ten_secondly", "drop_before", "drop_after", "half"} <= kinds
