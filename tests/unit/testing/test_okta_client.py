"""The simulated Okta sends what Okta is documented or recorded to send, in its order, and gives up as Okta does."""

from typing import Any, Literal

import httpx2
import pytest

from scim_bridge.testing.clients import BelievedUser, OktaClient, Person, differences
from scim_bridge.testing.clients.directory import GROUP, PATCH, USER
from tests.unit.testing.conftest import Peer, VirtualClock

Kind = Literal["catalog", "wizard"]

ADA = Person(id="00u1", user_name="ada@example.com", given_name="Ada", family_name="Lovelace")
BOB = Person(id="00u2", user_name="bob@example.com", given_name="Bob", family_name="Roe")
MATCH_ADA = "/Users?filter=userName%20eq%20%22ada%40example.com%22&startIndex=1&count=100"
MATCH_STAFF = "/Groups?filter=displayName%20eq%20%22Staff%22&startIndex=1&count=100"


def client(http: httpx2.AsyncClient, kind: Kind = "catalog", **options: Any) -> OktaClient:
    """Return an Okta on virtual time that sends one request at a time."""
    options = {"concurrency": 1, **options}
    return OktaClient(http, authorization="Bearer tok", kind=kind, clock=VirtualClock(), **options)


async def provisioned(http: httpx2.AsyncClient, peer: Peer, *people: Person, kind: Kind = "catalog") -> OktaClient:
    """Return an Okta that has pushed people, and forget the requests."""
    okta = client(http, kind)
    for person in people:
        okta.assign(person)
    await okta.run_until_idle()
    peer.take()
    return okta


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """Return a PatchOp."""
    return {"schemas": [PATCH], "Operations": list(operations)}


