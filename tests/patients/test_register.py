"""Finding and looking at patients: who is found, what is told of them, and what the person can read of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from idbroker.accounts.account import Standing
from idbroker.errors import NotFound
from idbroker.events import Event
from idbroker.patients.patient import Patient, Sheet, TooManyLooks
from idbroker.patients.register import LOOKS, Register
from idbroker.staff.member import Actor, Role
from tests.office_door import Office
from tests.patients.waiting import account_of, records_of


@pytest.fixture
def register(office: Office) -> Register:
    """Give the list."""
    return office.house.offices.register


def entered(office: Office, who: str = "marta", clinic: str = "neuroreg", **changes: Any) -> Patient:
    """Enter one of the sandbox's people."""
    sheet = Sheet(number=office.number(who), given_name="Märta Ingrid", family_name="Öberg-Åström")
    sheet = replace(sheet, **changes)
    done = office.house.offices.register.enter(office.actor("anna", clinic), sheet, office.clock.now())
    assert isinstance(done, Patient)
    return done


def kinds(office: Office) -> list[str]:
    """Return what the trail says of patients, in order."""
    return [event.kind for event in office.events("patient.")]


def test_found_by_number(office: Office, register: Register) -> None:
    """A number finds this clinic's patient, and the person can read who looked for them."""
    patient = entered(office)

    found = register.by_number(office.actor(), office.number("marta"), office.clock.now())

    assert found is not None
    assert (found.handle, found.name) == (patient.handle, "Märta Ingrid Öberg-Åström")
    (event,) = office.events("patient.found")
    assert (event.person, event.clinic) == (patient.enrolment.person, "neuroreg")
    assert event.detail == {"by": office.member("anna").id, "role": "carer"}


def test_another_clinics_patient_is_nobody(office: Office, register: Register) -> None:
    """A patient of elsewhere is not found, by number, name or handle, and reads nothing of the search."""
    patient, anna, now = entered(office), office.actor("anna", "clinea"), office.clock.now()

    assert register.by_number(anna, office.number("marta"), now) is None
    assert register.by_name(anna, "Märta", date(1942, 10, 21), now) == ()
    with pytest.raises(NotFound):
        register.look(anna, patient.handle, now)
    assert kinds(office) == ["patient.entered"]


def test_a_search_makes_nobody(office: Office, register: Register) -> None:
    """A number that nobody has come with is looked for, and not kept."""
    assert register.by_number(office.actor(), office.number("marta"), office.clock.now()) is None
    assert records_of(office).accounts.known(office.number("marta")) is None


@pytest.mark.parametrize("name", ["märta", "OBERG", "Åström Märta", "marta öberg"])
def test_found_by_name_and_birth_date(office: Office, register: Register, name: str) -> None:
    """Any words of the name do, without case, accents or order, but never without the birth date."""
    patient = entered(office)
    born = patient.birthdate
    assert born is not None

    (found,) = register.by_name(office.actor(), name, born, office.clock.now())

    assert found.handle == patient.handle
    assert register.by_name(office.actor(), name, born + timedelta(days=1), office.clock.now()) == ()


def test_a_search_for_no_word_finds_nobody(office: Office, register: Register) -> None:
    """A birth date alone is no search: nobody browses a day's children."""
    born = entered(office).birthdate
    assert born is not None

    assert register.by_name(office.actor(), " - ", born, office.clock.now()) == ()


def test_harvesting_is_stopped(office: Office, register: Register) -> None:
    """After 300 searches in an hour a colleague is refused, once in the trail; others and the next hour go on."""
    anna, number = office.actor(), office.number("marta")
    for _ in range(LOOKS):
        register.by_number(anna, number, office.clock.now())

    for _ in range(2):
        with pytest.raises(TooManyLooks):
            register.by_number(anna, number, office.clock.now())
    with pytest.raises(TooManyLooks):
        register.by_name(office.actor("anna", "clinea"), "Märta", date(1942, 10, 21), office.clock.now())

    (event,) = office.events("patient.refused")
    assert (event.person, event.detail["by"]) == (None, anna.id)
    assert register.by_number(office.actor("bo"), number, office.clock.now()) is None
    office.clock.move(timedelta(hours=1))
    assert register.by_number(anna, number, office.clock.now()) is None


def test_programs_are_not_held_back_by_that(office: Office, register: Register) -> None:
    """A clinic's own system brings its list up to date: what it may ask is its scopes' matter."""
    program = Actor(id="client:journal", clinic="neuroreg", role=Role.CARER)

    for _ in range(LOOKS + 1):
        register.by_number(program, office.number("marta"), office.clock.now())


def test_looking_is_told_once_a_quarter(office: Office, register: Register) -> None:
    """Each look is the person's to read, but one colleague's looks within a quarter of an hour are one line."""
    patient = entered(office)
    for name in ("anna", "anna", "bo"):
        register.look(office.actor(name), patient.handle, office.clock.now())
    assert kinds(office).count("patient.viewed") == 2

    office.clock.move(timedelta(minutes=15))
    register.look(office.actor(), patient.handle, office.clock.now())

    assert kinds(office).count("patient.viewed") == 3


def test_how_they_sign_in(office: Office, register: Register) -> None:
    """Staff see when and by which eIDs somebody signed in at this clinic, and nothing of others (S1)."""
    patient, now = entered(office), office.clock.now()
    account_of(office, "marta")
    for clinic, provider in (("clinea", "mitid"), ("neuroreg", "bankid"), ("neuroreg", "freja")):
        event = Event(at=now, kind="signin.granted", clinic=clinic, provider=provider, person=patient.enrolment.person)
        office.house.durable.events.record(event)

    seen = register.look(office.actor(), patient.handle, now)

    assert (seen.signed_in_at, set(seen.eids)) == (now, {"bankid", "freja"})
    assert {event.clinic for event in register.trail(seen)} == {"neuroreg"}


@pytest.mark.parametrize("handle", ["", "x", "a" * 22, "a" * 23, "é" * 22])
def test_a_handle_that_is_none(office: Office, register: Register, handle: str) -> None:
    """What is no handle, or nobody's, is not there."""
    with pytest.raises(NotFound):
        register.look(office.actor(), handle, office.clock.now())


def test_entered_patients_may_use_the_clinic(office: Office) -> None:
    """Who is entered is approved from then on (R29), and found by a handle that says nothing of them."""
    patient = entered(office, takes_part=False, exempt="age", checked="passport")

    enrolment, entry = patient.enrolment, patient.enrolment.entry
    assert (enrolment.standing, enrolment.by) == (Standing.APPROVED, office.member("anna").id)
    assert entry is not None
    assert (entry.takes_part, entry.exempt, entry.checked) == (False, "age", "passport")
    assert len(patient.handle) == 22
