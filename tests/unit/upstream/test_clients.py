"""When a client repeats a call, waits with it or does not send it, in virtual time."""

import asyncio

import httpx2
import pytest

from scim_bridge.errors import LostLeadershipError, RemoteRateLimitedError, RemoteUnavailableError
from scim_bridge.models import Lane, RateLimit
from scim_bridge.testing.virtual_time import run_virtually
from scim_bridge.upstream import HttpClients, lane
from scim_bridge.upstream.lanes import permission
from scim_bridge.upstream.limiter import MARGIN
from tests.unit.upstream.scripted import Outcome, Script, request, talk


@pytest.mark.parametrize("failure", [500, 502, 503, 504, httpx2.ReadError("reset"), httpx2.ReadTimeout("slow")])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_idempotent_call_is_tried_three_times(method: str, failure: Outcome) -> None:
    """Two failures are hidden by the third attempt, which sends the same body."""
    script = Script(failure, failure)

    response = talk(script, request(method))

    assert isinstance(response, httpx2.Response)
    assert response.status_code == 200
    assert len({sent.content for sent in script.requests}) == 1
    assert script.times == pytest.approx([0.0, 1.1, 2.2])


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("failure", [500, 503, httpx2.ReadError("reset"), httpx2.WriteError("reset")])
def test_a_call_that_may_have_landed_is_never_repeated_blindly(method: str, failure: Outcome) -> None:
    """A POST that reached the remote system is sent once, whatever came back."""
    script = Script(failure)

    if isinstance(failure, int):
        response = talk(script, request(method))
        assert isinstance(response, httpx2.Response)
        assert response.status_code == failure
    else:
        with pytest.raises(RemoteUnavailableError) as raised:
            talk(script, request(method))
        assert raised.value.ambiguous is True

    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "failure", [429, 423, httpx2.ConnectError("refused"), httpx2.ConnectTimeout("slow"), httpx2.PoolTimeout("full")]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_a_call_that_was_not_executed_is_repeated(method: str, failure: Outcome) -> None:
    """Without a connection, or with 429 or 423, nothing happened: even a POST goes out again."""
    script = Script(failure)

    response = talk(script, request(method))

    assert isinstance(response, httpx2.Response)
    assert response.status_code == 200
    assert len(script.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 501])
def test_an_answer_that_is_no_failure_is_not_repeated(status: int) -> None:
    """What the remote system decided is handed to the connector at once."""
    script = Script(status)

    response = talk(script, request("GET"))

    assert isinstance(response, httpx2.Response)
    assert response.status_code == status
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("method", "failure", "ambiguous"),
    [
        ("GET", httpx2.ReadError("reset"), False),
        ("GET", httpx2.ConnectError("refused"), False),
        ("PUT", httpx2.ConnectError("refused"), False),
        ("PUT", httpx2.RemoteProtocolError("half an answer"), True),
        ("DELETE", httpx2.ReadTimeout("slow"), True),
        ("POST", httpx2.ConnectError("refused"), False),
        ("POST", httpx2.ReadTimeout("slow"), True),
    ],
)
def test_an_exception_tells_whether_the_call_may_have_taken_effect(
    method: str, failure: Exception, ambiguous: bool
) -> None:
    """Only a write whose bytes were sent leaves the outcome open."""
    with pytest.raises(RemoteUnavailableError) as raised:
        talk(Script(then=failure), request(method))

    assert raised.value.ambiguous is ambiguous


def test_one_ambiguous_attempt_makes_the_call_ambiguous() -> None:
    """A PUT that may have landed and then cannot connect any more is still open."""
    refused = httpx2.ConnectError("refused")

    with pytest.raises(RemoteUnavailableError) as raised:
        talk(Script(httpx2.ReadError("reset"), then=refused), request("PUT"))

    assert raised.value.ambiguous is True


def test_a_retry_that_does_not_fit_the_deadline_is_not_made() -> None:
    """Near the deadline the first outcome is the answer."""
    script = Script(then=503)

    response = talk(script, request("GET"), deadline=3.0)

    assert isinstance(response, httpx2.Response)
    assert response.status_code == 503
    assert script.times == [0.0]


def test_an_outage_does_not_become_a_storm() -> None:
    """After the free ten, retries are a fifth of the calls."""

    async def conversation(client: httpx2.AsyncClient) -> None:
        for number in range(100):
            # every third call succeeds, so the circuit stays closed
            script.then = 200 if number % 3 == 0 else 503
            await client.get("/users/7")

    script = Script()

    talk(script, conversation)

    assert 100 < len(script.requests) <= 100 + 10 + 20


def test_retry_after_pauses_the_account_for_everybody() -> None:
    """A 429 to one call holds all others of the account for as long as it says."""

    async def conversation(client: httpx2.AsyncClient) -> None:
        first = asyncio.create_task(client.get("/users/1"))
        await asyncio.sleep(1.0)
        await asyncio.gather(first, client.get("/users/2"), client.get("/users/3"))

    script = Script(httpx2.Response(429, headers={"Retry-After": "30"}))

    talk(script, conversation)

    assert script.requests[0].url.path == "/api/users/1"
    assert script.times[0] == 0.0
    assert script.times[1:] == pytest.approx([30.0] * 3)


