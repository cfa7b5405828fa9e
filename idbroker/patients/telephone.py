"""Who is on the telephone: staff ask, the patient approves in their app, and nothing else is issued."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from idbroker.identity import Identity
from idbroker.numbers import NationalNumber
from idbroker.patients.patient import NotDone
from idbroker.staff.member import Actor

LIFE = timedelta(minutes=3)


@runtime_checkable
class Dialled(Protocol):
    """An eID that can ask somebody by their number, who is on the telephone and not at a screen of ours.

    All raise Cancelled, Refused, Unreachable or Untrusted, as every provider does, and nothing else.
    """

    title: str

    def dial(self, number: NationalNumber, said: str, *, by_clinic: bool, now: datetime) -> bytes:
        """Ask; return the order's state. `said` is shown in the app; `by_clinic` tells who called whom."""
        ...

    def heard(self, state: bytes, now: datetime) -> Identity | None:
        """Return who approved, None while nobody has."""
        ...

    def hang_up(self, state: bytes) -> None:
        """Cancel the order."""
        ...


class Outcome(enum.StrEnum):
    """What came of a call."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"  # it is this patient
    OTHER = "other"  # an eID answered, of somebody else
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One identification by telephone."""

    id: str
    actor: Actor
    person: str
    handle: str
    provider: str
    state: bytes = field(default=b"", repr=False)
    outcome: Outcome = Outcome.WAITING
    begun_at: datetime
    ended_at: datetime | None = None


class Calls:
    """Begins, looks at and ends them. Every method may raise StoreError; NotFound for what is not there.

    Many looks of one page, and two pages, ask the eID once in two seconds at most.
    """

    def ways(self, actor: Actor, handle: str) -> Mapping[str, str]:
        """Return the eIDs that this patient can be asked by, with their titles: those of the clinic that dial."""
        raise NotImplementedError

    def begin(self, actor: Actor, handle: str, provider: str, *, by_clinic: bool, now: datetime) -> Call | NotDone:
        """Ask the patient; one call at a time for each patient, three in ten minutes (phishing by telephone)."""
        raise NotImplementedError

    def look(self, actor: Actor, call: str, now: datetime) -> Call:
        """Return how it is now."""
        raise NotImplementedError

    def end(self, actor: Actor, call: str, now: datetime) -> Call:
        """Hang up."""
        raise NotImplementedError
