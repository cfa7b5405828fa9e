"""Acting for another: who a sign-in is about, when that is not who signed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from idbroker.numbers import NationalNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """A guardian acts for a ward, within powers, until a moment. It was judged, and is judged again.

    `ward` is the ward's person id. `relation` says what they are to each other (`custody`, `grandparent`, `mandate`),
    `basis` what it rests on (`register`, `clinic`, `power_of_attorney`) and `powers` what it allows, in the register's
    own words; none named: all that a guardian may. `register` is who said so, at `checked_at`, and what it said is
    good until `good_until`. `until` is when it ends by itself: local midnight of a birthday, or the register's day.
    """

    ward: str
    number: NationalNumber | None = field(default=None, repr=False)
    given_name: str | None = field(default=None, repr=False)
    family_name: str | None = field(default=None, repr=False)
    birthdate: date | None = field(default=None, repr=False)
    relation: str
    basis: str
    powers: tuple[str, ...] = ()
    register: str
    checked_at: datetime
    good_until: datetime
    until: datetime

    @property
    def name(self) -> str | None:
        """Return the ward's whole name, if any is known."""
        return " ".join(part for part in (self.given_name, self.family_name) if part) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Who a sign-in was said to be about: the person who signed in (`acting` None), or a ward."""

    acting: Acting | None = None
