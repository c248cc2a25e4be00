"""What is looked at every few minutes because of the mass-change guard: who waits for an operator, and what grows."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from scim_bridge.provisioning.guard import Guard
from scim_bridge.store.engine import Store

HELD_ALARM = timedelta(minutes=5)
"""How often held changes are looked at, and alarmed."""


class GuardWatch:
    """Looks after what a guard holds.

    :param logger: Where its alarms go.
    """

    def __init__(self, guard: Guard, store: Store, logger: logging.Logger, clock: Callable[[], datetime]) -> None:
        self.guard = guard
        self.store = store
        self.logger = logger
        self.clock = clock
        self._looked = clock()
        self._removals_told = 0

    def is_due(self) -> bool:
        """Whether it is time to look."""
        return self.clock() - self._looked >= HELD_ALARM

    async def look(self) -> None:
        """Release what was held long enough, alarm while anything is held, and tell that a day sees many removals."""
        self._looked = self.clock()
        released, held = await self.store.write(self.guard.release_overdue)
        if released:
            self.logger.error("mass-change guard: %d changes were released, nobody had rejected them", len(released))
        if held:
            self.logger.error("mass-change guard: %d changes are held; approve or reject them", held)
        lost = await self.store.read(self.guard.many_removals_of_a_day)
        if lost > self._removals_told:
            self.logger.warning(
                "mass-change guard: %d people lost access within a day, over half of what it allows", lost
            )
        self._removals_told = lost
