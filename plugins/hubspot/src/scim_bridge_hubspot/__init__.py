"""The HubSpot connector of scim-bridge, found through the entry point group ``scim_bridge``."""

from scim_bridge import ConnectorRegistry, hookimpl


@hookimpl
def register_connectors(registry: ConnectorRegistry) -> None:
    """Register the connector type ``hubspot``."""
    # Imported here: the emulator's command line needs none of it.
    from .connector import HubSpotConnector

    registry.add(HubSpotConnector)
