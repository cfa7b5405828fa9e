"""One simulated BankID for a module's tests; a plugin, so that none of them has to import it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from idbroker.clock import StoppedClock
from idbroker.sandbox.bankid import LIES, SimBankID, make_bankid
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import cast
from tests.sandbox.bankid_loopback import APP, Rp


@pytest.fixture(scope="module")
def bankid_clock() -> StoppedClock:
    """Return the clock of the simulator that a module's tests share."""
    return StoppedClock(datetime(2026, 11, 22, 9, 0, tzinfo=UTC))


@pytest.fixture(scope="module")
def bankid_faults() -> Faults:
    """Return its faults, all of them known by name."""
    return Faults({"bankid": LIES})


@pytest.fixture(scope="module")
def bankid(bankid_clock: StoppedClock, bankid_faults: Faults, tmp_path_factory: pytest.TempPathFactory) -> SimBankID:
    """Return a simulator for a module's tests: making RSA keys for each would take longer than the tests."""
    people = cast(bankid_clock.now().date())
    return make_bankid(people, bankid_clock, bankid_faults, app_link=APP, folder=tmp_path_factory.mktemp("bankid"))


@pytest.fixture
def rp(bankid: SimBankID, bankid_clock: StoppedClock, bankid_faults: Faults) -> Iterator[Rp]:
    """Return a relying party, with nothing wrong and no orders: they are all forgotten after each test."""
    began = bankid_clock.now()
    yield Rp(bankid, bankid_clock, bankid_faults)
    bankid_faults.clear()
    bankid_clock.move(timedelta(days=1))
    assert bankid.phone.waiting() == ()
    bankid_clock.move(began - bankid_clock.now())
