"""What people hold, as SCIM has it: values of a User's attributes, and the resources that these are about."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from scim_bridge.models import Entitlement
from scim_bridge.protocol.schemas import CATALOGUE, HELD
from scim_bridge.store.entitlements import Catalogue, id_of
from scim_bridge.store.rows import Membership, ResourceRow

ATTRIBUTES = dict(zip(CATALOGUE, HELD, strict=True))
"""The attribute of a User that has the entitlements of each resource type."""

Values = dict[str, list[dict[str, Any]]]
"""The values of ``roles`` and ``entitlements``."""

_FILTERED = re.compile(r"\s*(?:[^\[\s]*:)?(roles|entitlements)\s*\[(.*)\]\s*", re.IGNORECASE | re.DOTALL)
_NAMED = re.compile(r'(?:value|display)\s+eq\s+("(?:[^"\\]|\\.)*")', re.IGNORECASE)


def held(row: ResourceRow, groups: Sequence[Membership], catalogue: Catalogue, *, by_group: bool = False) -> Values:
    """Return what a person holds, whoever gave it, and what is asked for and not in force, marked as such.

    What the client asked for has the value that the client gave it, or it would send it again for ever.

    :param groups: What the person is in, or is to be in.
    :param by_group: Whether whoever is seen in a group has what it gives, because the remote system tells it there.
    """
    values: Values = {name: [] for name in HELD}
    if not (row.active or row.is_seen_active):
        return values
    holds = set((row.observed and row.observed.holds) or ()) if row.is_seen_active else set()
    if by_group and row.is_seen_active:
        holds |= {group.remote_id for group in groups if group.given and group.remote_id}
    asked = {group.remote_id: group for group in groups if group.desired}
    said = dict(_said(row, catalogue))
    for one in catalogue.entitlements.values():
        group = asked.get(one.remote_id)
        if one.remote_id not in holds and group is None:
            continue
        item = {"value": id_of(one.remote_id), "display": one.name, "type": one.type}
        item |= said.get(one.remote_id, {}) if group is not None else {}
        if one.remote_id not in holds and group is not None:
            item["state"] = "shadowed" if group.observed and not group.doubtful else "pending"
        values[ATTRIBUTES[one.resource_type]].append(item)
    return values


def _said(row: ResourceRow, catalogue: Catalogue) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield remote id, and value and ``primary`` as the client gave them, of what it asked for."""
    if not any(f'"{name}"'.encode() in row.document for name in HELD):
        return
    document = json.loads(row.document)
    for resource_type, name in ATTRIBUTES.items():
        for item in document.get(name, ()):
            text = str(item.get("value") or item.get("display") or "")
            for one in catalogue.meant(text.strip(), resource_type=resource_type, type_=str(item.get("type") or "")):
                yield one.remote_id, {key: item[key] for key in ("value", "primary") if key in item}


def split(operations: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Take the removals of single roles out of a PATCH; return the other operations, and what they name.

    Whoever names a role means it, whether the person has it by this client or by others.
    """
    left, named = [], []
    for operation in operations:
        path, value = str(operation.get("path") or ""), operation.get("value")
        texts: list[str] = []
        if operation.get("op") == "remove":
            if (found := _FILTERED.fullmatch(path)) is not None:
                texts = [json.loads(text, strict=False) for text in _NAMED.findall(found[2])]
            elif path.rpartition(":")[2].lower() in HELD and value:
                texts = [text for item in (value if isinstance(value, list) else [value]) if (text := _text(item))]
        if texts:
            named += texts
        else:
            left.append(operation)
    return left, tuple(named)


def _text(item: Any) -> str:
    if isinstance(item, Mapping):
        item = next((part for name, part in item.items() if name.lower() == "value"), None)
    return item if isinstance(item, str) else ""


def resource_of(one: Entitlement, urn: str) -> dict[str, Any]:
    """Return an entitlement as a resource: as Okta reads it, and as draft-ietf-scim-roles-entitlements-01 has it.

    :param urn: Its schema.
    """
    alone = "" if one.several else "; one of its type is in force at a time"
    note = "" if one.assignable else "; privileged, and not allowed" if one.privileged else "; shown only"
    shown = {
        "schemas": [urn],
        "id": id_of(one.remote_id),
        "displayName": one.name,
        "description": f"{one.type}{alone}{note}",
        "value": id_of(one.remote_id),
        "display": one.name,
        "type": one.type,
        "supported": one.assignable,
    }
    version = sha256(json.dumps(shown).encode()).hexdigest()[:16]
    return {**shown, "meta": {"resourceType": one.resource_type, "version": f'W/"{version}"'}}
