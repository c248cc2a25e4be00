"""A circuit breaker: one per remote account, so that an outage is not hammered."""

from contextlib import suppress
from typing import Protocol

from scim_bridge.errors import RemoteSuspendedError, StoreError
from scim_bridge.models import Lane

THRESHOLD = 5
"""Failed calls in a row that open the circuit."""

INTERVAL = 15.0
"""Seconds between two probes of an open circuit."""

GRACE = 1.0
"""Seconds for which a due probe is kept for a removal before any other call may be it."""


class CircuitKeeper(Protocol):
    """Keeps whether the circuit of a remote account is open."""

    async def load(self) -> bool:
        """Return what was saved last; ``False`` when nothing was."""

    async def save(self, *, is_open: bool) -> None:
        """Remember it; durable on return."""


class Breaker:
    """Counts failures and, once open, lets one probe through at a time. It reads no clock; ``now`` is passed in.

    A call is ``admit``-ted, then reported with ``succeeded``, ``failed`` or ``abandoned``.
    """

    def __init__(self) -> None:
        self.kept: CircuitKeeper | None = None
        """Where an open circuit is kept beyond this process, if anywhere."""
        self._known_open: bool | None = None
        """What is kept; ``None`` before that was read."""
        self._failures = 0
        self._probe_at: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether calls are refused."""
        return self._probe_at is not None

    async def recall(self, now: float) -> None:
        """Go on with the circuit of a former process, before the first call: a restart must not hammer an outage."""
        if self.kept is None or self._known_open is not None:
            return
        self._known_open = False
        with suppress(StoreError):
            self._known_open = await self.kept.load()
        if self._known_open and not self.is_open:  # the next call is a probe
            self._failures = THRESHOLD
            self._probe_at = now - GRACE

    async def keep(self) -> None:
        """Save whether the circuit is open, when that has changed."""
        if self.kept is None or self._known_open == self.is_open:
            return
        self._known_open = self.is_open
        with suppress(StoreError):  # at worst a restart asks a few calls too many
            await self.kept.save(is_open=self.is_open)

    def admit(self, lane: Lane, now: float) -> bool:
        """Let a call through, or refuse it.

        :returns: Whether the call is a probe.
        :raises RemoteSuspendedError: While the circuit is open; it tells when to come back.
        """
        if self._probe_at is None:
            return False
        due = self._probe_at if lane is Lane.REMOVE else self._probe_at + GRACE
        if self._probing or now < due:
            raise RemoteSuspendedError(
                "the remote system has been failing; it is asked again shortly", retry_after=max(1.0, due - now)
            )
        self._probing = True
        return True

    def succeeded(self) -> None:
        """Close the circuit: the remote system answered."""
        self._failures = 0
        self._probe_at = None
        self._probing = False

    def failed(self, now: float, *, probe: bool) -> None:
        """Count a failure; open the circuit on the fifth in a row, or on a failed probe."""
        self._failures += 1
        if probe or (self._probe_at is None and self._failures >= THRESHOLD):
            self._probe_at = now + INTERVAL
        if probe:
            self._probing = False

    def abandoned(self, *, probe: bool) -> None:
        """Forget a call that ended without telling anything about the remote system."""
        if probe:
            self._probing = False
