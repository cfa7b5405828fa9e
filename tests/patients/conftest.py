"""The stores that patients lie in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.store import open_durable
from tests.office_door import Office, open_office
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


@pytest.fixture
def office(tmp_path: Path, clock: StoppedClock) -> Iterator[Office]:
    """Give a whole broker with two clinics and three colleagues."""
    with open_office(tmp_path, clock) as opened:
        yield opened
