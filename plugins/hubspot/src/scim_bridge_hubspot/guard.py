"""The accounts that the bridge never changes: Super Admins, the token's own person, and those that are protected.

Every write asks the guard with an account that was seen a moment before: HubSpot gives no other way, and makes people
Super Admins behind the bridge's back.
"""

from scim_bridge.errors import RemoteForbiddenError

from .config import HubSpotConfig
from .identity import Identity
from .mapping import Mapper
from .wire import PublicUser


class Guard:
    """Refuses writes to accounts that must not be touched."""

    def __init__(self, config: HubSpotConfig, identity: Identity) -> None:
        self._config = config
        self._identity = identity

    async def check(self, user: PublicUser) -> None:
        """Refuse a protected account.

        :raises RemoteForbiddenError: with the reason.
        """
        reason = await self.reason(user)
        if reason is not None:
            raise RemoteForbiddenError(f"{reason}; the bridge never changes this account")

    async def reason(self, user: PublicUser) -> str | None:
        """Return why an account is not changed; ``None`` when it may be."""
        if user.super_admin:
            return "this person is a Super Admin in HubSpot, whom no API can change"
        if user.normal_email in self._config.protected:
            return "this account is on the list of protected accounts"
        if user.id == (await self._identity.owner()).user_id:
            return "the bridge's own token belongs to this person; without them it would stop working"
        return None

    def refuse_collapse(self, user: PublicUser, mapper: Mapper) -> None:
        """Refuse a write that would silently take permission sets away that were given in HubSpot's user interface.

        :raises RemoteForbiddenError: naming the sets, unless the configuration says ``take_over``.
        """
        if len(user.roles) > 1 and self._config.several_roles == "refuse":
            names = ", ".join(f'"{mapper.set_name(role_id)}"' for role_id in sorted(user.roles))
            raise RemoteForbiddenError(
                f"this person has several permission sets ({names}), given in HubSpot; any write through the API "
                'leaves one. Leave one by hand, or set several_roles = "take_over"'
            )
