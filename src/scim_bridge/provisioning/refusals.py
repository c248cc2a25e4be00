"""What the driver remembers of refusals and delays while it runs: which are in doubt, and which were told.

Nothing of this is needed after a restart: what is refused then is looked at, and told, once more.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from scim_bridge.errors import ConnectorError, RemoteUnavailableError
from scim_bridge.provisioning.situation import Situation

TOLD_AGAIN = timedelta(hours=1)
"""When a removal that is refused each time, or work that is put off each time, for the same reason, is told again."""


class Refusals:
    """Judges the refusals and delays of one connection.

    :param logger: Where they are told.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], datetime]) -> None:
        self.logger = logger
        self.clock = clock
        self._doubted: dict[str, tuple[object, ...]] = {}
        """What was refused after a write of the same call, by resource id: refused again, nothing is in doubt."""
        self._told: dict[str, tuple[int, str, datetime]] = {}
        """The generation and reason of what was told last, and when, by resource id, the oldest first."""

    def end(self, resource_id: str) -> None:
        """Forget what is in doubt: a resource is driven no more."""
        self._doubted.pop(resource_id, None)

    def judge(self, situation: Situation, error: ConnectorError) -> bool:
        """Decide whether a refusal leaves doubt, and return whether it is to be told; then it is in the log.

        A removal is tried each minute; the same refusal of it is told once an hour.
        """
        row = situation.row
        this = (situation.step, row.generation, situation.desired.links, situation.seen)
        if error.ambiguous and self._doubted.get(row.id) == this:
            error.ambiguous = False  # it was looked at meanwhile: the writes before the refused one change nothing
        elif error.ambiguous:
            self._doubted[row.id] = this
        if situation.is_removal and not self._is_news(situation, error):
            return False
        level = logging.ERROR if situation.is_removal else logging.WARNING
        self.logger.log(level, "%s of %s %s was refused: %s", situation.step, row.kind, row.id, type(error).__name__)
        return True

    def level(self, situation: Situation, error: ConnectorError) -> int:
        """Return how loud a transient failure is told: work that finishes later once an hour, else for debugging."""
        if error.alarms:
            return logging.ERROR
        later = isinstance(error, RemoteUnavailableError) and error.ambiguous and error.retry_after is not None
        return logging.DEBUG if later and not self._is_news(situation, error) else logging.WARNING

    def _is_news(self, situation: Situation, error: ConnectorError) -> bool:
        row, now = situation.row, self.clock()
        while self._told and now - next(iter(self._told.values()))[2] >= TOLD_AGAIN:
            del self._told[next(iter(self._told))]
        if self._told.get(row.id, (0, ""))[:2] == (row.generation, error.detail):
            return False
        self._told.pop(row.id, None)
        self._told[row.id] = (row.generation, error.detail, now)
        return True
