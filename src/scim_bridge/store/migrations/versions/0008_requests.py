"""Requests are kept for some days, with the calls and entries of the audit chain that they caused."""

from alembic import op
from sqlalchemy import Column, Identity, MetaData, Table, text

from scim_bridge.store.tables import NAMING, NUMBER, SMALL, TEXT

revision = "0008"
down_revision = "0007"

metadata = MetaData(naming_convention=NAMING)
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
APART = "method != 'GET' OR status >= 400"


def _index(name: str, table: str, columns: list[str], where: str | None = None) -> None:
    condition = None if where is None else text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    """Apply the revision; entries of the chain that are there are found by their request as well."""
    connection = op.get_bind()
    metadata.create_all(connection)
    _index("request_connection", "request", ["connection_id", "sequence"])
    _index("request_apart", "request", ["connection_id", "sequence"], APART)
    _index("request_target", "request", ["target"], APART)
    _index("request_id", "request", ["request_id"])
    _index("call_request", "call", ["request_id"])
    op.add_column("audit", Column("request_id", TEXT))
    sqlite = connection.dialect.name == "sqlite"
    told = "json_extract(event, '$.request')" if sqlite else "CAST(event AS json) ->> 'request'"
    op.execute(f"UPDATE audit SET request_id = {told}")  # noqa: S608 - of this module
    _index("audit_request", "audit", ["request_id"], "request_id IS NOT NULL")
