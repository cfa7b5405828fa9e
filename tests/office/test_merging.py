"""The page on which an administrator joins a patient who is here twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from idbroker.numbers import parse
from idbroker.patients.patient import NotDone, Sheet
from tests.office_door import Office, open_office, text_of

OLD, NEW, OTHER = "610190-0001", "610190-0002", "620190-0001"


@pytest.fixture
def office(tmp_path: Path, clock: StoppedClock) -> Iterator[Office]:
    """Open one."""
    with open_office(tmp_path, clock) as opened:
        yield opened


def entered(office: Office, number: str, given_name: str, clinic: str = "clinea") -> str:
    """Enter somebody; return their handle."""
    now = office.clock.now()
    sheet = Sheet(
        number=parse(number, "DK", now=now.date()),
        given_name=given_name,
        family_name="Prøve",
        checked="passport",
        contacts={Channel.EMAIL: f"{given_name}@example.org"},
    )
    made = office.house.offices.register.enter(office.actor("bo", clinic), sheet, now)
    assert not isinstance(made, NotDone)
    office.clock.move(timedelta(seconds=1))  # of two, the older stays
    return made.handle


def test_joined(office: Office) -> None:
    """By the other number, and after a look at both: one record is left, and the patient is told at both addresses."""
    older, newer = entered(office, OLD, "Gammel"), entered(office, NEW, "Ny")
    cecilia, path = office.client("cecilia"), f"/staff/clinea/patients/{newer}/merge"

    asked = office.post(cecilia, path, do="find", number=OLD)
    page = cecilia.get(asked.headers["Location"]).text
    assert "Gammel Prøve" in text_of(page)
    assert "Ny Prøve" in text_of(page)
    assert OLD not in page
    done = office.post(cecilia, path, do="join", other=older)

    assert done.headers["Location"] == f"/staff/clinea/patients/{older}/merge"
    assert "The two records are one now" in text_of(cecilia.get(done.headers["Location"]).text)
    assert cecilia.get(f"/staff/clinea/patients/{newer}").status_code == 404
    office.deliver()
    assert len([one for one in office.emails() if "two records about you" in " ".join(one.split())]) == 2


@pytest.mark.parametrize("number", ["", NEW, "630190-0001", "x"], ids=["none", "itself", "nobody", "no number"])
def test_no_other_record(office: Office, number: str) -> None:
    """No number, the same record's, or nobody's here: said at the field, and typed need not be typed again."""
    newer = entered(office, NEW, "Ny")
    cecilia, path = office.client("cecilia"), f"/staff/clinea/patients/{newer}/merge"

    page = cecilia.get(office.post(cecilia, path, do="find", number=number).headers["Location"]).text

    assert "No other patient at the clinic has that number" in text_of(page)
    assert f'value="{number}"' in page


def test_refused(office: Office) -> None:
    """Two birth dates, or a patient of another clinic as well: said, and nothing is done."""
    newer, other = entered(office, NEW, "Ny"), entered(office, OTHER, "Anden")
    older = entered(office, OLD, "Gammel")
    entered(office, OLD, "Gammel", "neuroreg")
    cecilia, path = office.client("cecilia"), f"/staff/clinea/patients/{newer}/merge"

    said = [
        text_of(cecilia.get(office.post(cecilia, path, do="join", other=one).headers["Location"]).text)
        for one in (other, older)
    ]

    assert "do not show the same date of birth" in said[0]
    assert "This would change more than the clinic's own records" in said[1]
    assert not office.events("patient.merged")


def test_who_may(office: Office) -> None:
    """An approver sees no such page; a handle of another clinic, or of nobody, is not there."""
    newer, elsewhere = entered(office, NEW, "Ny"), entered(office, OLD, "Gammel", "neuroreg")
    cecilia, path = office.client("cecilia"), f"/staff/clinea/patients/{newer}/merge"

    assert office.client("bo").get(path).status_code == 403
    assert office.client("bo").post(path, data={"do": "join", "other": elsewhere}).status_code == 403
    assert office.post(cecilia, path, do="join", other=elsewhere).status_code == 404
    assert cecilia.get(f"/staff/clinea/patients/{elsewhere}/merge").status_code == 404
    assert cecilia.post(path, data={"do": "join", "other": elsewhere}).status_code == 400
