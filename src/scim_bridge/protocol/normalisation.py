"""Rewrites the forms of :mod:`scim_bridge.protocol.clients` into those of the RFC, before anything is validated."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from scim2_models import (
    InvalidFilterException,
    InvalidPathException,
    InvalidSyntaxException,
    InvalidValueException,
    Path,
)

from scim_bridge.protocol.clients import Quirks
from scim_bridge.protocol.filters import Filters
from scim_bridge.protocol.schemas import ENTERPRISE_USER, HELD, Attribute, ResourceDefinition
from scim_bridge.protocol.values import Values

OPERATIONS = ("add", "remove", "replace")
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

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
        self.filters = Filters(definition, quirks, self._urn)

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
        if urn is not None:
            yield urn, self._of_schema(urn, value)
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
            self._leave_out(key)
        elif value is not None:
            yield moved.schema, {moved.name: self._values.shaped(moved, value)}

    def _of_schema(self, urn: str, value: Any) -> dict[str, Any] | None:
        """Return the attributes of one schema in shape, as they come under its URN."""
        if value is None:
            return None
        if not isinstance(value, dict):
            raise InvalidValueException(detail=f"{urn} must be an object")
        shaped = {}
        for key, item in value.items():
            attribute = self._definition.attribute(key, urn)
            if attribute is None:
                self._leave_out(f"{urn}:{key}")
            else:
                shaped[key] = self._values.shaped(attribute, item)
        return shaped

    def _leave_out(self, name: str) -> None:
        """Leave out an attribute that no schema defines.

        :raises InvalidSyntaxException: When that is not to be done.
        """
        if not self._quirks.take("unknown_attribute"):
            raise InvalidSyntaxException(detail=f"No schema defines the attribute {name!r}")

    def _schemas(self, given: Any, fragment: dict[str, Any]) -> Any:
        given = given or None  # an empty list is not given (RFC 7643 §2.5)
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

    def operations(self, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return operations whose ``op`` is spelt as RFC 7644 §3.5.2 spells it; Entra ID writes ``Replace``.

        :raises InvalidValueException: When another spelling, or a ``remove`` with a value, is not to be read.
        """
        spelt = []
        for operation in operations:
            op = operation.get("op")
            if isinstance(op, str) and op != op.lower() and op.lower() in OPERATIONS:
                if not self._quirks.take("operation_case"):
                    raise InvalidValueException(detail=f"{op!r} is not a PATCH operation: add, remove or replace")
                operation = {**operation, "op": op.lower()}  # noqa: PLW2901 - the same operation
            given = operation.get("op") == "remove" and operation.get("value") is not None
            if given and not self._quirks.take("remove_with_value"):
                raise InvalidValueException(detail="A remove has no value: a filter in its path selects")
            spelt.append(operation)
        return spelt

    def patch(self, body: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the body of a PATCH in the RFC's form; ``operations`` are those left after members were split off."""
        rewritten = [result for operation in operations for result in self._operation(operation)]
        schemas = next((value for key, value in body.items() if key.lower() == "schemas"), None)
        if not names_message(schemas, PATCH_OP) and not self._quirks.take("missing_schemas"):
            raise InvalidSyntaxException(detail=f"The schemas of a PATCH are [{PATCH_OP!r}]")
        if schemas is None:
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

    def known(self, model: type[Any], operations: list[dict[str, Any]], *, beside: bool) -> list[dict[str, Any]]:
        """Return the operations of a PATCH as far as a schema defines what they are about.

        What no schema defines is left out beside others, so that it cannot keep a deactivation from taking effect.
        Alone it is refused, and so it is by ``strict``: a success would claim what was not done.

        :param model: The class of the resource type.
        :param beside: Whether the PATCH has other operations, on members.
        :raises InvalidPathException: naming the path.
        """
        known: list[dict[str, Any]] = []
        unknown: list[str] = []
        for operation in operations:
            path, value = operation.get("path"), operation.get("value")
            if isinstance(path, str) and path and (self._is_shown(path) or not self._is_defined(model, path)):
                unknown.append(path)
                continue
            if not path and isinstance(value, dict):
                keys = [key for key in value if not self._is_key(model, key)]
                unknown += keys
                if keys and len(keys) == len(value):
                    continue
                operation = {**operation, "value": {k: v for k, v in value.items() if k not in keys}}  # noqa: PLW2901 - as above
            known.append(operation)
        shown = [path for path in unknown if self._is_shown(path)]
        for path in unknown:
            if not ((known or beside) and self._quirks.take("unknown_attribute")):
                why = "is only shown here (assign)" if path in shown else "is defined by no schema"
                raise InvalidPathException(path=path, detail=f"The path {path!r} {why}")
        return known

    def _is_shown(self, path: str) -> bool:
        """Whether a path is about what a person holds, where clients do not ask for it in this way."""
        attribute = self._attribute(path.partition("[")[0].partition(".")[0])
        return attribute is not None and attribute.name in HELD and _is_read_only(attribute)

    def _is_key(self, model: type[Any], key: str) -> bool:
        with suppress(InvalidPathException):
            return self._is_defined(model, key)
        return False

    def _is_defined(self, model: type[Any], path: str) -> bool:
        """Tell whether a schema defines a path; scim2-models would answer another with a silent success.

        :raises InvalidPathException: When it is no path.
        """
        if self._definition.known_urn(path) is not None:
            return True
        head, _, rest = path.partition("[")
        text, closing, _ = rest.rpartition("]")
        attribute = self._attribute(head) if closing else None
        try:
            if Path[model](path).resolve() is None:  # type: ignore[valid-type] # made at run time
                return False
            return attribute is None or self.filters.is_of_values(attribute, text)
        except InvalidFilterException as error:
            raise InvalidPathException(path=path, detail=error.detail) from error

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
        part = attribute.part(name) if attribute else None
        if attribute is None or part is None or part["type"] == "complex" or part["multiValued"]:
            return operation
        if part.get("mutability") == "readOnly":
            return operation
        value = self._values.scalar(f"{head}.{name}", part, operation["value"])
        if attribute.multi_valued and name.lower() == "value":
            value = self._values.unpacked({"value": value})["value"]
        return {**operation, "value": value}

    def _keys(self, value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yield the members of a PATCH value without path; each key is a path (RFC 7644 §3.5.2, Entra ID)."""
        for key, item in value.items():
            if key.lower() == "password" and self._quirks.take("password"):
                continue
            urn = self._urn(key) if ":" in key else None
            if urn == self._definition.urn and isinstance(item, dict):
                yield from self._keys(item)
                continue
            if urn is not None:
                yield urn, self._of_schema(urn, item)
                continue
            path = self.path(key)
            attribute = self._attribute(path)
            if attribute is None:
                yield path, self._part({"path": path, "value": item})["value"]
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
        """Return an attribute path under its canonical URN, with its value filter in the RFC's form."""
        path = self._named(path)
        head, _, rest = path.partition("[")
        text, closing, tail = rest.rpartition("]")
        attribute = self._attribute(head) if closing else None
        if attribute is None:
            return path
        with suppress(InvalidFilterException):  # refused when it is looked up
            return f"{head}[{self.filters.of_values(attribute, text)}]{tail}"
        return path

    def _named(self, path: str) -> str:
        """Return a path under its canonical URN, and a bare extension attribute under its extension."""
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


def names_message(schemas: Any, urn: str) -> bool:
    """Tell whether ``schemas`` of a request has the URN of its message (RFC 7644 §3.1)."""
    return isinstance(schemas, list) and urn.lower() in {str(one).lower() for one in schemas}


def _without_filter(path: str) -> str:
    """Return a path without its value filter: ``emails[type eq "work"].value`` is ``emails.value``."""
    before, bracket, rest = path.partition("[")
    return before + rest.rpartition("]")[2] if bracket else path


def _is_read_only(attribute: Attribute) -> bool:
    return bool(attribute.definition.get("mutability") == "readOnly")
