"""HubSpot's API as methods: one HTTP call each, answers read into :mod:`.wire`, refusals into :mod:`.errors`.

Nothing is decided here, but that an answer about a member is about the one that was asked for.

A paging link is never followed, only its cursor is used; a redirect is an error.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from scim_bridge.errors import (
    RemoteCredentialsError,
    RemoteForbiddenError,
    RemoteInvalidValueError,
    RemoteMisroutedError,
    RemoteNotFoundError,
    RemoteRateLimitedError,
    RemoteUnavailableError,
)
from scim_bridge.upstream import READING

from .config import ApiVersion, HubSpotConfig
from .errors import INTERVAL_SECONDS, BareNotFoundError, DailyLimitError, MissingScopeError, error_of
from .sightings import Sightings
from .wire import (
    USER_ID,
    AccountDetails,
    Collection,
    CrmUser,
    DailyUsage,
    Introspection,
    Owner,
    PermissionSet,
    PublicUser,
    Seat,
    Team,
    TokenInfo,
)

PAGE, SMALLER_PAGE = 100, 50
"""Page sizes in use; HubSpot publishes no maximum (hubspot.md section 7). A refused one gives way to the smaller."""

COLLECTION: Mapping[ApiVersion, str] = {
    "v3": "/settings/v3/users/",
    "2026-03": "/settings/users/2026-03",
    "2026-09-beta": "/settings/users/2026-09-beta",
}
"""Path of the user collection; v3's own documents print two, this is the one that clients use."""

CRM_USERS = "/crm/v3/objects/users"
CRM_PROPERTIES = ("hs_internal_user_id", "hs_deactivated", "hs_job_title")
DAILY_PAUSE_SECONDS = 600.0
"""For how long nothing is sent once the day's requests are used up; then one call looks again."""

REMAINING_TODAY = "x-hubspot-ratelimit-daily-remaining"

ModelT = TypeVar("ModelT", bound=BaseModel)


class AnyDocument(BaseModel):
    """A JSON object of which nothing is needed."""


def pause_after(response: httpx2.Response) -> float | None:
    """Tell the transport for how long the account must make no call after a 429, by the policy its body names."""
    if response.status_code != 429:
        return None
    error = error_of(response, write=False)
    if isinstance(error, DailyLimitError):
        return DAILY_PAUSE_SECONDS
    return error.retry_after if isinstance(error, RemoteRateLimitedError) else INTERVAL_SECONDS


