"""What registers say of a guardian and a child while neither is here: those that answer without the person's help."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from idbroker.accounts.account import Account, Enrolment
from idbroker.accounts.custody import PATIENCE
from idbroker.accounts.families import DOWN, OVER, UNTRUSTED, Kinship, Word
from idbroker.accounts.records import Records
from idbroker.accounts.vouching import is_grown
from idbroker.clinic import Clinic, Clinics
from idbroker.guardianship.records import Guardianships
from idbroker.guardianship.registers import Found, Registers
from idbroker.guardianship.tie import MANDATE, Guardian, Tie
from idbroker.identity import Identity, LoA
from idbroker.numbers import NationalNumber

AGAIN = timedelta(minutes=5)  # when a register that did not answer is asked about a child again


@dataclass(frozen=True, kw_only=True)
class Absent:
    """Implements `accounts.custody.Registers`: asks registers by the two numbers that we have, and nothing else.

    `registers` are those to ask. A clinic's own notes are not among them: when one is ended, so is the approval, at
    once, and an approval that comes after is the clinic's newer word. Nor is Suomi.fi, which wants the guardian there.
    `paces` is how often each may be asked about a child whom nobody has asked for. `number_of` is the number that
    somebody is recognised by, who has no account. `patience` is how many seconds they may take, all together.
    """

    registers: Registers
    paces: Mapping[str, timedelta]
    clinics: Clinics
    records: Records
    rows: Guardianships
    number_of: Callable[[str, datetime], NationalNumber | None]
    patience: float = PATIENCE

    def about(self, enrolment: Enrolment, account: Account, now: datetime) -> Kinship:
        """Return what those of a clinic say of the guardian it has approved and the child; `down` is not a no.

        Nor is `untrusted`, and that is no silence: of all other children the register says what it knows. A child that
        has grown up by the clinic's ages is asked about no more: what the guardian made ends by itself.
        """
        clinic, guardian = self.clinics.find(enrolment.clinic), enrolment.guardian
        if clinic is None or guardian is None or not self.of(clinic) or is_grown(account, clinic, now):
            return Kinship(Word.UNSURE)
        number = self._number(guardian, now)
        if number is None:
            return Kinship(Word.UNSURE, "no_number")  # no register knows them
        who = Guardian(person=guardian, identity=_unproved(number, now))
        found = self._asked(who, _numbers(account, enrolment), clinic, now)
        ties = (tie for one in found for answer in one.answers for tie in answer.ties)
        over = next((tie.barred for tie in ties if _is_over(tie)), None)
        if over is not None:
            return Kinship(Word.BARRED, over)
        if any(one.silent for one in found):
            return Kinship(Word.UNSURE, DOWN)
        return Kinship(Word.UNSURE, UNTRUSTED if any(one.down for one in found) else "")

    def _asked(
        self, who: Guardian, numbers: Sequence[NationalNumber], clinic: Clinic, now: datetime
    ) -> tuple[Found, ...]:
        """Ask every register by every number at once, and wait for `patience`: one that hangs takes no other's time."""
        asked = [(name, number) for name in self.of(clinic) for number in numbers]
        pool = ThreadPoolExecutor(len(asked), thread_name_prefix="register")
        try:
            futures = [pool.submit(self.registers.only(name).about, who, one, clinic, now) for name, one in asked]
            done, _ = wait(futures, timeout=self.patience)
        finally:
            pool.shutdown(wait=False)  # what hangs ends by its own time limit
        answers = zip(asked, futures, strict=True)
        return tuple(
            future.result() if future in done else Found(down=(name,), silent=(name,)) for (name, _), future in answers
        )

    def soon(self, enrolment: Enrolment, now: datetime) -> None:
        """Have it asked again before its day has passed: a register did not answer."""
        for row in self.rows.of_ward(enrolment.person):
            if (row.clinic, row.guardian) == (enrolment.clinic, enrolment.guardian):
                self.rows.check(row.id, now + AGAIN)

    def of(self, clinic: Clinic) -> tuple[str, ...]:
        """Return the names of a clinic's registers that are asked, in order."""
        return tuple(sorted(name for name in clinic.registers if name in self.registers.by_name))

    def asking(self) -> tuple[Clinic, ...]:
        """Return the clinics that have any."""
        return tuple(clinic for clinic in self.clinics.by_id.values() if self.of(clinic))

    def pace(self, clinic: Clinic) -> timedelta:
        """Return how often a clinic's are asked about one child: as often as the most patient of them allows."""
        return max(self.paces[name] for name in self.of(clinic))

    def _number(self, guardian: str, now: datetime) -> NationalNumber | None:
        account = self.records.accounts.of(guardian)
        return account.number if account is not None else self.number_of(guardian, now)


def _numbers(account: Account, enrolment: Enrolment) -> tuple[NationalNumber, ...]:
    """Return what a child is known by: of one whose records were joined the clinic may have another number."""
    entered = enrolment.entry.number if enrolment.entry is not None else None
    return tuple(dict.fromkeys(number for number in (account.number, entered) if number is not None))


def _is_over(tie: Tie) -> bool:
    """Tell whether a register says that custody is no more: of a power of attorney it would say nothing of that."""
    return tie.barred in OVER and tie.relation != MANDATE


def _unproved(number: NationalNumber, now: datetime) -> Identity:
    """Return somebody whom nobody has shown themselves to be: enough to ask by, and for nothing else."""
    return Identity(provider="", issuer="", subject="", loa=LoA.LOW, proved_at=now, number=number)
