"""The Newsaas connector of scim-bridge, found through the entry point group ``scim_bridge``."""

from scim_bridge import ConnectorRegistry, hookimpl

from .connector import NewsaasConnector


@hookimpl
def register_connectors(registry: ConnectorRegistry) -> None:
    """Register the connector type."""
    registry.add(NewsaasConnector)
