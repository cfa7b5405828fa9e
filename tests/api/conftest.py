"""A broker for the tests of the API, new for each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from tests.api.api_house import Api, open_api
from tests.conftest import NOW


@pytest.fixture
def api(tmp_path: Path, clock: StoppedClock) -> Iterator[Api]:
    """Open a broker with two clinics, and systems of theirs."""
    with open_api(tmp_path, clock) as opened:
        yield opened


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Open a broker once."""
    with open_api(tmp_path_factory.mktemp("api"), StoppedClock(NOW)) as opened:
        yield opened


@pytest.fixture
def shared(opened: Api) -> Api:
    """Give the shared broker, in another minute of its clock: for tests of what is refused, and changes nothing."""
    opened.office.clock.move(timedelta(minutes=1))
    return opened
