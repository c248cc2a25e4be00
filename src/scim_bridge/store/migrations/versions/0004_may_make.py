"""Whether a client has said that an account is to be there: only then it is made."""

from alembic import op
from sqlalchemy import Column, false, text

from scim_bridge.store.tables import Flag

revision = "0004"
down_revision = "0003"

CREATE_LANE = 2


def upgrade() -> None:
    """Apply the revision; what was being created, or let in again, still is."""
    op.add_column("resource", Column("may_make", Flag, nullable=False, server_default=false()))
    op.execute(
        text(
            "UPDATE resource SET may_make = :yes WHERE kind = 'User' AND active = :yes AND state <> 'settled'"
            " AND (observed_generation = 0 OR lane = :lane)"
        ).bindparams(yes=True, lane=CREATE_LANE)
    )
