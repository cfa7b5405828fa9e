"""A broker for the tests of the API, new for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from tests.api.api_house import Api, open_api


@pytest.fixture
def api(tmp_path: Path, clock: StoppedClock) -> Iterator[Api]:
    """Open a broker with two clinics, and systems of theirs."""
    with open_api(tmp_path, clock) as opened:
        yield opened
