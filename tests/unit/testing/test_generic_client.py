"""The simulated plain client speaks RFC 7644 with ``application/json``, and retries what may pass."""

from typing import Any, Literal
from urllib.parse import unquote

import httpx2
import pytest

from scim_bridge.testing.clients import GenericClient, Person, differences
from scim_bridge.testing.clients.directory import ENTERPRISE, GROUP, PATCH, USER
from tests.unit.testing.conftest import Peer, VirtualClock

ADA = Person(id="ada", user_name="ada@example.com", given_name="Ada", family_name="Lovelace", department="Analysis")
BOB = Person(id="bob", user_name="bob@example.com")


def client(http: httpx2.AsyncClient, **options: Any) -> GenericClient:
    """Return a client on virtual time that sends one request at a time."""
    return GenericClient(http, authorization="Bearer tok", clock=VirtualClock(), **{"concurrency": 1, **options})


async def provisioned(http: httpx2.AsyncClient, peer: Peer, *people: Person, **options: Any) -> GenericClient:
    """Return a client that has pushed people, and forget the requests."""
    generic = client(http, **options)
    for person in people:
        generic.assign(person)
    await generic.run_until_idle()
    peer.take()
    return generic


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """Return a PatchOp."""
    return {"schemas": [PATCH], "Operations": list(operations)}


async def test_the_connection_test_reads_one_user_and_one_group(http: httpx2.AsyncClient, peer: Peer) -> None:
    """A list of one is enough."""
    assert (await client(http).test_connection()).succeeded
    assert [path for _, path, _ in peer.sent()] == ["/Users?startIndex=1&count=1", "/Groups?startIndex=1&count=1"]


async def test_an_assignment_looks_for_the_name_then_the_address_then_creates(
    http: httpx2.AsyncClient, peer: Peer
) -> None:
    """Two filters, then a POST with what is known and nothing else."""
    generic = client(http)
    generic.assign(ADA)
    await generic.run_until_idle()
    (by_name, by_address, create) = peer.sent()
    assert unquote(by_name[1]) == '/Users?filter=userName eq "ada@example.com"'
    assert unquote(by_address[1]) == '/Users?filter=emails[type eq "work"].value eq "ada@example.com"'
    assert create == (
        "POST",
        "/Users",
        {
            "schemas": [USER, ENTERPRISE],
            "externalId": "ada",
            "userName": "ada@example.com",
            "active": True,
            "emails": [{"value": "ada@example.com", "type": "work", "primary": True}],
            "name": {"givenName": "Ada", "familyName": "Lovelace"},
            ENTERPRISE: {"department": "Analysis"},
        },
    )
    assert peer.requests[-1].headers["Content-Type"] == "application/json"
    assert differences(generic, peer.snapshot()) == []


@pytest.mark.parametrize("update", ["patch", "put"])
async def test_an_account_found_by_its_address_is_taken_over(
    http: httpx2.AsyncClient, peer: Peer, update: Literal["patch", "put"]
) -> None:
    """An account made by hand is changed, not doubled."""
    body = {"schemas": [USER], "userName": "a.lovelace", "emails": [{"value": "ada@example.com", "type": "work"}]}
    await http.post("/Users", json=body)
    generic = await provisioned(http, peer, ADA, update=update)
    assert list(peer.users()) == ["ada@example.com"]
    assert differences(generic, peer.snapshot()) == []


async def test_access_ends_with_a_patch_of_active(http: httpx2.AsyncClient, peer: Peer) -> None:
    """One replace with a path and a boolean; the way back is the same."""
    generic = await provisioned(http, peer, ADA)
    remote = generic.believed[ADA.id].remote_id
    generic.unassign(ADA)
    await generic.run_until_idle()
    operation = {"op": "replace", "path": "active", "value": False}
    assert peer.take() == [("PATCH", f"/Users/{remote}", patch(operation))]
    assert differences(generic, peer.snapshot()) == []
    generic.reassign(ADA)
    await generic.run_until_idle()
    assert peer.take()[-1][2] == patch(operation | {"value": True})
    assert differences(generic, peer.snapshot()) == []


async def test_access_ends_with_a_put_of_active(http: httpx2.AsyncClient, peer: Peer) -> None:
    """The whole account with active false."""
    generic = await provisioned(http, peer, ADA, update="put")
    generic.unassign(ADA)
    await generic.run_until_idle()
    ((method, _, body),) = peer.take()
    assert (method, body["active"], body["userName"]) == ("PUT", False, "ada@example.com")
    assert peer.users()["ada@example.com"]["active"] is False


