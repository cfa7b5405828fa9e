"""One durable database: its connections, its transactions, its errors."""

from __future__ import annotations

import select
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError, StatementError
from sqlalchemy.pool import QueuePool

from idbroker.errors import OperatorError, StoreError
from idbroker.store.addresses import SqliteAddress
from idbroker.store.forks import follow_forks

CONNECT_SECONDS = 2
STATEMENT_SECONDS = 5
BUSY_SECONDS = 5

Answer = TypeVar("Answer")


class Database:
    """Statements and transactions on SQLite or PostgreSQL.

    Connections are in autocommit mode: one statement costs one round trip. `writing` begins and
    commits by itself where several statements belong together. Every driver error is a StoreError.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # SQLite: a transaction that reads first and asks to write later fails when another was faster.
        self._begin = "BEGIN IMMEDIATE" if engine.dialect.name == "sqlite" else "BEGIN"
        self._memory = isinstance(engine.pool, _MemoryPool)
        follow_forks(self)

    @property
    def dialect(self) -> str:
        """Return `sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Lend a connection; each statement on it commits by itself."""
        with _store_errors(), self._engine.connect() as connection:
            yield connection

    def reading(self, read: Callable[[Connection], Answer]) -> Answer:
        """Return what was read; once more on a new connection when the first one had gone."""
        with _store_errors():
            try:
                with self._engine.connect() as connection:
                    return read(connection)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            with self._engine.connect() as connection:
                return read(connection)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lend a connection in a transaction of its own: committed at the end, undone on any error."""
        with self.connected() as connection, transaction(connection, self._begin):
            yield connection

    def close(self) -> None:
        """Close the idle connections; the next call opens a new one."""
        self._engine.dispose()

    def before_fork(self) -> None:
        """Close the idle connections: SQLite's locks must not be inherited."""
        if not self._memory:
            self.close()

    def after_fork_in_child(self) -> None:
        """Start with no connection, leaving the parent's alone."""
        self._engine.dispose(close=False)


class _MemoryPool(QueuePool):
    """The one connection that is a database in memory; callers queue for it."""


@contextmanager
def transaction(connection: Connection, begin: str) -> Iterator[None]:
    """Begin, and at the end commit, or undo on any error."""
    connection.exec_driver_sql(begin)
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        _undo(connection)
        raise


def sqlite_database(address: SqliteAddress) -> Database:
    """Return the database in a file, or in memory."""
    memory = address.path is None
    engine = create_engine(
        f"sqlite+pysqlite:///{address.path or ':memory:'}",
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        hide_parameters=True,
        poolclass=_MemoryPool if memory else QueuePool,
        pool_size=1 if memory else 8,
        max_overflow=0 if memory else -1,
        pool_use_lifo=not memory,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    return Database(engine)


def postgresql_database(url: str, *, pool_size: int, prepare_threshold: int | None) -> Database:
    """Return the database at a libpq URL, which the driver reads itself: several hosts and all options pass.

    `prepare_threshold` is after how many runs a statement is prepared; None for never, as a
    connection pooler in front may need. OperatorError when the driver is not installed.
    """
    libpq = "postgresql://" + url.partition("://")[2]
    wished = {
        "connect_timeout": CONNECT_SECONDS,
        "prepare_threshold": prepare_threshold,
        "autocommit": True,
        # A server that vanished without a word is noticed, instead of waiting for TCP's quarter of an hour.
        "tcp_user_timeout": STATEMENT_SECONDS * 1000,
        "keepalives_idle": 30,
        "application_name": "idbroker",
    }
    # What the operator wrote into the address wins.
    options = {name: value for name, value in wished.items() if f"{name}=" not in libpq}
    try:
        engine = create_engine(
            "postgresql+psycopg://",
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            hide_parameters=True,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=STATEMENT_SECONDS,
            pool_use_lifo=True,
        )
    except ModuleNotFoundError as error:
        raise OperatorError(
            "the PostgreSQL driver is not installed", hint="pip install 'psycopg[binary]'", code="store_driver"
        ) from error

    def connect(dialect: Any, _record: Any, _arguments: Any, _named: Any) -> Any:
        return dialect.loaded_dbapi.connect(libpq, **options)

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", _prepare_postgresql)
    event.listen(engine, "checkout", _check_idle)
    return Database(engine)


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # NORMAL: what is committed survives the death of the process; a power cut may lose the last
    # moments, never the file. FULL waits for the disk at each commit: 232 us for a sign-in instead
    # of 14, and whoever cannot lose a moment runs PostgreSQL with a standby.
    for setting in ("synchronous=NORMAL", "foreign_keys=ON", "secure_delete=FAST", "journal_size_limit=16777216"):
        connection.execute(f"PRAGMA {setting}").fetchall()


def _prepare_postgresql(connection: Any, _record: object) -> None:
    """Bound every statement. As statements, not start-up options: a connection pooler refuses those."""
    connection.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
    connection.execute(f"SET idle_in_transaction_session_timeout = '{2 * STATEMENT_SECONDS}s'")


def _check_idle(connection: Any, _record: object, _proxy: object) -> None:
    """Replace an idle connection that the server has closed: its socket can be read, to its end.

    Costs a microsecond, where asking the server would cost a round trip; and after a restart of
    the server not even a write, which must not be repeated, meets a dead connection.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError("the server closed an idle connection")


def _undo(connection: Connection) -> None:
    """Roll back; a connection that cannot is thrown away, and its transaction with it."""
    try:
        connection.exec_driver_sql("ROLLBACK")
    except SQLAlchemyError:
        connection.invalidate()


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise StoreError("the database does not answer") from error
    except StatementError as error:
        # It never reached the driver: a value of ours that does not fit its column.
        raise ValueError("a value cannot be stored") from error
    except SQLAlchemyError as error:
        raise StoreError("the database does not answer") from error


def ping(database: Database) -> None:
    """Return if the database answers. StoreError otherwise."""
    database.reading(lambda connection: connection.execute(text("SELECT 1")))
