"""Where the values of an attribute are, as seen from a row of ``resource`` or from one element of an attribute."""

from collections.abc import Callable
from typing import Any, Protocol

from scim2_models import Resource
from scim2_models.path import AttributeBinding
from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.sql.expression import FromClause

from scim_bridge.models import Kind
from scim_bridge.store.comparison import fold
from scim_bridge.store.conditions import Columns
from scim_bridge.store.connector_state import IS_PLANNING
from scim_bridge.store.index import path_of
from scim_bridge.store.rows import entity_tag
from scim_bridge.store.shown import SHOWN_ACTIVE
from scim_bridge.store.tables import attribute_value, member, resource

Condition = Callable[[Columns], ColumnElement[bool]]
"""What must hold of a value."""

CONNECTION: ColumnElement[str] = bindparam("connection")
"""The connection whose resources are searched; bound when the statement is executed."""

MEMBER_TYPES: dict[Kind, str] = {"Group": "User", "User": "direct"}
"""``type`` in ``members`` of a Group and in ``groups`` of a User."""


class Source(Protocol):
    """The values of one attribute."""

    def any(self, condition: Condition) -> ColumnElement[bool]:
        """Return: some value satisfies the condition."""

    def missing(self) -> ColumnElement[bool]:
        """Return: there is no value, or (of a multi-valued attribute) an element has none."""

    def present(self) -> ColumnElement[bool]:
        """Return: some value is not empty (``pr``)."""


class Scope(Protocol):
    """Where the attributes of a model are found."""

    def source(self, binding: AttributeBinding) -> Source:
        """Return the values of an attribute."""


class Nothing:
    """An attribute that is never stored."""

    def any(self, condition: Condition) -> ColumnElement[bool]:
        """Return false."""
        del condition
        return false()

    def missing(self) -> ColumnElement[bool]:
        """Return true."""
        return true()

    def present(self) -> ColumnElement[bool]:
        """Return false."""
        return false()


class Something(Nothing):
    """A complex attribute that is always there (``meta``)."""

    def missing(self) -> ColumnElement[bool]:
        """Return false."""
        return false()

    def present(self) -> ColumnElement[bool]:
        """Return true."""
        return true()


class ColumnSource:
    """A single value in a column.

    :param columns: The column.
    :param nullable: Whether it may be NULL.
    """

    def __init__(self, columns: Columns, *, nullable: bool = False) -> None:
        self.columns = columns
        self.nullable = nullable

    def any(self, condition: Condition) -> ColumnElement[bool]:
        """Return: the value satisfies the condition."""
        return and_(not_(self.missing()), condition(self.columns))

    def missing(self) -> ColumnElement[bool]:
        """Return: the column is NULL."""
        if not self.nullable or self.columns.text is None:
            return false()
        return self.columns.text.is_(None)

    def present(self) -> ColumnElement[bool]:
        """Return: the column is neither NULL nor empty."""
        if self.columns.text is None:
            return true()
        return self.any(lambda columns: columns.text != "")  # type: ignore[return-value,arg-type] # it is there


