"""For connector authors: HTTP clients whose transport limits, retries, breaks and traces, and readers of answers."""

from scim_bridge.connector import correlation_id
from scim_bridge.upstream.breaker import CircuitKeeper
from scim_bridge.upstream.clients import HttpClients
from scim_bridge.upstream.lanes import lane, urgent
from scim_bridge.upstream.limiter import Share
from scim_bridge.upstream.notes import Call
from scim_bridge.upstream.oauth import ClientCredentials
from scim_bridge.upstream.responses import (
    About,
    OwnError,
    about,
    misrouted,
    misrouted_detail,
    raise_for_status,
    read_json,
    read_model,
    retry_after,
)
from scim_bridge.upstream.transports import READING

__all__ = [
    "READING",
    "About",
    "Call",
    "CircuitKeeper",
    "ClientCredentials",
    "HttpClients",
    "OwnError",
    "Share",
    "about",
    "correlation_id",
    "lane",
    "misrouted",
    "misrouted_detail",
    "raise_for_status",
    "read_json",
    "read_model",
    "retry_after",
    "urgent",
]
