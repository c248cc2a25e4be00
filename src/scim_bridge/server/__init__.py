"""The HTTP side: routes, authentication, limits. Starlette and uvicorn are known only here and in the console."""

from scim_bridge.server.application import Server, ServerOptions, create_server
from scim_bridge.server.authentication import TokenAuthentication
from scim_bridge.server.connections import ConnectionOptions, ServedConnection, served
from scim_bridge.server.metrics import Metrics
from scim_bridge.server.request_log import RequestLog

__all__ = [
    "ConnectionOptions",
    "Metrics",
    "RequestLog",
    "ServedConnection",
    "Server",
    "ServerOptions",
    "TokenAuthentication",
    "create_server",
    "served",
]
