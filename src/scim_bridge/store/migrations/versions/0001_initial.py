"""The first tables.

A frozen copy of :mod:`scim_bridge.store.tables` as it was then; only the column types are shared.
"""

from alembic import op
from sqlalchemy import Column, ForeignKey, Identity, Index, LargeBinary, MetaData, Table, UniqueConstraint

from scim_bridge.store.tables import NAMING, NUMBER, REAL, SMALL, TEXT, Flag

revision = "0001"
down_revision = None

metadata = MetaData(naming_convention=NAMING)

resource = Table(
    "resource",
    metadata,
    Column("sequence", NUMBER, Identity(always=True), primary_key=True),
    Column("connection_id", TEXT, nullable=False),
    Column("id", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("name", TEXT, nullable=False),
    Column("name_key", TEXT, nullable=False),
    Column("external_id", TEXT),
    Column("external_id_key", TEXT),
    Column("remote_id", TEXT),
    Column("document", LargeBinary, nullable=False),
    Column("created_at", NUMBER, nullable=False),
    Column("modified_at", NUMBER, nullable=False),
    Column("active", Flag, nullable=False),
    Column("shown_active", Flag, nullable=False),
    Column("unique_name", Flag, nullable=False),
    Column("generation", NUMBER, nullable=False),
    Column("observed_generation", NUMBER, nullable=False),
    Column("observed", TEXT),
    Column("ambiguous", Flag, nullable=False),
    Column("ownership", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("lane", SMALL, nullable=False),
    Column("attempt", NUMBER, nullable=False),
    Column("due_at", NUMBER, nullable=False),
    Column("refusal", TEXT),
    Column("deleted", Flag, nullable=False),
    Column("answered", Flag, nullable=False),
    Column("version", NUMBER, nullable=False),
    UniqueConstraint("connection_id", "id"),
    UniqueConstraint("connection_id", "kind", "remote_id"),
    sqlite_strict=True,
)

Index(
    "resource_unique_name",
    resource.c.connection_id,
    resource.c.kind,
    resource.c.name_key,
    unique=True,
    sqlite_where=resource.c.unique_name & ~resource.c.deleted,
    postgresql_where=resource.c.unique_name & ~resource.c.deleted,
)
Index("resource_name", resource.c.connection_id, resource.c.kind, resource.c.name_key)
Index("resource_external_id", resource.c.connection_id, resource.c.kind, resource.c.external_id_key)
Index(
    "resource_work",
    resource.c.connection_id,
    resource.c.state,
    resource.c.lane,
    resource.c.due_at,
    resource.c.sequence,
    resource.c.kind,
)
Index(
    "resource_list",
    resource.c.connection_id,
    resource.c.kind,
    resource.c.deleted,
    resource.c.created_at,
    resource.c.id,
    resource.c.ownership,
)

attribute_value = Table(
    "attribute_value",
    metadata,
    Column("resource", NUMBER, ForeignKey("resource.sequence", ondelete="CASCADE"), primary_key=True),
    Column("path", TEXT, primary_key=True),
    Column("element", NUMBER, primary_key=True),
    Column("ordinal", NUMBER, primary_key=True),
    Column("connection_id", TEXT, nullable=False),
    Column("text", TEXT),
    Column("long_text", TEXT),
    Column("number", NUMBER),
    Column("decimal", REAL),
    Column("present", Flag, nullable=False),
    Column("leading", Flag, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

Index("attribute_value_text", attribute_value.c.connection_id, attribute_value.c.path, attribute_value.c.text)

member = Table(
    "member",
    metadata,
    Column("connection_id", TEXT, primary_key=True),
    Column("group_id", TEXT, primary_key=True),
    Column("user_id", TEXT, primary_key=True),
    Column("desired", Flag, nullable=False),
    Column("observed", Flag, nullable=False),
    Column("changed_at", NUMBER, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

Index("member_user", member.c.connection_id, member.c.user_id, member.c.group_id)
Index(
    "member_unsettled",
    member.c.connection_id,
    member.c.group_id,
    member.c.user_id,
    sqlite_where=member.c.desired != member.c.observed,
    postgresql_where=member.c.desired != member.c.observed,
)

connector_state = Table(
    "connector_state",
    metadata,
    Column("connection_id", TEXT, primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
    Column("changed_at", NUMBER, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

token = Table(
    "token",
    metadata,
    Column("lookup_id", TEXT, primary_key=True),
    Column("connection_id", TEXT, nullable=False),
    Column("label", TEXT, nullable=False),
    Column("scopes", TEXT, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("created_at", NUMBER, nullable=False),
    Column("expires_at", NUMBER),
    Column("revoked_at", NUMBER),
    Column("used_at", NUMBER),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

Index("token_connection", token.c.connection_id)

audit = Table(
    "audit",
    metadata,
    Column("connection_id", TEXT, primary_key=True),
    Column("sequence", NUMBER, primary_key=True),
    Column("at", NUMBER, nullable=False),
    Column("event", TEXT, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("connection_id", TEXT, primary_key=True),
    Column("sequence", NUMBER, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

ownership = Table(
    "ownership",
    metadata,
    Column("connection_id", TEXT, primary_key=True),
    Column("owner", TEXT, nullable=False),
    Column("since", NUMBER, nullable=False),
    Column("heartbeat_at", NUMBER, nullable=False),
    Column("circuit", TEXT),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)


def upgrade() -> None:
    """Apply the revision."""
    metadata.create_all(op.get_bind())
