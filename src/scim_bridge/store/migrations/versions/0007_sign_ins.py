"""Whoever may open the console: one-time links and sessions."""

from alembic import op
from sqlalchemy import Column, LargeBinary, MetaData, Table

from scim_bridge.store.tables import NAMING, NUMBER, TEXT

revision = "0007"
down_revision = "0006"

sign_in = Table(
    "sign_in",
    MetaData(naming_convention=NAMING),
    Column("digest", LargeBinary, primary_key=True),
    Column("opens", TEXT, nullable=False),
    Column("person", TEXT, nullable=False),
    Column("role", TEXT, nullable=False),
    Column("expires_at", NUMBER, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)


def upgrade() -> None:
    """Apply the revision."""
    sign_in.create(op.get_bind())
