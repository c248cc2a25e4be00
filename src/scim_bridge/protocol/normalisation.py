"""Rewrites the forms of :mod:`scim_bridge.protocol.clients` into those of the RFC, before anything is validated."""

import json
import re
from collections.abc import Iterator
from typing import Any

from scim2_models import InvalidFilterException, InvalidPathException, InvalidValueException, Path, ScimFilter
from scim2_models.path import AttrPath, CompareOperator, Comparison, FilterNode, LogicalExpr, Not, Present, ValuePath

from scim_bridge.protocol.clients import Quirks
from scim_bridge.protocol.schemas import ENTERPRISE_USER, Attribute, ResourceDefinition
from scim_bridge.protocol.values import Values

OPERATIONS = ("add", "remove", "replace")
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

_TEXT = re.compile(r'("(?:[^"\\]|\\.)*")')
_UNQUOTED = re.compile(r"(?P<head>\b(?:eq|ne|co|sw|ew|gt|ge|lt|le)\s+)(?P<value>[^\s\"'()\[\]]+)", re.IGNORECASE)
_LITERAL = re.compile(r"true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")

_LEGACY_CORE = frozenset({"urn:scim:schemas:core:1.0", "urn:scim:schemas:core:2.0"})
_LEGACY_ENTERPRISE = frozenset(
    {
        "urn:scim:schemas:extension:enterprise:1.0",
        "urn:scim:schemas:extension:enterprise:2.0",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0user",
    }
)


