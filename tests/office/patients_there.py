"""Somebody in a clinic's list, for the pages about one patient."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from idbroker.accounts.account import Enrolment, Entry, Standing
from idbroker.messages.message import Channel
from tests.office_door import Office

MAIL = "somebody@example.test"


def patient_at(office: Office, clinic: str = "neuroreg", person: str = "anna", **changes: Any) -> Enrolment:
    """Enter one of the sandbox's people at a clinic, with an e-mail address."""
    now, number = office.clock.now(), office.number(person)
    records = office.house.rooms.counter.records
    entry = Entry(number=number, given_name="Ada", family_name="Prøvesen", entered_at=now, by="staff-1")
    patient = Enrolment(
        person=records.accounts.person(number, now),
        clinic=clinic,
        standing=Standing.APPROVED,
        asked_at=now,
        decided_at=now,
        entry=entry,
        told={Channel.EMAIL: MAIL},
        language="sv",
    )
    wanted = replace(patient, **changes)
    kept = records.enrolments.change(patient.person, clinic, lambda _: wanted)
    assert kept is not None
    return kept


def mailed(office: Office) -> list[str]:
    """Return every e-mail so far; what the courier has begun by itself ends first."""
    office.house.rooms.counter.messages.close()
    return office.emails()
