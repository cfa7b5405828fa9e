"""Video visits: who is invited, from when on, and how far a person has come."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

# How long staff take to let somebody in, by the sandbox's clock.
LET_IN = timedelta(seconds=5)


class Stage(enum.StrEnum):
    """How far a person has come who is invited and has logged in."""

    EARLY = "early"  # the visit has not begun: nobody can ask to be let in
    OPEN = "open"
    WAITING = "waiting"  # has asked to be let in
    INSIDE = "inside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """One visit: its number in the link, the person it is for, by id and national number, and when it begins.

    A child's is joined by a `guardian`.
    """

    number: str
    person: str
    invited: str = field(repr=False)
    opens: datetime
    guardian: str = ""

    def stage(self, asked_at: datetime | None, now: datetime) -> Stage:
        """Return how far somebody has come who asked to be let in at a moment, or has not asked."""
        if now < self.opens:
            return Stage.EARLY
        if asked_at is None:
            return Stage.OPEN
        return Stage.INSIDE if now - asked_at >= LET_IN else Stage.WAITING


class Bookings:
    """The visits that are booked at one portal."""

    def __init__(self, bookings: Iterable[Booking] = ()) -> None:
        self._all = {booking.number: booking for booking in bookings}

    def all(self) -> tuple[Booking, ...]:
        """Return every visit, the earliest first."""
        return tuple(sorted(self._all.values(), key=lambda booking: booking.opens))

    def find(self, number: str) -> Booking | None:
        """Return one visit, or None."""
        return self._all.get(number)

    def of(self, national_number: object) -> tuple[Booking, ...]:
        """Return the visits of one person, the earliest first."""
        return tuple(booking for booking in self.all() if booking.invited == national_number)