class RowSource:
    """Values in rows of ``attribute_value``.

    :param path: Their path.
    :param head: The path of the multi-valued attribute whose sub-attribute they are.
    :param element: The row whose element they must belong to.
    """

    def __init__(self, path: str, *, head: str | None = None, element: FromClause | None = None) -> None:
        self.path = path
        self.head = head
        self.element = element

    def any(self, condition: Condition) -> ColumnElement[bool]:
        """Return: some row satisfies the condition."""
        value = attribute_value.alias()
        return self._some(value, condition(columns_of(value)))

    def present(self) -> ColumnElement[bool]:
        """Return: some row is not empty."""
        value = attribute_value.alias()
        return self._some(value, value.c.present)

    def missing(self) -> ColumnElement[bool]:
        """Return: there is no row, or an element without one."""
        if self.head is None:
            return not_(self._some(attribute_value.alias(), true()))
        element = attribute_value.alias()
        without = RowSource(self.path, element=element).missing()
        head = RowSource(self.head)
        return or_(head.missing(), head.holding(element, without))

    def holding(self, value: FromClause, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        """Return: the resource has a row of this path that satisfies a condition on ``value``."""
        return resource.c.sequence.in_(
            select(value.c.resource).where(value.c.connection_id == CONNECTION, value.c.path == self.path, condition)
        )

    def _some(self, value: FromClause, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        if self.element is None:
            return self.holding(value, condition)
        return exists(
            select(value.c.resource).where(
                value.c.resource == self.element.c.resource,
                value.c.path == self.path,
                value.c.element == self.element.c.element,
                condition,
            )
        )


class MemberSource:
    """A sub-attribute of ``members`` of a Group, or of ``groups`` of a User, in rows of ``member``.

    :param kind: Whose attribute it is.
    :param name: The sub-attribute (Python name), or ``None`` for the attribute itself.
    """

    def __init__(self, kind: Kind, name: str | None) -> None:
        self.kind = kind
        self.name = name

    def any(self, condition: Condition) -> ColumnElement[bool]:
        """Return: some member satisfies the condition."""
        return some_member(self.kind, lambda scope: scope.named(self.name).any(condition))

    def missing(self) -> ColumnElement[bool]:
        """Return: there is no member, or one without this sub-attribute."""
        nobody = not_(some_member(self.kind, lambda _: true()))
        return or_(nobody, some_member(self.kind, lambda scope: scope.named(self.name).missing()))

    def present(self) -> ColumnElement[bool]:
        """Return: some member has this sub-attribute."""
        return some_member(self.kind, lambda scope: scope.named(self.name).present())


class MemberScope:
    """One member of a Group, or one group of a User.

    :param kind: Whose attribute it is.
    :param other: The row of the other side.
    """

    def __init__(self, kind: Kind, other: FromClause) -> None:
        self._sources: dict[str | None, Source] = {
            None: Something(),
            "value": ColumnSource(Columns(text=other.c.id)),
            "display": ColumnSource(Columns(text=other.c.name_key)),
            "type": ColumnSource(Columns(text=literal(fold(MEMBER_TYPES[kind])))),
        }

    def source(self, binding: AttributeBinding) -> Source:
        """Return the values of a sub-attribute."""
        return self.named(binding.field_name)

    def named(self, name: str | None) -> Source:
        """Return the values of a sub-attribute by its Python name."""
        return self._sources.get(name, Nothing())


def some_member(kind: Kind, condition: Callable[[MemberScope], ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return: a Group has a member, or a User a group, that satisfies a condition."""
    row, other = member.alias(), resource.alias()
    own, theirs = (row.c.group_id, row.c.user_id) if kind == "Group" else (row.c.user_id, row.c.group_id)
    return resource.c.id.in_(
        select(own)
        .join(other, and_(other.c.connection_id == row.c.connection_id, other.c.id == theirs))
        .where(
            row.c.connection_id == CONNECTION,
            or_(row.c.desired, not_(IS_PLANNING)),
            not_(other.c.deleted),
            condition(MemberScope(kind, other)),
        )
    )


class ElementScope:
    """One element of a complex multi-valued attribute.

    :param head: The attribute's path.
    :param element: Any row of the element.
    """

    def __init__(self, head: str, element: FromClause) -> None:
        self.head = head
        self.element = element

    def source(self, binding: AttributeBinding) -> Source:
        """Return the values of a sub-attribute in this element."""
        return RowSource(f"{self.head}.{binding.urn}", element=self.element)


class ResourceScope:
    """A row of ``resource``.

    :param kind: Its resource type.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def source(self, binding: AttributeBinding) -> Source:
        """Return the values of an attribute."""
        if issubclass(binding.model, Resource):
            column = self._column(binding)
            if column is not None:
                return column
        head = path_of(binding).rpartition(".")[0] if binding.is_multivalued and binding.sub_field_name else None
        return RowSource(path_of(binding), head=head)

    def _column(self, binding: AttributeBinding) -> Source | None:
        name = binding.field_name
        if name == ("members" if self.kind == "Group" else "groups"):
            return MemberSource(self.kind, binding.sub_field_name)
        if name == "meta":
            return META.get(binding.sub_field_name, Nothing())
        if name == ("display_name" if self.kind == "Group" else "user_name"):
            return NAME
        return COLUMNS.get(name)


def columns_of(value: FromClause) -> Columns:
    """Return the columns of a row of ``attribute_value``."""
    whole: Any = func.coalesce(value.c.long_text, value.c.text)
    return Columns(text=whole, prefix=value.c.text, number=value.c.number, decimal=value.c.decimal)


NAME = ColumnSource(Columns(text=resource.c.name_key))
COLUMNS: dict[str, Source] = {
    "id": ColumnSource(Columns(text=resource.c.id)),
    "external_id": ColumnSource(Columns(text=resource.c.external_id_key), nullable=True),
    "active": ColumnSource(Columns(number=case((SHOWN_ACTIVE, 1), else_=0))),
    "password": Nothing(),
}
_TAG = [literal(part) for part in entity_tag(0).split("0")]
META: dict[str | None, Source] = {
    None: Something(),
    "resource_type": ColumnSource(Columns(text=resource.c.kind)),
    "created": ColumnSource(Columns(number=resource.c.created_at)),
    "last_modified": ColumnSource(Columns(number=resource.c.modified_at)),
    "version": ColumnSource(Columns(text=_TAG[0] + cast(resource.c.version, Text) + _TAG[1])),
}
"""``meta.location`` is not among them: only the server knows its base URL."""
