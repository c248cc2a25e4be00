"""What the server is given of each connection."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from scim_bridge.protocol import BridgeProvider, BridgeService, ClientPreset, Limits
from scim_bridge.provisioning import Provisioning
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import Ownership


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """The choices of an operator that concern what clients of a connection see.

    :param transient_status: The status of whatever is transient.
    :param group_patch_status: 204, or 200 with a body always.
    :param list_unmanaged: Whether lists show accounts that no client has written.
    """

    transient_status: Literal[429, 503] = 429
    group_patch_status: Literal[204, 200] = 204
    list_unmanaged: bool = True


@dataclass(frozen=True, slots=True)
class ServedConnection:
    """A connection as the server serves it.

    :param connection_id: The first segment of its URLs.
    :param provisioning: Where its writes go.
    :param store: Where its reads come from.
    :param service: What its requests mean.
    """

    connection_id: str
    provisioning: Provisioning
    store: Store
    service: BridgeService
    options: ConnectionOptions = field(default_factory=ConnectionOptions)

    @property
    def listed(self) -> frozenset[Ownership]:
        """Which accounts and groups lists show."""
        if self.options.list_unmanaged:
            return frozenset(Ownership)
        return frozenset({Ownership.CREATED, Ownership.ADOPTED})


def served(
    provisioning: Provisioning,
    preset: ClientPreset,
    provider: BridgeProvider,
    *,
    secret: str | bytes,
    options: ConnectionOptions | None = None,
    limits: Limits | None = None,
    count: Callable[[str], Any] = lambda _: None,
) -> ServedConnection:
    """Return a connection as the server serves it.

    :param provider: The schemas, the connector's own included; the provisioning has its class of Users from it.
    :param secret: Seals the cursors of RFC 9865; the same on every replica.
    :param count: Called with the name of each client quirk that is met.
    """
    connection_id = provisioning.connection_id
    return ServedConnection(
        connection_id,
        provisioning,
        provisioning.store,
        BridgeService(provider, preset, secret=_of_connection(secret, connection_id), limits=limits, count=count),
        options or ConnectionOptions(),
    )


def _of_connection(secret: str | bytes, connection_id: str) -> bytes:
    """Return a secret that no other connection has: a cursor of one is none of another."""
    return connection_id.encode() + b"\0" + (secret.encode() if isinstance(secret, str) else secret)
