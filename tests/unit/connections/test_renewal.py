"""A connector that goes on with secrets that were replaced while it was in use."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, Field, SecretStr

from scim_bridge.connections import BoundConnector, open_connection
from scim_bridge.connector import Connector, call_writes
from scim_bridge.errors import ConfigurationError, RemoteCredentialsError, RemoteUnavailableError
from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Remote, User
from scim_bridge.testing.contexts import MemoryState
from scim_bridge.upstream import HttpClients

LEADS_TO = {"first-token": "portal 1", "second-token": "portal 1", "elsewhere": "portal 2", "revoked-token": "portal 1"}


class Config(BaseModel):
    """A token."""

    token: SecretStr = Field(min_length=5)


class Account(Connector[Config]):
    """An account that takes some tokens, and holds calls until they may go on."""

    name = "account"
    config_model = Config
    valid: ClassVar[set[str]]
    sent: ClassVar[list[str]]
    events: ClassVar[list[str]]
    gate: ClassVar[asyncio.Event]
    entered: ClassVar[asyncio.Event]
    writes_first: ClassVar[bool]
    down: ClassVar[bool]

    @property
    def token(self) -> str:
        """The token that this object was opened with."""
        return self.config.token.get_secret_value()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.events.append(f"closed {self.token}")

    def check(self) -> None:
        """Refuse what HubSpot would."""
        self.sent.append(self.token)
        if self.down:
            raise RemoteUnavailableError("down", ambiguous=False)
        if self.token not in self.valid:
            raise RemoteCredentialsError("the token is refused")

    @hookimpl
    async def identify(self) -> str | None:
        """Tell where the token leads."""
        self.check()
        return LEADS_TO[self.token]

    @hookimpl
    async def get_user(self, remote_id: str) -> Remote[User]:
        """Answer, once that is allowed."""
        self.entered.set()
        await self.gate.wait()
        if self.writes_first and (writes := call_writes.get()) is not None:
            writes.append("PUT")
        self.check()
        return Remote(remote_id, User(user_name="ada"))


class Secret:
    """A secret that somebody replaces."""

    def __init__(self) -> None:
        self.value: str | None = "first-token"
        self.read = 0

    def __call__(self) -> Mapping[str, Any]:
        """Read it."""
        self.read += 1
        if self.value is None:
            raise ConfigurationError("configuration: token: secret file token cannot be read: FileNotFoundError")
        return {"token": self.value}


@pytest.fixture
def secret() -> Secret:
    """The secret of a fresh account."""
    Account.valid, Account.sent, Account.events = {"first-token", "second-token", "elsewhere"}, [], []
    Account.gate, Account.entered = asyncio.Event(), asyncio.Event()
    Account.gate.set()
    Account.writes_first = Account.down = False
    return Secret()


@asynccontextmanager
async def opened(secret: Secret) -> AsyncIterator[BoundConnector]:
    """Open the account, and have it asked who it is."""
    logger = logging.getLogger("test")
    state, http = MemoryState(), HttpClients()
    async with open_connection(
        Account, "acme", {"token": "first-token"}, http_client=http, state=state, logger=logger, reread=secret
    ) as connector:
        assert await connector.identify() == "portal 1"
        Account.sent.clear()
        yield connector


async def renew(connector: BoundConnector) -> bool:
    """Do what a signal does."""
    assert connector.renewal is not None
    return await connector.renewal.renew()


async def waiting(
    connector: BoundConnector, secret: Secret
) -> tuple["asyncio.Task[Remote[User]]", "asyncio.Task[bool]"]:
    """Begin a call that does not end, and an exchange that waits for it."""
    Account.gate.clear()
    first = asyncio.create_task(connector.get_user("1"))
    await Account.entered.wait()
    secret.value = "second-token"
    renewing = asyncio.create_task(renew(connector))
    while "second-token" not in Account.sent:
        await asyncio.sleep(0)
    return first, renewing


async def test_a_refused_call_is_made_with_the_secret_of_now(secret: Secret) -> None:
    """It is asked once more, with the new one, which had to tell the same remote system; the old object is closed."""
    async with opened(secret) as connector:
        secret.value = "second-token"
        Account.valid.remove("first-token")
        assert (await connector.get_user("1")).remote_id == "1"
        assert Account.sent == ["first-token", "second-token", "second-token"]
        assert Account.events == ["closed first-token"]
        await connector.get_user("1")
    assert Account.events == ["closed first-token", "closed second-token"]
    assert secret.read == 1


@pytest.mark.parametrize("value", ["first-token", "revoked-token", None, "odd"])
async def test_a_refusal_stays_one_where_no_other_secret_helps(secret: Secret, value: str | None) -> None:
    """The same one, another that is refused, none, one that its model refuses: the old object stays."""
    async with opened(secret) as connector:
        secret.value = value
        Account.valid.remove("first-token")
        with pytest.raises(RemoteCredentialsError):
            await connector.identify()
        assert (connector.identified, secret.read) == ("RemoteCredentialsError", 1)
        assert Account.events == (["closed revoked-token"] if value == "revoked-token" else [])
        Account.valid.add("first-token")
        await connector.get_user("1")


async def test_what_had_written_is_not_repeated(secret: Secret) -> None:
    """Whoever was changed in part has to be looked at first: the refusal says so."""
    async with opened(secret) as connector:
        secret.value = "second-token"
        Account.valid.remove("first-token")
        Account.writes_first = True
        with pytest.raises(RemoteCredentialsError) as refused:
            await connector.get_user("1")
        assert refused.value.ambiguous
        assert secret.read == 0


async def test_a_secret_of_another_remote_system_is_not_used(secret: Secret, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing but the question who it is reaches the other one; the log says that, and shows no secret."""
    async with opened(secret) as connector:
        secret.value = "elsewhere"
        assert not await renew(connector)
        await connector.get_user("1")
        assert Account.sent == ["elsewhere", "first-token"]
        Account.valid.remove("first-token")
        with pytest.raises(RemoteCredentialsError):
            await connector.get_user("1")
    assert "another remote system" in caplog.text
    assert "elsewhere" not in caplog.text


