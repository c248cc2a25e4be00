"""What errors of a database mean: whether it is locked, full or down, so that nothing was accepted, and why."""

import sqlite3
import sys
from typing import Any

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


def _psycopg() -> Any:
    """Return the driver of PostgreSQL where a store has loaded it (it takes 9 MiB): no other has raised an error."""
    return sys.modules.get("psycopg")


def is_transient(error: BaseException) -> bool:
    """Tell whether an error of SQLAlchemy or a driver means that the database is locked, full or down."""
    if isinstance(error, PoolTimeoutError):
        return True
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in TRANSIENT_SQLITE
    if (psycopg := _psycopg()) and isinstance(original, psycopg.Error):
        if original.sqlstate is None:
            return isinstance(original, psycopg.OperationalError | psycopg.InterfaceError)
        return bool(original.sqlstate.startswith(TRANSIENT_SQLSTATES))
    return False


CAUSES = {
    "SQLITE_BUSY": "it is locked by another process",
    "SQLITE_CANTOPEN": "its file cannot be opened",
    "SQLITE_FULL": "its disk is full",
    "SQLITE_READONLY": "its file cannot be written",
    "28": "the user or the password is refused",
    "3D": "there is no database of this name",
    "53100": "its disk is full",
    "53300": "it has no connection left",
    "57": "the server is stopping or starting",
}
"""What result codes of SQLite, and codes and classes of PostgreSQL, mean to whoever has to mend it."""

UNREACHABLE = "the server cannot be reached"

LIBPQ = {
    "authentication failed": CAUSES["28"],
    "does not exist": "there is no database, or no user, of this name",
    "starting up": CAUSES["57"],
    "shutting down": CAUSES["57"],
}
"""Of a connection that was refused libpq has no code, only English; its text holds names and hosts and is not told."""


def cause_of(error: BaseException) -> str:
    """Return why a database failed, in words of ours: the driver's own text can hold names, hosts and values."""
    original = (error.orig or error) if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        name = str(getattr(original, "sqlite_errorname", "") or type(original).__name__)
        primary = "_".join(name.split("_")[:2])
        return CAUSES.get(primary, primary)
    if (psycopg := _psycopg()) and isinstance(original, psycopg.Error):
        state = original.sqlstate
        if state is not None:
            return CAUSES.get(state) or CAUSES.get(state[:2]) or f"SQLSTATE {state}"
        if not isinstance(original, psycopg.OperationalError | psycopg.InterfaceError):
            return "an option of the url is not known"
        return next((cause for text, cause in LIBPQ.items() if text in str(original)), UNREACHABLE)
    return type(original).__name__
