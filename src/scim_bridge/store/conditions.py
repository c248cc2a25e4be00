"""One comparison of a filter as an SQL condition on the columns that hold a value."""

from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import isclass
from typing import Any

from pydantic import BaseModel
from scim2_models import InvalidFilterException, InvalidValueException, Mutability
from scim2_models.path import ORDERING_OPERATORS, STRING_OPERATORS, AttributeBinding, CompareOperator, coerce_value
from sqlalchemy import ColumnElement, Integer, and_, false, func, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from scim_bridge.store.clock import to_microseconds
from scim_bridge.store.index import LARGEST_NUMBER, text_of
from scim_bridge.store.tables import PREFIX_LENGTH

EQUALITY = frozenset({CompareOperator.eq, CompareOperator.ne})


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a value is held; exactly one of the three is not NULL.

    :param text: The whole comparison key.
    :param prefix: An indexed column that holds its first characters.
    """

    text: ColumnElement[Any] | None = None
    number: ColumnElement[Any] | None = None
    decimal: ColumnElement[Any] | None = None
    prefix: ColumnElement[Any] | None = None


class Position(FunctionElement[int]):
    """Where the second string begins in the first, from 1; 0 when it does not occur."""

    name = "position"
    type = Integer()
    inherit_cache = True


@compiles(Position)
def _position(element: Position, compiler: SQLCompiler, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"


@compiles(Position, "sqlite")
def _position_of_sqlite(element: Position, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


def operand(binding: AttributeBinding, op: CompareOperator, value: Any) -> Any:
    """Return the value of a comparison as its attribute's Python type.

    :raises InvalidFilterException: when the attribute cannot be compared so (RFC 7644 §3.4.2.2).
    """
    kind = binding.target_type
    if op not in EQUALITY:
        if binding.get_annotation(Mutability) == Mutability.write_only:
            raise InvalidFilterException(detail=f"{binding.urn} is write-only and can only be tested for equality")
        if isclass(kind) and issubclass(kind, bool | bytes):
            raise InvalidFilterException(detail=f"{binding.urn} is a {kind.__name__} and has no order")
    is_time = isclass(kind) and issubclass(kind, datetime) and value is not None
    if is_time and not (isinstance(value, str) and "T" in value.upper()):
        raise InvalidFilterException(detail=f"{binding.urn} is compared with a date and a time (xsd:dateTime)")
    expected = coerce_value(binding, value, op)
    if isinstance(expected, datetime) and expected.tzinfo is None:
        return expected.replace(tzinfo=UTC)  # xsd:dateTime: without a zone it is taken as UTC
    return expected


def condition(columns: Columns, binding: AttributeBinding, op: CompareOperator, expected: Any) -> ColumnElement[bool]:
    """Return the condition that a value (not NULL) compares so; values of other types never do.

    :param op: Any operator but ``ne``.
    :param expected: What :func:`operand` returned, not ``None``.
    """
    kind = binding.target_type
    if not isclass(kind) or issubclass(kind, BaseModel):
        return false()
    as_text = isinstance(expected, str | bytes)
    if _is_string(kind) is not isinstance(expected, str) or (op in STRING_OPERATORS and not _is_string(kind)):
        return false()
    if as_text:
        return _compare_text(columns, op, _key(binding, expected))
    if isinstance(expected, datetime):
        return _compare(columns.number, op, to_microseconds(expected))
    if isinstance(expected, float):
        return _compare(columns.decimal, op, expected)
    if abs(expected) > LARGEST_NUMBER:
        raise InvalidFilterException(detail=f"{binding.urn} is compared with a number of more than 63 bits")
    return _compare(columns.number, op, int(expected))


def _key(binding: AttributeBinding, expected: str | bytes) -> str:
    try:
        return text_of(binding, expected)
    except InvalidValueException as error:
        raise InvalidFilterException(detail=str(error.detail)) from None


def _is_string(kind: type) -> bool:
    return not issubclass(kind, bool | int | float | datetime | bytes | BaseModel)


def _compare(column: ColumnElement[Any] | None, op: CompareOperator, expected: float | str) -> ColumnElement[bool]:
    if column is None:
        return false()
    bound: ColumnElement[Any] = literal(expected)
    if op not in ORDERING_OPERATORS:
        return column == bound
    ordered: dict[CompareOperator, ColumnElement[bool]] = {
        CompareOperator.gt: column > bound,
        CompareOperator.ge: column >= bound,
        CompareOperator.lt: column < bound,
        CompareOperator.le: column <= bound,
    }
    return ordered[op]


def _compare_text(columns: Columns, op: CompareOperator, key: str) -> ColumnElement[bool]:
    """Compare comparison keys, through the index of their first characters where that narrows the search."""
    text, prefix = columns.text, columns.prefix
    if text is None:
        return false()
    indexed = text if prefix is None else prefix
    if op is CompareOperator.co:
        return Position(text, key) > 0
    if op is CompareOperator.sw:
        return and_(*_range(indexed, key[:PREFIX_LENGTH]), func.substr(text, 1, len(key)) == key)
    if op is CompareOperator.ew:
        return func.substr(text, func.length(text) - len(key) + 1) == key
    if op in ORDERING_OPERATORS:
        return _compare(text, op, key)
    return text == key if prefix is None else and_(prefix == key[:PREFIX_LENGTH], text == key)


def _range(column: ColumnElement[Any], start: str) -> list[ColumnElement[bool]]:
    """Return conditions that bound a column to strings with a prefix; an index serves them, unlike ``substr``."""
    end = start.rstrip(chr(0x10FFFF))
    if not end:
        return [column >= start]
    following = ord(end[-1]) + 1
    return [column >= start, column < end[:-1] + chr(0xE000 if following == 0xD800 else following)]
