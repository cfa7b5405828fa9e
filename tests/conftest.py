"""What every test may ask for: a clock that stands, real servers, a real browser; and no network."""

from __future__ import annotations

import ipaddress
import itertools
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

from idbroker.clock import StoppedClock
from tests import servers

# Every run draws the same examples, so a red run can be had again; time limits would make it a lottery.
settings.register_profile("house", derandomize=True, deadline=None, database=None)
settings.load_profile("house")

# Fails whichever test lets a made-up person's number, name or birth date into a log line or an event.
pytest_plugins = ["tests.privacy"]

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Root cannot use Chromium's own sandbox; the rest keeps it from calling home.
BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex
_getaddrinfo = socket.getaddrinfo


class NetworkIsOff(OSError):
    """A test reached for an address outside this machine."""


class Guard:
    """Lets connections pass to this machine only, and remembers the others: code may swallow the error."""

    def __init__(self) -> None:
        self.attempts: list[str] = []

    def check(self, host: object) -> None:
        """Raise NetworkIsOff for any host but this machine."""
        if not _here(host):
            self.attempts.append(repr(host))
            raise NetworkIsOff(f"the network is off in tests: {host!r}")

    def connect(self, opened: socket.socket, address: Any) -> None:
        """Connect, or refuse to."""
        self._check_address(opened, address)
        _connect(opened, address)

    def connect_ex(self, opened: socket.socket, address: Any) -> int:
        """Connect and return the error number, or refuse to."""
        self._check_address(opened, address)
        return _connect_ex(opened, address)

    def getaddrinfo(self, host: Any, *arguments: Any, **named: Any) -> Any:
        """Look a name up, or refuse to: a look-up tells somebody else's server what we test."""
        self.check(host)
        return _getaddrinfo(host, *arguments, **named)

    def _check_address(self, opened: socket.socket, address: Any) -> None:
        if opened.family in (socket.AF_INET, socket.AF_INET6):
            self.check(address[0])


def _here(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or not isinstance(name, str) or name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@pytest.fixture(autouse=True)
def network_off() -> Iterator[None]:
    """Fail a test that reaches outside this machine, even where the code under test swallows the error."""
    guard = Guard()
    with pytest.MonkeyPatch.context() as patch:
        # A bound method on the class would not be given the socket, hence the lambdas.
        patch.setattr(socket.socket, "connect", lambda opened, address: guard.connect(opened, address))  # noqa: PLW0108
        patch.setattr(socket.socket, "connect_ex", lambda opened, address: guard.connect_ex(opened, address))  # noqa: PLW0108
        patch.setattr(socket, "getaddrinfo", guard.getaddrinfo)
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            patch.delenv(name)
        yield
    assert not guard.attempts, f"the test reached for the network: {guard.attempts}"


@pytest.fixture
def clock() -> StoppedClock:
    """Return a clock that stands at 2026-11-22 09:00 UTC until the test moves it."""
    return StoppedClock(NOW)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a real Redis, one for the whole run: take keys of your own."""
    with servers.redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Give the libpq URL of a real PostgreSQL, one for the whole run: use `postgres_database`."""
    with servers.postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def database_names() -> Iterator[str]:
    """Give names that no test had before."""
    return (f"test_{number}" for number in itertools.count(1))


@pytest.fixture
def postgres_database(postgres_url: str, database_names: Iterator[str]) -> Iterator[str]:
    """Give the SQLAlchemy URL (postgresql+psycopg://) of an empty database, dropped after the test."""
    with servers.postgres_database(postgres_url, next(database_names)) as url:
        yield url


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Give a real Chromium, started once: open a context of your own and close it."""
    found = filter(None, (servers.program(name, variable="TEST_CHROMIUM_BIN") for name in BROWSERS))
    binary = next(found, None)
    if binary is None:
        servers.missing("Chromium", "install chromium, or name its program in TEST_CHROMIUM_BIN")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=BROWSER_FLAGS)
        yield browser
        browser.close()
