"""The hooks behind the steps of the plan: asking the remote system, and taking one step."""

from collections.abc import Awaitable
from contextlib import suppress

from scim_bridge.connections.bound import BoundConnector
from scim_bridge.errors import (
    ConnectorError,
    RemoteCredentialsError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)
from scim_bridge.models import Group, Remote
from scim_bridge.provisioning.observation import Answer
from scim_bridge.provisioning.plan import Step
from scim_bridge.provisioning.situation import Situation

LOCAL = "local:"
"""Begins the remote id of a group that the bridge alone keeps."""

GROUPS_PER_PAGE = 100

GRANTING = frozenset({Step.SET_USER_GROUPS, Step.CREATE_USER, Step.REACTIVATE_USER})
"""Steps that give a person groups, and can be refused for one that is not there any more."""


class Steps:
    """Calls the hooks of one connector."""

    def __init__(self, connector: BoundConnector) -> None:
        self.connector = connector

    async def probe(self, situation: Situation) -> Answer:
        """Ask the remote system what it holds; by identifier, and by the natural key.

        Whoever is added again by hand may have another identifier then.
        """
        row = situation.row
        try:
            if row.kind == "Group":
                return await self._find_group(row.remote_id, deleted=row.deleted) if row.remote_id else None
            if row.remote_id is not None:
                return await self.connector.get_user(row.remote_id)
        except RemoteNotFoundError:
            if row.kind == "Group" or "find_user" not in self.connector.operations:
                return None
        if "find_user" in self.connector.operations:
            sent = "" if row.observed is None else row.observed.sent
            # The client may have renamed them since a creation was sent whose answer was lost.
            for name in dict.fromkeys((row.name, sent or row.name)):
                with suppress(RemoteNotFoundError):
                    if (found := await self.connector.find_user(name)) is not None:
                        return found
            return None
        if row.ambiguous and not (situation.desired.exists and situation.desired.active):
            # A creation in doubt that is to be undone: "absent" would be a guess that leaves an account active.
            raise RemoteUnavailableError("this connector cannot find an account by its userName", ambiguous=True)
        return None

    async def lost(self, situation: Situation) -> frozenset[str]:
        """Return what a refused step named and is not there any more, by remote id: groups, or accounts to be added."""
        operations = self.connector.operations
        if situation.step in GRANTING and "get_group" in operations:
            asked = [group for group in sorted(situation.desired.links) if not group.startswith(LOCAL)]
            return frozenset([group for group in asked if await self._find_group(group) is None])
        if situation.step is Step.ADD_GROUP_MEMBERS:
            asked = sorted(situation.portion)
            return frozenset([user for user in asked if not await self._is_there(self.connector.get_user(user))])
        return frozenset()

    async def _find_group(self, remote_id: str, *, deleted: bool = False) -> Remote[Group] | None:
        """Return a group, or ``None`` when it is not there.

        A group that is gone is taken as left by everybody; so unless it is to be gone, a listing has to say so as well.

        :raises RemoteUnavailableError: When the listing shows it: one of both answers is wrong.
        """
        try:
            return await self.connector.get_group(remote_id)
        except RemoteNotFoundError:
            cursor, more = None, not deleted
            while more:
                page = await self.connector.list_groups(cursor, GROUPS_PER_PAGE)
                if any(group.remote_id == remote_id for group in page.items):
                    raise RemoteUnavailableError(
                        "a group is listed and said not to be there", ambiguous=False
                    ) from None
                cursor = page.cursor
                more = cursor is not None
            return None

    async def members(self, remote_id: str) -> frozenset[str]:
        """Return the remote ids of who is in a group; of none where the remote system cannot list them, or not now.

        :raises RemoteUnavailableError: When it may be able to, later.
        :raises RemoteCredentialsError: Likewise.
        """
        found: set[str] = set()
        cursor, more = None, "list_group_members" in self.connector.operations
        while more:
            try:
                page = await self.connector.list_group_members(remote_id, cursor, GROUPS_PER_PAGE)
            except (RemoteUnavailableError, RemoteCredentialsError):
                raise
            except ConnectorError:
                break
            cursor, more = page.cursor, page.cursor is not None and not found.issuperset(page.members)
            found.update(page.members)
        return frozenset(found)

    @staticmethod
    async def _is_there(reading: Awaitable[object]) -> bool:
        try:
            await reading
        except RemoteNotFoundError:
            return False
        return True

    async def take(self, situation: Situation, step: Step) -> Answer:  # noqa: C901, PLR0911 - one hook a step
        """Call the hook of a step."""
        connector, remote_id = self.connector, situation.row.remote_id or ""
        match step:
            case Step.CREATE_USER:
                return await connector.create_user(situation.user())
            case Step.REACTIVATE_USER:
                return await connector.reactivate_user(remote_id, situation.user())
            case Step.UPDATE_USER:
                return await connector.update_user(remote_id, situation.user_before(), situation.user())
            case Step.SET_USER_GROUPS:
                return await connector.set_user_groups(remote_id, situation.user(), sorted(situation.desired.links))
            case Step.FINISH_USER:
                await connector.finish_user(remote_id)
            case Step.DEACTIVATE_USER:
                await connector.deactivate_user(remote_id, situation.user())
            case Step.DELETE_USER:
                await connector.delete_user(remote_id)
            case Step.CREATE_GROUP:
                return await self._create_group(situation)
            case Step.UPDATE_GROUP:
                return await connector.update_group(remote_id, situation.group_before(), situation.group())
            case Step.DELETE_GROUP:
                await connector.delete_group(remote_id)
            case Step.ADD_GROUP_MEMBERS:
                await connector.add_group_members(remote_id, sorted(situation.portion))
            case Step.REMOVE_GROUP_MEMBERS:
                await connector.remove_group_members(remote_id, sorted(situation.portion))
        return None

    async def _create_group(self, situation: Situation) -> Answer:
        """Create a group; of a system without groups, keep it in the bridge alone."""
        if Step.CREATE_GROUP in self.connector.operations:
            return await self.connector.create_group(situation.group())
        return Remote(f"{LOCAL}{situation.row.id}", situation.group())
