"""Connectors with one planted bug each in what they tell of entitlements, made from the memory connector with roles."""

from dataclasses import replace

from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Entitlement, Remote, User
from scim_bridge.testing.memory_roles import MemoryRolesConnector


class TellsARoleTwice(MemoryRolesConnector):
    """Lists a role under each of two names."""

    @hookimpl
    async def list_entitlements(self) -> list[Entitlement]:
        """Add the first one again."""
        listed = await super().list_entitlements()
        return [*listed, replace(listed[0], name="another name")]


class OffersWhatNobodyGives(MemoryRolesConnector):
    """Says of what only hands give that it can be asked for."""

    @hookimpl
    async def list_entitlements(self) -> list[Entitlement]:
        """Call all of it assignable."""
        return [replace(one, assignable=True) for one in await super().list_entitlements()]


class TellsNothingOfReads(MemoryRolesConnector):
    """Tells what somebody holds when it is given, and not when they are read."""

    @hookimpl
    async def get_user(self, remote_id: str) -> Remote[User]:
        """Leave out what is held."""
        return replace(await super().get_user(remote_id), holds=None)
