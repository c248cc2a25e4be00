"""Who is in which group: members are kept on the group, and a removal is believed when the group shows it."""

import json
from bisect import bisect_right
from collections.abc import Sequence

from scim_bridge.errors import (
    OperationNotSupportedError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)
from scim_bridge.models import MemberPage

from .client import ScimClient
from .errors import NoTargetError
from .wire import Document, team

LOOKED_UP = 20
"""Accounts that are looked up by one call."""


class Roster:
    """Changes and tells the members of groups.

    :param looks_up: Whether members are looked up before they are added.
    """

    def __init__(self, client: ScimClient, *, looks_up: bool) -> None:
        self._client = client
        self._looks_up = looks_up
        self._finds = False
        """Whether filters were seen to find a group by somebody who is in it."""
        self._listed: tuple[str, list[str]] | None = None

    async def members(self, group: str) -> list[str]:
        """Return the ids of the Users in a group."""
        return team(await self._client.read("/Groups", group)).people()

    async def page(self, group: str, cursor: str | None, limit: int) -> MemberPage:
        """Return a page of the Users in a group; a Group comes whole (RFC 7644 §3.4.1), so it is kept between pages."""
        if cursor is None or self._listed is None or self._listed[0] != group:
            self._listed = (group, sorted(await self.members(group)))
        listed = self._listed[1]
        start = 0 if cursor is None else bisect_right(listed, cursor)
        found = listed[start : start + limit]
        if start + limit < len(listed):
            return MemberPage(found, found[-1])
        self._listed = None
        return MemberPage(found)

    async def add(self, group: str, members: Sequence[str]) -> None:
        """Add Users to a group.

        :raises RemoteInvalidValueError: When one of them is not there.
        :raises RemoteNotFoundError: When the group is not there.
        :raises RemoteUnavailableError: When the answer shows the group without them, and so does a read.
        """
        if self._looks_up and not await self._are_there(members):
            raise RemoteInvalidValueError("the service provider has no such account")
        added = [{"value": member} for member in members]
        try:
            operation = {"op": "add", "path": "members", "value": added}
            seen = await self._client.change("/Groups", group, [operation], lambda before: _with(before, added))
        except RemoteNotFoundError:
            await self._client.read("/Groups", group)  # some say 404 of a member
            raise RemoteInvalidValueError("the service provider has no such account") from None
        if seen is None or not isinstance(seen.get("members"), list):
            return
        if set(members) - set(team(seen).people()) and set(members) - set(await self.members(group)):
            raise RemoteUnavailableError("the service provider does not show somebody in a group whom it added")

    async def _are_there(self, members: Sequence[str]) -> bool:
        """Tell whether all of these accounts are there."""
        for start in range(0, len(members), LOOKED_UP):
            some = members[start : start + LOOKED_UP]
            condition = " or ".join(f"id eq {json.dumps(member)}" for member in some)
            try:
                found = {
                    str(one.get("id")) for one in (await self._client.part("/Users", 1, LOOKED_UP, condition)).documents
                }
            except (RemoteInvalidValueError, OperationNotSupportedError):
                found = set()
            for member in set(some) - found:
                try:
                    await self._client.read("/Users", member)
                except RemoteNotFoundError:
                    return False
        return True

    async def remove(self, group: str, members: Sequence[str]) -> None:
        """Remove Users from a group, and see that they are out; a group that is not there has none.

        A removal does not wait for a look at who is in the group, which may fail, or lag. It is looked first only where
        the whole list has to be written, or the removal was refused, maybe for somebody who is not in it.
        """
        try:
            if not await self._taken(group, members):
                before = await self._client.read("/Groups", group)
                leaving = [member for member in members if member in set(team(before).people())]
                again = 0 < len(leaving) < len(members) and await self._taken(group, leaving)
                if leaving and not again:
                    await self._without(before, leaving)
            left = set(members).intersection(await self.members(group))
        except RemoteNotFoundError:
            return
        if left:
            raise RemoteUnavailableError("the service provider still shows somebody in a group whom it removed")

    async def _taken(self, group: str, members: Sequence[str]) -> bool:
        """Take Users out by their paths; tells whether the service provider did that, or takes no such removal.

        Some refuse it for one who is not in the group; others do nothing by a path with a filter.
        """
        if not await self._client.takes_patch():
            return False
        by_path = [{"op": "remove", "path": f"members[value eq {json.dumps(member)}]"} for member in members]
        try:
            await self._client.patch("/Groups", group, *by_path)
        except (NoTargetError, RemoteNotFoundError, OperationNotSupportedError):
            return False
        return True

    async def _without(self, before: Document, leaving: Sequence[str]) -> None:
        """Replace a group by one without some Users; where PUT keeps members, take these out as Entra ID does."""
        group = str(before["id"])
        kept = [one for one in before.get("members") or [] if one.get("value") not in set(leaving)]
        await self._client.replace("/Groups", before | {"members": kept})
        if await self._client.takes_patch() and set(leaving).intersection(await self.members(group)):
            by_value = {"op": "remove", "path": "members", "value": [{"value": member} for member in leaving]}
            await self._client.patch("/Groups", group, by_value)

    async def groups_of(self, document: Document) -> list[str]:
        """Return ids of the groups that a User may be in: those that it tells, or that filters find, or that have it.

        That filters find none is believed once they have found somebody whom a group shows: some service providers
        answer that there is none to what they cannot compare.
        """
        told = document.get("groups")
        if isinstance(told, list) and told:
            return [str(one["value"]) for one in told if isinstance(one, dict) and one.get("value")]
        person, filters = str(document["id"]), await self._client.filters()
        if filters and (found := await self._having(person)):
            return found
        if self._finds:
            return []
        found = []
        async for each in self._client.every("/Groups"):
            group = str(each["id"])
            try:
                people = await self.members(group)
            except RemoteNotFoundError:
                continue
            if person in people:
                found.append(group)
            elif filters and people:
                filters = False  # asked once
                if group in await self._having(people[0]):
                    self._finds = True
                    return found
        return found

    async def _having(self, person: str) -> list[str]:
        """Return ids of the groups that filters find somebody in; none where filters are refused."""
        condition = f"members.value eq {json.dumps(person)}"
        try:
            return [str(one["id"]) async for one in self._client.every("/Groups", condition)]
        except (RemoteInvalidValueError, OperationNotSupportedError):
            return []


def _with(group: Document, added: Sequence[Document]) -> Document:
    """Return a group with members, those who are there left as they are."""
    there = set(team(group).people())
    new = [one for one in added if one["value"] not in there]
    return group | {"members": [*(group.get("members") or []), *new]} if new else group
