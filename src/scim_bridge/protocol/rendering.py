"""Writes representations: the stored bytes with what is derived spliced in, no model in between.

A stored document is a JSON object without ``meta``, ``groups`` and ``members``; they are appended before its closing
brace. Only ``attributes`` and ``excludedAttributes`` need a model
(:meth:`~scim_bridge.protocol.service.BridgeService.projected`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from scim_bridge.models import Kind
from scim_bridge.store.rows import GroupReference, ResourceRow

ENDPOINTS: dict[Kind, str] = {"User": "/Users", "Group": "/Groups"}


@dataclass(frozen=True, slots=True)
class Representation:
    """What a response needs of one resource.

    :param row: The stored row.
    :param references: The groups of a User, or the members of a Group; ``None``: not loaded, not to be shown.
    :param compared: Whether the client sends what differs from what it reads.
    """

    row: ResourceRow
    references: Sequence[GroupReference] | None
    compared: bool = False

    @property
    def active(self) -> bool | None:
        """What is told of ``active``; ``None``: it is left out.

        While somebody is to lose access and still has it, ``false`` would claim a removal before it is true. ``true``
        is what is observed, but to a client that compares it hides the removal: should it want the person active by
        then, it would find nothing to send. RFC 7643 §2.5 has an unassigned attribute for what cannot be told.
        """
        if self.row.shown_active == self.row.active:
            return self.row.active
        return None if self.compared and not self.row.active else self.row.shown_active


def etag(row: ResourceRow) -> str:
    """Return the entity tag of a row (RFC 7644 §3.14)."""
    return f'W/"{row.version}"'


def location(base_url: str, row: ResourceRow) -> str:
    """Return the URL of a row.

    :param base_url: The root of the SCIM endpoints, without a slash at its end.
    """
    return f"{base_url}{ENDPOINTS[row.kind]}/{row.id}"


def timestamp(moment: datetime) -> str:
    """Return a moment as an xsd:dateTime in UTC (RFC 7643 §2.3.5)."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def resource(base_url: str, representation: Representation) -> bytes:
    """Return the whole representation of a resource."""
    row = representation.row
    parts = [_document(representation)]
    if representation.references or (row.kind == "Group" and representation.references is not None):
        parts.append(b'"groups":' if row.kind == "User" else b'"members":')
        parts[-1] += _compact([reference(base_url, row.kind, item) for item in representation.references])
    parts.append(
        f'"meta":{{"resourceType":"{row.kind}","created":"{timestamp(row.created_at)}",'
        f'"lastModified":"{timestamp(row.modified_at)}","location":{json.dumps(location(base_url, row))},'
        f'"version":"W/\\"{row.version}\\""}}}}'.encode()
    )
    return b",".join(parts)


def _document(representation: Representation) -> bytes:
    """Return the document without its closing brace."""
    row, active = representation.row, representation.active
    if active is row.active:
        return row.document[:-1]
    document = {name: value for name, value in json.loads(row.document).items() if name != "active"}
    return _compact(document if active is None else {**document, "active": active})[:-1]


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def reference(base_url: str, kind: Kind, item: GroupReference) -> dict[str, str]:
    """Return one value of ``groups`` (of a User) or ``members`` (of a Group)."""
    if kind == "User":
        url = f"{base_url}/Groups/{item.id}"
        return {"value": item.id, "$ref": url, "display": item.name, "type": "direct"}
    return {"value": item.id, "$ref": f"{base_url}/Users/{item.id}", "type": "User"}


def page(envelope: dict[str, object], resources: Sequence[bytes]) -> bytes:
    """Return a ListResponse (RFC 7644 §3.4.2).

    :param envelope: The ListResponse without resources.
    :param resources: The representations of this page, in order.
    """
    head = {key: value for key, value in envelope.items() if key != "Resources"} | {"itemsPerPage": len(resources)}
    return _compact(head)[:-1] + b',"Resources":[' + b",".join(resources) + b"]}"
