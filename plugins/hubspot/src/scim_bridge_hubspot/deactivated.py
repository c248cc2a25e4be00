"""Recognises accounts that were deactivated in HubSpot: the Settings API shows them as if they were active.

Two signals exist. An archived *owner* of the same Settings user id, and none that is not archived, while the account is
still there; or the CRM property ``hs_deactivated``. See hubspot.md section 2.4.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

from scim_bridge.errors import ConnectorError, RemoteForbiddenError

from .client import HubSpotClient, advanced
from .config import HubSpotConfig
from .errors import MissingScopeError
from .identity import Identity
from .wire import Owner, PublicUser

OWNERS_SCOPE = "crm.objects.owners.read"
SEARCH_SCOPE = "crm.objects.users.read"

Signal = Literal["owners", "search", "off"]

Among = Callable[[PublicUser], Awaitable[bool]]
"""Tells of each account of a listing whether it is among those that are inactive."""


class DeactivatedAccounts:
    """Asks HubSpot who is deactivated, in the way that the configuration and the token's scopes allow."""

    def __init__(
        self, client: HubSpotClient, config: HubSpotConfig, identity: Identity, logger: logging.Logger
    ) -> None:
        self._client = client
        self._config = config
        self._identity = identity
        self._logger = logger
        self.addresses: frozenset[str] | None = None
        """Addresses of archived owners, by the last listing: of all who are deactivated, and of others who left.
        ``None``: it did not tell them all."""
        self._signal: Signal | None = None if config.deactivated_by == "auto" else config.deactivated_by

    async def signal(self) -> Signal:
        """Return the signal in use."""
        if self._signal is None:
            scopes = (await self._identity.owner()).scopes
            if scopes is None or OWNERS_SCOPE in scopes:
                self._signal = "owners"
            else:
                self._signal = "search" if SEARCH_SCOPE in scopes else "off"
        return self._signal

    async def contains(self, user: PublicUser) -> bool:
        """Tell whether an account is deactivated; ``False`` when nothing allows to see it."""
        while True:
            signal = await self.signal()
            try:
                if signal == "owners":
                    return await self._owner_archived(user)
                return signal == "search" and await self._marked(user)
            except (MissingScopeError, RemoteForbiddenError) as error:
                self._give_up(signal, error)

    async def listing(self) -> Among:
        """Return the test for a whole listing.

        Owners who are not archived are read when the first account is met of which an archived one tells.
        """
        while True:
            signal = await self.signal()
            try:
                if signal == "owners":
                    archived = await self._owners(archived=True)
                    told = [owner.email for owner in archived if owner.email is not None]
                    whole = len(told) == len(archived)
                    self.addresses = frozenset(one.strip().lower() for one in told) if whole else None
                    return self._without_owner(_ids(archived))
                self.addresses = None
                marked = await self._all_marked() if signal == "search" else frozenset()
            except (MissingScopeError, RemoteForbiddenError) as error:
                self._give_up(signal, error)
            else:
                return _among(marked)

    def _without_owner(self, archived: frozenset[str]) -> Among:
        owners: frozenset[str] | None = None

        async def test(user: PublicUser) -> bool:
            nonlocal owners
            if user.id not in archived:
                return False
            if owners is None:
                owners = _ids(await self._owners(archived=False))
            return user.id not in owners

        return test

    def _give_up(self, signal: Signal, error: ConnectorError) -> None:
        """Take the next signal, unless the configuration insists on this one."""
        if self._config.deactivated_by != "auto":
            raise error
        self._signal = "search" if signal == "owners" else "off"
        self._logger.warning("deactivated accounts cannot be recognised by %s; trying %s", signal, self._signal)

    async def _owner_archived(self, user: PublicUser) -> bool:
        if user.id not in _ids(await self._owners(archived=True, email=user.normal_email)):
            return False
        return user.id not in _ids(await self._owners(archived=False, email=user.normal_email))

    async def _owners(self, *, archived: bool, email: str | None = None) -> list[Owner]:
        found: list[Owner] = []
        after: str | None = None
        while True:
            page = await self._client.owners(archived=archived, email=email, after=after)
            found += page.results
            if page.after is None:
                return found
            after = advanced(after, page.after)

    async def _marked(self, user: PublicUser) -> bool:
        page = await self._client.search_crm_users("hs_internal_user_id", user.id, limit=1)
        return any(record.deactivated and record.settings_user_id == user.id for record in page.results)

    async def _all_marked(self) -> frozenset[str]:
        found: set[str] = set()
        after: str | None = None
        while True:
            page = await self._client.search_crm_users("hs_deactivated", "true", after=after)
            found |= {
                record.settings_user_id for record in page.results if record.deactivated and record.settings_user_id
            }
            if page.after is None:
                return frozenset(found)
            after = advanced(after, page.after)


def _ids(owners: Iterable[Owner]) -> frozenset[str]:
    return frozenset(owner.settings_user_id for owner in owners if owner.settings_user_id is not None)


def _among(ids: frozenset[str]) -> Among:
    async def test(user: PublicUser) -> bool:
        return user.id in ids

    return test
