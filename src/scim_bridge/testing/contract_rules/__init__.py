"""The rules of :class:`~scim_bridge.testing.connector_contract.ConnectorContract`, a class of tests per group."""
