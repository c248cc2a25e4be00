"""Connectors with one planted bug each in what they do with groups, made from the memory connectors."""

import asyncio
from collections.abc import Sequence

from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Group, MemberPage, Page, Remote, User
from scim_bridge.testing.memory import MemoryConnector, MemoryGroupsConnector, MemoryRostersConnector, groups_of


class AlwaysANewGroup(MemoryConnector):
    """Makes a second group of the same name."""

    @hookimpl
    async def create_group(self, group: Group) -> Remote[Group]:
        """Create without looking."""
        async with self.remote.call("create_group"):
            return self.seen_group(self.remote.add_group(str(group.display_name)))


class HidesAGroup(MemoryConnector):
    """Leaves the first group out of the listing."""

    @hookimpl
    async def list_groups(self, cursor: str | None, limit: int) -> Page[Group]:
        """Start one too late."""
        return await super().list_groups(cursor or "1", limit)


class OnlyAdds(MemoryConnector):
    """Never takes a group away."""

    @hookimpl
    async def set_user_groups(self, remote_id: str, groups: Sequence[str]) -> Remote[User]:
        """Add to what is there."""
        return await super().set_user_groups(remote_id, [*groups, *self.remote.groups_of(remote_id)])


class ReplacesMembers(MemoryGroupsConnector):
    """Takes the added members for all of them."""

    @hookimpl
    async def add_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Clear first."""
        self.remote.members = {pair for pair in self.remote.members if pair[0] != remote_id}
        await super().add_group_members(remote_id, members)


class ForgetsAMember(MemoryRostersConnector):
    """Ends the listing of a group with its first page."""

    @hookimpl
    async def list_group_members(self, remote_id: str, cursor: str | None, limit: int) -> MemberPage:
        """Take the page for the whole."""
        return MemberPage((await super().list_group_members(remote_id, cursor, limit)).members)


class OneGroupEach(MemoryRostersConnector):
    """Takes whoever is put into a group out of the others."""

    @hookimpl
    async def add_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Let nobody be in two."""
        self.remote.members = {pair for pair in self.remote.members if pair[1] not in members}
        await super().add_group_members(remote_id, members)


class ShowsFortyMembers(MemoryRostersConnector):
    """Has a remote system that shows forty members at a time, and takes those for all."""

    @hookimpl
    async def list_group_members(self, remote_id: str, cursor: str | None, limit: int) -> MemberPage:
        """Read the first page of the remote system."""
        page = await super().list_group_members(remote_id, cursor, limit)
        return page if len(page.members) <= 40 else MemberPage(page.members[:40])


class PromisesTooMany(MemoryGroupsConnector):
    """Asks member by member, twice, and announces more than it can do in time."""

    @hookimpl
    async def remove_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Take two calls of 120 ms a member."""
        await asyncio.sleep(2 * 0.12 * len(members))
        await super().remove_group_members(remote_id, members)


class InsistsOnMembers(MemoryGroupsConnector):
    """Fails to remove who is not there."""

    @hookimpl
    async def remove_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Raise when an account is absent."""
        for member in members:
            self.remote.account(member)
        await super().remove_group_members(remote_id, members)


class UnknownGroupIsUnknownAccount(MemoryConnector):
    """Says that the account is gone where a group is."""

    @hookimpl
    async def set_user_groups(self, remote_id: str, groups: Sequence[str]) -> Remote[User]:
        """Look each group up."""
        for group in groups:
            self.remote.group(group)
        return await super().set_user_groups(remote_id, groups)


class UnknownMemberIsUnknownGroup(MemoryGroupsConnector):
    """Says that the group is gone where an account is."""

    @hookimpl
    async def add_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Look each account up."""
        for member in members:
            self.remote.account(member)
        await super().add_group_members(remote_id, members)


class SwallowsAGrant(MemoryConnector):
    """Tells a grant that failed as done."""

    @hookimpl
    async def set_user_groups(self, remote_id: str, groups: Sequence[str]) -> Remote[User]:
        """Swallow."""
        try:
            return await super().set_user_groups(remote_id, groups)
        except Exception:  # noqa: BLE001 -- the planted bug
            return self.seen(remote_id)


class GrantsOnce(MemoryConnector):
    """Believes that a grant it has sent has been made."""

    @hookimpl
    async def set_user_groups(self, remote_id: str, groups: Sequence[str]) -> Remote[User]:
        """Remember before it is true."""
        if getattr(self, "sent", None) == (remote_id, *sorted(groups)):
            return self.seen(remote_id)
        self.sent = (remote_id, *sorted(groups))
        return await super().set_user_groups(remote_id, groups)


class GroupsLetIn(MemoryConnector):
    """Activates whoever is given a group."""

    @hookimpl
    async def set_user_groups(self, remote_id: str, groups: Sequence[str]) -> Remote[User]:
        """Grant, and let in."""
        await super().set_user_groups(remote_id, groups)
        self.remote.account(remote_id).active = True
        return self.seen(remote_id)


class RenamesNothing(MemoryConnector):
    """Answers a new name and keeps the old one."""

    @hookimpl
    async def update_group(self, remote_id: str, after: Group) -> Remote[Group]:
        """Echo."""
        async with self.remote.call("update_group", remote_id):
            return Remote(remote_id, after.model_copy(deep=True))


class DeletesNothing(MemoryConnector):
    """Says that a group is deleted."""

    @hookimpl
    async def delete_group(self, remote_id: str) -> None:
        """Do nothing."""
        async with self.remote.call("delete_group", remote_id):
            pass


class LetsInFirst(MemoryConnector):
    """Gives the access back before it takes what the person should not have any more."""

    @hookimpl
    async def reactivate_user(self, remote_id: str, user: User) -> Remote[User]:
        """Let in, then take away."""
        async with self.remote.call("reactivate_user", remote_id):
            self.remote.account(remote_id).active = True
            self.remote.changed()
        return await self.set_user_groups(remote_id, groups_of(user))
