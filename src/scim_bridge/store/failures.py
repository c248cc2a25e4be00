"""Which errors of a database are transient: it is locked, full or down, and nothing was accepted."""

import sqlite3

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

TRANSIENT_SQLITE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
"""Primary result codes of SQLite."""

TRANSIENT_SQLSTATES = ("08", "25P03", "40", "53", "55P03", "57")
"""Classes and codes of PostgreSQL: connection, idle timeout, rollback, resources, lock, operator intervention."""


def is_transient(error: BaseException) -> bool:
    """Tell whether an error of SQLAlchemy or a driver means that the database is locked, full or down."""
    if isinstance(error, PoolTimeoutError):
        return True
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in TRANSIENT_SQLITE
    if isinstance(original, psycopg.Error):
        if original.sqlstate is None:
            return isinstance(original, psycopg.OperationalError | psycopg.InterfaceError)
        return original.sqlstate.startswith(TRANSIENT_SQLSTATES)
    return False
