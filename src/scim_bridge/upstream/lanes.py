"""On whose behalf an HTTP call is made: priority and permission, as context variables.

The driver sets them around a hook call; the transports read them.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from scim_bridge.models import Lane

lane: ContextVar[Lane] = ContextVar("scim_bridge_lane", default=Lane.READ)
"""The priority of calls made in this context."""


@contextmanager
def urgent() -> Iterator[None]:
    """Make calls that everybody waits for as urgent as the most urgent of them, a removal.

    For what a connector asks once and keeps: otherwise a removal would wait for a creation that asked first, and the
    creation for the rate limit.
    """
    token = lane.set(Lane.REMOVE)
    try:
        yield
    finally:
        lane.reset(token)


permission: ContextVar[Callable[[], Awaitable[None]] | None] = ContextVar("scim_bridge_permission", default=None)
"""Awaited right before every call that is made in this context. It raises when the call must not be made any more: a
hook sends several, and between two of them, or while one waits for the rate limit, another process may have taken over.
"""
