"""How much one request may ask for, checked before the SCIM library sees it.

scim2-models' PATCH engine copies the resource per operation and its filter parser takes any length; hostile input of a
few hundred kilobytes costs them minutes. The figures that clients must know are announced in
``scim-schemas/service-provider-config.json``; a test holds both equal.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from scim2_models import InvalidFilterException, InvalidValueException, PayloadTooLargeException

from scim_bridge.models import Kind


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a request.

    :param body_bytes: The largest body of a request on Users, searches and Bulk, in bytes.
    :param group_body_bytes: The largest body of a request on Groups, in bytes: a whole member list comes in one.
    :param depth: How deep JSON may nest.
    :param nodes: How many JSON values a body may hold; ``group_nodes`` is the same for Groups.
    :param patch_operations: How many operations a PATCH may hold.
    :param values: How many values the multi-valued attributes of a User may hold together, and a PATCH may name: each
        operation costs the PATCH engine a copy of all of them.
    :param text: How many characters beyond ASCII the texts of a User may hold together, and those of a PATCH: they are
        normalised and folded for comparisons.
    :param path_bytes: The longest that the paths of a PATCH may be together, but for those of members, in bytes.
    :param projected: How many attributes ``attributes`` or ``excludedAttributes`` may name.
    :param member_values: How many members the operations of a PATCH, or a whole Group, may name.
    :param filter_bytes: The longest filter or PATCH path, in bytes of UTF-8.
    :param filter_terms: How many comparisons a filter may join.
    :param filter_depth: How deep a filter may nest.
    :param count: The largest page.
    :param bulk_operations: How many operations a Bulk request may hold.
    """

    body_bytes: int = 1_048_576
    group_body_bytes: int = 5_242_880
    depth: int = 32
    nodes: int = 20_000
    group_nodes: int = 60_000
    patch_operations: int = 100
    values: int = 200
    text: int = 65_536
    path_bytes: int = 16_384
    projected: int = 100
    member_values: int = 10_000
    filter_bytes: int = 4_096
    filter_terms: int = 64
    filter_depth: int = 20
    count: int = 200
    bulk_operations: int = 100

    def body_size(self, kind: Kind | None) -> int:
        """Return the largest body of a request on a resource type, in bytes; ``None``: on no resource type."""
        return self.group_body_bytes if kind == "Group" else self.body_bytes

    def node_count(self, kind: Kind | None) -> int:
        """Return how many JSON values the body of a request on a resource type may hold."""
        return self.group_nodes if kind == "Group" else self.nodes


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_JOIN = re.compile(r"\b(?:and|or)\b", re.IGNORECASE)


def check_filter(text: str, limits: Limits) -> None:
    """Refuse a filter, or the filter of a PATCH path, that costs too much to parse or to evaluate.

    :raises InvalidFilterException: naming the limit.
    """
    if len(text.encode("utf-8", "surrogatepass")) > limits.filter_bytes:
        raise InvalidFilterException(detail=f"The filter is longer than {limits.filter_bytes} bytes")
    bare = _STRING.sub('""', text)
    if len(_JOIN.findall(bare)) + 1 > limits.filter_terms:
        raise InvalidFilterException(detail=f"The filter joins more than {limits.filter_terms} comparisons")
    depth = 0
    for character in bare:
        if character in "([":
            depth += 1
            if depth > limits.filter_depth:
                raise InvalidFilterException(detail=f"The filter nests deeper than {limits.filter_depth} levels")
        elif character in ")]":
            depth -= 1


def check_operations(operations: list[Any], limits: Limits) -> None:
    """Refuse a PATCH with too many operations or a path that is too long.

    :param operations: The raw ``Operations``.
    :raises PayloadTooLargeException: naming the limit.
    :raises InvalidFilterException: for a path.
    """
    if len(operations) > limits.patch_operations:
        raise PayloadTooLargeException(detail=f"A PATCH holds at most {limits.patch_operations} operations")
    for operation in operations:
        path = operation.get("path") if isinstance(operation, dict) else None
        if isinstance(path, str):
            check_filter(path, limits)


def check_paths(operations: list[dict[str, Any]], limits: Limits) -> None:
    """Refuse a PATCH of attributes whose paths are too long together, or whose values without a path name too much.

    :raises PayloadTooLargeException: naming the limit.
    """
    keys = [key for one in operations if not one.get("path") for key in _keys(one.get("value"))]
    if len(keys) > limits.values:
        raise PayloadTooLargeException(detail=f"A PATCH names at most {limits.values} attributes")
    paths = [path for one in operations if isinstance(path := one.get("path"), str)]
    if sum(len(path.encode("utf-8", "surrogatepass")) for path in (*paths, *keys)) > limits.path_bytes:
        raise PayloadTooLargeException(detail=f"The paths of a PATCH hold at most {limits.path_bytes} bytes together")


def _keys(value: Any) -> Iterator[str]:
    """Yield the names in a value, also those one level below: a URN may stand above them."""
    for key, item in value.items() if isinstance(value, dict) else ():
        yield key
        if isinstance(item, dict):
            yield from item


def check_projection(payload: dict[str, Any], limits: Limits) -> None:
    """Refuse a search that names too many attributes: each is resolved anew.

    :raises InvalidValueException: naming the limit.
    """
    for name, value in payload.items():
        if name.lower() not in ("attributes", "excludedattributes"):
            continue
        count = value.count(",") + 1 if isinstance(value, str) else len(value) if isinstance(value, list) else 0
        if count > limits.projected:
            raise InvalidValueException(detail=f"{name} names at most {limits.projected} attributes")


def check_text(root: Any, limits: Limits) -> None:
    """Refuse texts that take long to fold.

    :param root: A resource, a part of one, or the values of a PATCH.
    :raises PayloadTooLargeException: naming the limit.
    """
    count = 0
    left = [root]
    while left:
        value = left.pop()
        if isinstance(value, str):
            count += 0 if value.isascii() else len(value)
        elif isinstance(value, dict):
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
        elif isinstance(value, BaseModel):
            left.extend(vars(value).values())
    if count > limits.text:
        raise PayloadTooLargeException(
            detail=f"The attributes of a User hold at most {limits.text} characters beyond ASCII together"
        )


def check_values(holders: Iterable[Any], limits: Limits) -> None:
    """Refuse a User, or a PATCH of one, with too many values of multi-valued attributes.

    :param holders: The values of its attributes, or of its operations; lists count, also one level below.
    :raises PayloadTooLargeException: naming the limit.
    """
    count = 0
    for holder in holders:
        for value in holder.values() if isinstance(holder, dict) else (holder,):
            count += len(value) if isinstance(value, list) else 0
    if count > limits.values:
        raise PayloadTooLargeException(detail=f"The attributes of a User hold at most {limits.values} values together")


def check_members(count: int, limits: Limits) -> None:
    """Refuse a request that names too many members.

    :raises PayloadTooLargeException: naming the limit.
    """
    if count > limits.member_values:
        raise PayloadTooLargeException(detail=f"A request names at most {limits.member_values} members")
