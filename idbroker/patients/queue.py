"""Who asked to be taken: how they compare with what the clinic knows, and its answer, the first of which counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from idbroker.accounts.account import Account, Enrolment, Standing
from idbroker.accounts.approving import Approving, Decided
from idbroker.accounts.entries import has_died
from idbroker.accounts.records import Records
from idbroker.clinic import Clinics
from idbroker.errors import NotAllowed, NotFound
from idbroker.patients.comparing import Difference, differences
from idbroker.patients.patient import Conflict, NotDone, Patient
from idbroker.staff.member import Actor, Role
from idbroker.staff.records import Members


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Somebody who waits: `differences` from the clinic's own record, None where it has none to compare with.

    `guardian` is the account of who asked for a child; they may have none.
    """

    patient: Patient
    guardian: Account | None
    differences: tuple[Difference, ...] | None

    @property
    def alike(self) -> bool:
        """Tell whether the clinic knows them and nothing differs: only such are approved many at once."""
        return self.differences == () and self.patient.enrolment.guardian is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How it stands now; `first` when it was this answer, else `by` whom (a name for colleagues) and when."""

    patient: Patient
    first: bool
    by: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Every method may raise StoreError; NotFound for a handle that is not there; NotAllowed to who may not answer."""

    records: Records
    approving: Approving
    members: Members
    clinics: Clinics

    def waiting(self, actor: Actor) -> tuple[Asking, ...]:
        """Return who waits, oldest first."""
        _check(actor)
        return tuple(self._asking(one) for one in self.records.enrolments.asked(actor.clinic))

    def approve(self, actor: Actor, handle: str, now: datetime) -> Answered | NotDone:
        """Take somebody, and tell them."""
        enrolment = self._enrolment(actor, handle)
        if has_died(enrolment):
            return NotDone(why=Conflict.DECEASED, patient=self._patient(enrolment))
        return self._answered(
            self.approving.approve(enrolment.person, actor.clinic, actor.id, now, role=actor.role.value)
        )

    def decline(self, actor: Actor, handle: str, reason: str, now: datetime) -> Answered | NotDone:
        """Take them not, and tell them whom to ask; the reason, which must not be empty, stays here."""
        if not reason.strip():
            raise ValueError("a decline has a reason")
        person = self._enrolment(actor, handle).person
        return self._answered(
            self.approving.decline(person, actor.clinic, actor.id, reason, now, role=actor.role.value)
        )

    def approve_alike(self, actor: Actor, handles: Sequence[str], now: datetime) -> tuple[Answered | NotDone, ...]:
        """Take many at once: those who are alike, as they are now; the others are left (NOT_ALIKE)."""
        return tuple(self._approved_alike(actor, handle, now) for handle in dict.fromkeys(handles))

    def _approved_alike(self, actor: Actor, handle: str, now: datetime) -> Answered | NotDone:
        asking = self._asking(self._enrolment(actor, handle))
        if asking.patient.enrolment.standing is Standing.ASKED and not asking.alike:
            return NotDone(why=Conflict.NOT_ALIKE, patient=asking.patient)
        return self.approve(actor, handle, now)

    # ---- how -------------------------------------------------------------------------------------

    def _enrolment(self, actor: Actor, handle: str) -> Enrolment:
        _check(actor)
        found = self.records.enrolments.by_handle(actor.clinic, handle) if len(handle) == 22 else None
        if found is None:
            raise NotFound("no such patient at this clinic")
        return found

    def _patient(self, enrolment: Enrolment) -> Patient:
        return Patient(enrolment=enrolment, account=self.records.accounts.of(enrolment.person))

    def _asking(self, enrolment: Enrolment) -> Asking:
        patient, clinic = self._patient(enrolment), self.clinics.find(enrolment.clinic)
        return Asking(
            patient=patient,
            guardian=self.records.accounts.of(enrolment.guardian) if enrolment.guardian else None,
            differences=differences(enrolment, patient.account, clinic.country if clinic else ""),
        )

    def _answered(self, decided: Decided) -> Answered | NotDone:
        patient, at = self._patient(decided.enrolment), decided.enrolment.decided_at
        if at is None:
            return NotDone(why=Conflict.NOT_ASKED, patient=patient)
        return Answered(patient=patient, first=decided.first, by=self._named(decided.enrolment.by or ""), at=at)

    def _named(self, by: str) -> str:
        """Return who decided as colleagues call them; of what is no colleague, its own word."""
        member = self.members.of(by)
        return by if member is None else member.name


def _check(actor: Actor) -> None:
    if not actor.may(Role.APPROVER):
        raise NotAllowed(f"{actor.role} answers nobody")
