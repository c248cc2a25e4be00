"""Whether the database answers: told once when it stops and once when it is back, with the cause."""

import logging
import sqlite3
import time
from collections.abc import Callable
from typing import Literal

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

logger = logging.getLogger("scim_bridge.store")

Access = Literal["reading", "writing"]

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
    if isinstance(original, psycopg.Error):
        state = original.sqlstate
        if state is not None:
            return CAUSES.get(state) or CAUSES.get(state[:2]) or f"SQLSTATE {state}"
        if not isinstance(original, psycopg.OperationalError | psycopg.InterfaceError):
            return "an option of the url is not known"
        return next((cause for text, cause in LIBPQ.items() if text in str(original)), UNREACHABLE)
    return type(original).__name__


class Availability:
    """Whether a store answers.

    :param clock: Tells seconds, for how long it did not.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failing: set[Access] = set()
        self._since = 0.0

    @property
    def down(self) -> bool:
        """Whether what was tried last failed; a write that fails is not mended by reads."""
        return bool(self._failing)

    def failed(self, access: Access, error: SQLAlchemyError) -> None:
        """Note a failure; the first is told."""
        if not self._failing:
            self._since = self._clock()
            logger.error("the store is unavailable, nothing is accepted: %s (%s)", cause_of(error), access)
        self._failing.add(access)

    def worked(self, access: Access) -> None:
        """Note that a transaction ended; the first after a failure is told."""
        if not self._failing:
            return
        self._failing -= {"reading", access}
        if not self._failing:
            logger.warning("the store is available again, after %.0f s", self._clock() - self._since)
