"""What tests of the office's pages may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from tests.office_door import Office, open_office


@pytest.fixture
def office(tmp_path: Path, clock: StoppedClock) -> Iterator[Office]:
    """Give a whole broker with two clinics and three colleagues."""
    with open_office(tmp_path, clock) as opened:
        yield opened
