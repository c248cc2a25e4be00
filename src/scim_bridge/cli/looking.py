"""How the commands that only look open the store: without a connector, its secrets, or the server."""

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from scim_bridge.cli.tables import Answer, Face

if TYPE_CHECKING:  # loaded by whoever looks, not by whoever asks for help
    from scim_bridge.config import Settings
    from scim_bridge.store.engine import Store
    from scim_bridge.store.transaction import Transaction
    from scim_bridge.views import Page, Position

T = TypeVar("T")


def os_user() -> str:
    """Return who runs the command, as the system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name; OSError since CPython 3.13
        return f"uid {os.getuid()}"


class Query(Protocol):
    """A question whose answer comes in pages."""

    def __call__(self, tx: "Transaction", connection_id: str, after: "Position | None") -> "Page[Any]":
        """Return a page."""


class Looking:
    """The configuration and the store, for one command.

    :param path: The configuration file.
    :param connection: The connection that was named; ``None``: all.
    :raises ConfigurationError: When it is wrong, or there is no such connection.
    """

    def __init__(self, path: Path | None, connection: str | None) -> None:
        from scim_bridge.cli.token import require_connection
        from scim_bridge.config import load_settings

        self.settings: Settings = load_settings(path, connectors=())
        if connection is None:
            self.settings.require_connections()
        else:
            require_connection(self.settings, connection)
        self.connections = sorted(self.settings.connections) if connection is None else [connection]

    @property
    def scope(self) -> str:
        """What the answer is of, for a title."""
        return self.connections[0] if len(self.connections) == 1 else "all connections"

    def answer(
        self,
        kind: type[Any],
        title: str,
        columns: Mapping[str, str],
        face: Face,
        styles: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return what prints an answer; a table of one connection does not name it in every row.

        Of JSON and CSV the audit chains tell who has them, before anything is printed.
        """
        if face != "table":
            self.exported(face)
        shown = {key: heading for key, heading in columns.items() if key != "connection" or len(self.connections) > 1}
        return Answer(kind, title, shown, face, styles)

    def exported(self, face: str) -> None:
        """Have the audit chains tell that somebody is handed what this command prints."""
        from scim_bridge.desk import Desk

        what = f"{click.get_current_context().info_name}.{face}"

        async def note() -> None:
            store = await self._store()
            try:
                await Desk(store).export(self.connections, what, by=os_user())
            finally:
                await store.close()

        asyncio.run(note())

    def ask(self, question: "Callable[[Transaction], T]") -> T:
        """Return the answer to one question."""

        async def look() -> T:
            store = await self._store()
            try:
                return await store.scan(question)
            finally:
                await store.close()

        return asyncio.run(look())

    def pour(self, query: "Query", answer: Answer) -> None:
        """Print the answer to a question that comes in pages, of every connection."""

        async def look() -> None:
            store = await self._store()
            try:
                async for page in self._pages(store, query):
                    answer.add(page.items)
            finally:
                await store.close()

        asyncio.run(look())
        answer.end()

    async def _pages(self, store: "Store", query: "Query") -> "AsyncIterator[Page[Any]]":
        for connection in self.connections:
            after: Position | None = None
            while True:
                page = await store.scan(partial(query, connection_id=connection, after=after))
                yield page
                after = page.next
                if after is None:
                    break

    async def _store(self) -> "Store":
        from scim_bridge.errors import StoreUnreachableError
        from scim_bridge.store.engine import Store

        file = self.settings.store.file
        if file is not None and not file.exists():
            raise StoreUnreachableError(f"there is no database {file} yet; scim-bridge serve makes it")
        return await Store.open(self.settings.store.url, exclusive=False)
