"""The history of one person or group is read without the rest of the audit chain."""

from alembic import op
from sqlalchemy import Column

from scim_bridge.store.tables import TEXT

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Apply the revision; entries that are there are found as well."""
    op.add_column("audit", Column("resource_id", TEXT))
    sqlite = op.get_bind().dialect.name == "sqlite"
    told = "json_extract(event, '$.id')" if sqlite else "CAST(event AS json) ->> 'id'"
    op.execute(f"UPDATE audit SET resource_id = {told}")  # noqa: S608 - of this module
    op.create_index("audit_resource", "audit", ["connection_id", "resource_id", "sequence"])
