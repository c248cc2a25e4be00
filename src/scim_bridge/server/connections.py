"""What the server is given of each connection."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from scim_bridge.models import Kind
from scim_bridge.protocol import BridgeProvider, BridgeService, ClientPreset, Limits
from scim_bridge.protocol.clients import Recognition
from scim_bridge.provisioning import Provisioning
from scim_bridge.server.access_log import met
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import Ownership

logger = logging.getLogger("scim_bridge.server")


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
    :param recognition: Tells when its client is another than the configured one.
    """

    connection_id: str
    provisioning: Provisioning
    store: Store
    service: BridgeService
    recognition: Recognition
    options: ConnectionOptions = field(default_factory=ConnectionOptions)

    def tells(self, kind: Kind) -> bool:
        """Whether what is shown of a resource is more than is in its document and its groups: what people hold."""
        return kind == "User" and self.service.provider.entitlements != "kept"

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
    recognition = Recognition(preset.name, partial(_told_apart, connection_id, preset.name))
    key = _of_connection(secret, connection_id)

    def counted(quirk: str) -> None:
        count(quirk)
        met(quirk)

    service = BridgeService(provider, preset, secret=key, limits=limits, count=counted, met=recognition.form)
    return ServedConnection(
        connection_id, provisioning, provisioning.store, service, recognition, options or ConnectionOptions()
    )


def _told_apart(connection_id: str, configured: str, seen: str) -> None:
    """Tell the operator that another client asks than the configured one; ``generic`` understands it all the same."""
    level = logging.INFO if configured == "generic" else logging.WARNING
    logger.log(
        level, 'connection "%s": client = "%s", but requests look like those of "%s"', connection_id, configured, seen
    )


def _of_connection(secret: str | bytes, connection_id: str) -> bytes:
    """Return a secret that no other connection has: a cursor of one is none of another."""
    return connection_id.encode() + b"\0" + (secret.encode() if isinstance(secret, str) else secret)