class HubSpotClient:
    """The calls of one account.

    :param http: Sends with the account's credentials, within its limits.
    """

    def __init__(self, http: httpx2.AsyncClient, config: HubSpotConfig) -> None:
        self._http = http
        self._users = COLLECTION[config.api_version]
        self._has_seats = config.has_seats
        self._page = PAGE
        self.sightings = Sightings()
        self.remaining_today: int | None = None
        """What is left of the account's daily limit, by the last answer that told."""
        self.utc_offset: timedelta | None = None
        """The account's time zone, once known: its daily limit is reset at midnight there."""

    # -- Users -------------------------------------------------------------------------------------------------------

    async def users(self, after: str | None, limit: int) -> Collection[PublicUser]:
        """Return a page of the members, in no order."""
        try:
            page = await self._list(Collection[PublicUser], self._users, {"after": after}, max(limit, 1))
        except RemoteForbiddenError as error:
            raise _not_readable(error) from None
        return page.model_copy(update={"results": [self._member(user) for user in page.results]})

    async def user(self, user_id: str) -> PublicUser:
        """Return a member by Settings user id.

        :raises RemoteNotFoundError: When HubSpot says that the person is not a member.
        :raises BareNotFoundError: When it may have meant that.
        """
        turn = self.sightings.begin()
        user = await self._read_member(user_id, {})
        if user.id != user_id:
            raise RemoteMisroutedError("HubSpot answered with another person's record", ambiguous=False)
        self.sightings.saw(user, turn)
        return user

    async def user_by_email(self, email: str) -> PublicUser:
        """Return a member by e-mail address; the errors are those of :meth:`user`."""
        turn = self.sightings.begin()
        user = await self._read_member(email, {"idProperty": "EMAIL"})
        if user.normal_email != email.strip().lower():
            raise RemoteMisroutedError("HubSpot answered with another person's record", ambiguous=False)
        self.sightings.saw(user, turn)
        return user

    async def _read_member(self, key: str, query: Mapping[str, str]) -> PublicUser:
        try:
            path = self._item(key) if query else self._member_path(key)
            return self._member(await self._read(PublicUser, path, query))
        except RemoteForbiddenError as error:
            raise _not_readable(error) from None

    async def create_user(self, body: Mapping[str, Any]) -> PublicUser:
        """Invite a person (``UserProvisionRequest``). Not to be repeated blindly."""
        address = str(body["email"]).strip().lower()
        self.sightings.has_somebody(address)
        response = await self._send("POST", self._users, json=body)
        user = self._member(_parse(PublicUser, response, write=True))
        if user.normal_email != address:
            raise RemoteMisroutedError("HubSpot answered with another person's record", ambiguous=True)
        return user

    async def replace_user(self, user_id: str, body: Mapping[str, Any]) -> PublicUser | None:
        """Write names and assignments (``PublicUserUpdate``).

        :returns: The member as the answer shows them; ``None`` when it shows nobody. What it proves is said in
            :mod:`.evidence`.
        :raises RemoteUnavailableError: Also when the answer is no JSON: then somebody else gave it, on the way.
        """
        response = await self._write_member("PUT", user_id, json=body)
        if response.content:
            _parse(AnyDocument, response, write=True)
        try:
            return self._member(PublicUser.model_validate_json(response.content))
        except ValidationError:
            return None

    async def remove_user(self, user_id: str) -> bool:
        """Remove a member from the account.

        :returns: Whether HubSpot confirmed it, with a 204; it does for one who was removed before, too. ``False`` when
            it knows nobody of this id, or answers as if.
        """
        try:
            response = await self._write_member("DELETE", user_id)
        except (RemoteNotFoundError, BareNotFoundError):
            return False
        if response.status_code != 204:
            raise RemoteMisroutedError(f"a removal was answered {response.status_code} instead of 204", ambiguous=True)
        return True

    async def _write_member(self, method: str, user_id: str, json: Mapping[str, Any] | None = None) -> httpx2.Response:
        path = self._member_path(user_id)
        self.sightings.wrote(user_id)
        try:
            return await self._send(method, path, json=json)
        finally:
            self.sightings.wrote(user_id)

    # -- What can be given -------------------------------------------------------------------------------------------

    async def permission_sets(self) -> list[PermissionSet]:
        """Return the permission sets.

        :raises NoPermissionSetsError: When the account's tier has none.
        """
        return (await self._read(Collection[PermissionSet], self._item("roles"))).results

    async def teams(self) -> list[Team]:
        """Return the teams."""
        return (await self._read(Collection[Team], self._item("teams"))).results

    async def seats(self) -> list[Seat]:
        """Return the kinds of seats; only 2026-09-beta lists them."""
        return (await self._read(Collection[Seat], f"{COLLECTION['2026-09-beta']}/seats")).results

    # -- Owners and CRM users ----------------------------------------------------------------------------------------

    async def owners(self, *, archived: bool, email: str | None = None, after: str | None = None) -> Collection[Owner]:
        """Return a page of the owners of records; archived ones belong to deactivated or removed people."""
        query = {"archived": "true" if archived else "false", "email": email, "after": after}
        return await self._list(Collection[Owner], "/crm/owners/2026-03", query)

    async def search_crm_users(
        self, property_name: str, value: str, *, after: str | None = None, limit: int = PAGE
    ) -> Collection[CrmUser]:
        """Return the CRM users whose property has a value."""
        condition = {"propertyName": property_name, "operator": "EQ", "value": value}
        groups = [{"filters": [condition]}]
        body = {"filterGroups": groups, "properties": list(CRM_PROPERTIES), "after": after}
        return await self._list(Collection[CrmUser], f"{CRM_USERS}/search", body, limit, method="POST")

    async def crm_users(self, after: str | None) -> Collection[CrmUser]:
        """Return a page of the CRM users."""
        query = {"properties": ",".join(CRM_PROPERTIES), "after": after}
        return await self._list(Collection[CrmUser], CRM_USERS, query)

    async def write_job_title(self, crm_user_id: str, title: str) -> None:
        """Write the CRM property ``hs_job_title``."""
        await self._send(
            "PATCH", f"{CRM_USERS}/{quote(crm_user_id, safe='')}", json={"properties": {"hs_job_title": title}}
        )

    # -- The account and the token -----------------------------------------------------------------------------------

    async def token_info(self, token: str) -> TokenInfo:
        """Return whose static token this is. Needs no scope."""
        path = "/oauth/v2/private-apps/get/access-token-info"
        return _parse(TokenInfo, await self._send("POST", path, json={"tokenKey": token}, write=False))

    async def introspect(self, token: str, client_id: str, client_secret: str) -> Introspection:
        """Return whose OAuth access token this is."""
        form = {
            "token": token,
            "token_type_hint": "access_token",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        response = await self._send("POST", "/oauth/2026-03/token/introspect", form=form, write=False)
        return _parse(Introspection, response)

    async def account_details(self) -> AccountDetails:
        """Return the account."""
        return await self._read(AccountDetails, "/account-info/2026-03/details")

    async def daily_usage(self) -> list[DailyUsage]:
        """Return how much of the daily limits is used."""
        path = "/account-info/2026-03/api-usage/daily/private-apps"
        return (await self._read(Collection[DailyUsage], path)).results

    def _member(self, user: PublicUser) -> PublicUser:
        """Leave seats out where this version cannot write them: 2026-03 tells them in some answers only."""
        return user if self._has_seats else user.model_copy(update={"seat_names": None})

    # -- Sending -----------------------------------------------------------------------------------------------------

    def _member_path(self, user_id: str) -> str:
        """Return the path of a member. An id of another form is not HubSpot's, and could name another route."""
        if re.fullmatch(USER_ID, user_id) is None:
            raise RemoteUnavailableError("the remote id is not of the form of HubSpot's", ambiguous=False)
        return self._item(user_id)

    def _item(self, key: str) -> str:
        return f"{self._users.rstrip('/')}/{quote(key, safe='@+')}"

    async def _read(self, model: type[ModelT], path: str, query: Mapping[str, Any] | None = None) -> ModelT:
        return _parse(model, await self._send("GET", path, query=query))

    async def _list(
        self, model: type[ModelT], path: str, query: Mapping[str, Any], limit: int = PAGE, *, method: str = "GET"
    ) -> ModelT:
        """Read a page of at most so many items; when HubSpot refuses so many, of fewer, from then on."""
        asked = {name: value for name, value in query.items() if value is not None}
        size = min(limit, self._page)
        try:
            return await self._page_of(model, path, {**asked, "limit": size}, method)
        except RemoteInvalidValueError:
            if size <= SMALLER_PAGE:
                raise
            self._page = SMALLER_PAGE
            return await self._page_of(model, path, {**asked, "limit": SMALLER_PAGE}, method)

    async def _page_of(self, model: type[ModelT], path: str, query: Mapping[str, Any], method: str) -> ModelT:
        if method == "GET":
            return await self._read(model, path, query)
        return _parse(model, await self._send(method, path, json=query, write=False))

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        write: bool | None = None,
    ) -> httpx2.Response:
        """Send a request once.

        :param write: Whether it may change something; by default whatever is no GET does.
        """
        write = method != "GET" if write is None else write
        response = await exchange(self._http, method, path, query=query, json=json, form=form, write=write)
        remaining = response.headers.get(REMAINING_TODAY, "")
        if remaining.isascii() and remaining.isdigit():
            self.remaining_today = int(remaining)
        if not response.is_success:
            raise error_of(response, write=write, until_reset=self._until_reset())
        return response

    def _until_reset(self) -> float | None:
        """Return the seconds until midnight in the account's time zone."""
        if self.utc_offset is None:
            return None
        local = datetime.now(UTC) + self.utc_offset
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return (midnight - local).total_seconds()


