"""The simulated Okta gives up as Okta does: what it retries, what waits for an administrator, what it forgets."""

import httpx2
import pytest

from scim_bridge.testing.clients import Change, Person, differences
from scim_bridge.testing.clients.directory import ENTERPRISE
from tests.unit.testing.conftest import Peer, VirtualClock
from tests.unit.testing.test_okta_client import ADA, BOB, client, provisioned


async def test_a_429_pauses_the_push_for_the_integer_and_its_doubles(http: httpx2.AsyncClient, peer: Peer) -> None:
    """The first Retry-After counts; each further wait is twice the last one."""
    peer.fail("POST", "/Users", 429, times=3, retry_after="10")
    okta = client(http)
    okta.assign(ADA)
    await okta.run_until_idle()
    assert peer.posts() == [0, 10, 30, 70]
    assert okta.tasks == []
    assert differences(okta, peer.snapshot()) == []


async def test_a_fresh_retry_after_may_restart_the_doubling(http: httpx2.AsyncClient, peer: Peer) -> None:
    """The other reading: every 429 is waited for as it says."""
    peer.fail("POST", "/Users", 429, times=3, retry_after="10")
    okta = client(http, fresh_retry_after=True)
    okta.assign(ADA)
    await okta.run_until_idle()
    assert peer.posts() == [0, 10, 20, 30]


@pytest.mark.parametrize("retry_after", [None, "Wed, 21 Oct 2026 07:28:00 GMT", "1.5"])
async def test_a_retry_after_that_is_no_integer_counts_as_five_minutes(
    http: httpx2.AsyncClient, peer: Peer, retry_after: str | None
) -> None:
    """An HTTP-date is not understood."""
    peer.fail("POST", "/Users", 429, retry_after=retry_after)
    okta = client(http)
    okta.assign(ADA)
    await okta.run_until_idle()
    assert peer.times[-1] == 300


async def test_after_ten_waits_the_push_is_an_administrators(http: httpx2.AsyncClient, peer: Peer) -> None:
    """The window is Retry-After × 1,023; then a task stands until somebody presses retry."""
    okta = await provisioned(http, peer, ADA)
    peer.fail("PATCH", "/Users", 429, times=11, retry_after="60")
    okta.unassign(ADA)
    await okta.run_until_idle()
    assert peer.times[-1] - peer.times[0] == 60 * 1023
    assert [(task.subject, task.change, task.status) for task in okta.tasks] == [(ADA.id, Change.UNASSIGN, 429)]
    assert differences(okta, peer.snapshot()) != []
    okta.admin_retry()
    await okta.run_until_idle()
    assert okta.tasks == []
    assert differences(okta, peer.snapshot()) == []


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500, 501, 503])
async def test_any_other_failure_waits_for_an_administrator(http: httpx2.AsyncClient, peer: Peer, status: int) -> None:
    """Only 429 is retried; the detail is what the administrator sees."""
    okta = await provisioned(http, peer, ADA)
    peer.fail("PATCH", "/Users", status, retry_after="1")
    okta.unassign(ADA)
    await okta.run_until_idle()
    assert len(peer.take()) == 1
    assert [(task.status, task.detail) for task in okta.tasks] == [(status, "scripted")]
    assert okta.believed[ADA.id].active


async def test_the_socket_is_closed_after_sixty_seconds(http: httpx2.AsyncClient, peer: Peer) -> None:
    """A request without an answer is a failure, and is not sent again."""
    peer.fail("POST", "/Users", None)
    okta = client(http)
    okta.assign(ADA)
    await okta.run_until_idle()
    assert VirtualClock().now() == 60
    assert [(task.change, task.status) for task in okta.tasks] == [(Change.ASSIGN, None)]
    assert len(peer.sent()) == 2


async def test_after_a_failed_creation_an_unassignment_sends_nothing(http: httpx2.AsyncClient, peer: Peer) -> None:
    """Okta calls it intended: the account was made, the answer was lost, and nobody will deactivate it."""
    peer.fail("POST", "/Users", 503, committed=True)
    okta = client(http)
    okta.assign(ADA)
    await okta.run_until_idle()
    peer.take()
    okta.unassign(ADA)
    await okta.run_until_idle()
    assert peer.take() == []
    assert peer.users()["ada@example.com"]["active"] is True
    assert [one.found for one in differences(okta, peer.snapshot())] == ["active"]


