"""Members that may be held, or not: a client changed its mind while a call was under way."""

from alembic import op
from sqlalchemy import Column, false, text

from scim_bridge.store.tables import Flag

revision = "0002"
down_revision = "0001"

INDEXED = ["connection_id", "group_id", "user_id"]


def upgrade() -> None:
    """Apply the revision."""
    op.add_column("member", Column("doubtful", Flag, nullable=False, server_default=false()))
    op.drop_index("member_unsettled", "member")
    op.create_index(
        "member_unsettled",
        "member",
        INDEXED,
        sqlite_where=text("desired != observed OR doubtful = 1"),
        postgresql_where=text("desired != observed OR doubtful"),
    )
