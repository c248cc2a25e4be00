"""Which remote system a connection has: pinned at the first contact, compared ever since.

A token or a URL of another account answers every call as readily as the right one: people would be invited there, and
absences there would confirm removals. So nothing is sent before the remote system has told who it is, nothing while it
is another one than it was, and nothing by two connections that would take away what the other gave. What is pinned is
kept in the store, so that it holds on every replica and after every restart.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf
from typing import Any, Literal

from scim_bridge.connections.bound import BoundConnector
from scim_bridge.provisioning.journal import acting
from scim_bridge.store import audit, connector_state, notifications
from scim_bridge.store.engine import Store
from scim_bridge.store.leadership import Leadership, leads, owns
from scim_bridge.store.transaction import Transaction

KEY = "bridge:remote"

ASK_AGAIN = 900.0
"""For how many seconds an answer is taken to hold; connectors that ask somebody for it keep it longer."""

HELD_ALARM = 300.0
"""How often a connection that is held is asked about, and alarmed."""

Problem = Literal["another", "untold", "shared"]
"""Why a connection is held: its remote system is another one than before, does not tell any more which one it is, or is
that of another connection, too."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The remote system of a connection.

    :param identity: What it was at the first contact: the connector's name and what the connector tells.
    :param since: When that was, or when an operator accepted it.
    :param problem: Why nothing is sent.
    :param told: What is told instead; of a shared one, the id of the other connection.
    :param held_since: Since when nothing is sent.
    """

    identity: str | None = None
    since: datetime | None = None
    problem: Problem | None = None
    told: str | None = None
    held_since: datetime | None = None

    def sentence(self, connection_id: str) -> str:
        """Return, for an operator, what is wrong and what to do; empty when nothing is."""
        accept = f"scim-bridge go-live {connection_id} --accept-remote"
        if self.problem == "another":
            return (
                f"{connection_id} is held, nothing is sent: its remote system was {self.identity} and is {self.told}"
                f" now; give it the credentials of {self.identity}, or accept the other one with {accept}"
            )
        if self.problem == "untold":
            return (
                f"{connection_id} is held, nothing is sent: its remote system was {self.identity} and does not tell"
                f" any more which one it is; give it credentials that may ask, or accept that with {accept}"
            )
        if self.problem == "shared":
            return (
                f"{connection_id} is held, nothing is sent: it has the remote system of the connection {self.told},"
                " and each would take away what the other gives; remove one of them, or set shared_remote = true in"
                " both"
            )
        return ""


async def identity_of(connector: BoundConnector) -> str | None:
    """Ask a remote system who it is.

    :returns: With the connector's name, so that no two connectors' identities are one; ``None``: it tells none.
    :raises ConnectorError: When it cannot be asked now.
    """
    if "identify" not in connector.operations:
        return None
    told = await connector.identify()
    return None if told is None else f"{connector.name} {told}"


def pinned(tx: Transaction, connection_id: str) -> Pin:
    """Return what is known of the remote system of a connection."""
    return pin_of(connector_state.get(tx, connection_id, KEY))


def pin_of(saved: Mapping[str, Any] | None) -> Pin:
    """Return what the store has under :data:`KEY` as a pin."""
    if saved is None:
        return Pin()
    since, held = (one and datetime.fromisoformat(one) for one in (saved["since"], saved["held_since"]))
    return Pin(saved["identity"], since, saved["problem"], saved["told"], held)


def judge(kept: Pin, told: str | None, connection_id: str, others: Mapping[str, Pin], *, now: datetime) -> Pin:
    """Return what is to be known of a remote system once it told who it is.

    Of two connections that have one remote system, the one that had it first goes on.

    :param kept: What was known before.
    :param told: ``None``: it has no identity, or tells none.
    :param others: The connections that must not have the same one.
    """
    if told != kept.identity and kept.identity is not None:
        return _held(kept, "untold" if told is None else "another", told, now)
    if told is None:
        return Pin()
    own = (kept.since or now, connection_id)
    for other, pin in sorted(others.items()):
        if pin.identity == told and pin.since is not None and (kept.since is None or (pin.since, other) < own):
            return _held(kept, "shared", other, now)
    return Pin(told, own[0])


def _held(kept: Pin, problem: Problem, told: str | None, now: datetime) -> Pin:
    same = (kept.problem, kept.told) == (problem, told)
    return replace(kept, problem=problem, told=told, held_since=kept.held_since if same else now)


def accept(tx: Transaction, connection_id: str, told: str | None, *, now: datetime) -> None:
    """Pin another remote system, because an operator says so."""
    _save(tx, connection_id, Pin(told, None if told is None else now), "accepted", now)


def _save(tx: Transaction, connection_id: str, pin: Pin, decision: str, now: datetime) -> None:
    """Keep what is known, with an entry of the audit chain, and wake who drives."""
    document: dict[str, Any] = {
        "identity": pin.identity,
        "since": None if pin.since is None else pin.since.isoformat(),
        "problem": pin.problem,
        "told": pin.told,
        "held_since": None if pin.held_since is None else pin.held_since.isoformat(),
    }
    audit.serialise(tx, connection_id)
    connector_state.put(tx, connection_id, KEY, document, now)
    entry = {"event": "remote", "decision": decision, "identity": pin.identity, "told": pin.told, **acting()}
    audit.append(tx, connection_id, entry, now=now)
    notifications.wake(tx, connection_id)


class Identification:
    """Asks the remote system of one connection who it is, and tells whether anything may be sent to it.

    :param apart: The connections that must not have the same one.
    :param clock: Tells the time in UTC.
    :param leadership: Only the process that drives the connection pins; ``None``: this one does.
    """

    ask_again = ASK_AGAIN
    held_alarm = HELD_ALARM

    def __init__(
        self,
        connection_id: str,
        store: Store,
        connector: BoundConnector,
        *,
        clock: Callable[[], datetime],
        apart: Collection[str] = (),
        leadership: Leadership | None = None,
    ) -> None:
        self.connection_id = connection_id
        self.apart = apart
        self.logger = logging.getLogger(f"scim_bridge.remote.{connection_id}")
        self._store = store
        self._connector = connector
        self._clock = clock
        self._leadership = leadership
        self._lock = asyncio.Lock()
        self._confirmed_until = self._alarm_after = -inf
        self._pin = Pin()

    def judged(self, tx: Transaction, told: str | None) -> tuple[Pin, Pin]:
        """Return what was known of the remote system, and what is to be known once it told who it is."""
        kept = pinned(tx, self.connection_id)
        others = {other: pinned(tx, other) for other in self.apart}
        return kept, judge(kept, told, self.connection_id, others, now=self._clock())

    async def confirmed(self) -> bool:
        """Tell whether the remote system is the one that the connection has, asking it when that is not known.

        :raises ConnectorError: When it cannot be asked now: then nothing is known, and nothing may be sent.
        """
        loop = asyncio.get_running_loop()
        if loop.time() < self._confirmed_until:
            return True
        async with self._lock:
            if loop.time() < self._confirmed_until:
                return True
            self._pin, known = await self._noted(await identity_of(self._connector))
            if self._pin.problem is None:
                if known:
                    self._confirmed_until = loop.time() + self.ask_again
                return True
            self._alarm(loop.time())
            return False

    async def problem(self) -> str:
        """Return, for an operator, why nothing may be sent; empty when something may. Raises as :meth:`confirmed`."""
        return "" if await self.confirmed() else self._pin.sentence(self.connection_id)

    async def _noted(self, told: str | None) -> tuple[Pin, bool]:
        """Keep what is known now when this process drives the connection; return it, and whether the store has it."""
        kept, judged = await self._store.read(lambda tx: self.judged(tx, told))
        if kept == judged or not leads(self._leadership, self.connection_id):
            return judged, kept == judged

        def note(tx: Transaction) -> tuple[Pin, bool]:
            audit.serialise(tx, self.connection_id)
            kept, judged = self.judged(tx, told)
            if not self._may_write(tx):
                return judged, False
            if kept != judged:
                decision = "held" if judged.problem else "pinned" if kept.identity is None else "the same again"
                _save(tx, self.connection_id, judged, decision, self._clock())
            return judged, True

        return await self._store.write(note)

    def _may_write(self, tx: Transaction) -> bool:
        return self._leadership is None or owns(tx, self.connection_id, self._leadership.term)

    def _alarm(self, now: float) -> None:
        if now >= self._alarm_after:
            self._alarm_after = now + self.held_alarm / 2
            self.logger.error("%s", self._pin.sentence(self.connection_id))
