"""Members and teams of a GitHub organisation: the hooks.

An account is a membership in the organisation, named by the person's own id at GitHub; a group is a team. Whoever is
invited has an account that gives no access before they accept (``invited``).
"""

import re
from collections.abc import Sequence
from typing import Self

import httpx2

from scim_bridge import Connector, hookimpl
from scim_bridge.connector import ConnectorContext
from scim_bridge.errors import (
    ConnectorError,
    RemoteForbiddenError,
    RemoteImmutableError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)
from scim_bridge.models import (
    Entitlement,
    Explanation,
    Finding,
    Group,
    MemberPage,
    Page,
    RateLimit,
    Remote,
    Unrevoked,
    User,
)
from scim_bridge.upstream import read_model

from .client import OWNER, PAGE, GitHubClient
from .config import GitHubConfig
from .errors import pause_after
from .wire import Account, Membership, Team, TeamMembership

MEMBERS, INVITATIONS = "members", "invitations"
INVITATIONS_PER_PAGE = 10
"""The id of each invited person is asked for one by one."""

MAINTAINER = "maintainer"

OWNERSHIP = "owner"
"""The remote id of being an owner; those of teams are numbers."""


LEAVING = (
    "https://docs.github.com/en/organizations/managing-membership-in-your-organization/"
    "removing-a-member-from-your-organization"
)