def test_a_wait_that_is_too_long_hands_the_429_to_the_connector_and_refuses_the_next_call() -> None:
    """The connector sees the vendor's own answer once; until the pause ends nothing more is sent."""

    async def conversation(client: httpx2.AsyncClient) -> httpx2.Response:
        response = await client.post("/users")
        with pytest.raises(RemoteRateLimitedError) as refused:
            await client.get("/users/7")
        assert refused.value.retry_after == pytest.approx(300.0, abs=1.0)
        return response

    script = Script(httpx2.Response(429, headers={"Retry-After": "300"}))

    response = talk(script, conversation, deadline=20.0)

    assert isinstance(response, httpx2.Response)
    assert response.status_code == 429
    assert len(script.requests) == 1


def test_the_vendor_limit_headers_can_pause_the_account() -> None:
    """What a connector reads from its vendor's headers holds the next call."""

    async def conversation(client: httpx2.AsyncClient) -> None:
        await client.get("/users/1")
        await client.get("/users/2")

    script = Script(httpx2.Response(200, headers={"X-Remaining": "0"}))

    talk(script, conversation, pause_after=lambda response: 8.0 if "X-Remaining" in response.headers else None)

    assert script.times == pytest.approx([0.0, 8.0])


def test_retries_count_towards_the_limit() -> None:
    """Every attempt takes a slot: failures cannot push the account over its limit."""

    async def conversation(client: httpx2.AsyncClient) -> None:
        await asyncio.gather(*(client.get(f"/users/{number}") for number in range(4)))

    script = Script(503, 503, 503)

    talk(script, conversation, limit=RateLimit(2, 10.0))

    assert len(script.times) == 7
    assert max(sum(start <= time < start + 10.0 for time in script.times) for start in script.times) <= 2


def test_removals_overtake_what_waits() -> None:
    """The lane of the context decides who is sent next."""

    async def as_lane(client: httpx2.AsyncClient, priority: Lane) -> None:
        lane.set(priority)
        await client.get(f"/{priority.name.lower()}")

    async def conversation(client: httpx2.AsyncClient) -> None:
        async with asyncio.TaskGroup() as group:
            for priority in (Lane.READ, Lane.READ, Lane.UPDATE, Lane.REMOVE):
                group.create_task(as_lane(client, priority))

    script = Script()

    talk(script, conversation, limit=RateLimit(1, 1.0))

    assert [sent.url.path.rpartition("/")[2] for sent in script.requests] == ["read", "remove", "update", "read"]


def test_a_call_that_lost_its_permission_while_it_waited_is_not_sent() -> None:
    """Permission is asked for after the wait for the rate limit; a refusal is no failure to repeat."""
    script = Script()
    asked: list[float] = []

    async def permit() -> None:
        asked.append(asyncio.get_running_loop().time())
        if asked[-1] > 5.0:
            raise LostLeadershipError

    async def conversation(client: httpx2.AsyncClient) -> None:
        permission.set(permit)
        await client.get("/first")
        await client.put("/second")

    with pytest.raises(LostLeadershipError):
        talk(script, conversation, limit=RateLimit(1, 10.0))
    assert script.times == [0.0]
    assert asked == [0.0, pytest.approx(10.0 * MARGIN)]


def test_clients_of_one_account_share_its_limit_and_others_do_not() -> None:
    """Two connections to one remote account are limited together."""
    script = Script()

    async def scenario() -> None:
        clients = HttpClients(script)
        limit = RateLimit(1, 10.0)
        first = clients(base_url="https://acme.example", account="one", rate_limit=limit)
        second = clients(base_url="https://acme.example", account="one", rate_limit=limit)
        other = clients(base_url="https://acme.example", account="two", rate_limit=limit)
        await asyncio.gather(first.get("/"), second.get("/"), other.get("/"))

    run_virtually(scenario())

    assert script.times == pytest.approx([0.0, 0.0, 10.0 * MARGIN])


def test_five_failed_calls_open_the_circuit_and_a_probe_closes_it() -> None:
    """Nothing reaches a failing remote system between two probes; once it answers, everything does."""

    async def conversation(client: httpx2.AsyncClient) -> None:
        for _ in range(5):
            with pytest.raises(RemoteUnavailableError):
                await client.post("/users")
        reached = len(script.requests)
        with pytest.raises(RemoteUnavailableError) as refused:
            await client.get("/users/7")
        assert refused.value.ambiguous is False
        assert len(script.requests) == reached
        script.then = 200
        await asyncio.sleep(16.0)
        assert (await client.get("/users/7")).status_code == 200
        assert (await client.get("/users/8")).status_code == 200

    script = Script(then=httpx2.ReadError("reset"))

    talk(script, conversation)

    assert len(script.requests) == 7
