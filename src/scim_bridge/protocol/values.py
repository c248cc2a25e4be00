"""Brings one attribute value into the shape that its schema defines, or refuses it in one sentence."""

import json
from collections.abc import Mapping
from typing import Any

from scim2_models import InvalidSyntaxException, InvalidValueException

from scim_bridge.protocol.clients import Quirks
from scim_bridge.protocol.schemas import Attribute

_BOOLEANS = {"true": True, "false": False}


class Values:
    """Shapes values.

    :param quirks: The quirks switched on.
    """

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks

    def shaped(self, attribute: Attribute | None, value: Any) -> Any:
        """Return a value in the shape that its attribute defines; ``None`` stands for no value.

        :raises InvalidValueException: When it is of another type and no quirk reads it.
        """
        if attribute is None or value is None:
            return value
        if attribute.multi_valued:
            return self._list(attribute, value)
        if isinstance(value, list) and len(value) == 1 and self._quirks.take("list_for_single_value"):
            value = value[0]
        if not attribute.complex:
            return self.scalar(attribute.name, attribute.definition, value)
        if "value" in attribute.sub_attributes:
            if value in ("", {"value": ""}) and self._quirks.take("empty_complex"):
                return None
            if isinstance(value, str) and self._quirks.take("string_for_complex"):
                return {"value": value}
        return self._parts(attribute, value)

    def scalar(self, name: str, definition: Mapping[str, Any], value: Any) -> Any:
        """Return a value that is no object: a boolean is one of two, and an empty text is no date, number or reference.

        :raises InvalidValueException: When it is of another type.
        """
        kind = definition["type"]
        if kind != "string" and value == "" and self._quirks.take("empty_value"):
            return None
        if kind == "boolean":
            return self._boolean(name, value)
        if kind in ("string", "reference", "dateTime", "binary") and not isinstance(value, str | None):
            raise InvalidValueException(detail=f"{name} must be a string")
        return value

    def _boolean(self, name: str, value: Any) -> bool | None:
        """Return a boolean; to take "off", "y" or 1.0 for one would be a guess about access."""
        if value is None or isinstance(value, bool):
            return value
        literal = _BOOLEANS.get(value.lower()) if isinstance(value, str) else None
        if literal is None or not self._quirks.take("boolean_string"):
            raise InvalidValueException(detail=f"{name} must be true or false")
        return literal

    def _list(self, attribute: Attribute, value: Any) -> Any:
        if attribute.complex:
            if isinstance(value, dict) and self._quirks.take("object_for_list"):
                value = [value]
            elif isinstance(value, str) and self._quirks.take("text_for_values"):
                value = [value] if value else []
        if not isinstance(value, list):
            raise InvalidValueException(detail=f"{attribute.name} is multi-valued: a list is needed")
        if not attribute.complex:
            return value
        return _distinct([self._item(attribute, item) for item in value])

    def _item(self, attribute: Attribute, item: Any) -> Any:
        if isinstance(item, str) and "value" in attribute.sub_attributes and self._quirks.take("text_for_values"):
            item = {"value": item}
        if not isinstance(item, dict):
            raise InvalidValueException(detail=f"each value of {attribute.name} is an object")
        return self._parts(attribute, self.unpacked(item))

    def unpacked(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return a value whose ``value`` is itself a JSON text with what it stands for (Entra's app roles)."""
        key = next((name for name in item if name.lower() == "value"), None)
        text = item.get(key) if key is not None else None
        if not isinstance(text, str) or not text.lstrip().startswith("{"):
            return item
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            return item
        value = inner.get("value") or inner.get("id") if isinstance(inner, dict) else None
        if not isinstance(value, str) or not self._quirks.take("json_in_value"):
            return item
        display = inner.get("displayName")
        return {**({"display": display} if isinstance(display, str) else {}), **item, str(key): value}

    def _parts(self, attribute: Attribute, value: Any) -> Any:
        """Return an object with its sub-attributes in shape."""
        if not isinstance(value, dict):
            raise InvalidValueException(detail=f"{attribute.name} must be an object")
        known = {sub["name"].lower(): sub for sub in attribute.definition.get("subAttributes", ())}
        shaped: dict[str, Any] = {}
        for name, part in value.items():
            sub = known.get(name.lower())
            if sub is None and known:
                if not self._quirks.take("unknown_attribute"):
                    raise InvalidSyntaxException(detail=f"No schema defines the attribute {attribute.name}.{name}")
                continue
            if sub is not None and sub.get("mutability") == "readOnly":
                continue  # RFC 7644 §3.3 and §3.5.1: ignored, whatever it looks like
            plain = sub is not None and sub["type"] != "complex" and not sub["multiValued"]
            shaped[name] = self.scalar(f"{attribute.name}.{name}", sub or {}, part) if plain else part
        return shaped


def _distinct(values: list[Any]) -> list[Any]:
    """Return the values without those that repeat the (type, value) pair of an earlier one (RFC 7643 §2.4)."""
    seen: set[tuple[Any, Any]] = set()
    kept = []
    for value in values:
        key = _pair(value)
        if key is not None and key in seen:
            continue
        if key is not None:
            seen.add(key)
        kept.append(value)
    return kept


def _pair(value: Any) -> tuple[Any, Any] | None:
    if not isinstance(value, dict):
        return None
    lowered = {name.lower(): item for name, item in value.items()}
    pair = lowered.get("type"), lowered.get("value")
    hashable = all(part is None or isinstance(part, str) for part in pair)
    return pair if pair[1] is not None and hashable else None
