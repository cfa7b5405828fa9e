"""One simulated Freja for a module's tests; a plugin, so that none of them has to import it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from idbroker.clock import StoppedClock
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.freja import LIES, SimFreja, make_freja
from idbroker.sandbox.people import cast
from tests.sandbox.freja_rp import APP, Rp


@pytest.fixture(scope="module")
def freja_clock() -> StoppedClock:
    """Return the clock of the simulator that a module's tests share."""
    return StoppedClock(datetime(2026, 11, 22, 9, 0, tzinfo=UTC))


@pytest.fixture(scope="module")
def freja_faults() -> Faults:
    """Return its faults, all of them known by name."""
    return Faults({"freja": LIES})


@pytest.fixture(scope="module")
def freja(freja_clock: StoppedClock, freja_faults: Faults, tmp_path_factory: pytest.TempPathFactory) -> SimFreja:
    """Return a simulator for a module's tests: making RSA keys for each would take longer than the tests."""
    people = cast(freja_clock.now().date())
    return make_freja(people, freja_clock, freja_faults, app_link=APP, folder=tmp_path_factory.mktemp("freja"))


@pytest.fixture
def rp(freja: SimFreja, freja_clock: StoppedClock, freja_faults: Faults) -> Iterator[Rp]:
    """Return a relying party, an hour after the last: nothing is wrong, and all orders have ended."""
    yield Rp(freja, freja_clock, freja_faults)
    freja_faults.clear()
    freja_clock.move(timedelta(hours=1))
    assert freja.phone.waiting() == ()
