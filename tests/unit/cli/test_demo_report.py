"""The demonstration succeeds only when everything is as it was said to be."""

import io
from dataclasses import replace
from random import Random
from typing import Any

import httpx2
import pytest
from rich.console import Console

from scim_bridge.cli.demo.people import people_of
from scim_bridge.cli.demo.portal import Call, Members, Portal
from scim_bridge.cli.demo.report import Ending, Outcome, outcome, show
from scim_bridge.cli.demo.story import Chapter, Tenant, Trouble, assign_people
from scim_bridge.testing.clients import AdminTask, Change, GenericClient, RemoteAccount, RemoteSnapshot

ADMIN = {"id": "1", "active": True, "roles": [], "first_name": "Grace", "last_name": "Hopper", "super_admin": True}
CALLS = [Call(1, "GET", "/", 200, committed=False, fault=""), Call(2, "POST", "/", 201, committed=True, fault="")]


def tenant_of() -> Tenant:
    """Return an identity provider that wants four people, three of them in Sales."""
    people = people_of("okta", 4, Random(1))
    provider = GenericClient(httpx2.AsyncClient(base_url="http://127.0.0.1:1"), authorization="Bearer none")
    tenant = Tenant("okta", "Okta", provider, Portal("http://127.0.0.1:1", "none"), people, ("Sales",))
    assign_people(tenant, Random(1))
    provider.push_group("Sales", people[:3])
    return tenant


def members_of(tenant: Tenant) -> dict[str, dict[str, Any]]:
    """Return HubSpot's members as the identity provider wants them, with a Super Admin beside them."""
    sales = tenant.provider.group("Sales").members
    return {"grace@corp.example": dict(ADMIN)} | {
        person.user_name: {
            "id": f"id of {person.id}",
            "active": True,
            "roles": ["Sales"] if person.id in sales else [],
            "first_name": person.given_name,
            "last_name": person.family_name,
            "super_admin": False,
        }
        for person in tenant.people
    }


def served_as(members: Members) -> RemoteSnapshot:
    """Return a bridge that serves what HubSpot has."""
    sales = [email for email, member in members.items() if "Sales" in member["roles"]]
    return RemoteSnapshot(
        {email: RemoteAccount(member["active"]) for email, member in members.items()}, {"Sales": sales}
    )


def ended(tenant: Tenant, after: Members, *, bridge: RemoteSnapshot | None = None) -> Outcome:
    """Return how a connection ended, which began with a Super Admin and the first person."""
    before = {email: members_of(tenant)[email] for email in ("grace@corp.example", tenant.people[0].user_name)}
    return outcome(tenant, before, after, bridge or served_as(after), CALLS)


@pytest.fixture
def tenant() -> Tenant:
    """Return an identity provider."""
    return tenant_of()


@pytest.fixture
def good(tenant: Tenant) -> Ending:
    """Return an ending in which everything is as it was said to be."""
    story = [Chapter("Once", assign_people, [Trouble("okta", "500", {"kind": "error"}, fired=1)], kill=True)]
    return Ending([ended(tenant, members_of(tenant))], story, kills=1, down_seconds=2.0, refusal="403: never")


def shown(ending: Ending) -> str:
    """Return what is printed."""
    console = Console(file=io.StringIO(), width=140)
    show(console, ending)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_an_identical_hubspot_succeeds(good: Ending) -> None:
    """The table shows both sides alike, the calls, and what happened."""
    assert good.succeeded
    text = shown(good)
    assert "4 = 4" in text
    assert "3 = 3" in text
    assert "Super Admins untouched" in text
    assert "Differences" not in text


def test_a_fault_that_never_fired_fails(good: Ending) -> None:
    """A demonstration in which nothing failed shows nothing."""
    good.troubles[0].fired = 0
    assert not good.succeeded
    assert "never" in shown(good)


@pytest.mark.parametrize("change", [{"kills": 0}, {"refusal": None}])
def test_what_should_have_happened_and_did_not_fails(good: Ending, change: dict[str, Any]) -> None:
    """The bridge has to be killed, and a Super Admin refused."""
    assert not replace(good, **change).succeeded


def test_a_task_left_to_an_administrator_fails(good: Ending, tenant: Tenant) -> None:
    """A push that was given up is a failure, though HubSpot may look right."""
    tenant.provider.tasks.append(AdminTask(tenant.people[1].id, Change.UPDATE, 400, "refused"))
    assert not good.succeeded


def test_a_changed_super_admin_fails(good: Ending, tenant: Tenant) -> None:
    """Super Admins must have what they had."""
    after = members_of(tenant)
    after["grace@corp.example"]["roles"] = ["Sales"]
    ending = replace(good, outcomes=[ended(tenant, after)])
    assert not ending.succeeded
    assert "Super Admins CHANGED" in shown(ending)


def test_who_differs_is_named_with_the_reason(good: Ending, tenant: Tenant) -> None:
    """Person by person: what was wanted, what HubSpot has, and where it went wrong."""
    wanted, after = members_of(tenant), members_of(tenant)
    lost, renamed, refused = (person.user_name for person in tenant.people[1:])
    after[lost]["roles"] = []
    after[renamed]["last_name"] = "Wrong"
    del after[refused]
    tenant.provider.tasks.append(AdminTask(tenant.people[3].id, Change.ASSIGN, 409, "taken"))
    found = ended(tenant, after, bridge=served_as({**wanted, lost: after[lost]}))
    reasons = {(one.difference.subject, one.difference.aspect): one.reason for one in found.differences}
    assert reasons[lost, "member of Sales"].startswith("the bridge has it like HubSpot")
    assert reasons[renamed, "name.familyName"].startswith("the bridge has it as wanted")
    assert reasons[refused, "access"] == "the push failed: 409 taken"
    assert len(reasons) == 3
    ending = replace(good, outcomes=[found])
    assert not ending.succeeded
    assert "Wrong" in shown(ending)
    assert "4 ≠ 3" in shown(ending)


def test_who_had_an_account_before_is_adopted_only_with_the_same_id(tenant: Tenant) -> None:
    """An account that was made anew is not adopted."""
    after = members_of(tenant)
    assert ended(tenant, after).adopted == [tenant.people[0].user_name]
    after[tenant.people[0].user_name]["id"] = "another"
    assert ended(tenant, after).adopted == []
