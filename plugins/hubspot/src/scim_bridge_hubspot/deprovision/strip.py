"""``deprovision = "strip"``: the account stays and works, but holds a permission set without rights.

This is *access stripped*, not deactivated; the documentation says so.
"""

from collections.abc import Callable

from scim_bridge.errors import RemoteNotFoundError
from scim_bridge.models import User
from scim_bridge_hubspot.accounts import Accounts, groups_of
from scim_bridge_hubspot.wire import Assignment, PublicUser, assignment_of


class Stripping:
    """Replaces everything an account holds by the configured permission set and seat, and gives it back."""

    inactive_is_absent = False

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def is_inactive(self, user: PublicUser) -> bool:
        """Whether an account is stripped, or was deactivated in HubSpot."""
        return await self._is_stripped(user) or await self._accounts.deactivated.contains(user)

    async def listing(self) -> Callable[[PublicUser], bool]:
        """Return the test for a whole listing."""
        deactivated = await self._accounts.deactivated.all()
        mapper = await self._accounts.inventory.mapper()
        stripped = {mapper.stripped(Assignment()).role_id}
        return lambda user: user.id in deactivated or user.roles == stripped

    async def _is_stripped(self, user: PublicUser) -> bool:
        mapper = await self._accounts.inventory.mapper()
        return user.roles == {mapper.stripped(assignment_of(user)).role_id}

    async def deactivate(self, remote_id: str, user: User) -> None:  # noqa: ARG002 - one way needs it
        """Strip the account, its tombstone written before; several permission sets go as readily as one."""
        accounts = self._accounts
        try:
            account = await accounts.guarded(remote_id)
        except RemoteNotFoundError:
            return
        mapper = await accounts.inventory.mapper()
        wanted = mapper.stripped(assignment_of(account))
        if await self._is_stripped(account):
            return
        await accounts.records.bury(account)
        await accounts.assign(account, wanted)

    async def reactivate(self, remote_id: str, user: User) -> PublicUser:
        """Give the account what its groups come to, on top of the teams and seats it had; add one that is gone."""
        accounts, groups = self._accounts, groups_of(user)
        try:
            account = await accounts.guarded(remote_id)
        except RemoteNotFoundError:
            account, _ = await accounts.enrol(user)
            await accounts.records.remember_groups(account.id, groups)
            return account
        if await self._is_stripped(account):
            kept = await accounts.records.tombstone(remote_id, account.normal_email)
            held = kept.assignment if kept else Assignment(seat_names=assignment_of(account).seat_names)
            account = await accounts.apply_groups(account, groups, held)
            await accounts.records.unbury(remote_id)
        return account
