"""The composition root: settings in, a running bridge out. Nothing else in the project knows all parts.

:func:`open_bridge` opens all; :func:`create_app` is the ASGI application that does so; :func:`run` serves it.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, cast
from uuid import uuid4

from scim_bridge.alerts.running import alerting
from scim_bridge.config import ConnectionSettings, Settings
from scim_bridge.connections import BoundConnector, ConnectionPool, discover
from scim_bridge.connections.pool import StateFactory
from scim_bridge.connector import ClientFactory, ConnectorRegistry
from scim_bridge.console.opening import shown
from scim_bridge.desk import Desk, Operated, now
from scim_bridge.errors import ConfigurationError
from scim_bridge.keeping import keeping
from scim_bridge.models import User
from scim_bridge.protocol import BridgeProvider, ClientPreset, preset
from scim_bridge.provisioning import Provisioning, observing
from scim_bridge.provisioning.driver import Driver
from scim_bridge.provisioning.journal import OPERATOR, actor
from scim_bridge.provisioning.leading import Schedule, drive, own
from scim_bridge.provisioning.reconcile import Reconciler
from scim_bridge.server.application import Server, ServerOptions, create_server
from scim_bridge.server.authentication import TokenAuthentication, warn_of_missing_tokens
from scim_bridge.server.connections import ConnectionOptions, ServedConnection, served
from scim_bridge.server.metrics import Metrics
from scim_bridge.server.request_log import RequestLog
from scim_bridge.server.scraping import Scrape, scraped
from scim_bridge.server.serve import Listen, serve
from scim_bridge.store import notifications
from scim_bridge.store.engine import Store
from scim_bridge.store.kept import KeptCircuit, KeptState, KeptWindow
from scim_bridge.store.leadership import Leadership, leadership
from scim_bridge.store.notifications import listening
from scim_bridge.surroundings import Surroundings
from scim_bridge.tasks import on_signal
from scim_bridge.tracing import spans_of
from scim_bridge.upstream import Call, HttpClients
from scim_bridge.views.plan import plan

if TYPE_CHECKING:
    from scim_bridge.console.house import Plans
    from scim_bridge.server.spans import Spans

logger = logging.getLogger("scim_bridge.serve")

RECOVERY = 4.0
"""Seconds that readiness waits at most for pending removals to be tried after a start."""


@dataclass
class Bridge:
    """A running bridge.

    :param connections: What the server serves, by connection id.
    :param reconcilers: What compares each connection with its remote system.
    :param drives: Whether this process brings the remote systems to what is desired.
    """

    settings: Settings
    store: Store
    connections: dict[str, ServedConnection] = field(default_factory=dict)
    reconcilers: dict[str, Reconciler] = field(default_factory=dict)
    drives: bool = True

    @property
    def drivers(self) -> dict[str, Driver]:
        """What drives each connection, where this process leads it."""
        return {id_: connection.provisioning.driver for id_, connection in self.connections.items()}

    @property
    def connectors(self) -> dict[str, BoundConnector]:
        """The open connector of each connection."""
        return {id_: connection.provisioning.connector for id_, connection in self.connections.items()}

    def provisioning(self, connection_id: str) -> Provisioning:
        """Return the provisioning of a connection."""
        return self.connections[connection_id].provisioning


@asynccontextmanager
async def connectors_of(
    settings: Settings,
    *,
    http_client: ClientFactory | None = None,
    state: StateFactory,
) -> AsyncIterator[ConnectionPool]:
    """Open the connectors of all configured connections, for the length of a ``with`` block."""
    registry: ConnectorRegistry = discover(settings.server.plugins)
    for connection_id, connection in settings.connections.items():
        preset_of(connection)
        if settings.store.production and connection.connector.startswith("memory"):
            raise ConfigurationError(
                f'connection "{connection_id}": the connector "{connection.connector}" forgets everybody when the'
                " bridge stops; it is for trying things, not for [store] production = true"
            )
    clients = HttpClients() if http_client is None else http_client
    reread = settings.reread_config
    async with ConnectionPool(registry, settings.connections, http_client=clients, state=state, reread=reread) as pool:
        yield pool


@asynccontextmanager
async def open_bridge(
    settings: Settings,
    *,
    surroundings: Surroundings | None = None,
    metrics: Metrics | None = None,
    request_log: RequestLog | None = None,
    spans: "Spans | None" = None,
    exclusive: bool = True,
    only: str | None = None,
) -> AsyncIterator[Bridge]:
    """Open store, connectors and drivers; on leaving, finish what is under way and leave the rest pending.

    :param surroundings: Replaces network, clock and chance, for emulators in process and simulations.
    :param request_log: Keeps what is asked, and the calls that it causes.
    :param spans: Tells a collector of the calls.
    :param exclusive: Take the database for this process alone; a command does not, and drives only when nobody else has
        it.
    :param only: Open this connection alone.
    :raises ConfigurationError: In one line, when the bridge cannot start like this.
    """
    around, chosen = surroundings or Surroundings(), settings if only is None else settings.only(only)
    metrics = metrics or Metrics()
    async with AsyncExitStack() as stack:
        store = await Store.open(
            settings.store.url,
            production=settings.store.production,
            exclusive=exclusive,
            threads=around.threads,
            wait_seconds=settings.store.wait_seconds if exclusive else 0.0,
        )
        stack.push_async_callback(store.close)
        if request_log is not None:
            await stack.enter_async_context(request_log.kept(store))
        if isinstance(around.http_client, HttpClients):
            _keep(around.http_client, store, around.clock, metrics.counting(request_log, spans))
        state = partial(KeptState, store, clock=around.clock)
        pool = await stack.enter_async_context(connectors_of(chosen, http_client=around.http_client, state=state))
        bridge = Bridge(chosen, store, drives=store.alone)
        leading = leadership(store, takeover_seconds=settings.store.takeover_seconds)
        stack.push_async_callback(leading.close)
        metrics.gauges = _gauges(bridge, leading, around)
        secret = settings.server.cursor_key()
        for connection_id, connection in chosen.connections.items():
            provider = await _provider(pool[connection_id], connection)
            provisioning = around.provisioning(
                connection_id,
                store,
                pool[connection_id],
                settings.policy(connection_id),
                leadership=leading,
                user_model=cast("type[User]", provider.model("User")),
            )
            bridge.connections[connection_id] = _served(
                connection, provisioning, provider, secret=secret, metrics=metrics
            )
            reconciler = bridge.reconcilers[connection_id] = _reconciler(provisioning, connection)
            if bridge.drives:
                await _start(stack, leading, provisioning, reconciler, connection=connection, around=around)
        await stack.enter_async_context(listening(store, [notifications.CHANNEL], partial(_heard, bridge)))
        yield bridge


@asynccontextmanager
async def opened(settings: Settings, *, only: str) -> AsyncIterator[Bridge]:
    """Open one connection for a command: with its driver when no server runs, else beside the server that does."""
    actor.set(OPERATOR)
    connection = settings.connections[only].model_copy(update={"import_at_start": False, "reconcile_minutes": 0})
    settings = settings.model_copy(update={"connections": {**settings.connections, only: connection}})
    async with open_bridge(settings, exclusive=False, only=only) as bridge:
        yield bridge


def preset_of(connection: ConnectionSettings) -> ClientPreset:
    """Return how the client of a connection is understood.

    :raises ConnectionSettingsError: When its preset, or a quirk, is none; the message lists them.
    """
    return preset(connection.client).switched(on=connection.quirks_on, off=connection.quirks_off)


async def _provider(connector: BoundConnector, connection: ConnectionSettings) -> BridgeProvider:
    """Return the schemas of a connection, the connector's own included."""
    extensions = await connector.schemas() if "schemas" in connector.operations else ()
    policy, untold = preset_of(connection).policy, "list_entitlements" not in connector.operations
    asked = connection.assign != "groups"
    return BridgeProvider(extensions, policy, entitlements="kept" if untold else "asked" if asked else "shown")


