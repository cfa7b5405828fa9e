"""What a register says of two people: this one may act for that one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from idbroker.clinic import Clinic
from idbroker.identity import Identity
from idbroker.numbers import NationalNumber, birthdate_of

CUSTODY = "custody"
REGISTER = "register"  # what a right rests on where neither a clinic nor the eID has said so
NO_CUSTODY = "no_custody"  # a register's no to custody alone
MANDATE = "mandate"  # a power of attorney: not because of age


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardian:
    """Who has signed in and may have somebody to act for."""

    person: str
    identity: Identity = field(repr=False)
    language: str = "en"

    @property
    def birthdate(self) -> date | None:
        """Return when they were born, if it is known."""
        return self.identity.born


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """A guardian and a ward, as a register has them.

    The ward is known by `number`, or by `person` where it is one of ours; both, where both are known. `until` is the
    first day on which it does not hold. `barred` is why the register itself says no (`care_order`, `no_custody`,
    `withdrawn`…): a word for the trail, told to nobody. `protected` says that the ward's name and address are.
    """

    number: NationalNumber | None = field(default=None, repr=False)
    person: str | None = None
    given_name: str | None = field(default=None, repr=False)
    family_name: str | None = field(default=None, repr=False)
    birthdate: date | None = field(default=None, repr=False)
    relation: str = CUSTODY
    basis: str = REGISTER
    powers: tuple[str, ...] = ()
    until: date | None = None
    protected: bool = False
    deceased: bool = False
    barred: str = ""

    @property
    def born(self) -> date | None:
        """Return when the ward was born: as the number says, else as the register has it."""
        return birthdate_of(self.number, self.birthdate)

    @property
    def against(self) -> bool:
        """Tell whether the register says no, by whatever word: that outweighs any other register's yes."""
        return bool(self.barred) or self.protected or self.deceased

    @property
    def name(self) -> str | None:
        """Return the ward's whole name, if any is known."""
        return " ".join(part for part in (self.given_name, self.family_name) if part) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one register said, and until when that is good: its own stated life, counted from when it was asked."""

    register: str
    ties: tuple[Tie, ...] = ()
    asked_at: datetime
    good_until: datetime


class Register(Protocol):
    """Knows who may act for whom. Both methods raise Unreachable or Untrusted where it does not answer as it should.

    A register that finds no tie returns none: that somebody is a stranger is an answer, not an error.
    """

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        ...

    def wards(self, guardian: Guardian, clinic: Clinic, now: datetime) -> Answer:
        """Return everybody that a guardian may act for, as far as this register tells unasked."""
        ...

    def about(self, guardian: Guardian, ward: NationalNumber, clinic: Clinic, now: datetime) -> Answer:
        """Return what it says of one ward: at most one tie."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """The person goes to a register's own page to choose. `state` is what only the register reads afterwards."""

    register: str
    url: str = field(repr=False)
    state: bytes = field(repr=False)


class Elsewhere(Register, Protocol):
    """A register that has people choose at a page of its own."""

    @property
    def title(self) -> str:
        """What people call it."""
        ...

    @property
    def origins(self) -> tuple[str, ...]:
        """The web origins that a form post may lead to when it leads to its page."""
        ...

    def knows(self, guardian: Guardian) -> bool:
        """Tell whether it can know somebody: who has no number of its country is not sent there."""
        ...

    def leave(self, guardian: Guardian, clinic: Clinic, return_url: str, now: datetime) -> Away:
        """Begin: return where to send the browser."""
        ...

    def returned(self, guardian: Guardian, clinic: Clinic, away: Away, reply: dict[str, str], now: datetime) -> Answer:
        """Return what was chosen there. Cancelled when nothing was."""
        ...
