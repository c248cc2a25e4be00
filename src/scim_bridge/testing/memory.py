"""Connectors to a remote system in memory: for tests, for a first look, and as an example of both shapes of membership.

``memory`` keeps the groups on the person (``set_user_groups``), ``memory-groups`` keeps the members on the group, and
``memory-rosters`` does so without telling the groups of an account: it lists the members (``list_group_members``). What
they drive is a :class:`~scim_bridge.testing.memory_remote.MemoryRemote`, which a test reaches by the name that the
connection configures.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from scim_bridge.connector import Connector, ConnectorContext, ConnectorRegistry
from scim_bridge.errors import (
    ConnectorError,
    RemoteConflictError,
    RemoteCredentialsError,
    RemoteForbiddenError,
    RemoteInvalidValueError,
    RemoteRateLimitedError,
    RemoteUnavailableError,
)
from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import (
    Explanation,
    Finding,
    Group,
    GroupMembership,
    MemberPage,
    Name,
    Page,
    Remote,
    User,
)
from scim_bridge.testing.memory_remote import MemoryRemote

FaultName = Literal["unavailable", "lost_answer", "rate_limited", "forbidden", "credentials", "conflict", "invalid"]


class MemoryConfig(BaseModel):
    """Settings of ``memory`` and ``memory-groups``."""

    model_config = ConfigDict(extra="forbid")

    remote: str | None = None
    """The name of the remote system; connections with the same name share it. By default the connection's id."""

    latency: float = 0.0
    """Seconds that every call takes."""

    member_latency: float = 0.0
    """Seconds that each member of ``add_group_members`` and ``remove_group_members`` takes, one after the other."""

    faults: dict[str, list[FaultName]] = {}
    """By hook: what its first calls do instead of succeeding. ``lost_answer`` takes effect and then fails."""


def fault_of(name: FaultName) -> ConnectorError:
    """Return the error that a configured fault raises."""
    errors: dict[FaultName, ConnectorError] = {
        "unavailable": RemoteUnavailableError("the remote system is down", ambiguous=False),
        "lost_answer": RemoteUnavailableError("the answer was lost", ambiguous=True),
        "rate_limited": RemoteRateLimitedError("the remote system's limit is used up", retry_after=1.0),
        "forbidden": RemoteForbiddenError("the remote system refuses this object"),
        "credentials": RemoteCredentialsError("the remote system refuses the bridge's credentials"),
        "conflict": RemoteConflictError("the remote system already has this value"),
        "invalid": RemoteInvalidValueError("the remote system will not take this value"),
    }
    return errors[name]


def groups_of(user: User) -> list[str]:
    """Return the remote ids of the groups that a user should have."""
    return [str(group.value) for group in user.groups or ()]