def _not_readable(error: RemoteForbiddenError) -> RemoteCredentialsError:
    """Return what a refused read of members means: HubSpot hides nobody, so the token may not read them."""
    return MissingScopeError(f"the token may not read accounts: {error.detail}")


async def exchange(
    http: httpx2.AsyncClient,
    method: str,
    path: str,
    *,
    write: bool,
    query: Mapping[str, Any] | None = None,
    json: Mapping[str, Any] | None = None,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx2.Response:
    """Send a request and return whatever is answered.

    :raises RemoteUnavailableError: When nothing, or not all of it, came back.
    """
    try:
        return await http.request(
            method,
            path,
            params=query,
            json=json,
            data=form,
            headers=headers,
            follow_redirects=False,
            extensions={READING: not write},
        )
    except httpx2.HTTPError as error:  # The bridge's transport raises its own errors; another one might not.
        raise RemoteUnavailableError(f"HubSpot did not answer ({type(error).__name__})", ambiguous=write) from None


def _parse(model: type[ModelT], response: httpx2.Response, *, write: bool = False) -> ModelT:
    """Read an answer. One that is no JSON, or lacks what access depends on, is as good as none."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        raise RemoteUnavailableError("HubSpot's answer is not understood", ambiguous=write) from None


def advanced(before: str | None, after: str) -> str:
    """Return the cursor of the next page.

    :raises RemoteUnavailableError: When it is the one just used; the listing would never end.
    """
    if after == before:
        raise RemoteUnavailableError("HubSpot's listing does not advance", ambiguous=False)
    return after
