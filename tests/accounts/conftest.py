"""What is asked after the proof, opened for one test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from tests.accounts.asking_house import AskingHouse, asking_house


@pytest.fixture
def asking(tmp_path: Path, clock: StoppedClock) -> Iterator[AskingHouse]:
    """Give the questions, on SQLite files."""
    with asking_house(tmp_path, clock) as opened:
        yield opened
