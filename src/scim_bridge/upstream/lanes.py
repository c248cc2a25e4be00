"""On whose behalf an HTTP call is made: its priority and its correlation id, as context variables.

The driver sets them around a hook call; the transports read them. A connector never needs to.
"""

from contextvars import ContextVar

from scim_bridge.models import Lane

lane: ContextVar[Lane] = ContextVar("scim_bridge_lane", default=Lane.READ)
"""The priority of calls made in this context."""

correlation_id: ContextVar[str | None] = ContextVar("scim_bridge_correlation_id", default=None)
"""What the log lines of calls made in this context carry, so that they are found by the request that caused them."""
