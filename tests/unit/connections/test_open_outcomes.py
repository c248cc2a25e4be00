"""A hook that fails after it has changed something leaves a state that nobody has seen."""

import httpx2
import pytest

from scim_bridge.errors import ConnectorError, RemoteInvalidValueError, RemoteUnavailableError
from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import RateLimit, User
from scim_bridge.testing.contexts import connected
from scim_bridge.testing.memory import MemoryConnector
from scim_bridge.upstream import HttpClients

ADA = User(user_name="ada")
REFUSED = httpx2.ConnectError("refused")
RESET = httpx2.ReadError("reset")


class Removing(MemoryConnector):
    """Removes an account with a call, and asks with another one whether it is gone."""

    name = "removing"

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Send DELETE, then GET; 400 is a refusal."""
        async with self.context.http_client(
            base_url="https://acme.example", account="acme", rate_limit=RateLimit(100, 1.0)
        ) as client:
            for method in ("DELETE", "GET"):
                if (await client.request(method, "/users/7")).status_code == 400:
                    raise RemoteInvalidValueError("refused")


def answering(*answers: int | Exception) -> httpx2.MockTransport:
    """Return a network that answers DELETE with the first, GET with the second."""
    by_method = dict(zip(("DELETE", "GET"), answers, strict=False))

    def handle(request: httpx2.Request) -> httpx2.Response:
        answer = by_method[request.method]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer)

    return httpx2.MockTransport(handle)


@pytest.mark.parametrize(
    ("answers", "error", "ambiguous"),
    [
        ((REFUSED,), RemoteUnavailableError, False),
        ((RESET,), RemoteUnavailableError, True),
        ((400,), RemoteInvalidValueError, False),
        ((204, REFUSED), RemoteUnavailableError, True),
        ((204, RESET), RemoteUnavailableError, True),
        ((204, 400), RemoteInvalidValueError, True),
    ],
)
async def test_a_failure_after_a_write_is_an_open_outcome(
    answers: tuple[int | Exception, ...], error: type[ConnectorError], ambiguous: bool
) -> None:
    """Whether the account still is what it was depends on whether DELETE got through, not on how GET failed."""
    clients = HttpClients(answering(*answers), random=lambda: 0.0)

    async with connected(Removing, {}, http_client=clients) as connector:
        with pytest.raises(error) as raised:
            await connector.deactivate_user("7", ADA)

    assert raised.value.ambiguous is ambiguous
