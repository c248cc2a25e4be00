"""The tables, for every statement of this package. Revisions under :mod:`scim_bridge.store.migrations` create them.

Times are whole microseconds since 1970 (UTC): exact, ordered alike on both databases, and cheap to read. Keys compare
byte by byte (collation ``C``; SQLite does so anyway), as Python compares strings.
"""

from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    event,
    false,
    or_,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeEngine

NAMING = {
    "pk": "%(table_name)s_pk",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "fk": "%(table_name)s_%(column_0_N_name)s_fk",
}
"""How constraints are named, so that later revisions can name them."""

metadata = MetaData(naming_convention=NAMING)

NAME_LENGTH = 500
"""The longest indexed name or external id, in characters: PostgreSQL refuses index entries over 2,704 bytes."""

PREFIX_LENGTH = 200
"""How many characters of a comparison key are indexed; the rest stands beside it."""


class Flag(Boolean):
    """A boolean whose SQLite column type is one that STRICT tables know."""

    cache_ok = True


@compiles(Flag, "sqlite")
def _flag_of_sqlite(*_: Any, **__: Any) -> str:
    return "INTEGER"


TEXT = Text(collation="C").with_variant(Text(), "sqlite")
NUMBER = BigInteger().with_variant(Integer(), "sqlite")
REAL: TypeEngine[float] = Double().with_variant(sqlite.REAL(), "sqlite")
SMALL = SmallInteger().with_variant(Integer(), "sqlite")

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
    Column("may_make", Flag, nullable=False, server_default=false()),
    Column("request_id", TEXT),
    UniqueConstraint("connection_id", "id"),
    UniqueConstraint("connection_id", "kind", "remote_id"),
    sqlite_strict=True,
)
"""One row per User and Group (:class:`~scim_bridge.store.rows.ResourceRow`). ``due_at`` 0 means now.

``request_id`` is that of the request that caused the generation, while it is not settled.
"""

Index(
    "resource_unique_name",
    resource.c.connection_id,
    resource.c.kind,
    resource.c.name_key,
    unique=True,
    sqlite_where=resource.c.unique_name & ~resource.c.deleted,
    postgresql_where=resource.c.unique_name & ~resource.c.deleted,
)
Index(
    "resource_name",
    resource.c.connection_id,
    resource.c.kind,
    resource.c.name_key,
    resource.c.id,
    resource.c.deleted,
    resource.c.ownership,
)
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
"""The comparable values of each resource, for filters and sorting (:mod:`scim_bridge.store.index`)."""

Index("attribute_value_text", attribute_value.c.connection_id, attribute_value.c.path, attribute_value.c.text)

Index(
    "attribute_value_long",
    attribute_value.c.connection_id,
    attribute_value.c.path,
    sqlite_where=attribute_value.c.long_text.is_not(None),
    postgresql_where=attribute_value.c.long_text.is_not(None),
)

