"""The register that clinics keep themselves: what staff, a clinic's program or an approved registration has noted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from idbroker.accounts.entries import has_died
from idbroker.accounts.records import Records
from idbroker.clinic import Clinic
from idbroker.guardianship.records import Guardianship, Guardianships
from idbroker.guardianship.tie import REGISTER, Answer, Guardian, Tie
from idbroker.numbers import NationalNumber


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
        rows = self.rows.of_guardian(guardian.person) if only != (None,) else ()
        own = (row for row in rows if row.clinic == clinic.id and row.basis != REGISTER)
        ties = tuple(self._tie(row) for row in own if not only or row.ward in only)
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
        )
