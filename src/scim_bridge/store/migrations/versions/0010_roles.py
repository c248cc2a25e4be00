"""Whether a membership is asked for by the roles of a person, or by the group."""

from alembic import op
from sqlalchemy import Column

from scim_bridge.store.tables import NUMBER

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Apply the revision; what is there was asked for by groups."""
    op.add_column("member", Column("by_role", NUMBER, nullable=False, server_default="0"))
