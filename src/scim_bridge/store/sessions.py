"""Database sessions of their own, beside the pool: for advisory locks and for LISTEN.

They connect straight to PostgreSQL: behind a transaction-pooling proxy neither would hold.
"""

import asyncio
from contextlib import suppress

import psycopg
from sqlalchemy.engine import URL

from scim_bridge.store.postgresql import connect_arguments

SETTINGS = {
    "idle_session_timeout": "0",
    "statement_timeout": "5s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
"""The server, too, drops a peer that has vanished within seconds."""


async def connect(url: URL) -> psycopg.AsyncConnection:
    """Open a session in autocommit.

    :param url: The store's URL.
    :raises psycopg.OperationalError: when the server cannot be reached.
    """
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    arguments = connect_arguments(url, SETTINGS)
    opening = asyncio.ensure_future(psycopg.AsyncConnection.connect(address, autocommit=True, **arguments))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        # Cancelled itself, psycopg would leave a session half open, and its place at the server taken.
        with suppress(psycopg.Error):
            await (await opening).close()
        raise
