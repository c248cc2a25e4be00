"""A connector of a system in which a deactivated account is gone."""

from scim_bridge.hookspecs import hookimpl
from scim_bridge.testing.memory import MemoryGroupsConnector


class Vanishing(MemoryGroupsConnector):
    """Removes the account that it deactivates."""

    name = "vanishing"
    inactive_is_absent = True

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Remove it."""
        await super().delete_user(remote_id)
