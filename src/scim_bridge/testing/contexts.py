"""What a connector is given, built for tests: in-memory state, and a connection opened as the bridge opens it."""

import copy
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from scim_bridge.connections import BoundConnector, Observer, open_connection
from scim_bridge.connections.pool import DEADLINE, validate_settings
from scim_bridge.connector import ClientFactory, Connector, ConnectorContext, ConnectorState
from scim_bridge.upstream import HttpClients


class MemoryState:
    """A :class:`~scim_bridge.connector.ConnectorState` that lives as long as the object, with the store's rules.

    Values are JSON objects and copies; keys have at most 200 characters.
    """

    def __init__(self) -> None:
        self.values: dict[str, dict[str, Any]] = {}

    async def get(self, key: str) -> dict[str, Any] | None:
        """Return a copy of the value of a key, or ``None``."""
        return copy.deepcopy(self.values.get(key))

    async def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Write a value. :raises ValueError: when the key is longer than 200 characters or the value is no JSON."""
        if len(key) > 200:
            raise ValueError(f"a key has at most 200 characters, this one {len(key)}")
        self.values[key] = json.loads(json.dumps(value, allow_nan=False))

    async def delete(self, key: str) -> None:
        """Forget a key; absent is fine."""
        self.values.pop(key, None)


def connector_context(
    connector_type: type[Connector[Any]],
    settings: Mapping[str, Any],
    *,
    connection_id: str = "test",
    http_client: ClientFactory | None = None,
    state: ConnectorState | None = None,
) -> ConnectorContext[Any]:
    """Build the context of a connector object.

    :param settings: The ``config`` table of the connection.
    :param http_client: Opens HTTP clients, by default to the network: pass ``HttpClients(transport)`` to stay off it.
    :param state: The durable small store; a fresh :class:`MemoryState` by default.
    :raises ConnectionSettingsError: When the settings do not validate.
    """
    return ConnectorContext(
        connection_id=connection_id,
        config=validate_settings(connector_type, connection_id, settings),
        logger=logging.getLogger(f"scim_bridge.connection.{connection_id}"),
        state=MemoryState() if state is None else state,
        http_client=HttpClients() if http_client is None else http_client,
    )


@asynccontextmanager
async def connected(
    connector_type: type[Connector[Any]],
    settings: Mapping[str, Any],
    *,
    connection_id: str = "test",
    http_client: ClientFactory | None = None,
    state: ConnectorState | None = None,
    observer: Observer | None = None,
    deadline: float = DEADLINE,
) -> AsyncIterator[BoundConnector]:
    """Open a connector as the bridge does, behind its boundary, with in-memory state unless another is given."""
    async with open_connection(
        connector_type,
        connection_id,
        settings,
        http_client=HttpClients() if http_client is None else http_client,
        state=MemoryState() if state is None else state,
        logger=logging.getLogger(f"scim_bridge.connection.{connection_id}"),
        observer=observer,
        deadline=deadline,
    ) as connector:
        yield connector