class Normaliser:
    """Rewrites the requests of one resource type.

    :param definition: What the resource type consists of.
    :param quirks: The quirks switched on.
    """

    def __init__(self, definition: ResourceDefinition, quirks: Quirks) -> None:
        self._definition = definition
        self._quirks = quirks
        self._values = Values(quirks)
        self._name = "displayname" if definition.attribute("userName") is None else "username"

    # -- Resources -----------------------------------------------------------------------------------------------------

    def resource(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body of a POST or PUT in the RFC's form."""
        fragment: dict[str, Any] = {}
        for key, value in body.items():
            for name, shaped in self._entry(key, value):
                merges = name in self._definition.extensions and isinstance(shaped, dict)
                fragment[name] = {**(fragment.get(name) or {}), **shaped} if merges else shaped
        fragment["schemas"] = self._schemas(fragment.get("schemas"), fragment)
        return fragment

    def _entry(self, key: str, value: Any) -> Iterator[tuple[str, Any]]:
        """Yield a member of a resource under its canonical name, or nothing when it is dropped."""
        urn = self._urn(key) if ":" in key else None
        if urn is not None and isinstance(value, dict):
            yield urn, {k: self._values.shaped(self._definition.attribute(k, urn), v) for k, v in value.items()}
            return
        if key.lower() == "password" and self._quirks.take("password"):
            return
        attribute = self._definition.attribute(key)
        if attribute is not None and _is_read_only(attribute):
            return  # RFC 7644 §3.3 and §3.5.1: ignored, whatever it looks like
        if attribute is not None:
            yield key, self._values.shaped(attribute, value)
            return
        moved = self._definition.in_extensions(key)
        if moved is None or moved.schema is None or not self._quirks.take("bare_extension_attribute"):
            yield key, value
        elif value is not None:
            yield moved.schema, {moved.name: self._values.shaped(moved, value)}

    def _schemas(self, given: Any, fragment: dict[str, Any]) -> Any:
        if given is None and self._quirks.take("missing_schemas"):
            given = [self._definition.urn]
        if not isinstance(given, list):
            return given
        urns = [self._urn(urn, given=urn) if isinstance(urn, str) else urn for urn in given]
        known = [
            urn
            for urn in urns
            if not isinstance(urn, str)
            or self._definition.known_urn(urn) is not None
            or not self._quirks.take("unknown_schema_urn")
        ]
        if self._definition.urn not in known and known != urns:
            known.insert(0, self._definition.urn)
        used = [urn for urn in self._definition.extensions if urn in fragment]
        return list(dict.fromkeys([*known, *used])) if all(isinstance(urn, str) for urn in known) else known

    def _urn(self, urn: str, *, given: str | None = None) -> str | None:
        """Return the canonical spelling of a schema URN, or ``given`` when it is none of this resource type."""
        canonical = self._definition.known_urn(urn)
        if canonical is not None:
            return canonical if canonical == urn or self._quirks.take("schema_urn_spelling") else given
        lowered = urn.lower()
        if lowered in _LEGACY_CORE:
            canonical = self._definition.urn
        elif lowered in _LEGACY_ENTERPRISE and ENTERPRISE_USER in self._definition.extensions:
            canonical = ENTERPRISE_USER
        return canonical if canonical is not None and self._quirks.take("legacy_schema_urn") else given

    # -- PATCH ---------------------------------------------------------------------------------------------------------

    def in_rfc_case(self, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return operations whose ``op`` is spelt as RFC 7644 §3.5.2 spells it; Entra ID writes ``Replace``.

        :raises InvalidValueException: When another spelling is not to be read.
        """
        spelt = []
        for operation in operations:
            op = operation.get("op")
            if isinstance(op, str) and op != op.lower() and op.lower() in OPERATIONS:
                if not self._quirks.take("operation_case"):
                    raise InvalidValueException(detail=f"{op!r} is not a PATCH operation: add, remove or replace")
                operation = {**operation, "op": op.lower()}  # noqa: PLW2901 - the same operation
            spelt.append(operation)
        return spelt

    def patch(self, body: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the body of a PATCH in the RFC's form; ``operations`` are those left after members were split off."""
        rewritten = [result for operation in operations for result in self._operation(operation)]
        schemas = next((value for key, value in body.items() if key.lower() == "schemas"), None)
        if schemas is None and self._quirks.take("missing_schemas"):
            schemas = [PATCH_OP]
        return {"schemas": schemas, "Operations": rewritten}

    def _operation(self, operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
        path, value = operation.get("path"), operation.get("value")
        if isinstance(path, str) and path:
            yield from self._with_path({**operation, "path": self.path(path)})
        elif isinstance(value, dict):
            yield {**operation, "value": dict(self._keys(value))}
        else:
            yield operation

    def _with_path(self, operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
        attribute = self._attribute(operation["path"])
        if attribute is None and "value" in operation and operation["path"].lower() != "password":
            yield self._part(operation)
            return
        if attribute is None or "value" not in operation or _is_read_only(attribute):
            if operation["path"].lower() != "password" or not self._quirks.take("password"):
                yield operation
            return
        value = operation["value"]
        if attribute.name == "active" and value is None and self._quirks.take("null_active"):
            return
        shaped = self._values.shaped(attribute, value)
        if shaped is None and value is not None:
            yield {"op": "remove", "path": operation["path"]}
        else:
            yield {**operation, "value": shaped}

    def _part(self, operation: dict[str, Any]) -> dict[str, Any]:
        """Return an operation on a sub-attribute, or on one of selected values, with its value in shape."""
        head, _, name = _without_filter(operation["path"]).rpartition(".")
        attribute = self._attribute(head) if head else None
        parts = attribute.definition.get("subAttributes", ()) if attribute else ()
        sub = next((part for part in parts if part["name"].lower() == name.lower()), None)
        if sub is None or sub["type"] == "complex" or sub["multiValued"] or sub.get("mutability") == "readOnly":
            return operation
        return {**operation, "value": self._values.scalar(f"{head}.{name}", sub, operation["value"])}

    def _keys(self, value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yield the members of a PATCH value without path; each key is a path (RFC 7644 §3.5.2, Entra ID)."""
        for key, item in value.items():
            if key.lower() == "password" and self._quirks.take("password"):
                continue
            urn = self._urn(key) if ":" in key else None
            if urn is not None and isinstance(item, dict):
                shaped = {k: self._values.shaped(self._definition.attribute(k, urn), v) for k, v in item.items()}
                if urn == self._definition.urn:
                    yield from self._keys(shaped)
                else:
                    yield urn, shaped
                continue
            path = self.path(key)
            attribute = self._attribute(path)
            if attribute is None:
                yield path, item
            elif self._ignored(attribute, item):
                continue
            else:
                yield path, self._values.shaped(attribute, item)

    def _ignored(self, attribute: Attribute, value: Any) -> bool:
        if attribute.name == "active" and value is None:
            return self._quirks.take("null_active")
        return (_is_read_only(attribute) or attribute.name == "schemas") and self._quirks.take("read_only_in_value")

    def _attribute(self, path: str) -> Attribute | None:
        """Return the attribute that a plain path names as a whole, without sub-attribute or filter."""
        urn, _, name = path.rpartition(":")
        return self._definition.attribute(name, urn or None)

    def path(self, path: str) -> str:
        """Return an attribute path under its canonical URN, and a bare extension attribute under its extension."""
        if path[:4].lower() == "urn:":
            return self._urn_path(path)
        head = path.partition("[")[0].partition(".")[0]
        moved = self._definition.in_extensions(head)
        if moved is None or not self._quirks.take("bare_extension_attribute"):
            return path
        return f"{moved.path}{path[len(head) :]}"

    def _urn_path(self, path: str) -> str:
        if self._urn(path) is not None:
            return self._urn(path) or path
        bracket = path.find("[")
        head, tail = (path, "") if bracket < 0 else (path[:bracket], path[bracket:])
        urn, _, name = head.rpartition(":")
        canonical = self._urn(urn)
        if canonical is not None:
            return f"{canonical}:{name}{tail}"
        dotted, _, name = head.rpartition(".")
        canonical = self._urn(dotted)
        if canonical is not None and self._quirks.take("dotted_extension_path"):
            return f"{canonical}:{name}{tail}"
        return path

    # -- Filters -------------------------------------------------------------------------------------------------------

    def filter(self, text: str) -> str:
        """Return a filter whose attribute paths the schemas define.

        :raises InvalidFilterException: When it is no filter.
        """
        try:
            node = ScimFilter[Any](text).ast
        except InvalidFilterException:
            quoted = "".join(_UNQUOTED.sub(_quoted, part) if part[:1] != '"' else part for part in _TEXT.split(text))
            if quoted == text or not self._quirks.take("unquoted_filter_value"):
                raise
            text = quoted
            node = ScimFilter[Any](text).ast
        rewritten = self._node(node)
        return text if rewritten == node else str(rewritten)

    def _node(self, node: FilterNode) -> FilterNode:
        match node:
            case LogicalExpr():
                return LogicalExpr(node.op, tuple(self._node(term) for term in node.terms))
            case Not():
                return Not(self._node(node.expr))
            case Present():
                return Present(self._filter_path(node.attr_path))
            case ValuePath():
                return ValuePath(self._filter_path(node.attr_path), node.val_filter, node.sub_attr)
            case Comparison():
                return self._comparison(node)
            case _:
                return node

    def _comparison(self, node: Comparison) -> Comparison:
        path = self._filter_path(node.attr_path)
        attribute = self._definition.attribute(path.attr, path.uri)
        value = node.value
        if attribute is not None and path.sub_attr is None and not attribute.multi_valued:
            if "value" in attribute.sub_attributes and self._quirks.take("complex_in_filter"):
                path = AttrPath(path.attr, "value", path.uri)
            if attribute.definition["type"] == "boolean" and isinstance(value, str):
                literal = {"true": True, "false": False}.get(value.lower())
                if literal is None or not self._quirks.take("boolean_string_in_filter"):
                    raise InvalidFilterException(detail=f"{path.attr} is compared with true or false")
                value = literal
            if isinstance(value, str) and path.uri is None and path.attr.lower() == self._name:
                value = value.strip() if node.op in {CompareOperator.eq, CompareOperator.ne} else value
        return Comparison(path, node.op, value)

    def _filter_path(self, path: AttrPath) -> AttrPath:
        if path.uri is not None:
            urn = self._urn(path.uri)
            return AttrPath(path.attr, path.sub_attr, urn) if urn is not None else path
        moved = self._definition.in_extensions(path.attr)
        if moved is None or not self._quirks.take("bare_extension_attribute"):
            return path
        return AttrPath(moved.name, path.sub_attr, moved.schema)


def known_paths(
    model: type[Any], definition: ResourceDefinition, operations: list[dict[str, Any]], quirks: Quirks
) -> list[dict[str, Any]]:
    """Return the operations of a PATCH whose paths a schema defines.

    One that no schema defines is left out beside others, so that it cannot keep a deactivation from taking effect.
    Alone it is refused, and so it is by ``strict``: a success would claim what was not done.

    :raises InvalidPathException: naming the path.
    """
    known: list[dict[str, Any]] = []
    unknown: list[dict[str, Any]] = []
    for operation in operations:
        path = operation.get("path")
        (known if _is_defined(model, definition, path) else unknown).append(operation)
    if unknown and not (known and quirks.take("unknown_attribute")):
        path = unknown[0]["path"]
        raise InvalidPathException(path=path, detail=f"No schema defines the path {path!r}")
    return known


def _is_defined(model: type[Any], definition: ResourceDefinition, path: Any) -> bool:
    """Tell whether a schema defines a path; scim2-models would answer another with a silent success.

    :raises InvalidPathException: When it is no path.
    """
    if not isinstance(path, str) or not path or definition.known_urn(path) is not None:
        return True
    try:
        return Path[model](path).resolve() is not None  # type: ignore[valid-type]
    except InvalidFilterException as error:
        raise InvalidPathException(path=path, detail=error.detail) from error


def _without_filter(path: str) -> str:
    """Return a path without its value filter: ``emails[type eq "work"].value`` is ``emails.value``."""
    before, bracket, rest = path.partition("[")
    return before + rest.rpartition("]")[2] if bracket else path


def _is_read_only(attribute: Attribute) -> bool:
    return bool(attribute.definition.get("mutability") == "readOnly")


def _quoted(match: re.Match[str]) -> str:
    """Quote the value of a comparison unless it is a literal already."""
    value = match["value"]
    return match[0] if _LITERAL.fullmatch(value) else f"{match['head']}{json.dumps(value, ensure_ascii=False)}"
