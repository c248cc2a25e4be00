"""The comparable values of a resource, as rows of ``attribute_value`` that filters and sorting ask for.

A value is one row: its path (``emails.type``), the element of the multi-valued attribute it belongs to, and the value
as text, number or decimal. A complex element has a row of its own under the path of its attribute (``emails``), so that
elements without a given sub-attribute can be told. What is a column of ``resource`` or a row of ``member`` is not here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pydantic import BaseModel
from scim2_models import InvalidValueException, Resource, ScimFilter
from scim2_models.path import AttributeBinding, AttrPath, attribute_host
from sqlalchemy import bindparam
from sqlalchemy import delete as sql_delete
from sqlalchemy import insert as sql_insert

from scim_bridge.store.clock import to_microseconds
from scim_bridge.store.comparison import comparison_key
from scim_bridge.store.prepared import Prepared
from scim_bridge.store.tables import PREFIX_LENGTH, attribute_value
from scim_bridge.store.transaction import Transaction

ELSEWHERE = frozenset({"id", "externalId", "meta", "active", "userName", "password", "groups", "members"})
"""Attributes that are columns of ``resource``, rows of ``member``, or never kept."""

LARGEST_NUMBER = 2**63 - 1
"""What both databases hold."""

_DELETE = Prepared(sql_delete(attribute_value).where(attribute_value.c.resource == bindparam("sequence")))
_INSERT = Prepared(sql_insert(attribute_value), [column.name for column in attribute_value.columns])


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a model, with what is needed to read it."""

    path: str
    binding: AttributeBinding
    sub_attributes: tuple["Attribute", ...] = ()


@lru_cache(maxsize=256)
def resolver(model: type[BaseModel]) -> ScimFilter[Any]:
    """Return a filter that stands for none, for scim2-models' public way to resolve attribute paths on a model."""
    bound: ScimFilter[Any] = ScimFilter[model]("id pr")  # type: ignore[valid-type] # made at run time
    return bound


def path_of(binding: AttributeBinding) -> str:
    """Return the path an attribute is indexed under: short names of the core schema, URNs of extensions."""
    if issubclass(binding.model, Resource):
        return binding.urn.removeprefix(f"{binding.model.__schema__}:")
    return binding.urn


def index_values(resource: Resource[Any]) -> list[dict[str, Any]]:
    """Return the comparable values of a resource as rows of ``attribute_value``, without its key.

    :raises InvalidValueException: when a value cannot be compared: NUL, a lone surrogate, a number over 63 bits.
    """
    rows: list[dict[str, Any]] = []
    for attribute in _attributes(type(resource)):
        if attribute.path == "schemas":
            rows.extend(_values_of(attribute, _schemas(resource)))
            continue
        host = attribute_host(resource, attribute.binding)
        value = getattr(host, attribute.binding.field_name, None) if host is not None else None
        if is_assigned(value):
            rows.extend(_values_of(attribute, value))
    return rows


def _schemas(resource: Resource[Any]) -> list[str]:
    """Return what ``schemas`` of the document says: the core schema and the extensions that hold something."""
    extensions = type(resource).get_extension_models()
    held = (urn for urn, extension in extensions.items() if is_assigned(getattr(resource, extension.__name__, None)))
    return [str(type(resource).__schema__), *held]


def write(tx: Transaction, connection_id: str, sequence: int, resource: Resource[Any]) -> None:
    """Index a resource anew.

    :param sequence: The key of its row.
    """
    _DELETE.write(tx, {"sequence": sequence})
    rows = [row | {"connection_id": connection_id, "resource": sequence} for row in index_values(resource)]
    if rows:
        _INSERT.write_all(tx, rows)


@lru_cache(maxsize=64)
def _attributes(model: type[Resource[Any]]) -> tuple[Attribute, ...]:
    extensions = model.get_extension_models()
    hosts: list[tuple[type[BaseModel], str | None]] = [
        (model, None),
        *((each, urn) for urn, each in extensions.items()),
    ]
    return tuple(
        attribute
        for host, urn in hosts
        for field_name, field in host.model_fields.items()
        if (attribute := _attribute(model, field_name, field.serialization_alias or field_name, urn)) is not None
    )


