"""Alembic revisions, forward only, packaged with the code that needs them.

Alembic is loaded where a database is not at :data:`HEAD`: every command would pay for it else.
"""

from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, String, Table, inspect, select

from scim_bridge.errors import StoreConfigurationError
from scim_bridge.store.migrations import sqlite_statistics
from scim_bridge.store.transaction import Transaction

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0010"
"""The revision this code works with."""

_version = Table("alembic_version", MetaData(), Column("version_num", String(32)))


def configuration(connection: Transaction | None = None) -> "Config":
    """Return Alembic's configuration for a connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "scim_bridge.store:migrations")
    config.attributes["connection"] = connection
    return config


def current(connection: Transaction) -> str | None:
    """Return the revision of a database; ``None`` of an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(select(_version.c.version_num)).scalar_one_or_none()


def upgrade(connection: Transaction, revision: str = "head") -> None:
    """Bring a database to a revision, inside the caller's transaction.

    :raises StoreConfigurationError: when the database is of a newer version than this code.
    """
    found = current(connection)
    if found == HEAD:
        return

    from alembic import command
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = configuration(connection)
    try:
        if found is not None:
            ScriptDirectory.from_config(config).get_revision(found)
    except CommandError:
        raise StoreConfigurationError(
            f"the database is of a newer version of scim-bridge (revision {found}, this version knows {HEAD}); "
            "install that version again, or restore a backup made before the upgrade"
        ) from None
    command.upgrade(config, revision)
    if connection.dialect.name == "sqlite":
        sqlite_statistics.write(connection)


def require_current(connection: Transaction) -> None:
    """Refuse a database of another version than this code, without changing it.

    :raises StoreConfigurationError: when the server that has the database is of another version.
    """
    found = current(connection)
    if found != HEAD:
        raise StoreConfigurationError(
            f"the running server has the database at revision {found}, this version works with {HEAD}; "
            "use the command of the version that is running"
        )