class MemoryAccounts(Connector[MemoryConfig]):
    """What both memory connectors share: accounts and groups, without membership."""

    config_model: ClassVar[type[BaseModel]] = MemoryConfig
    user_attributes = frozenset({"userName", "name.givenName", "name.familyName", "displayName", "title"})

    def __init__(self, context: ConnectorContext[MemoryConfig]) -> None:
        super().__init__(context)
        self.remote = MemoryRemote.named(self.config.remote or context.connection_id)
        for hook, names in self.config.faults.items():
            for name in names:
                self.remote.fail(hook, fault_of(name), after_effect=name == "lost_answer")

    def seen(self, remote_id: str, *, existed: bool = False) -> Remote[User]:
        """Return an account as it is now, as a copy."""
        account = self.remote.account(remote_id)
        user = account.user.model_copy(deep=True)
        user.active = account.active
        user.groups = [GroupMembership(value=group) for group in sorted(self.remote.groups_of(remote_id))]
        return Remote(remote_id, user, existed=existed)

    def kept(self, user: User) -> User:
        """Return the part of a user that this remote system holds."""
        name = user.name and Name(given_name=user.name.given_name, family_name=user.name.family_name)
        return User(user_name=user.user_name, name=name, display_name=user.display_name, title=user.title)

    @staticmethod
    def changed(held: User, before: User, after: User) -> User:
        """Return an account with what differs between two states; the rest stays as somebody may have made it."""
        names = [held.name or Name(), before.name or Name(), after.name or Name()]
        parts = {
            part: getattr(names[2 if getattr(names[1], part) != getattr(names[2], part) else 0], part)
            for part in ("given_name", "family_name")
        }
        values = {
            name: getattr(after if getattr(before, name) != getattr(after, name) else held, name)
            for name in ("user_name", "display_name", "title")
        }
        return User(name=Name(**parts) if any(parts.values()) else None, **values)

    def grant(self, remote_id: str, groups: Sequence[str]) -> None:
        """Make the groups of an account exactly these."""
        self.known(groups)
        wanted = {(group, remote_id) for group in groups}
        held = {pair for pair in self.remote.members if pair[1] == remote_id}
        if wanted != held:
            self.remote.members -= held
            self.remote.members |= wanted
            self.remote.changed()

    def known(self, groups: Sequence[str]) -> None:
        """Refuse groups that are not there. :raises RemoteInvalidValueError: when one is not."""
        if set(groups) - set(self.remote.groups):
            raise RemoteInvalidValueError("the remote system has no such group")

    def granted(self, remote_id: str, user: User) -> None:
        """Bring the groups of an account in line with a user that is created or reactivated."""
        raise NotImplementedError

    async def pause(self) -> None:
        """Take the configured time."""
        if self.config.latency:
            await asyncio.sleep(self.config.latency)

    @hookimpl
    async def check_connection(self) -> list[Finding]:
        """Count what is there."""
        async with self.remote.call("check_connection"):
            return [Finding("memory", "ok", f"{len(self.remote.accounts)} accounts, {len(self.remote.groups)} groups")]

    @hookimpl
    async def identify(self) -> str | None:
        """Tell the name of the remote system."""
        async with self.remote.call("identify"):
            return self.remote.identity

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """Return a page of accounts, in the order of their making."""
        await self.pause()
        async with self.remote.call("list_users", cursor=cursor, limit=limit):
            ids = list(self.remote.accounts)
            start = 0 if cursor is None else int(cursor)
            after = str(start + limit) if start + limit < len(ids) else None
            return Page([self.seen(remote_id) for remote_id in ids[start : start + limit]], after)

    @hookimpl
    async def find_user(self, user_name: str) -> Remote[User] | None:
        """Return the account of a userName, or ``None``."""
        await self.pause()
        async with self.remote.call("find_user", user_name=user_name):
            account = self.remote.find(user_name)
            return None if account is None else self.seen(account.remote_id)

    @hookimpl
    async def get_user(self, remote_id: str) -> Remote[User]:
        """Read one account."""
        await self.pause()
        async with self.remote.call("get_user", remote_id):
            return self.seen(remote_id)

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Create an account, or adopt the one of this userName."""
        await self.pause()
        async with self.remote.call("create_user", user=user.model_copy(deep=True)):
            account = self.remote.find(user.user_name)
            if account is not None:
                return self.seen(account.remote_id, existed=True)
            self.known(groups_of(user))
            remote_id = self.remote.add_account(str(user.user_name))
            self.remote.accounts[remote_id].user = self.kept(user)
            self.remote.changed()
            self.granted(remote_id, user)
            return self.seen(remote_id)

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Write the attributes that differ, of those that this remote system holds."""
        await self.pause()
        async with self.remote.call("update_user", remote_id, after=after.model_copy(deep=True)):
            account = self.remote.account(remote_id)
            other = self.remote.find(after.user_name)
            if other is not None and other is not account:
                raise RemoteConflictError("the remote system has another account of this userName")
            changed = self.changed(account.user, self.kept(before), self.kept(after))
            if account.user != changed:
                account.user = changed
                self.remote.changed()
            return self.seen(remote_id)

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Set the account inactive; it keeps its groups."""
        await self.pause()
        async with self.remote.call("deactivate_user", remote_id):
            account = self.remote.account(remote_id)
            if account.active:
                account.active = False
                self.remote.changed()

    @hookimpl
    async def reactivate_user(self, remote_id: str, user: User) -> Remote[User]:
        """Set the account active again, with no more groups than it should have."""
        await self.pause()
        async with self.remote.call("reactivate_user", remote_id, user=user.model_copy(deep=True)):
            account = self.remote.account(remote_id)
            self.known(groups_of(user))
            if not account.active:
                account.active = True
                self.remote.changed()
            self.granted(remote_id, user)
            return self.seen(remote_id)

    @hookimpl
    async def delete_user(self, remote_id: str) -> None:
        """Remove the account and its memberships."""
        await self.pause()
        async with self.remote.call("delete_user", remote_id):
            if self.remote.accounts.pop(remote_id, None) is not None:
                self.remote.members = {pair for pair in self.remote.members if pair[1] != remote_id}
                self.remote.changed()

    @hookimpl
    async def list_groups(self, cursor: str | None, limit: int) -> Page[Group]:
        """Return a page of groups, in the order of their making."""
        await self.pause()
        async with self.remote.call("list_groups", cursor=cursor, limit=limit):
            ids = list(self.remote.groups)
            start = 0 if cursor is None else int(cursor)
            after = str(start + limit) if start + limit < len(ids) else None
            return Page([self.seen_group(remote_id) for remote_id in ids[start : start + limit]], after)

    def seen_group(self, remote_id: str, *, existed: bool = False) -> Remote[Group]:
        """Return a group as it is now, as a copy."""
        return Remote(remote_id, self.remote.group(remote_id).model_copy(deep=True), existed=existed)

    @hookimpl
    async def get_group(self, remote_id: str) -> Remote[Group]:
        """Read one group."""
        await self.pause()
        async with self.remote.call("get_group", remote_id):
            return self.seen_group(remote_id)

    @hookimpl
    async def create_group(self, group: Group) -> Remote[Group]:
        """Create a group, or adopt the one of this displayName."""
        await self.pause()
        async with self.remote.call("create_group", group=group.model_copy(deep=True)):
            wanted = str(group.display_name).casefold()
            for remote_id, one in self.remote.groups.items():
                if str(one.display_name).casefold() == wanted:
                    return self.seen_group(remote_id, existed=True)
            remote_id = self.remote.add_group(str(group.display_name))
            self.remote.changed()
            return self.seen_group(remote_id)

    @hookimpl
    async def update_group(self, remote_id: str, after: Group) -> Remote[Group]:
        """Rename a group."""
        await self.pause()
        async with self.remote.call("update_group", remote_id, after=after.model_copy(deep=True)):
            group = self.remote.group(remote_id)
            if group.display_name != after.display_name:
                group.display_name = after.display_name
                self.remote.changed()
            return self.seen_group(remote_id)

    @hookimpl
    async def delete_group(self, remote_id: str) -> None:
        """Remove a group and its memberships."""
        await self.pause()
        async with self.remote.call("delete_group", remote_id):
            if self.remote.groups.pop(remote_id, None) is not None:
                self.remote.members = {pair for pair in self.remote.members if pair[0] != remote_id}
                self.remote.changed()


class MemoryConnector(MemoryAccounts):
    """Keeps the groups on the person."""

    name = "memory"

    def granted(self, remote_id: str, user: User) -> None:
        """Give the account exactly the user's groups."""
        self.grant(remote_id, groups_of(user))

    @hookimpl
    async def set_user_groups(self, remote_id: str, groups: Sequence[str]) -> Remote[User]:
        """Give an account exactly these groups."""
        await self.pause()
        async with self.remote.call("set_user_groups", remote_id, groups=tuple(groups)):
            self.remote.account(remote_id)
            self.grant(remote_id, groups)
            return self.seen(remote_id)

    @hookimpl
    async def explain_user(self, remote_id: str, groups: Sequence[str]) -> Explanation:
        """List the groups an account holds."""
        async with self.remote.call("explain_user", remote_id, groups=tuple(groups)):
            held = self.remote.groups_of(remote_id)
            return Explanation(f"the account holds {len(held)} groups", effective=tuple(sorted(held)))