def _attribute(model: type[Resource[Any]], field_name: str, name: str, urn: str | None) -> Attribute | None:
    is_name = name == "displayName" and "user_name" not in model.model_fields
    if urn is None and (name in ELSEWHERE or is_name or name in model.get_extension_models()):
        return None
    if urn is not None and field_name in Resource.model_fields:
        return None
    binding = resolver(model).resolve(AttrPath(name, uri=urn), strict=False)
    if binding is None:
        return None
    kind = binding.target_type
    sub_attributes: list[Attribute] = []
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for sub_name in (field.serialization_alias or key for key, field in kind.model_fields.items()):
            sub_binding = resolver(model).resolve(AttrPath(name, sub_name, urn), strict=False)
            if sub_binding is not None:
                sub_attributes.append(Attribute(path_of(sub_binding), sub_binding))
    return Attribute(path_of(binding), binding, tuple(sub_attributes))


def _values_of(attribute: Attribute, value: Any) -> Iterator[dict[str, Any]]:
    elements = [element for element in value if is_assigned(element)] if isinstance(value, list) else [value]
    leading = next((number for number, element in enumerate(elements) if getattr(element, "primary", None)), 0)
    for number, element in enumerate(elements):
        first = number == leading
        if not isinstance(element, BaseModel):
            yield _row(attribute, number, 0, element, leading=first)
            continue
        yield _empty_row(attribute.path, number, 0) | {"present": is_present(element), "leading": first}
        for sub_attribute in attribute.sub_attributes:
            found = getattr(element, str(sub_attribute.binding.sub_field_name), None)
            many = found if isinstance(found, list) else [found]
            for ordinal, one in enumerate(many):
                if one is not None:
                    yield _row(sub_attribute, number, ordinal, one, leading=first and ordinal == 0)


def is_assigned(value: Any) -> bool:
    """Tell whether a value is kept (RFC 7643 §2.5): null, an empty list and an empty complex value are not."""
    if isinstance(value, BaseModel):
        return any(is_assigned(getattr(value, name, None)) for name in type(value).model_fields if name != "schemas")
    if isinstance(value, list):
        return any(is_assigned(item) for item in value)
    return value is not None


def is_present(value: Any) -> bool:
    """Tell whether a value satisfies ``pr`` (RFC 7644 §3.4.2.2): not null, not empty, no empty complex value."""
    if value is None:
        return False
    if isinstance(value, BaseModel):
        return any(is_present(getattr(value, name, None)) for name in type(value).model_fields)
    if isinstance(value, list):
        return any(is_present(item) for item in value)
    return not isinstance(value, str | bytes) or len(value) > 0


def _empty_row(path: str, element: int, ordinal: int) -> dict[str, Any]:
    values = dict.fromkeys(("text", "long_text", "number", "decimal"))
    return values | {"path": path, "element": element, "ordinal": ordinal, "present": True}


def _row(attribute: Attribute, element: int, ordinal: int, value: Any, *, leading: bool) -> dict[str, Any]:
    row = _empty_row(attribute.path, element, ordinal) | {"leading": leading}
    if isinstance(value, str | bytes):
        key = text_of(attribute.binding, value)
        row |= {"text": key[:PREFIX_LENGTH], "present": is_present(value)}
        if len(key) > PREFIX_LENGTH:
            row["long_text"] = key
    elif isinstance(value, datetime):
        row["number"] = to_microseconds(value if value.tzinfo else value.replace(tzinfo=UTC))
    elif isinstance(value, float):
        row["decimal"] = value
    elif isinstance(value, int):
        if abs(value) > LARGEST_NUMBER:
            raise InvalidValueException(detail=f"{attribute.path} is a number of more than 63 bits")
        row["number"] = int(value)
    return row


def text_of(binding: AttributeBinding, value: str | bytes) -> str:
    """Return the comparison key of a value that is held as text.

    :raises InvalidValueException: when the databases cannot hold it.
    """
    if isinstance(value, bytes):
        return value.hex()
    if "\0" in value or (not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value)):
        raise InvalidValueException(detail=f"{binding.urn} holds a character that is no text")
    return comparison_key(binding, value)
