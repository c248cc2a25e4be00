"""Which process drives a connection, and when it has to stop.

On PostgreSQL any number of processes accept writes; each connection is driven by the one that leads it. The others try
to become its leader again and again, so that one that dies is followed within seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from scim_bridge.connector import correlation_id
from scim_bridge.errors import ConnectorError, StoreUnavailableError, without_text
from scim_bridge.provisioning.driver import Driver
from scim_bridge.provisioning.identification import Identification
from scim_bridge.provisioning.reconcile import Reconciler
from scim_bridge.store.leadership import Leadership

TRY_SECONDS = 3.0
"""How often a process tries to become the leader of a connection, with jitter."""

COMPARE_RETRY = 15.0
"""Seconds after which a comparison that failed is tried again."""

COMPARE_AGAIN = 15.0
"""Seconds after which everything is compared once more when the names of some were others' at the time."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When everything is compared.

    :param at_start: Whether when the driving begins.
    :param seconds: How often after that, with jitter; 0: never.
    """

    at_start: bool = True
    seconds: float = 900.0


async def own(
    leadership: Leadership,
    connection_id: str,
    driving: Callable[[], AbstractAsyncContextManager[None]],
    *,
    lost: Callable[[], None],
    chance: Callable[[], float],
) -> None:
    """Drive a connection whenever this process leads it, until cancelled.

    :param driving: Entered when leadership is won and left when it is lost, or at the end.
    :param lost: Called when leadership is lost: calls under way are not to be recorded.
    :param chance: Returns numbers in [0, 1), for jitter.
    """
    while True:
        if await leadership.acquire(connection_id):
            async with driving():
                while await leadership.check() and connection_id in leadership.led:
                    await asyncio.sleep(leadership.beat_seconds)
                    await leadership.heartbeat()
                lost()
        await asyncio.sleep(TRY_SECONDS * (0.5 + chance() / 2))


@asynccontextmanager
async def drive(
    driver: "Driver",
    reconciler: "Reconciler",
    schedule: Schedule,
    *,
    chance: Callable[[], float],
) -> AsyncIterator[None]:
    """Run the driver of a connection and the periodic comparison, for the length of a ``with`` block."""
    running = asyncio.create_task(driver.run(), name=f"driver {driver.connection_id}")
    identifying = asyncio.create_task(_identify(driver.identification), name=f"identify {driver.connection_id}")
    comparing = asyncio.create_task(_compare(reconciler, schedule, chance), name=f"reconcile {driver.connection_id}")
    try:
        yield
    finally:
        comparing.cancel()
        identifying.cancel()
        await driver.stop()
        await running


async def _identify(identification: "Identification") -> None:
    """Ask the remote system who it is at the start and now and then, so that a held connection is let go.

    Nothing is sent before it has answered in any case; see :meth:`~.identification.Identification.confirmed`.
    """
    correlation_id.set(None)  # no request asks
    while True:
        delay = COMPARE_RETRY
        try:
            delay = identification.ask_again if await identification.confirmed() else identification.held_alarm
        except (ConnectorError, StoreUnavailableError) as error:
            identification.logger.warning("asking the remote system who it is failed: %s", type(error).__name__)
        except Exception as error:
            identification.logger.exception("asking the remote system failed", exc_info=without_text(error))
        await asyncio.sleep(delay)


async def _compare(reconciler: "Reconciler", schedule: Schedule, chance: Callable[[], float]) -> None:
    """Compare at the start and then periodically; what fails is tried again sooner."""
    if not schedule.at_start:
        if not schedule.seconds:
            return
        await asyncio.sleep(schedule.seconds)
    again = False
    while True:
        delay = schedule.seconds * (0.9 + 0.2 * chance())
        try:
            comparison = await reconciler.run()
            reconciler.logger.info("%d accounts and groups compared", comparison.compared)
            # What has their name now may get its own meanwhile. Once: where it does not, nothing would come of more.
            again = comparison.displaced > 0 and not again
            if again:
                delay = COMPARE_AGAIN
        except (ConnectorError, StoreUnavailableError) as error:
            reconciler.logger.warning("comparing failed: %s", type(error).__name__)
            delay = COMPARE_RETRY
        except Exception as error:
            reconciler.logger.exception("comparing failed", exc_info=without_text(error))
            delay = COMPARE_RETRY
        if not delay:
            return
        await asyncio.sleep(delay)
