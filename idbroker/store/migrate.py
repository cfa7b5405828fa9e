"""Bringing the durable tables to this version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection

from idbroker.errors import OperatorError
from idbroker.store.database import BUSY_SECONDS, Database, transaction
from idbroker.store.schema import REVISION

HAS_REVISION = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    "postgresql": "SELECT to_regclass('alembic_version')",
}
# A migration may take its time, and SQLite alters a table by copying it, which must not cascade.
BEFORE = {"sqlite": ("PRAGMA busy_timeout = 60000", "PRAGMA foreign_keys = OFF"), "postgresql": ()}
AFTER = {"sqlite": (f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}", "PRAGMA foreign_keys = ON"), "postgresql": ()}
BEGIN = {"sqlite": "BEGIN EXCLUSIVE", "postgresql": "BEGIN"}
# One worker migrates and the others wait for it. Any number serves that nobody else uses.
LOCK = {"sqlite": (), "postgresql": ("SET LOCAL statement_timeout = 0", "SELECT pg_advisory_xact_lock(7320518264411)")}


def upgrade_needed(database: Database) -> bool:
    """Tell whether the tables are not those of this version."""
    return database.reading(current_revision) != REVISION


def migrate(database: Database) -> None:
    """Bring the tables to this version, all or nothing. OperatorError when they are a newer version's."""
    if not upgrade_needed(database):
        return
    with database.connected() as connection:
        _run(connection, BEFORE)
        try:
            with transaction(connection, BEGIN[database.dialect]):
                _run(connection, LOCK)
                # Another worker may have done it while we waited for the lock.
                if current_revision(connection) != REVISION:
                    _upgrade(connection)
        finally:
            _run(connection, AFTER)


def current_revision(connection: Connection) -> str | None:
    """Return the revision the tables are at; None when there are none."""
    if connection.exec_driver_sql(HAS_REVISION[connection.dialect.name]).scalar() is None:
        return None
    revision: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return revision


def _run(connection: Connection, statements: Mapping[str, Sequence[str]]) -> None:
    for statement in statements[connection.dialect.name]:
        connection.exec_driver_sql(statement)


def _upgrade(connection: Connection) -> None:
    # A start with nothing to migrate should not pay for loading Alembic.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise OperatorError(
            "the database belongs to another version of idbroker",
            hint="start the version that migrated it, or a newer one",
            code="store_version",
        ) from error