class GitHubConnector(Connector[GitHubConfig]):
    """Drives a GitHub organisation."""

    name = "github"
    config_model = GitHubConfig
    user_attributes = frozenset({"userName"})
    inactive_is_absent = True
    members_per_call = 4
    unrevoked = (
        Unrevoked("what they cloned, and forks elsewhere", "Ask for it; rotate the secrets that stood in it", LEAVING),
        Unrevoked(
            "deploy keys, webhooks and apps that they set up", "An owner looks through the settings of the repositories"
        ),
        Unrevoked(
            "access to single repositories as an outside collaborator", "People > Outside collaborators", LEAVING
        ),
    )

    client: GitHubClient

    def __init__(self, context: ConnectorContext[GitHubConfig]) -> None:
        super().__init__(context)
        self.account = f"{self.config.base_url} {self.config.organization.casefold()}"

    async def __aenter__(self) -> Self:
        """Open the clients: invitations have a limit of their own, so that no removal waits for it."""
        self._http = self._open(self.account, self.config.requests_per_minute)
        self._inviting = self._open(f"{self.account} invitations", self.config.invitations_per_minute)
        self.client = GitHubClient(self._http, self.config.organization, inviting=self._inviting)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them."""
        await self._http.aclose()
        await self._inviting.aclose()

    def _open(self, account: str, per_minute: int) -> httpx2.AsyncClient:
        return self.context.http_client(
            base_url=self.config.base_url,
            account=account,
            rate_limit=RateLimit(requests=per_minute, seconds=60.0),
            headers={"Authorization": f"Bearer {self.config.token.get_secret_value()}"},
            pause_after=pause_after,
        )

    @hookimpl
    async def identify(self) -> str | None:
        """Tell the organisation's id, which its name does not change."""
        return str((await self.client.organization()).id)

    # -- Accounts --------------------------------------------------------------------------------------------------

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """Return a page of the members, and after them of those who are invited."""
        kind, _, number = (cursor or f"{MEMBERS} 1").partition(" ")
        if kind == MEMBERS:
            members = await self.client.members(int(number), limit)
            after = f"{INVITATIONS} 1" if members.after is None else f"{MEMBERS} {members.after}"
            owners = await self.client.owners()
            return Page([seen(one, owner=one.id in owners) for one in members.items], after)
        invitations = await self.client.invitations(int(number), min(limit, INVITATIONS_PER_PAGE))
        found = [await self._invited(one.login) for one in invitations.items if one.login and is_of_members(one.role)]
        after_that = None if invitations.after is None else f"{INVITATIONS} {invitations.after}"
        return Page([one for one in found if one is not None], after_that)

    async def _invited(self, login: str) -> Remote[User] | None:
        """Return somebody who is invited; ``None`` when they are not any more."""
        try:
            person = await self.client.by_login(login)
            return shown(person, await self.client.membership(person))
        except RemoteNotFoundError:
            return None

    @hookimpl
    async def find_user(self, user_name: str) -> Remote[User] | None:
        """Return the member, or whoever is invited, of a login."""
        if not is_login(user_name):
            return None
        return await self._invited(user_name)

    @hookimpl
    async def get_user(self, remote_id: str) -> Remote[User]:
        """Read one person's membership."""
        person = await self.client.by_id(remote_id)
        return shown(person, await self.client.membership(person))

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Invite the person of a login, or adopt who is a member already."""
        return await self._let_in(await self._person(str(user.user_name)))

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Refuse another person's login. The person may have changed their own; then nothing is to be written."""
        told = await self.get_user(remote_id)
        names = {str(user.user_name).casefold() for user in (told.resource, before)}
        if str(after.user_name).casefold() not in names:
            raise RemoteImmutableError(
                "a GitHub account cannot be exchanged for another: deactivate this User, and create the other"
            )
        return told

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Remove the member, or withdraw their invitation."""
        person = await self.client.by_id(remote_id)
        membership = await self.client.membership(person)
        try:
            await self.client.remove(membership)
            await self.client.membership(person)
        except RemoteNotFoundError:
            return  # by evidence: nobody has access through a membership that is not there
        raise RemoteUnavailableError(
            "GitHub still shows a membership that it ended: is it given by an enterprise team?"
        )

    @hookimpl
    async def reactivate_user(self, remote_id: str) -> Remote[User]:
        """Invite the person again; a membership that ended took all teams with it."""
        return await self._let_in(await self.client.by_id(remote_id))

    async def _person(self, login: str) -> Account:
        if not is_login(login):
            raise RemoteInvalidValueError(
                "userName has to be the person's GitHub login, such as octocat: let the identity provider send that"
            )
        try:
            person = await self.client.by_login(login)
        except RemoteNotFoundError:
            raise RemoteInvalidValueError("GitHub has no user of this login") from None
        if person.type != "User":
            raise RemoteInvalidValueError("this login is an organisation's or an app's, not a person's")
        return person

    async def _let_in(self, person: Account) -> Remote[User]:
        try:
            return shown(person, await self.client.membership(person), existed=True)
        except RemoteNotFoundError:
            return shown(person, await self.client.invite(person))

    # -- Teams -----------------------------------------------------------------------------------------------------

    @hookimpl
    async def list_groups(self, cursor: str | None, limit: int) -> Page[Group]:
        """Return a page of the teams."""
        teams = await self.client.teams(int(cursor or 1), limit)
        return Page([remote_group(one) for one in teams.items], None if teams.after is None else str(teams.after))

    @hookimpl
    async def get_group(self, remote_id: str) -> Remote[Group]:
        """Read one team."""
        return remote_group(await self.client.team(remote_id))

    @hookimpl
    async def create_group(self, group: Group) -> Remote[Group]:
        """Create a team, or adopt the one of this name; the token's user, whom GitHub puts into it, leaves it."""
        name = str(group.display_name)
        try:
            made = await self.client.create_team(name)
        except RemoteInvalidValueError:
            found = await self._team_named(name)
            if found is None:
                raise
            return remote_group(found, existed=True)
        await self._leave(str(made.id), await self.client.own())
        return remote_group(made)

    async def _team_named(self, name: str) -> Team | None:
        page: int | None = 1
        while page is not None:
            teams = await self.client.teams(page, 100)
            for team in teams.items:
                if team.name.casefold() == name.casefold():
                    return team
            page = teams.after
        return None

    @hookimpl
    async def update_group(self, remote_id: str, after: Group) -> Remote[Group]:
        """Rename a team."""
        return remote_group(await self.client.rename_team(remote_id, str(after.display_name)))

    @hookimpl
    async def delete_group(self, remote_id: str) -> None:
        """Delete a team, unless others would go with it."""
        try:
            if (await self.client.child_teams(remote_id)).items:
                raise RemoteForbiddenError("GitHub would delete the teams below this one as well: move them first")
            await self.client.of_team("DELETE", remote_id)
        except RemoteNotFoundError:
            return

    @hookimpl
    async def list_group_members(self, remote_id: str, cursor: str | None, limit: int) -> MemberPage:
        """Return a page of who is in a team itself."""
        members = await self.client.team_members(remote_id, int(cursor or 1), limit)
        own = [str(one.id) for one in members.items if not one.inherited]
        return MemberPage(own, None if members.after is None else str(members.after))

    @hookimpl
    async def add_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Add members of the organisation; whoever is none would be invited by it, and is refused."""
        refused = False
        for member in members:
            try:
                person = await self.client.by_id(member)
                membership = await self.client.membership(person)
            except RemoteNotFoundError:
                refused = True
                continue
            if membership.state == "active":
                await self._join(remote_id, membership)
            else:
                refused = True
        if refused:
            raise RemoteInvalidValueError("one of them is no member of the organisation")

    async def _join(self, remote_id: str, membership: Membership) -> None:
        """Add a member to a team, unless they are a maintainer of it, which adding would end."""
        login = membership.user.login
        try:
            held = read_model(await self.client.of_team("GET", remote_id, login), TeamMembership)
        except RemoteNotFoundError:
            held = None
        if held is None or held.role != MAINTAINER or membership.role == OWNER:
            await self.client.of_team("PUT", remote_id, login, json={"role": "member"})

    @hookimpl
    async def remove_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Take people out of a team, and see that they are out of it."""
        for member in members:
            try:
                person = await self.client.by_id(member)
            except RemoteNotFoundError:
                continue
            await self._leave(remote_id, person)
            if await self._is_in(remote_id, person):
                raise RemoteUnavailableError("GitHub still shows somebody in a team whom it took out")

    async def _leave(self, remote_id: str, person: Account) -> None:
        try:
            await self.client.of_team("DELETE", remote_id, person.login)
        except RemoteNotFoundError:
            await self.client.team(remote_id)  # it is the membership that is not there

    async def _is_in(self, remote_id: str, person: Account) -> bool:
        """Tell whether somebody is in a team itself: its memberships are those of the teams below it, too."""
        try:
            await self.client.of_team("GET", remote_id, person.login)
            page: int | None = 1
            while page is not None:
                members = await self.client.team_members(remote_id, page, PAGE)
                for one in members.items:
                    if one.id == person.id:
                        return not one.inherited
                page = members.after
        except RemoteNotFoundError:
            pass
        return False

    @hookimpl
    async def list_entitlements(self) -> list[Entitlement]:
        """Return the teams, and the ownership of the organisation, which only hands give."""
        found = [Entitlement(OWNERSHIP, "Owner", "Role", "Organisation role", assignable=False)]
        page: int | None = 1
        while page is not None:
            teams = await self.client.teams(page, 100)
            found += [Entitlement(str(team.id), team.name, "Entitlement", "Team") for team in teams.items]
            page = teams.after
        return found

    # -- Descriptions ----------------------------------------------------------------------------------------------

    @hookimpl
    async def check_connection(self) -> list[Finding]:
        """Read the organisation, and whether the token's user is an owner of it."""
        findings = []
        try:
            organization = await self.client.organization()
            findings.append(Finding("organisation", "ok", f"{organization.login}, id {organization.id}"))
            await self.client.control()
            findings.append(Finding("token", "ok", f"that of {(await self.client.own()).login}, an owner"))
            await self.client.invitations(1, 1)
            await self.client.teams(1, 1)
        except ConnectorError as error:
            if isinstance(error, RemoteUnavailableError) and not error.alarms:
                raise
            remedy = "an owner's token: admin:org, or the organisation permission Members: read and write"
            findings.append(Finding("token", "error", error.detail, remedy))
        return findings

    @hookimpl
    async def explain_user(self, remote_id: str) -> Explanation:
        """Tell what somebody is in the organisation."""
        try:
            person = await self.client.by_id(remote_id)
            membership = await self.client.membership(person)
        except RemoteNotFoundError:
            return Explanation("no member of the organisation, and not invited")
        role = "an owner: sees everything, whatever the teams" if membership.role == OWNER else "a member"
        return Explanation(f"invited as {role}" if membership.state == "pending" else role)


def is_login(text: str) -> bool:
    """Tell whether a text has the form of a login. An address has not; a part of one could be a stranger's."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,38}", text) is not None


def is_of_members(role: str) -> bool:
    """Tell whether an invitation makes a member; managers of billing are none."""
    return role in {"direct_member", "admin", "reinstate"}


def seen(person: Account, *, owner: bool) -> Remote[User]:
    """Return a member as the bridge reads them; their teams are told by the teams."""
    return Remote(str(person.id), User(user_name=person.login, active=True), holds=held(owner=owner))


def held(*, owner: bool) -> frozenset[str]:
    """Return what somebody holds that no team gives."""
    return frozenset({OWNERSHIP} if owner else ())


def shown(person: Account, membership: Membership, *, existed: bool = False) -> Remote[User]:
    """Return a membership as the bridge reads it."""
    active = membership.state == "active"
    user = User(user_name=person.login, active=active)
    holds = held(owner=active and membership.role == OWNER)
    return Remote(str(person.id), user, existed=existed, invited=not active, holds=holds)


def remote_group(team: Team, *, existed: bool = False) -> Remote[Group]:
    """Return a team as the bridge reads it."""
    return Remote(str(team.id), Group(display_name=team.name), existed=existed)
