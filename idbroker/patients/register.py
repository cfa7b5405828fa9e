"""The clinic's list: finding patients, looking at one, entering and changing them. All of it is in their trail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from idbroker.accounts.account import Enrolment, Standing
from idbroker.accounts.entries import entry_of, has_died, is_own, is_protected
from idbroker.accounts.letters import Letters
from idbroker.accounts.own import SignOns
from idbroker.accounts.records import Records
from idbroker.client import Clients
from idbroker.errors import BrokerError, NotAllowed, NotFound, StoreError
from idbroker.events import Event, Events, History
from idbroker.keeping import Tallies
from idbroker.numbers import NationalNumber
from idbroker.patients.comparing import told_here
from idbroker.patients.noting import Noting
from idbroker.patients.patient import Conflict, NotDone, Patient, Sheet, TooManyLooks
from idbroker.patients.trail import record
from idbroker.patients.writing import another, entered, replaced, said, taken, written
from idbroker.staff.member import Actor, Role

LOOKS = 300  # searches of one colleague in an hour: nobody has so many patients before them
AGAIN = timedelta(minutes=15)
_HOUR = timedelta(hours=1)
_LOOKED_AT = 100  # times that a person has come
_SIGNED_IN = ("signin.granted", "signin.session")
_TOLD = (*_SIGNED_IN, "contact.settled", "contact.changed")
_CAME = (*_TOLD, "enrolment.asked", "enrolment.made")


@dataclass(frozen=True, kw_only=True)
class Register:
    """One clinic's patients: the actor's. Every method may raise StoreError; NotFound for a handle that is not there.

    Another clinic's patient is not there, whatever the handle. Looking and changing are events of the person's
    (`patient.found`, `.viewed`, `.entered`, `.changed`, `.died`, `.lives`), with `by` (the actor's id) and `role` in
    the detail.
    """

    records: Records
    clients: Clients
    letters: Letters
    events: Events
    history: History
    sign_ons: SignOns
    tallies: Tallies
    noting: Noting

    # ---- finding ---------------------------------------------------------------------------------

    def by_number(self, actor: Actor, number: NationalNumber, now: datetime) -> Patient | None:
        """Return who has a number, if they are this clinic's; whoever else it is of is nobody here.

        Raises TooManyLooks: 300 searches of one colleague in an hour.
        """
        self._count(actor, now)
        person = self.records.accounts.known(number)
        found = None if person is None else self.records.enrolments.find(person, actor.clinic)
        return None if found is None else self._found(actor, (found,), now)[0]

    def by_name(self, actor: Actor, name: str, birthdate: date, now: datetime) -> tuple[Patient, ...]:
        """Return who has all these words in their name, and this birth date. Raises TooManyLooks."""
        self._count(actor, now)
        return self._found(actor, self.records.enrolments.named(actor.clinic, name, birthdate), now)

    def again(self, actor: Actor, handles: Iterable[str]) -> tuple[Patient, ...]:
        """Return those that a search has found just now, to show the same page once more: without another event."""
        found = (self.records.enrolments.by_handle(actor.clinic, handle) for handle in handles)
        return tuple(self._patient(one) for one in found if one is not None)

    def look(self, actor: Actor, handle: str, now: datetime) -> Patient:
        """Return one, to be shown: the person can read that it was, once for each quarter of an hour and colleague."""
        enrolment = self._enrolment(actor, handle)
        self._note("patient.viewed", actor, enrolment.person, now)
        return self._patient(enrolment)

    def shown(self, actor: Actor, patients: Iterable[Patient], now: datetime) -> None:
        """Note of each of many on one page that they were looked at, by the same rule."""
        for patient in patients:
            self._note("patient.viewed", actor, patient.enrolment.person, now)

    def trail(self, patient: Patient, limit: int = 100) -> Sequence[Event]:
        """Return what this clinic's part of the trail says of a patient, the newest first."""
        return self.history.of_person(patient.enrolment.person, limit, clinic=patient.enrolment.clinic)

    # ---- writing ---------------------------------------------------------------------------------

    def enter(self, actor: Actor, sheet: Sheet, now: datetime, *, listed: bool = False) -> Patient | NotDone:
        """Put somebody into the list; they may use the clinic from then on. Who is there already is brought up to date.

        NotDone for a number that is here under another name (OTHER_NAME), or none (NO_NUMBER), or DECEASED. What a
        person has chosen or confirmed themselves is never overwritten, and what waits for the clinic's answer, or was
        declined, is not answered by this: approvers do. `listed` only lists somebody new (KNOWN): they may ask.
        """
        if sheet.number is None:
            return NotDone(why=Conflict.NO_NUMBER)
        person = self.records.accounts.known(sheet.number) or self.records.accounts.person(sheet.number, now)
        account = self.records.accounts.of(person)
        standing = Standing.KNOWN if listed else Standing.APPROVED

        def enter(before: Enrolment | None) -> Enrolment:
            if before is None:
                return written(entered(actor, person, standing, now), None, sheet, actor, now)
            if has_died(before):
                raise _Refusal(Conflict.DECEASED)
            if another(Patient(enrolment=before, account=account).name, sheet):
                raise _Refusal(Conflict.OTHER_NAME)
            return written(taken(before, actor, standing, now), account, sheet, actor, now)

        return self._kept(actor, person, enter, now)

    def change(self, actor: Actor, handle: str, sheet: Sheet, mark: str | None, now: datetime) -> Patient | NotDone:
        """Change what the clinic has; a form on an earlier state is STALE, and changes nothing.

        The old address is told of a new one; codes go to a new one only when the patient has confirmed it. ELSEWHERE
        for another number: who has a new one is another person until an administrator joins the two.
        """
        person = self._enrolment(actor, handle).person
        account = self.records.accounts.of(person)

        def change(before: Enrolment | None) -> Enrolment:
            if before is None:
                raise NotFound("the patient was removed meanwhile")
            if has_died(before):
                raise _Refusal(Conflict.DECEASED)
            if mark is not None and Patient(enrolment=before).mark != mark:
                raise _Refusal(Conflict.STALE)
            if sheet.number is not None and self.records.accounts.known(sheet.number) != person:
                raise _Refusal(Conflict.ELSEWHERE)
            return written(before, account, sheet, actor, now)

        return self._kept(actor, person, change, now)

    def died(self, actor: Actor, handle: str, on: date, now: datetime) -> Patient:
        """Note a death: nobody signs in to this clinic's services as this person any more; what runs ends at once.

        So does what others may do here for the dead, and what the dead might do for others.
        NotAllowed to who is no administrator. Noted again, it ends again what has begun meanwhile.
        """
        patient = self._noted_death(actor, handle, on, now)
        for client in self.clients.all():
            if client.clinic == actor.clinic:
                self.sign_ons.end_client(patient.enrolment.person, client.id)
        self.noting.died(actor, patient.enrolment.person, now)
        return patient

    def lives(self, actor: Actor, handle: str, now: datetime) -> Patient:
        """Take the note of a death back: it was a mistake. NotAllowed to who is no administrator."""
        return self._noted_death(actor, handle, None, now)

    # ---- how -------------------------------------------------------------------------------------

    def _count(self, actor: Actor, now: datetime) -> None:
        """Count a search of a colleague's. Programs are held back by their own scopes and rates.

        The attack: who has a colleague's screen, or is one, types number after number to learn who is a patient.
        """
        if actor.id.startswith("client:") or actor.id == "operator":
            return
        looks = self.tallies.add(f"looks|{actor.id}", _HOUR)
        if looks <= LOOKS:
            return
        if looks == LOOKS + 1:
            said = {"by": actor.id, "role": actor.role.value}
            self.events.record(Event(at=now, kind="patient.refused", clinic=actor.clinic, detail=said))
        raise TooManyLooks(f"more than {LOOKS} searches in an hour")

    def _found(self, actor: Actor, found: Sequence[Enrolment], now: datetime) -> tuple[Patient, ...]:
        for enrolment in found:
            self._note("patient.found", actor, enrolment.person, now)
        return tuple(map(self._patient, found))

    def _note(self, kind: str, actor: Actor, person: str, now: datetime) -> None:
        """Keep in the trail that somebody looked; the same within the quarter says nothing more."""
        name = f"{kind}|{actor.id}|{actor.clinic}|{person}"
        if self.tallies.add(name, AGAIN) > 1:
            return
        try:
            record(self.events, kind, actor, person, now)
        except StoreError:
            self.tallies.clear(name)  # or the next look would be kept from the person
            raise

    def _enrolment(self, actor: Actor, handle: str) -> Enrolment:
        found = self.records.enrolments.by_handle(actor.clinic, handle) if len(handle) == 22 else None
        if found is None:
            raise NotFound("no such patient at this clinic")
        return found

    def _patient(self, enrolment: Enrolment) -> Patient:
        came = self.history.of_person(enrolment.person, _LOOKED_AT, kinds=_CAME, clinic=enrolment.clinic)
        theirs = [event for event in came if "ward" not in event.detail]  # who brought a child has not come for this
        here = [event for event in theirs if event.kind in _SIGNED_IN]
        account = self.records.accounts.of(enrolment.person)
        only_here = account is not None and account.only_at == (enrolment.clinic,)
        return Patient(
            enrolment=enrolment,
            account=account,
            signed_in_at=here[0].at if here else None,
            eids=tuple(dict.fromkeys(event.provider for event in here if event.provider)),
            confirmed=told_here(enrolment, account, [event for event in theirs if event.kind in _TOLD]),
            came=bool(theirs) or only_here or asked_themselves(enrolment),
        )

    def _kept(
        self, actor: Actor, person: str, change: Callable[[Enrolment | None], Enrolment], now: datetime
    ) -> Patient | NotDone:
        """Tell the old addresses, write, and keep in the trail what was written; or say why nothing was."""
        before: Enrolment | None = self.records.enrolments.find(person, actor.clinic)

        def noted(there: Enrolment | None) -> Enrolment:
            nonlocal before
            before = there
            return change(there)

        try:
            self._tell(before, change(before), now)
            kept = self.records.enrolments.change(person, actor.clinic, noted)
        except _Refusal as refusal:
            return self._not_done(refusal.why, actor, person)
        if kept is None:
            raise AssertionError("an enrolment was written and is not there")
        if is_protected(kept):
            # The attack: a parent from whom a child is hidden reads where it is treated, in what is open already, or by
            # the password that they chose for it. Every time: whoever broke in between had not ended it.
            self.noting.hide(kept)
        what = said(before, kept)
        if what or before is None:
            record(self.events, "patient.changed" if before else "patient.entered", actor, person, now, what=what)
        return self._patient(kept)

    def _tell(self, before: Enrolment | None, after: Enrolment, now: datetime) -> None:
        """Tell the old addresses first: whoever breaks in between has told of a change that was none."""
        gone = {} if before is None else replaced(before, after)
        if gone:
            self.letters.clinic_changed(after, self.records.accounts.of(after.person), gone, now)

    def _not_done(self, why: Conflict, actor: Actor, person: str) -> NotDone:
        """Return why nothing was done, and how it is now, and whose doing that was."""
        kept = self.records.enrolments.find(person, actor.clinic)
        if kept is None:
            raise NotFound("the patient was removed meanwhile")
        patient = self._patient(kept)
        kinds = ("patient.changed", "patient.entered", "patient.died")
        last = next((one for one in self.trail(patient) if one.kind in kinds), None)
        if last is None:
            return NotDone(why=why, patient=patient)
        return NotDone(why=why, patient=patient, at=last.at, by=last.detail.get("by", ""))

    def _noted_death(self, actor: Actor, handle: str, on: date | None, now: datetime) -> Patient:
        if not actor.may(Role.ADMINISTRATOR):
            raise NotAllowed(f"{actor.role} notes no deaths")
        person = self._enrolment(actor, handle).person
        account, news = self.records.accounts.of(person), False

        def note(before: Enrolment | None) -> Enrolment:
            nonlocal news
            if before is None:
                raise NotFound("the patient was removed meanwhile")
            entry = entry_of(before, account, actor.id, now)
            news = entry.deceased_on != on
            return replace(before, entry=replace(entry, deceased_on=on, by=actor.id)) if news else before

        kept = self.records.enrolments.change(person, actor.clinic, note)
        if kept is None:
            raise AssertionError("an enrolment was written and is not there")
        if news:
            record(self.events, "patient.died" if on else "patient.lives", actor, person, now)
        return self._patient(kept)


def asked_themselves(enrolment: Enrolment) -> bool:
    """Tell whether the record alone shows that somebody came by themselves: where the trail is gone, or long."""
    waits_or_waited = enrolment.standing in {Standing.ASKED, Standing.DECLINED}
    return enrolment.guardian is None and (waits_or_waited or not is_own(enrolment.entry))


class _Refusal(BrokerError):
    """Why nothing is written."""

    def __init__(self, why: Conflict) -> None:
        super().__init__(why.value)
        self.why = why
