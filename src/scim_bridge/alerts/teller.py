"""What looks at what needs somebody, and tells the channels."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from scim_bridge.alerts import ledger
from scim_bridge.alerts.channels import Channel, UntoldError, message_of
from scim_bridge.alerts.ledger import Alert
from scim_bridge.config import Settings
from scim_bridge.errors import StoreUnavailableError, without_text
from scim_bridge.store.engine import Store
from scim_bridge.store.transaction import Transaction
from scim_bridge.views.needs import Need, needs, of_disk

LOOK_SECONDS = 20.0
"""How often the teller looks."""

FIRST_RETRY = timedelta(seconds=15)
LAST_RETRY = timedelta(minutes=10)

logger = logging.getLogger("scim_bridge.alerts")


class Teller:
    """Tells the channels what needs somebody. One process of a store runs it.

    :param channels: Opens whom it tells, with the secrets as they are then: again when one did not take something.
    :param clock: Tells the time in UTC.
    """

    def __init__(
        self, settings: Settings, store: Store, channels: Callable[[], Sequence[Channel]], clock: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._store = store
        self._open_channels, self._channels = channels, channels()
        self._clock = clock
        self._retries: dict[tuple[str, str], tuple[datetime, timedelta]] = {}

    async def run(self) -> None:
        """Look and tell until cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailableError:  # the store tells it, once
                pass
            except Exception as error:
                logger.exception("looking for what needs somebody failed", exc_info=without_text(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Bring the ledger to what lasts now, and tell what is due."""
        now, watch = self._clock(), self._settings.alerts.watch()
        names = [channel.name for channel in self._channels]

        def find(tx: Transaction) -> list[Need]:
            return [need for id_ in self._settings.connections for need in needs(tx, id_, watch, now=now)]

        found = [*of_disk(self._settings.store.file, watch), *await self._store.scan(find)]
        before = await self._store.read(ledger.load)
        alerts = ledger.settle(before, found, names, now)
        if alerts != before:
            await self._store.write(lambda tx: ledger.save(tx, alerts, now))
        await asyncio.gather(*(self._tell(channel, alerts) for channel in self._channels))

    async def _tell(self, channel: Channel, alerts: Mapping[str, Alert]) -> None:
        remind = timedelta(hours=self._settings.alerts.remind_hours)
        for alert in alerts.values():
            now, key = self._clock(), (channel.name, alert.key)
            at, wait = self._retries.get(key, (now, FIRST_RETRY))
            if now < at or not alert.due(channel.name, now, remind):
                continue
            try:
                await channel.send(message_of(alert, self._settings, now), now)
            except UntoldError as error:
                self._retries[key] = (now + wait, min(2 * wait, LAST_RETRY))
                logger.warning("an alert (%s) was not taken by %s; it is tried again", alert.condition, error)
                self._channels = self._open_channels()
                continue
            self._retries.pop(key, None)
            logger.info("%s told: %s %s", channel.name, alert.key, alert.state(now))
            await self._store.write(partial(_note, told=alert, channel=channel.name, now=now))


def _note(tx: Transaction, *, told: Alert, channel: str, now: datetime) -> None:
    """Note in what is kept now that a channel was told of an alert: others are told at the same time."""
    alerts = ledger.load(tx)
    if told.key in alerts:
        ledger.save(tx, {**alerts, told.key: alerts[told.key].tell(channel, told, now)}, now)
