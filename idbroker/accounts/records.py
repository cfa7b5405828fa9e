"""Where accounts and all about them lie: the durable store's side (rows), and ours (values, sealed on the way)."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Protocol

from idbroker.accounts.account import Account, Agreed, Consent, Enrolment, Link, Standing
from idbroker.accounts.entries import has_died
from idbroker.codec import Codec
from idbroker.errors import StoreError
from idbroker.numbers import NationalNumber
from idbroker.person import PersonKey, number_row
from idbroker.sealing import Sealer

_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account as the store keeps it: `revision` grows by one at every change."""

    person: str
    revision: int
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRow:
    """An enrolment as the store keeps it: what is searched by, and the whole, sealed."""

    person: str
    clinic: str
    standing: Standing
    asked_at: datetime
    handle: str
    revision: int
    sealed: bytes = field(repr=False)


class AccountRows(Protocol):
    """The durable side. Every method may raise StoreError."""

    def find(self, key: bytes) -> tuple[str, AccountRow | None] | None:
        """Return the person that a key's digest belongs to, and the account if there is one: one statement."""
        ...

    def of(self, person: str) -> AccountRow | None:
        """Return a person's account."""
        ...

    def known(self, keys: Sequence[PersonKey], now: datetime) -> str:
        """Return the person of these keys, a new one if nobody is known by them (`Persons.meet`)."""
        ...

    def save(self, row: AccountRow) -> bool:
        """Keep an account of this revision: 1 adds it, any other replaces the one before. False if it is not so."""
        ...

    def remove(self, person: str) -> bool:
        """Remove a person's account, links and enrolments; tell whether there was one. The person stays."""
        ...


class EnrolmentRows(Protocol):
    """The durable side. Every method may raise StoreError."""

    def find(self, person: str, clinic: str) -> EnrolmentRow | None:
        """Return one."""
        ...

    def of(self, person: str) -> tuple[EnrolmentRow, ...]:
        """Return all of a person, by clinic."""
        ...

    def asked(self, clinic: str, limit: int = 1000) -> tuple[EnrolmentRow, ...]:
        """Return those that wait for a clinic's answer, oldest first."""
        ...

    def by_handle(self, clinic: str, handle: str) -> EnrolmentRow | None:
        """Return the one that this clinic knows by a handle; another clinic's handle finds nothing."""
        ...

    def named(self, clinic: str, words: Sequence[bytes], limit: int) -> tuple[EnrolmentRow, ...]:
        """Return those of a clinic that have every one of these digests among their words, by person."""
        ...

    def save(self, row: EnrolmentRow, words: Collection[bytes] | None = None) -> bool:
        """Keep an enrolment of this revision, as `AccountRows.save` does; with `words`, what it is found by."""
        ...


class Links(Protocol):
    """Links in messages. Every method may raise StoreError."""

    def add(self, link: Link) -> None:
        """Keep one; every other of the same person and purpose ends (ASVS 6.4.1; O14: newer ends older)."""
        ...

    def find(self, digest: str, now: datetime) -> Link | None:
        """Return one that is neither used nor over."""
        ...

    def use(self, digest: str, now: datetime) -> bool:
        """Use it up: of many callers at once exactly one is told True, and none after its end."""
        ...

    def end_all(self, person: str) -> None:
        """End all of a person."""
        ...

    def purge(self, now: datetime) -> int:
        """Forget those whose time is up; return how many."""
        ...


class Consents(Protocol):
    """What people agreed to. Every method may raise StoreError."""

    def give(self, consent: Consent) -> None:
        """Keep one; an earlier one of the same kind about the same is withdrawn by it."""
        ...

    def current(self, person: str, kind: Agreed, about: str) -> Consent | None:
        """Return the one that holds."""
        ...

    def of(self, person: str) -> tuple[Consent, ...]:
        """Return all of a person, the newest first, withdrawn ones too."""
        ...

    def withdraw(self, person: str, consent_id: str, now: datetime) -> bool:
        """Withdraw one of this person's; False if there is none, or it is withdrawn."""
        ...


def account_row(person: str) -> bytes:
    """Return the row that a sealed account is bound to."""
    return f"account|{person}".encode()