async def test_a_remote_system_that_is_down_is_no_reason_to_believe(secret: Secret) -> None:
    """While it cannot be asked who it is, the former secret stays; at the next occasion it is tried again."""
    async with opened(secret) as connector:
        secret.value, Account.down = "second-token", True
        assert not await renew(connector)
        Account.down = False
        assert await renew(connector)


async def test_calls_under_way_end_with_the_secret_they_began_with(secret: Secret) -> None:
    """Who comes meanwhile waits for them, and is not lost: never do two objects work at once."""
    async with opened(secret) as connector:
        first, renewing = await waiting(connector, secret)
        Account.entered.clear()
        second = asyncio.create_task(connector.get_user("2"))
        for _ in range(9):
            await asyncio.sleep(0)
        assert not Account.entered.is_set()
        assert Account.events == []
        Account.gate.set()
        assert [one.remote_id for one in await asyncio.gather(first, second)] == ["1", "2"]
        assert await renewing
        assert Account.sent == ["second-token", "first-token", "second-token"]


async def test_many_who_are_refused_at_once_renew_once(secret: Secret) -> None:
    """One exchanges it, the others go on with what is there then."""
    async with opened(secret) as connector:
        secret.value = "second-token"
        Account.valid.remove("first-token")
        await asyncio.gather(*(connector.get_user(str(number)) for number in range(5)))
        assert secret.read == 1
        assert Account.events == ["closed first-token"]


async def test_an_exchange_that_is_given_up_lets_others_go_on(secret: Secret) -> None:
    """Cancelled while it waits for a call under way, it closes what it opened, and leaves the rest as it was."""
    async with opened(secret) as connector:
        first, renewing = await waiting(connector, secret)
        await asyncio.sleep(0)
        renewing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await renewing
        assert Account.events == ["closed second-token"]
        Account.gate.set()
        await asyncio.gather(first, connector.get_user("2"))
        assert Account.sent == ["second-token", "first-token", "first-token"]