async def test_access_ends_with_a_delete(http: httpx2.AsyncClient, peer: Peer) -> None:
    """The account is gone, and given anew at the next assignment."""
    generic = await provisioned(http, peer, ADA, deprovision="delete")
    generic.push_group("Staff", [ADA])
    await generic.run_until_idle()
    generic.unassign(ADA)
    await generic.run_until_idle()
    assert peer.users() == {}
    generic.reassign(ADA)
    await generic.run_until_idle()
    assert differences(generic, peer.snapshot()) == []


@pytest.mark.parametrize("update", ["patch", "put"])
async def test_an_update_reaches_the_account(
    http: httpx2.AsyncClient, peer: Peer, update: Literal["patch", "put"]
) -> None:
    """A changed, an added and a removed value."""
    generic = await provisioned(http, peer, ADA, update=update)
    generic.update(ADA, family_name="King", title="Countess", department="")
    await generic.run_until_idle()
    assert [method for method, _, _ in peer.take()] == [update.upper()]
    stored = peer.users()["ada@example.com"]
    assert (stored["name"]["familyName"], stored["title"]) == ("King", "Countess")
    assert not (stored.get(ENTERPRISE) or {}).get("department")


async def test_a_group_is_listed_created_and_filled(http: httpx2.AsyncClient, peer: Peer) -> None:
    """The list of groups is read, then POST, then a PATCH that adds."""
    generic = await provisioned(http, peer, ADA)
    group = generic.push_group("Staff", [ADA])
    await generic.run_until_idle()
    remote, ada = generic.believed_groups[group.id].remote_id, generic.believed[ADA.id].remote_id
    assert peer.take() == [
        ("GET", "/Groups?startIndex=1&count=100", None),
        ("POST", "/Groups", {"schemas": [GROUP], "displayName": "Staff"}),
        ("PATCH", f"/Groups/{remote}", patch({"op": "add", "path": "members", "value": [{"value": ada}]})),
    ]
    assert differences(generic, peer.snapshot()) == []


async def test_a_group_that_is_there_is_taken_with_its_members(http: httpx2.AsyncClient, peer: Peer) -> None:
    """What it holds already is not sent; what it holds too much is removed."""
    first = await provisioned(http, peer, ADA, BOB)
    first.push_group("Staff", [ADA])
    await first.run_until_idle()
    second = await provisioned(http, peer, ADA, BOB)
    second.push_group("Staff", [BOB])
    await second.run_until_idle()
    assert [method for method, _, _ in peer.take()] == ["GET", "PATCH", "PATCH"]
    assert differences(second, peer.snapshot()) == []


async def test_a_group_is_renamed_and_deleted(http: httpx2.AsyncClient, peer: Peer) -> None:
    """PATCH of displayName; DELETE."""
    generic = await provisioned(http, peer, ADA)
    generic.push_group("Staff", [ADA])
    await generic.run_until_idle()
    peer.take()
    generic.rename_group("Staff", "Everybody")
    await generic.run_until_idle()
    assert peer.take()[-1][2] == patch({"op": "replace", "path": "displayName", "value": "Everybody"})
    assert len(peer.groups()["Everybody"]["members"]) == 1
    generic.delete_group("Everybody")
    await generic.run_until_idle()
    assert peer.groups() == {}


@pytest.mark.parametrize(("status", "retry_after"), [(429, "7"), (503, "7"), (500, None), (502, None), (None, None)])
async def test_what_may_pass_is_sent_again(
    http: httpx2.AsyncClient, peer: Peer, status: int | None, retry_after: str | None
) -> None:
    """429 and 503 as they say, the rest after 1, 2, 4, … seconds."""
    peer.fail("POST", "/Users", status, times=2, retry_after=retry_after)
    generic = client(http, timeout=10)
    generic.assign(ADA)
    await generic.run_until_idle()
    waits = [7, 7] if retry_after else [1, 2]
    lost = 10 if status is None else 0
    assert peer.posts() == [0, lost + waits[0], lost + waits[0] + lost + waits[1]]
    assert generic.tasks == []


@pytest.mark.parametrize("status", [400, 401, 403, 409, 501])
async def test_a_refusal_is_final(http: httpx2.AsyncClient, peer: Peer, status: int) -> None:
    """It waits for an administrator."""
    peer.fail("POST", "/Users", status)
    generic = client(http)
    generic.assign(ADA)
    await generic.run_until_idle()
    assert [task.status for task in generic.tasks] == [status]
    generic.admin_retry()
    await generic.run_until_idle()
    assert differences(generic, peer.snapshot()) == []


async def test_a_retry_after_zero_is_now(http: httpx2.AsyncClient, peer: Peer) -> None:
    """Zero is an integer."""
    peer.fail("POST", "/Users", 429, retry_after="0")
    generic = client(http)
    generic.assign(ADA)
    await generic.run_until_idle()
    assert peer.posts() == [0, 0]
