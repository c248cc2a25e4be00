"""Reading what the remote system shows: all of it page by page, or one account or group."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import TypeVar

from scim_bridge.connections.bound import BoundConnector
from scim_bridge.errors import RemoteInvalidValueError, RemoteNotFoundError, RemoteRateLimitedError
from scim_bridge.models import Group, Kind, Page, Remote, User
from scim_bridge.store import connector_state
from scim_bridge.store.engine import Store
from scim_bridge.store.transaction import Transaction

T = TypeVar("T")

LISTINGS: Mapping[Kind, str] = {"Group": "list_groups", "User": "list_users"}
"""The hook that lists each resource type, groups first."""

PAGE = 100
MOMENT = 0.1
CHECKPOINT = "bridge:reconcile"
"""Key of the checkpoint in the connection's small store."""


class Listings:
    """Reads for the comparisons of one connection."""

    def __init__(
        self, connection_id: str, store: Store, connector: BoundConnector, *, clock: Callable[[], datetime]
    ) -> None:
        self.connection_id = connection_id
        self.store = store
        self.connector = connector
        self.clock = clock
        self.patience = 0.0
        """Seconds that one read waits for its turn while others use up the remote system's limit."""

    async def pages(self, kind: Kind, *, apply: bool) -> AsyncIterator[tuple[Page[User] | Page[Group], datetime]]:
        """Yield the pages of a listing, each with the time before it was read; a crash resumes at the last page."""
        if LISTINGS[kind] not in self.connector.operations:
            return
        key = f"{CHECKPOINT}:{kind}"
        cursor = await self._checkpoint(key) if apply else None
        resumed = cursor is not None
        while True:
            read_at = self.clock()
            try:
                page = await self._page(kind, cursor)
            except (RemoteInvalidValueError, RemoteNotFoundError):
                if cursor is None or not resumed:
                    raise
                # The place where an earlier comparison was cut off is not to be had any more: begin anew.
                cursor, resumed = None, False
                continue
            yield page, read_at
            resumed = False
            cursor = page.cursor
            if apply:
                await self._save_checkpoint(key, cursor)
            if cursor is None:
                return

    async def _page(self, kind: Kind, cursor: str | None) -> Page[User] | Page[Group]:
        if kind == "User":
            return await self.in_turn(lambda: self.connector.list_users(cursor, PAGE))
        return await self.in_turn(lambda: self.connector.list_groups(cursor, PAGE))

    async def in_turn(self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask the remote system, again when its limit was used up, for as long as the patience lasts."""
        waited = 0.0
        while True:
            try:
                return await call()
            except RemoteRateLimitedError as error:
                delay = max(MOMENT, error.retry_after or 0.0)
                waited += delay
                if waited > self.patience:
                    raise
                await asyncio.sleep(delay)

    async def _checkpoint(self, key: str) -> str | None:
        saved = await self.store.read(lambda tx: connector_state.get(tx, self.connection_id, key))
        return None if saved is None else saved.get("cursor")

    async def _save_checkpoint(self, key: str, cursor: str | None) -> None:
        def save(tx: Transaction) -> None:
            if cursor is None:
                connector_state.delete(tx, self.connection_id, key)
            else:
                connector_state.put(tx, self.connection_id, key, {"cursor": cursor}, self.clock())

        await self.store.write(save)

    async def read(self, kind: Kind, remote_id: str) -> Remote[User] | Remote[Group]:
        """Read one account or group. Raises as the hook does."""
        if kind == "User":
            return await self.in_turn(lambda: self.connector.get_user(remote_id))
        return await self.in_turn(lambda: self.connector.get_group(remote_id))
