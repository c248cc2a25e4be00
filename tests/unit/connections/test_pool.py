"""Opening and closing connectors."""

import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from scim_bridge.connections import ConnectionPool, open_connection
from scim_bridge.connector import ConnectorContext, ConnectorRegistry
from scim_bridge.errors import ConfigurationError, ConnectionSettingsError, UnknownConnectorError
from scim_bridge.testing.contexts import MemoryState, connected
from scim_bridge.testing.memory import MemoryConfig, MemoryConnector
from scim_bridge.upstream import HttpClients

EVENTS: list[str] = []


class Recording(MemoryConnector):
    """Notes when it is opened and closed."""

    name = "recording"

    async def __aenter__(self) -> Self:
        EVENTS.append(f"open {self.context.connection_id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        EVENTS.append(f"close {self.context.connection_id}")


class Refusing(MemoryConnector):
    """Cannot be opened."""

    name = "refusing"

    async def __aenter__(self) -> Self:
        raise OSError("planted-secret")


class SecretConfig(BaseModel):
    """Settings with every way to be wrong."""

    model_config = ConfigDict(extra="forbid")
    token: SecretStr = Field(min_length=20)
    limit: int = 1
    nested: dict[str, int] = {}


class Secretive(MemoryConnector):
    """Has settings that must not leak."""

    name = "secretive"
    config_model = SecretConfig

    def __init__(self, context: ConnectorContext[Any]) -> None:
        super().__init__(
            ConnectorContext(context.connection_id, MemoryConfig(), context.logger, context.state, context.http_client)
        )


@dataclass
class Settings:
    """A configured connection."""

    connector: str
    config: Mapping[str, Any] = field(default_factory=dict)


def pool_of(**connections: Settings) -> ConnectionPool:
    """Return a pool of these connections."""
    registry = ConnectorRegistry()
    for connector_type in (Recording, Refusing):
        registry.add(connector_type)
    return ConnectionPool(registry, connections, http_client=HttpClients(), state=lambda connection_id: MemoryState())


@pytest.fixture(autouse=True)
def fresh_events() -> None:
    """Forget the events of other tests."""
    EVENTS.clear()


async def test_all_connections_are_opened_and_closed_in_reverse() -> None:
    """Inside the block each connection is there by its id; after it all are closed."""
    async with pool_of(one=Settings("recording"), two=Settings("recording")) as pool:
        assert list(pool) == ["one", "two"]
        assert len(pool) == 2
        assert pool["one"].connection_id == "one"

    assert EVENTS == ["open one", "open two", "close two", "close one"]
    assert len(pool) == 0


async def test_one_that_cannot_be_opened_closes_those_that_were() -> None:
    """All or none; the line names the connection and says nothing of the cause's text."""
    with pytest.raises(ConfigurationError) as refused:
        async with pool_of(one=Settings("recording"), two=Settings("refusing")):
            pytest.fail("the pool must not open")

    assert str(refused.value) == 'connection "two": the refusing connector cannot be opened: OSError'
    assert EVENTS == ["open one", "close one"]


async def test_an_unknown_connector_stops_the_pool() -> None:
    """A connection that names no installed connector is a configuration error."""
    with pytest.raises(UnknownConnectorError, match='unknown connector "nothing"; installed: recording, refusing'):
        async with pool_of(one=Settings("nothing")):
            pytest.fail("the pool must not open")


async def test_wrong_settings_are_told_line_by_line_without_their_values() -> None:
    """One line per setting; a secret that was too short appears in no message and in no traceback."""
    settings = {"token": "planted-secret", "limit": "planted-limit", "nested": {"a": "planted-nested"}, "planted": 1}

    with pytest.raises(ConnectionSettingsError) as refused:
        async with connected(Secretive, settings, connection_id="acme"):
            pytest.fail("the connection must not open")

    lines = str(refused.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ['connection "acme"', "token"],
        ['connection "acme"', "limit"],
        ['connection "acme"', "nested.a"],
        ['connection "acme"', "planted"],
    ]
    shown = "".join(traceback.format_exception(refused.value))
    assert not any(secret in shown.split("pool.py", 1)[-1] for secret in ("planted-secret", "planted-limit"))
    assert refused.value.__context__ is None


async def test_an_exception_inside_the_block_closes_the_connector_and_passes() -> None:
    """Whatever the bridge does with a connection, it is closed after."""
    with pytest.raises(ZeroDivisionError):
        async with open_connection(
            Recording,
            "one",
            {},
            http_client=HttpClients(),
            state=MemoryState(),
            logger=logging.getLogger("test"),
        ):
            raise ZeroDivisionError

    assert EVENTS == ["open one", "close one"]
