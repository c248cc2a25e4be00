"""SCIM filters (RFC 7644 §3.4.2.2) as SQL with bound parameters.

The compiled condition holds of a row of ``resource`` exactly when ``ScimFilter.match`` holds of the resource under
:func:`comparison_key`. Every condition is true or false, never NULL, so that ``not`` means what it says. A statement
that contains one is executed with the parameter ``connection``.
"""

from typing import Any

from pydantic import BaseModel
from scim2_models import InvalidFilterException, Resource
from scim2_models.path import (
    AttributeBinding,
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)
from sqlalchemy import ColumnElement, and_, false, not_, or_
from sqlalchemy.sql.expression import FromClause

from scim_bridge.models import Kind
from scim_bridge.store.comparison import comparison_key
from scim_bridge.store.conditions import condition, operand
from scim_bridge.store.index import index_values, resolver
from scim_bridge.store.sources import (
    ColumnSource,
    ElementScope,
    MemberSource,
    ResourceScope,
    RowSource,
    Scope,
    Source,
    columns_of,
    some_member,
)
from scim_bridge.store.tables import attribute_value

__all__ = ["comparison_key", "compile", "index_values"]


def compile(  # noqa: A001 - what it does
    node: FilterNode, kind: Kind, model: type[Resource[Any]]
) -> ColumnElement[bool]:
    """Return a filter as a condition on ``resource``.

    :param node: The syntax tree: ``ScimFilter(…).ast``.
    :param kind: The resource type of the rows.
    :param model: Its model, with extensions.
    :raises InvalidFilterException: when an attribute cannot be compared as the filter asks.
    """
    return _Compiler(model, ResourceScope(kind)).visit(node)


class _Compiler(FilterVisitor[ColumnElement[bool]]):
    """Compile a filter against the attributes of a model."""

    def __init__(self, model: type[BaseModel], scope: Scope) -> None:
        self.model = model
        self.scope = scope

    def visit_comparison(self, node: Comparison) -> ColumnElement[bool]:
        """Return: some value compares so; for ``ne``, none is equal."""
        binding = resolver(self.model).resolve_comparison(node.attr_path, strict=False)
        if binding is None:
            return false()
        return _compare(self.scope.source(binding), binding, node.op, operand(binding, node.op, node.value))

    def visit_present(self, node: Present) -> ColumnElement[bool]:
        """Return: the attribute has a value that is not empty."""
        binding = resolver(self.model).resolve(node.attr_path, strict=False)
        return false() if binding is None else self.scope.source(binding).present()

    def visit_not(self, node: Not) -> ColumnElement[bool]:
        """Return the opposite."""
        return not_(self.visit(node.expr))

    def visit_logical_expr(self, node: LogicalExpr) -> ColumnElement[bool]:
        """Return: all, or one, of the terms."""
        terms = [self.visit(term) for term in node.terms]
        return and_(*terms) if node.op is LogicalOperator.and_ else or_(*terms)

    def visit_value_path(self, node: ValuePath) -> ColumnElement[bool]:
        """Return: one element satisfies the inner filter as a whole."""
        binding = resolver(self.model).resolve(node.attr_path, strict=False)
        if binding is None:
            return false()
        if not binding.is_multivalued:
            raise InvalidFilterException(detail=f"{binding.urn} is not multi-valued and holds no values to select")
        source = self.scope.source(binding)
        model = _element_model(binding)
        if isinstance(source, MemberSource) and model is not None:
            return some_member(source.kind, lambda scope: _Compiler(model, scope).visit(node.val_filter))
        if not isinstance(source, RowSource) or source.element is not None:
            return false()  # a list within an element: its values cannot be selected
        element = attribute_value.alias()
        if model is None:
            return source.holding(element, _ScalarCompiler(binding, element).visit(node.val_filter))
        return _search(source, element, _Compiler(model, ElementScope(source.path, element)), node.val_filter)


def _element_model(binding: AttributeBinding) -> type[BaseModel] | None:
    kind = binding.field_type
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _search(source: RowSource, element: FromClause, inner: _Compiler, node: FilterNode) -> ColumnElement[bool]:
    """Return: an element satisfies a filter; it is looked up by an ``eq`` of the filter, where there is one."""
    terms = list(node.terms) if isinstance(node, LogicalExpr) and node.op is LogicalOperator.and_ else [node]
    equalities = [term for term in terms if isinstance(term, Comparison) and _is_selective(term)]
    for term in sorted(equalities, key=lambda term: term.attr_path != AttrPath("value")):
        binding = resolver(inner.model).resolve_comparison(term.attr_path, strict=False)
        if binding is None:
            continue
        found = condition(columns_of(element), binding, term.op, operand(binding, term.op, term.value))
        rest = [inner.visit(other) for other in terms if other is not term]
        return RowSource(f"{source.path}.{binding.urn}").holding(element, and_(found, *rest))
    return source.holding(element, inner.visit(node))


def _is_selective(term: Comparison) -> bool:
    return term.op is CompareOperator.eq and isinstance(term.value, str)


def _compare(source: Source, binding: AttributeBinding, op: CompareOperator, expected: Any) -> ColumnElement[bool]:
    """Return a comparison under scim2-models' reading: ``null`` is a missing value, ``ne`` is that none is equal."""
    if op is CompareOperator.ne:
        return not_(_compare(source, binding, CompareOperator.eq, expected))
    if expected is None:
        return source.missing() if op is CompareOperator.eq else false()
    if binding.is_multivalued and binding.sub_field_name is not None and binding.target_is_multivalued:
        return false()  # lists within elements have no order and equal nothing
    return source.any(lambda columns: condition(columns, binding, op, expected))


class _ScalarCompiler(FilterVisitor[ColumnElement[bool]]):
    """Compile the filter of a value path on a list of plain values, which calls the value itself ``value``."""

    def __init__(self, binding: AttributeBinding, element: FromClause) -> None:
        self.binding = binding
        self.element = element

    def visit_comparison(self, node: Comparison) -> ColumnElement[bool]:
        """Return: the value compares so."""
        if not self._means_value(node.attr_path):
            return false()
        return _compare(ColumnSource(columns_of(self.element)), self.binding, node.op, node.value)

    def visit_present(self, node: Present) -> ColumnElement[bool]:
        """Return: the value is not empty."""
        return self.element.c.present if self._means_value(node.attr_path) else false()

    def visit_not(self, node: Not) -> ColumnElement[bool]:
        """Return the opposite."""
        return not_(self.visit(node.expr))

    def visit_logical_expr(self, node: LogicalExpr) -> ColumnElement[bool]:
        """Return: all, or one, of the terms."""
        terms = [self.visit(term) for term in node.terms]
        return and_(*terms) if node.op is LogicalOperator.and_ else or_(*terms)

    def visit_value_path(self, node: ValuePath) -> ColumnElement[bool]:
        """Return false: a plain value has no elements."""
        del node
        return false()

    @staticmethod
    def _means_value(path: AttrPath) -> bool:
        return path.attr.lower() == "value" and path.sub_attr is None
