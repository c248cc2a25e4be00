"""How requests prove whose they are: a static token, or OAuth access tokens renewed as they expire.

Source: HubSpot, "Manage OAuth tokens": access tokens live 30 minutes (``expires_in`` counts), the answer of a refresh
carries a refresh token that may be a new one, and a 401 alone does not say that a token has expired.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator

import httpx2
from pydantic import ValidationError

from scim_bridge.connector import ConnectorState
from scim_bridge.errors import RemoteCredentialsError, RemoteMisroutedError, RemoteUnavailableError
from scim_bridge.upstream import READING, misrouted_detail, read_json

from .config import HubSpotConfig, OAuthConfig
from .errors import error_of, is_hubspots, problem_of
from .wire import AccessToken

TOKEN_PATH = "/oauth/2026-03/token"  # noqa: S105 - a path
STATE_KEY = "oauth"
EARLY_SECONDS = 60.0
"""A token is renewed this long before it expires."""


REFUSALS = frozenset({400, 401, 403})
"""The statuses of a token endpoint that refuses (RFC 6749 §5.2; HubSpot is not strict about which)."""


def _refuses(response: httpx2.Response) -> bool:
    """Tell a refusal of the token endpoint by its form (RFC 6749 §5.2, or HubSpot's own) from a gateway's page."""
    if response.status_code not in REFUSALS:
        return False
    try:
        body = read_json(response)
    except RemoteUnavailableError:
        return False
    return is_hubspots(body) or (isinstance(body, dict) and isinstance(body.get("error"), str))


def digest(secret: str) -> str:
    """Return a short fingerprint of a secret, to tell credentials apart without keeping them."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


class BearerToken(httpx2.Auth):
    """A static token: a service key, or that of a private app."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Add the token."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

    async def current(self) -> str:
        """Return the token."""
        return self._token


class OAuthTokens(httpx2.Auth):
    """OAuth tokens of one authorisation, renewed before they expire and once after a 401.

    A rotated refresh token is durable before the access token that came with it is used.

    Time is the running loop's.
    """

    requires_response_body = True

    def __init__(self, base_url: str, config: OAuthConfig, state: ConnectorState) -> None:
        self._url = base_url + TOKEN_PATH
        self._config = config
        self._state = state
        self._lock = asyncio.Lock()
        self._access: AccessToken | None = None
        self._expires = 0.0

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Add an access token, asking for one where needed.

        A request that got a 401 had no effect, so repeating it once with a fresh token is safe for every method.
        """
        used: AccessToken | None = None
        for _ in range(2):
            async with self._lock:
                if self._access is None or self._access is used or asyncio.get_running_loop().time() >= self._expires:
                    sent = await self._refresh_token()
                    answer = yield self._refresh_request(sent)
                    if _refuses(answer) and (newer := await self._refresh_token()) != sent:
                        sent = newer  # another process replaced it meanwhile
                        answer = yield self._refresh_request(sent)
                    await self._keep(answer, sent)
                used = self._access
                request.headers["Authorization"] = f"Bearer {await self.current()}"
            response = yield request
            if response.status_code != 401:
                return

    async def _refresh_token(self) -> str:
        configured = self._config.refresh_token.get_secret_value()
        kept = await self._state.get(STATE_KEY)
        # A newly configured token means that somebody authorised again: it wins over what was rotated from an old one.
        if kept is not None and kept.get("configured") == digest(configured):
            return str(kept["refresh_token"])
        return configured

    def _refresh_request(self, refresh_token: str) -> httpx2.Request:
        return httpx2.Request(
            "POST",
            self._url,
            data={
                "grant_type": "refresh_token",
                "client_id": self._config.client_id,
                "client_secret": self._config.client_secret.get_secret_value(),
                "refresh_token": refresh_token,
            },
            extensions={READING: True},
        )

    async def _keep(self, response: httpx2.Response, sent: str) -> None:
        """Take over the tokens of a refresh.

        :param sent: The refresh token that was used.
        :raises RemoteCredentialsError: When HubSpot itself refuses the refresh token or the client.
        """
        if _refuses(response):
            named = problem_of(response).named
            raise RemoteCredentialsError(f"HubSpot refuses the OAuth refresh token{named}; authorise the app again")
        if response.status_code in REFUSALS:
            raise RemoteMisroutedError(misrouted_detail(response, "HubSpot's token endpoint"), ambiguous=False)
        if response.status_code != 200:
            raise error_of(response, write=False)
        try:
            access = AccessToken.model_validate_json(response.content)
        except ValidationError:
            raise RemoteUnavailableError("HubSpot's token answer is not understood", ambiguous=False) from None
        if access.refresh_token not in {None, "", sent}:
            configured = digest(self._config.refresh_token.get_secret_value())
            await self._state.put(STATE_KEY, {"configured": configured, "refresh_token": access.refresh_token})
        self._access = access
        self._expires = asyncio.get_running_loop().time() + max(access.expires_in - EARLY_SECONDS, 0.0)

    async def current(self) -> str:
        """Return the access token in use; empty before the first request."""
        return self._access.access_token if self._access else ""


Authentication = BearerToken | OAuthTokens


def authentication_of(config: HubSpotConfig, state: ConnectorState) -> Authentication:
    """Return how the configured credentials are used."""
    if config.oauth is not None:
        return OAuthTokens(config.base_url, config.oauth, state)
    return BearerToken(config.static_token)


def account_of(config: HubSpotConfig) -> str:
    """Return what one rate limit is counted by: HubSpot's burst limit is per app and account, as a token is."""
    if config.oauth is not None:
        return f"hubspot:{digest(config.oauth.client_id + config.oauth.refresh_token.get_secret_value())}"
    return f"hubspot:{digest(config.static_token)}"