async def test_the_connection_test_reads_a_page_of_users_then_of_groups(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O1: two lists are read, with Okta's own headers."""
    assert (await client(http).test_connection()).succeeded
    assert peer.sent() == [
        ("GET", "/Users?startIndex=1&count=2", None),
        ("GET", "/Groups?startIndex=1&count=100", None),
    ]
    headers = peer.requests[0].headers
    assert headers["Authorization"] == "Bearer tok"
    assert headers["Accept"] == "application/scim+json"
    assert headers["Accept-Charset"] == "utf-8"
    assert headers["User-Agent"] == "Okta SCIM Client 1.0.0"
    assert "Content-Type" not in headers


@pytest.mark.parametrize(
    "body",
    [
        {"totalResults": 0, "startIndex": 1, "itemsPerPage": 0},
        {"totalResults": "0", "startIndex": 1, "itemsPerPage": 0, "Resources": []},
        {"totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": None},
    ],
)
async def test_a_list_without_resources_or_with_numbers_as_strings_fails_the_test(
    http: httpx2.AsyncClient, peer: Peer, body: dict[str, Any]
) -> None:
    """O1: the envelope is read as strictly as Okta reads it."""
    peer.fail("GET", "/Users", 200, body=body)
    assert not (await client(http).test_connection()).succeeded


async def test_an_assignment_matches_then_creates(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O3 and O4: a filter on userName, then the whole body with placeholder password and empty groups."""
    okta = client(http)
    okta.assign(ADA)
    await okta.run_until_idle()
    (match, create) = peer.sent()
    assert match == ("GET", MATCH_ADA, None)
    body = create[2]
    assert len(body.pop("password")) == 8
    assert (*create[:2], body) == (
        "POST",
        "/Users",
        {
            "schemas": [USER],
            "userName": "ada@example.com",
            "name": {"givenName": "Ada", "familyName": "Lovelace"},
            "emails": [{"primary": True, "value": "ada@example.com", "type": "work"}],
            "displayName": "Ada Lovelace",
            "locale": "en-US",
            "externalId": "00u1",
            "groups": [],
            "active": True,
        },
    )
    assert peer.requests[1].headers["Content-Type"] == "application/scim+json; charset=utf-8"
    assert okta.believed[ADA.id] == BelievedUser(peer.users()["ada@example.com"]["id"], True, ADA.attributes)
    assert differences(okta, peer.snapshot()) == []


async def test_a_match_is_linked_and_gets_the_profile(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O3 and O6: an account that is there is read and replaced, never created again."""
    await provisioned(http, peer, ADA)
    second = client(http)
    second.assign(Person(id="00u9", user_name="ADA@example.com", given_name="Augusta", family_name="King"))
    await second.run_until_idle()
    assert [method for method, _, _ in peer.take()] == ["GET", "GET", "PUT"]
    (stored,) = peer.users().values()
    assert stored["externalId"] == "00u9"
    assert stored["name"] == {"givenName": "Augusta", "familyName": "King"}


async def test_a_profile_push_sends_back_what_it_read(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O6: the PUT carries id, meta and what else GET returned, with the changes."""
    okta = await provisioned(http, peer, ADA)
    remote_id = okta.believed[ADA.id].remote_id
    await http.patch(f"/Users/{remote_id}", json=patch({"op": "add", "path": "nickName", "value": "Countess"}))
    peer.take()
    okta.update(ADA, family_name="King")
    await okta.run_until_idle()
    (read, put) = peer.take()
    assert read == ("GET", f"/Users/{remote_id}", None)
    assert put[:2] == ("PUT", f"/Users/{remote_id}")
    assert put[2]["id"] == remote_id
    assert put[2]["meta"]["resourceType"] == "User"
    assert put[2]["nickName"] == "Countess"
    assert put[2]["groups"] == []
    assert peer.users()["ada@example.com"]["name"]["familyName"] == "King"


async def test_a_catalog_application_deactivates_with_patch(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O7: PATCH without a path."""
    okta = await provisioned(http, peer, ADA)
    remote_id = okta.believed[ADA.id].remote_id
    okta.unassign(ADA)
    await okta.run_until_idle()
    assert peer.take() == [("PATCH", f"/Users/{remote_id}", patch({"op": "replace", "value": {"active": False}}))]
    assert peer.users()["ada@example.com"]["active"] is False
    assert not okta.believed[ADA.id].active
    assert differences(okta, peer.snapshot()) == []


async def test_a_wizard_application_deactivates_with_put(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O8: GET and PUT with active false."""
    okta = await provisioned(http, peer, ADA, kind="wizard")
    okta.unassign(ADA)
    await okta.run_until_idle()
    (read, put) = peer.take()
    assert read[0] == "GET"
    assert (put[0], put[2]["active"], put[2]["userName"]) == ("PUT", False, "ada@example.com")
    assert peer.users()["ada@example.com"]["active"] is False


async def test_a_wizard_deactivation_may_carry_a_reduced_set_of_attributes(
    http: httpx2.AsyncClient, peer: Peer
) -> None:
    """O8: only the core attributes are sent when so told."""
    okta = client(http, "wizard", reduced_put=True)
    okta.assign(ADA)
    await okta.run_until_idle()
    peer.take()
    okta.unassign(ADA)
    await okta.run_until_idle()
    assert peer.take()[-1][2].keys() == {"schemas", "id", "active", "userName", "emails", "name"}


async def test_a_catalog_application_reactivates_with_patch(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O9: PATCH active true on the link, then the profile."""
    okta = await provisioned(http, peer, ADA)
    okta.unassign(ADA)
    okta.reassign(ADA)
    await okta.run_until_idle()
    sent = peer.take()
    assert [method for method, _, _ in sent] == ["PATCH", "PATCH", "GET", "PUT"]
    assert sent[1][2] == patch({"op": "replace", "value": {"active": True}})
    assert differences(okta, peer.snapshot()) == []


async def test_a_wizard_application_reactivates_with_put(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O9: GET and PUT with active true, and never a PATCH."""
    okta = await provisioned(http, peer, ADA, kind="wizard")
    okta.unassign(ADA)
    okta.reassign(ADA)
    await okta.run_until_idle()
    assert [method for method, _, _ in peer.take()] == ["GET", "PUT", "GET", "PUT"]
    assert differences(okta, peer.snapshot()) == []


async def test_users_are_never_deleted(http: httpx2.AsyncClient, peer: Peer) -> None:
    """The end of access leaves the account there, inactive."""
    okta = await provisioned(http, peer, ADA)
    okta.unassign(ADA)
    await okta.run_until_idle()
    assert "DELETE" not in {method for method, _, _ in peer.take()}
    assert list(peer.users()) == ["ada@example.com"]


async def test_an_import_walks_pages_of_a_hundred(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O2: startIndex 1, 101, 201 until totalResults."""
    okta = await provisioned(http, peer, *[Person(f"p{n}", f"user{n}@example.com") for n in range(205)])
    assert len({user["id"] for user in await okta.import_users()}) == 205
    assert await okta.import_groups() == []
    assert [path for _, path, _ in peer.take()] == [
        "/Users?startIndex=1&count=100",
        "/Users?startIndex=101&count=100",
        "/Users?startIndex=201&count=100",
        "/Groups?startIndex=1&count=100",
    ]


# -- Groups ---------------------------------------------------------------------------------------------------------


async def test_a_catalog_group_is_matched_created_and_filled(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O10, O11, O13: filter, POST without members, the name with its id, then the whole list."""
    okta = await provisioned(http, peer, ADA)
    okta.push_group("Staff", [ADA])
    await okta.run_until_idle()
    group = okta.believed_groups[okta.group("Staff").id].remote_id
    ada = okta.believed[ADA.id].remote_id
    assert peer.take() == [
        ("GET", MATCH_STAFF, None),
        ("POST", "/Groups", {"schemas": [GROUP], "displayName": "Staff", "members": []}),
        ("PATCH", f"/Groups/{group}", patch({"op": "replace", "value": {"id": group, "displayName": "Staff"}})),
        (
            "PATCH",
            f"/Groups/{group}",
            patch({"op": "replace", "path": "members", "value": [{"value": ada, "display": "ada@example.com"}]}),
        ),
    ]
    assert differences(okta, peer.snapshot()) == []


async def test_a_change_of_members_is_the_name_then_one_delta(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O11 and O12: removals by filter come before the additions, in one PATCH."""
    okta = await provisioned(http, peer, ADA, BOB)
    okta.push_group("Staff", [ADA])
    await okta.run_until_idle()
    peer.take()
    okta.set_members("Staff", [BOB])
    await okta.run_until_idle()
    group = okta.believed_groups[okta.group("Staff").id].remote_id
    ada, bob = (okta.believed[one.id].remote_id for one in (ADA, BOB))
    assert peer.take() == [
        ("PATCH", f"/Groups/{group}", patch({"op": "replace", "value": {"id": group, "displayName": "Staff"}})),
        (
            "PATCH",
            f"/Groups/{group}",
            patch(
                {"op": "remove", "path": f'members[value eq "{ada}"]'},
                {"op": "add", "path": "members", "value": [{"value": bob, "display": "bob@example.com"}]},
            ),
        ),
    ]
    assert differences(okta, peer.snapshot()) == []


async def test_push_now_on_an_empty_group_sends_an_empty_list(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O13: ``replace members []`` empties the group."""
    okta = await provisioned(http, peer, ADA)
    okta.push_group("Staff", [ADA])
    await okta.run_until_idle()
    peer.take()
    okta.group("Staff").members = set()
    okta.push_now("Staff")
    await okta.run_until_idle()
    assert peer.take()[-1][2] == patch({"op": "replace", "path": "members", "value": []})
    assert not peer.groups()["Staff"].get("members")


async def test_a_wizard_group_is_replaced_with_put(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O14: displayName and members, whose display is null."""
    okta = await provisioned(http, peer, ADA, kind="wizard")
    okta.push_group("Staff", [ADA])
    okta.rename_group("Staff", "Everybody")
    await okta.run_until_idle()
    group = okta.believed_groups[okta.group("Everybody").id].remote_id
    ada = okta.believed[ADA.id].remote_id
    body = {"schemas": [GROUP], "id": group, "displayName": "Everybody", "members": [{"value": ada, "display": None}]}
    sent = peer.take()
    assert sent[-1] == ("PUT", f"/Groups/{group}", body)
    assert "PATCH" not in {method for method, _, _ in sent}
    assert differences(okta, peer.snapshot()) == []


async def test_a_rename_keeps_the_members(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O11: the new name is sent with the id inside the value."""
    okta = await provisioned(http, peer, ADA)
    okta.push_group("Staff", [ADA])
    await okta.run_until_idle()
    peer.take()
    okta.rename_group("Staff", "Everybody")
    await okta.run_until_idle()
    group = okta.believed_groups[okta.group("Everybody").id].remote_id
    assert peer.take() == [
        ("PATCH", f"/Groups/{group}", patch({"op": "replace", "value": {"id": group, "displayName": "Everybody"}}))
    ]
    assert len(peer.groups()["Everybody"]["members"]) == 1


async def test_an_unlinked_group_is_deleted(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O15: DELETE."""
    okta = await provisioned(http, peer, ADA)
    okta.push_group("Staff", [ADA])
    await okta.run_until_idle()
    peer.take()
    okta.delete_group("Staff")
    await okta.run_until_idle()
    assert [method for method, _, _ in peer.take()] == ["DELETE"]
    assert peer.groups() == {}
    assert okta.believed_groups == {}


async def test_a_member_that_is_linked_later_is_pushed_then(http: httpx2.AsyncClient, peer: Peer) -> None:
    """Okta can only name members it has a link of; the membership follows the account."""
    okta = client(http)
    okta.push_group("Staff", [ADA])
    await okta.run_until_idle()
    okta.assign(ADA)
    await okta.run_until_idle()
    assert differences(okta, peer.snapshot()) == []


async def test_a_change_of_many_members_is_sent_in_pieces(http: httpx2.AsyncClient, peer: Peer) -> None:
    """No PATCH carries more than 50 operations."""
    people = [Person(f"p{n:03}", f"user{n}@example.com") for n in range(120)]
    okta = await provisioned(http, peer, *people)
    okta.push_group("Staff", people)
    await okta.run_until_idle()
    peer.take()
    okta.set_members("Staff", [])
    await okta.run_until_idle()
    assert [len(body["Operations"]) for _, _, body in peer.take()] == [1, 50, 50, 20]
    assert differences(okta, peer.snapshot()) == []
