"""Who enters a service by which way at which age, and at which ages nobody does. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from idbroker.acting import Acting
from idbroker.ages import MAJORITY, Ages, comes_of_age, day_of, first_minute
from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.guardianship.rules import LONGEST, guardian_enters, may_enter
from idbroker.guardianship.tie import MANDATE
from idbroker.identity import LoA

NEAR = timedelta(days=60)  # before the birthday: from then on people are told on the pages that it ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The ways that a service really has: an eID of one's own, password and code, a guardian with theirs."""

    eid: bool = False
    code: bool = False
    guardian: bool = False

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return self.eid or self.code or self.guardian


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Ages, from the first to the last of them, at which the same ways are open; without a last, all from there on."""

    first: int
    last: int | None
    ways: Ways

    @property
    def words(self) -> str:
        """Return it in words: `12`, `0 to 11`, `13 and over`."""
        if self.last is None:
            return f"{self.first} and over" if self.first else "every age"
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


def ways_of(client: Client, levels: Iterable[LoA]) -> Ways:
    """Return which ways a service has; `levels` are what the providers prove that it and its clinic take.

    A guardian signs in with an eID in any case; where nobody but a guardian may go on, nobody enters for themselves.
    """
    usable = [loa for loa in levels if loa >= client.minimum]
    eid, themselves = any(loa > LoA.LOW for loa in usable), client.acting != "required"
    return Ways(
        eid=eid and themselves, code=LoA.LOW in usable and themselves, guardian=eid and client.acting != "never"
    )


def limits_over(clinic: Clinic, services: Iterable[Client]) -> Ages:
    """Return the ages at which the last of a clinic's services lets go, of all `services` there are.

    What is noted of a child, and what its guardian is told of the end, is one for the whole clinic: nobody may be told
    that it is over while one service goes on. Where no service takes guardians the ages of all count.
    """
    here = [one for one in services if one.clinic == clinic.id and not one.disabled and not one.api]
    taking = [clinic.limits.but(one.ages).guardian_until for one in here if one.acting != "never"]
    limits = [clinic.limits.but(one.ages) for one in here] or [clinic.limits]
    return Ages(
        eid_from=min(one.eid_from for one in limits),
        guardian_until=max(taking or [one.guardian_until for one in limits]),
        code_until=max(one.code_until for one in limits),
    )


def ends_soon(acting: Acting, client: Client, clinic: Clinic, now: datetime) -> date | None:
    """Return the birthday on which a right ends at a service, where it is near; None for what ends otherwise."""
    age = clinic.limits.but(client.ages).guardian_until
    if acting.birthdate is None or acting.relation == MANDATE:
        return None
    day = comes_of_age(acting.birthdate, age)
    by_age = acting.until >= min(first_minute(day, clinic.zone), acting.checked_at + LONGEST)
    return day if by_age and timedelta() < day - day_of(now, clinic.zone) <= NEAR else None


def open_at(ways: Ways, limits: Ages, age: int) -> Ways:
    """Return which of a service's ways are open to somebody of an age, or for them."""
    return Ways(
        eid=ways.eid and may_enter(limits, age, by_eid=True),
        code=ways.code and may_enter(limits, age, by_eid=False),
        guardian=ways.guardian and guardian_enters(limits, age),
    )


def spans(ways: Ways, limits: Ages) -> tuple[Span, ...]:
    """Return what is open at every age there is, from 0 on: no limit is above the majority."""
    by_age = groupby(range(MAJORITY + 1), key=lambda age: open_at(ways, limits, age))
    found = [(here, list(ages)) for here, ages in by_age]
    return tuple(Span(first=ages[0], last=ages[-1] if ages[-1] < MAJORITY else None, ways=here) for here, ages in found)


def gaps(ways: Ways, limits: Ages) -> tuple[Span, ...]:
    """Return the ages at which nobody can enter: neither somebody of that age themselves, nor a guardian for them.

    Where a service takes guardians alone, those whom no guardian may act for any more are not meant to enter.
    """
    closed = tuple(span for span in spans(ways, limits) if not span.ways)
    guardians_alone = ways.guardian and not ways.eid and not ways.code and limits.guardian_until > 0
    return () if guardians_alone else closed


def overlaps(ways: Ways, limits: Ages) -> tuple[Span, ...]:
    """Return the ages at which somebody enters themselves and a guardian may act for them too."""
    return tuple(span for span in spans(ways, limits) if span.ways.guardian and (span.ways.eid or span.ways.code))
