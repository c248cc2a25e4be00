"""What a connector is: the base class, the context it is given, and the registry of connector types.

A connector is a class with a handful of async hooks (:mod:`scim_bridge.hookspecs`), each decorated with
:data:`~scim_bridge.hookspecs.hookimpl`. The bridge makes one object per configured connection::

    class AcmeConnector(Connector[AcmeConfig]):
        name = "acme"
        config_model = AcmeConfig

        @hookimpl
        async def get_user(self, remote_id: str) -> Remote[User]: ...
"""

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import httpx2
from pydantic import BaseModel

from scim_bridge.definition import check_definition, describe
from scim_bridge.errors import DuplicateConnectorError, UnknownConnectorError
from scim_bridge.hookspecs import hookspec
from scim_bridge.models import RateLimit, Unrevoked

__all__ = [
    "ClientFactory",
    "Connector",
    "ConnectorContext",
    "ConnectorRegistry",
    "ConnectorState",
    "DiscoverySpec",
    "call_deadline",
    "call_writes",
]

ConfigT = TypeVar("ConfigT", bound=BaseModel)

call_deadline: ContextVar[float | None] = ContextVar("scim_bridge_call_deadline", default=None)
"""The running loop's time by which the current hook call ends; ``None`` outside of one. The bridge sets it around each
hook; HTTP clients read it, so that no wait and no retry outlives the call it serves."""

correlation_id: ContextVar[str | None] = ContextVar("scim_bridge_correlation_id", default=None)
"""The id of the request that caused what is done in this context: log lines, calls and audit entries carry it, and so
does the work that a write leaves to be done later."""

call_writes: ContextVar[list[str] | None] = ContextVar("scim_bridge_call_writes", default=None)
"""The methods of those writes of the current hook call that took effect or may have. HTTP clients add to it: when a
later call of the same hook fails, nobody has seen what the first ones left, and the driver has to look."""


class ConnectorState(Protocol):
    """A small durable store of the connection, for what a connector must remember across restarts.

    Tombstones of removed accounts and rotated refresh tokens live here. A value is durable when ``put`` returns.
    Values are JSON objects; keys are at most 200 characters.
    """

    async def get(self, key: str) -> dict[str, Any] | None:
        """Return the value of a key, or ``None``."""

    async def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Write a value; it is durable on return."""

    async def delete(self, key: str) -> None:
        """Forget a key; absent is fine."""


class ClientFactory(Protocol):
    """Opens HTTP clients whose transport limits, retries, breaks and traces (:mod:`scim_bridge.upstream`)."""

    def __call__(
        self,
        *,
        base_url: str,
        account: str,
        rate_limit: RateLimit,
        auth: httpx2.Auth | None = None,
        headers: Mapping[str, str] | None = None,
        pause_after: Callable[[httpx2.Response], float | None] | None = None,
    ) -> httpx2.AsyncClient:
        """Return a client.

        :param base_url: What the paths of its requests are relative to.
        :param account: Names the remote account; all clients of one account share one rate limit and one breaker.
        :param rate_limit: The limit of the account; the first client of an account sets it.
        :param auth: Signs each request, retries included; nothing of it is logged.
        :param headers: Sent with each request.
        :param pause_after: Reads the vendor's limit headers: given a response, the seconds for which the account must
            make no call, or ``None``. ``Retry-After`` is honoured without it.
        """


@dataclass(frozen=True, slots=True)
class ConnectorContext(Generic[ConfigT]):
    """What a connector object is given. It grows by fields, never by positional arguments.

    :param connection_id: The id of the connection, the first segment of its URLs.
    :param config: The validated settings of the connection.
    :param logger: Logs with the connection's id; never pass secrets or personal data to it.
    :param state: The connection's durable small store.
    :param http_client: Opens HTTP clients.
    """

    connection_id: str
    config: ConfigT
    logger: logging.Logger
    state: ConnectorState
    http_client: ClientFactory


class Connector(Generic[ConfigT]):
    """The base class of connector types. ``__init__`` does no I/O; clients are opened in ``__aenter__``."""

    name: ClassVar[str]
    """What a configuration file says: ``connector = "hubspot"``."""

    config_model: ClassVar[type[BaseModel]]
    """Validates the ``config`` table of a connection before an object is made; secrets are ``SecretStr``."""

    user_attributes: frozenset[str] = frozenset({"userName", "name.givenName", "name.familyName"})
    """The SCIM attribute paths of a User that the remote system holds. Others stay in the bridge's store.

    Like the two below, read from the object: ``__init__`` may set it from the configuration.
    """

    group_attributes: frozenset[str] = frozenset({"displayName"})
    """The same of a Group."""

    inactive_is_absent: bool = False
    """Whether a deactivated account is not to be found in the remote system."""

    unrevoked: tuple[Unrevoked, ...] = ()
    """What goes on when an account was deactivated or deleted, since no API of the remote system ends it: the leavers'
    report tells whoever has to. Empty: nothing is known of it."""

    members_per_call: int = 200
    """How many members ``add_group_members`` and ``remove_group_members`` are given at most.

    A connector that sends one request a member names as many as it can do within a call's deadline; the bridge gives
    fewer after a call that came to no end.
    """

    def __init__(self, context: ConnectorContext[ConfigT]) -> None:
        self.context = context

    @property
    def config(self) -> ConfigT:
        """The validated settings of the connection."""
        return self.context.config

    async def __aenter__(self) -> Self:
        """Open what the connector needs."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it again."""


class ConnectorRegistry:
    """The connector types that plugins registered, by name."""

    def __init__(self) -> None:
        self._types: dict[str, type[Connector[Any]]] = {}

    def add(self, connector_type: type[Connector[Any]]) -> None:
        """Register a connector type.

        :raises DuplicateConnectorError: When its name is taken; the message names both classes.
        :raises ConnectorDefinitionError: When the type breaks the contract.
        """
        check_definition(connector_type)
        taken = self._types.get(connector_type.name)
        if taken is not None:
            raise DuplicateConnectorError(
                f'connector name "{connector_type.name}" is registered twice:'
                f" {describe(taken)} and {describe(connector_type)}"
            )
        self._types[connector_type.name] = connector_type

    def get(self, name: str) -> type[Connector[Any]]:
        """Return the connector type of a name.

        :raises UnknownConnectorError: When no plugin registers it; the message lists those installed.
        """
        if name not in self._types:
            installed = ", ".join(sorted(self._types)) or "none"
            raise UnknownConnectorError(f'unknown connector "{name}"; installed: {installed}')
        return self._types[name]

    def types(self) -> Mapping[str, type[Connector[Any]]]:
        """Return the registered types by name, sorted."""
        return dict(sorted(self._types.items()))


class DiscoverySpec:
    """Implemented by plugin modules."""

    @hookspec
    def register_connectors(self, registry: ConnectorRegistry) -> None:
        """Add connector types to the registry."""
