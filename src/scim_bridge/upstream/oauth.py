"""Access tokens of OAuth 2.0's client credentials grant (RFC 6749 §4.4), for connectors whose vendors want them."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote_plus

import httpx2
from pydantic import BaseModel, Field

from scim_bridge.errors import RemoteCredentialsError, RemoteUnavailableError
from scim_bridge.upstream.responses import About, about, raise_for_status, read_model
from scim_bridge.upstream.transports import READING

EARLY = 30.0
"""Seconds before its end from which a token is not used any more."""

UNTOLD = 300.0
"""Seconds that a token is used whose answer does not tell how long it lives (RFC 6749 §5.1 only recommends it)."""


class AccessToken(BaseModel):
    """The answer of a token endpoint (RFC 6749 §5.1)."""

    access_token: str = Field(min_length=1, max_length=20_000, pattern=r"^[\x21-\x7e]+$")
    expires_in: float = Field(default=UNTOLD, ge=0)


def is_oauth_error(body: Any) -> bool:
    """Tell a refusal of a token endpoint (RFC 6749 §5.2) from a gateway's page."""
    return isinstance(body, dict) and isinstance(body.get("error"), str)


class ClientCredentials(httpx2.Auth):
    """Signs requests with an access token, which is asked for first, again before it expires, and once after a 401.

    The token belongs to this object: give each connection one of its own. Time is the running loop's.

    :param token_url: Where tokens are asked for.
    :param client_id: The client's name there.
    :param client_secret: Its secret; both are sent by HTTP Basic, which every such server takes (RFC 6749 §2.3.1).
    :param scope: What the token shall be good for; empty: whatever the server gives.
    """

    requires_response_body = True

    def __init__(self, token_url: str, client_id: str, client_secret: str, scope: str = "") -> None:
        pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
        self._headers = {"Authorization": f"Basic {b64encode(pair.encode()).decode()}", "Accept": "application/json"}
        self._url = token_url
        self._form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        self._lock = asyncio.Lock()
        self._token: AccessToken | None = None
        self._until = 0.0

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Add a token, asking for one where needed. What got a 401 had no effect, so it may be sent once more."""
        used: AccessToken | None = None
        for _ in range(2):
            async with self._lock:
                if self._token is None or self._token is used or asyncio.get_running_loop().time() >= self._until:
                    asked = httpx2.Request(
                        "POST", self._url, data=self._form, headers=self._headers, extensions={READING: True}
                    )
                    self._keep((yield asked))
                used = self._token
            request.headers["Authorization"] = f"Bearer {'' if used is None else used.access_token}"
            response = yield request
            if response.status_code != 401:
                return

    def _keep(self, response: httpx2.Response) -> None:
        """Take a token over.

        :raises RemoteCredentialsError: When the server refuses the client.
        :raises RemoteUnavailableError: When it gives no token for now; nothing has happened then.
        """
        self._token = None
        if response.status_code in {400, 401, 403} and about(response, is_oauth_error) is not About.ROAD:
            raise RemoteCredentialsError("the token endpoint refuses the client: see its id, secret and scope")
        try:
            token = read_model(raise_for_status(response, "token", own_error=is_oauth_error), AccessToken)
        except RemoteUnavailableError as error:
            error.ambiguous = False
            raise
        self._token, self._until = token, asyncio.get_running_loop().time() + max(token.expires_in - EARLY, 0.0)
