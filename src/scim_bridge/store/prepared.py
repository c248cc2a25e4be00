"""Statements that are compiled once and run on the driver itself.

SQLAlchemy takes several times as long to look a statement up, and to prepare its result, as SQLite to answer a read by
key. What is asked, or written, hundreds of times a second goes past it, with the same parameters bound.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, TableValuedAlias, Text, bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from scim_bridge.store.transaction import Transaction


class Prepared:
    """A statement whose values come as the driver has them: on SQLite a flag is 0 or 1.

    :param statement: The statement, without lists of parameters; those that have no value of their own are given.
    :param columns: Of an INSERT or UPDATE without values: the columns that are given one, each under its name.
    """

    def __init__(self, statement: Executable, columns: Sequence[str] | None = None) -> None:
        self._statement: Any = statement
        self._columns = columns
        self._compiled: dict[str, tuple[str, list[str] | None, dict[str, Any]]] = {}

    def sql(self, dialect: Dialect) -> str:
        """Return the statement as a database reads it."""
        return self._of(dialect)[0]

    def parameters(self, dialect: Dialect, values: Mapping[str, Any]) -> Any:
        """Return its parameters as the driver takes them: in order, or by name.

        :raises KeyError: When one is missing; by name, the driver tells.
        """
        _, order, constants = self._of(dialect)
        given = {**constants, **values}
        return given if order is None else [given[name] for name in order]

    def rows(self, tx: Transaction, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return all rows.

        :raises sqlalchemy.exc.DBAPIError: When the database fails, as from any statement.
        """
        with _raised_alike(tx.dialect):
            return self.run(tx.connection.dbapi_connection, tx.dialect, values)

    def first(self, tx: Transaction, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Return the first row, if there is one. Raises as :meth:`rows`."""
        found = self.rows(tx, values)
        return found[0] if found else None

    def run(self, driver: Any, dialect: Dialect, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return all rows, from a connection of the driver, whose errors pass."""
        rows: list[tuple[Any, ...]] = driver.execute(self.sql(dialect), self.parameters(dialect, values)).fetchall()
        return rows

    def write(self, tx: Transaction, values: Mapping[str, Any]) -> None:
        """Run a statement that returns no rows. Raises as :meth:`rows`."""
        self.write_all(tx, [values])

    def write_all(self, tx: Transaction, values: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement that returns no rows once for each of some sets of values. Raises as :meth:`rows`."""
        with _raised_alike(tx.dialect):
            self.run_all(tx.connection.dbapi_connection, tx.dialect, values)

    def run_all(self, driver: Any, dialect: Dialect, values: Sequence[Mapping[str, Any]]) -> None:
        """Run it on a connection of the driver, whose errors pass."""
        given = [self.parameters(dialect, each) for each in values]
        if len(given) == 1:
            driver.execute(self.sql(dialect), given[0])
        else:
            driver.cursor().executemany(self.sql(dialect), given)

    def _of(self, dialect: Dialect) -> tuple[str, list[str] | None, dict[str, Any]]:
        known = self._compiled.get(dialect.name)
        if known is None:
            compiled = self._statement.compile(dialect=dialect, column_keys=self._columns)
            order = list(compiled.positiontup) if compiled.positional else None
            constants = {name: one.value for name, one in compiled.binds.items() if not one.required}
            known = self._compiled[dialect.name] = (str(compiled), order, constants)
        return known


@contextmanager
def _raised_alike(dialect: Dialect) -> Iterator[None]:
    """Raise errors of the driver as SQLAlchemy does, and any other as it is: one that is its own cause has no end."""
    try:
        yield
    except Exception as error:
        known = translated(error, dialect)
        if known is error:
            raise
        raise known from error


def translated(error: Exception, dialect: Dialect) -> Exception:
    """Return an error of a driver as SQLAlchemy raises it; another one as it is."""
    base: Any = dialect.loaded_dbapi.Error
    if not isinstance(error, base):
        return error
    found: Exception = DBAPIError.instance(None, None, error, base, hide_parameters=True, dialect=dialect)
    return found


class Listed(FunctionElement[str]):
    """The texts of a JSON array, as rows: a list of any length is one parameter, and the statement always the same."""

    name = "listed"
    type = Text()
    inherit_cache = True


@compiles(Listed)
def _listed(element: Listed, compiler: SQLCompiler, **options: Any) -> str:
    return f"(SELECT json_array_elements_text({compiler.process(element.clauses, **options)}::json) AS value)"


@compiles(Listed, "sqlite")
def _listed_of_sqlite(element: Listed, compiler: SQLCompiler, **options: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **options)}))"  # noqa: S608 - a parameter


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return: a column has one of some texts.

    :param name: The parameter that they are, as :func:`array` makes it.
    """
    return column.op("IN", is_comparison=True)(Listed(bindparam(name)))


def each(name: str) -> TableValuedAlias:
    """Return some texts as a table of one column, ``value``.

    :param name: The parameter that they are, as :func:`array` makes it.
    """
    return Listed(bindparam(name)).table_valued("value", name=f"each_{name}")


def array(texts: Iterable[str]) -> str:
    """Return texts as the one parameter of a statement about what is :func:`among` them, in order."""
    return json.dumps(sorted(texts))
