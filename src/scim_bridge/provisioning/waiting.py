"""When what failed for the moment is tried again, and waiting for something until then."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from scim_bridge.errors import ConnectorError, RemoteCredentialsError, RemoteUnavailableError

MAX_BACKOFF = 60.0
MAX_ASKED = 600.0
"""Seconds for which the remote system can put an attempt off at most: a removal must not wait for an hour."""

CREDENTIALS_BACKOFF = 60.0


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
