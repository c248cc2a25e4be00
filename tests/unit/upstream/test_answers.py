"""What a client takes for an answer, logs of it, and which transport it asks."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Iterable

import httpx2
import pytest

from scim_bridge.errors import ConfigurationError, RemoteUnavailableError
from scim_bridge.models import Lane, RateLimit
from scim_bridge.testing.virtual_time import run_virtually
from scim_bridge.upstream import HttpClients, lane
from scim_bridge.upstream.transports import MAX_BODY
from tests.unit.upstream.scripted import Script, request, talk


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
    """The line tells method, route, outcome, time and lane; planted secrets appear nowhere."""

    async def conversation(client: httpx2.AsyncClient) -> None:
        lane.set(Lane.REMOVE)
        await client.put(
            "/v3/users/ada@planted.example?idProperty=planted-query",
            json={"name": "planted-body"},
            headers={"Authorization": "Bearer planted-token"},
        )

    caplog.set_level(logging.DEBUG)

    talk(Script(503, httpx2.Response(200, text="planted-answer")), conversation)

    (record,) = [one for one in caplog.records if one.name == "scim_bridge.upstream"]
    assert vars(record)["upstream"] == {
        "method": "PUT",
        "route": "/api/v3/users/*",
        "outcome": "200",
        "milliseconds": 1100.0,
        "lane": "REMOVE",
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
