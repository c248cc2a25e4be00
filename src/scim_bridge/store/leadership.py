"""Which process drives a connection: the one that holds its session advisory lock.

On PostgreSQL one dedicated session per process holds all its locks. It is never silently reconnected: with it go all
locks and the *term*; a new session is a new term. A dead process's locks free themselves. A frozen one's do not: its
kernel still answers. So the leader writes a heartbeat by the server's clock, and when that is too old, another process
ends the leader's session and takes over. On SQLite there is one process, which leads everything.
"""

import os
import socket
from math import inf
from typing import Protocol
from uuid import uuid4

from sqlalchemy import bindparam, select

from scim_bridge.store.engine import Store
from scim_bridge.store.tables import ownership
from scim_bridge.store.transaction import Transaction

TAKEOVER_SECONDS = 60.0
"""How old a heartbeat must be before another process ends the leader's session."""

BEATS = 12
"""How many heartbeats fit into the time after which another process takes over."""

_OWNER = select(ownership.c.owner).where(ownership.c.connection_id == bindparam("connection"))


class Leadership(Protocol):
    """The connections that this process drives."""

    @property
    def led(self) -> frozenset[str]:
        """The connections led now, as far as this process knows."""

    @property
    def term(self) -> str:
        """Names this term: what a process did under an older term is not this one's doing."""

    @property
    def beat_seconds(self) -> float:
        """How often a leader should call :meth:`heartbeat`."""

    @property
    def ends(self) -> float:
        """The loop's time until which no process takes over from this one; no call may last longer."""

    async def acquire(self, connection_id: str) -> bool:
        """Try to become the leader of a connection; at once, without waiting."""

    async def check(self) -> bool:
        """Prove that everything in :attr:`led` is still led. To be called before every call to a remote system."""

    async def heartbeat(self) -> None:
        """Tell the other processes that this one is not frozen."""

    async def release(self, connection_id: str) -> None:
        """Let another process lead."""

    async def close(self) -> None:
        """Let go of everything."""


def leadership(store: Store, *, owner: str = "", takeover_seconds: float = TAKEOVER_SECONDS) -> Leadership:
    """Return the leadership of a process over the connections of a store.

    :param owner: Names the process, for people; by default by its machine and number.
    :param takeover_seconds: How old a leader's heartbeat must be before its session is ended.
    """
    owner = owner or f"{socket.gethostname()}:{os.getpid()}"
    if store.dialect == "sqlite":
        return SoleLeadership(owner)
    from scim_bridge.store.locks import SessionLeadership  # psycopg takes 9 MiB, which SQLite need not

    beat_seconds = takeover_seconds / BEATS
    return SessionLeadership(store, owner=owner, takeover_seconds=takeover_seconds, beat_seconds=beat_seconds)


class SoleLeadership:
    """The leadership of the only process there is.

    :param owner: Names the process.
    """

    def __init__(self, owner: str) -> None:
        self.term = f"{owner}:{uuid4()}"
        self.beat_seconds = TAKEOVER_SECONDS / BEATS
        self.ends = inf
        self._led: set[str] = set()

    @property
    def led(self) -> frozenset[str]:
        """The connections led."""
        return frozenset(self._led)

    async def acquire(self, connection_id: str) -> bool:
        """Lead a connection; it always succeeds."""
        self._led.add(connection_id)
        return True

    async def check(self) -> bool:
        """Return true: nobody else could have taken anything."""
        return True

    async def heartbeat(self) -> None:
        """Do nothing: nobody listens."""

    async def release(self, connection_id: str) -> None:
        """Lead a connection no longer."""
        self._led.discard(connection_id)

    async def close(self) -> None:
        """Let go of everything."""
        self._led.clear()


def leads(leadership: Leadership | None, connection_id: str) -> bool:
    """Tell whether this process leads a connection, as far as it knows; without a leadership, it is alone."""
    return leadership is None or connection_id in leadership.led


def owns(tx: Transaction, connection_id: str, term: str) -> bool:
    """Tell, inside a transaction that records an outcome, whether a term still leads a connection.

    It keeps the answer true until the transaction ends. On SQLite it is always true.
    """
    if tx.dialect.name == "sqlite":
        return True
    found = tx.execute(_OWNER.with_for_update(read=True), {"connection": connection_id}).scalar_one_or_none()
    return found == term
