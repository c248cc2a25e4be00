"""On whose behalf an HTTP call is made: priority, permission and correlation id, as context variables.

The driver sets them around a hook call; the transports read them. A connector never needs to.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from scim_bridge.models import Lane

lane: ContextVar[Lane] = ContextVar("scim_bridge_lane", default=Lane.READ)
"""The priority of calls made in this context."""

correlation_id: ContextVar[str | None] = ContextVar("scim_bridge_correlation_id", default=None)
"""What the log lines of calls made in this context carry, so that they are found by the request that caused them."""

permission: ContextVar[Callable[[], Awaitable[None]] | None] = ContextVar("scim_bridge_permission", default=None)
"""Awaited right before every call that is made in this context. It raises when the call must not be made any more: a
hook sends several, and between two of them, or while one waits for the rate limit, another process may have taken over.
"""
