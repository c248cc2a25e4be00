"""The simulated Entra ID job: cycles, escrow, quarantine, 429 and time-outs."""

import httpx2
import pytest

from scim_bridge.testing.clients import Person, Schedule, differences
from scim_bridge.testing.clients.cycles import QuarantinedError
from tests.unit.testing.conftest import Peer, VirtualClock
from tests.unit.testing.test_entra_client import ADA, BOB, client, patch, provisioned

HOUR = 3600.0
DAY = 24 * HOUR


async def test_what_failed_is_tried_next_cycle_then_after_6_12_and_24_hours(
    http: httpx2.AsyncClient, peer: Peer
) -> None:
    """Errors are retried at falling frequency, daily in the end."""
    peer.fail("POST", "/Users", 503, times=6)
    entra = client(http)
    entra.assign(ADA)
    await entra.run_until_idle()
    waits = [after - before for before, after in zip(peer.posts(), peer.posts()[1:], strict=False)]
    assert waits == [40 * 60, 6 * HOUR, 12 * HOUR, 24 * HOUR, 24 * HOUR, 24 * HOUR]
    assert entra.tasks == []
    assert differences(entra, peer.snapshot()) == []


async def test_after_28_days_an_entry_is_dropped_and_the_job_is_off(http: httpx2.AsyncClient, peer: Peer) -> None:
    """A person is forgotten until an administrator restarts provisioning."""
    entra = await provisioned(http, peer, ADA)
    peer.fail("PATCH", "/Users", 503, times=1000)
    entra.unassign(ADA)
    await entra.run_until_idle()
    assert 28 * DAY <= VirtualClock().now() <= 29 * DAY
    assert entra.disabled
    assert [(task.subject, task.status) for task in entra.tasks] == [(ADA.id, 503)]
    assert differences(entra, peer.snapshot()) != []
    peer.faults.clear()
    entra.admin_retry()
    await entra.run_until_idle()
    assert not entra.disabled
    assert differences(entra, peer.snapshot()) == []


async def test_a_failure_holds_up_nobody_else(http: httpx2.AsyncClient, peer: Peer) -> None:
    """One cycle looks at everybody that is due."""
    peer.fail("POST", "/Users", 500)
    entra = client(http)
    entra.assign(ADA)
    entra.assign(BOB)
    await entra.run_cycle()
    assert set(peer.users()) == {"bob@example.com"}


async def test_a_401_quarantines_the_job_at_once(http: httpx2.AsyncClient, peer: Peer) -> None:
    """Nothing more is sent in that cycle, and cycles come once a day."""
    peer.fail("GET", "/Users", 401)
    entra = client(http)
    entra.assign(ADA)
    entra.assign(BOB)
    await entra.run_cycle()
    assert len(peer.requests) == 1
    assert entra.quarantined_since == 0
    await entra.run_until_idle()
    assert entra.quarantined_since is None
    assert differences(entra, peer.snapshot()) == []


async def test_a_quarantine_costs_a_day(http: httpx2.AsyncClient, peer: Peer) -> None:
    """The next cycle is a day away."""
    peer.fail("GET", "/Users", 401)
    entra = client(http)
    entra.assign(ADA)
    await entra.run_until_idle()
    assert peer.times == [0, DAY, DAY]


async def test_a_404_for_a_list_quarantines_the_job(http: httpx2.AsyncClient, peer: Peer) -> None:
    """A filter without a match is 200 and an empty list, never 404."""
    peer.fail("GET", "/Users", 404)
    entra = client(http)
    entra.assign(ADA)
    await entra.run_cycle()
    assert entra.quarantined_since == 0


async def test_on_demand_provisioning_shows_why_it_stopped(http: httpx2.AsyncClient, peer: Peer) -> None:
    """A refused token reaches the administrator, and the next cycle tries again."""
    entra = client(http)
    entra.assign(ADA)
    peer.fail("GET", "/Users", 401)
    with pytest.raises(QuarantinedError):
        await entra.provision_on_demand(ADA)
    await entra.run_until_idle()
    assert differences(entra, peer.snapshot()) == []
    assert entra.tasks == []