listed = Table(
    "listed",
    metadata,
    Column("connection_id", TEXT, primary_key=True),
    Column("kind", TEXT, primary_key=True),
    Column("ownership", TEXT, primary_key=True),
    Column("number", NUMBER, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""How many resources there are that are not deleted. SQLite counts them as they are written; PostgreSQL does not: its
writers would wait for each other's count.
"""

COUNTING = (
    """\
CREATE TRIGGER resource_listed_insert AFTER INSERT ON resource WHEN NOT new.deleted BEGIN
INSERT INTO listed VALUES (new.connection_id, new.kind, new.ownership, 1)
ON CONFLICT DO UPDATE SET number = number + 1; END""",
    """\
CREATE TRIGGER resource_listed_delete AFTER DELETE ON resource WHEN NOT old.deleted BEGIN
UPDATE listed SET number = number - 1
WHERE connection_id = old.connection_id AND kind = old.kind AND ownership = old.ownership; END""",
    """\
CREATE TRIGGER resource_listed_update AFTER UPDATE OF deleted, ownership ON resource
WHEN new.deleted <> old.deleted OR new.ownership <> old.ownership BEGIN
UPDATE listed SET number = number - (NOT old.deleted)
WHERE connection_id = old.connection_id AND kind = old.kind AND ownership = old.ownership;
INSERT INTO listed VALUES (new.connection_id, new.kind, new.ownership, NOT new.deleted)
ON CONFLICT DO UPDATE SET number = number + (NOT new.deleted); END""",
)
"""What counts :data:`listed` on SQLite."""

for _trigger in COUNTING:
    event.listen(listed, "after_create", DDL(_trigger).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call] # SQLAlchemy has not typed it

member = Table(
    "member",
    metadata,
    Column("connection_id", TEXT, primary_key=True),
    Column("group_id", TEXT, primary_key=True),
    Column("user_id", TEXT, primary_key=True),
    Column("desired", Flag, nullable=False),
    Column("observed", Flag, nullable=False),
    Column("changed_at", NUMBER, nullable=False),
    Column("doubtful", Flag, nullable=False, server_default=false()),
    Column("by_role", NUMBER, nullable=False, server_default="0"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Who is in which group: as the client wants it (desired), as the remote system was seen to hold it (observed).

Observed and *doubtful*: it may be held, or not, since a call about it was under way when the client changed its mind.
``by_role``: whether a User's ``roles`` or ``entitlements`` ask for it: 1 alone, 2 besides the group, 0 not.
"""

_UNSETTLED = or_(member.c.desired != member.c.observed, member.c.doubtful)
Index("member_user", member.c.connection_id, member.c.user_id, member.c.group_id)
Index(
    "member_unsettled",
    member.c.connection_id,
    member.c.group_id,
    member.c.user_id,
    sqlite_where=_UNSETTLED,
    postgresql_where=_UNSETTLED,
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
"""What a connector remembers across restarts (:class:`~scim_bridge.connector.ConnectorState`)."""

rate_window = Table(
    "rate_window",
    metadata,
    Column("account", TEXT, primary_key=True),
    Column("calls", TEXT, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""When each process last called a remote account (:mod:`scim_bridge.store.rate_windows`)."""

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
"""Inbound bearer tokens: the SHA-256 only (:mod:`scim_bridge.store.tokens`)."""

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
    Column("resource_id", TEXT),
    Column("request_id", TEXT),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What happened, chained by hashes (:mod:`scim_bridge.store.audit`). ``resource_id`` repeats the event's ``id``,
``request_id`` its ``request``.
"""

Index("audit_resource", audit.c.connection_id, audit.c.resource_id, audit.c.sequence)
Index(
    "audit_request",
    audit.c.request_id,
    sqlite_where=audit.c.request_id.is_not(None),
    postgresql_where=audit.c.request_id.is_not(None),
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
"""The last audit event of each connection; its row lock serialises appends on PostgreSQL."""

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
"""Which replica drives a connection (:mod:`scim_bridge.store.leadership`); times are the server's."""

sign_in = Table(
    "sign_in",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("opens", TEXT, nullable=False),
    Column("person", TEXT, nullable=False),
    Column("role", TEXT, nullable=False),
    Column("expires_at", NUMBER, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""One-time links and sessions of the console, by the SHA-256 of what the browser holds (:mod:`.sign_ins`)."""

request = Table(
    "request",
    metadata,
    Column("sequence", NUMBER, Identity(always=True), primary_key=True),
    Column("at", NUMBER, nullable=False),
    Column("connection_id", TEXT, nullable=False),
    Column("request_id", TEXT, nullable=False),
    Column("method", TEXT, nullable=False),
    Column("action", TEXT, nullable=False),
    Column("kind", TEXT),
    Column("target", TEXT),
    Column("status", SMALL, nullable=False),
    Column("microseconds", NUMBER, nullable=False),
    Column("token", TEXT),
    Column("told", TEXT),
    sqlite_strict=True,
)
"""What each request asked for, and how it ended (:mod:`scim_bridge.store.request_log`)."""

TOLD_APART = or_(request.c.method != "GET", request.c.status >= 400)
"""What is more than a read that went well. Of the others there are many times more."""

Index("request_connection", request.c.connection_id, request.c.sequence)
Index(
    "request_apart",
    request.c.connection_id,
    request.c.sequence,
    sqlite_where=TOLD_APART,
    postgresql_where=TOLD_APART,
)
Index("request_target", request.c.target, sqlite_where=TOLD_APART, postgresql_where=TOLD_APART)
Index("request_id", request.c.request_id)

call = Table(
    "call",
    metadata,
    Column("sequence", NUMBER, Identity(always=True), primary_key=True),
    Column("at", NUMBER, nullable=False),
    Column("request_id", TEXT, nullable=False),
    Column("method", TEXT, nullable=False),
    Column("route", TEXT, nullable=False),
    Column("outcome", TEXT, nullable=False),
    Column("microseconds", NUMBER, nullable=False),
    Column("attempt", SMALL, nullable=False),
    sqlite_strict=True,
)
"""The calls to remote systems that requests caused (:mod:`scim_bridge.store.request_log`)."""

Index("call_request", call.c.request_id)
