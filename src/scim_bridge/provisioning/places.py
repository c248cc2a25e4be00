"""Who is worked on at the same time: so many of one connection, and removals besides."""

import asyncio

from scim_bridge.models import Lane

RESERVED_FOR_REMOVALS = 2
"""Places beside ``concurrency`` that only removals take, so that none waits for a slow creation to end."""

REMOVALS_AT_START = 4
"""Removals at the same time until those pending at the start are done: where the limit is nearly used up, the first
calls of many would take what is left of it before any of them had come to its end."""


class Places:
    """The places of one connection.

    :param concurrency: How many resources are worked on at the same time, removals that come on top left out.
    """

    def __init__(self, concurrency: int) -> None:
        self.running: dict[str, tuple[asyncio.Task[None], Lane]] = {}
        """The work under way, by resource id."""
        self.claimed: set[str] = set()
        """Resources that are being written, and for which a place is kept."""
        self.queued = False
        """Whether work was last seen to wait for a place."""
        self.recovered = False
        """Whether every removal that was pending at the start has been tried."""
        self.concurrency = concurrency
        self.most = concurrency + RESERVED_FOR_REMOVALS

    @property
    def taken(self) -> tuple[str, ...]:
        """The ids of who has a place."""
        return (*self.running, *self.claimed)

    def has(self, resource_id: str) -> bool:
        """Tell whether a resource has a place."""
        return resource_id in self.running or resource_id in self.claimed

    @property
    def removing(self) -> int:
        """How many removals are under way."""
        return sum(lane is Lane.REMOVE for _, lane in self.running.values())

    def is_free(self, lane: Lane, *, suspended: bool) -> bool:
        """Tell whether there is a place in a lane.

        :param suspended: Whether one is tried before the others.
        """
        taken, removing = len(self.running) + len(self.claimed), self.removing
        if suspended:  # one is tried, and one removal: it does not wait for what is slow
            return not taken or (lane is Lane.REMOVE and not removing)
        if taken >= self.most:
            return False
        if lane is Lane.REMOVE:
            return self.recovered or removing < REMOVALS_AT_START
        return taken - removing < self.concurrency

    def claim(self, resource_id: str) -> bool:
        """Keep a place for a resource if it would be its turn at once; else return ``False``."""
        if not self.recovered or self.queued or self.has(resource_id):
            return False
        if not self.is_free(Lane.UPDATE, suspended=False):
            return False
        self.claimed.add(resource_id)
        return True
