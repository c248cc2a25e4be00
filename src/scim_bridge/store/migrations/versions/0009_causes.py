"""What is not settled remembers which request caused it, also beyond a restart and on another replica."""

from alembic import op
from sqlalchemy import Column

from scim_bridge.store.tables import TEXT

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Apply the revision; what waits already has its cause in the audit chain only."""
    op.add_column("resource", Column("request_id", TEXT))
