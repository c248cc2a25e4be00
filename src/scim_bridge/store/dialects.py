"""What SQLAlchemy spells differently on the two databases."""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from scim_bridge.store.prepared import Prepared


def upsert(tx: Connection, table: Table, columns: tuple[str, ...] = ()) -> Prepared:
    """Return an insert of whole rows that, where the primary key exists, updates these columns (none: does nothing)."""
    return _upsert(tx.dialect.name, table, columns)


@cache
def _upsert(dialect: str, table: Table, columns: tuple[str, ...]) -> Prepared:
    insert: sqlite.Insert | postgresql.Insert = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    names = [column.name for column in table.columns]
    if not columns:
        return Prepared(insert.on_conflict_do_nothing(), names)
    key = list(table.primary_key.columns)
    changes = {name: insert.excluded[name] for name in columns}
    return Prepared(insert.on_conflict_do_update(index_elements=key, set_=changes), names)


def refusable(tx: Connection) -> AbstractContextManager[Any]:
    """Let a transaction go on after a statement that a constraint refuses.

    SQLite undoes that statement alone; PostgreSQL the whole transaction, unless there is a SAVEPOINT.
    """
    return nullcontext() if tx.dialect.name == "sqlite" else tx.begin_nested()