async def test_somebody_never_linked_is_skipped_when_leaving_the_scope(http: httpx2.AsyncClient, peer: Peer) -> None:
    """The creation's answer was lost, so nobody disables the account."""
    peer.fail("POST", "/Users", 500, committed=True)
    entra = client(http)
    entra.assign(ADA)
    await entra.run_cycle()
    peer.take()
    entra.unassign(ADA)
    await entra.run_until_idle()
    assert peer.take() == []
    assert [one.found for one in differences(entra, peer.snapshot())] == ["active"]


async def test_a_quarantine_of_28_days_ends_the_job(http: httpx2.AsyncClient, peer: Peer) -> None:
    """Off, until an administrator restarts it."""
    peer.fail("GET", "/Users", 401, times=1000)
    entra = client(http)
    entra.assign(ADA)
    await entra.run_until_idle()
    assert entra.disabled
    assert VirtualClock().now() == 28 * DAY


async def test_most_of_a_big_cycle_failing_quarantines_the_job(http: httpx2.AsyncClient, peer: Peer) -> None:
    """From the documented number of failures on, 40 % of them is too many."""
    entra = client(http)
    entra.MANY_FAILURES = 3
    for number in range(7):
        entra.assign(Person(f"p{number}", f"user{number}@example.com"))
    peer.fail("POST", "/Users", 500, times=3)
    await entra.run_cycle()
    assert entra.quarantined_since == 0
    assert len(peer.users()) == 4


async def test_a_429_is_waited_for_and_only_that_request_is_sent_again(http: httpx2.AsyncClient, peer: Peer) -> None:
    """Retry-After is honoured within the cycle."""
    peer.fail("POST", "/Users", 429, times=2, retry_after="30")
    entra = client(http)
    entra.assign(ADA)
    await entra.run_until_idle()
    assert [(request.method, at) for request, at in zip(peer.requests, peer.times, strict=True)] == [
        ("GET", 0),
        ("POST", 0),
        ("POST", 30),
        ("POST", 60),
    ]


async def test_after_a_time_out_a_creation_is_sent_again_without_a_look(http: httpx2.AsyncClient, peer: Peer) -> None:
    """The account may be there; nobody asks first. The 409 goes to escrow, and the next look finds the account."""
    peer.fail("POST", "/Users", None, committed=True)
    entra = client(http)
    entra.assign(ADA)
    await entra.run_cycle()
    assert [method for method, _, _ in peer.take()] == ["GET", "POST", "POST"]
    await entra.run_until_idle()
    assert [method for method, _, _ in peer.take()] == ["GET"]
    assert len(peer.users()) == 1
    assert differences(entra, peer.snapshot()) == []


async def test_after_two_time_outs_the_next_cycle_begins_with_the_creation(
    http: httpx2.AsyncClient, peer: Peer
) -> None:
    """It still does not look."""
    peer.fail("POST", "/Users", None, times=2)
    entra = client(http)
    entra.assign(ADA)
    await entra.run_cycle()
    peer.take()
    await entra.run_until_idle()
    assert [method for method, _, _ in peer.take()] == ["POST"]
    assert differences(entra, peer.snapshot()) == []


async def test_a_value_the_service_provider_rewrites_is_sent_again_every_time(
    http: httpx2.AsyncClient, peer: Peer
) -> None:
    """Values are compared as they are read, unmodified."""
    entra = await provisioned(http, peer, ADA)
    remote = entra.believed[ADA.id].remote_id
    rewrite = {"op": "replace", "path": 'emails[type eq "work"].value', "value": "ADA@example.com"}
    await http.patch(f"/Users/{remote}", json=patch(rewrite))
    peer.take()
    entra.update(ADA)
    await entra.run_until_idle()
    assert peer.take()[1][2]["Operations"][0]["value"] == "ada@example.com"


async def test_a_schedule_can_be_made_short(http: httpx2.AsyncClient, peer: Peer) -> None:
    """A demonstration does not wait for 40 minutes."""
    peer.fail("POST", "/Users", 500, times=2)
    entra = client(http, schedule=Schedule(cycle=1, escrow=(2,)))
    entra.assign(ADA)
    await entra.run_until_idle()
    assert peer.posts() == [0, 1, 3]
