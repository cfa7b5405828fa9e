"""The clinic's list: finding patients, looking at one, entering and changing them. All of it is in their trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from idbroker.accounts.letters import Letters
from idbroker.accounts.own import History, SignOns
from idbroker.accounts.records import Records
from idbroker.clinic import Clinics
from idbroker.events import Event, Events
from idbroker.keeping import Tallies
from idbroker.numbers import NationalNumber
from idbroker.patients.patient import NotDone, Patient, Sheet
from idbroker.staff.member import Actor


@dataclass(frozen=True, kw_only=True)
class Register:
    """One clinic's patients: the actor's. Every method may raise StoreError; NotFound for a handle that is not there.

    Another clinic's patient is not there, whatever the handle. Looking and changing are events of the person's
    (`patient.found`, `.viewed`, `.entered`, `.changed`), with `by` (the actor's id) and `role` in the detail.
    """

    records: Records
    clinics: Clinics
    letters: Letters
    events: Events
    history: History
    sign_ons: SignOns
    tallies: Tallies

    def by_number(self, actor: Actor, number: NationalNumber, now: datetime) -> Patient | None:
        """Return who has a number, if they are this clinic's; whoever else it is of is nobody here."""
        raise NotImplementedError

    def by_name(self, actor: Actor, name: str, birthdate: date, now: datetime) -> tuple[Patient, ...]:
        """Return who has all these words in their name, and this birth date."""
        raise NotImplementedError

    def look(self, actor: Actor, handle: str, now: datetime) -> Patient:
        """Return one, to be shown: the person can read that it was, once for each quarter of an hour and colleague."""
        raise NotImplementedError

    def enter(self, actor: Actor, sheet: Sheet, now: datetime) -> Patient | NotDone:
        """Put somebody into the list; they may use the clinic from then on. Who is there already is brought up to date.

        NotDone for a number that is here under another name (OTHER_NAME), or none (NO_NUMBER). What a person has
        chosen or confirmed themselves is never overwritten.
        """
        raise NotImplementedError

    def change(self, actor: Actor, handle: str, sheet: Sheet, mark: str | None, now: datetime) -> Patient | NotDone:
        """Change what the clinic has; a form on an earlier state is STALE, and changes nothing.

        The old address is told of a new one; codes go to a new one only when the patient has confirmed it.
        """
        raise NotImplementedError

    def died(self, actor: Actor, handle: str, on: date, now: datetime) -> Patient:
        """Note a death: nobody signs in to this clinic's services as this person any more; what runs ends at once."""
        raise NotImplementedError

    def trail(self, patient: Patient, limit: int = 100) -> Sequence[Event]:
        """Return what this clinic's part of the trail says of a patient, the newest first."""
        raise NotImplementedError