def _served(
    connection: ConnectionSettings,
    provisioning: Provisioning,
    provider: BridgeProvider,
    *,
    secret: bytes,
    metrics: Metrics,
) -> ServedConnection:
    options = ConnectionOptions(connection.transient_status, connection.group_patch_status, connection.lists_unmanaged)
    return served(
        provisioning,
        preset_of(connection),
        provider,
        secret=secret,
        options=options,
        count=lambda name: metrics.quirks.labels(provisioning.connection_id, name).inc(),
    )


def _reconciler(provisioning: Provisioning, connection: ConnectionSettings) -> Reconciler:
    return Reconciler(
        provisioning,
        attribute_drift=connection.attribute_drift,
        missing_accounts=connection.missing_accounts,
    )


async def _start(
    stack: AsyncExitStack,
    leading: Leadership,
    provisioning: Provisioning,
    reconciler: Reconciler,
    *,
    connection: ConnectionSettings,
    around: Surroundings,
) -> None:
    """Drive a connection whenever this process leads it; on leaving, end what is under way."""
    id_ = provisioning.connection_id
    if connection.mode == "plan":
        await provisioning.store.write(partial(observing.start, connection_id=id_, now=around.clock()))
    schedule = Schedule(at_start=connection.import_at_start, seconds=connection.reconcile_minutes * 60.0)
    driving = partial(drive, provisioning.driver, reconciler, schedule, chance=around.chance)
    owning = asyncio.create_task(
        own(leading, id_, driving, lost=provisioning.driver.abandon, chance=around.chance), name=f"own {id_}"
    )

    async def stop() -> None:
        owning.cancel()
        with suppress(asyncio.CancelledError):
            await owning

    stack.push_async_callback(stop)


def _gauges(bridge: Bridge, leading: Leadership, around: Surroundings) -> Scrape:
    watch = bridge.settings.alerts.watch()
    file, clients = bridge.settings.store.file, around.http_client
    return scraped(bridge.store, bridge.connections, watch, leading, clients, file=file, clock=around.clock)


