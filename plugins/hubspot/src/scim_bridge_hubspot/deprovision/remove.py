"""``deprovision = "remove"``: the account is removed from HubSpot; a tombstone keeps what it held.

A person who is added again has the same Settings user id (seen live).
"""

from contextlib import suppress

from scim_bridge.errors import RemoteNotFoundError, RemoteUnavailableError
from scim_bridge.models import User
from scim_bridge_hubspot.accounts import Accounts
from scim_bridge_hubspot.deactivated import Among
from scim_bridge_hubspot.deprovision.interface import Deprovisioning
from scim_bridge_hubspot.deprovision.returning import give_back
from scim_bridge_hubspot.recreating import Recreating
from scim_bridge_hubspot.resources import groups_of
from scim_bridge_hubspot.wire import PublicUser


class Removal(Deprovisioning):
    """Removes accounts, and adds people again with the teams and seats they had."""

    inactive_is_absent = True

    def __init__(self, accounts: Accounts, recreating: Recreating) -> None:
        self._accounts = accounts
        self._recreating = recreating

    async def is_inactive(self, user: PublicUser) -> bool:
        """Tell whether somebody deactivated the account in HubSpot."""
        return await self._accounts.deactivated.contains(user)

    async def has_ended(self, user: PublicUser) -> bool:  # noqa: ARG002 - it would not be there
        """Tell that it was not: removed accounts are not there."""
        return False

    async def shows_ended(self, user: PublicUser) -> bool:  # noqa: ARG002 - it would not be there
        """Tell that it does not."""
        return False

    async def listing(self) -> Among:
        """Return the test for a whole listing."""
        return await self._accounts.deactivated.listing()

    async def deactivate(self, remote_id: str, user: User) -> None:
        """Remove the account, its tombstone written before. Who is not to be seen is removed all the same."""
        account: PublicUser | None = None
        with suppress(RemoteNotFoundError):
            account = await self._accounts.guarded(remote_id, word_suffices=True)
            await self._accounts.records.bury(account, user.external_id)
        if not await self._accounts.remove(remote_id) and (account is None or not await self.is_inactive(account)):
            raise RemoteUnavailableError("HubSpot accepted the removal but still shows the account")
        if account is None:
            raise RemoteNotFoundError("HubSpot had no such account to remove")

    async def reactivate(self, remote_id: str, user: User) -> PublicUser:
        """Add the person again; one who is there already is left as they are, unless they were stripped."""
        accounts = self._accounts
        try:
            account = await accounts.guarded(remote_id, word_suffices=True)
            if not await self.is_inactive(account):
                return await self._unstripped(account, user)
        except RemoteNotFoundError:
            pass
        email = str(user.user_name).strip().lower()
        kept = await accounts.records.tombstone(remote_id, email)
        return await self._recreating.come_back(remote_id, user, kept)

    async def _unstripped(self, account: PublicUser, user: User) -> PublicUser:
        """Give back what stripping took before this way was configured."""
        kept = await self._accounts.records.tombstone(account.id, account.normal_email)
        if kept is None or not kept.took_from(account) or kept.is_of_another(user.external_id):
            return account
        account = await give_back(self._accounts, account, groups_of(user), kept.assignment)
        await self._accounts.records.unbury(account.id)
        return account
