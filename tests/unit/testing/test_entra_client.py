"""The simulated Entra ID sends what Entra ID is documented or recorded to send, in cycles, and gives up as it does."""

import asyncio
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest

from scim_bridge.testing.clients import EntraClient, Person, differences
from scim_bridge.testing.clients.directory import ENTERPRISE, GROUP, PATCH, USER
from scim_bridge.testing.clients.entra_dialect import ADSCIM_GROUP
from tests.unit.testing.conftest import Peer, VirtualClock

ADA = Person(id="0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", user_name="ada@example.com", given_name="Ada", family_name="L")
BOB = Person(id="1b21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", user_name="bob@example.com", given_name="Bob", family_name="R")
MATCH_ADA = "/Users?filter=userName%20eq%20%22ada%40example.com%22"
NOTHING = {"totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": []}


def client(http: httpx2.AsyncClient, **options: Any) -> EntraClient:
    """Return an Entra ID job on virtual time that sends one request at a time."""
    return EntraClient(http, authorization="Bearer tok", clock=VirtualClock(), **{"concurrency": 1, **options})


async def provisioned(http: httpx2.AsyncClient, peer: Peer, *people: Person, **options: Any) -> EntraClient:
    """Return a job that has pushed people, and forget the requests."""
    entra = client(http, **options)
    for person in people:
        entra.assign(person)
    await entra.run_until_idle()
    peer.take()
    return entra


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """Return a PatchOp."""
    return {"schemas": [PATCH], "Operations": list(operations)}


# -- Requests -------------------------------------------------------------------------------------------------------


async def test_the_connection_test_looks_for_a_random_person_and_group(http: httpx2.AsyncClient, peer: Peer) -> None:
    """E1: two filters that find nothing must be 200."""
    assert (await client(http).test_connection()).succeeded
    (users, groups) = peer.sent()
    assert users[1].startswith("/Users?filter=userName%20eq%20%22")
    assert groups[1].startswith("/Groups?filter=displayName%20eq%20%22")
    assert peer.requests[0].headers["Accept"] == "application/scim+json"


async def test_a_404_fails_the_connection_test(http: httpx2.AsyncClient, peer: Peer) -> None:
    """E1: "not found" for a filter is no answer."""
    peer.fail("GET", "/Users", 404)
    assert not (await client(http).test_connection()).succeeded


async def test_an_assignment_matches_then_creates(http: httpx2.AsyncClient, peer: Peer) -> None:
    """E2 and E3, body A."""
    entra = client(http)
    entra.assign(ADA)
    await entra.run_until_idle()
    assert peer.sent() == [
        ("GET", MATCH_ADA, None),
        (
            "POST",
            "/Users",
            {
                "schemas": [USER, ENTERPRISE],
                "externalId": ADA.id,
                "userName": "ada@example.com",
                "active": True,
                "emails": [{"primary": True, "type": "work", "value": "ada@example.com"}],
                "meta": {"resourceType": "User"},
                "name": {"formatted": "Ada L", "familyName": "L", "givenName": "Ada"},
                "roles": [],
            },
        ),
    ]
    assert peer.requests[1].headers["Content-Type"] == "application/scim+json; charset=utf-8"
    assert differences(entra, peer.snapshot()) == []


async def test_the_older_documented_body_has_nulls_and_a_misspelt_urn(http: httpx2.AsyncClient, peer: Peer) -> None:
    """E3, body B."""
    entra = client(http, legacy_bodies=True)
    entra.assign(ADA)
    await entra.run_until_idle()
    body = peer.sent()[1][2]
    assert body["schemas"] == [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0User"]
    assert {name for name, value in body.items() if value is None} == {
        "addresses",
        "phoneNumbers",
        "preferredLanguage",
        "title",
        "department",
        "manager",
    }


@pytest.mark.parametrize(
    ("match", "query"),
    [
        ("externalId", f"externalId%20eq%20%22{ADA.id}%22"),
        ("emails", "emails%5Btype%20eq%20%22work%22%5D.value%20eq%20%22ada%40example.com%22"),
    ],
)
async def test_the_matching_attribute_is_the_admins_choice(
    http: httpx2.AsyncClient, peer: Peer, match: str, query: str
) -> None:
    """E2: externalId, or the work address."""
    await provisioned(http, peer, ADA)
    second = client(http, match=match)
    second.assign(ADA)
    await second.run_until_idle()
    assert peer.take() == [("GET", f"/Users?filter={query}", None)]
    assert second.believed[ADA.id].remote_id == peer.users()["ada@example.com"]["id"]


async def test_an_update_without_the_flag_is_one_replace_each(http: httpx2.AsyncClient, peer: Peer) -> None:
    """E4: capital op names, a path in every operation, Add for what was not there."""
    entra = await provisioned(http, peer, ADA)
    entra.update(ADA, given_name="Augusta", email="ada@new.example.com", title="Countess", employee_number="7")
    await entra.run_until_idle()
    (_, (method, _, body)) = peer.take()
    assert method == "PATCH"
    assert body == patch(
        {"op": "Add", "path": "title", "value": "Countess"},
        {"op": "Add", "path": f"{ENTERPRISE}:employeeNumber", "value": "7"},
        {"op": "Replace", "path": "name.givenName", "value": "Augusta"},
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "ada@new.example.com"},
    )
    assert differences(entra, peer.snapshot()) == []


