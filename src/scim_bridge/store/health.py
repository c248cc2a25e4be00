"""How the database is, looked at without taking it, making it or bringing it to another version."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import text
from sqlalchemy.engine import URL

from scim_bridge.store import migrations
from scim_bridge.store.clock import from_microseconds
from scim_bridge.store.engine import parse, refused_plainly
from scim_bridge.store.postgresql import check_settings, pooled_engine


@dataclass(frozen=True, slots=True)
class Health:
    """How a database is.

    :param server: What answers, with its version.
    :param revision: Which version of the tables it has; ``None``: it is empty.
    :param damage: What is wrong with the file of SQLite, in its own words; of PostgreSQL its server looks after that.
    :param database_bytes: How much it takes.
    :param log_bytes: How much SQLite's log takes of what is not in the file yet.
    :param free_bytes: How much its disk has free; of PostgreSQL unknown.
    :param ahead: How far its clock is before this process's; of SQLite, how far the last entry of the audit is in the
        future.
    """

    server: str
    revision: str | None
    damage: str | None
    database_bytes: int
    log_bytes: int | None
    free_bytes: int | None
    ahead: timedelta

    @property
    def current(self) -> bool:
        """Whether the tables are those of this version."""
        return self.revision == migrations.HEAD


def examine(url: str) -> Health | None:
    """Look at a database; ``None``: there is no file yet.

    :raises StoreConfigurationError: In one line, why it cannot be used.
    """
    database = parse(url)
    with refused_plainly():
        if database.get_backend_name() == "sqlite":
            return _sqlite(Path(str(database.database)))
        return _postgresql(database)


def _sqlite(file: Path) -> Health | None:
    if not file.exists():
        return None
    log = file.with_name(f"{file.name}-wal")
    revision, damage, last = None, None, None
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True, timeout=5)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            damage = None if found == "ok" else str(found)
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
                (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
                (last,) = connection.execute("SELECT max(at) FROM audit").fetchone()
    except sqlite3.DatabaseError as error:
        damage = str(error)
    latest = from_microseconds(last) if last else datetime.fromtimestamp(0, UTC)
    return Health(
        f"SQLite {sqlite3.sqlite_version}",
        revision,
        damage,
        file.stat().st_size,
        log.stat().st_size if log.exists() else 0,
        shutil.disk_usage(file.parent).free,
        max(latest - datetime.now(UTC), timedelta()),
    )


def _postgresql(url: URL) -> Health:
    engine = pooled_engine(url)
    try:
        with engine.connect() as connection:
            check_settings(connection)
            began = datetime.now(UTC)
            version, size, there = connection.execute(
                text(
                    "SELECT current_setting('server_version'), pg_database_size(current_database()), clock_timestamp()"
                )
            ).one()
            between = began + (datetime.now(UTC) - began) / 2
            revision = migrations.current(connection)
            return Health(f"PostgreSQL {version}", revision, None, size, None, None, there - between)
    finally:
        engine.dispose()
