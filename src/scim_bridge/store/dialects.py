"""What SQLAlchemy spells differently on the two databases."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.sql.dml import Insert

T = TypeVar("T")

CHUNK = 500
"""Values of one statement's ``IN`` list."""


def upsert(tx: Connection, table: Table, columns: tuple[str, ...] = ()) -> Insert:
    """Return an insert that, where the primary key exists, updates these columns instead (none: does nothing)."""
    return _upsert(tx.dialect.name, table, columns)


@cache
def _upsert(dialect: str, table: Table, columns: tuple[str, ...]) -> Insert:
    insert: sqlite.Insert | postgresql.Insert = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    if not columns:
        return insert.on_conflict_do_nothing()
    return insert.on_conflict_do_update(
        index_elements=list(table.primary_key.columns), set_={name: insert.excluded[name] for name in columns}
    )


def refusable(tx: Connection) -> AbstractContextManager[Any]:
    """Let a transaction go on after a statement that a constraint refuses.

    SQLite undoes that statement alone; PostgreSQL the whole transaction, unless there is a SAVEPOINT.
    """
    return nullcontext() if tx.dialect.name == "sqlite" else tx.begin_nested()


def chunks(values: "Sequence[T] | set[T] | frozenset[T]", size: int = CHUNK) -> Iterator[list[T]]:
    """Cut values into lists of at most ``size``."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk
