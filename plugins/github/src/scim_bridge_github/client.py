"""GitHub's REST API as methods; each answer is checked to be about what was asked for.

People are named by their id, which stays; their login, which paths need, they may change, and another may take it: so
it is asked for each time. Teams are named by their ids and the organisation's, which a new name does not move.

GitHub hides by 404 what a token may not see. So *not there* is believed only while the same route shows the token's own
user, as an owner of the organisation.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx2
from pydantic import RootModel

from scim_bridge.errors import (
    RemoteCredentialsError,
    RemoteForbiddenError,
    RemoteInvalidValueError,
    RemoteMisroutedError,
    RemoteNotFoundError,
)
from scim_bridge.upstream import read_model, urgent

from .errors import NotAllowedError, checked
from .wire import Account, Accounts, Invitation, Invitations, Membership, Organization, Team, Teams

ItemT = TypeVar("ItemT")

HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
PAGE = 100
"""The most of a page."""

OWNER = "admin"
"""The role of owners."""


@dataclass(frozen=True, slots=True)
class Part(Generic[ItemT]):
    """A page of a list.

    :param after: The number of the next page; ``None`` on the last one.
    """

    items: Sequence[ItemT]
    after: int | None


class GitHubClient:
    """Speaks to one organisation.

    :param http: What sends the requests, relative to the API's root.
    :param login: The organisation's login.
    :param inviting: What sends invitations.
    """

    def __init__(self, http: httpx2.AsyncClient, login: str, *, inviting: httpx2.AsyncClient) -> None:
        self._http = http
        self._inviting = inviting
        self._login = login
        self._lock = asyncio.Lock()
        self._organization: Organization | None = None
        self._own: Account | None = None

    # -- Requests --------------------------------------------------------------------------------------------------

    async def call(
        self, method: str, path: str, route: str, subject: str, *, invites: bool = False, **options: Any
    ) -> httpx2.Response:
        """Send a request, and return its 2xx answer.

        :param route: How the path stands in the log, in which nobody is named.
        """
        http = self._inviting if invites else self._http
        answer = await http.request(method, path, headers=HEADERS, extensions={"route": route}, **options)
        return checked(answer, subject)

    async def page(
        self, path: str, route: str, model: type[RootModel[list[ItemT]]], page: int, limit: int, **given: str
    ) -> Part[ItemT]:
        """Return a page of a list, by the number that the ``Link`` header gives.

        :param given: Further parameters of the query.
        """
        params = {"per_page": min(limit, PAGE), "page": page, **given}
        try:
            answer = await self.call("GET", path, route, "list", params=params)
        except RemoteNotFoundError:
            await self.control()
            raise
        return Part(read_model(answer, model).root, _next_page(answer))

    # -- The organisation and the token ------------------------------------------------------------------------------

    async def organization(self) -> Organization:
        """Return the organisation; asked once.

        :raises RemoteMisroutedError: When there is none of this login, or none that the token may see.
        """
        async with self._lock:
            if self._organization is None:
                with urgent():  # a removal may wait for it
                    try:
                        answer = await self.call("GET", f"/orgs/{self._login}", "/orgs/{org}", "organisation")
                    except RemoteNotFoundError:
                        raise RemoteMisroutedError(
                            "GitHub shows no organisation of this login: renamed, or hidden from the token?",
                            ambiguous=False,
                        ) from None
                self._organization = read_model(answer, Organization)
            return self._organization

    async def own(self) -> Account:
        """Return the user of the token; asked once."""
        async with self._lock:
            if self._own is None:
                with urgent():
                    try:
                        answer = await self.call("GET", "/user", "/user", "token")
                    except RemoteNotFoundError:
                        raise RemoteMisroutedError("GitHub does not show the token's user", ambiguous=False) from None
                self._own = read_model(answer, Account)
            return self._own

    async def control(self) -> None:
        """See that what is there is shown: the token's own user is an owner of the organisation.

        :raises RemoteCredentialsError: When GitHub may hide something from the token.
        """
        own = await self.own()
        try:
            answer = await self.call("GET", self._membership_path(own.login), MEMBERSHIP, "membership")
        except RemoteNotFoundError:
            raise RemoteCredentialsError(
                "GitHub shows the token nobody of the organisation: was it renamed, or does the token lack a right?"
            ) from None
        membership = read_model(answer, Membership)
        if membership.user.id != own.id or membership.state != "active" or membership.role != OWNER:
            raise RemoteCredentialsError("the token's user is no owner of the organisation")

    # -- People ----------------------------------------------------------------------------------------------------

    async def by_id(self, remote_id: str) -> Account:
        """Return a person by id, with the login that they have now.

        :raises RemoteNotFoundError: When GitHub has nobody of this id, and shows the token's user by the same route.
        """
        if not is_id(remote_id):
            raise RemoteNotFoundError("this is no id of GitHub's")
        found = await self._account("/user", remote_id, lambda own: str(own.id))
        if str(found.id) != remote_id:
            raise _another()
        return found

    async def by_login(self, login: str) -> Account:
        """Return a person by login. :raises RemoteNotFoundError: As :meth:`by_id`."""
        found = await self._account("/users", login, lambda own: own.login)
        if found.login.casefold() != login.casefold():
            raise _another()
        return found

    async def _account(self, route: str, key: str, of_own: Callable[[Account], str]) -> Account:
        try:
            return read_model(await self.call("GET", f"{route}/{key}", f"{route}/{{id}}", "user"), Account)
        except RemoteNotFoundError:
            own = await self.own()
            if key == of_own(own):
                raise _another() from None
            if (await self._account(route, of_own(own), of_own)).id != own.id:
                raise _another() from None
            raise

    async def membership(self, person: Account) -> Membership:
        """Return somebody's membership in the organisation.

        :raises RemoteNotFoundError: When there is none, and the token's user is shown as an owner by the same route.
        """
        try:
            answer = await self.call("GET", self._membership_path(person.login), MEMBERSHIP, "membership")
        except RemoteNotFoundError:
            await self.control()
            raise
        return _of(read_model(answer, Membership), person)

    async def invite(self, person: Account) -> Membership:
        """Invite somebody who is no member.

        :raises RemoteInvalidValueError: When GitHub refuses them.
        """
        path, body = self._membership_path(person.login), {"role": "member"}
        try:
            answer = await self.call("PUT", path, MEMBERSHIP, "membership", invites=True, json=body)
        except RemoteNotFoundError:
            await self.control()
            raise RemoteInvalidValueError("GitHub invites no user of this login") from None
        return _of(read_model(answer, Membership), person)

    async def remove(self, membership: Membership) -> None:
        """End a membership, or withdraw an invitation, and see that it is gone.

        :raises RemoteForbiddenError: For the token's own user. As that one is an owner, one owner always stays.
        """
        person, own = membership.user, await self.own()
        if person.id == own.id:
            raise RemoteForbiddenError("the token's own user is never removed from the organisation")
        if membership.role == OWNER:
            await self.control()
        try:
            await self.call("DELETE", self._membership_path(person.login), MEMBERSHIP, "membership")
        except RemoteNotFoundError:
            await self.control()
        except NotAllowedError:
            await self.control()
            raise RemoteForbiddenError("GitHub refuses to remove this member") from None

    def _membership_path(self, login: str) -> str:
        return f"/orgs/{self._login}/memberships/{login}"

    async def members(self, page: int, limit: int) -> Part[Account]:
        """Return a page of the members."""
        return await self.page(f"/orgs/{self._login}/members", "/orgs/{org}/members", Accounts, page, limit)

    async def owners(self) -> frozenset[int]:
        """Return the ids of the owners."""
        found: set[int] = set()
        page: int | None = 1
        while page is not None:
            path, route = f"/orgs/{self._login}/members", "/orgs/{org}/members"
            owners = await self.page(path, route, Accounts, page, PAGE, role=OWNER)
            found.update(one.id for one in owners.items)
            page = owners.after
        return frozenset(found)

    async def invitations(self, page: int, limit: int) -> Part[Invitation]:
        """Return a page of the invitations that were not accepted yet."""
        path, route = f"/orgs/{self._login}/invitations", "/orgs/{org}/invitations"
        return await self.page(path, route, Invitations, page, limit)

    # -- Teams -----------------------------------------------------------------------------------------------------

    async def teams(self, page: int, limit: int) -> Part[Team]:
        """Return a page of the teams."""
        return await self.page(f"/orgs/{self._login}/teams", "/orgs/{org}/teams", Teams, page, limit)

    async def team(self, remote_id: str) -> Team:
        """Return a team. :raises RemoteNotFoundError: When there is none, and the token sees what is there."""
        return _same_team(read_model(await self.of_team("GET", remote_id), Team), remote_id)

    async def create_team(self, name: str) -> Team:
        """Create a team that every member sees. :raises RemoteInvalidValueError: Also when its name is taken."""
        body = {"name": name, "privacy": "closed"}
        answer = await self.call("POST", f"/orgs/{self._login}/teams", "/orgs/{org}/teams", "team", json=body)
        return read_model(answer, Team)

    async def rename_team(self, remote_id: str, name: str) -> Team:
        """Rename a team; its id stays."""
        answer = await self.of_team("PATCH", remote_id, json={"name": name})
        return _same_team(read_model(answer, Team), remote_id)

    async def team_members(self, remote_id: str, page: int, limit: int) -> Part[Account]:
        """Return a page of the members of a team, those of its child teams included."""
        path = await self._team_path(remote_id, "/members")
        return await self.page(path, f"{TEAM}/members", Accounts, page, limit)

    async def child_teams(self, remote_id: str) -> Part[Team]:
        """Return the first of the teams below a team."""
        return await self.page(await self._team_path(remote_id, "/teams"), f"{TEAM}/teams", Teams, 1, 1)

    async def of_team(self, method: str, remote_id: str, login: str = "", **options: Any) -> httpx2.Response:
        """Send a request about a team, or about a membership in it.

        :raises RemoteNotFoundError: Of a team when it is not there; of a membership when that, or the team, is not.
        """
        path = await self._team_path(remote_id, f"/memberships/{login}" if login else "")
        route = f"{TEAM}/memberships/{{login}}" if login else TEAM
        try:
            return await self.call(method, path, route, "team", **options)
        except RemoteNotFoundError:
            await self.control()
            raise

    async def _team_path(self, remote_id: str, rest: str) -> str:
        if not is_id(remote_id):
            raise RemoteNotFoundError("this is no id of a team")
        return f"/organizations/{(await self.organization()).id}/team/{remote_id}{rest}"


MEMBERSHIP = "/orgs/{org}/memberships/{login}"
TEAM = "/organizations/{org}/team/{id}"


def is_id(text: str) -> bool:
    """Tell whether a text has the form of GitHub's ids; nothing else becomes a part of a path."""
    return re.fullmatch(r"[1-9]\d{0,17}", text, re.ASCII) is not None


def _same_team(team: Team, remote_id: str) -> Team:
    if str(team.id) != remote_id:
        raise _another()
    return team


def _next_page(answer: httpx2.Response) -> int | None:
    link = answer.links.get("next", {}).get("url", "")
    number = parse_qs(urlsplit(link).query).get("page", [""])[0]
    return int(number) if re.fullmatch(r"\d{1,9}", number, re.ASCII) else None


def _of(membership: Membership, person: Account) -> Membership:
    """Return a membership if it is that of the person who was asked for."""
    if membership.user.id != person.id:
        raise _another()
    return membership


def _another() -> RemoteMisroutedError:
    return RemoteMisroutedError("GitHub answered about somebody else than was asked for", ambiguous=False)
