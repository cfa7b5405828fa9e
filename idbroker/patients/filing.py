"""What a clinic's own systems tell of a patient, and no page does: that custody of a child has changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from idbroker.accounts.account import Enrolment
from idbroker.accounts.records import Records
from idbroker.errors import NotFound
from idbroker.events import Events
from idbroker.guardianship.tie import CUSTODY
from idbroker.numbers import NationalNumber
from idbroker.patients.noting import Noting
from idbroker.patients.patient import Patient
from idbroker.patients.trail import record
from idbroker.staff.member import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """The patient as they are now; `ended` when what a guardian might do here ended."""

    patient: Patient
    ended: bool


@dataclass(frozen=True, kw_only=True)
class Filing:
    """Files it. May raise StoreError; NotFound for a handle that is not there."""

    records: Records
    noting: Noting
    events: Events

    def custody(
        self, actor: Actor, handle: str, on: date, now: datetime, guardian: NationalNumber | None = None
    ) -> Filed:
        """Note that custody of a child has changed: what a guardian might do for it here ends at once.

        Of the one guardian whose number is given, else of all. Whose child it is now is not said: the clinic notes or
        approves the next guardian, or this one again, as any.
        """
        found = self._found(actor, handle)
        # Of who has never come, too: a register that has not heard of it would let them in when they do.
        whose = None if guardian is None else self.records.accounts.person(guardian, now)
        ended = self.noting.end_of(actor, found, whose, CUSTODY, now)
        said = {"on": on.isoformat(), "ended": "yes" if ended else "no"}
        record(self.events, "patient.custody", actor, found.person, now, **said)
        return Filed(patient=self._patient(self._found(actor, handle)), ended=ended)

    def _found(self, actor: Actor, handle: str) -> Enrolment:
        found = self.records.enrolments.by_handle(actor.clinic, handle)
        if found is None:
            raise NotFound("no such patient here")
        return found

    def _patient(self, enrolment: Enrolment) -> Patient:
        return Patient(enrolment=enrolment, account=self.records.accounts.of(enrolment.person))
