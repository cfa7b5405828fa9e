"""Taking a clinic's whole list in: every bad line told at once, and all of it in one transaction, or nothing."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import BinaryIO, Protocol

from idbroker.accounts.account import Account, Enrolment, Standing
from idbroker.accounts.entries import has_died, is_own
from idbroker.accounts.records import AccountRow, EnrolmentRow, Records
from idbroker.clinic import Clinic
from idbroker.codec import Codec
from idbroker.errors import StoreError
from idbroker.patients.listing import Listed, NotAList, PatientList, Wrong
from idbroker.patients.patient import Sheet
from idbroker.patients.writing import another, entered, taken, written
from idbroker.person import PersonKey
from idbroker.staff.member import Actor

AT_ONCE = 500
MOST_TOLD = 100
_TRIES = 3
_ENROLMENTS = Codec(Enrolment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Who has a number: the person, their account, and their enrolment at the clinic that is asked about."""

    person: str
    account: AccountRow | None
    enrolment: EnrolmentRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One patient as they are to be: `row` with what they are found by (None: as before). `fresh`: a new person."""

    key: PersonKey
    fresh: bool
    row: EnrolmentRow
    words: Collection[bytes] | None


class Overtaken(Exception):
    """Somebody else has changed one of them meanwhile: nothing was written, and it may be tried again."""


class Basket(Protocol):
    """Where an import lies, whoever looks at the store sees nothing of it, until it is taken over. StoreError."""

    def found(self, clinic: str, digests: Sequence[bytes]) -> Mapping[bytes, Found]:
        """Return those of these numbers that somebody has."""
        ...

    def mark(self, lines: Mapping[str, int]) -> Mapping[str, int]:
        """Note on which line each person is; return the earlier line of each who has one, which stays."""
        ...

    def put(self, drafts: Sequence[Draft]) -> None:
        """Lay some in."""
        ...

    def take_over(self, actor: Actor, now: datetime, listeners: Sequence[str] = ()) -> None:
        """Write all that lies here, with an event of each: all or none. Raises Overtaken.

        A notice is left for each of the `listeners`, by client, of each who may use the clinic and was not there.
        """
        ...


class ManyPatients(Protocol):
    """Opens baskets."""

    def basket(self) -> AbstractContextManager[Basket]:
        """Return an empty one; what was not taken over is gone at its end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import came to; with anything `wrong` nothing was done. `bad` counts the lines that are wrong.

    `new`, `changed` and `unchanged` count patients; `wrong` holds the first MOST_TOLD or so.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    bad: int = 0
    wrong: tuple[Wrong, ...] = ()

    @property
    def is_good(self) -> bool:
        """Tell whether the list could be taken in."""
        return not self.bad


@dataclass(kw_only=True)
class _Count:
    sorts: Counter[str] = field(default_factory=Counter)
    wrong: list[Wrong] = field(default_factory=list)

    def blame(self, *wrong: Wrong) -> None:
        self.sorts["bad"] += 1
        if len(self.wrong) < MOST_TOLD:
            self.wrong += wrong

    def result(self) -> Imported:
        return Imported(**self.sorts, wrong=tuple(sorted(self.wrong, key=lambda one: one.line)[:MOST_TOLD]))


@dataclass(frozen=True, kw_only=True)
class Importing:
    """Imports. What a person has chosen or confirmed is never overwritten, and nobody's standing is lowered.

    Who has asked to be taken, or was declined, stays so: the clinic answers those one by one. `listeners` returns the
    clients that are told who is new at a clinic.
    """

    records: Records
    many: ManyPatients
    listeners: Callable[[str], Sequence[str]] = lambda clinic: ()

    def run(
        self,
        file: BinaryIO,
        clinic: Clinic,
        actor: Actor,
        now: datetime,
        *,
        standing: Standing = Standing.APPROVED,
        dry: bool = False,
        progress: Callable[[int], None] = lambda octets: None,
    ) -> Imported:
        """Take a list in (`patients.listing`), or say what is wrong with it; `dry` only says what would happen.

        `progress` is told now and then how many octets have been read. NotAList for a file that is none, cannot be read
        twice, or changed when it had to be; StoreError when the store is away, or others kept changing the same.
        """
        if not file.seekable():
            raise NotAList("the list is a pipe, which cannot be read twice: save it as a file")
        seen = ""
        for _ in range(_TRIES):
            file.seek(0)
            listed = PatientList(file, clinic, now.astimezone(clinic.zone).date())
            with_all = _One(records=self.records, clinic=clinic, actor=actor, standing=standing, now=now)
            try:
                with self.many.basket() as basket:
                    result = with_all.laid(listed, basket, progress)
                    if seen and seen != listed.fingerprint:
                        raise NotAList("the file was changed while it was read")
                    if result.is_good and not dry:
                        basket.take_over(actor, now, self.listeners(clinic.id))
                    return result
            except Overtaken:
                seen = listed.fingerprint
        raise StoreError("the patients of the list were changed by others again and again")


