"""What a clinic's own systems tell of a patient, and no page does: that custody of a child has changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime

from idbroker.accounts.account import Enrolment, Standing
from idbroker.accounts.own import SignOns
from idbroker.accounts.records import Records
from idbroker.client import Clients
from idbroker.errors import NotFound
from idbroker.events import Events
from idbroker.identity import LoA
from idbroker.patients.patient import Patient
from idbroker.patients.trail import record
from idbroker.staff.member import Actor

CUSTODY = "custody"  # why a guardian's approval ended, as the enrolment says


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """The patient as they are now; `ended` when a guardian's approval here ended."""

    patient: Patient
    ended: bool


@dataclass(frozen=True, kw_only=True)
class Filing:
    """Files it. May raise StoreError; NotFound for a handle that is not there."""

    records: Records
    clients: Clients
    sign_ons: SignOns
    events: Events

    def custody(self, actor: Actor, handle: str, on: date, now: datetime) -> Filed:
        """Note that custody of a child has changed; the guardian whom this clinic approved is so no more, at once.

        The attack: a parent who has lost custody reads a child's record with the password they once chose for it.
        Whose child it is now is not said: the clinic approves the next guardian, or this one again, as any.
        """
        found = self._found(actor, handle)
        ended = False

        def end(before: Enrolment | None) -> Enrolment | None:
            nonlocal ended
            ended = before is not None and before.guardian is not None and before.standing is Standing.APPROVED
            return _without_guardian(before, actor, now) if ended and before is not None else None

        kept = self.records.enrolments.change(found.person, actor.clinic, end) or found
        if ended:
            self._end_claims(found.person, actor.clinic)
        said = {"on": on.isoformat(), "ended": "yes" if ended else "no"}
        record(self.events, "patient.custody", actor, found.person, now, **said)
        return Filed(patient=self._patient(kept), ended=ended)

    def _found(self, actor: Actor, handle: str) -> Enrolment:
        found = self.records.enrolments.by_handle(actor.clinic, handle)
        if found is None:
            raise NotFound("no such patient here")
        return found

    def _patient(self, enrolment: Enrolment) -> Patient:
        return Patient(enrolment=enrolment, account=self.records.accounts.of(enrolment.person))

    def _end_claims(self, person: str, clinic: str) -> None:
        """End what the guardian has open: sign-ons by the child's password, and what this clinic's services hold."""
        for session in self.sign_ons.of_person(person):
            if session.identity.loa is LoA.LOW:
                self.sign_ons.end_one(person, session.key)
        for client in self.clients.all():
            if client.clinic == clinic:
                self.sign_ons.end_client(person, client.id)


def _without_guardian(before: Enrolment, actor: Actor, now: datetime) -> Enrolment:
    """Return an enrolment whose guardian is approved no more.

    A child that the clinic has in its own list stays there. One that it knows by the guardian's claim alone stands
    as declined to this guardian, so that another may ask (child.py).
    """
    if before.entry is not None:
        return replace(before, guardian=None)
    return replace(before, standing=Standing.DECLINED, decided_at=now, by=actor.id, reason=CUSTODY)
