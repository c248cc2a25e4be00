"""For how long nothing is sent, because the circuit to the remote system is open."""

import asyncio
from math import inf

from scim_bridge.errors import RemoteSuspendedError

MOMENT = 0.1
"""Seconds added to a suspension, so that who was refused is due by then."""


class Suspension:
    """Leaves all work alone while no call would be sent; after that, one resource is tried before the others.

    Tried one by one, thousands that wait would keep the process and the audit busy for as long as an outage lasts.
    """

    def __init__(self) -> None:
        self.error: RemoteSuspendedError | None = None
        """Why; kept until a call has come to its end."""
        self._until = -inf

    def begin(self, error: RemoteSuspendedError) -> None:
        """Suspend all work for as long as an error says; what is suspended already is not put off."""
        self.error = error
        until = asyncio.get_running_loop().time() + (error.retry_after or 0.0) + MOMENT
        self._until = until if self.left() <= 0 else min(until, self._until)

    def left(self) -> float:
        """Return the seconds for which no call would be sent; 0 or less when it is time to try."""
        return self._until - asyncio.get_running_loop().time()
