"""Writes representations: the stored bytes with what is derived spliced in, no model in between.

A stored document is a JSON object without ``meta``, ``groups`` and ``members``; they are appended before its closing
brace. Only ``attributes`` and ``excludedAttributes`` need a model
(:meth:`~scim_bridge.protocol.service.BridgeService.projected`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from scim_bridge.models import Kind
from scim_bridge.protocol.entitlements import Values
from scim_bridge.store.rows import Membership, ResourceRow, entity_tag
from scim_bridge.store.shown import Shown

ENDPOINTS: dict[Kind, str] = {"User": "/Users", "Group": "/Groups"}

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of UTC: a date without a zone is written in a third of the time
_ascii = json.JSONEncoder().encode
_plain = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Representation:
    """What a response needs of one resource.

    :param row: The stored row.
    :param groups: The groups of a User; ``None``: not loaded, not to be shown.
    :param members: The ids of the members of a Group; ``None``: not loaded, not to be shown.
    :param compared: Whether the client sends what differs from what it reads.
    :param held: Of a User, what they hold; ``None``: the remote system does not tell.
    """

    row: ResourceRow
    groups: Sequence[Membership] | None = None
    members: Sequence[str] | None = None
    compared: bool = False
    held: Values | None = None

    @property
    def active(self) -> bool | None:
        """What is told of ``active`` of a User; ``None``: it is left out.

        While somebody is to lose access and still has it, ``false`` would claim a removal before it is true. ``true``
        is what is observed, but to a client that compares it hides the removal: should it want the person active by
        then, it would find nothing to send. RFC 7643 §2.5 has an unassigned attribute for what cannot be told.
        """
        return told_active(self.row.active, self.row.shown_active, compared=self.compared)


def told_active(wanted: bool, shown: bool, *, compared: bool) -> bool | None:  # noqa: FBT001 - two columns
    """Return what is told of ``active``; see :attr:`Representation.active`."""
    if shown == wanted:
        return wanted
    return None if compared and not wanted else shown


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
    is_user = row.kind == "User"  # a Group has no ``active``, whatever its row says of it
    document = row.document if representation.held is None else with_held(row.document, representation.held)
    parts = [_user_document(document, row.active, representation.active) if is_user else document[:-1]]
    if representation.groups:
        parts.append(b'"groups":' + _compact([group_value(base_url, item) for item in representation.groups]))
    if representation.members is not None:
        parts.append(b'"members":' + _members(base_url, representation.members))
    parts.append(_meta(base_url, row.kind, row.id, timestamp(row.created_at), timestamp(row.modified_at), row.version))
    return b",".join(parts)


def with_held(document: bytes, held: Values) -> bytes:
    """Return the document of a User with what they hold, instead of what was asked for."""
    if any(f'"{name}"'.encode() in document for name in held):
        document = _compact({name: value for name, value in json.loads(document).items() if name not in held})
    told = {name: values for name, values in held.items() if values}
    return document[:-1] + b"," + _compact(told)[1:] if told else document


def _meta(base_url: str, kind: Kind, id: str, created: str, modified: str, version: int) -> bytes:  # noqa: PLR0917 - the columns of a row
    """Return ``meta`` as the last member of a resource, with the resource's closing brace."""
    place = _ascii(f"{base_url}{ENDPOINTS[kind]}/{id}")
    tag = entity_tag(version).replace('"', r"\"")
    return (
        f'"meta":{{"resourceType":"{kind}","created":"{created}","lastModified":"{modified}",'
        f'"location":{place},"version":"{tag}"}}}}'
    ).encode()


def _user_document(document: bytes, wanted: bool, told: bool | None) -> bytes:  # noqa: FBT001 - two columns
    """Return the document of a User, with what is told of ``active``, without its closing brace."""
    if told is wanted:
        return document[:-1]
    others = {name: value for name, value in json.loads(document).items() if name != "active"}
    return _compact(others if told is None else {**others, "active": told})[:-1]


def user(base_url: str, shown: Shown, groups: Sequence[tuple[str, str]], *, compared: bool) -> bytes:
    """Return what :func:`resource` does of a User, without the objects in between.

    :param groups: Id and name of each group.
    :param compared: Whether the client sends what differs from what it reads.
    """
    wanted = bool(shown.active)
    head = _user_document(shown.document, wanted, told_active(wanted, bool(shown.shown_active), compared=compared))
    if groups:
        head += f',"groups":[{",".join([_held(base_url, *one) for one in groups])}]'.encode()
    return head + b"," + _shown_meta(base_url, "User", shown)


@lru_cache(maxsize=1024)
def _held(base_url: str, id: str, name: str) -> str:
    """Return one value of ``groups``; the people of a page have the same groups."""
    place = f"{base_url}/Groups/{id}"
    return f'{{"value":{_plain(id)},"$ref":{_plain(place)},"display":{_plain(name)},"type":"direct"}}'


def group(base_url: str, shown: Shown, members: Sequence[str] | None) -> bytes:
    """Return what :func:`resource` does of a Group, without the objects in between.

    :param members: The ids of its members; ``None``: they are not shown.
    """
    head = shown.document[:-1]
    if members is not None:
        head += b',"members":' + _members(base_url, members)
    return head + b"," + _shown_meta(base_url, "Group", shown)


def _members(base_url: str, ids: Sequence[str]) -> bytes:
    """Return ``members`` as :func:`member_value` has each: they may be thousands, so that one formatting makes it."""
    together = "".join(ids)
    if not (together.isascii() and together.isprintable()) or '"' in together or "\\" in together:
        ids = [json.dumps(id_, ensure_ascii=False)[1:-1] for id_ in ids]
    place = json.dumps(f"{base_url}/Users/", ensure_ascii=False)[1:-1]
    values = ",".join([f'{{"value":"{id_}","$ref":"{place}{id_}","type":"User"}}' for id_ in ids])
    return f"[{values}]".encode()


def _shown_meta(base_url: str, kind: Kind, shown: Shown) -> bytes:
    created, modified = _instant(shown.created_at), _instant(shown.modified_at)
    return _meta(base_url, kind, shown.id, created, modified, shown.version)


def _instant(microseconds: int) -> str:
    """Return what :func:`timestamp` does of a time as the store has it."""
    return f"{(_EPOCH + timedelta(microseconds=microseconds)).isoformat()}Z"


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def group_value(base_url: str, item: Membership) -> dict[str, str]:
    """Return one value of ``groups``."""
    return {"value": item.id, "$ref": f"{base_url}/Groups/{item.id}", "display": item.name, "type": "direct"}


def member_value(base_url: str, id: str) -> dict[str, str]:
    """Return one value of ``members``."""
    return {"value": id, "$ref": f"{base_url}/Users/{id}", "type": "User"}


def page(envelope: dict[str, object], resources: Sequence[bytes]) -> bytes:
    """Return a ListResponse (RFC 7644 §3.4.2).

    :param envelope: The ListResponse without resources.
    :param resources: The representations of this page, in order.
    """
    head = {key: value for key, value in envelope.items() if key != "Resources"} | {"itemsPerPage": len(resources)}
    return _compact(head)[:-1] + b',"Resources":[' + b",".join(resources) + b"]}"
