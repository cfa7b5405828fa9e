"""The durable store's own life: tables, look-ups, a database that goes and comes back."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from idbroker.clock import StoppedClock
from idbroker.errors import OperatorError, StoreError
from idbroker.events import Event
from idbroker.evidence import Evidence, SealedEvidence
from idbroker.person import PersonKey
from idbroker.store import Durable, open_durable
from idbroker.store import schema as tables
from tests import servers
from tests.store.rivals import PROCESSES, THREADS, fight

DAY = timedelta(days=1)
MIGRATIONS = Path(tables.__file__).with_name("migrations")


def test_migrations_make_what_the_code_expects(durable: Durable, durable_url: str) -> None:
    """The migrated tables and the ones in schema.py are the same, by Alembic's own comparison."""
    engine = sa.create_engine(durable_url)
    with engine.connect() as connection:
        others = {("table", "host"), ("index", "consent_held"), ("index", "guardianship_holds")}  # schema.py says why
        options = {"compare_type": True, "include_name": lambda name, kind, _: (kind, name) not in others}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata)
    engine.dispose()

    assert differences == []


def test_the_newest_migration_is_the_revision() -> None:
    """schema.REVISION is the one head of the migrations, or starting would never be quick."""
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [tables.REVISION]


def test_migrating_twice_does_nothing(durable_url: str, clock: StoppedClock) -> None:
    """Fresh tables are needed once; after that the check alone is made, and nothing is lost."""
    store = open_durable(durable_url, clock)
    assert store.upgrade_needed()
    store.migrate()
    store.events.record(Event(at=clock.now(), kind="kept"))
    assert not store.upgrade_needed()

    store.migrate()

    assert len(store.events.since(clock.now())) == 1
    store.close()


def test_tables_of_the_first_version(durable_url: str, clock: StoppedClock) -> None:
    """Tables of revision 0001 are brought here with all that is in them, and back without what came later."""
    store = open_durable(durable_url, clock)
    _alembic(store, command.upgrade, "0001")
    key = PersonKey(kind="number", digest=b"n" * 32, sealed=b"\0\1sealed")
    event = Event(at=clock.now(), kind="kept", detail={"loa": "high"})
    person = store.signed_in([key], lambda _: event, clock.now())
    assert store.upgrade_needed()

    store.migrate()

    one = Evidence(id="e" * 32, at=clock.now(), until=clock.now() + DAY, person=person, provider="bankid")
    store.signed_in([key], lambda _: event, clock.now(), lambda _: SealedEvidence(evidence=one, sealed=b"\0\1x"))
    assert store.evidence.since(clock.now(), clock.now(), limit=9) == (one,)
    assert store.sealed.count_not_by(2) == 2

    _alembic(store, command.downgrade, "0001")

    assert store.upgrade_needed()
    assert store.persons.meet([key], clock.now()) == person
    assert store.events.since(clock.now()) == (event,) * 2
    store.migrate()
    assert store.evidence.since(clock.now(), clock.now(), limit=9) == ()
    store.close()


def test_workers_may_start_at_once(durable_url: str, clock: StoppedClock) -> None:
    """24 threads in 3 processes migrate one empty database: one does, the others wait, none fails."""
    assert fight(durable_url, ("migrate",))["migrate"] == ["None"] * THREADS * (PROCESSES + 1)

    store = open_durable(durable_url, clock)
    assert not store.upgrade_needed()
    store.close()


