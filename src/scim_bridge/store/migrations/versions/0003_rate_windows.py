"""What all processes together sent to a remote account lately."""

from alembic import op
from sqlalchemy import Column, MetaData, Table

from scim_bridge.store.tables import NAMING, TEXT

revision = "0003"
down_revision = "0002"

rate_window = Table(
    "rate_window",
    MetaData(naming_convention=NAMING),
    Column("account", TEXT, primary_key=True),
    Column("calls", TEXT, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)


def upgrade() -> None:
    """Apply the revision."""
    rate_window.create(op.get_bind())
