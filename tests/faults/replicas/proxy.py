"""A TCP proxy between one replica and the database, which can part them as a broken network does."""

import asyncio
import socket
from contextlib import suppress

CHUNK = 65_536


class Link:
    """The way of one replica to the database.

    Parted, the database sees the replica's connections end, as its keepalives would tell it; the replica sees nothing
    at all: no answer, and no end, until the network is back and its connections turn out to be gone.

    :param port: The database's port.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._whole = asyncio.Event()
        self._whole.set()
        self._pairs: dict[asyncio.StreamWriter, asyncio.StreamWriter | None] = {}
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def whole(self) -> bool:
        """Whether the replica reaches the database."""
        return self._whole.is_set()

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for client, database in list(self._pairs.items()):
            for writer in (client, database):
                if writer is not None:
                    writer.transport.abort()

    def part(self) -> None:
        """Cut the link."""
        self._whole.clear()
        for database in self._pairs.values():
            if database is not None:
                database.transport.abort()

    def join(self) -> None:
        """Mend the link; what was open before is gone."""
        for client in list(self._pairs):
            client.transport.abort()
        self._whole.set()

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self._pairs[client] = None
        try:
            await self._whole.wait()
            if client.is_closing():
                return
            with suppress(OSError):
                answers, database = await asyncio.open_connection("127.0.0.1", self._target)
                self._pairs[client] = database
                for writer in (client, database):
                    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await asyncio.gather(self._copy(reader, database, client), self._copy(answers, client, database))
        finally:
            database_ = self._pairs.pop(client, None)
            for each in (client, database_):
                if each is not None:
                    each.transport.abort()

    async def _copy(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, other: asyncio.StreamWriter
    ) -> None:
        """Copy until the end; of a link that is parted, keep the far end's silence."""
        with suppress(OSError):
            while data := await source.read(CHUNK):
                if not self._whole.is_set():
                    break
                target.write(data)
                await target.drain()
        await self._whole.wait()
        for writer in (target, other):
            if not writer.is_closing():
                writer.close()
