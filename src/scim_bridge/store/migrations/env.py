"""Run by Alembic: apply the revisions on the connection, and in the transaction, that the caller holds."""

from alembic import context

from scim_bridge.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # Alembic takes SQLite for a database without transactional DDL, which would leave half a revision after a crash.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
