"""Connectors to a remote system in memory that tell what people hold: every group is a role."""

from dataclasses import replace

from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Entitlement, Remote, User
from scim_bridge.testing.memory import MemoryAccounts, MemoryConnector, MemoryRostersConnector

ROOT = "root"
"""The remote id of what only hands give."""


class MemoryRoles(MemoryAccounts):
    """Every group is a role. Who is one of the ``roots`` is so by hand, and nobody else can make them one."""

    def in_force(self, remote_id: str) -> frozenset[str]:
        """Return which of an account's groups its own record tells as in force."""
        raise NotImplementedError

    def seen(self, remote_id: str, *, existed: bool = False) -> Remote[User]:
        """Return an account, with what it holds."""
        holds = self.in_force(remote_id) | ({ROOT} if remote_id in self.remote.roots else frozenset())
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


class MemoryRolesConnector(MemoryRoles, MemoryConnector):
    """Keeps the groups on the person: where the remote system has an ``order``, the first is in force, alone."""

    name = "memory-roles"

    def in_force(self, remote_id: str) -> frozenset[str]:
        """Return the groups, or the first of them."""
        groups, order = self.remote.groups_of(remote_id), self.remote.order
        return groups if order is None else frozenset(sorted(groups, key=order.index)[:1])


class MemoryRosterRolesConnector(MemoryRoles, MemoryRostersConnector):
    """Keeps the members on the group, which alone tells them."""

    name = "memory-roster-roles"

    def in_force(self, remote_id: str) -> frozenset[str]:  # noqa: ARG002 - of nobody
        """Return none: an account does not tell its groups."""
        return frozenset()
