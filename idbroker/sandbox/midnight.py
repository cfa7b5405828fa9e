"""What the coming midnights change for the cast: who becomes how old, and what they, or others, may then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from idbroker.ages import MAJORITY, Ages, comes_of_age, day_of, first_minute
from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.sandbox.custody import Custodies
from idbroker.sandbox.sim_person import SimPerson

# Where midnight is at one moment: what the panel calls it, its countries, its zone.
PLACES = (
    ("Denmark and Sweden", ("DK", "SE"), ZoneInfo("Europe/Copenhagen")),
    ("Finland", ("FI",), ZoneInfo("Europe/Helsinki")),
)
_DAY = timedelta(days=1)
_BEFORE, _AFTER = timedelta(minutes=1), timedelta(seconds=1)
_EIDS = {"mitid": "MitID", "bankid": "BankID", "freja": "Freja", "suomifi": "suomi.fi"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one midnight changes for one of the cast, in words; `words` is empty where it changes nothing."""

    day: date
    name: str = field(repr=False)
    words: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Midnight:
    """One midnight: where, the day that begins, the moments around it, and what it changes."""

    where: str
    day: date
    before: datetime
    after: datetime
    changes: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """Finds what changes, by the ages that the sandbox's clinics have, and custody as it is now."""

    people: tuple[SimPerson, ...] = field(repr=False)
    custody: Custodies
    clinics: tuple[Clinic, ...]
    services: tuple[Client, ...] = ()

    def next(self, now: datetime) -> tuple[Midnight, ...]:
        """Return the next midnight of each place."""
        return tuple(self._midnight(n, day_of(now, zone) + _DAY) for n, (_, _, zone) in enumerate(PLACES))

    def last(self, now: datetime) -> tuple[Midnight, ...]:
        """Return the last midnight of each place, if it has changed anything."""
        found = (self._midnight(n, day_of(now, zone)) for n, (_, _, zone) in enumerate(PLACES))
        return tuple(one for one in found if any(change.words for change in one.changes))

    def later(self, now: datetime, most: int) -> tuple[Midnight, ...]:
        """Return the first midnights after those that change anything for anybody, the earliest first."""
        found = {
            (change.day, place)
            for place, (_, countries, zone) in enumerate(PLACES)
            for person in self.people
            for change in (self._changes(person) if person.country in countries else ())
            if change.day > day_of(now, zone) + _DAY
        }
        return tuple(self._midnight(place, day) for day, place in sorted(found)[:most])

    def _midnight(self, place: int, day: date) -> Midnight:
        where, countries, zone = PLACES[place]
        at = first_minute(day, zone)
        ours = (person for person in self.people if person.country in countries)
        changes = tuple(change for person in ours for change in self._on(person, day))
        return Midnight(where=where, day=day, before=at - _BEFORE, after=at + _AFTER, changes=changes)

    def _on(self, person: SimPerson, day: date) -> Iterator[Change]:
        """Find what a day changes for somebody. A birthday that changes nothing is told too: that is an answer."""
        changes = [change for change in self._changes(person) if change.day == day]
        yield from changes
        age = day.year - person.born.year
        if not changes and not person.deceased and 0 < age < MAJORITY and comes_of_age(person.born, age) == day:
            yield Change(day=day, name=person.name, words="")

    def _changes(self, person: SimPerson) -> Iterator[Change]:
        """Find the birthdays at which something changes, and the last days of what a register has."""
        if not person.deceased:
            for age in sorted({age for limits in self._limits(person) for age in _ages(limits)} - {0}):
                words = "; ".join(self._words(person, age))
                if words:
                    text = f"turns {age}: {words}"
                    yield Change(day=comes_of_age(person.born, age), name=person.name, words=text)
        for one in self.custody.wards_of(person.id):
            if one.until is not None:
                text = f"acts for {self._name(one.ward)} no more, says the register"
                yield Change(day=one.until, name=person.name, words=text)

    def _words(self, person: SimPerson, age: int) -> Iterator[str]:
        limits = self._limits(person)
        if "fallback" in person.eids and any(one.code_until == age for one in limits):
            yield "the password made for them works no more"
        eids = [_EIDS[eid] for eid in person.eids if eid in _EIDS]
        if eids and any(one.eid_from == age for one in limits):
            yield f"{_and(eids)} {'is' if len(eids) == 1 else 'are'} open to them"
        if any(one.guardian_until == age for one in limits):
            yield from self._let_go(person)

    def _let_go(self, ward: SimPerson) -> Iterator[str]:
        held = [
            self._name(one.guardian)
            for one in self.custody.guardians_of(ward.id)
            if one.holds and one.relation != "mandate"
        ]
        if held:
            yield f"{_and(held)} {'acts' if len(held) == 1 else 'act'} for them no more"

    def _limits(self, person: SimPerson) -> tuple[Ages, ...]:
        here = [one for one in self.clinics if one.country == person.country]
        own = (clinic.limits.but(one.ages) for clinic in here for one in self.services if one.clinic == clinic.id)
        return tuple(dict.fromkeys((*(one.limits for one in here), *own)))

    def _name(self, who: str) -> str:
        return next(person.given_name for person in self.people if person.id == who)


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _ages(limits: Ages) -> Iterable[int]:
    return limits.eid_from, limits.guardian_until, limits.code_until
