"""Opens connectors: one object, one plugin manager and one boundary per configured connection."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

import pluggy
from pydantic import BaseModel, ValidationError

from scim_bridge.connections.bound import Boundary, BoundConnector, Observer
from scim_bridge.connections.renewal import Opened, Renewal
from scim_bridge.connector import ClientFactory, Connector, ConnectorContext, ConnectorRegistry, ConnectorState
from scim_bridge.definition import check_attributes
from scim_bridge.errors import BridgeError, ConfigurationError, ConnectionSettingsError, without_text
from scim_bridge.hookspecs import PROJECT, ConnectorSpec

DEADLINE = 20.0
"""Seconds that one hook call may take; the request that waits for it has 25."""


def validate_settings(connector_type: type[Connector[Any]], connection_id: str, config: Mapping[str, Any]) -> BaseModel:
    """Return the validated settings of a connection.

    :raises ConnectionSettingsError: with one line per wrong setting; a value is never shown, it may be a secret.
    """
    try:
        return connector_type.config_model.model_validate(dict(config))
    except ValidationError as error:
        lines = [
            f'connection "{connection_id}": {".".join(str(part) for part in fault["loc"]) or "config"}: '
            + fault["msg"].removeprefix("Value error, ")
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    # Outside of the handler: pydantic's error holds the values that were given, and must not travel as the context.
    raise ConnectionSettingsError("\n".join(lines))


@asynccontextmanager
async def open_connection(
    connector_type: type[Connector[Any]],
    connection_id: str,
    config: Mapping[str, Any],
    *,
    http_client: ClientFactory,
    state: ConnectorState,
    logger: logging.Logger,
    observer: Observer | None = None,
    deadline: float = DEADLINE,
    reread: Callable[[], Mapping[str, Any]] | None = None,
) -> AsyncIterator[BoundConnector]:
    """Open one connector for the length of a ``with`` block.

    :param config: The ``config`` table of the connection, secrets resolved.
    :param http_client: Opens HTTP clients for the connector.
    :param state: The connection's durable small store.
    :param logger: Logs with the connection's id.
    :param observer: Called after each hook call.
    :param deadline: Seconds that one hook call may take.
    :param reread: Returns ``config`` with the secrets as they are now; ``None``: they stay what they are.
    :raises ConnectionSettingsError: When the settings do not validate.
    :raises ConfigurationError: When the connector cannot be opened.
    """

    async def opened(config: Mapping[str, Any]) -> Opened:
        context: ConnectorContext[Any] = ConnectorContext(
            connection_id=connection_id,
            config=validate_settings(connector_type, connection_id, config),
            logger=logger,
            state=state,
            http_client=http_client,
        )
        return await _opened(connector_type, context, config)

    async def identity(opened: Opened) -> str | None:
        told: str | None = None
        if "identify" in bound.operations:
            told = await boundary.cross("identify", opened.hooks.hook.identify, {})
        return told

    boundary = Boundary(deadline, logger, observer)
    bound = BoundConnector(connection_id, await opened(config), boundary)
    if reread is not None:
        bound.renewal = Renewal(bound.place, reread=reread, open_anew=opened, identify=identity)
    try:
        yield bound
    finally:
        await bound.place.opened.resources.aclose()


async def _opened(
    connector_type: type[Connector[Any]], context: ConnectorContext[Any], config: Mapping[str, Any]
) -> Opened:
    """Open an object of a connector.

    :param config: The settings, as they were before they were validated.
    :raises ConfigurationError: When it cannot be opened.
    """
    hooks = pluggy.PluginManager(PROJECT)
    hooks.add_hookspecs(ConnectorSpec)
    async with AsyncExitStack() as stack:
        try:
            connector = await stack.enter_async_context(connector_type(context))
        except BridgeError:
            raise
        except Exception as error:
            text = "the %s connector cannot be opened"
            context.logger.exception(text, connector_type.name, exc_info=without_text(error))
            raise ConfigurationError(
                f'connection "{context.connection_id}": the {connector_type.name} connector cannot be opened:'
                f" {type(error).__name__}"
            ) from error
        check_attributes(connector)
        hooks.register(connector)
        hooks.check_pending()
        return Opened(connector, hooks, config, stack.pop_all())


class ConnectionSettings(Protocol):
    """What the pool needs to know of a configured connection."""

    @property
    def connector(self) -> str:
        """The name of the connector type."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings of the connector, secrets resolved."""


class StateFactory(Protocol):
    """Gives each connection its durable small store."""

    def __call__(self, connection_id: str) -> ConnectorState:
        """Return the store of one connection."""


class ConnectionPool:
    """The open connectors of all configured connections, by connection id.

    Use it as an async context manager: it opens all or none, and closes in reverse order.

    :param connections: The configured connections by id.
    :param reread: Returns the ``config`` of a connection with the secrets as they are now.
    :raises UnknownConnectorError: on entering, when no plugin registers a configured connector.
    :raises ConfigurationError: on entering, when a connection's settings are wrong.
    """

    def __init__(
        self,
        registry: ConnectorRegistry,
        connections: Mapping[str, ConnectionSettings],
        *,
        http_client: ClientFactory,
        state: StateFactory,
        deadline: float = DEADLINE,
        reread: Callable[[str], Mapping[str, Any]] | None = None,
    ) -> None:
        self._registry = registry
        self._connections = connections
        self._http_client = http_client
        self._state = state
        self._deadline = deadline
        self._reread = reread
        self._open: dict[str, BoundConnector] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for connection_id, settings in self._connections.items():
                self._open[connection_id] = await stack.enter_async_context(
                    open_connection(
                        self._registry.get(settings.connector),
                        connection_id,
                        settings.config,
                        http_client=self._http_client,
                        state=self._state(connection_id),
                        logger=logging.getLogger(f"scim_bridge.connection.{connection_id}"),
                        deadline=self._deadline,
                        reread=None if self._reread is None else partial(self._reread, connection_id),
                    )
                )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.clear()
        await self._stack.aclose()

    def __getitem__(self, connection_id: str) -> BoundConnector:
        return self._open[connection_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._open)

    def __len__(self) -> int:
        return len(self._open)
