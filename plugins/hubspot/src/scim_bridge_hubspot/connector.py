"""The HubSpot connector: the bridge's hooks in HubSpot's terms.

Each hook reads as the story it tells; the parts are in the modules beside it.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from scim_bridge.connector import Connector, ConnectorContext
from scim_bridge.errors import (
    RemoteConflictError,
    RemoteForbiddenError,
    RemoteImmutableError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteRateLimitedError,
)
from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Entitlement, Explanation, Finding, Group, Page, RateLimit, Remote, User

from .accounts import Accounts
from .authentication import account_of, authentication_of
from .check import Preflight
from .client import HubSpotClient, advanced, pause_after
from .config import HubSpotConfig
from .deactivated import Among, DeactivatedAccounts
from .deprovision import Deprovisioning, Removal, ScimDeactivation, Stripping
from .deprovision.returning import give_back, take_back
from .deprovision.scim import scim_endpoint
from .entitlements import entitlements_of, holds
from .errors import INTERVAL_SECONDS, NamesNotAcceptedError
from .guard import Guard
from .holding import explanation_of, found_in, held_by
from .identity import Identity
from .inventory import InventoryReader
from .job_title import JobTitles
from .presence import Presence
from .records import AccountRecords
from .recreating import Recreating, end_all
from .recreations import Recreations
from .resources import NAME_PATHS, group_of, groups_of, names_held, names_of, resource_of
from .unrevoked import unrevoked
from .wire import PublicUser, assignment_of


class HubSpotConnector(Connector[HubSpotConfig]):
    """HubSpot as a remote system.

    People are accounts of HubSpot's User Provisioning API, their remote id the Settings user id. Groups are permission
    sets and, where configured, teams, seats and aliases (:mod:`.mapping`).
    """

    name = "hubspot"
    config_model = HubSpotConfig
    group_attributes: frozenset[str] = frozenset()
    """None: an IdP's name of a group need not be HubSpot's, and is never written there."""

    def __init__(self, context: ConnectorContext[HubSpotConfig]) -> None:
        super().__init__(context)
        self.inactive_is_absent, self.unrevoked = self.config.deprovision == "remove", unrevoked(self.config)
        if self.config.job_title:
            self.user_attributes = self.user_attributes | {"title"}
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the HTTP clients and put the parts together."""
        config, logger = self.config, self.context.logger
        authentication = authentication_of(config, self.context.state)
        limit = RateLimit(config.rate_limit, INTERVAL_SECONDS)
        http = self.context.http_client(
            base_url=config.base_url,
            account=account_of(config),
            rate_limit=limit,
            auth=authentication,
            pause_after=pause_after,
        )
        self.client = HubSpotClient(await self._resources.enter_async_context(http), config)
        self.identity = Identity(self.client, config, authentication)
        self.records = AccountRecords(self.context.state)
        self.inventory = InventoryReader(self.client, config, self.identity, self.records, logger)
        self.presence = Presence(self.client, self.identity)
        self.guard = Guard(config, self.identity)
        self.deactivated = DeactivatedAccounts(self.client, config, self.identity, logger)
        self.job_titles = JobTitles(self.client) if config.job_title else None
        self.accounts = Accounts(
            client=self.client,
            presence=self.presence,
            config=config,
            inventory=self.inventory,
            guard=self.guard,
            deactivated=self.deactivated,
            records=self.records,
            recreations=Recreations(self.context.state),
            logger=logger,
        )
        self.recreating = Recreating(self.accounts)
        self.endpoint = await self._resources.enter_async_context(scim_endpoint(self.context, limit))
        self.deprovisioning = self._deprovisioning()
        self._is_inactive: Among | None = None
        self._titles: dict[str, str] = {}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the HTTP clients."""
        await self._resources.aclose()

    def _deprovisioning(self) -> Deprovisioning:
        if self.endpoint is not None:
            return ScimDeactivation(self.accounts, self.recreating, self.endpoint)
        way = Stripping if self.config.deprovision == "strip" else Removal
        return way(self.accounts, self.recreating)

    # -- Reading accounts --------------------------------------------------------------------------------------------

    @hookimpl
    async def check_connection(self) -> list[Finding]:
        """Check the token, its scopes, the account's tier and what the configuration names."""
        return await Preflight(self.config, self.client, self.identity, self.endpoint).findings()

    @hookimpl
    async def identify(self) -> str | None:
        """Tell the id of the HubSpot account (portal), whatever token or URL leads there; it is kept for an hour."""
        return await self.identity.portal_id()

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """Return a page of the members.

        Removed ones, which HubSpot's list shows for some seconds, and second ones that are about to go are left out.

        :raises RemoteRateLimitedError: When no more of the day's requests are left than the reserve.
        """
        left = self.client.remaining_today
        if left is not None and left <= self.config.daily_reserve:
            raise RemoteRateLimitedError(
                f"only {left} of HubSpot's requests are left today; they are kept for writes", retry_after=3600.0
            )
        if cursor is None or self._is_inactive is None:
            self._is_inactive = await self.deprovisioning.listing()
            self._titles = await self.job_titles.all() if self.job_titles else {}
        page = await self.client.users(cursor, limit)
        if page.after is not None:
            advanced(cursor, page.after)
        addresses = (user.normal_email for user in page.results)
        self.client.sightings.listed(cursor, addresses, page.after, self.accounts.deactivated.addresses)
        shown = [user for user in page.results if await self._is_still_there(user)]
        return Page([await self._listed(user, active=not await self._is_inactive(user)) for user in shown], page.after)

    async def _is_still_there(self, user: PublicUser) -> bool:
        """Ask about an account directly when the bridge once removed it: the list lags, a direct read does not."""
        if await self.accounts.recreations.hide(user):
            return False
        if not await self.records.was_ended(user.id):
            return True
        try:
            await self.presence.user(user.id, word_suffices=True)
        except RemoteNotFoundError:
            return False
        return True

    async def _listed(self, user: PublicUser, *, active: bool) -> Remote[User]:
        groups = await self._groups_held(user)
        resource = resource_of(user, groups, active=active, title=self._titles.get(user.id))
        return Remote(user.id, resource, holds=holds(await self.inventory.mapper(), user, groups))

    @hookimpl
    async def find_user(self, user_name: str) -> Remote[User] | None:
        """Return the account of an e-mail address."""
        user = await self.accounts.find(user_name, as_written=True)
        if user is None or await self.accounts.recreations.hide(user):
            return None
        return await self._seen(user)

    @hookimpl
    async def get_user(self, remote_id: str) -> Remote[User]:
        """Read one account, or the one that was made in its place."""
        try:
            account = await self.presence.user(remote_id)
        except RemoteNotFoundError:
            other = await self.recreating.successor(remote_id) or await self.deprovisioning.hidden(remote_id)
            if other is None:
                raise
            account = other
        return await self._seen(account)

    # -- Writing accounts --------------------------------------------------------------------------------------------

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Create an account, with the permission set, teams and seats its groups come to, or adopt the one there is.

        One that is inactive is answered so; what it holds is the reactivation's to decide.
        """
        try:
            account, existed = await self.accounts.enrol(user)
        except RemoteConflictError:
            hidden = isinstance(self.deprovisioning, ScimDeactivation) and await self.deprovisioning.revive(user)
            if not hidden:
                raise
            account, existed = await self.accounts.enrol(user)
        if existed:
            active = not await self.deprovisioning.has_ended(account)
            answer = await self._answer(account, await self._groups_held(account), active=active)
            await self.accounts.refuse_leftover(account.normal_email)
            return replace(answer, existed=True)
        await self.records.remember_groups(account.id, groups_of(user))
        groups = await self._groups_held(account)  # all that was wanted if the account shows it, else what it shows
        deferred = {"title"} if self.job_titles and user.title else set[str]()
        return await self._answer(account, groups, deferred=deferred)

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Write names and title. A change of userName is refused or done by creating the person anew, as configured.

        An address that was changed by hand is not the client's change, and stays.
        """
        account = await self.accounts.guarded(remote_id)
        wanted = str(after.user_name).strip().lower()
        if wanted not in (account.normal_email, str(before.user_name).strip().lower()):
            account, existed = await self._renamed(account, after)
            if existed:
                active = not await self.deprovisioning.has_ended(account)
                answer = await self._answer(account, await self._groups_held(account), active=active)
                return replace(answer, existed=True)
        account, deferred = await self._write_names(account, before, after)
        titled = self.job_titles and (before.title or "") != (after.title or "")
        if self.job_titles and titled and not await self.job_titles.write(account, after.title):
            deferred |= {"title"}
        return await self._answer(account, await self._groups_held(account), deferred=deferred)

    async def _write_names(self, account: PublicUser, before: User, after: User) -> tuple[PublicUser, set[str]]:
        """Write the names that differ, with the complete assignment that the person holds.

        What is equal before and after stays, also where somebody changed it in HubSpot.

        :returns: The account, and the attributes that HubSpot does not take yet.
        """
        known, held = names_of(before), names_held(account)
        wanted = {name: value for name, value in names_of(after).items() if value not in (held[name], known.get(name))}
        if not wanted:
            return account, set()
        self.guard.refuse_collapse(account, await self.inventory.mapper())
        try:
            seen = await self.accounts.assign(account, assignment_of(account), wanted)
        except NamesNotAcceptedError:
            return account, {NAME_PATHS[name] for name in wanted}
        return seen, {NAME_PATHS[name] for name, value in wanted.items() if names_held(seen)[name] != value}

    async def _renamed(self, account: PublicUser, after: User) -> tuple[PublicUser, bool]:
        """Create the person under the new address, beside the old account.

        :returns: The account of that address, and whether it was there before.
        :raises RemoteImmutableError: Unless the configuration says ``rename = "recreate"``.
        """
        if self.config.rename == "refuse":
            raise RemoteImmutableError(
                "no API of HubSpot can change an e-mail address: change it in HubSpot, or set rename to recreate"
            )
        groups = await self._groups_held(account)
        person = User.model_validate({**after.model_dump(), "groups": [{"value": group} for group in groups]})
        return await self.recreating.rename(account, person)

    @hookimpl
    async def finish_user(self, remote_id: str) -> None:
        """Remove the other account of a person who was made anew, and undo a removal that was taken back midway."""
        await end_all(lambda: self.recreating.finish(remote_id), lambda: take_back(self.accounts, remote_id))

    @hookimpl
    async def deactivate_user(self, remote_id: str, user: User) -> None:
        """End the person's access, in the configured way; a second account is removed."""
        await end_all(
            lambda: self.recreating.finish(remote_id), lambda: self.deprovisioning.deactivate(remote_id, user)
        )

    @hookimpl
    async def reactivate_user(self, remote_id: str, user: User) -> Remote[User]:
        """Give access again."""
        account = await self.deprovisioning.reactivate(remote_id, user)
        return await self._answer(account, await self._groups_held(account))

    @hookimpl
    async def delete_user(self, remote_id: str) -> None:
        """Remove the account from HubSpot, in every mode, and forget what was kept of it; a second one, too."""
        await end_all(lambda: self.recreating.finish(remote_id), lambda: self.accounts.delete(remote_id))

    # -- Groups ------------------------------------------------------------------------------------------------------

    @hookimpl
    async def list_groups(self) -> Page[Group]:
        """Return everything that can be a group; HubSpot's own lists of these have no pages."""
        mapper = await self.inventory.mapper(fresh=True)
        if mapper.unmapped:
            told = ", ".join(f'"{name}"' for name in sorted(mapper.unmapped.values()))
            self.context.logger.warning("the configuration no longer maps these groups, which give nothing: %s", told)
        groups = mapper.groups() | mapper.unmapped
        return Page([group_of(remote_id, name) for remote_id, name in sorted(groups.items())])

    @hookimpl
    async def get_group(self, remote_id: str) -> Remote[Group]:
        """Read one group."""
        for fresh in (False, True):
            mapper = await self.inventory.mapper(fresh=fresh)
            groups = mapper.groups() | mapper.unmapped
            if remote_id in groups:
                return group_of(remote_id, groups[remote_id])
        raise RemoteNotFoundError(f'HubSpot has no "{remote_id}", or the configuration does not map it')

    @hookimpl
    async def create_group(self, group: Group) -> Remote[Group]:
        """Adopt the alias, permission set, team or seat of exactly this name: HubSpot's API can create none of them."""
        name = str(group.display_name)
        mapper = await self.inventory.mapper()
        if name not in mapper.groups().values():
            mapper = await self.inventory.mapper(fresh=True)
        return group_of(mapper.adopt(name), name, existed=True)

    @hookimpl
    async def update_group(self, remote_id: str, after: Group) -> Remote[Group]:
        """Let the IdP call a group what it likes: the permission set keeps its name, and nothing is sent."""
        return group_of(remote_id, str(after.display_name))

    @hookimpl
    async def delete_group(self, remote_id: str) -> None:
        """Let go of a group: what it stands for is the account's own, and stays."""
        await self.inventory.forget(remote_id)

    @hookimpl
    async def set_user_groups(self, remote_id: str, user: User, groups: Sequence[str]) -> Remote[User]:
        """Give an account exactly these groups: one complete PUT if anything differs, read where it has to be."""
        wanted = tuple(sorted(set(groups)))
        seen = await self.accounts.seen_lately(remote_id, wanted) if user.active is not False else None
        if seen is not None:
            with suppress(RemoteInvalidValueError, RemoteForbiddenError):
                return await self._answer(await self.accounts.apply_groups(seen, wanted), wanted)
        account = await self.accounts.guarded(remote_id)
        ended = await self.deprovisioning.shows_ended(account)
        if ended or (user.active is False and await self.deprovisioning.is_inactive(account)):
            # To give somebody a group, or take one, lets in nobody whose access was ended.
            return await self._answer(account, (), active=False)
        kept = await self.records.tombstone(account.id, account.normal_email)
        if kept is not None and kept.bares(account) and user.active is not False:  # its removal was taken back midway
            account = await give_back(self.accounts, account, wanted, kept.assignment)
            await self.records.unbury(account.id)
        else:
            account = await self.accounts.apply_groups(account, wanted)
        return await self._answer(account, wanted)

    @hookimpl
    async def list_entitlements(self) -> list[Entitlement]:
        """Return permission sets, aliases, Super Admin, and teams and seats as far as they are read."""
        return entitlements_of(await self.inventory.mapper())

    @hookimpl
    async def explain_user(self, remote_id: str, groups: Sequence[str]) -> Explanation:
        """Tell what a person's groups come to, which of them give way, and why the account is left alone, if it is."""
        account = await self.presence.user(remote_id)
        mapper, remembered = await self.inventory.mapper(), await self.records.remembered(account.id)
        told = explanation_of(mapper, account, groups, remembered, await self.guard.reason(account))
        note = await self.accounts.recreations.of(account.id)
        return replace(told, notes=(*told.notes, note.told(account.id))) if note else told

    # -- Answers -----------------------------------------------------------------------------------------------------

    async def _groups_held(self, account: PublicUser) -> tuple[str, ...]:
        """Return the groups that an account holds, by what was last set and what HubSpot shows."""
        mapper, remembered = await self.inventory.mapper(), await self.records.remembered(account.id)
        held = held_by(mapper, account, remembered)
        if remembered.groups is None:
            await self.records.note_found(account.id, found_in(mapper, held, remembered), remembered)
        elif held == remembered.groups and ((given := mapper.given_by(held, remembered.given)) or remembered.given):
            await self.accounts.remember(account.id, held, given)
        return held

    async def _seen(self, account: PublicUser) -> Remote[User]:
        active = not await self.deprovisioning.is_inactive(account)
        return await self._answer(account, await self._groups_held(account), active=active)

    async def _answer(
        self, account: PublicUser, groups: Sequence[str], *, active: bool = True, deferred: set[str] | None = None
    ) -> Remote[User]:
        title = await self.job_titles.read(account) if self.job_titles else None
        resource = resource_of(account, groups, active=active, title=title)
        kept = await self.records.tombstone(account.id, account.normal_email) if active else None
        midway = kept is not None and kept.bares(account)
        unfinished = midway or await self.accounts.recreations.of(account.id) is not None
        held = holds(await self.inventory.mapper(), account, groups)
        return Remote(account.id, resource, frozenset(deferred or ()), unfinished=unfinished, holds=held)
