"""The stores under test: every implementation of an interface goes through the same suite."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.store import Durable, TransientStore, open_durable, open_transient
from tests.store import redis_kinds

PATIENCE = 10.0

PassTime = Callable[[str, timedelta], None]


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a Redis Cluster."""
    with redis_kinds.cluster(tmp_path_factory.mktemp("cluster")) as url:
        yield url


@pytest.fixture(scope="session")
def sentinel_url(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a Redis that is found through Sentinel."""
    with redis_kinds.sentinel(tmp_path_factory.mktemp("sentinel"), redis_url) as url:
        yield url


@pytest.fixture(params=["sqlite", "redis", "sentinel", "cluster"])
def transient_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of each transient store that several processes can share."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/transient.db"
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def transient(transient_url: str, clock: StoppedClock) -> Iterator[TransientStore]:
    """Give each transient store, opened."""
    store = open_transient(transient_url, clock)
    yield store
    store.close()


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """Give a key that no other test uses, with a hash tag."""
    return f"test:{{{request.node.nodeid[-150:].encode('ascii', 'replace').decode()}}}"


@pytest.fixture
def pass_time(transient_url: str, transient: TransientStore, clock: StoppedClock) -> PassTime:
    """Let the life of a key end: by moving the clock, or where time is Redis's own by waiting for it."""

    def wait(key: str, life: timedelta) -> None:
        deadline = time.monotonic() + PATIENCE
        while transient.get(key) is not None:
            assert time.monotonic() < deadline, f"the key outlived {life}"
            time.sleep(0.005)  # noqa: TID251 - the time that passes is Redis's own

    def move(_: str, life: timedelta) -> None:
        clock.move(life)

    return move if transient_url.startswith("sqlite") else wait


@pytest.fixture(params=["sqlite", "postgresql"])
def durable_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of each durable store, without tables yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/broker.db"
    url: str = request.getfixturevalue("postgres_database")
    return url


@pytest.fixture
def durable(durable_url: str, clock: StoppedClock) -> Iterator[Durable]:
    """Give each durable store, with its tables."""
    store = open_durable(durable_url, clock, pool_size=16)
    store.migrate()
    yield store
    store.close()
