"""Whose token this is: asked once, needed by the guard, the inventory and the check."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from scim_bridge.errors import (
    ConnectorError,
    RemoteConflictError,
    RemoteCredentialsError,
    RemoteForbiddenError,
    RemoteInvalidValueError,
    RemoteMisroutedError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)
from scim_bridge.upstream import urgent

from .authentication import Authentication
from .client import HubSpotClient
from .config import HubSpotConfig
from .errors import BareNotFoundError, MissingScopeError

UNKNOWN = (RemoteNotFoundError, RemoteInvalidValueError, RemoteForbiddenError, RemoteConflictError, MissingScopeError)
"""Definite refusals: HubSpot will not tell. For service keys nobody has shown that it does."""

FRESH_SECONDS = 3600.0
"""For how long the answer is taken to hold; scopes of a token can be changed in HubSpot."""


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """What HubSpot tells of the token.

    :param user_id: Settings user id of the person behind it; ``None`` when HubSpot does not tell.
    :param scopes: Its scopes; ``None`` when HubSpot does not tell.
    """

    user_id: str | None = None
    hub_id: str | None = None
    scopes: frozenset[str] | None = None


class Identity:
    """Asks for the token's owner now and then. A transient failure is raised: guards must not guess.

    Time is the running loop's.
    """

    def __init__(self, client: HubSpotClient, config: HubSpotConfig, authentication: Authentication) -> None:
        self._client = client
        self._config = config
        self._authentication = authentication
        self._lock = asyncio.Lock()
        self._kept: tuple[float, TokenOwner] | None = None
        self._portal_id: str | None = None
        self._not_reached: ConnectorError | None = None  # why the account's details are not known

    async def portal_id(self) -> str | None:
        """Return the id of the account (portal) that the token works in; ``None`` when HubSpot will not tell.

        :raises RemoteMisroutedError: When the account and the token tell different ones: then one answer is not
            HubSpot's own.
        """
        owner = await self.owner()
        if self._portal_id is None and owner.hub_id is None and self._not_reached is not None:
            error, self._kept = self._not_reached, None
            raise error
        if None not in (self._portal_id, owner.hub_id) and self._portal_id != owner.hub_id:
            self._kept = None
            raise RemoteMisroutedError(
                f"the account is {self._portal_id}, and its token one of {owner.hub_id}", ambiguous=False
            )
        return self._portal_id or owner.hub_id

    async def owner(self) -> TokenOwner:
        """Return the token's owner, as far as HubSpot tells."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._kept is None or now - self._kept[0] > FRESH_SECONDS:
                with urgent():
                    reached = await self._learn_account()
                    self._kept = (now, await self._told(reached=reached))
            return self._kept[1]

    async def _told(self, *, reached: bool) -> TokenOwner:
        """Return what HubSpot tells; nothing, when it will not.

        :param reached: Whether HubSpot has just answered. A 404 of another form than its own then means that it will
            not tell, unless it ever did.
        """
        try:
            return await self._ask()
        except UNKNOWN:
            return TokenOwner()
        except BareNotFoundError:
            if not reached or (self._kept is not None and self._kept[1] != TokenOwner()):
                raise
            return TokenOwner()

    async def _learn_account(self) -> bool:
        """Ask for the account's id, and for its time zone, by which its daily limit is reset.

        :returns: Whether HubSpot itself answered, be it with a refusal or for want of a scope. That it refuses the
            token is no answer: it passes.
        """
        try:
            details = await self._client.account_details()
        except ConnectorError as error:
            passes = isinstance(error, (RemoteUnavailableError, RemoteCredentialsError))
            answered = isinstance(error, MissingScopeError) or not passes
            self._not_reached = None if answered else error
            return answered
        self._portal_id, self._not_reached = details.portal_id, None
        self._client.utc_offset = timedelta(milliseconds=details.utc_offset_milliseconds)
        return True

    async def _ask(self) -> TokenOwner:
        oauth = self._config.oauth
        if oauth is None:
            info = await self._client.token_info(await self._authentication.current())
            return TokenOwner(info.user_id, info.hub_id, frozenset(info.scopes) or None)
        token = await self._authentication.current()
        seen = await self._client.introspect(token, oauth.client_id, oauth.client_secret.get_secret_value())
        return TokenOwner(seen.user_id, seen.hub_id, frozenset(seen.scopes) or None)
