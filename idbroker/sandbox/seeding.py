"""What is kept of the cast when a world begins: who is patient where, who has an account, who accepted which terms."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from idbroker.accounts.account import Account, Agreed, Consent, Contact, Enrolment, Entry, Standing
from idbroker.accounts.activation import Activation, Invitation
from idbroker.accounts.passwords import Hasher, Settings
from idbroker.accounts.records import Records, new_consent_id
from idbroker.ages import comes_of_age, day_of
from idbroker.client import Client
from idbroker.clinic import Clinic, Clinics
from idbroker.guardianship.records import Guardianship, Guardianships, new_id
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber, parse
from idbroker.sandbox.settings import PORTAL_OF
from idbroker.sandbox.sim_person import SimPerson

# Returns the person's id, new for whoever is not known; by an eID of theirs too, where it may come without the number.
Meet = Callable[[SimPerson, NationalNumber], str]
BY = "sandbox"
_SPEAKS = {"DK": "da", "SE": "sv", "FI": "fi"}


@dataclass(frozen=True, kw_only=True)
class Seeding:
    """Writes what is kept of people. What is there already stays: a folder may be kept between runs."""

    records: Records
    guardianships: Guardianships
    clinics: Clinics
    passwords: Settings
    now: datetime
    meet: Meet
    _ids: dict[str, str] = field(default_factory=dict, repr=False)

    def seed(self, people: Iterable[SimPerson]) -> None:
        """Write everybody; guardians come before those whose account they made. Raises StoreError."""
        everybody = tuple(people)
        for person in sorted(everybody, key=lambda one: one.guardian is not None):
            if _clinics_of(person) and person.number is not None and not person.invited:
                self._person(person, number_of(person, self.now))

    def _person(self, person: SimPerson, number: NationalNumber) -> None:
        self._ids[person.id] = person_id = self.meet(person, number)
        if person.contacts:
            self.records.accounts.add(self._account(person, person_id, number))
        for name, standing in _clinics_of(person).items():
            clinic = self.clinics.find(name)
            if clinic is not None:
                self._enrol(person, number, clinic, standing)
                if standing is Standing.APPROVED:
                    self._accept(person, person_id, clinic)

    def _account(self, person: SimPerson, person_id: str, number: NationalNumber) -> Account:
        has_eid = bool(set(person.eids) - {"fallback"})
        return Account(
            person=person_id,
            number=number,
            given_name=person.given_name,
            family_name=person.family_name,
            birthdate=person.born,
            language=_SPEAKS[person.country],
            password=None if person.password is None else hashed(person.password, self.passwords),
            password_set_at=None if person.password is None else self.now,
            contacts=tuple(
                Contact(channel=Channel(channel), address=address, verified_at=self.now)
                for channel, address in person.contacts.items()
            ),
            confirmed_at=self.now if has_eid or person.guardian else None,
            guardian=self._ids.get(person.guardian or ""),
            created_at=self.now,
        )

    def _enrol(self, person: SimPerson, number: NationalNumber, clinic: Clinic, standing: Standing) -> None:
        person_id, approved, asked = self._ids[person.id], standing is Standing.APPROVED, standing is Standing.ASKED
        wanted = Enrolment(
            person=person_id,
            clinic=clinic.id,
            standing=standing,
            asked_at=self.now,
            decided_at=self.now if approved else None,
            by=BY if approved else None,
            provider=person.eids[0] if asked else None,
            entry=self._entry(person, number),
            guardian=self._ids.get(person.guardian or ""),
            client=PORTAL_OF[clinic.id],
            language=_SPEAKS[person.country],
            told={Channel(channel): address for channel, address in person.told.items()},
        )
        self.records.enrolments.change(person_id, clinic.id, lambda before: before or wanted)
        if approved and wanted.guardian is not None:
            self._note(wanted.guardian, person_id, comes_of_age(person.born, clinic.limits.first_end), clinic)

    def _note(self, guardian: str, ward: str, limit_on: date, clinic: Clinic) -> None:
        """Note a guardian, as an approval by staff does; not of who is of age already."""
        row = Guardianship(
            id=new_id(),
            clinic=clinic.id,
            guardian=guardian,
            ward=ward,
            recorded_at=self.now,
            by=BY,
            limit_on=limit_on,
        )
        if limit_on > day_of(self.now, clinic.zone):
            self.guardianships.add(row)

    def _entry(self, person: SimPerson, number: NationalNumber) -> Entry | None:
        if person.noted is None:
            return None
        has_eid = bool(set(person.eids) - {"fallback"})
        entry = Entry(
            number=number,
            given_name=person.given_name,
            family_name=person.family_name,
            birthdate=person.born,
            checked="list",
            exempt=None if has_eid or person.guardian else "other",
            entered_at=self.now,
            by=BY,
        )
        return replace(entry, **person.noted)

    def _accept(self, person: SimPerson, person_id: str, clinic: Clinic) -> None:
        if clinic.terms is None or self.records.consents.current(person_id, Agreed.TERMS, clinic.id) is not None:
            return
        self.records.consents.give(
            Consent(
                id=new_consent_id(),
                person=person_id,
                kind=Agreed.TERMS,
                about=clinic.id,
                version=clinic.terms.version,
                language=_SPEAKS[person.country],
                given_at=self.now,
            )
        )


def _clinics_of(person: SimPerson) -> dict[str, Standing]:
    """Return where somebody is known from the start, and how they stand there."""
    return (
        dict.fromkeys(person.clinics, Standing.APPROVED)
        | dict.fromkeys(person.asks, Standing.ASKED)
        | dict.fromkeys(person.listed, Standing.KNOWN)
    )


def number_of(person: SimPerson, now: datetime) -> NationalNumber:
    """Return somebody's national number. NotANumber for whoever has none."""
    return parse(person.number or "", person.country, now=now.date())


def invite(
    people: Iterable[SimPerson], activation: Activation, clients: Mapping[str, Client], clinics: Clinics, now: datetime
) -> None:
    """Send everybody whose account staff made the link to activate it, as staff would. Raises StoreError."""
    for person, clinic in _invited(people, clinics):
        activation.invite(
            Invitation(
                number=number_of(person, now),
                contacts={Channel(channel): address for channel, address in person.contacts.items()},
                clinic=clinic,
                client=clients[PORTAL_OF[clinic.id]],
                by=BY,
                given_name=person.given_name,
                family_name=person.family_name,
                language=_SPEAKS[person.country],
                exempt=person.exempt,
            ),
            now,
        )


def _invited(people: Iterable[SimPerson], clinics: Clinics) -> Iterator[tuple[SimPerson, Clinic]]:
    for person in people:
        for name in person.clinics if person.invited else ():
            clinic = clinics.find(name)
            if clinic is not None:
                yield person, clinic


@functools.cache
def hashed(password: str, settings: Settings) -> str:
    """Return what is kept of a password; each is hashed once in a process, however many worlds it makes."""
    hasher = Hasher(settings)
    try:
        return hasher.hash(password)
    finally:
        hasher.close()