def enrolment_row(person: str, clinic: str) -> bytes:
    """Return the row that a sealed enrolment is bound to."""
    return f"enrolment|{person}|{clinic}".encode()


class Accounts:
    """Accounts as values."""

    def __init__(self, rows: AccountRows, sealer: Sealer) -> None:
        self._rows, self._sealer, self._codec = rows, sealer, Codec(Account)

    def find(self, number: NationalNumber) -> Account | None:
        """Return the account of a national number. What it costs does not tell whether there is one, but unsealing."""
        found = self._rows.find(self._sealer.index("number", number.key))
        return None if found is None or found[1] is None else self.opened(found[1])

    def known(self, number: NationalNumber) -> str | None:
        """Return the person of a national number, if anybody has come with it so far, account or none."""
        found = self._rows.find(self._sealer.index("number", number.key))
        return None if found is None else found[0]

    def of(self, person: str) -> Account | None:
        """Return a person's account."""
        row = self._rows.of(person)
        return None if row is None else self.opened(row)

    def person(self, number: NationalNumber, now: datetime) -> str:
        """Return the person of a national number, new if nobody has come with it so far."""
        return self._rows.known((self.key(number),), now)

    def key(self, number: NationalNumber) -> PersonKey:
        """Return what a person is recognised by who has a number."""
        digest = self._sealer.index("number", number.key)
        sealed = self._sealer.seal(number.key.encode(), number_row(digest))
        return PersonKey(kind="number", digest=digest, sealed=sealed)

    def add(self, account: Account) -> bool:
        """Keep a new account; False if the person has one."""
        return self._rows.save(self.sealed(account, 1))

    def change(self, person: str, change: Callable[[Account], Account | None]) -> Account | None:
        """Change an account, whoever else changes it at the same time; return it as it is now.

        `change` may be called more than once, and returns None to leave all as it is. None for no account.
        """
        for _ in range(_TRIES):
            row = self._rows.of(person)
            if row is None:
                return None
            before = self.opened(row)
            after = change(before)
            if after is None or after == before:
                return before
            if self._rows.save(self.sealed(after, row.revision + 1)):
                return after
        raise StoreError("too many changes at once")

    def remove(self, person: str) -> bool:
        """Remove an account, and all that hangs on it."""
        return self._rows.remove(person)

    def opened(self, row: AccountRow) -> Account:
        """Return the account in a row."""
        return self._codec.unpack(self._sealer.open(row.sealed, account_row(row.person)))

    def sealed(self, account: Account, revision: int) -> AccountRow:
        """Return the row of an account, bound to its person."""
        sealed = self._sealer.seal(self._codec.pack(account), account_row(account.person))
        return AccountRow(person=account.person, revision=revision, sealed=sealed)


