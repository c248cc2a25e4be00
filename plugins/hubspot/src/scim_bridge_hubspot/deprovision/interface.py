"""What a way of deprovisioning does."""

from typing import Protocol

from scim_bridge.models import User
from scim_bridge_hubspot.deactivated import Among
from scim_bridge_hubspot.wire import PublicUser


class Deprovisioning(Protocol):
    """A way to take a person's access away and to give it back."""

    inactive_is_absent: bool
    """Whether the account is not to be found while it is inactive."""

    async def is_inactive(self, user: PublicUser) -> bool:
        """Whether an account that is there is inactive."""

    async def has_ended(self, user: PublicUser) -> bool:
        """Whether an account that is there and works in HubSpot is one whose access was ended in this way."""

    async def shows_ended(self, user: PublicUser) -> bool:
        """Whether what was read of an account tells by itself that its access was ended; nothing is asked for that."""

    async def hidden(self, remote_id: str) -> PublicUser | None:
        """Return an account that HubSpot's users API does not show while it is inactive, as it was before.

        ``None``: nothing tells that there is one, as in the ways that leave none behind.
        """
        del remote_id
        return None

    async def listing(self) -> Among:
        """Return :meth:`is_inactive` for a whole listing, which asks HubSpot for all at once."""

    async def deactivate(self, remote_id: str, user: User) -> None:
        """End the person's access. An inactive account is success.

        :raises RemoteNotFoundError: When there was none.
        """

    async def reactivate(self, remote_id: str, user: User) -> PublicUser:
        """Give access again, with what ``user.groups`` comes to and no permission set beyond it."""
