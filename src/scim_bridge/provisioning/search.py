"""A userName that the store does not know is asked for once, so that accounts made by hand are found."""

import asyncio
import logging
from datetime import datetime

from scim_bridge.connections.bound import BoundConnector
from scim_bridge.errors import ConnectorError, StoreUnavailableError
from scim_bridge.models import Lane, Remote, User
from scim_bridge.provisioning.discovery import Discovery
from scim_bridge.provisioning.identification import Identification
from scim_bridge.provisioning.succession import keeps, named_by, take_name
from scim_bridge.store import audit
from scim_bridge.store.engine import Connection, Store
from scim_bridge.store.leadership import Leadership, leads, owns
from scim_bridge.store.rows import Ownership
from scim_bridge.upstream.lanes import lane as current_lane

FIND_TIMEOUT = 5.0
"""Seconds a filter that found nothing may spend on asking the remote system."""


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

    def _found(self, tx: Connection, remote: Remote[User], asked: datetime, term: str) -> None:
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
