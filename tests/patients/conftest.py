"""The stores that patients lie in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from idbroker.clock import StoppedClock
from idbroker.store import open_durable
from tests.patients.list_house import ListHouse


@pytest.fixture(params=["sqlite", "postgresql"])
def list_url(request: pytest.FixtureRequest, tmp_path: object) -> str:
    """Give the URL of each durable store, without tables yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/broker.db"
    url: str = request.getfixturevalue("postgres_database")
    return url


@pytest.fixture
def lists(list_url: str, clock: StoppedClock) -> Iterator[ListHouse]:
    """Give a house over each."""
    durable = open_durable(list_url, clock)
    durable.migrate()
    yield ListHouse(durable=durable, now=clock.now())
    durable.close()
