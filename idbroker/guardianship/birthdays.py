"""Telling guardians and their wards, before the birthday and on it, that what a guardian may do ends by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from idbroker.accounts.account import Account, Contact, Enrolment
from idbroker.accounts.entries import has_died, is_protected
from idbroker.accounts.letters import Birthday, Letters
from idbroker.accounts.records import Records
from idbroker.accounts.vouching import here
from idbroker.ages import first_minute
from idbroker.client import Clients
from idbroker.clinic import Clinic, Clinics
from idbroker.clock import Clock
from idbroker.couriers import Courier
from idbroker.guardianship.entering import limits_over
from idbroker.guardianship.records import Guardianship, Guardianships
from idbroker.numbers import birthdate_of

DAYS = (0, 1, 14, 60)  # before the birthday on which people are told
TOO_LATE = timedelta(days=3)  # after it, when nobody was there to tell them: then it is no news
MORNING = time(8)  # a text message wakes people
EVERY = timedelta(hours=1)
MOST = 200
THREADS = 2


@dataclass(kw_only=True, eq=False)
class Birthdays(Courier[Guardianship]):
    """Tells them, each once: `start` it, `close` it.

    A letter lies in the outbox before its row says that it went out. Whoever breaks in between leaves a row that is
    taken again, and the letter, which has the same id, is not sent again. So is it when many workers take one row.
    """

    clock: Clock
    rows: Guardianships
    records: Records
    letters: Letters
    clinics: Clinics
    clients: Clients

    def __post_init__(self) -> None:
        self._looked: datetime | None = None
        self._set_up("birthdays", THREADS)

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self._looked = None

    # ---- many ------------------------------------------------------------------------------------

    def _take(self, now: datetime) -> Iterator[Guardianship]:
        """Take those of whom somebody is to be told today; the next look is in an hour, or when these are done."""
        lately = self._looked is not None and self._looked <= now < self._looked + EVERY
        local = self._local(now)
        if self._under_way() or lately or local is None or local.time() < MORNING:
            return
        found: dict[str, Guardianship] = {}
        for days in DAYS:
            rows = self.rows.nearing(local.date() + timedelta(days=days), days, MOST)
            found.update((row.id, row) for row in rows)
        self._looked = now if len(found) < MOST else None
        yield from found.values()

    def _lane(self, row: Guardianship) -> str:
        return row.clinic

    def _local(self, now: datetime) -> datetime | None:
        """Return the time on the wall where the day begins last: everywhere else it has begun."""
        walls = (now.astimezone(clinic.zone).replace(tzinfo=None) for clinic in self.clinics.by_id.values())
        return min(walls, default=None)

    # ---- one -------------------------------------------------------------------------------------

    def _carry(self, row: Guardianship, now: datetime) -> bool:
        """Tell of one, if it is due; of several messages only the nearest: a clock may jump, or we may be away."""
        clinic = self.clinics.find(row.clinic)
        if row.limit_on is None:
            return False
        if clinic is None:
            return self.rows.tell(row.id, 0)  # a clinic that is gone tells nobody anything
        wall = now.astimezone(clinic.zone)
        if wall.time() < MORNING:
            return False  # east of where it is evening yet the day has begun, and people sleep
        left = row.limit_on - wall.date()
        nearest = next((days for days in DAYS if left <= timedelta(days=days)), None)
        if nearest is None or (row.told is not None and row.told <= nearest):
            return False
        if left >= -TOO_LATE:
            self._write(row, row.limit_on, clinic, nearest)
        first = self.rows.tell(row.id, nearest)
        if nearest == 0 and not row.is_note:
            self.rows.forget_used(row.clinic, row.guardian, (row.ward,))
        return first

    def _write(self, row: Guardianship, limit_on: date, clinic: Clinic, days: int) -> None:
        enrolment = self.records.enrolments.find(row.ward, row.clinic)
        if has_died(enrolment) or is_protected(enrolment):  # a letter would say where the child is a patient
            return
        guardian, ward = self.records.accounts.of(row.guardian), self.records.accounts.of(row.ward)
        birthday = Birthday(
            clinic=row.clinic,
            client=self._service(row.clinic, enrolment),
            at=first_minute(limit_on, clinic.zone),
            age=self._age(limit_on, clinic, ward, enrolment),
            ward=row.ward,
            days=days,
        )
        theirs = _reached(guardian)
        if guardian is not None and not has_died(self.records.enrolments.find(row.guardian, row.clinic)):
            self.letters.birthday(birthday, guardian, theirs)
        if ward is not None:
            # A child may have been registered with its guardian's address: one letter is enough there.
            known = {contact.address for contact in theirs}
            theirs_here = _reached(here(ward, enrolment))
            own = tuple(contact for contact in theirs_here if contact.address not in known)
            self.letters.birthday(birthday, ward, own)

    def _age(self, limit_on: date, clinic: Clinic, ward: Account | None, enrolment: Enrolment | None) -> int:
        """Return how old the ward becomes on that day; what the rules here say where the birth date is not known."""
        born = _born(ward, enrolment)
        return limit_on.year - born.year if born is not None else limits_over(clinic, self.clients.all()).first_end

    def _service(self, clinic: str, enrolment: Enrolment | None) -> str | None:
        """Return the service to name: where they came from, else the clinic's only one."""
        if enrolment is not None and enrolment.client is not None:
            return enrolment.client
        here = [one.id for one in self.clients.all() if one.clinic == clinic and not one.disabled and not one.api]
        return here[0] if len(here) == 1 else None


def _reached(account: Account | None) -> tuple[Contact, ...]:
    return account.reachable if account is not None and not account.disabled else ()


def _born(ward: Account | None, enrolment: Enrolment | None) -> date | None:
    entry = enrolment.entry if enrolment is not None else None
    number = (ward.number if ward is not None else None) or (entry.number if entry is not None else None)
    return birthdate_of(number, *(one.birthdate for one in (ward, entry) if one is not None))
