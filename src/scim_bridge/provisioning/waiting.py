"""When what failed for the moment is tried again, for how long nothing is sent at all, and waiting until then."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from math import inf

from scim_bridge.errors import ConnectorError, RemoteCredentialsError, RemoteSuspendedError, RemoteUnavailableError

MAX_BACKOFF = 60.0
MAX_ASKED = 600.0
"""Seconds for which the remote system can put an attempt off at most: a removal must not wait for an hour."""

CREDENTIALS_BACKOFF = 60.0

MOMENT = 0.1
"""Seconds added to a suspension, so that whoever was refused is due by then."""


def delay_of(error: ConnectorError, attempt: int, jitter: Callable[[], float]) -> float:
    """Return the seconds until the next attempt: what was asked for, else 1, 2, 4 … 60 with jitter.

    :param attempt: How many attempts have failed before.
    :param jitter: Returns a number in [0, 1).
    """
    if isinstance(error, RemoteCredentialsError):
        return CREDENTIALS_BACKOFF
    asked = error.retry_after if isinstance(error, RemoteUnavailableError) else None
    if asked is not None:
        return min(max(0.05, asked), MAX_ASKED)
    backoff: float = min(MAX_BACKOFF, 2.0 ** min(attempt, 10))
    return backoff * (0.5 + jitter() / 2)


async def happened(event: asyncio.Event, timeout: float) -> None:
    """Wait for an event, for ``timeout`` seconds at most.

    ``asyncio.wait_for`` can swallow a cancellation that arrives together with the event (Python 3.11).
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            await event.wait()


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