async def test_an_update_with_the_flag_is_the_address_then_one_replace_without_path(
    http: httpx2.AsyncClient, peer: Peer
) -> None:
    """E4: small op names, dotted and URN-qualified keys in one value."""
    ada = replace(ADA, title="Ms")
    entra = await provisioned(http, peer, ada, rfc_patch=True)
    entra.update(ada, given_name="Augusta", title="Countess", email="ada@new.example.com")
    await entra.run_until_idle()
    assert peer.take()[1][2] == patch(
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "ada@new.example.com"},
        {"op": "replace", "value": {"name.givenName": "Augusta", "title": "Countess"}},
    )
    assert differences(entra, peer.snapshot()) == []


@pytest.mark.parametrize(
    ("flag", "operation"),
    [
        (False, {"op": "Replace", "path": "active", "value": "False"}),
        (True, {"op": "replace", "path": "active", "value": False}),
    ],
)
async def test_an_unassignment_disables_in_the_tenants_dialect(
    http: httpx2.AsyncClient, peer: Peer, flag: bool, operation: dict[str, Any]
) -> None:
    """E5: a string without the flag, a boolean with it."""
    entra = await provisioned(http, peer, ADA, rfc_patch=flag)
    entra.unassign(ADA)
    await entra.run_until_idle()
    (match, disable) = peer.take()
    assert match == ("GET", MATCH_ADA, None)
    assert disable == ("PATCH", f"/Users/{entra.believed[ADA.id].remote_id}", patch(operation))
    assert differences(entra, peer.snapshot()) == []


async def test_on_demand_provisioning_ignores_the_flag(http: httpx2.AsyncClient, peer: Peer) -> None:
    """One tenant sends both dialects."""
    entra = await provisioned(http, peer, ADA, rfc_patch=True)
    entra.unassign(ADA)
    await entra.provision_on_demand(ADA)
    assert peer.take()[1][2] == patch({"op": "Replace", "path": "active", "value": "False"})
    entra.reassign(ADA)
    await entra.run_until_idle()
    assert peer.take()[1][2] == patch({"op": "replace", "path": "active", "value": True})


async def test_a_deleted_person_is_deleted(http: httpx2.AsyncClient, peer: Peer) -> None:
    """E8: DELETE; and a 404 ends it too."""
    entra = await provisioned(http, peer, ADA, BOB)
    await http.delete(f"/Users/{entra.believed[BOB.id].remote_id}")
    peer.take()
    entra.delete(ADA)
    entra.delete(BOB)
    await entra.run_until_idle()
    assert [method for method, _, _ in peer.take()] == ["DELETE", "DELETE"]
    assert peer.users() == {}
    assert entra.believed == {}


async def test_a_renamed_person_is_found_by_the_link(http: httpx2.AsyncClient, peer: Peer) -> None:
    """When the filter on the new name finds nothing, the linked account is read and renamed."""
    entra = await provisioned(http, peer, ADA)
    remote_id = entra.believed[ADA.id].remote_id
    entra.update(ADA, user_name="augusta@example.com", email="ada@example.com")
    await entra.run_until_idle()
    (_, read, change) = peer.take()
    assert read == ("GET", f"/Users/{remote_id}", None)
    assert change[2] == patch({"op": "Replace", "path": "userName", "value": "augusta@example.com"})
    assert list(peer.users()) == ["augusta@example.com"]


