"""Searches: filter, sort, index paging and cursor paging over the live resources of a connection."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scim2_models import InvalidCursorException, Resource, SearchRequest
from scim2_models.path import AttributeBinding, FilterNode
from sqlalchemy import ColumnElement, and_, case, func, not_, null, or_, select, tuple_

from scim_bridge.models import Kind
from scim_bridge.store import filters
from scim_bridge.store.conditions import Columns
from scim_bridge.store.resources import COLUMNS, to_row
from scim_bridge.store.rows import Ownership, ResourceRow
from scim_bridge.store.sources import CONNECTION, ColumnSource, ResourceScope, RowSource, columns_of
from scim_bridge.store.tables import attribute_value, resource
from scim_bridge.store.transaction import Transaction

Position = Mapping[str, Any]
"""Where a cursor page starts or ends: direction ``d``, sort key ``k`` and id ``i``. JSON-able, for sealed cursors."""


@dataclass(frozen=True, slots=True)
class QueryPage:
    """One page of a search.

    :param rows: The resources of the page, in order.
    :param total: How many resources match.
    :param next: The position of the next page of a cursor search; ``None`` on the last page.
    :param previous: The same of the previous page.
    """

    rows: list[ResourceRow]
    total: int | None
    next: Position | None = None
    previous: Position | None = None


@dataclass(frozen=True, slots=True)
class _Order:
    """The order of a search: missing values last, then the value, then the id; all reversed when descending."""

    value: ColumnElement[Any]
    nullable: bool
    descending: bool

    def reversed(self) -> "_Order":
        return _Order(self.value, self.nullable, not self.descending)

    def columns(self) -> list[ColumnElement[Any]]:
        keys: list[ColumnElement[Any]] = [self.value.is_(None)] if self.nullable else []
        keys += [self.value, resource.c.id]
        return [key.desc() if self.descending else key.asc() for key in keys]

    def after(self, value: Any, id_: str) -> ColumnElement[bool]:
        """Return: a resource comes after the one with this sort value and id."""
        if not self.nullable:
            key, anchor = tuple_(self.value, resource.c.id), tuple_(value, id_)
            return key < anchor if self.descending else key > anchor
        missing = self.value.is_(None)
        further = resource.c.id < id_ if self.descending else resource.c.id > id_
        if value is None:
            rest = and_(missing, further)
            return or_(not_(missing), rest) if self.descending else rest
        beyond = self.value < value if self.descending else self.value > value
        same = or_(and_(not_(missing), beyond), and_(not_(missing), self.value == value, further))
        return same if self.descending else or_(same, missing)


def query(
    tx: Transaction,
    connection_id: str,
    kinds: Sequence[Kind],
    *,
    models: Mapping[Kind, type[Resource[Any]]],
    filter: FilterNode | None,
    sort_by: str | None = None,
    descending: bool = False,
    start_index: int = 1,
    count: int,
    position: Position | None = None,
    by_cursor: bool = False,
    listed: Collection[Ownership],
) -> QueryPage:
    """Return a page of the live resources that match, in a stable order (by creation, unless sorted).

    :param kinds: The resource types searched.
    :param models: The model of each, with extensions.
    :param filter: The syntax tree of a filter, or ``None`` for all.
    :param sort_by: The path of the attribute to sort by (RFC 7644 §3.4.2.3).
    :param start_index: The 1-based index of the first result; smaller ones mean 1.
    :param count: The largest number of results; negative ones mean 0.
    :param position: Of a cursor search, what an earlier page gave; ``None`` for the first page.
    :param by_cursor: Whether the page is asked for by cursor (RFC 9865).
    :param listed: Which resources are shown, by how the bridge came to know them.
    :raises InvalidFilterException: when an attribute cannot be compared as the filter asks.
    :raises InvalidCursorException: when the position is none that a search gave.
    """
    where = and_(
        resource.c.connection_id == CONNECTION,
        resource.c.kind.in_(list(kinds)),
        not_(resource.c.deleted),
        resource.c.ownership.in_([ownership.value for ownership in listed]),
        *([] if filter is None else [_matches(filter, kinds, models)]),
    )
    order = _order(sort_by, kinds, models, descending=descending)
    count = max(count, 0)
    if by_cursor:
        return _cursor_page(tx, connection_id, where, order, position, count)
    offset = max(start_index, 1) - 1
    statement = select(*COLUMNS).where(where).order_by(*order.columns()).offset(offset).limit(count)
    rows = [to_row(record) for record in tx.execute(statement, {"connection": connection_id})] if count else []
    if len(rows) < count and (rows or not offset):
        return QueryPage(rows, offset + len(rows))
    return QueryPage(rows, _total(tx, connection_id, where))


def _matches(
    node: FilterNode, kinds: Sequence[Kind], models: Mapping[Kind, type[Resource[Any]]]
) -> ColumnElement[bool]:
    compiled = {kind: filters.compile(node, kind, models[kind]) for kind in kinds}
    if len(compiled) == 1:
        return compiled[kinds[0]]
    return or_(*(and_(resource.c.kind == kind, condition) for kind, condition in compiled.items()))


def _total(tx: Transaction, connection_id: str, where: ColumnElement[bool]) -> int:
    statement = select(func.count()).select_from(resource).where(where)
    total: int = tx.execute(statement, {"connection": connection_id}).scalar_one()
    return total


def _cursor_page(  # noqa: PLR0917 - the parts of one search
    tx: Transaction,
    connection_id: str,
    where: ColumnElement[bool],
    order: _Order,
    position: Position | None,
    count: int,
) -> QueryPage:
    total = _total(tx, connection_id, where)
    if not count:
        return QueryPage([], total)
    direction, anchor = _read(position)
    walk = order if direction == "next" else order.reversed()
    statement = select(*COLUMNS, order.value).where(where).order_by(*walk.columns()).limit(count + 1)
    if anchor is not None:
        statement = statement.where(walk.after(*anchor))
    found = tx.execute(statement, {"connection": connection_id}).all()
    more, found = len(found) > count, found[:count]
    records = found if direction == "next" else found[::-1]
    rows = [to_row(record[:-1]) for record in records]
    if not rows:
        return QueryPage([], total)
    following = {"d": "next", "k": records[-1][-1], "i": rows[-1].id}
    preceding = {"d": "previous", "k": records[0][-1], "i": rows[0].id}
    if direction == "next":
        return QueryPage(rows, total, following if more else None, preceding if anchor is not None else None)
    return QueryPage(rows, total, following, preceding if more else None)


def _read(position: Position | None) -> tuple[str, tuple[Any, str] | None]:
    if position is None:
        return "next", None
    try:
        direction, value, id_ = position["d"], position["k"], position["i"]
    except (KeyError, TypeError):
        raise InvalidCursorException from None
    if direction not in {"next", "previous"} or not isinstance(id_, str):
        raise InvalidCursorException
    return direction, (value, id_)


def _order(
    sort_by: str | None, kinds: Sequence[Kind], models: Mapping[Kind, type[Resource[Any]]], *, descending: bool
) -> _Order:
    if sort_by is None:
        return _Order(resource.c.created_at, nullable=False, descending=descending)
    request: SearchRequest[Any] = SearchRequest(sort_by=sort_by)  # type: ignore[arg-type] # pydantic makes the path of it
    values: dict[Kind, ColumnElement[Any]] = {}
    for kind in kinds:
        binding = request.sort_binding(models[kind])
        value = None if binding is None else _sort_value(kind, binding)
        if value is not None:
            values[kind] = value
    if not values:
        return _Order(resource.c.created_at, nullable=False, descending=descending)
    if len(kinds) == 1:
        return _Order(values[kinds[0]], nullable=True, descending=descending)
    chosen = case(*((resource.c.kind == kind, value) for kind, value in values.items()), else_=null())
    return _Order(chosen, nullable=True, descending=descending)


def _sort_value(kind: Kind, binding: AttributeBinding) -> ColumnElement[Any] | None:
    """Return the value that orders a resource: of a multi-valued attribute, the primary element's or the first's."""
    source = ResourceScope(kind).source(binding)
    if isinstance(source, ColumnSource):
        return _held(source.columns, binding)
    if not isinstance(source, RowSource):
        return None
    value = attribute_value.alias()
    return (
        select(_held(columns_of(value), binding))
        .where(value.c.resource == resource.c.sequence, value.c.path == source.path, value.c.leading)
        .scalar_subquery()
    )


def _held(columns: Columns, binding: AttributeBinding) -> ColumnElement[Any]:
    kind = binding.target_type
    column = columns.text
    if isinstance(kind, type) and issubclass(kind, float):
        column = columns.decimal
    elif isinstance(kind, type) and issubclass(kind, bool | int | datetime):
        column = columns.number
    return null() if column is None else column
