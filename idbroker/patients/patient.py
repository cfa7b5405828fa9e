"""A patient as one clinic sees them, and what may be said of them."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from idbroker.accounts.account import Account, Enrolment
from idbroker.accounts.entries import exempt_at, has_died
from idbroker.codec import Codec
from idbroker.errors import NotAllowed
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber, birthdate_of

_ENROLMENTS = Codec(Enrolment)
CHECKED = ("passport", "card", "licence", "eid", "known", "relative", "list")
NO_EID = ("age", "illness", "no_number", "abroad", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Somebody in a clinic's list. Their account, if they have one, is their own: staff see only how they sign in.

    `signed_in_at` is when they last did at this clinic, `eids` by which eIDs they have lately there. `came` tells
    whether they have ever signed in or asked there themselves: of who has not, nothing of their account is shown, or
    whoever enters a number would learn what that person has elsewhere. `confirmed` are the addresses that they have
    shown to be theirs, as far as this clinic may read them (`comparing.told_here`).
    """

    enrolment: Enrolment = field(repr=False)
    account: Account | None = field(default=None, repr=False)
    signed_in_at: datetime | None = None
    eids: tuple[str, ...] = ()
    came: bool = False
    confirmed: Mapping[Channel, str] = field(default_factory=dict, repr=False)

    @property
    def handle(self) -> str:
        """Return what the clinic knows them by."""
        return self.enrolment.handle

    @property
    def number(self) -> NationalNumber | None:
        """Return the national number, as the clinic has it, else as they have shown it."""
        entry = self.enrolment.entry
        if entry is not None and entry.number is not None:
            return entry.number
        return None if self.account is None else self.account.number

    @property
    def name(self) -> str | None:
        """Return the name as the clinic has it, else as they have shown it."""
        entry = self.enrolment.entry
        return (entry and entry.name) or (self.account and self.account.name) or None

    @property
    def birthdate(self) -> date | None:
        """Return the birth date, where any is known."""
        entry = self.enrolment.entry
        said = (one.birthdate for one in (entry, self.account) if one is not None)
        return birthdate_of(self.number, *said)

    @property
    def exempt(self) -> str | None:
        """Return why they cannot use an eID, as this clinic has it."""
        entry = self.enrolment.entry
        if entry is not None or self.account is None:
            return None if entry is None else entry.exempt
        return exempt_at(self.account, self.enrolment)

    @property
    def has_died(self) -> bool:
        """Tell whether this clinic has noted a death."""
        return has_died(self.enrolment)

    @property
    def mark(self) -> str:
        """Return a word for this very state of the clinic's record: a form that was filled in on another is stale."""
        return hashlib.sha256(b"mark\n" + _ENROLMENTS.pack(self.enrolment)).hexdigest()[:24]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What staff, a list or a clinic's own program say of a patient. `None` says nothing: what was there stays.

    `checked` is one of CHECKED; `exempt` one of NO_EID, and "" takes it back; `contacts` are addresses in the form
    that `messages.addresses` gives, by channel, and "" takes one away. `takes_part` False: has declined the register.
    `protected` True: name and address are hidden from others.
    """

    number: NationalNumber | None = field(default=None, repr=False)
    given_name: str | None = field(default=None, repr=False)
    family_name: str | None = field(default=None, repr=False)
    birthdate: date | None = field(default=None, repr=False)
    language: str | None = None
    checked: str | None = None
    exempt: str | None = field(default=None, repr=False)
    takes_part: bool | None = None
    protected: bool | None = None
    contacts: Mapping[Channel, str] = field(default_factory=dict, repr=False)


class Conflict(enum.StrEnum):
    """Why something was not done; each has words on the page and in the API."""

    STALE = "stale"  # somebody else has changed it since it was shown
    OTHER_NAME = "other_name"  # this number is here under another name
    NO_CONTACT = "no_contact"  # nothing to send to
    DECEASED = "deceased"
    NOT_ASKED = "not_asked"  # nobody has asked for that
    NOT_ALIKE = "not_alike"  # what is to be approved at once differs
    NOT_HERE = "not_here"  # the service does not take that
    NO_NUMBER = "no_number"
    ELSEWHERE = "elsewhere"  # more than this clinic's own would change: the operator does that


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDone:
    """Nothing was done, and why. `patient` is as it is now, where that helps."""

    why: Conflict
    patient: Patient | None = None
    at: datetime | None = None
    by: str = ""


class TooManyLooks(NotAllowed):
    """Somebody searches more than their work asks for (harvesting): refused for a while, and in the trail."""

    code = "too_many_looks"
