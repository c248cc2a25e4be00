"""The SCIM connector of scim-bridge, found through the entry point group ``scim_bridge``."""

from scim_bridge import ConnectorRegistry, hookimpl

from .connector import ScimConnector


@hookimpl
def register_connectors(registry: ConnectorRegistry) -> None:
    """Register the connector type ``scim``."""
    registry.add(ScimConnector)
