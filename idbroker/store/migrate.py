"""Bringing the durable tables to this version."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from idbroker.errors import OperatorError
from idbroker.store.database import Database
from idbroker.store.schema import REVISION

HAS_REVISION = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    "postgresql": "SELECT to_regclass('alembic_version')",
}
# One worker migrates and the others wait for it; any number serves, as long as nobody else uses it.
LOCK = {
    "sqlite": ("PRAGMA busy_timeout = 60000", "PRAGMA foreign_keys = OFF", "BEGIN EXCLUSIVE"),
    "postgresql": ("BEGIN", "SET LOCAL statement_timeout = 0", "SELECT pg_advisory_xact_lock(7320518264411)"),
}


def upgrade_needed(database: Database) -> bool:
    """Tell whether the tables are not those of this version."""
    return database.reading(current_revision) != REVISION


def migrate(database: Database) -> None:
    """Bring the tables to this version, all or nothing. OperatorError when they are a newer version's."""
    if not upgrade_needed(database):
        return
    with database.writing(*LOCK[database.dialect]) as connection:
        # Another worker may have done it while we waited for the lock.
        if current_revision(connection) != REVISION:
            _upgrade(connection)
    database.renew()


def current_revision(connection: Connection) -> str | None:
    """Return the revision the tables are at; None when there are none."""
    if connection.exec_driver_sql(HAS_REVISION[connection.dialect.name]).scalar() is None:
        return None
    revision: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return revision


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