@dataclass(frozen=True, kw_only=True)
class _One:
    """One import."""

    records: Records
    clinic: Clinic
    actor: Actor
    standing: Standing
    now: datetime

    def laid(self, listed: PatientList, basket: Basket, progress: Callable[[int], None]) -> Imported:
        """Lay a whole list into a basket, so many lines at a time that memory does not grow with it."""
        count, lines = _Count(), listed.patients()
        while batch := list(islice(lines, AT_ONCE)):
            for one in batch:
                if not isinstance(one, Listed):
                    count.blame(*one)
            self._batch([one for one in batch if isinstance(one, Listed)], basket, count)
            progress(listed.octets)
        return count.result()

    def _batch(self, batch: Sequence[Listed], basket: Basket, count: _Count) -> None:
        keys = [self.records.accounts.key(one.number) for one in batch]
        found = basket.found(self.clinic.id, [key.digest for key in keys])
        drafts = []
        for one, key in self._each_once(batch, keys, found, basket, count):
            draft = self._draft(one, key, found.get(key.digest), count)
            drafts += [] if draft is None else [draft]
        if not count.sorts["bad"]:
            basket.put(drafts)

    def _each_once(
        self,
        batch: Sequence[Listed],
        keys: Sequence[PersonKey],
        found: Mapping[bytes, Found],
        basket: Basket,
        count: _Count,
    ) -> Iterator[tuple[Listed, PersonKey]]:
        """Return those whose person stands on no earlier line: by another number of theirs neither."""
        people = [found[key.digest].person if key.digest in found else key.digest.hex() for key in keys]
        firsts: dict[str, int] = {}
        for one, person in zip(batch, people, strict=True):
            firsts.setdefault(person, one.line)
        firsts |= basket.mark(firsts)
        for one, key, person in zip(batch, keys, people, strict=True):
            if firsts[person] == one.line:
                yield one, key
            else:
                why = f"the same person as on line {firsts[person]}"
                count.blame(Wrong(line=one.line, column="number", why=why))

    def _draft(self, one: Listed, key: PersonKey, found: Found | None, count: _Count) -> Draft | None:
        account, before = self._opened(found)
        wrong = _why_not(one.sheet, account, before)
        if wrong:
            count.blame(Wrong(line=one.line, column=wrong[0], why=wrong[1]))
            return None
        person = uuid.uuid4().hex if found is None else found.person
        after = self._entered(one.sheet, person, account, before)
        if before is not None and _ENROLMENTS.pack(after) == _ENROLMENTS.pack(before):
            count.sorts["unchanged"] += 1
            return None
        count.sorts["new" if before is None else "changed"] += 1
        revision = found.enrolment.revision + 1 if found is not None and found.enrolment is not None else 1
        enrolments = self.records.enrolments
        words = enrolments.words(after)
        same = before is not None and words == enrolments.words(before)
        row = enrolments.sealed(after, revision)
        return Draft(key=key, fresh=found is None, row=row, words=None if same else words)

    def _opened(self, found: Found | None) -> tuple[Account | None, Enrolment | None]:
        if found is None:
            return None, None
        account = None if found.account is None else self.records.accounts.opened(found.account)
        return account, None if found.enrolment is None else self.records.enrolments.opened(found.enrolment)

    def _entered(self, sheet: Sheet, person: str, account: Account | None, before: Enrolment | None) -> Enrolment:
        if before is None:
            blank = entered(self.actor, person, self.standing, self.now)
            base = replace(blank, language=self.clinic.offered_languages[0])
        else:
            # Nobody who was declined is taken after all by standing in a list.
            known = before.standing is Standing.KNOWN
            base = taken(before, self.actor, self.standing, self.now) if known else before
        # That staff have looked at a passport is more than that somebody stands in a list.
        seen = base.entry is not None and base.entry.checked and sheet.checked == "list"
        theirs = None if before is None else account  # made elsewhere, it is no business of this clinic's
        return written(base, theirs, replace(sheet, checked=None) if seen else sheet, self.actor, self.now)


def _why_not(sheet: Sheet, account: Account | None, before: Enrolment | None) -> tuple[str | None, str] | None:
    """Return which column stands against taking a line in, and why."""
    if before is None:
        named = sheet.given_name or sheet.family_name
        return None if named else (None, "has no name, and nobody of that number is in the list")
    if has_died(before):
        return None, "is of somebody who has died"
    if another(_known_name(account, before), sheet):
        return "number", "is in the list under another name"
    return None


def _known_name(account: Account | None, before: Enrolment) -> str | None:
    """Return what this clinic calls them; what somebody typed who asked is nothing to compare with."""
    if before.entry is not None:
        return before.entry.name if is_own(before.entry) else None
    return account.name if account is not None and before.standing is Standing.APPROVED else None
