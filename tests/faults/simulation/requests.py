"""What a client's request asks for, read from its bytes: whose access ends, who must have it, who leaves a group."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.faults.simulation.network import Inbound

_TARGET = re.compile(r"/(Users|Groups)(?:/([^/?]+))?(?:\?.*)?$")
_MEMBER = re.compile(r'members\[value eq "([^"]+)"\]', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a request asks for.

    :param kind: ``Users`` or ``Groups``; empty for anything else.
    :param id: The SCIM id in the path.
    :param name: The ``userName`` of a creation.
    :param active: What it says of access: ``None`` is nothing.
    :param joining: SCIM ids of members it adds.
    :param leaving: SCIM ids of members it removes.
    :param only: SCIM ids of the only members it leaves; ``None`` when it does not say.
    """

    kind: str = ""
    id: str = ""
    name: str = ""
    active: bool | None = None
    joining: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()
    only: frozenset[str] | None = None


def meaning_of(exchange: Inbound) -> Meaning:
    """Read a request."""
    target = _TARGET.search(exchange.path)
    if target is None or exchange.method == "GET":
        return Meaning()
    kind, id_ = target[1], target[2] or ""
    document = json.loads(exchange.body) if exchange.body else {}
    if exchange.method == "DELETE":
        return Meaning(kind, id_, active=False, only=frozenset())
    if exchange.method == "PATCH":
        return _patched(kind, id_, document)
    active = _boolean(document.get("active", True)) if kind == "Users" else None
    only = None
    if kind == "Groups" and exchange.method == "PUT":
        only = frozenset(_values(document.get("members") or []))
    joining = frozenset(_values(document.get("members") or [])) if kind == "Groups" else frozenset()
    return Meaning(kind, id_, str(document.get("userName", "")), active, joining=joining, only=only)


def _patched(kind: str, id_: str, document: dict[str, Any]) -> Meaning:
    active: bool | None = None
    joining: set[str] = set()
    leaving: set[str] = set()
    only: frozenset[str] | None = None
    for operation in document.get("Operations", []):
        op, path, value = operation["op"].lower(), operation.get("path", ""), operation.get("value")
        if path == "active":
            active = _boolean(value)
        elif isinstance(value, dict) and "active" in value:
            active = _boolean(value["active"])
        if kind == "Groups" and op == "remove":
            leaving |= {found[1]} if (found := _MEMBER.match(path)) else set(_values(value or []))
        if kind == "Groups" and op == "replace" and path == "members":
            only = frozenset(_values(value or []))
            joining |= only
        if kind == "Groups" and op == "add" and path == "members":
            joining |= set(_values(value or []))
    return Meaning(kind, id_, "", active, frozenset(joining), frozenset(leaving), only)


def _values(members: list[Any]) -> Iterator[str]:
    return (str(member["value"]) for member in members if isinstance(member, dict))


def _boolean(value: Any) -> bool | None:
    return {"true": True, "false": False}.get(str(value).lower())
