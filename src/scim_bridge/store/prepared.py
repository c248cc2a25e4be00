"""Statements that are compiled once and run on the driver itself.

SQLAlchemy takes several times as long to look a statement up, and to prepare its result, as SQLite to answer a read by
key. What is asked hundreds of times a second goes past it, with the same parameters bound.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Text, bindparam
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import Select
from sqlalchemy.sql.functions import FunctionElement


class Prepared:
    """A SELECT whose values come as the driver has them: on SQLite a flag is 0 or 1.

    :param statement: The statement, without lists of values; parameters that have no value of their own are given.
    """

    def __init__(self, statement: Select[Any]) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, list[str] | None, dict[str, Any]]] = {}

    def sql(self, dialect: Dialect) -> str:
        """Return the statement as a database reads it."""
        return self._of(dialect)[0]

    def parameters(self, dialect: Dialect, values: Mapping[str, Any]) -> Any:
        """Return its parameters as the driver takes them: in order, or by name."""
        _, order, constants = self._of(dialect)
        given = {**constants, **values}
        return given if order is None else [given[name] for name in order]

    def rows(self, tx: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return all rows.

        :raises sqlalchemy.exc.DBAPIError: When the database fails, as from any statement.
        """
        try:
            return self.run(tx.connection.dbapi_connection, tx.dialect, values)
        except Exception as error:
            raise translated(error, tx.dialect) from error

    def run(self, driver: Any, dialect: Dialect, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return all rows, from a connection of the driver, whose errors pass."""
        rows: list[tuple[Any, ...]] = driver.execute(self.sql(dialect), self.parameters(dialect, values)).fetchall()
        return rows

    def _of(self, dialect: Dialect) -> tuple[str, list[str] | None, dict[str, Any]]:
        known = self._compiled.get(dialect.name)
        if known is None:
            compiled: Any = self._statement.compile(dialect=dialect)
            order = list(compiled.positiontup) if compiled.positional else None
            known = self._compiled[dialect.name] = (str(compiled), order, dict(compiled.params))
        return known


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
    return f"(SELECT json_array_elements_text({compiler.process(element.clauses, **options)}::json))"


@compiles(Listed, "sqlite")
def _listed_of_sqlite(element: Listed, compiler: SQLCompiler, **options: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **options)}))"  # noqa: S608 - a parameter


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return: a column has one of the texts of a JSON array.

    :param name: The parameter that is the array.
    """
    return column.op("IN", is_comparison=True)(Listed(bindparam(name)))