class MemoryGroupsConnector(MemoryAccounts):
    """Keeps the members on the group."""

    name = "memory-groups"

    def granted(self, remote_id: str, user: User) -> None:
        """Take away the groups that the user should not have; members are added through the group."""
        self.grant(remote_id, [group for group in groups_of(user) if group in self.remote.groups_of(remote_id)])

    async def one_by_one(self, members: Sequence[str]) -> AsyncIterator[str]:
        """Yield each member when its time has passed: a call that is given up has done some of them."""
        for member in members:
            if self.config.member_latency:
                await asyncio.sleep(self.config.member_latency)
            yield member

    @hookimpl
    async def add_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Add accounts to a group."""
        await self.pause()
        async with self.remote.call("add_group_members", remote_id, members=tuple(members)):
            self.remote.group(remote_id)
            if set(members) - set(self.remote.accounts):
                raise RemoteInvalidValueError("the remote system has no such account")
            async for member in self.one_by_one(members):
                if (remote_id, member) not in self.remote.members:
                    self.remote.members.add((remote_id, member))
                    self.remote.changed()

    @hookimpl
    async def remove_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Remove accounts from a group."""
        await self.pause()
        async with self.remote.call("remove_group_members", remote_id, members=tuple(members)):
            async for member in self.one_by_one(members):
                if (remote_id, member) in self.remote.members:
                    self.remote.members.remove((remote_id, member))
                    self.remote.changed()


class MemoryRostersConnector(MemoryGroupsConnector):
    """Keeps the members on the group, which lists them; accounts do not tell their groups."""

    name = "memory-rosters"

    def seen(self, remote_id: str, *, existed: bool = False) -> Remote[User]:
        """Return an account without its groups."""
        seen = super().seen(remote_id, existed=existed)
        seen.resource.groups = None
        return seen

    @hookimpl
    async def list_group_members(self, remote_id: str, cursor: str | None, limit: int) -> MemberPage:
        """Return a page of members, in the order of their ids."""
        await self.pause()
        async with self.remote.call("list_group_members", remote_id, cursor=cursor, limit=limit):
            self.remote.group(remote_id)
            later = [one for one in sorted(self.remote.members_of(remote_id)) if one > (cursor or "")]
            return MemberPage(later[:limit], later[limit - 1] if len(later) > limit else None)


@hookimpl
def register_connectors(registry: ConnectorRegistry) -> None:
    """Register the three types."""
    registry.add(MemoryConnector)
    registry.add(MemoryGroupsConnector)
    registry.add(MemoryRostersConnector)
