"""What two persons who are one come to be. Pure.

The older id survives, so that what services know of the person stays. There are two ways. *Whole*: all that either was
recognised by leads to the survivor; the operator's, who has seen that they are one. *Exchanged*: what the newer was
recognised by leads to the survivor, and what the older was, to the other id, which is left with nothing else. That is
what a clinic's administrator may do after a change of number.

The attack that the second stops: an administrator joins their own number with that of somebody who has not been
anywhere yet, and waits. Wherever that person registers afterwards, the administrator would be them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from idbroker.accounts.account import Account, Contact, Enrolment, Entry, Standing
from idbroker.numbers import NationalNumber, birthdate_of

# The strongest last. Who was declined by one record and approved by the other is approved: somebody has looked.
_STRENGTH = (Standing.KNOWN, Standing.ASKED, Standing.DECLINED, Standing.APPROVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """All that makes one of the two, opened: `numbers` and `upstreams` are what they are recognised by, as digests."""

    person: str
    created_at: datetime
    numbers: Mapping[bytes, NationalNumber] = field(repr=False)
    upstreams: tuple[bytes, ...] = ()
    account: Account | None = field(default=None, repr=False)
    enrolments: tuple[Enrolment, ...] = field(default=(), repr=False)

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Return the digests of all that they are recognised by."""
        return (*self.numbers, *self.upstreams)

    @property
    def proved(self) -> set[date]:
        """Return the birth dates that numbers and eIDs tell, not those that anybody has typed."""
        told = {number.birthdate for number in self.numbers.values()}
        if self.account is not None and self.account.confirmed_at is not None:
            told.add(self.account.birthdate)
        return {born for born in told if born is not None}

    @property
    def confirmed(self) -> str | None:
        """Return the number that an eID has confirmed the account under."""
        account = self.account
        return account.number.key if account is not None and account.confirmed_at is not None else None

    @property
    def said(self) -> set[date]:
        """Return every birth date that is known of them."""
        typed = {one.entry.birthdate for one in self.enrolments if one.entry is not None}
        return self.proved | {born for born in typed if born is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How it is to be: who each key leads to, each one's account, and their enrolments; None is none any more."""

    keys: Mapping[bytes, str]
    accounts: Mapping[str, Account | None] = field(repr=False)
    enrolments: Mapping[tuple[str, str], Enrolment | None] = field(repr=False)


def in_order(one: Side, other: Side) -> tuple[Side, Side]:
    """Return the survivor, which is the older, and the other."""
    first, second = sorted((one, other), key=lambda side: (side.created_at, side.person))
    return first, second


def entered_number(enrolment: Enrolment) -> str | None:
    """Return the number that a clinic has entered somebody under."""
    entry = enrolment.entry
    return None if entry is None or entry.number is None else entry.number.key


def addresses(*sides: Side) -> tuple[Contact, ...]:
    """Return every address of theirs that anybody knows."""
    told = (one.told.items() for side in sides for one in side.enrolments)
    typed = tuple(Contact(channel=channel, address=address) for each in told for channel, address in each)
    return (*(contact for side in sides if side.account for contact in side.account.contacts), *typed)


def planned(survivor: Side, absorbed: Side, *, exchanged: bool) -> Plan:
    """Return what the two come to be."""
    keys = dict.fromkeys(absorbed.keys, survivor.person)
    keys |= dict.fromkeys(survivor.keys, absorbed.person) if exchanged else {}
    account = absorbed.account if exchanged else _the_one(survivor.account, absorbed.account)
    enrolments: dict[tuple[str, str], Enrolment | None] = {}
    mine = {one.clinic: one for one in survivor.enrolments}
    for theirs in absorbed.enrolments:
        enrolments[absorbed.person, theirs.clinic] = None
        both = _both(mine[theirs.clinic], theirs) if theirs.clinic in mine else theirs
        if exchanged and both.entry is not None:
            # The other would lead to the other id: whoever is entered or signs in by it were somebody else.
            both = replace(both, entry=replace(both.entry, number=_own_number(absorbed, theirs)))
        enrolments[survivor.person, theirs.clinic] = replace(both, person=survivor.person)
    return Plan(
        keys=keys,
        accounts={
            survivor.person: None if account is None else replace(account, person=survivor.person),
            absorbed.person: None,
        },
        enrolments=enrolments,
    )


def undone(survivor: Side, absorbed: Side) -> Plan:
    """Return the two as they were."""
    sides = (survivor, absorbed)
    clinics = {one.clinic for side in sides for one in side.enrolments}
    nothing: dict[tuple[str, str], Enrolment | None] = {
        (side.person, clinic): None for side in sides for clinic in sorted(clinics)
    }
    return Plan(
        keys={key: side.person for side in sides for key in side.keys},
        accounts={side.person: side.account for side in sides},
        enrolments=nothing | {(side.person, one.clinic): one for side in sides for one in side.enrolments},
    )


def _the_one(mine: Account | None, theirs: Account | None) -> Account | None:
    """Return the account that stays: the survivor's, unless an eID has confirmed the other alone."""
    if mine is None or theirs is None:
        return mine or theirs
    return theirs if mine.confirmed_at is None and theirs.confirmed_at is not None else mine


def _both(mine: Enrolment, theirs: Enrolment) -> Enrolment:
    """Return one clinic's two records as one: by the survivor's handle, with the newer entry where they differ."""
    decided = max(mine, theirs, key=lambda one: _STRENGTH.index(one.standing))
    return replace(
        mine,
        standing=decided.standing,
        asked_at=decided.asked_at,
        decided_at=decided.decided_at,
        by=decided.by,
        reason=decided.reason,
        guardian=decided.guardian,
        provider=decided.provider or mine.provider,
        entry=_entry(mine.entry, theirs.entry),
        told={**mine.told, **theirs.told},
        settled={},  # what was answered about two records is no answer about one
    )


def _own_number(side: Side, enrolled: Enrolment) -> NationalNumber | None:
    """Return a number that a side is recognised by: the one that stands in its record, if that is one."""
    numbers = sorted(side.numbers.values(), key=lambda number: number.key)
    said = None if enrolled.entry is None else enrolled.entry.number
    return next(
        (number for number in numbers if said is not None and number.key == said.key), next(iter(numbers), None)
    )


def _entry(mine: Entry | None, theirs: Entry | None) -> Entry | None:
    if mine is None or theirs is None:
        return theirs or mine
    older, newer = sorted((mine, theirs), key=lambda entry: entry.entered_at)
    return replace(
        newer,
        number=newer.number or older.number,
        given_name=newer.given_name or older.given_name,
        family_name=newer.family_name or older.family_name,
        birthdate=birthdate_of(newer.number or older.number, newer.birthdate, older.birthdate),
        checked=newer.checked or older.checked,
        exempt=newer.exempt or older.exempt,
        takes_part=newer.takes_part and older.takes_part,
        deceased_on=newer.deceased_on or older.deceased_on,
        protected=newer.protected or older.protected,
    )