async def test_a_lost_account_is_created_again(http: httpx2.AsyncClient, peer: Peer) -> None:
    """Neither the filter nor the link finds it: it is new."""
    entra = await provisioned(http, peer, ADA)
    await http.delete(f"/Users/{entra.believed[ADA.id].remote_id}")
    peer.take()
    entra.update(ADA, title="Countess")
    await entra.run_until_idle()
    assert [method for method, _, _ in peer.take()] == ["GET", "GET", "POST"]
    assert differences(entra, peer.snapshot()) == []


async def test_a_manager_is_looked_up_then_added_as_a_string(http: httpx2.AsyncClient, peer: Peer) -> None:
    """E6 and E7: the reference check, then the recorded form; taken away with an empty value."""
    peer.fail("PATCH", "/Users", 200, times=2, body={})  # the peer takes no string for a manager
    peer.fail("GET", "/Users?filter=id eq", 200, body=NOTHING)
    entra = await provisioned(http, peer, BOB, ADA)
    ada = entra.update(ADA, manager=BOB.id)
    await entra.run_until_idle()
    remote, manager = (entra.believed[one.id].remote_id for one in (ADA, BOB))
    (_, check, add) = peer.take()
    assert unquote(check[1]) == f'/Users?filter=id eq "{remote}" and manager eq "{manager}"&attributes=id'
    operation = {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": manager}
    assert add == ("PATCH", f"/Users/{remote}", patch(operation))
    entra.update(ada, manager="")
    await entra.run_until_idle()
    assert peer.take()[-1][2] == patch({"op": "Replace", "path": f"{ENTERPRISE}:manager", "value": ""})


async def test_a_manager_may_come_in_the_documented_array_form(http: httpx2.AsyncClient, peer: Peer) -> None:
    """E6: path manager, one element with $ref; taken away with Remove."""
    peer.fail("GET", "/Users?filter=id eq", 200, body=NOTHING)
    entra = await provisioned(http, peer, BOB, ADA, manager_form="array")
    ada = entra.update(ADA, manager=BOB.id)
    await entra.run_until_idle()
    manager = entra.believed[BOB.id].remote_id
    reference = {"$ref": f"http://peer/v2/Users/{manager}", "value": manager}
    assert peer.take()[-1][2] == patch({"op": "Add", "path": "manager", "value": [reference]})
    entra.update(ada, manager="")
    await entra.run_until_idle()
    assert peer.take()[-1][2] == patch({"op": "Remove", "path": "manager"})


async def test_a_manager_who_is_linked_later_is_sent_then(http: httpx2.AsyncClient, peer: Peer) -> None:
    """A reference to somebody unknown is left out, and looked at again."""
    peer.fail("PATCH", "/Users", 200, body={})
    peer.fail("GET", "/Users?filter=id eq", 200, body=NOTHING)
    entra = await provisioned(http, peer, replace(ADA, manager=BOB.id))
    entra.assign(BOB)
    await entra.run_until_idle()
    assert peer.take()[-1][2]["Operations"][0]["value"] == entra.believed[BOB.id].remote_id


# -- Groups ---------------------------------------------------------------------------------------------------------


async def test_a_group_is_matched_without_members_created_without_members_and_filled_one_by_one(
    http: httpx2.AsyncClient, peer: Peer
) -> None:
    """E9, E10, E12: body C, then one PATCH for each member."""
    entra = await provisioned(http, peer, ADA, BOB)
    group = entra.push_group("Staff", [ADA, BOB])
    await entra.run_until_idle()
    remote = entra.believed_groups[group.id].remote_id
    ada, bob = (entra.believed[one.id].remote_id for one in (ADA, BOB))
    body = {
        "schemas": [GROUP, ADSCIM_GROUP],
        "externalId": group.id,
        "displayName": "Staff",
        "meta": {"resourceType": "Group"},
    }
    assert peer.take() == [
        ("GET", "/Groups?excludedAttributes=members&filter=displayName%20eq%20%22Staff%22", None),
        ("POST", "/Groups", body),
        *(
            (
                "PATCH",
                f"/Groups/{remote}",
                patch({"op": "Add", "path": "members", "value": [{"$ref": None, "value": one}]}),
            )
            for one in (ada, bob)
        ),
    ]
    assert differences(entra, peer.snapshot()) == []


@pytest.mark.parametrize("flag", [False, True])
async def test_a_member_is_removed_and_a_group_renamed_in_the_tenants_dialect(
    http: httpx2.AsyncClient, peer: Peer, flag: bool
) -> None:
    """E10, E11, E13: with a value without the flag, with a filter in the path with it."""
    entra = await provisioned(http, peer, ADA, rfc_patch=flag)
    group = entra.push_group("Staff", [ADA])
    await entra.run_until_idle()
    peer.take()
    entra.remove_member("Staff", ADA)
    entra.rename_group("Staff", "Everybody")
    await entra.run_until_idle()
    remote, ada = entra.believed_groups[group.id].remote_id, entra.believed[ADA.id].remote_id
    rename = {"op": "replace" if flag else "Replace", "path": "displayName", "value": "Everybody"}
    remove = (
        {"op": "remove", "path": f'members[value eq "{ada}"]'}
        if flag
        else {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": ada}]}
    )
    assert peer.take() == [
        ("GET", f"/Groups/{remote}?excludedAttributes=members", None),
        ("PATCH", f"/Groups/{remote}", patch(rename)),
        ("PATCH", f"/Groups/{remote}", patch(remove)),
    ]
    assert not peer.groups()["Everybody"].get("members")


async def test_the_older_membership_check_goes_before_each_change(http: httpx2.AsyncClient, peer: Peer) -> None:
    """E7: a filter on id and members, and no PATCH when it is as wanted."""
    entra = await provisioned(http, peer, ADA, check_members=True)
    group = entra.push_group("Staff", [ADA])
    await entra.run_until_idle()
    remote, ada = entra.believed_groups[group.id].remote_id, entra.believed[ADA.id].remote_id
    (_, _, check, add) = peer.take()
    assert unquote(check[1]) == f'/Groups?filter=id eq "{remote}" and members eq "{ada}"&attributes=id'
    assert add[0] == "PATCH"
    entra.believed_groups[group.id].members.clear()
    entra.add_member("Staff", ADA)
    await entra.run_until_idle()
    assert "PATCH" not in {method for method, _, _ in peer.take()}


async def test_members_of_one_group_are_changed_at_the_same_time(http: httpx2.AsyncClient, peer: Peer) -> None:
    """Parallel PATCHes to one group occur."""
    people = [Person(f"p{n}", f"user{n}@example.com") for n in range(6)]
    entra = await provisioned(http, peer, *people)
    parallel = EntraClient(http, authorization="Bearer tok", clock=VirtualClock(), concurrency=6)
    parallel.people, parallel.believed = entra.people, entra.believed
    parallel.push_group("Staff", people)
    peer.fail("PATCH", "/Groups", None, times=6, committed=True)
    await parallel.run_cycle()
    patches = [at for at, one in zip(peer.times, peer.requests, strict=True) if one.method == "PATCH"]
    assert len(patches) == 6
    assert len(set(patches)) == 1


async def test_a_deleted_group_is_deleted(http: httpx2.AsyncClient, peer: Peer) -> None:
    """E14."""
    entra = await provisioned(http, peer, ADA)
    entra.push_group("Staff", [ADA])
    await entra.run_until_idle()
    peer.take()
    entra.delete_group("Staff")
    await entra.run_until_idle()
    assert [method for method, _, _ in peer.take()] == ["DELETE"]
    assert peer.groups() == {}


async def test_a_lost_group_is_created_and_filled_again(http: httpx2.AsyncClient, peer: Peer) -> None:
    """When neither the link nor the name finds it, it is new, and so are all its memberships."""
    entra = await provisioned(http, peer, ADA, BOB)
    group = entra.push_group("Staff", [ADA])
    await entra.run_until_idle()
    await http.delete(f"/Groups/{entra.believed_groups[group.id].remote_id}")
    entra.add_member("Staff", BOB)
    await entra.run_until_idle()
    assert differences(entra, peer.snapshot()) == []
    assert len(peer.groups()["Staff"]["members"]) == 2


async def test_a_group_renamed_while_its_name_is_sent_is_renamed_again(http: httpx2.AsyncClient, peer: Peer) -> None:
    """The belief is what was sent, not what came to be wanted meanwhile."""
    entra = await provisioned(http, peer, ADA)
    entra.push_group("Staff")
    peer.fail("POST", "/Groups", 429, retry_after="5")
    cycle = asyncio.ensure_future(entra.run_until_idle())
    await asyncio.sleep(1)
    entra.rename_group("Staff", "Everybody")
    await cycle
    assert list(peer.groups()) == ["Everybody"]
