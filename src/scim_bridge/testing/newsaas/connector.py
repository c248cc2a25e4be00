"""The hooks of Newsaas, an invented system whose teams keep their members: make it yours from top to bottom.

Every hook is described in ``plugins/README.md`` of scim-bridge; the tests say what is not right yet.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, SecretStr

from scim_bridge import Connector, hookimpl
from scim_bridge.errors import RemoteConflictError, RemoteInvalidValueError, RemoteNotFoundError, RemoteUnavailableError
from scim_bridge.models import Finding, Group, MemberPage, Name, Page, RateLimit, Remote, User
from scim_bridge.upstream import raise_for_status, read_model


class NewsaasConfig(BaseModel):
    """The ``config`` table of a connection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr
    base_url: str = "https://api.newsaas.example"


class Account(BaseModel):
    """What Newsaas answers of the account that the token works in."""

    id: str = Field(min_length=1)


class Person(BaseModel):
    """What Newsaas answers of a person."""

    id: str = Field(min_length=1)
    email: str = Field(min_length=1)
    first: str = ""
    last: str = ""
    active: bool


class Team(BaseModel):
    """What Newsaas answers of a team."""

    id: str = Field(min_length=1)
    name: str


class People(BaseModel):
    """A page of people."""

    items: list[Person]
    next: str | None = None


class Teams(BaseModel):
    """A page of teams."""

    items: list[Team]
    next: str | None = None


Members = RootModel[list[str]]


def is_newsaas_error(body: Any) -> bool:
    """Tell how Newsaas says no from how a gateway on the way there says it: by a field that no gateway's page has."""
    return isinstance(body, dict) and isinstance(body.get("error"), str) and "request_id" in body


