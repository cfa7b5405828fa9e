"""The register that clinics keep themselves: what staff, a clinic's program or an approved registration has noted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime

from idbroker.accounts.entries import has_died, is_protected
from idbroker.accounts.records import Records
from idbroker.ages import MAJORITY, day_of, is_of_age
from idbroker.clinic import Clinic
from idbroker.guardianship.records import Guardianship, Guardianships
from idbroker.guardianship.tie import MANDATE, REGISTER, Answer, Guardian, Tie
from idbroker.numbers import NationalNumber

WITHDRAWN = "withdrawn"


@dataclass(frozen=True, kw_only=True)
class LocalRegister:
    """Answers from our own tables, so its word is good for this moment only. May raise StoreError.

    Each clinic's notes are its own. The attack: whom one clinic took for a guardian by mistake acts at every other.
    """

    rows: Guardianships
    records: Records
    name = "local"

    def wards(self, guardian: Guardian, clinic: Clinic, now: datetime) -> Answer:
        """Return everybody for whom this clinic has noted the guardian."""
        return self._answer(guardian, clinic, now)

    def about(self, guardian: Guardian, ward: NationalNumber, clinic: Clinic, now: datetime) -> Answer:
        """Return what this clinic has noted of the guardian and one ward."""
        person = self.records.accounts.known(ward)
        return self._answer(guardian, clinic, now, only=(person,))

    def _answer(self, guardian: Guardian, clinic: Clinic, now: datetime, only: tuple[str | None, ...] = ()) -> Answer:
        """Return what the clinic itself has noted; what stands here on another register's word is that one's to say.

        The attack: a child was registered on a register's word, which is withdrawn: the note of it must not go on.
        """
        # Where nobody is meant, too: a read more or less would tell by its time who is known here.
        rows = self.rows.of_guardian_ever(guardian.person)
        here = [row for row in rows if row.clinic == clinic.id and (not only or row.ward in only)]
        held = {row.ward: row for row in here if row.ended_at is None and row.basis != REGISTER and row.is_note}
        ended = {row.ward: row for row in here if row.ended_at is not None and row.ward not in held}
        day = day_of(now, clinic.zone)
        barred = (_barred(row, self._tie(row), day) for row in ended.values())
        ties = (*map(self._tie, held.values()), *(tie for tie in barred if tie is not None))
        return Answer(register=self.name, ties=ties, asked_at=now, good_until=now)

    def _tie(self, row: Guardianship) -> Tie:
        enrolment = self.records.enrolments.find(row.ward, row.clinic)
        entry = enrolment.entry if enrolment is not None else None
        number = entry.number if entry is not None else None
        # Twenty wards are twenty reads less.
        account = self.records.accounts.of(row.ward) if number is None else None
        said = entry or account
        return Tie(
            number=number or (account.number if account is not None else None),
            person=row.ward,
            given_name=said.given_name if said is not None else None,
            family_name=said.family_name if said is not None else None,
            birthdate=said.birthdate if said is not None else None,
            relation=row.relation,
            basis=row.basis,
            powers=row.powers,
            until=row.until,
            deceased=has_died(enrolment),
            protected=is_protected(enrolment),
        )


def _barred(row: Guardianship, tie: Tie, day: date) -> Tie | None:
    """Return the clinic's no to what it has ended, which holds until it notes them anew; None once it means nothing.

    The attack: a court has given custody to the other parent, the clinic has ended what this one may do, and a
    register that has not heard of it lets them in again within seconds. What a grown person gives to who once lost
    custody of them is another right.
    """
    grown = tie.born is not None and is_of_age(tie.born, MAJORITY, day)
    return None if grown and row.relation != MANDATE else replace(tie, barred=WITHDRAWN)
