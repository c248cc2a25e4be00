"""Between scim2-models' objects and the JSON documents of the store."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from scim2_models import Meta, Resource, ScimPolicy

from scim_bridge.store.rows import ResourceRow

ResourceT = TypeVar("ResourceT", bound=Resource[Any])

NOT_STORED = ("meta", "groups", "members", "password")
"""Attributes that are columns or rows of their own, or are never kept."""

_TOLERANT = ScimPolicy(unknown=ScimPolicy.Unknown.ignore)


def encode(resource: Resource[Any], id: str) -> bytes:
    """Return the document of a resource: compact UTF-8 JSON.

    :param resource: A User or Group of any extension.
    :param id: The SCIM id to write into it.
    """
    if getattr(resource, "members", None):  # to dump thousands of them, and leave them out, takes most of the time
        resource = resource.model_copy(update={"members": None})
    document: dict[str, Any] = {"schemas": [], "id": id}
    document |= {name: value for name, value in resource.model_dump().items() if name not in (*NOT_STORED, "id")}
    if "active" in type(resource).model_fields:
        document.setdefault("active", True)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def decode(row: ResourceRow, model: type[ResourceT]) -> ResourceT:
    """Return a row as an object, with ``id`` and ``meta``, without ``groups`` and ``members``.

    Attributes of an extension that is no longer configured are left out.

    :param row: The row.
    :param model: The model of its kind.
    """
    document: Mapping[str, Any] = json.loads(row.document)
    resource = model.model_validate(document, scim_policy=_TOLERANT)
    resource.meta = Meta(
        resource_type=row.kind,
        created=row.created_at,
        last_modified=row.modified_at,
        version=row.etag,
    )
    return resource
