"""``deprovision = "scim"``: HubSpot's own SCIM endpoint deactivates the account, the one true deactivation by API.

It needs a Professional or Enterprise account with single sign-on and a token of its own. Its wire details are not
published: this reads as little of it as RFC 7644 allows, finds people by userName whether or not filters work, and
believes only what it reads back.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import quote

import httpx2

from scim_bridge.connector import ConnectorContext
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
from scim_bridge.models import RateLimit, User
from scim_bridge.upstream import About, about, misrouted, read_json
from scim_bridge_hubspot.accounts import Accounts
from scim_bridge_hubspot.authentication import digest
from scim_bridge_hubspot.client import exchange
from scim_bridge_hubspot.config import HubSpotConfig
from scim_bridge_hubspot.deactivated import Among
from scim_bridge_hubspot.deprovision.interface import Deprovisioning
from scim_bridge_hubspot.deprovision.returning import give_back, is_left_behind
from scim_bridge_hubspot.errors import BareNotFoundError, NoSeatError, error_of, is_hubspots
from scim_bridge_hubspot.recreating import Recreating
from scim_bridge_hubspot.resources import groups_of
from scim_bridge_hubspot.wire import Assignment, PublicUser

ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
PAGE = 100
REFUSED = (RemoteNotFoundError, RemoteInvalidValueError, RemoteConflictError)
"""What is about the account; anything else says nothing about it."""

UNFOUND_SECONDS = 300.0
"""For how long writes have to find no inactive account, without a word of HubSpot, before they are taken not to."""


class ScimEndpoint:
    """The calls of HubSpot's SCIM endpoint.

    :param http: Sends with the endpoint's own token.
    """

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def find(self, email: str) -> dict[str, Any] | None:
        """Return the SCIM User of an address, compared here: a filter may be refused, or quietly ignored."""
        try:
            return await self._first(email, {"filter": f'userName eq "{_quoted(email)}"'})
        except RemoteInvalidValueError:
            return await self._first(email, {})

    async def _first(self, email: str, query: dict[str, Any]) -> dict[str, Any] | None:
        async for user in self.users(query):
            if str(user.get("userName", "")).strip().lower() == email:
                return user
        return None

    async def users(self, query: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield all users that a query answers, page by page (RFC 7644 §3.4.2.4)."""
        start = 1
        while True:
            page = await self._json("GET", "/Users", {**query, "startIndex": start, "count": PAGE})
            if not isinstance(page.get("totalResults"), int):  # without it, "nobody" would be anybody's answer
                raise RemoteMisroutedError("the answer of HubSpot's SCIM endpoint is no list", ambiguous=False)
            found = page.get("Resources") or []
            for user in found:
                if isinstance(user, dict):
                    yield user
            start += len(found)
            if not found or start > page["totalResults"]:
                return

    async def set_active(self, user_id: str, *, active: bool) -> bool:
        """Switch a user on or off, and return what a read then shows."""
        if not user_id.strip("."):  # "." and ".." would name another route
            raise RemoteMisroutedError("an id of HubSpot's SCIM endpoint is not understood", ambiguous=False)
        path = f"/Users/{quote(user_id, safe='')}"
        operation = {"op": "replace", "value": {"active": active}}
        await self._send("PATCH", path, json={"schemas": [PATCH_SCHEMA], "Operations": [operation]})
        seen = await self._json("GET", path)
        if str(seen.get("id")) != user_id:
            raise RemoteMisroutedError("HubSpot's SCIM endpoint answered with another person's record")
        return is_active(seen)

    async def _json(self, method: str, path: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
        response = await self._send(method, path, query=query)
        try:
            document = read_json(response)
        except RemoteUnavailableError:
            document = None
        if not isinstance(document, dict):
            raise RemoteUnavailableError("the answer of HubSpot's SCIM endpoint is not understood", ambiguous=False)
        return document

    async def _send(self, method: str, path: str, **content: Any) -> httpx2.Response:
        write = method != "GET"
        headers = {"Content-Type": "application/scim+json"} if write else None
        response = await exchange(self._http, method, path, write=write, headers=headers, **content)
        if not response.is_success:
            raise _refusal(response, write=write)
        return response


def _refusal(response: httpx2.Response, *, write: bool) -> ConnectorError:
    """Return the error of an answer that is no success, by the form of SCIM's errors (RFC 7644 §3.12) or HubSpot's."""
    if response.status_code == 401:
        return RemoteCredentialsError("HubSpot's SCIM endpoint refuses scim_token: it is wrong, expired or revoked")
    if response.status_code not in {400, 403, 404, 409} or about(response, is_hubspots) is About.OBJECT:
        return error_of(response, write=write)
    if about(response, _is_scim_error) is About.ROAD:
        return misrouted(response, "HubSpot's SCIM endpoint")
    kinds: dict[int, type[ConnectorError]] = {
        403: RemoteForbiddenError,
        404: RemoteNotFoundError,
        409: RemoteConflictError,
    }
    kind = kinds.get(response.status_code, RemoteInvalidValueError)
    return kind(f"HubSpot's SCIM endpoint answered {response.status_code}")


def _is_scim_error(body: Any) -> bool:
    schemas = body.get("schemas") if isinstance(body, dict) else None
    return isinstance(schemas, list) and ERROR_SCHEMA in schemas


def is_active(user: dict[str, Any]) -> bool:
    """Whether a SCIM User is active; ``active`` may be a text, and is true where it is left out."""
    return str(user.get("active", True)).lower() != "false"


def _quoted(email: str) -> str:
    return email.replace("\\", "\\\\").replace('"', '\\"')


@asynccontextmanager
async def scim_endpoint(
    context: ConnectorContext[HubSpotConfig], limit: RateLimit
) -> AsyncIterator[ScimEndpoint | None]:
    """Open HubSpot's SCIM endpoint, if it is configured."""
    if context.config.scim_token is None:
        yield None
        return
    token = context.config.scim_token.get_secret_value()
    account, headers = f"hubspot-scim:{digest(token)}", {"Authorization": f"Bearer {token}"}
    async with context.http_client(
        base_url=context.config.scim_url, account=account, rate_limit=limit, headers=headers
    ) as http:
        yield ScimEndpoint(http)


class ScimDeactivation(Deprovisioning):
    """Deactivates accounts through HubSpot's SCIM endpoint; everything else goes the usual way."""

    inactive_is_absent = False

    def __init__(self, accounts: Accounts, recreating: Recreating, endpoint: ScimEndpoint) -> None:
        self._accounts = accounts
        self._recreating = recreating
        self._endpoint = endpoint
        self._unfound: dict[str, float] = {}
        """Since when a write has not found an inactive account, by id, in seconds of the loop."""

    async def is_inactive(self, user: PublicUser) -> bool:
        """Whether the SCIM endpoint knows the account as inactive."""
        found = await self._endpoint.find(user.normal_email)
        return found is not None and not is_active(found)

    async def has_ended(self, user: PublicUser) -> bool:
        """Whether the SCIM endpoint knows the account as inactive."""
        return await self.is_inactive(user)

    async def shows_ended(self, user: PublicUser) -> bool:  # noqa: ARG002 - only the SCIM endpoint knows
        """Tell that it does not: an inactive account has no access, whatever set it holds."""
        return False

    async def hidden(self, remote_id: str) -> PublicUser | None:
        """Return an account that the SCIM endpoint knows as inactive, as it was before it was deactivated."""
        kept = await self._accounts.records.tombstone(remote_id, "")
        found = None if kept is None else await self._endpoint.find(kept.email)
        return None if kept is None or found is None or is_active(found) else kept.account

    async def listing(self) -> Among:
        """Return the test for a whole listing."""
        inactive = {
            str(user.get("userName", "")).strip().lower()
            async for user in self._endpoint.users({})
            if not is_active(user)
        }

        async def is_inactive(user: PublicUser) -> bool:
            return user.normal_email in inactive

        return is_inactive

    async def deactivate(self, remote_id: str, user: User) -> None:
        """Deactivate the account; one that only HubSpot's other API knows is refused, never passed over."""
        account: PublicUser | None = None
        with suppress(RemoteNotFoundError):  # It is gone, or it is inactive and this API hides it.
            account = await self._accounts.guarded(remote_id)
        email = account.normal_email if account else str(user.user_name).strip().lower()
        found = await self._endpoint.find(email)
        if found is None and account is not None and await self._is_still_there(remote_id):
            raise RemoteForbiddenError(
                "HubSpot's SCIM endpoint does not know this account, so it cannot be deactivated there; remove it in "
                'HubSpot, or set deprovision = "remove"'
            )
        if found is None:
            raise RemoteNotFoundError("HubSpot has no such account to deactivate")
        if is_active(found):
            if account is not None:
                await self._accounts.records.bury(account, user.external_id)
            await self._switch(found, active=False)

    async def _is_still_there(self, remote_id: str) -> bool:
        """Whether an account was not removed since it was looked at: who is out by then is no refusal."""
        try:
            await self._accounts.guarded(remote_id)
        except RemoteNotFoundError:
            return False
        return True

    async def reactivate(self, remote_id: str, user: User) -> PublicUser:
        """Reactivate the account and give it exactly what its groups come to; one that is gone is added.

        Whoever was stripped before this way was configured has the teams and seats of then. Somebody else who has the
        address by now gets none of the former person's. A person who was given another
        address while inactive comes back under the one that their account has: that is changed afterwards.
        """
        accounts, groups = self._accounts, groups_of(user)
        wanted = str(user.user_name).strip().lower()
        account: PublicUser | None = None
        with suppress(RemoteNotFoundError):  # it is gone, or it is inactive and this API hides it
            account = await accounts.guarded(remote_id, word_suffices=True)
        if account is not None and await is_left_behind(accounts, account, user):
            account, _ = await accounts.enrol(user, replaces=remote_id)
            return await self.reactivate(account.id, user)
        kept = await accounts.records.tombstone(remote_id, wanted)
        address = account.normal_email if account else kept.email if kept else wanted
        found = await self._endpoint.find(address)
        another = kept is not None and kept.is_of_another(user.external_id)
        if found is None:
            return account or await self._recreating.come_back(remote_id, user, kept)
        stripped = kept is not None and account is not None and kept.took_from(account)
        held = Assignment() if another else kept.assignment if kept and stripped else None
        await self._narrow(account, groups, held)
        was_out = not is_active(found)
        if was_out:
            await self._switch(found, active=True)
        account = await accounts.guarded(remote_id)
        try:
            account = await self._give(account, groups, held)
        except (*REFUSED, RemoteForbiddenError):  # what is refused is not done in part
            if was_out:
                await self._switch(found, active=False)
            raise
        await accounts.records.unbury(remote_id)
        return account

    async def _give(self, account: PublicUser, groups: tuple[str, ...], held: Assignment | None) -> PublicUser:
        if held is None:
            return await self._accounts.apply_groups(account, groups)
        return await give_back(self._accounts, account, groups, held)

    async def revive(self, user: User) -> bool:
        """Reactivate an account that HubSpot's other API hides while it is inactive.

        :returns: Whether there was one.
        """
        found = await self._endpoint.find(str(user.user_name).strip().lower())
        if found is None or is_active(found):
            return False
        await self._switch(found, active=True)
        return True

    async def _narrow(self, account: PublicUser | None, groups: tuple[str, ...], held: Assignment | None) -> None:
        """Take away what the person should no longer have before they get in again, unless HubSpot refuses that.

        Without a free seat for them they do not get in.

        Its writes may not find a deactivated account. A 404 that is not HubSpot's word may be anybody's for a while; so
        it has to last.
        """
        if account is None:
            return
        try:
            await self._give(account, groups, held)
        except NoSeatError:
            raise
        except (*REFUSED, BareNotFoundError) as error:
            now = asyncio.get_running_loop().time()
            since = self._unfound.setdefault(account.id, now)
            if isinstance(error, BareNotFoundError) and now - since < UNFOUND_SECONDS:
                raise
            self._accounts.logger.info("a deactivated account is changed after its reactivation: %s", error.detail)
        self._unfound.pop(account.id, None)

    async def _switch(self, found: dict[str, Any], *, active: bool) -> None:
        if await self._endpoint.set_active(str(found["id"]), active=active) is not active:
            state = "active" if active else "inactive"
            raise RemoteUnavailableError(f"HubSpot's SCIM endpoint accepted the change but does not show it {state}")
