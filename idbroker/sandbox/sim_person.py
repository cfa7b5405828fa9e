"""What one simulated person is, and the numbers that are nobody's."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from idbroker.identity import LoA
from idbroker.numbers import parse

# Of Skatteverket's list of test numbers, which nobody is given. A range would not do: real people have
# numbers of each (docs/decisions/0012).
LISTED = frozenset(
    {
        "194210219269",
        "196102083141",
        "196404094739",
        "197110021834",
        "198706192393",
        "199309802396",
        "199804012384",
        "199908072391",
        "202005042383",
        # Families.
        "195809262743",
        "198405149280",
        "198406079288",
        "198602029996",
        "198801082382",
        "198801162390",
        "198802192388",
        "198803162398",
        "201602292383",
        "201710152396",
        "201806232383",
        "201903122396",
        "202104142381",
        "202104142399",
        "202109082384",
    }
)
_HETU_CHECKS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_NAMESPACE = uuid.UUID("6f0c3a5e-6d2b-5b0e-9a41-7f5d1c1f6a10")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimPerson:
    """One simulated person.

    `eids` are the provider values of the ways this person has. `loa` is the highest level those give.
    `habit` is what the person does at an eID whatever button is pressed for them: `approve` unless
    the story is another. `relations` says by another person's id what that person is to this one
    (`child`, `parent`, `grandchild`, `grandparent`, `none` for a child this person may not act for, `in_care` for one
    under a care order, `principal` for somebody who gave this one a power of attorney, `agent` the other way);
    what the registers make of it is in custody.py. `freja_level` and `freja_loa`
    are Freja's own words for how well it knows this person: BASIC, EXTENDED or PLUS, and LOA1, LOA2,
    LOA3, or LOA3_NR for somebody who does not live in Sweden. `foreign_id` is what suomi.fi calls
    somebody by who has no Finnish number: by eIDAS with the two countries before it (`ES/FI/...`).

    `clinics` take this person from the start. Who has a `password` has an account, with `email` and `phone`
    proved; who is `invited` has one that staff made, and a link to activate it, without an eID if staff wrote
    down why (`exempt`). `told` is what the clinics have instead, by channel. `guardian` made a child's account.
    `asks` are clinics that this person waits for, `listed` those that have them in their list unasked. `noted` is what
    their lists say otherwise, by the name of an Entry's field; None if those asked have nothing of them.
    """

    id: str
    given_name: str = field(repr=False)
    family_name: str = field(repr=False)
    country: str
    number: str | None = field(repr=False)
    born: date = field(repr=False)
    story: str
    eids: tuple[str, ...] = ()
    loa: LoA = LoA.HIGH
    protected: bool = False
    deceased: bool = False
    foreign_id: str | None = field(default=None, repr=False)
    habit: str = "approve"
    clinics: tuple[str, ...] = ()
    password: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    told: Mapping[str, str] = field(default_factory=dict, repr=False)
    invited: bool = False
    exempt: str | None = None
    guardian: str | None = None
    asks: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    noted: Mapping[str, Any] | None = field(default_factory=dict, repr=False)
    relations: Mapping[str, str] = field(default_factory=dict)
    freja_level: str = "PLUS"
    freja_loa: str = "LOA3"

    @property
    def name(self) -> str:
        """Return the whole name."""
        return f"{self.given_name} {self.family_name}"

    @property
    def contacts(self) -> dict[str, str]:
        """Return the addresses of the account by channel: `email`, `sms`."""
        return {channel: to for channel, to in (("email", self.email), ("sms", self.phone)) if to is not None}

    @property
    def is_made_up(self) -> bool:
        """Tell whether the number can be nobody's: a mistyped one would be somebody's."""
        if self.number is None or self.country == "SE":
            return self.number is None or self.number in LISTED
        return parse(self.number, self.country, now=self.born).is_test

    @property
    def uuid(self) -> str:
        """Return a stable identifier, the same in every run, as an eID would keep one."""
        return str(uuid.uuid5(_NAMESPACE, self.id))


def years_before(today: date, years: int, days: int = 0) -> date:
    """Return the day a person was born who turned `years` so many days ago; 29 February becomes 1 March."""
    birthday = today - timedelta(days=days)
    try:
        return birthday.replace(year=birthday.year - years)
    except ValueError:
        return date(birthday.year - years, 3, 1)


def cpr(born: date, serial: int) -> str:
    """Return a Danish replacement number: 60 is added to the day, which CPR itself never does.

    `serial` is 0 to 999; the seventh digit that tells the century is put before it.
    """
    century = 0 if born.year < 2000 else 4
    return f"{born.day + 60:02}{born:%m%y}{century}{serial:03}"


def hetu(born: date, individual: int) -> str:
    """Return a Finnish number; `individual` is 900 to 999, which no register holds."""
    if not 900 <= individual <= 999:
        raise ValueError("Finnish test numbers have individual numbers 900 to 999")
    sign = "-" if born.year < 2000 else "A"
    check = _HETU_CHECKS[int(f"{born:%d%m%y}{individual}") % 31]
    return f"{born:%d%m%y}{sign}{individual}{check}"
