"""Client credentials: one token for many calls, a new one before it expires and after a 401, and what refuses."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest

from scim_bridge.errors import RemoteCredentialsError, RemoteMisroutedError, RemoteUnavailableError
from scim_bridge.models import RateLimit
from scim_bridge.testing.virtual_time import run_virtually
from scim_bridge.upstream import ClientCredentials, HttpClients

TOKEN_URL = "https://login.example/token"
API = "https://api.example"


class Vendor:
    """A token endpoint and an API that takes its tokens; counts both."""

    def __init__(self, **answer: Any) -> None:
        self.answer = {"expires_in": 60, **answer}
        self.instead: httpx2.Response | None = None
        self.forms: list[dict[str, str]] = []
        self.calls: list[str] = []
        self.revoked: set[str] = set()

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer."""
        if str(request.url) == TOKEN_URL:
            assert request.headers["Authorization"] == "Basic dSs6cA=="  # u+:p, the plus from a space
            self.forms.append(dict(parse_qsl(request.content.decode())))
            told = {"access_token": f"t{len(self.forms)}", "token_type": "bearer", **self.answer}
            return self.instead or httpx2.Response(200, json=told)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.calls.append(token)
        return httpx2.Response(401 if token in self.revoked else 200, json={})


def client(vendor: Vendor) -> httpx2.AsyncClient:
    """Open a client as a connector does."""
    return HttpClients(httpx2.MockTransport(vendor))(
        base_url=API,
        account="a",
        rate_limit=RateLimit(1000, 1.0),
        auth=ClientCredentials(TOKEN_URL, "u ", "p", "scim"),
    )


def test_a_token_serves_until_it_is_about_to_expire() -> None:
    """Calls at the same time ask for one; half a minute before its end comes another."""
    vendor = Vendor()

    async def scenario() -> None:
        async with client(vendor) as http:
            await asyncio.gather(*(http.post("/x") for _ in range(3)))
            await asyncio.sleep(29)
            await http.get("/x")
            await asyncio.sleep(2)
            await http.get("/x")

    run_virtually(scenario())
    assert vendor.calls == ["t1"] * 4 + ["t2"]
    assert vendor.forms == [{"grant_type": "client_credentials", "scope": "scim"}] * 2


def test_a_401_is_asked_again_once() -> None:
    """With a new token, whatever the method; a second 401 is the answer."""
    vendor = Vendor()

    async def scenario(*revoked: str) -> int:
        vendor.revoked = set(revoked)
        async with client(vendor) as http:
            return (await http.post("/x")).status_code

    assert run_virtually(scenario("t1")) == 200
    assert vendor.calls == ["t1", "t2"]
    assert run_virtually(scenario("t3", "t4")) == 401
    assert vendor.calls[2:] == ["t3", "t4"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status_code": 400, "json": {"error": "invalid_client"}}, RemoteCredentialsError),
        ({"status_code": 401, "json": {"error": "invalid_client"}}, RemoteCredentialsError),
        ({"status_code": 403, "text": "<h1>blocked</h1>"}, RemoteMisroutedError),
        ({"status_code": 500, "json": {}}, RemoteUnavailableError),
        ({"status_code": 200, "json": {"token": "another shape"}}, RemoteUnavailableError),
        ({"status_code": 200, "json": {"access_token": "two\nlines"}}, RemoteUnavailableError),
    ],
)
def test_no_token_is_no_call(answer: Mapping[str, Any], error: type[Exception]) -> None:
    """Refused by its own form: the credentials; anything else: tried again. Nothing happened, and no secret is told."""
    vendor = Vendor()
    vendor.instead = httpx2.Response(**answer)

    async def scenario() -> None:
        async with client(vendor) as http:
            await http.post("/x")

    with pytest.raises(error) as raised:
        run_virtually(scenario())
    assert not vendor.calls
    assert not getattr(raised.value, "ambiguous", False)
    assert "lines" not in str(raised.value)
