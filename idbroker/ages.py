"""From which day somebody is old enough: birthdays, and the ages that each country and service counts by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, tzinfo

MAJORITY = 18  # in all four countries: a guardian is of age


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """The three ages that decide who enters for a child, in whole years.

    `eid_from`: from this birthday on somebody signs in with an eID of their own. `guardian_until`: before this
    birthday a guardian may act for them; 0 where no guardian may. `code_until`: before this birthday they may have
    number, password and code of their own that a guardian has set up; 0 where they may not.
    """

    eid_from: int
    guardian_until: int
    code_until: int

    def but(self, settings: Mapping[str, int]) -> Ages:
        """Return them with what a clinic or a service has set."""
        return replace(self, **settings) if settings else self

    @property
    def first_end(self) -> int:
        """Return the age at which something that a guardian may do here ends first: people are told before it."""
        return self.guardian_until or self.code_until

    @property
    def grown_up(self) -> int:
        """Return the age at which what any guardian may do here ends."""
        return max(self.guardian_until, self.code_until)


# What holds where neither the clinic nor the service has said otherwise.
AGES: Mapping[str, Ages] = {
    # MitID is issued from 13, but the portals of clinics take nobody below 15 by it, and nobody for them: a guardian
    # confirms a sign-in of the child's own, by number, password and code (Clinea/EG Patientportal, user guide).
    # At 15 parents can no longer act (mitid.dk, "15 years old").
    "DK": Ages(eid_from=15, guardian_until=0, code_until=15),
    # 1177: a guardian is the child's representative until it is 13; regions let the child in with an eID from 13
    # (regionorebrolan.se, habilitering.se). Freja is issued earlier: a service that takes younger ones sets eid_from.
    "SE": Ages(eid_from=13, guardian_until=13, code_until=13),
    # The counties' video visits: a guardian for a child below 12; from 12 the child's own bank codes or mobile
    # certificate. Suomi.fi e-Authorizations has the limit as each service's own setting (kehittajille.suomi.fi).
    "FI": Ages(eid_from=12, guardian_until=12, code_until=0),
    # Helsenorge has two limits, 12 and 16; between them a guardian sees less. What a guardian sees is a service's to
    # say, so the one limit here is the later.
    "NO": Ages(eid_from=16, guardian_until=16, code_until=0),
}


def mistakes_of(settings: Mapping[str, int]) -> tuple[str, ...]:
    """Return what is wrong with the ages that a clinic or a service has set."""
    known = tuple(field.name for field in fields(Ages))
    unknown = tuple(f"ages.{name} is not known; there are {', '.join(known)}" for name in settings if name not in known)
    wrong = tuple(
        f"ages.{name} must be 0 to {MAJORITY}"
        for name, age in settings.items()
        if name in known and not 0 <= age <= MAJORITY
    )
    return unknown + wrong


def comes_of_age(born: date, age: int) -> date:
    """Return the day from whose first minute somebody has an age; of the 29 February it is the 1 March."""
    try:
        return born.replace(year=born.year + age)
    except ValueError:
        return date(born.year + age, 3, 1)


def is_of_age(born: date, age: int, day: date) -> bool:
    """Tell whether somebody has an age on a day."""
    return day >= comes_of_age(born, age)


def age_on(born: date, day: date) -> int:
    """Return how old somebody is on a day, in whole years; 0 before they are born."""
    years = day.year - born.year
    return max(0, years if comes_of_age(born, years) <= day else years - 1) if years >= 0 else 0


def first_minute(day: date, zone: tzinfo) -> datetime:
    """Return the moment at which a day begins in a zone, in UTC: what rests on the day before ends there.

    Where the clock skips or repeats midnight it is the first moment of the day. In UTC, for Python adds to clock times
    of a zone as if its clock were never changed, and compares those it skips as equal to nothing (PEP 495).
    """
    return datetime.combine(day, time(), zone).astimezone(UTC)


def day_of(now: datetime, zone: tzinfo) -> date:
    """Return which day it is in a zone."""
    return now.astimezone(zone).date()
