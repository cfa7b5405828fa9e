"""What transient stores do when the server goes, stalls or comes back."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.store import TransientStore, open_transient
from tests import servers
from tests.store.rivals import LIFE

QUICKLY = 4.5
CALLS = {
    "put": lambda store: store.put("key", b"value", LIFE),
    "get": lambda store: store.get("key"),
    "take": lambda store: store.take("key"),
    "swap": lambda store: store.swap("key", b"old", b"new", LIFE),
    "swap_absent": lambda store: store.swap("key", None, b"new", LIFE),
    "count": lambda store: store.count("sum", LIFE),
    "ping": lambda store: store.ping(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("kind", ["redis://:secret@{}", "redis+sentinel://:secret@{}/mymaster", "redis+cluster://{}"])
def test_nobody_there(kind: str, call: object, clock: StoppedClock) -> None:
    """Every method says StoreError, quickly, when nobody listens; no password is in the error."""
    store = open_transient(kind.format(f"{servers.LOOPBACK}:{servers.free_port()}"), clock)
    began = time.monotonic()

    with pytest.raises(StoreError) as caught:
        call(store)  # type: ignore[operator]

    assert time.monotonic() - began < QUICKLY
    assert "secret" not in str(caught.value) + str(caught.value.__cause__)
    store.close()


@pytest.mark.parametrize("name", ["put", "take"])
def test_silence(name: str, clock: StoppedClock) -> None:
    """A server that takes the connection and never answers costs seconds, not a worker."""
    with closing(socket.create_server((servers.LOOPBACK, 0))) as silent:
        store = open_transient(f"redis://{servers.LOOPBACK}:{silent.getsockname()[1]}", clock)
        began = time.monotonic()

        with pytest.raises(StoreError):
            CALLS[name](store)

        assert time.monotonic() - began < QUICKLY
        store.close()


@pytest.mark.parametrize("name", [name for name in CALLS if name != "ping"])
def test_idle_connections_dropped(name: str, redis_url: str, clock: StoppedClock) -> None:
    """After the server dropped all idle connections the next call of any kind succeeds."""
    store = open_transient(redis_url, clock)
    store.ping()
    with redis.Redis.from_url(redis_url) as admin:
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    CALLS[name](store)

    store.close()


@pytest.mark.parametrize(
    ("name", "times"), [("put", 2), ("get", 2), ("take", 1), ("swap", 1), ("swap_absent", 1), ("count", 1)]
)
def test_only_what_is_safe_is_sent_twice(name: str, times: int, clock: StoppedClock) -> None:
    """A connection lost in mid-call repeats get and put once; take, swap and count never.

    A take may have been done when its answer was lost: repeated it would say that nothing was there.
    """
    with _hangs_up() as (port, calls):
        store = open_transient(f"redis://{servers.LOOPBACK}:{port}", clock)

        with pytest.raises(StoreError):
            CALLS[name](store)

        store.close()
    assert len(calls) == times


def test_redis_forgot_the_scripts(redis_url: str, key: str, clock: StoppedClock) -> None:
    """A Redis that restarted and lost our scripts gets them again, unnoticed."""
    store = open_transient(redis_url, clock)
    store.put(key, b"old", LIFE)
    with redis.Redis.from_url(redis_url) as admin:
        admin.script_flush()

    assert store.swap(key, b"old", b"new", LIFE)
    assert store.count(f"{key}:sum", LIFE) == 1
    store.close()


def test_keys_carry_our_prefix(redis_url: str, key: str, clock: StoppedClock) -> None:
    """Everything of ours begins with `idb:` and has an end, so a shared Redis stays in order."""
    store = open_transient(redis_url, clock)
    store.put(key, b"value", timedelta(seconds=60))

    with redis.Redis.from_url(redis_url) as admin:
        assert admin.get(f"idb:{key}") == b"value"
        assert 0 < admin.pttl(f"idb:{key}") <= 60_000
    store.close()


def test_not_a_database(tmp_path: Path, clock: StoppedClock) -> None:
    """A file that is no database is a StoreError, and stays as it was."""
    path = tmp_path / "transient.db"
    path.write_bytes(b"somebody's letters" * 100)

    with pytest.raises(StoreError):
        open_transient(f"sqlite:///{path}", clock)

    assert path.read_bytes().startswith(b"somebody's letters")


def test_file_is_the_owners_alone(tmp_path: Path, clock: StoppedClock) -> None:
    """Nobody else on the machine can read the file, its log or its folder."""
    store = open_transient(f"sqlite:///{tmp_path}/new/transient.db", clock)
    store.put("key", b"value", LIFE)

    modes = [path.stat().st_mode & 0o077 for path in (tmp_path / "new", *(tmp_path / "new").iterdir())]
    assert len(modes) == 4
    assert not any(modes)
    store.close()


def test_dead_rows_are_removed(tmp_path: Path, clock: StoppedClock) -> None:
    """Writing removes what has ended, a hundred rows at a time: the file does not grow for ever."""
    store = open_transient(f"sqlite:///{tmp_path}/transient.db", clock)
    for number in range(500):
        store.put(f"dead:{number}", b"value", timedelta(seconds=1))
    clock.move(timedelta(seconds=2))

    for number in range(300):
        store.put(f"live:{number}", b"value", LIFE)

    with closing(sqlite3.connect(tmp_path / "transient.db")) as connection:
        assert connection.execute("SELECT count(*) FROM entry").fetchone() == (300,)
    store.close()


def test_memory_is_shared_by_threads(clock: StoppedClock) -> None:
    """A store in memory is one store for all threads of the process."""
    store = open_transient("sqlite://", clock)
    threads = [threading.Thread(target=store.count, args=("sum", LIFE)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert store.count("sum", LIFE) == 9
    store.close()


def test_entries_survive_a_restart(tmp_path: Path, clock: StoppedClock) -> None:
    """A sign-in under way outlives a restart of the broker."""
    first: TransientStore = open_transient(f"sqlite:///{tmp_path}/transient.db", clock)
    first.put("key", b"value", LIFE)
    first.close()

    second = open_transient(f"sqlite:///{tmp_path}/transient.db", clock)

    assert second.take("key") == b"value"
    second.close()


@contextmanager
def _hangs_up() -> Iterator[tuple[int, list[bytes]]]:
    """Run a server that greets like Redis and hangs up on the first command; give the port and what was sent."""
    calls: list[bytes] = []
    with closing(socket.create_server((servers.LOOPBACK, 0))) as listening:
        threading.Thread(target=_greet, args=(listening, calls), daemon=True).start()
        yield listening.getsockname()[1], calls
        listening.shutdown(socket.SHUT_RDWR)


def _greet(listening: socket.socket, calls: list[bytes]) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            while (sent := connection.recv(65536)).count(b"CLIENT"):
                connection.sendall(b"+OK\r\n" * sent.count(b"CLIENT"))
            if sent:
                calls.append(sent)
