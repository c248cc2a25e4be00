"""Brings filters, and the value filters of PATCH paths, into the RFC's form (RFC 7644 §3.4.2.2, §3.5.2)."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from scim2_models import InvalidFilterException, ScimFilter
from scim2_models.path import AttrPath, CompareOperator, Comparison, FilterNode, LogicalExpr, Not, Present, ValuePath

from scim_bridge.protocol.clients import Quirks
from scim_bridge.protocol.schemas import Attribute, ResourceDefinition

_TEXT = re.compile(r'("(?:[^"\\]|\\.)*")')
_UNQUOTED = re.compile(
    r"(?P<head>\b(?:eq|ne|co|sw|ew|gt|ge|lt|le)\s+)(?P<value>[^\s\"'()\[\]\u00ab\u00bb\u2018-\u201f]+)", re.IGNORECASE
)
_LITERAL = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")


def parsed(text: str, quirks: Quirks) -> FilterNode:
    """Return a filter; a value that lacks its quotation marks is a text.

    :raises InvalidFilterException: When it is no filter.
    """
    try:
        return ScimFilter[Any](text).ast
    except InvalidFilterException:
        quoted = "".join(_UNQUOTED.sub(_quoted, part) if part[:1] != '"' else part for part in _TEXT.split(text))
        if quoted == text or not quirks.take("unquoted_filter_value"):
            raise
        return ScimFilter[Any](quoted).ast


class Filters:
    """Rewrites the filters of one resource type.

    :param definition: What the resource type consists of.
    :param quirks: The quirks switched on.
    :param canonical: Returns the canonical spelling of a schema URN, or ``None``.
    """

    def __init__(self, definition: ResourceDefinition, quirks: Quirks, canonical: Callable[[str], str | None]) -> None:
        self._definition = definition
        self._quirks = quirks
        self._canonical = canonical
        self._name = "displayname" if definition.attribute("userName") is None else "username"

    def of_resources(self, text: str) -> str:
        """Return a filter of resources whose attribute paths the schemas define.

        :raises InvalidFilterException: When it is no filter.
        """
        return str(self._node(parsed(text, self._quirks), None))

    def of_values(self, attribute: Attribute, text: str) -> str:
        """Return a filter of the values of an attribute, as a PATCH path has it in brackets.

        :raises InvalidFilterException: When it is no filter.
        """
        return str(self._node(parsed(text, self._quirks), attribute))

    def is_of_values(self, attribute: Attribute, text: str) -> bool:
        """Tell whether a filter of the values of an attribute, in the RFC's form, is about parts that they have.

        :raises InvalidFilterException: When it is no filter.
        """
        names = set(_names(parsed(self.of_values(attribute, text), self._quirks)))
        return names <= (attribute.sub_attributes or {"value"})

    def _node(self, node: FilterNode, within: Attribute | None) -> FilterNode:
        match node:
            case LogicalExpr():
                return LogicalExpr(node.op, tuple(self._node(term, within) for term in node.terms))
            case Not():
                return Not(self._node(node.expr, within))
            case Present() if within is None:
                return Present(self._path(node.attr_path))
            case ValuePath() if within is None:
                path = self._path(node.attr_path)
                attribute = self._definition.attribute(path.attr, path.uri)
                inner = node.val_filter if attribute is None else self._node(node.val_filter, attribute)
                return ValuePath(path, inner, node.sub_attr)
            case Comparison():
                return self._comparison(node) if within is None else self._of_value(node, within)
            case _:
                return node

    def _comparison(self, node: Comparison) -> Comparison:
        path = self._path(node.attr_path)
        attribute = self._definition.attribute(path.attr, path.uri)
        if attribute is None:
            return Comparison(path, node.op, node.value)
        named = path.sub_attr
        if named is None and attribute.complex and "value" in attribute.sub_attributes:
            named = "value"
            if not attribute.multi_valued and self._quirks.take("complex_in_filter"):
                path = AttrPath(path.attr, "value", path.uri)
        value = self._literal(str(path), _definition_of(attribute, named), node.value)
        if isinstance(value, str) and path.uri is None and path.attr.lower() == self._name:
            value = value.strip() if node.op in {CompareOperator.eq, CompareOperator.ne} else value
        return Comparison(path, node.op, value)

    def _of_value(self, node: Comparison, within: Attribute) -> Comparison:
        name = node.attr_path.attr
        value = self._literal(f"{within.name}.{name}", _definition_of(within, name), node.value)
        return Comparison(node.attr_path, node.op, value)

    def _literal(self, name: str, definition: Mapping[str, Any], value: Any) -> Any:
        """Return what an attribute is compared with, as the type of the attribute has it."""
        kind = definition.get("type")
        if value is None or kind is None:
            return value
        if kind == "boolean" and not isinstance(value, bool):
            literal = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None
            if literal is None or not self._quirks.take("boolean_string_in_filter"):
                raise InvalidFilterException(detail=f"{name} is compared with true or false")
            return literal
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if is_number and kind in ("string", "reference") and self._quirks.take("unquoted_filter_value"):
            return str(value)
        return value

    def _path(self, path: AttrPath) -> AttrPath:
        if path.uri is not None:
            urn = self._canonical(path.uri)
            return AttrPath(path.attr, path.sub_attr, urn) if urn is not None else path
        moved = self._definition.in_extensions(path.attr)
        if moved is None or not self._quirks.take("bare_extension_attribute"):
            return path
        return AttrPath(moved.name, path.sub_attr, moved.schema)


def _definition_of(attribute: Attribute, sub_attribute: str | None) -> Mapping[str, Any]:
    """Return the characteristics of an attribute or one of its sub-attributes; empty when there is none."""
    if sub_attribute is None or not attribute.complex:
        return attribute.definition if sub_attribute in (None, "value") else {}
    return attribute.part(sub_attribute) or {}


def _names(node: FilterNode) -> Iterator[str]:
    """Yield the names of the attributes that a filter compares, in lower case."""
    match node:
        case LogicalExpr():
            for term in node.terms:
                yield from _names(term)
        case Not():
            yield from _names(node.expr)
        case Comparison() | Present() | ValuePath():
            yield node.attr_path.attr.lower()
        case _:
            pass


def _quoted(match: re.Match[str]) -> str:
    """Quote the value of a comparison unless it is a literal already."""
    value = match["value"]
    return match[0] if _LITERAL.fullmatch(value) else f"{match['head']}{json.dumps(value, ensure_ascii=False)}"