class NewsaasConnector(Connector[NewsaasConfig]):
    """Drives Newsaas."""

    name = "newsaas"
    config_model = NewsaasConfig
    members_per_call = 20

    async def __aenter__(self) -> Self:
        """Open the client."""
        self.client = self.context.http_client(
            base_url=self.config.base_url,
            account=self.config.base_url,
            rate_limit=RateLimit(requests=100, seconds=10.0),
            headers={"Authorization": f"Bearer {self.config.token.get_secret_value()}"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.client.aclose()

    async def call(self, method: str, path: str, route: str, subject: str, **options: Any) -> Any:
        """Send a request, and return its 2xx answer; ``route`` stands for the path in the log, which has no ids."""
        answer = await self.client.request(method, path, extensions={"route": route}, **options)
        return raise_for_status(answer, subject, own_error=is_newsaas_error)

    @hookimpl
    async def check_connection(self) -> list[Finding]:
        """Read the account."""
        return [Finding("account", "ok", f"id {await self.identify()}")]

    @hookimpl
    async def identify(self) -> str | None:
        """Tell the account's id."""
        return read_model(await self.call("GET", "/account", "/account", "account"), Account).id

    # -- Accounts --------------------------------------------------------------------------------------------------

    async def person(self, method: str, remote_id: str, rest: str = "", **options: Any) -> Remote[User]:
        """Ask about a person, and see that the answer is about nobody else."""
        path = f"/people/{checked(remote_id, 'account')}{rest}"
        answer = await self.call(method, path, f"/people/{{id}}{rest}", "account", **options)
        found = read_model(answer, Person)
        if found.id != remote_id:
            raise RemoteUnavailableError("Newsaas answered about somebody else than was asked for")
        return seen(found)

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """Return a page of people, inactive ones included."""
        params = {"limit": str(limit), **({"after": cursor} if cursor else {})}
        page = read_model(await self.call("GET", "/people", "/people", "list", params=params), People)
        return Page([seen(one) for one in page.items], page.next)

    @hookimpl
    async def find_user(self, user_name: str) -> Remote[User] | None:
        """Return the person of an address, whatever its case."""
        answer = await self.call("GET", "/people", "/people", "list", params={"email": user_name})
        found = [one for one in read_model(answer, People).items if one.email.casefold() == user_name.casefold()]
        return seen(found[0]) if found else None

    @hookimpl
    async def get_user(self, remote_id: str) -> Remote[User]:
        """Read one person."""
        return await self.person("GET", remote_id)

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Create a person, or adopt the one of this address."""
        there = await self.find_user(str(user.user_name))
        if there is not None:  # an earlier call landed and its answer was lost, or it was made by hand
            return replace(there, existed=True)
        answer = await self.call("POST", "/people", "/people", "account", json=attributes(user))
        return seen(read_model(answer, Person))

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Write the attributes that differ."""
        held = attributes(before)
        differing = {name: value for name, value in attributes(after).items() if value != held[name]}
        if not differing:
            return await self.get_user(remote_id)
        return await self.person("PATCH", remote_id, json=differing)

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """End the person's access."""
        await self.person("PUT", remote_id, "/active", json=False)

    @hookimpl
    async def reactivate_user(self, remote_id: str) -> Remote[User]:
        """Give access again. Newsaas takes people out of all teams when they are deactivated."""
        return await self.person("PUT", remote_id, "/active", json=True)

    # -- Groups ----------------------------------------------------------------------------------------------------

    async def team(self, method: str, remote_id: str, rest: str = "", **options: Any) -> Any:
        """Ask about a team."""
        path = f"/teams/{checked(remote_id, 'group')}{rest}"
        return await self.call(method, path, "/teams/{id}/members/{id}" if rest else "/teams/{id}", "group", **options)

    @hookimpl
    async def list_groups(self, cursor: str | None, limit: int) -> Page[Group]:
        """Return a page of teams."""
        params = {"limit": str(limit), **({"after": cursor} if cursor else {})}
        page = read_model(await self.call("GET", "/teams", "/teams", "list", params=params), Teams)
        return Page([shown(one) for one in page.items], page.next)

    @hookimpl
    async def get_group(self, remote_id: str) -> Remote[Group]:
        """Read one team."""
        return shown(read_model(await self.team("GET", remote_id), Team))

    @hookimpl
    async def create_group(self, group: Group) -> Remote[Group]:
        """Create a team, or adopt the one of this name."""
        name = str(group.display_name)
        try:
            answer = await self.call("POST", "/teams", "/teams", "group", json={"name": name})
        except RemoteConflictError:
            there = await self.team_named(name)
            if there is None:
                raise
            return replace(there, existed=True)
        return shown(read_model(answer, Team))

    async def team_named(self, name: str) -> Remote[Group] | None:
        """Return the team of a name."""
        page = await self.list_groups(None, 100)
        while True:
            for one in page.items:
                if str(one.resource.display_name).casefold() == name.casefold():
                    return one
            if page.cursor is None:
                return None
            page = await self.list_groups(page.cursor, 100)

    @hookimpl
    async def update_group(self, remote_id: str, after: Group) -> Remote[Group]:
        """Rename a team."""
        return shown(read_model(await self.team("PATCH", remote_id, json={"name": after.display_name}), Team))

    @hookimpl
    async def delete_group(self, remote_id: str) -> None:
        """Delete a team."""
        try:
            await self.team("DELETE", remote_id)
        except RemoteNotFoundError:
            return

    @hookimpl
    async def list_group_members(self, remote_id: str) -> MemberPage:
        """Return who is in a team; Newsaas answers all of them at once."""
        return MemberPage(read_model(await self.team("GET", remote_id, "/members"), Members).root)

    @hookimpl
    async def add_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Put people into a team."""
        absent = False
        for member in members:
            try:
                await self.team("PUT", remote_id, f"/members/{checked(member, 'account')}")
            except RemoteNotFoundError:
                await self.get_group(remote_id)  # if that is not there, it says so
                absent = True
        if absent:
            raise RemoteInvalidValueError("Newsaas has no such account")

    @hookimpl
    async def remove_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Take people out of a team, without looking who is in it."""
        for member in members:
            try:
                await self.team("DELETE", remote_id, f"/members/{checked(member, 'account')}")
            except RemoteNotFoundError:
                await self.get_group(remote_id)


def checked(remote_id: str, subject: str) -> str:
    """Return an id that may become a part of a path. :raises RemoteNotFoundError: For what has not its form."""
    if not re.fullmatch(r"[a-z0-9-]{1,64}", remote_id):
        raise RemoteNotFoundError(f"this is no id of an {subject}")
    return remote_id


def attributes(user: User) -> dict[str, str]:
    """Return what Newsaas keeps of a user, in its own words."""
    name = user.name or Name()
    return {"email": str(user.user_name), "first": name.given_name or "", "last": name.family_name or ""}


def seen(person: Person) -> Remote[User]:
    """Return a person as the bridge reads them; their groups are told by the teams."""
    name = Name(given_name=person.first or None, family_name=person.last or None)
    return Remote(person.id, User(user_name=person.email, name=name, active=person.active))


def shown(team: Team) -> Remote[Group]:
    """Return a team as the bridge reads it."""
    return Remote(team.id, Group(display_name=team.name))
