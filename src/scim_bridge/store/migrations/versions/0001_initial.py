"""The first tables."""

from alembic import op

from scim_bridge.store.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply the revision."""
    metadata.create_all(op.get_bind())
