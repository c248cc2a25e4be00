"""A client as a connector uses it, over a scripted remote system, in virtual time."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import httpx2
import pytest

from scim_bridge.connector import call_deadline
from scim_bridge.errors import ConfigurationError, LostLeadershipError, RemoteRateLimitedError, RemoteUnavailableError
from scim_bridge.models import Lane, RateLimit
from scim_bridge.testing.virtual_time import run_virtually
from scim_bridge.upstream import HttpClients, correlation_id, lane
from scim_bridge.upstream.lanes import permission
from scim_bridge.upstream.transports import MAX_BODY

Outcome = int | httpx2.Response | Exception


class Script(httpx2.AsyncBaseTransport):
    """Answers with the scripted outcomes in turn, then with 200, and keeps the requests and their times."""

    def __init__(self, *outcomes: Outcome, then: Outcome = 200) -> None:
        self.outcomes = list(outcomes)
        self.then = then
        self.requests: list[httpx2.Request] = []
        self.times: list[float] = []
        self.closed = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Do what comes next in the script."""
        await request.aread()
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        outcome = self.outcomes.pop(0) if self.outcomes else self.then
        if isinstance(outcome, Exception):
            raise outcome
        return httpx2.Response(outcome) if isinstance(outcome, int) else outcome

    async def aclose(self) -> None:
        """Note that somebody closed it."""
        self.closed = True


PLENTY = RateLimit(1000, 1.0)


def client_of(
    transport: httpx2.AsyncBaseTransport,
    *,
    limit: RateLimit = PLENTY,
    pause_after: Callable[[httpx2.Response], float | None] | None = None,
) -> httpx2.AsyncClient:
    """Return a client over a transport; its jitter is always half."""
    clients = HttpClients(transport, random=lambda: 0.5)
    return clients(base_url="https://acme.example/api", account="acme", rate_limit=limit, pause_after=pause_after)


def talk(
    script: Script,
    conversation: Callable[[httpx2.AsyncClient], Awaitable[object]],
    *,
    deadline: float | None = None,
    **options: object,
) -> object:
    """Run a conversation in virtual time within a deadline, and return what it returned."""

    async def scenario() -> object:
        token = call_deadline.set(deadline)
        async with client_of(script, **options) as client:  # type: ignore[arg-type]
            try:
                return await conversation(client)
            finally:
                call_deadline.reset(token)

    return run_virtually(scenario())


def request(method: str) -> Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]:
    """Return a conversation of one request."""
    return lambda client: client.request(method, "/users/7", json={"name": "Ada"} if method != "GET" else None)


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
    assert asked == [0.0, pytest.approx(10.2)]


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

    assert script.times == pytest.approx([0.0, 0.0, 10.2])


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


class Dripping(httpx2.AsyncByteStream):
    """A body that comes a byte at a time for ever, one a second."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(1.0)
            yield b"x"


def test_a_dripping_answer_ends_after_twenty_seconds() -> None:
    """No answer holds a call for longer, however alive it looks."""

    async def conversation(client: httpx2.AsyncClient) -> float:
        with pytest.raises(RemoteUnavailableError) as raised:
            await client.post("/users")
        assert raised.value.ambiguous is True
        return asyncio.get_running_loop().time()

    assert talk(Script(httpx2.Response(200, stream=Dripping())), conversation) == pytest.approx(20.0)


class Chunks(httpx2.AsyncByteStream):
    """A body of given chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks = chunks
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk

    async def aclose(self) -> None:
        """Note that it was closed."""
        self.closed = True


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_an_answer_of_more_than_five_mebibytes_is_not_read(encoding: str) -> None:
    """The size that counts is the decoded one, so a small compressed bomb is refused, too; the stream is closed."""
    body = b"x" * (MAX_BODY + 1)
    stream = Chunks([gzip.compress(body) if encoding == "gzip" else body])
    answer = httpx2.Response(200, headers={"Content-Encoding": encoding}, stream=stream)

    with pytest.raises(RemoteUnavailableError) as raised:
        talk(Script(answer), request("POST"))

    assert raised.value.ambiguous is True
    assert stream.closed


def test_a_compressed_answer_is_read() -> None:
    """The connector gets the decoded body, and headers that fit it."""
    stream = Chunks([gzip.compress(b'{"id": "7"}')])
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}

    response = talk(Script(httpx2.Response(200, headers=headers, stream=stream)), request("GET"))

    assert isinstance(response, httpx2.Response)
    assert response.json() == {"id": "7"}
    assert "Content-Encoding" not in response.headers


def test_a_redirect_is_not_followed() -> None:
    """Credentials never travel to where an answer points."""
    script = Script(httpx2.Response(302, headers={"Location": "https://evil.example/"}))

    response = talk(script, request("GET"))

    assert isinstance(response, httpx2.Response)
    assert response.status_code == 302
    assert len(script.requests) == 1


def test_one_line_is_logged_per_call_without_secrets_or_personal_data(caplog: pytest.LogCaptureFixture) -> None:
    """The line tells method, route, outcome, time, lane and correlation id; planted secrets appear nowhere."""

    async def conversation(client: httpx2.AsyncClient) -> None:
        lane.set(Lane.REMOVE)
        correlation_id.set("request-17")
        await client.put(
            "/v3/users/ada@planted.example?idProperty=planted-query",
            json={"name": "planted-body"},
            headers={"Authorization": "Bearer planted-token"},
        )

    caplog.set_level(logging.DEBUG)

    talk(Script(503, httpx2.Response(200, text="planted-answer")), conversation)

    (record,) = [one for one in caplog.records if one.name == "scim_bridge.upstream"]
    assert record.upstream == {  # type: ignore[attr-defined]
        "method": "PUT",
        "route": "/api/v3/users/*",
        "outcome": "200",
        "milliseconds": 1100.0,
        "lane": "REMOVE",
        "correlation_id": "request-17",
    }
    assert "planted" not in caplog.text
    assert all("planted" not in repr(vars(one)) for one in caplog.records)


def test_a_route_can_be_named_by_the_connector(caplog: pytest.LogCaptureFixture) -> None:
    """Where masking cannot tell an id from a word, the connector says what the route is."""
    caplog.set_level(logging.INFO, "scim_bridge.upstream")

    talk(Script(), lambda client: client.get("/users/ada", extensions={"route": "/users/{name}"}))

    assert "GET /users/{name} 200" in caplog.text
    assert "ada" not in caplog.text


def test_a_transport_of_a_test_stays_open_when_a_client_closes() -> None:
    """Several clients may share one emulator."""
    script = Script()

    talk(script, request("GET"))

    assert not script.closed


def test_transports_are_chosen_by_the_base_url() -> None:
    """Each emulator gets the calls of its own base URL, and an unknown one never reaches the network."""
    acme, oauth = Script(), Script()

    async def scenario() -> None:
        clients = HttpClients({"https://acme.example": acme, "https://login.acme.example": oauth})
        limit = RateLimit(10, 1.0)
        await clients(base_url="https://login.acme.example/token", account="a", rate_limit=limit).post("/")
        with pytest.raises(ConfigurationError, match=r"no transport for https://other\.example"):
            clients(base_url="https://other.example", account="a", rate_limit=limit)

    run_virtually(scenario())

    assert len(oauth.requests) == 1
    assert not acme.requests
