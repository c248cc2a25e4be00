"""What the store does not know is asked for once: accounts made by hand, and roles newer than the last listing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from math import inf
from typing import TypeVar

from scim_bridge.connections.bound import BoundConnector
from scim_bridge.errors import ConnectorError, PendingError, StoreUnavailableError
from scim_bridge.models import Entitlement, Lane, Remote, User
from scim_bridge.provisioning.discovery import Discovery
from scim_bridge.provisioning.identification import Identification
from scim_bridge.provisioning.intake import Accepted
from scim_bridge.provisioning.roles import NotListedError
from scim_bridge.provisioning.succession import keeps, named_by, take_name
from scim_bridge.store import audit, entitlements, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.leadership import Leadership, leads, owns
from scim_bridge.store.rows import Ownership, ResourceRow, State
from scim_bridge.store.transaction import Transaction
from scim_bridge.upstream.lanes import lane as current_lane

FIND_TIMEOUT = 5.0
"""Seconds that may be spent on asking the remote system for what the store does not know."""

LISTED_EVERY = 2.0
"""Seconds between two listings of what people can hold: a client that asks for what does not exist may never stop."""

UNHEARD = 1000
"""How many names that a listing did not have are remembered."""

UNHEARD_FOR = 60.0
"""Seconds for which a name that a listing did not have is not asked for again: each person of a client may have it."""

T = TypeVar("T")


class Search:
    """Asks the remote system of one connection for accounts.

    :param discovery: Takes over what is found.
    :param identification: Tells whether the remote system may be asked.
    :param leadership: Its limit is kept by the process that leads, which alone may ask; ``None``: this one does.
    """

    def __init__(
        self,
        store: Store,
        connector: BoundConnector,
        discovery: Discovery,
        identification: Identification,
        leadership: Leadership | None,
    ) -> None:
        self.connection_id = discovery.connection_id
        self.store = store
        self.connector = connector
        self.discovery = discovery
        self.identification = identification
        self.clock = discovery.clock
        self.leadership = leadership
        self._turn = asyncio.Lock()
        self.listed_at = -inf
        """When what people can hold was last asked, by the event loop's clock."""
        self.unheard: dict[str, float] = {}
        """When a listing last did not have a name that was asked for, the oldest first."""
        self.logger = logging.getLogger(f"scim_bridge.provisioning.{self.connection_id}")

    async def find_user(self, user_name: str) -> None:
        """Ask the remote system once for a userName the store does not know, and take over what it has.

        A filter must see the accounts a creation would run into. When asking fails, the store's answer stands.
        """
        if "find_user" not in self.connector.operations or not leads(self.leadership, self.connection_id):
            return
        asked, term = self.clock(), "" if self.leadership is None else self.leadership.term
        token = current_lane.set(Lane.READ)
        try:
            async with asyncio.timeout(FIND_TIMEOUT):
                if not await self.identification.confirmed():
                    return
                remote = await self.connector.find_user(user_name)
            if remote is not None:
                await self.store.write(lambda tx: self._found(tx, remote, asked, term))
        except (ConnectorError, TimeoutError, StoreUnavailableError) as error:
            self.logger.info("asking for an unknown userName failed: %s", type(error).__name__)
        finally:
            current_lane.reset(token)

    def _found(self, tx: Transaction, remote: Remote[User], asked: datetime, term: str) -> None:
        """Take over what was found, unless another process drives by now: it may have deleted it meanwhile.

        What the store knows under an older name was renamed by hand.
        """
        audit.serialise(tx, self.connection_id)
        if self.leadership is not None and not owns(tx, self.connection_id, term):
            return
        row = self.discovery.known(tx, "User", remote)
        if row is None:
            self.discovery.take(tx, "User", remote, asked=asked)
        elif row.ownership is Ownership.DISCOVERED:
            self.discovery.refresh(tx, row, remote, asked=asked)
        elif keeps(row) and row.modified_at < asked:
            take_name(tx, row, named_by(remote), self.discovery.capabilities, now=self.clock())

    async def with_roles(
        self, work: Callable[..., Accepted], write: Callable[[Callable[[Transaction], Accepted]], Awaitable[T]]
    ) -> T:
        """Write a User; where roles are named that are not listed, once more after a new listing.

        :param work: The transaction; is told as ``listed`` whether what is not listed does not exist.
        :param write: Runs it.
        :raises PendingError: When nothing can be listed now, or a Group is named that the remote system is to get.
        """
        try:
            return await write(partial(work, listed=False))
        except NotListedError as error:
            names, removes = error.names, error.removes
        groups = await self.store.read(lambda tx: self._groups(tx, names))
        if not groups and not removes and all(self._is_unheard(name) for name in names):
            return await write(partial(work, listed=True))
        asks = leads(self.leadership, self.connection_id)
        if asks:
            await self.list_entitlements()
        # The process that leads lists it in its next comparison at the latest.
        if any(group.state is not State.BLOCKED and not (asks and group.remote_id) for group in groups):
            raise PendingError("a role is asked for that the remote system is still to get", retry_after=5)
        for name in names if asks else ():
            self.unheard.pop(name, None)
            self.unheard[name] = self.listed_at
        return await write(partial(work, listed=True))

    def _groups(self, tx: Transaction, names: Sequence[str]) -> list[ResourceRow]:
        """Return the Groups of these names."""
        found = [resources.find_by_name(tx, self.connection_id, "Group", name) for name in names]
        return [group for group in found if group is not None]

    def _is_unheard(self, name: str) -> bool:
        """Tell whether a name was asked for in vain, a moment ago."""
        since = asyncio.get_running_loop().time() - UNHEARD_FOR
        while len(self.unheard) > UNHEARD or (self.unheard and next(iter(self.unheard.values())) < since):
            del self.unheard[next(iter(self.unheard))]
        return name in self.unheard

    async def list_entitlements(self) -> None:
        """Keep what people can hold as it is listed now, or was by somebody who asked later.

        :raises PendingError: When asking fails: what the store has says nothing.
        """
        loop = asyncio.get_running_loop()
        asked, term = loop.time(), "" if self.leadership is None else self.leadership.term
        token = current_lane.set(Lane.READ)
        try:
            async with self._turn, asyncio.timeout(FIND_TIMEOUT):
                if self.listed_at >= asked:
                    return
                if not await self.identification.confirmed():
                    raise PendingError(
                        "what roles there are is not asked: it may be another remote system", retry_after=5
                    )
                await asyncio.sleep(self.listed_at + LISTED_EVERY - loop.time())
                began = loop.time()
                listed = await self.connector.list_entitlements()
                await self.store.write(lambda tx: self._save(tx, listed, term))
                self.listed_at = began
        except (ConnectorError, TimeoutError, StoreUnavailableError) as error:
            self.logger.info("listing what people can hold failed: %s", type(error).__name__)
            raise PendingError("what roles there are cannot be asked at the moment", retry_after=5) from error
        finally:
            current_lane.reset(token)

    def _save(self, tx: Transaction, listed: Sequence[Entitlement], term: str) -> None:
        if self.leadership is None or owns(tx, self.connection_id, term):
            entitlements.save(tx, self.connection_id, listed, self.clock())
