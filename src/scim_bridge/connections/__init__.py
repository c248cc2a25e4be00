"""Connectors, opened: discovery of their types, one typed object per connection, and the boundary around each call."""

from scim_bridge.connections.bound import BoundConnector, Observer
from scim_bridge.connections.discovery import discover
from scim_bridge.connections.pool import ConnectionPool, open_connection, validate_settings
from scim_bridge.connections.renewal import Opened

__all__ = ["BoundConnector", "ConnectionPool", "Observer", "Opened", "discover", "open_connection", "validate_settings"]
