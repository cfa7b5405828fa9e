"""The tests' own servers are real, fresh and unreachable from outside; the guard guards."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import redis
from playwright.sync_api import Browser

from idbroker.clock import StoppedClock
from tests.conftest import Guard, NetworkIsOff
from tests.servers import LOOPBACK, free_port, missing


def test_redis_is_real(redis_url: str) -> None:
    """The Redis of the tests is a server that takes a value once (GETDEL)."""
    with redis.Redis.from_url(redis_url) as client:
        client.set("test_servers", b"once", ex=60)

        assert [client.getdel("test_servers"), client.getdel("test_servers")] == [b"once", None]


@pytest.mark.parametrize("turn", [1, 2])
def test_postgres_databases_are_fresh(postgres_database: str, turn: int) -> None:
    """Each test gets an empty PostgreSQL database: the same table can be made in every one."""
    with psycopg.connect(postgres_database.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE visits (turn integer)")

        assert connection.execute("SELECT count(*) FROM visits").fetchone() == (0,)


def test_free_ports_stay_free() -> None:
    """A free port is given out once, is not taken by a server that asks for any, and can be listened on."""
    given = [free_port() for _ in range(20)]
    with socket.create_server((LOOPBACK, 0)) as anywhere, socket.create_server((LOOPBACK, given[0])) as there:
        assert anywhere.getsockname()[1] not in given
        assert there.getsockname()[1] == given[0]

    assert len(set(given)) == 20


def test_chromium_renders(chromium: Browser) -> None:
    """The browser of the tests shows a page and runs without the network."""
    page = chromium.new_page()
    page.set_content("<h1>Hej</h1>")

    assert page.inner_text("h1") == "Hej"
    page.close()


def test_the_clock_stands(clock: StoppedClock) -> None:
    """The tests' clock stands at a known moment and moves only when it is moved."""
    clock.move(timedelta(minutes=1))

    assert clock.now() == datetime(2026, 11, 22, 9, 1, tzinfo=UTC)


def test_the_guard_remembers() -> None:
    """An address outside this machine is refused, and kept so that a swallowed error still fails the test."""
    guard = Guard()

    with socket.socket() as opened, pytest.raises(NetworkIsOff):
        guard.connect(opened, ("192.0.2.1", 443))
    with pytest.raises(NetworkIsOff):
        guard.getaddrinfo("idp.example.com", 443)
    guard.check("127.0.0.1")
    guard.check("::1")
    assert len(guard.attempts) == 2


def test_a_missing_part_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CI is set, a part that is not there fails the test instead of skipping it."""
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="Redis"):
        missing("Redis", "install it")


def test_a_missing_part_is_skipped_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """On somebody's own machine a part that is not there skips the test, and says so."""
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="NOT PROVED"):
        missing("Redis", "install it")
