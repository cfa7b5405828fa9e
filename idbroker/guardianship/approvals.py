"""The approvals of guardians, each asked about once a day: who has lost custody loses a child's sign-in without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from idbroker.accounts.custody import Custody
from idbroker.accounts.families import DOWN
from idbroker.accounts.records import Records
from idbroker.clinic import Clinic, Clinics
from idbroker.clock import Clock
from idbroker.couriers import Courier, Rests
from idbroker.events import Event
from idbroker.guardianship.absent import Absent
from idbroker.guardianship.records import Guardianship, Guardianships

THREADS = 2
MOST = 20  # that one worker takes at once, and
EVERY = timedelta(seconds=30)  # how often: a register is asked forty times a minute by a worker, however many are due
LEASE = timedelta(minutes=2)  # longer than a whole batch that nobody answers


@dataclass(kw_only=True, eq=False)
class Approvals(Courier[Guardianship]):
    """The watch over them of one worker: `start` it, `close` it.

    Takes notes that were not asked about for as long as their register wants, each by one worker, and asks about the
    approval behind each (accounts/custody.py). Registers that do not answer are left alone for a while;
    `first_today` tells whether that is told for the first time in a day, of a clinic.
    """

    clock: Clock
    rows: Guardianships
    records: Records
    clinics: Clinics
    absent: Absent
    custody: Custody
    first_today: Callable[[str, datetime], bool]

    def __post_init__(self) -> None:
        self._set_up("custody", THREADS)

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self._rests = Rests()
        self._looked: datetime | None = None

    # ---- many ------------------------------------------------------------------------------------

    def _take(self, now: datetime) -> Iterator[Guardianship]:
        """Take a batch, if it is time and any register would be asked."""
        lately = self._looked is not None and self._looked <= now < self._looked + EVERY
        asking = () if lately or self._under_way() else self.absent.asking()
        resting = self._rests.at(now)
        clinics = [clinic.id for clinic in asking if _lane(self.absent.of(clinic)) not in resting]
        if clinics:
            self._looked = now
            yield from self.rows.due(now, clinics, LEASE, MOST)

    def _lane(self, row: Guardianship) -> str:
        clinic = self.clinics.find(row.clinic)
        return "" if clinic is None else _lane(self.absent.of(clinic))

    # ---- one -------------------------------------------------------------------------------------

    def _carry(self, row: Guardianship, now: datetime) -> bool:
        """Ask about one; tell whether it goes on."""
        clinic, lane = self.clinics.find(row.clinic), self._lane(row)
        if clinic is None or lane in self._rests.at(now):
            return False  # back after its lease
        enrolment, account = self.records.enrolments.find(row.ward, row.clinic), self.records.accounts.of(row.ward)
        if enrolment is not None and account is not None and enrolment.guardian == row.guardian:
            kinship = self.custody.asked(enrolment, account, now)
            if kinship.is_over:
                return False
            if kinship.reason == DOWN:  # silence alone: a few spoilt rows of a register must not starve the others
                self._rests.failed(lane, now)
                self._tell_silence(clinic, now)
                return False  # back as soon as `Absent.soon` has said
            self._rests.answered(lane)
        self.rows.check(row.id, now + self.absent.pace(clinic))
        return True

    def _tell_silence(self, clinic: Clinic, now: datetime) -> None:
        """Have the trail say that a no could not be heard: once a day, whichever worker finds it."""
        if self.first_today(clinic.id, now):
            detail = {"registers": _lane(self.absent.of(clinic))}
            self.custody.events.record(Event(at=now, kind="register.silent", clinic=clinic.id, detail=detail))


def _lane(names: tuple[str, ...]) -> str:
    return " ".join(names)
