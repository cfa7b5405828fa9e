"""A million synthetic persons: number N is always the same one, so a store can be filled before they come.

The numbers are Danish replacement numbers (day of birth + 60), which the CPR register never gives.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date

MOST = 1_000_000
_YEARS, _MONTHS, _DAYS = 60, 12, 28
_SHIFT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthetic:
    """One person: `number` is ten digits, `subject` the stand-in's own name for them."""

    number: str = field(repr=False)
    subject: str
    born: date
    name: str


def person(index: int) -> Synthetic:
    """Return the person of an index, 0 to a million."""
    serial, day_index = divmod(index, _YEARS * _MONTHS * _DAYS)
    year, rest = divmod(day_index, _MONTHS * _DAYS)
    month, day = divmod(rest, _DAYS)
    born = date(1940 + year, month + 1, day + 1)
    # A serial below 4000 means born in the twentieth century, whatever the year.
    number = f"{born.day + _SHIFT:02}{born.month:02}{born.year % 100:02}{serial + 1:04}"
    digits = hashlib.sha256(f"bench {index}".encode()).hexdigest()
    subject = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"
    return Synthetic(number=number, subject=subject, born=born, name=f"Prøve Person {index}")
