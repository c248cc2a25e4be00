"""Attribute paths (RFC 7644 §3.10) without filters, and the values that a SCIM document has at them.

A path is ``userName``, ``name.givenName`` or ``urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department``;
a document is a resource as JSON has it, in the RFC's spelling of its names.
"""

from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any

__all__ = ["attributes_of", "names_of", "nested", "value_at", "with_values"]


def names_of(path: str) -> list[str]:
    """Split a path into the names of the members that lead to its value; a URN, which has dots, stays whole."""
    if not path.startswith("urn:"):
        return path.split(".")
    urn, _, attribute = path.rpartition(":")
    return [urn, *attribute.split(".")]


def value_at(document: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path; ``None`` when it is unassigned."""
    value: Any = document
    for name in names_of(path):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def attributes_of(document: Mapping[str, Any], paths: Collection[str]) -> dict[str, Any]:
    """Return the values at these paths, by path; those that are unassigned are left out."""
    values = {path: value_at(document, path) for path in sorted(paths)}
    return {path: value for path, value in values.items() if value is not None}


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document that has these values at these paths."""
    document: dict[str, Any] = {}
    for path, value in values.items():
        _put(document, path, value)
    return document


def with_values(document: Mapping[str, Any], paths: Collection[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a document in which these paths hold exactly these values, absent ones unassigned.

    What is empty in it afterwards is left out: it is the same as unassigned (RFC 7643 §2.5).

    :param values: By path; those of other paths than ``paths`` are not looked at.
    """
    copy = deepcopy(dict(document))
    for path in sorted(paths):
        _put(copy, path, values.get(path))
    return {name: value for name, value in copy.items() if value not in ({}, [])}


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    """Give a path its value; ``None`` unassigns it. What is no object where one has to be gives way to one."""
    *parents, last = names_of(path)
    place = document
    for name in parents:
        inner = place.get(name)
        if not isinstance(inner, dict):
            inner = place[name] = {}
        place = inner
    if value is None:
        place.pop(last, None)
    else:
        place[last] = value
