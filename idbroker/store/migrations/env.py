"""What Alembic runs: our migrations on the connection it was given, inside that one's transaction."""

from __future__ import annotations

from alembic import context

from idbroker.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite alters a table by copying it.
    render_as_batch=True,
    # The table of the host rule is not one of ours: see hosts.py.
    include_name=lambda name, kind, _parents: kind != "table" or name in metadata.tables,
)
with context.begin_transaction():
    context.run_migrations()
