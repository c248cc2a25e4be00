"""``deprovision = "strip"``: the account stays and works, but holds a permission set without rights.

This is *access stripped*, not deactivated; the documentation says so.
"""

from dataclasses import replace

from scim_bridge.errors import RemoteInvalidValueError, RemoteNotFoundError, RemoteUnavailableError
from scim_bridge.models import User
from scim_bridge_hubspot.accounts import Accounts
from scim_bridge_hubspot.config import STRIP
from scim_bridge_hubspot.deactivated import Among
from scim_bridge_hubspot.deprovision.interface import Deprovisioning
from scim_bridge_hubspot.deprovision.returning import give_back, is_left_behind
from scim_bridge_hubspot.errors import NoSeatError
from scim_bridge_hubspot.mapping import Mapper
from scim_bridge_hubspot.records import NO_SET
from scim_bridge_hubspot.recreating import Recreating
from scim_bridge_hubspot.resources import groups_of
from scim_bridge_hubspot.wire import Assignment, PublicUser, assignment_of, matches

MENDED_SECONDS = 60.0
"""When to look again whether the permission set of stripped accounts is there."""


class Stripping(Deprovisioning):
    """Replaces everything an account holds by the configured permission set and seat, and gives it back."""

    inactive_is_absent = False

    def __init__(self, accounts: Accounts, recreating: Recreating) -> None:
        self._accounts = accounts
        self._recreating = recreating

    async def is_inactive(self, user: PublicUser) -> bool:
        """Whether an account is stripped, or was deactivated in HubSpot."""
        return await self.has_ended(user) or await self._accounts.deactivated.contains(user)

    async def shows_ended(self, user: PublicUser) -> bool:
        """Whether an account is stripped: another set, or none, would give it more."""
        return await self.has_ended(user)

    async def listing(self) -> Among:
        """Return the test for a whole listing; it takes every set that people were ever stripped to for today's."""
        is_deactivated = await self._accounts.deactivated.listing()
        mapper = await self._accounts.inventory.mapper()
        stripped = {*await self._accounts.records.stripped_sets(), mapper.stripped_role}

        async def is_inactive(user: PublicUser) -> bool:
            return (len(user.roles) == 1 and user.roles <= stripped) or await is_deactivated(user)

        return is_inactive

    async def has_ended(self, user: PublicUser) -> bool:
        """Whether an account holds today's set of stripped accounts, or the one it was once stripped to."""
        mapper = await self._accounts.inventory.mapper()
        if user.roles == {mapper.stripped_role}:
            return True
        kept = await self._accounts.records.tombstone(user.id, user.normal_email)
        return kept is not None and kept.strips(user)

    async def deactivate(self, remote_id: str, user: User) -> None:
        """Strip the account, its tombstone written before; several permission sets go as readily as one.

        :raises RemoteNotFoundError: When the account is not there.
        :raises RemoteUnavailableError: When the set of stripped accounts is not there: then everything is taken away,
            and HubSpot's minimum is left, which is more than the operator wants to be left. The account is to be looked
            at before anything else is answered.
        """
        accounts = self._accounts
        account = await accounts.guarded(remote_id)
        if await self.has_ended(account):
            return
        mapper = await self._mapper()
        try:
            await self._strip(account, mapper, user.external_id)
        except RemoteInvalidValueError:
            if not await accounts.inventory.changed(mapper):
                raise
            mapper = await self._mapper()
            await self._strip(account, mapper, user.external_id)
        if mapper.stripped_role is None:
            problem = mapper.bindings.problems(STRIP)[0].problem
            raise RemoteUnavailableError(
                f"everything was taken away but HubSpot's minimum: {problem}",
                retry_after=MENDED_SECONDS,
            )

    async def _strip(self, account: PublicUser, mapper: Mapper, external_id: str | None) -> None:
        """Take everything but what stripped people are left with; without a free seat for them they keep theirs."""
        accounts, held = self._accounts, assignment_of(account)
        wanted = mapper.stripped(held)
        if matches(account, wanted):
            return
        await accounts.records.bury(account, external_id, wanted.role_id or NO_SET)
        try:
            await accounts.assign(account, wanted)
        except NoSeatError as error:
            if wanted.seat_names == held.seat_names:
                raise
            accounts.logger.warning("somebody is stripped and keeps their seat: %s", error.detail)
            await accounts.assign(account, replace(wanted, seat_names=held.seat_names))

    async def _mapper(self) -> Mapper:
        """Return the mapper; HubSpot is asked again before the set of stripped accounts is taken to be gone."""
        mapper = await self._accounts.inventory.mapper()
        return mapper if mapper.stripped_role else await self._accounts.inventory.mapper(fresh=True)

    async def reactivate(self, remote_id: str, user: User) -> PublicUser:
        """Give the account what its groups come to, on top of the teams and seats it had; add one that is gone.

        :raises RemoteForbiddenError: When somebody deactivated it in HubSpot, where no API can bring it back.
        """
        accounts, groups = self._accounts, groups_of(user)
        try:
            account = await accounts.guarded(remote_id, word_suffices=True)
        except RemoteNotFoundError:
            kept = await accounts.records.tombstone(remote_id, str(user.user_name).strip().lower())
            return await self._recreating.come_back(remote_id, user, kept)
        if await is_left_behind(accounts, account, user):
            account, _ = await accounts.enrol(user, replaces=remote_id)
            return await self.reactivate(account.id, user)
        await accounts.refuse_deactivated(account)
        kept = await accounts.records.tombstone(remote_id, account.normal_email)
        if not await self.has_ended(account) and not (kept and kept.bares(account)):
            return account
        same = kept is not None and not kept.is_of_another(user.external_id)
        held = kept.assignment if kept and same else Assignment(seat_names=assignment_of(account).seat_names)
        account = await give_back(accounts, account, groups, held)
        await accounts.records.unbury(remote_id)
        return account
