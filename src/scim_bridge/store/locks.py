"""The advisory locks of the process that leads, on PostgreSQL (:mod:`scim_bridge.store.leadership`)."""

import asyncio
import hashlib
from collections.abc import Coroutine, Mapping
from math import inf
from types import MappingProxyType
from uuid import uuid4

import psycopg
from psycopg import sql

from scim_bridge.store.engine import Store
from scim_bridge.store.sessions import connect

RESERVE = 6
"""Which part of the time until it is taken over a leader does not use: a sixth, for clocks and the network."""

CHECK_SECONDS = 1.0
"""How long the session may take to prove that it is alive."""

SESSION_SECONDS = 10.0
"""How long the session may take for anything else."""

NOTHING: Mapping[str, object] = MappingProxyType({})

_NOW = sql.SQL("(extract(epoch from clock_timestamp()) * 1000000)::bigint")
_ACQUIRE = sql.SQL("SELECT pg_try_advisory_lock(%(key)s)")
_RELEASE = sql.SQL("SELECT pg_advisory_unlock(%(key)s)")
_ALIVE = sql.SQL("SELECT pg_backend_pid()")
_RECORD = sql.SQL(
    """
    INSERT INTO ownership (connection_id, owner, since, heartbeat_at) VALUES (%(connection)s, %(term)s, {now}, {now})
    ON CONFLICT (connection_id)
    DO UPDATE SET owner = excluded.owner, since = excluded.since, heartbeat_at = excluded.heartbeat_at
    """
).format(now=_NOW)
_HEARTBEAT = sql.SQL("UPDATE ownership SET heartbeat_at = {now} WHERE owner = %(term)s").format(now=_NOW)
_FORGET = sql.SQL("DELETE FROM ownership WHERE connection_id = %(connection)s AND owner = %(term)s")
# One statement, so that no heartbeat can fall between the look and the deed.
_END_FROZEN = sql.SQL(
    """
    SELECT pg_terminate_backend(lock.pid, 1000)
    FROM pg_locks AS lock
    JOIN pg_database AS database ON database.oid = lock.database AND database.datname = current_database()
    JOIN ownership ON ownership.connection_id = %(connection)s AND ownership.heartbeat_at < {now} - %(age)s
    WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1 AND lock.pid <> pg_backend_pid()
      AND ((lock.classid::bigint << 32) | lock.objid::bigint) = %(key)s
    """
).format(now=_NOW)


class SessionLeadership:
    """The leadership of one of several processes, by advisory locks of one PostgreSQL session.

    :param store: A store on PostgreSQL.
    :param owner: Names the process, for people.
    :param takeover_seconds: How old a leader's heartbeat must be before its session is ended.
    :param beat_seconds: How often it beats.
    """

    def __init__(self, store: Store, *, owner: str, takeover_seconds: float, beat_seconds: float) -> None:
        self.term = ""
        self.beat_seconds = beat_seconds
        self.ends = -inf
        self._url = store.url
        self._owner = owner
        self._takeover_seconds = takeover_seconds
        self._session: psycopg.AsyncConnection | None = None
        self._backend = 0
        self._led: set[str] = set()
        self._turn = asyncio.Lock()

    @property
    def led(self) -> frozenset[str]:
        """The connections led, as far as this process knows."""
        return frozenset(self._led)

    async def acquire(self, connection_id: str) -> bool:
        """Try to become the leader of a connection, from a leader that is frozen if need be."""
        return await self._run(self._acquire(connection_id), SESSION_SECONDS)

    async def check(self) -> bool:
        """Prove within a second that the session lives and is the one that took the locks."""
        return await self._run(self._check(), CHECK_SECONDS)

    async def heartbeat(self) -> None:
        """Write the server's time beside everything led; a session that cannot is given up."""
        await self._run(self._heartbeat(), SESSION_SECONDS)

    async def release(self, connection_id: str) -> None:
        """Let another process lead a connection."""
        await self._run(self._release(connection_id), SESSION_SECONDS)

    async def close(self) -> None:
        """Let go of everything: the locks end with the session."""
        for connection_id in self.led:
            await self.release(connection_id)
        async with self._turn:  # what a cancelled caller left under way may be opening the session
            await self._lose()

    async def _run(self, work: Coroutine[None, None, bool], seconds: float) -> bool:
        """Do something on the session, one thing at a time; what fails or takes too long costs the session.

        A cancelled caller does not interrupt it: a lock that was taken unnoticed would be held for ever.
        """

        async def guarded() -> bool:
            async with self._turn:
                try:
                    async with asyncio.timeout(seconds):
                        return await work
                except (psycopg.Error, TimeoutError, OSError):
                    await self._lose()
                    return False

        return await asyncio.shield(guarded())

    async def _acquire(self, connection_id: str) -> bool:
        if connection_id in self._led:  # PostgreSQL would count a second lock, and one release would not free it
            return True
        if self._session is None:
            self._session = await connect(self._url)
            self._backend = await self._ask(self._session, _ALIVE)
            self.term = f"{self._owner}:{uuid4()}"
        values = {"connection": connection_id, "term": self.term, "key": lock_key(connection_id)}
        if not await self._ask(self._session, _ACQUIRE, values):
            age = int(self._takeover_seconds * 1_000_000)
            await self._session.execute(_END_FROZEN, values | {"age": age})
            if not await self._ask(self._session, _ACQUIRE, values):
                return False
        if not self._led:  # what is led already was last heard of earlier
            self._reckon(asyncio.get_running_loop().time())
        await self._session.execute(_RECORD, values)
        self._led.add(connection_id)
        return True

    async def _check(self) -> bool:
        if self._session is None:
            return False
        if await self._ask(self._session, _ALIVE) != self._backend:
            await self._lose()
            return False
        return True

    async def _heartbeat(self) -> bool:
        if self._session is not None and self._led:
            began = asyncio.get_running_loop().time()
            await self._session.execute(_HEARTBEAT, {"term": self.term})
            self._reckon(began)
        return True

    def _reckon(self, heard: float) -> None:
        """Reckon until when nobody takes over, from when the last sign of life was sent."""
        self.ends = heard + self._takeover_seconds * (1 - 1 / RESERVE)

    async def _release(self, connection_id: str) -> bool:
        if self._session is not None and connection_id in self._led:
            self._led.discard(connection_id)
            values = {"connection": connection_id, "term": self.term, "key": lock_key(connection_id)}
            await self._session.execute(_FORGET, values)
            await self._session.execute(_RELEASE, values)
        return True

    @staticmethod
    async def _ask(session: psycopg.AsyncConnection, statement: sql.SQL, values: Mapping[str, object] = NOTHING) -> int:
        cursor = await session.execute(statement, values)
        row = await cursor.fetchone()
        return int(row[0]) if row else 0

    async def _lose(self) -> None:
        """Forget the session and, with it, everything it held."""
        session, self._session = self._session, None
        self._led.clear()
        self._backend = 0
        if session is not None:
            await session.close()


def lock_key(connection_id: str) -> int:
    """Return the key of a connection's advisory lock: 63 bits of its hash."""
    digest = hashlib.sha256(b"scim-bridge connection " + connection_id.encode()).digest()
    return int.from_bytes(digest[:8]) >> 1
