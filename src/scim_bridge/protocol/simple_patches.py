"""What the most frequent PATCHes need less for than the library does; a test holds each against the long way."""

from collections.abc import Mapping, Sequence
from typing import Any

from scim_bridge.protocol.normalisation import PATCH_OP


def activation(body: Mapping[str, Any]) -> bool | None:
    """Return what a PATCH in the RFC's form makes of ``active``, if it is about nothing else; else ``None``.

    It is the most frequent one, and the one that has to pass in a crowd.
    """
    if body["schemas"] != [PATCH_OP] or len(body["Operations"]) != 1:
        return None
    (operation,) = body["Operations"]
    if operation.keys() - {"path"} != {"op", "value"} or operation["op"] != "replace":
        return None
    said = operation["value"] if operation.get("path") == "active" else None
    if "path" not in operation and isinstance(operation["value"], dict) and operation["value"].keys() == {"active"}:
        said = operation["value"]["active"]
    return said if isinstance(said, bool) else None


def with_active(current: Any, *, active: bool) -> Any:
    """Do what the library does of such a PATCH: set ``active``, or return ``None`` when that changes nothing."""
    if current.active is active:
        return None
    current.active = active
    return current


def compare_nothing(operations: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a PATCH replaces single values only: then no string is compared with another one."""
    for operation in operations:
        path, value = operation.get("path"), operation.get("value")
        values = value if path is None and isinstance(value, dict) else {str(path): value}
        if operation.get("op") != "replace" or any("[" in str(name) for name in values):
            return False
        if any(isinstance(one, dict | list) for one in values.values()):
            return False
    return True