def _keep(clients: HttpClients, store: Store, clock: Callable[[], datetime], calls: Callable[[Call], None]) -> None:
    """Keep rate limits with every other process of a store, circuits beyond this one, and what was called."""
    clients.calls = calls
    clients.share = partial(KeptWindow, store, clock, uuid4().hex)
    clients.circuit = partial(KeptCircuit, store, clock)


def _heard(bridge: Bridge, channel: str, payload: str | None) -> None:  # noqa: ARG001 - there is one channel
    """Take a notification: there is work, or somebody waits for what another process did."""
    if payload is None:
        for connection in bridge.connections.values():
            connection.provisioning.driver.wake()
        return
    connection_id, resource_id = notifications.about(payload)
    if connection_id in bridge.connections:
        driver = bridge.provisioning(connection_id).driver
        if resource_id is None:
            driver.wake()
        else:
            driver.announce(resource_id)


def create_app(settings: Settings, *, surroundings: Surroundings | None = None) -> Server:
    """Return the bridge as an ASGI application; its lifespan opens and closes everything.

    :param surroundings: Replaces network, clock and chance, for emulators in process and simulations.
    """
    serving = Serving(settings)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with serving.bridge_of(surroundings) as bridge:
            serving.open(bridge)
            yield

    return serving.server(lifespan)


async def run(settings: Settings, *, started: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; read the secrets again at SIGHUP.

    :param started: Called with the root URL once the server listens.
    :raises ConfigurationError: In one line, when the bridge cannot start like this.
    """
    settings.require_connections()
    serving = Serving(settings)
    async with (
        on_signal(signal.SIGHUP, serving.renew, "renew secrets"),
        serving.bridge_of() as bridge,
        shown(settings, desk_of(bridge), plans_of(bridge)),
        alerting(settings, bridge.store, bridge.drivers, bridge.connectors, now),
        keeping(settings, bridge.store, now, bridge.connectors),
    ):
        serving.open(bridge)
        await warn_of_missing_tokens(bridge.store, bridge.connections)
        await serve(serving.server(), Listen(settings.server.host, settings.server.port), started=started)


def desk_of(bridge: Bridge) -> Desk:
    """Return where operators of a bridge do what they do."""
    operated = {}
    for id_, one in bridge.settings.connections.items():
        operated[id_] = Operated(bridge.provisioning(id_), partial(_reconciler, bridge.provisioning(id_), one))
    return Desk(bridge.store, operated=operated)


def plans_of(bridge: Bridge) -> "Plans":
    """Return what asks for the plan of each connection."""
    each = [(id_, bridge.provisioning(id_)) for id_ in bridge.connections]
    return {id_: partial(plan, connection_id=id_, capabilities=it.capabilities, guard=it.guard) for id_, it in each}


class Serving:
    """What an ASGI server is handed before the bridge is open, and what opens it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.request_log = RequestLog(settings.store.requests_days, lost=self.metrics.request_log_lost.inc)
        self.spans = spans_of(settings)
        self.connections: dict[str, ServedConnection] = {}
        self.authentication = TokenAuthentication()
        self.bridge: Bridge | None = None
        self.opened_at = 0.0

    @asynccontextmanager
    async def bridge_of(self, surroundings: Surroundings | None = None) -> AsyncIterator[Bridge]:
        """Open the bridge of these settings, and tell the collector what is left in the end."""
        log, spans = self.request_log, self.spans
        opening = open_bridge(
            self.settings, surroundings=surroundings, metrics=self.metrics, request_log=log, spans=spans
        )
        try:
            async with opening as bridge:
                yield bridge
        finally:
            if spans is not None:
                await spans.close()

    def open(self, bridge: Bridge) -> None:
        """Let requests in."""
        self.bridge = bridge
        self.authentication.store = bridge.store
        self.opened_at = asyncio.get_running_loop().time()
        self.connections.update(bridge.connections)

    async def renew(self) -> None:
        """Read the secrets of all connections again."""
        for id_ in self.connections:
            renewal = self.connections[id_].provisioning.connector.renewal
            if renewal is not None and not await renewal.renew():
                logger.info("%s goes on with the secrets that it has", id_)

    def server(self, lifespan: Callable[[], AbstractAsyncContextManager[None]] = nullcontext) -> Server:
        """Return the ASGI application."""
        return create_server(
            self.connections,
            authenticate=self.authentication,
            request_log=self.request_log,
            attribute=self.authentication.attribute,
            ready=self._ready,
            metrics=self.metrics,
            spans=self.spans,
            options=ServerOptions(
                base_url=self.settings.server.public_url, public_metrics=self.settings.server.metrics
            ),
            lifespan=lifespan,
        )

    async def _ready(self) -> Mapping[str, bool]:
        waited = asyncio.get_running_loop().time() - self.opened_at
        drivers = [connection.provisioning.driver for connection in self.connections.values()]
        recovered = waited > RECOVERY or all(driver.places.recovered for driver in drivers)
        store = None if self.bridge is None else self.bridge.store
        return {"open": store is not None, "store": store is not None and await store.answers(), "recovered": recovered}
