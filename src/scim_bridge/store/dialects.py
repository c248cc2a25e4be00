"""What SQLAlchemy spells differently on the two databases."""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from sqlalchemy import Select, Table
from sqlalchemy.dialects import postgresql, sqlite

from scim_bridge.store.prepared import Prepared
from scim_bridge.store.transaction import Transaction


def upsert(tx: Transaction, table: Table, columns: tuple[str, ...] = (), rows: Select[Any] | None = None) -> Prepared:
    """Return an insert of whole rows that, where the primary key exists, updates these columns (none: does nothing).

    :param rows: What is inserted, with a WHERE, or SQLite would take what follows for part of it; by default the row
        that is given.
    """
    return _upsert(tx.dialect.name, table, columns, rows)


@cache
def _upsert(dialect: str, table: Table, columns: tuple[str, ...], rows: Select[Any] | None) -> Prepared:
    insert: sqlite.Insert | postgresql.Insert = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    names = [column.name for column in table.columns]
    if rows is not None:
        insert = insert.from_select(names, rows)
    given = names if rows is None else None
    if not columns:
        return Prepared(insert.on_conflict_do_nothing(), given)
    key = list(table.primary_key.columns)
    changes = {name: insert.excluded[name] for name in columns}
    return Prepared(insert.on_conflict_do_update(index_elements=key, set_=changes), given)


def refusable(tx: Transaction) -> AbstractContextManager[Any]:
    """Let a transaction go on after a statement that a constraint refuses.

    SQLite undoes that statement alone; PostgreSQL the whole transaction, unless there is a SAVEPOINT.
    """
    return nullcontext() if tx.dialect.name == "sqlite" else tx.begin_nested()
