"""What happens to replicas and database: one fault after the other, chosen by a seed, each counted."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from scim_bridge.store.locks import lock_key
from tests.faults.replicas.cluster import CONNECTIONS, TAKEOVER_SECONDS, Cluster, Replica

PAUSE = (5.0, 9.0)
"""Seconds between faults: with less, hardly anything would ever be done."""

CUT_SECONDS = 9.0
"""How long a link stays cut: longer than it takes another replica to follow."""

END_SESSION = """
SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
AND ((classid::bigint << 32) | objid::bigint) = %(key)s
"""
END_LISTENERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%' LIMIT 1"


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault.

    :param at: When it struck, in seconds since the epoch.
    :param replica: The number of the replica it struck.
    """

    at: float
    kind: str
    replica: int


@dataclass
class Weather:
    """Strikes until told to stop, and mends what it broke.

    :param strikes: Every fault that struck, in order.
    """

    cluster: Cluster
    random: random.Random
    strikes: list[Strike] = field(default_factory=list)
    mending: set[asyncio.Task[None]] = field(default_factory=set)
    _bag: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Strike without end; every kind comes once before any comes again."""
        while True:
            await asyncio.sleep(self.random.uniform(*PAUSE))
            if not self._bag:
                self._bag = list(self.kinds)
                self.random.shuffle(self._bag)
            for kind in self._bag:
                if await self.strike(kind):
                    self._bag.remove(kind)
                    break

    @property
    def fired(self) -> dict[str, int]:
        """How often each kind struck."""
        return dict(Counter(strike.kind for strike in self.strikes))

    @property
    def is_complete(self) -> bool:
        """Whether every kind struck."""
        return self.fired.keys() == self.kinds.keys()

    @property
    def kinds(self) -> dict[str, Callable[[], Awaitable[Replica | None]]]:
        """What can happen; each returns whom it happened to, or ``None`` when it could not."""
        return {
            "owner killed": self._kill_owner,
            "another killed": self._kill_another,
            "PostgreSQL killed": self._kill_database,
            "lock session ended": self._end_session,
            "owner frozen": self._freeze_owner,
            "owner cut off": self._cut_owner,
            "LISTEN session ended": self._end_listener,
        }

    async def strike(self, kind: str) -> bool:
        """Let something happen; tell whether it did."""
        began = time.time()
        struck = await self.kinds[kind]()
        if struck is not None:
            self.strikes.append(Strike(began, kind, struck.number))
        return struck is not None

    async def calm(self) -> None:
        """Wait until everything is mended."""
        while self.mending:
            await asyncio.gather(*self.mending)

    async def _owner(self) -> Replica | None:
        """Return a replica that leads a connection and that nothing has befallen."""
        for connection in self.random.sample(CONNECTIONS, len(CONNECTIONS)):
            owner = await self.cluster.owner(connection)
            if owner is not None and self._is_well(owner):
                return owner
        return None

    def _is_well(self, replica: Replica) -> bool:
        return replica.alive and not replica.frozen and replica.link.whole

    def _mend(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self.mending.add(task)
        task.add_done_callback(self.mending.discard)

    async def _kill(self, replica: Replica | None) -> Replica | None:
        if replica is not None:
            await self.cluster.kill(replica)
            self._mend(self.cluster.start(replica))
        return replica

    async def _kill_owner(self) -> Replica | None:
        return await self._kill(await self._owner())

    async def _kill_another(self) -> Replica | None:
        owner = await self._owner()
        others = [one for one in self.cluster.replicas if one is not owner and self._is_well(one)]
        return await self._kill(self.random.choice(others)) if owner and others else None

    async def _kill_database(self) -> Replica | None:
        def restart() -> None:
            self.cluster.server.kill()
            self.cluster.server.start()

        await asyncio.to_thread(restart)
        return self.cluster.replicas[0]

    async def _end_session(self) -> Replica | None:
        owner = await self._owner()
        led = [one for one in CONNECTIONS if owner is not None and await self.cluster.owner(one) is owner]
        return owner if led and await end_session(self.cluster, led[0]) else None

    async def _freeze_owner(self) -> Replica | None:
        owner = await self._owner()
        if owner is None:
            return None
        process = owner.process
        self.cluster.freeze(owner)

        async def thaw() -> None:
            await asyncio.sleep(TAKEOVER_SECONDS + self.random.uniform(3, 5))
            assert owner.process is process
            self.cluster.thaw(owner)

        self._mend(thaw())
        return owner

    async def _cut_owner(self) -> Replica | None:
        owner = await self._owner()
        if owner is None:
            return None
        owner.link.part()

        async def mend() -> None:
            await asyncio.sleep(CUT_SECONDS)
            owner.link.join()

        self._mend(mend())
        return owner

    async def _end_listener(self) -> Replica | None:
        return self.cluster.replicas[0] if await self.cluster.query(END_LISTENERS) else None


async def end_session(cluster: Cluster, connection: str) -> bool:
    """End the session that holds a connection's lock; tell whether there was one."""
    return bool(await cluster.query(END_SESSION, {"key": lock_key(connection)}))
