"""Whose children somebody has: what accounts ask of registers, and guardianship answers."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from idbroker.accounts.account import Enrolment
from idbroker.identity import Identity
from idbroker.numbers import NationalNumber
from idbroker.visit import Visit

DOWN = "down"  # why nothing is known: a register does not answer
UNTRUSTED = "untrusted"  # or answers, and what it says of these two is not to be believed
OVER = frozenset({"care_order", "no_custody", "withdrawn"})  # a register's words for custody that is no more


class Word(enum.StrEnum):
    """What the registers of a clinic say, all together, of an adult and a child."""

    VOUCHED = "vouched"  # one has custody noted, and none says no
    BARRED = "barred"  # one says no, by whatever word
    UNSURE = "unsure"  # none knows them as each other's, or one does not answer


@dataclass(frozen=True, slots=True)
class Kinship:
    """The word, and for the trail why it is not `vouched`; nobody else is told."""

    word: Word
    reason: str = ""

    @property
    def vouched(self) -> bool:
        """Tell whether a register says that this is their child."""
        return self.word is Word.VOUCHED

    @property
    def is_over(self) -> bool:
        """Tell whether a register says that it is no more: what a clinic had approved ends with it."""
        return self.word is Word.BARRED and self.reason in OVER


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownChild:
    """A child of theirs, as a register has it."""

    number: NationalNumber = field(repr=False)
    given_name: str = field(repr=False)
    family_name: str = field(repr=False)
    birthdate: date = field(repr=False)

    @property
    def name(self) -> str:
        """Return the whole name."""
        return f"{self.given_name} {self.family_name}".strip()


class Families(Protocol):
    """What registers know, for somebody who has shown by `identity` who they are. Every method may raise StoreError."""

    def children(self, person: str, identity: Identity, visit: Visit) -> tuple[KnownChild, ...]:
        """Return their children whom they may register; none where a register does not answer."""
        ...

    def about(self, person: str, identity: Identity, number: NationalNumber, visit: Visit) -> Kinship:
        """Return what is said of them and one child: every register is asked, whatever any says."""
        ...

    def note(self, person: str, ward: str, born: date, visit: Visit) -> None:
        """Keep that a register has vouched, for the clinic and for the messages before the birthday; once."""
        ...


class NoFamilies:
    """Where no register is asked: nothing is known of anybody."""

    def children(self, person: str, identity: Identity, visit: Visit) -> tuple[KnownChild, ...]:
        """Return none."""
        return ()

    def about(self, person: str, identity: Identity, number: NationalNumber, visit: Visit) -> Kinship:
        """Return that nothing is known."""
        return Kinship(Word.UNSURE)

    def note(self, person: str, ward: str, born: date, visit: Visit) -> None:
        """Keep nothing: no register has vouched."""


class Ending(Protocol):
    """Who ends what a clinic has approved, noted and opened for a guardian (wards.py). May raise StoreError."""

    def __call__(self, enrolment: Enrolment, guardian: str, why: str, now: datetime) -> object:
        """End it at the clinic of a child's enrolment; of who is not approved there, nothing of the child's."""
        ...


class Approves(Protocol):
    """Who answers for a clinic (approving.py)."""

    def approve(self, person: str, clinic: str, by: str, now: datetime) -> object:
        """Let somebody use a clinic, and tell who asked. NotFound where nobody has asked."""
        ...
