"""Runs the teller beside a bridge: in one process of a store; and notes in each process which driver stands still."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from functools import partial

from scim_bridge.alerts.channels import Channel, channels_of
from scim_bridge.alerts.teller import LOOK_SECONDS, Teller
from scim_bridge.config import Settings
from scim_bridge.connections import BoundConnector
from scim_bridge.errors import ConfigurationError, StoreError
from scim_bridge.provisioning.driver import Driver
from scim_bridge.provisioning.leading import own
from scim_bridge.store import connector_state
from scim_bridge.store.engine import Store
from scim_bridge.store.leadership import leadership
from scim_bridge.store.transaction import Transaction
from scim_bridge.tasks import beside
from scim_bridge.views.needs import STILL, UNASKED

ALERTS = "bridge:alerts"
"""What the process leads that tells; no connection can be called so."""

STILL_SECONDS = 120.0
"""For how long a driver may not have turned: it does every few seconds, whatever it waits for."""

logger = logging.getLogger("scim_bridge.alerts")


@asynccontextmanager
async def alerting(
    settings: Settings,
    store: Store,
    drivers: Mapping[str, Driver],
    connectors: Mapping[str, BoundConnector],
    clock: Callable[[], datetime],
) -> AsyncIterator[None]:
    """Tell what needs somebody, for the length of a ``with`` block.

    :param drivers: Those of this process, by connection.
    :param connectors: Likewise.
    """
    channels = partial(channels_now, settings)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(beside(_watch(store, drivers, connectors, clock), "watch drivers"))
        if channels():
            leading = leadership(store, takeover_seconds=settings.store.takeover_seconds)
            stack.push_async_callback(leading.close)
            telling = partial(_telling, Teller(settings, store, channels, clock))
            owning = own(leading, ALERTS, telling, lost=lambda: None, chance=random.random)
            await stack.enter_async_context(beside(owning, "own alerts"))
        yield


def channels_now(settings: Settings) -> Sequence[Channel]:
    """Return the channels with the secrets as they are now; with those of the start while they cannot be read."""
    try:
        return channels_of(settings.reread("alerts").alerts)
    except ConfigurationError as error:
        logger.error("the secrets that were read again will not do: %s", error)  # noqa: TRY400 - one line says it
        return channels_of(settings.alerts)


def _telling(teller: Teller) -> AbstractAsyncContextManager[None]:
    return beside(teller.run(), "tell alerts")


async def _watch(
    store: Store,
    drivers: Mapping[str, Driver],
    connectors: Mapping[str, BoundConnector],
    clock: Callable[[], datetime],
) -> None:
    told: dict[str, bool] = {}
    identified: dict[str, str] = {}
    while True:
        with suppress(StoreError):
            await note_still(store, drivers, told, clock())
            await note_unasked(store, connectors, identified, clock())
        await asyncio.sleep(LOOK_SECONDS)


async def note_still(store: Store, drivers: Mapping[str, Driver], told: dict[str, bool], now: datetime) -> None:
    """Note which driver of this process does not turn, and take back what was noted of one that does.

    :param told: What was noted of each; changed.
    """
    since = asyncio.get_running_loop().time() - STILL_SECONDS
    for id_, driver in drivers.items():
        still = None if driver.turned_at is None else driver.turned_at <= since  # None: another process drives
        if still is not None and told.get(id_) != still:
            await store.write(partial(_note, connection_id=id_, still=still, now=now))
            told[id_] = still


async def note_unasked(
    store: Store, connectors: Mapping[str, BoundConnector], told: dict[str, str], now: datetime
) -> None:
    """Note which remote system does not say who it is, and take back what was noted of one that does.

    Only the process that drives a connection asks.

    :param told: What was noted of each; changed.
    """
    for id_, connector in connectors.items():
        error = connector.identified
        if error is None or told.get(id_) == error:
            continue
        kept = {"error": error, "since": now.isoformat()}
        work = partial(connector_state.put, value=kept, now=now) if error else connector_state.delete
        await store.write(partial(_of_identity, work=work, connection_id=id_))
        told[id_] = error


def _of_identity(tx: Transaction, *, work: Callable[..., None], connection_id: str) -> None:
    work(tx, connection_id, UNASKED)


def _note(tx: Transaction, *, connection_id: str, still: bool, now: datetime) -> None:
    if still:
        connector_state.put(tx, connection_id, STILL, {"since": now.isoformat()}, now)
    else:
        connector_state.delete(tx, connection_id, STILL)
