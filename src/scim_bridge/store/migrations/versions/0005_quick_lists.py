"""Lists are as quick in a large directory as in a small one: names in order, long texts apart, and a count kept."""

from alembic import op
from sqlalchemy import Column, MetaData, Table, text

from scim_bridge.store.tables import NAMING, NUMBER, TEXT

revision = "0005"
down_revision = "0004"

listed = Table(
    "listed",
    MetaData(naming_convention=NAMING),
    Column("connection_id", TEXT, primary_key=True),
    Column("kind", TEXT, primary_key=True),
    Column("ownership", TEXT, primary_key=True),
    Column("number", NUMBER, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

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


def upgrade() -> None:
    """Apply the revision."""
    op.drop_index("resource_name", "resource")
    op.create_index("resource_name", "resource", ["connection_id", "kind", "name_key", "id", "deleted", "ownership"])
    op.create_index(
        "attribute_value_long",
        "attribute_value",
        ["connection_id", "path"],
        sqlite_where=text("long_text IS NOT NULL"),
        postgresql_where=text("long_text IS NOT NULL"),
    )
    connection = op.get_bind()
    listed.create(connection)
    if connection.dialect.name == "sqlite":
        op.execute(
            "INSERT INTO listed SELECT connection_id, kind, ownership, count(*) FROM resource WHERE NOT deleted"
            " GROUP BY connection_id, kind, ownership"
        )
        for trigger in COUNTING:
            op.execute(trigger)