class Enrolments:
    """Enrolments as values."""

    def __init__(self, rows: EnrolmentRows, sealer: Sealer) -> None:
        self._rows, self._sealer, self._codec = rows, sealer, Codec(Enrolment)

    def find(self, person: str, clinic: str) -> Enrolment | None:
        """Return one."""
        row = self._rows.find(person, clinic)
        return None if row is None else self.opened(row)

    def of(self, person: str) -> tuple[Enrolment, ...]:
        """Return all of a person."""
        return tuple(map(self.opened, self._rows.of(person)))

    def asked(self, clinic: str) -> tuple[Enrolment, ...]:
        """Return those that wait for a clinic's answer, oldest first."""
        return tuple(map(self.opened, self._rows.asked(clinic)))

    def by_handle(self, clinic: str, handle: str) -> Enrolment | None:
        """Return the patient that this clinic knows by a handle."""
        row = self._rows.by_handle(clinic, handle)
        return None if row is None else self.opened(row)

    def named(self, clinic: str, name: str, birthdate: date, limit: int = 20) -> tuple[Enrolment, ...]:
        """Return a clinic's patients of a birth date whose names have every word of `name`, however it is written."""
        words = self._digests(clinic, name, birthdate)
        return tuple(map(self.opened, self._rows.named(clinic, words, limit))) if words else ()

    def _digests(self, clinic: str, name: str, birthdate: date) -> tuple[bytes, ...]:
        """Return what a name and a birth date are found by together: neither alone, so that nobody browses."""
        return tuple(self._sealer.index("patient", f"{clinic}\n{birthdate}\n{word}") for word in folded(name))

    def of_guardian(self, clinic: str, guardian: str, limit: int = 40) -> tuple[Enrolment, ...]:
        """Return those of a clinic that a guardian has asked for."""
        words = (self._ward(clinic, guardian),)
        return tuple(map(self.opened, self._rows.named(clinic, words, limit)))

    def _ward(self, clinic: str, guardian: str) -> bytes:
        return self._sealer.index("ward", f"{clinic}\n{guardian}")

    def words(self, enrolment: Enrolment) -> tuple[bytes, ...]:
        """Return what an enrolment is found by, besides its number and handle: name and birth date, the guardian."""
        entry = enrolment.entry
        theirs = (self._ward(enrolment.clinic, enrolment.guardian),) if enrolment.guardian else ()
        if entry is None or entry.birthdate is None:
            return theirs
        return (*self._digests(enrolment.clinic, entry.name or "", entry.birthdate), *theirs)

    def change(
        self, person: str, clinic: str, change: Callable[[Enrolment | None], Enrolment | None]
    ) -> Enrolment | None:
        """Add or change one, whoever else does at the same time; return it as it is now.

        `change` is given what is there, may be called more than once, and returns None to leave all as it is.
        """
        for _ in range(_TRIES):
            row = self._rows.find(person, clinic)
            before = None if row is None else self.opened(row)
            after = change(before)
            if after is None or after == before:
                return before
            after = after if after.handle else replace(after, handle=new_handle())
            words = self.words(after)
            same = words == (() if before is None else self.words(before))
            if self._rows.save(self.sealed(after, 1 if row is None else row.revision + 1), None if same else words):
                return after
        raise StoreError("too many changes at once")

    def opened(self, row: EnrolmentRow) -> Enrolment:
        """Return the enrolment in a row."""
        opened = self._codec.unpack(self._sealer.open(row.sealed, enrolment_row(row.person, row.clinic)))
        # The row's counts: a migration gives handles without opening what is sealed.
        return opened if opened.handle == row.handle else replace(opened, handle=row.handle)

    def sealed(self, enrolment: Enrolment, revision: int) -> EnrolmentRow:
        """Return the row of an enrolment, bound to person and clinic; it has a handle by now."""
        row = enrolment_row(enrolment.person, enrolment.clinic)
        return EnrolmentRow(
            person=enrolment.person,
            clinic=enrolment.clinic,
            standing=enrolment.standing,
            asked_at=enrolment.asked_at,
            handle=enrolment.handle,
            revision=revision,
            sealed=self._sealer.seal(self._codec.pack(enrolment), row),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """All of it."""

    accounts: Accounts
    enrolments: Enrolments
    links: Links
    consents: Consents

    def died(self, person: str, clinic: str) -> bool:
        """Tell whether a clinic has noted somebody's death."""
        return has_died(self.enrolments.find(person, clinic))

    def called_at(self, person: str, clinic: str, ward: Enrolment | None) -> str | None:
        """Return what a clinic calls somebody who may act for its patient, or what they told it themselves.

        The attack: staff note a number as a guardian's, and read the name that its owner has given elsewhere.
        """
        own = self.enrolments.find(person, clinic)
        if own is not None and own.entry is not None:
            return own.entry.name
        told = own is not None or (ward is not None and ward.guardian == person)
        account = self.accounts.of(person) if told else None
        return account.name if account is not None else None


def folded(name: str) -> tuple[str, ...]:
    """Return a name's words as they are compared: without case, marks or punctuation, each once, in order."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return tuple(sorted(set(re.findall(r"[^\W_]+", letters))))


def new_handle() -> str:
    """Return a new patient's handle: 128 random bits, as they stand in addresses."""
    return secrets.token_urlsafe(16)


def new_consent_id() -> str:
    """Return a new consent's id."""
    return secrets.token_hex(16)
