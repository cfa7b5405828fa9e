"""What clinics themselves have noted of who may act for whom: the local register's rows, and where they lie."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

USED = "used"  # `basis` of who has acted by a register's word: gives no right, and tells whom to write to, no more
ENDED_BY_CLINIC = frozenset({"custody", "withdrawn"})  # `ended_why`, where the clinic has said no to the right itself

# Why a right was refused, where that is no matter of an age: nobody is written to about the birthday of such a child.
AGAINST = frozenset({"care_order", "no_custody", "withdrawn", "protected", "deceased"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardianship:
    """A clinic has noted that somebody may act for somebody, there.

    `relation`, `basis` and `powers` as in `Tie`; `until` is the first day on which it does not hold. `by` is who noted
    it, as events have it. `limit_on` is the birthday from which it holds no more (None for mandates), and `told` the
    nearest of the messages before it that went out, in days: the smaller, the later.
    """

    id: str
    clinic: str
    guardian: str
    ward: str
    relation: str = "custody"
    basis: str = "clinic"
    powers: tuple[str, ...] = ()
    until: date | None = None
    recorded_at: datetime
    by: str
    ended_at: datetime | None = None
    ended_why: str = ""
    limit_on: date | None = None
    told: int | None = None

    @property
    def is_note(self) -> bool:
        """Tell whether a clinic has noted it: that somebody once acted by a register's word is no note of anybody's."""
        return self.basis != USED


class Guardianships(Protocol):
    """The durable side. Every method may raise StoreError."""

    def add(self, row: Guardianship, most: int | None = None) -> bool:
        """Keep one; False if this clinic has it already that this guardian may act for this ward.

        False, too, where `most` of this ward's hold at this clinic: however many add one at once, no more will. A note
        takes the place of what is only `USED`, and keeps what was told.
        """
        ...

    def of_guardian(self, guardian: str) -> tuple[Guardianship, ...]:
        """Return all of a guardian's that have not ended, by clinic and then by age."""
        ...

    def of_guardian_ever(self, guardian: str) -> tuple[Guardianship, ...]:
        """Return the same, and behind them those that have ended in one of the ways of `ENDED_BY_CLINIC`."""
        ...

    def of_ward(self, ward: str) -> tuple[Guardianship, ...]:
        """Return all for a ward that have not ended."""
        ...

    def end(self, clinic: str, ward: str, at: datetime, why: str, guardian: str | None = None) -> int:
        """End those of a ward at a clinic, of one guardian or of all; return how many."""
        ...

    def forget_used(self, clinic: str, guardian: str, wards: Collection[str]) -> bool:
        """Forget that somebody acted for these by a register's word; tell whether it was. Not what has ended."""
        ...

    def nearing(self, before: date, told_above: int, most: int) -> tuple[Guardianship, ...]:
        """Return up to `most` whose limit is on `before` or earlier and that were told nothing so near to it yet."""
        ...

    def tell(self, row_id: str, told: int) -> bool:
        """Note that a message went out; of many callers at once exactly one is told True."""
        ...

    def due(self, now: datetime, clinics: Collection[str], lease: timedelta, most: int) -> tuple[Guardianship, ...]:
        """Take up to `most` of these clinics that are to be asked about, the oldest first; back after `lease`.

        What is new is to be asked about at once.
        """
        ...

    def check(self, row_id: str, at: datetime) -> None:
        """Have one asked about at a moment, if it holds."""
        ...


def new_id() -> str:
    """Return an id."""
    return secrets.token_hex(16)