def test_a_newer_versions_tables(durable: Durable, durable_url: str) -> None:
    """Tables that a newer version made are left alone, and the operator is told."""
    engine = sa.create_engine(durable_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()

    assert durable.upgrade_needed()
    with pytest.raises(OperatorError, match="another version") as caught:
        durable.migrate()

    assert caught.value.hint


def test_memory(clock: StoppedClock) -> None:
    """A database in memory works as the others do, foreign keys included."""
    store = open_durable("sqlite://", clock)
    store.migrate()

    person = store.persons.meet([PersonKey(kind="upstream", digest=b"k" * 32)], clock.now())

    assert store.persons.meet([PersonKey(kind="upstream", digest=b"k" * 32)], clock.now()) == person
    store.close()


def test_every_look_up_is_by_index(tmp_path: Path, clock: StoppedClock) -> None:
    """No statement of a sign-in or a refresh scans a table: a million persons cost what a thousand cost."""
    store = open_durable(f"sqlite:///{tmp_path}/broker.db", clock)
    store.migrate()
    store.close()
    statements = (
        "SELECT digest, person_id FROM person_key WHERE digest IN (?, ?)",
        "SELECT document FROM client WHERE id = ?",
        "SELECT * FROM refresh_token WHERE digest = ?",
        "UPDATE refresh_token SET used_at = ? WHERE digest = ? AND used_at IS NULL AND expires_at > ?",
        "DELETE FROM refresh_token WHERE family = ?",
        "DELETE FROM refresh_token WHERE session = ?",
        "SELECT digest FROM refresh_token WHERE expires_at <= ? LIMIT 1000",
        "SELECT * FROM event WHERE at >= ? ORDER BY at, id LIMIT 1000",
        "SELECT id FROM evidence WHERE until <= ? LIMIT 100",
        "SELECT id FROM evidence WHERE person = ? AND at >= ? AND until > ?",
        "SELECT sealed FROM evidence WHERE data_key < ? LIMIT 500",
        "SELECT sealed FROM evidence WHERE data_key > ? LIMIT 500",
    )

    with closing(sqlite3.connect(tmp_path / "broker.db")) as connection:
        for statement in statements:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", ("",) * statement.count("?")).fetchall()
            steps = [row[3] for row in plan]
            assert all(step.startswith("SEARCH") and "INDEX" in step for step in steps), (statement, steps)


def test_ping(durable: Durable) -> None:
    """A database that is there answers, also after its connections were closed."""
    durable.ping()
    durable.close()
    durable.ping()


def test_nobody_there(clock: StoppedClock) -> None:
    """Every call says StoreError, quickly, when nobody listens; no password is in the error."""
    store = open_durable(f"postgresql://broker:secret@{servers.LOOPBACK}:{servers.free_port()}/broker", clock)
    calls = (
        store.ping,
        store.migrate,
        store.clients.all,
        lambda: store.events.record(Event(at=clock.now(), kind="lost")),
        lambda: store.persons.meet([PersonKey(kind="upstream", digest=b"k" * 32)], clock.now()),
        lambda: store.refresh_tokens.use("digest", clock.now()),
    )
    for call in calls:
        began = time.monotonic()

        with pytest.raises(StoreError) as caught:
            call()

        assert time.monotonic() - began < 4
        assert "secret" not in str(caught.value) + str(caught.value.__cause__)


def test_tables_are_missing(durable_url: str, clock: StoppedClock) -> None:
    """A database that was not migrated is a StoreError, not a crash."""
    store = open_durable(durable_url, clock)

    with pytest.raises(StoreError):
        store.events.record(Event(at=clock.now(), kind="lost"))
    store.close()


def test_not_a_database(tmp_path: Path, clock: StoppedClock) -> None:
    """A file that is no database is a StoreError, and stays as it was."""
    path = tmp_path / "broker.db"
    path.write_bytes(b"somebody's letters" * 100)

    with pytest.raises(StoreError):
        open_durable(f"sqlite:///{path}", clock)

    assert path.read_bytes().startswith(b"somebody's letters")


def test_a_database_that_restarted(postgres_database: str, clock: StoppedClock) -> None:
    """After the server closed all idle connections the next read and the next write succeed."""
    store = open_durable(postgres_database, clock)
    store.migrate()
    event = Event(at=clock.now(), kind="kept")

    for call in (lambda: store.events.record(event), store.ping, lambda: store.events.since(clock.now())):
        store.ping()
        _hang_up(postgres_database)
        call()

    assert store.events.since(clock.now()) == (event,)
    store.close()


def test_several_hosts(postgres_database: str, clock: StoppedClock) -> None:
    """Of several hosts the one that can be written is used: libpq reads the address itself."""
    nobody = f"{servers.LOOPBACK}:{servers.free_port()}"
    url = postgres_database.replace("@", f"@{nobody},") + "?target_session_attrs=read-write&connect_timeout=1"

    store = open_durable(url, clock)

    store.migrate()
    store.events.record(Event(at=clock.now(), kind="kept"))
    assert len(store.events.since(clock.now() - timedelta(seconds=1))) == 1
    store.close()


def test_behind_a_connection_pooler(postgres_database: str, clock: StoppedClock) -> None:
    """With `prepare_threshold=None` nothing is prepared, as a pooler that shares connections needs it."""
    store = open_durable(postgres_database, clock, prepare_threshold=None, pool_size=1)
    store.migrate()
    for _ in range(10):
        store.events.since(clock.now())

    with store.database.connected() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM pg_prepared_statements")).scalar() == 0
    store.close()


def _alembic(store: Durable, move: Callable[[Config, str], None], revision: str) -> None:
    """Bring the tables to a revision."""
    with store.database.writing() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("path_separator", "os")
        move(config, revision)


def _hang_up(url: str) -> None:
    """End all other connections to the database, and wait until they are gone."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
