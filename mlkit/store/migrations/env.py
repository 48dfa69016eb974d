"""Tell alembic to use the connection and transaction that ``store.schema.upgrade`` opened."""

from alembic import context

from mlkit.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
