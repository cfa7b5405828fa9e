"""One broker for the journeys: they may not break it, so they may share it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from tests.door import Door, open_door

CLIENTS: Mapping[str, Mapping[str, Any]] = {
    "high": {"minimum": "high"},
    "rs": {"id_token_alg": "RS256"},
    "another": {"name": {"da": "Journalen", "en": "The record"}, "start_url": "https://record.test/start"},
}


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Open the broker once."""
    clock = StoppedClock(datetime(2026, 11, 22, 9, 0, tzinfo=UTC))
    with open_door(tmp_path_factory.mktemp("journey"), clock, clients=CLIENTS) as opened:
        yield opened


@pytest.fixture
def door(walked: Door) -> Iterator[Door]:
    """Give the shared broker, healed afterwards."""
    yield walked
    walked.faults.clear()
