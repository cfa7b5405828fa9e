"""Somebody in a clinic's list, for the pages about one patient."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

from idbroker.accounts.account import Enrolment, Entry, Standing
from idbroker.messages.message import Channel
from tests.office_door import Office

PATIENCE = 10.0
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


def mailed(office: Office, least: int = 1) -> list[str]:
    """Return every e-mail so far, once there are so many: the courier may be about to hand one over by itself."""
    until = time.monotonic() + PATIENCE
    while len(found := office.emails()) < least and time.monotonic() < until:
        threading.Event().wait(0.01)
    return found
