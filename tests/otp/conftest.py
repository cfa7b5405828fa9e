"""One-time codes over each transient store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from tests.otp.house import House, open_house


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[House]:
    """Give one-time codes over SQLite, where time is the clock's, with limits of sending out of the way."""
    with open_house(f"sqlite:///{tmp_path}/transient.db", clock) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "redis"])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of each transient store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/transient.db"
    url: str = request.getfixturevalue("redis_url")
    return url


@pytest.fixture
def shared(any_url: str, clock: StoppedClock) -> Iterator[House]:
    """Give one-time codes over each store that workers share."""
    with open_house(any_url, clock) as opened:
        yield opened
