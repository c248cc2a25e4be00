"""Connectors with one planted bug each in their listings, made from the memory connector."""

from dataclasses import replace

from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Group, Page, User
from scim_bridge.testing.memory import MemoryConnector


class SkipsOne(MemoryConnector):
    """Leaves an account out between two pages."""

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """Start the next page one too late."""
        page = await super().list_users(cursor, limit)
        return replace(page, cursor=page.cursor and str(int(page.cursor) + 1))


class RepeatsOne(MemoryConnector):
    """Lists the last account of a page again on the next."""

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """Start the next page one too early."""
        page = await super().list_users(cursor, limit)
        return replace(page, cursor=page.cursor and str(max(1, int(page.cursor) - 1)))


class NeverEnds(MemoryConnector):
    """Always has a next page."""

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """Go on."""
        page = await super().list_users(cursor, limit)
        return replace(page, cursor=page.cursor or str(int(cursor or 0) + limit))


class IgnoresTheLimit(MemoryConnector):
    """Lists everybody at once."""

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """Take no limit."""
        return await super().list_users(None, 1000)


class ShowsFifty(MemoryConnector):
    """Has a remote system that shows fifty at a time, and goes on as if it had shown all that was asked for."""

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """Lose the second half of each hundred."""
        page = await super().list_users(cursor, limit)
        return replace(page, items=page.items[:50])


class ListsAnotherState(MemoryConnector):
    """Says something else of an account in the listing than in a read."""

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """List everybody as inactive."""
        page = await super().list_users(cursor, limit)
        for one in page.items:
            one.resource.active = False
        return page


class EmptyOnError(MemoryConnector):
    """Takes an error for an empty page: baton-hubspot's bug."""

    @hookimpl
    async def list_groups(self, cursor: str | None, limit: int) -> Page[Group]:
        """Swallow."""
        try:
            return await super().list_groups(cursor, limit)
        except Exception:  # noqa: BLE001 -- the planted bug
            return Page([])
