"""Children in a clinic's list, and who is noted for them."""

from __future__ import annotations

from idbroker.accounts.account import Enrolment, Entry, Standing
from idbroker.numbers import NationalNumber, parse
from idbroker.patients.noting import Held
from idbroker.sandbox.sim_person import cpr, years_before
from tests.conftest import NOW
from tests.office_door import Office

LARS = parse(cpr(years_before(NOW.date(), 41), 77), "DK", now=NOW.date())


def child_at(
    office: Office, age: int = 9, serial: int = 410, clinic: str = "clinea", number: NationalNumber | None = None
) -> Enrolment:
    """Have a clinic take a child, or somebody by number, as its patient."""
    number = number or parse(cpr(years_before(office.today, age, 100), serial), "DK", now=office.today)
    now = office.clock.now()
    said = {"number": number, "given_name": "Lille", "family_name": "Prøvesen", "birthdate": number.birthdate}
    entry = Entry(**{**said, "entered_at": now, "by": "staff-1"})  # type: ignore[arg-type]
    person = office.house.rooms.counter.records.accounts.person(number, now)
    made = Enrolment(person=person, clinic=clinic, standing=Standing.APPROVED, asked_at=now, entry=entry)
    kept = office.house.rooms.counter.records.enrolments.change(person, clinic, lambda _: made)
    assert kept is not None
    return kept


def noted(office: Office, handle: str, clinic: str = "clinea") -> tuple[Held, ...]:
    """Return who may act for a patient."""
    return office.house.offices.noting.of(office.actor("bo", clinic), handle, office.clock.now())


def path_of(handle: str, clinic: str = "clinea") -> str:
    """Return the page's path."""
    return f"/staff/{clinic}/patients/{handle}/guardians"
