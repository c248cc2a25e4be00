"""What SQLite's planner is told of the tables: the figures of a large customer, whatever the data.

Without figures SQLite answers ``userName eq`` by walking the list of all users, because that list is in the right
order. With ``ANALYZE`` its plans would follow the data of the day. Figures that never change give plans that never
change, and a test that asserts them.
"""

from sqlalchemy import Column, MetaData, Table, Text, delete, insert

from scim_bridge.store.transaction import Transaction

STATISTICS = {
    ("resource", "sqlite_autoindex_resource_1"): "100000 50000 1",
    ("resource", "sqlite_autoindex_resource_2"): "100000 50000 45000 1",
    ("resource", "resource_name"): "100000 50000 45000 1 1 1 1",
    ("resource", "resource_external_id"): "100000 50000 45000 1",
    ("resource", "resource_work"): "100000 50000 25000 10000 2 1 1",
    ("resource", "resource_list"): "100000 50000 45000 45000 1 1 1",
    ("attribute_value", "attribute_value"): "1500000 15 1 1 1",
    ("attribute_value", "attribute_value_text"): "1500000 750000 50000 5",
    ("attribute_value", "attribute_value_long"): "1000 500 20",
    ("member", "member"): "500000 250000 500 1",
    ("member", "member_user"): "500000 250000 5 1",
    ("member", "member_unsettled"): "1000 500 20 1",
    ("audit", "audit"): "1000000 500000 1",
    ("audit", "audit_resource"): "1000000 500000 10 1",
}
"""Of each index: how many rows, and how many share the same first column, first two columns, and so on."""

_statistics = Table("sqlite_stat1", MetaData(), Column("tbl", Text), Column("idx", Text), Column("stat", Text))


def write(connection: Transaction) -> None:
    """Write the figures and have the planner read them."""
    connection.exec_driver_sql("ANALYZE sqlite_schema")
    connection.execute(delete(_statistics))
    connection.execute(
        insert(_statistics), [{"tbl": table, "idx": index, "stat": stat} for (table, index), stat in STATISTICS.items()]
    )
    connection.exec_driver_sql("ANALYZE sqlite_schema")
