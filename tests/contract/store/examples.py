"""Rows and resources that the store's tests are made of."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from scim2_models import Resource

from scim_bridge.models import Group, Kind, User
from scim_bridge.store import documents
from scim_bridge.store.rows import ResourceRow

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
CONNECTION = "acme"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def row_of(resource: Resource[Any], *, id: str | None = None, **changes: Any) -> ResourceRow:
    """Return the row of a resource, with some columns changed."""
    kind: Kind = "Group" if isinstance(resource, Group) else "User"
    name = getattr(resource, "user_name" if kind == "User" else "display_name")
    id_ = id or str(uuid4())
    row = ResourceRow(CONNECTION, id_, kind, name, documents.encode(resource, id_), NOON, NOON)
    return replace(row, **changes)


def user(user_name: str, **attributes: Any) -> User:
    """Return a User from SCIM's own attribute names."""
    document = {"schemas": [CORE], "userName": user_name, **attributes}
    resource: User = User.model_validate(document)
    return resource


def group(display_name: str) -> Group:
    """Return a Group."""
    return Group(display_name=display_name)
