"""The colleague's own screen while they help: what they are asked, what they are shown, what they may end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.accounts.account import Standing
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from idbroker.staff.member import Role
from tests.office.helping_house import ASKED, Clinic, open_clinic
from tests.office_door import text_of


@pytest.fixture
def clinic(tmp_path: Path, clock: StoppedClock) -> Iterator[Clinic]:
    """Give a clinic with a tablet."""
    with open_clinic(tmp_path, clock) as opened:
        yield opened


def test_only_services_that_take_it(clinic: Clinic) -> None:
    """The page offers this clinic's services that take sign-ins by staff, and no other."""
    page = clinic.client().get(clinic.help_path(clinic.patient())).text

    assert 'value="portal"' in page
    assert 'value="second"' in page
    assert not any(f'value="{name}"' in page for name in ("closed", "strict", "theirs"))


@pytest.mark.parametrize("missing", ["service", "checked", "reason"])
def test_all_of_it_is_needed(clinic: Clinic, missing: str) -> None:
    """Without service, check or reason there is no code: the page says which, and keeps what was chosen."""
    staff, patient = clinic.client(), clinic.patient()

    answer = clinic.post(staff, clinic.help_path(patient), **{**ASKED, missing: ""})
    page = staff.get(answer.headers["Location"]).text

    assert f'id="{missing}-error"' in page
    assert page.count("checked>") == 2
    assert clinic.told() == []


@pytest.mark.parametrize("service", ["closed", "strict", "theirs", "me.neuroreg", "nobody"])
def test_no_other_service_by_hand(clinic: Clinic, service: str) -> None:
    """A service that is not offered gives no code, however the form is filled in."""
    staff, patient = clinic.client(), clinic.patient()

    answer = clinic.post(staff, clinic.help_path(patient), **{**ASKED, "service": service})

    assert answer.headers["Location"] == clinic.help_path(patient)
    assert clinic.told() == []


def test_who_cannot_be_told(clinic: Clinic) -> None:
    """Where the clinic has no address of the patient's, staff read before they begin that no message will come."""
    staff = clinic.client()

    for told, warned in (({}, True), ({Channel.EMAIL: "patient@example.org"}, False)):
        page = staff.get(clinic.help_path(clinic.patient(told=told))).text
        assert ("gets no message that you helped" in text_of(page)) is warned


def test_shown_once(clinic: Clinic) -> None:
    """The code is on the page once, in no address, and not in the trail."""
    staff = clinic.client()
    code, page = clinic.code(staff, clinic.patient())

    assert code not in page
    assert "The code is not shown again" in staff.get(page).text
    assert not any(code in str(event) for event in clinic.events())


def test_how_it_is(clinic: Clinic) -> None:
    """The frame beside the code says when a tablet has it, and from where: at once, not when it is too late."""
    code, page = clinic.code(clinic.client(), clinic.patient())
    assert clinic.state(page) == "No tablet has used the code yet. It works until 10:05."

    clinic.typed(clinic.tablet(ip="198.51.100.7"), code)

    assert clinic.state(page).startswith("A tablet with the network address 198.51.100.7 has used the code.")
    frame = clinic.client().get(f"{page}/state")
    assert (frame.headers["Refresh"], frame.headers["X-Frame-Options"]) == ("3", "SAMEORIGIN")


def test_a_code_lapses(clinic: Clinic) -> None:
    """Five minutes later the code is worth nothing, and the screen says since when."""
    code, page = clinic.code(clinic.client(), clinic.patient())
    clinic.clock.move(timedelta(minutes=5))

    assert clinic.typed(clinic.tablet(), code).request.path == "/tablet"
    assert clinic.state(page) == "Ended at 10:05."


def test_another_code_ends_the_first(clinic: Clinic) -> None:
    """A colleague has one code open at a time."""
    staff, patient = clinic.client(), clinic.patient()
    first, _ = clinic.code(staff, patient)
    second, _ = clinic.code(staff, patient)

    assert clinic.typed(clinic.tablet(), first).request.path == "/tablet"
    assert clinic.typed(clinic.tablet(), second).request.path == "/tablet/give"


def test_ended_before_it_began(clinic: Clinic) -> None:
    """The colleague ends what the tablet only asks: yes is too late then."""
    code, page = clinic.code(clinic.client(), clinic.patient())
    tablet = clinic.tablet()
    clinic.typed(tablet, code)
    given = tablet.get("/tablet/give")
    assert given.status_code == 200

    clinic.post(clinic.client(), page)

    assert tablet.get("/tablet/give").headers["Location"] == "/tablet"
    assert clinic.session(tablet) is None
    assert clinic.told() == ["begun", "ended"]


def test_a_colleague_may_end_it(clinic: Clinic) -> None:
    """Whoever works at the clinic sees it, and may end it."""
    tablet, page = clinic.begun()
    clinic.post(clinic.client("bo"), page)
    assert clinic.session(tablet) is None


def test_no_other_clinics_patient(clinic: Clinic) -> None:
    """Another clinic's patient, and another's pairing, are not there."""
    here, there = clinic.patient(), clinic.patient("clinea")
    _, page = clinic.code(clinic.client(), here)
    staff, pairing = clinic.client(), page.rpartition("/")[2]

    assert staff.get(f"/staff/neuroreg/patients/{there.handle}/help").status_code == 404
    assert staff.get(f"/staff/clinea/patients/{there.handle}/help/{pairing}").status_code == 404
    assert staff.get(f"{clinic.help_path(here)}/{'x' * 22}/state").status_code == 404


def test_only_the_clinics_own_staff(clinic: Clinic) -> None:
    """Who does not work at the clinic finds no such page, and who is not signed in is asked to."""
    patient = clinic.patient()
    clinic.hire("else", roles={"clinea": Role.CARER})

    assert clinic.client("else").get(clinic.help_path(patient)).status_code == 404
    assert "/staff/sign-in" in clinic.browser().get(clinic.help_path(patient)).headers["Location"]


def test_no_help_for_whom_nobody_may_be(clinic: Clinic) -> None:
    """Nobody is signed in as somebody dead, not approved, or without a number: in words, and kept."""
    staff, patient = clinic.client(), clinic.patient()
    assert patient.entry is not None
    dead = replace(patient.entry, deceased_on=date(2026, 11, 1))
    changes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"entry": dead}, "registered as deceased"),
        ({"standing": Standing.ASKED}, "not approved"),
        ({"entry": replace(patient.entry, number=None)}, "does not have the patient's identity number"),
        ({"entry": replace(patient.entry, number=clinic.number("ake"))}, "is another person's"),
    )
    for change, words in changes:
        one = clinic.patient(handle=patient.handle, **change)
        answer = clinic.post(staff, clinic.help_path(one), **ASKED)
        assert words in text_of(staff.get(answer.headers["Location"]).text)
    assert clinic.told() == []
    whys = [one.detail["why"] for one in clinic.events("staff.refused")]
    assert whys == ["deceased", "not_here", "no_number", "elsewhere"]
