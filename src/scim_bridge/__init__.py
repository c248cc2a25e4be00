"""A SCIM 2.0 service provider that identity providers push to and that drives pluggable connectors.

These are the names that plugins may import, besides those of the modules ``errors``, ``models``, ``connector``,
``hookspecs``, ``upstream`` and ``testing``.
"""

from scim_bridge.connector import Connector, ConnectorContext, ConnectorRegistry
from scim_bridge.hookspecs import hookimpl

__all__ = ["Connector", "ConnectorContext", "ConnectorRegistry", "hookimpl"]
