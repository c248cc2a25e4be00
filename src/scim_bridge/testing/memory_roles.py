"""A connector to a remote system in memory that tells what people hold: every group is a role."""

from dataclasses import replace

from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Entitlement, Remote, User
from scim_bridge.testing.memory import MemoryConnector

ROOT = "root"
"""The remote id of what only hands give."""


class MemoryRolesConnector(MemoryConnector):
    """Keeps the groups on the person, and tells what people hold.

    Every group is a role. Where the remote system has an ``order``, the first of a person's groups is in force, alone.
    Who is one of its ``roots`` is so by hand, and nobody else can make them one.
    """

    name = "memory-roles"

    def seen(self, remote_id: str, *, existed: bool = False) -> Remote[User]:
        """Return an account, with what it holds."""
        groups = self.remote.groups_of(remote_id)
        order = self.remote.order
        if order is not None:
            groups = frozenset(sorted(groups, key=order.index)[:1])
        holds = groups | ({ROOT} if remote_id in self.remote.roots else frozenset())
        return replace(super().seen(remote_id, existed=existed), holds=holds)

    @hookimpl
    async def list_entitlements(self) -> list[Entitlement]:
        """Return the groups, and what only hands give."""
        async with self.remote.call("list_entitlements"):
            several = self.remote.order is None
            roles = [
                Entitlement(remote_id, str(group.display_name), "Role", "Group", several=several)
                for remote_id, group in self.remote.groups.items()
            ]
            return [*roles, Entitlement(ROOT, "Root", "Role", "Right", assignable=False)]
