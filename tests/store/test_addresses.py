"""What a store's URL may say, and what is said about one that does not read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock, SystemClock
from idbroker.errors import OperatorError
from idbroker.store import open_durable, open_transient
from idbroker.store.addresses import redis_address, sqlite_address


def test_sqlite_paths() -> None:
    """Three slashes begin a relative path, four an absolute one, none is memory."""
    assert sqlite_address("sqlite:///var/broker.db").path == Path("var/broker.db")
    assert sqlite_address("sqlite:////srv/broker.db").path == Path("/srv/broker.db")
    assert sqlite_address("sqlite://").path is None


def test_redis_forms() -> None:
    """One server, Sentinel and Cluster are told apart, with login, service and database."""
    plain = redis_address("rediss://us%40er:pa%3Ass@cache:6380/3?ca_file=/etc/ca.pem")
    sentinel = redis_address("redis+sentinel://:pw@one,two:26380/mymaster/2?sentinel_password=watch")
    cluster = redis_address("redis+cluster://[::1]:7000,two")

    assert (plain.kind, plain.hosts, plain.database, plain.tls) == ("plain", (("cache", 6380),), 3, True)
    assert (plain.username, plain.password, plain.ca_file) == ("us@er", "pa:ss", "/etc/ca.pem")
    assert (sentinel.kind, sentinel.hosts) == ("sentinel", (("one", 26379), ("two", 26380)))
    assert (sentinel.service, sentinel.database, sentinel.sentinel_password) == ("mymaster", 2, "watch")
    assert (cluster.kind, cluster.hosts, cluster.username) == ("cluster", (("::1", 7000), ("two", 6379)), None)
    assert "pw" not in repr(sentinel)
    assert "watch" not in repr(sentinel)


@pytest.mark.parametrize(
    "url",
    [
        "memcached://cache",
        "transient.db",
        "sqlite://var/transient.db",
        "sqlite:///x.db?mode=ro",
        "redis://:secret@cache:port/0",
        "redis://:secret@cache/zero",
        "redis://:secret@cache/0/1",
        "redis://:secret@cache/0?decode_responses=1",
        "redis+sentinel://:secret@one,two",
        "redis+cluster://:secret@one/1",
    ],
)
def test_transient_addresses_refused(url: str, clock: StoppedClock) -> None:
    """An address that does not read is the operator's to mend: with a hint, and without its password."""
    with pytest.raises(OperatorError) as caught:
        open_transient(url, clock)

    assert caught.value.hint
    assert "secret" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("url", ["mysql://:secret@host/broker", "broker.db", "sqlite://var/broker.db"])
def test_durable_addresses_refused(url: str, clock: StoppedClock) -> None:
    """So it is for the durable store."""
    with pytest.raises(OperatorError) as caught:
        open_durable(url, clock)

    assert caught.value.hint
    assert "secret" not in str(caught.value) + caught.value.hint


def test_memory_serves_one_worker(clock: StoppedClock) -> None:
    """Two workers would each have a memory of their own, and lose each other's sign-ins."""
    with pytest.raises(OperatorError, match="one worker"):
        open_transient("sqlite://", clock, workers=2)
    with pytest.raises(OperatorError, match="one worker"):
        open_durable("sqlite://", clock, workers=2)


def test_one_host_per_file(tmp_path: Path, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another host has opened is refused: two kernels writing one log corrupt it."""
    for open_one in (open_transient, open_durable):
        url = f"sqlite:///{tmp_path}/{open_one.__name__}.db"
        open_one(url, clock).close()
        open_one(f"{url}?host=another-name-of-this-kernel", clock).close()
        monkeypatch.setattr("idbroker.store.hosts._boot", lambda: "another kernel")

        with pytest.raises(OperatorError, match="belongs to the host") as caught:
            open_one(f"{url}?host=elsewhere", clock)

        assert "postgresql://" in caught.value.hint
        assert "?host=another-name-of-this-kernel" in caught.value.hint
        open_one(f"{url}?host=another-name-of-this-kernel", clock).close()
        monkeypatch.undo()


def test_a_folder_that_cannot_be_written(clock: StoppedClock) -> None:
    """Where no file can be made the operator is told so."""
    with pytest.raises(OperatorError, match="cannot be made") as caught:
        open_transient("sqlite:////proc/broker/transient.db", clock)

    assert caught.value.hint


def test_a_start_loads_only_what_it_uses(tmp_path: Path) -> None:
    """SQLite stores with their tables in place load neither redis-py, Alembic nor psycopg: a start is quick."""
    url = f"sqlite:///{tmp_path}/broker.db"
    store = open_durable(url, SystemClock())
    store.migrate()
    store.close()
    heavy = {"redis", "alembic", "psycopg", "sqlalchemy.orm", "sqlalchemy.dialects.postgresql"}
    script = (
        "import sys; from idbroker.clock import SystemClock; from idbroker.store import open_durable\n"
        f"store = open_durable({url!r}, SystemClock()); store.migrate(); store.ping()\n"
        f"print(*({heavy!r} & sys.modules.keys()))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout == "\n"
