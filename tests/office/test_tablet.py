"""The clinic's tablet: paired by a code, in the patient's hands for one service, and empty afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from tests.office.helping_house import NAME, Clinic, claims, open_clinic
from tests.office_door import text_of


@pytest.fixture
def clinic(tmp_path: Path, clock: StoppedClock) -> Iterator[Clinic]:
    """Give a clinic with a tablet."""
    with open_clinic(tmp_path, clock) as opened:
        yield opened


def test_from_the_code_to_the_service(clinic: Clinic) -> None:
    """The code leads to a name and a year, the yes to where the service begins a sign-in, and that to its tokens."""
    code, page = clinic.code(clinic.client(), clinic.patient())
    tablet = clinic.tablet()

    asked = clinic.typed(tablet, code)
    begun = clinic.post(tablet, "/tablet/give", do="yes")
    told = claims(clinic.redeemed(tablet)["id_token"])

    assert NAME in text_of(asked.text) and "born 1972" in text_of(asked.text)
    assert begun.headers["Location"] == "https://portal.test/start?iss=https%3A%2F%2Fbroker.test"
    assert (told["acr"], told["amr"], told["act"]) == ("low", ["staff-assisted"], {"role": "carer"})
    assert clinic.state(page).startswith("The patient is logged in, at the network address 192.0.2.10, until ")