async def test_after_a_failed_reactivation_an_unassignment_sends_nothing(http: httpx2.AsyncClient, peer: Peer) -> None:
    """A failed re-activation drops the link."""
    okta = await provisioned(http, peer, ADA)
    okta.unassign(ADA)
    await okta.run_until_idle()
    peer.fail("PATCH", "/Users", 500, committed=True)
    okta.reassign(ADA)
    await okta.run_until_idle()
    assert okta.believed == {}
    peer.take()
    okta.unassign(ADA)
    await okta.run_until_idle()
    assert peer.take() == []


async def test_a_lost_link_is_found_again_by_the_filter(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O9: after a lost link the inactive account is matched and re-activated."""
    okta = await provisioned(http, peer, ADA)
    okta.unassign(ADA)
    await okta.run_until_idle()
    okta.believed.clear()
    peer.take()
    okta.reassign(ADA)
    await okta.run_until_idle()
    assert [method for method, _, _ in peer.take()] == ["GET", "PATCH", "GET", "PUT"]
    assert differences(okta, peer.snapshot()) == []


async def test_a_creation_answered_without_a_body_fails(http: httpx2.AsyncClient, peer: Peer) -> None:
    """O4: "Create new user returned empty user"."""
    peer.fail("POST", "/Users", 201, body={})
    okta = client(http)
    okta.assign(ADA)
    await okta.run_until_idle()
    assert [task.detail for task in okta.tasks] == ["Create new user returned empty user"]
    assert okta.believed == {}


async def test_an_obsolete_task_is_not_resubmitted(http: httpx2.AsyncClient, peer: Peer) -> None:
    """A failed assignment of somebody unassigned since is dropped by the administrator's retry."""
    peer.fail("POST", "/Users", 500)
    okta = client(http)
    okta.assign(ADA)
    await okta.run_until_idle()
    okta.unassign(ADA)
    okta.admin_retry()
    await okta.run_until_idle()
    assert okta.tasks == []
    assert peer.users() == {}


async def test_a_paused_push_holds_up_only_its_own_person(http: httpx2.AsyncClient, peer: Peer) -> None:
    """Others are pushed while one waits, and progress tells who waits."""
    peer.fail("GET", "/Users", 429, retry_after="100")
    okta = client(http)
    okta.assign(ADA)
    okta.assign(BOB)
    seen: list[tuple[str, int, float]] = []
    await okta.run_until_idle(lambda one: seen.append((one.note, one.waiting, VirtualClock().now())))
    assert seen == [("assign bob@example.com", 1, 0), ("assign ada@example.com", 0, 100)]


async def test_a_change_during_a_run_is_pushed_in_that_run(http: httpx2.AsyncClient, peer: Peer) -> None:
    """The run ends only when nothing is left."""
    okta = client(http)
    okta.assign(ADA)
    late = [BOB]
    await okta.run_until_idle(lambda _: okta.assign(late.pop()) if late else None)
    assert set(peer.users()) == {"ada@example.com", "bob@example.com"}


async def test_a_department_is_not_okta_s_to_send(http: httpx2.AsyncClient, peer: Peer) -> None:
    """The documented body has core attributes only; what is not sent is no difference."""
    okta = client(http)
    okta.assign(Person("00u1", "ada@example.com", department="Analysis"))
    await okta.run_until_idle()
    assert ENTERPRISE not in peer.sent()[-1][2]
    assert differences(okta, peer.snapshot()) == []


async def test_a_group_that_was_linked_but_not_filled_is_filled_by_the_next_attempt(
    http: httpx2.AsyncClient, peer: Peer
) -> None:
    """The push of a group is over when its members are there, not when it has a link."""
    okta = await provisioned(http, peer, ADA)
    peer.fail("PATCH", "/Groups", 429, retry_after="1")
    okta.push_group("Staff", [ADA])
    await okta.run_until_idle()
    assert okta.tasks == []
    assert differences(okta, peer.snapshot()) == []
