"""The cast of the sandbox: people with trouble built in, none of whom can be real."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

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
        "202005042383",
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
    (`child`, `parent`, `none` for a child this person may not act for). `freja_level` and `freja_loa`
    are Freja's own words for how well it knows this person: BASIC, EXTENDED or PLUS, and LOA1, LOA2,
    LOA3, or LOA3_NR for somebody who does not live in Sweden.
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
    habit: str = "approve"
    password: str | None = field(default=None, repr=False)
    relations: Mapping[str, str] = field(default_factory=dict)
    freja_level: str = "PLUS"
    freja_loa: str = "LOA3"

    @property
    def name(self) -> str:
        """Return the whole name."""
        return f"{self.given_name} {self.family_name}"

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


def cast(today: date) -> tuple[SimPerson, ...]:
    """Return everybody; those whose story is an age are that old `today`."""
    return (*_danes(today), *_swedes(), *_finns(today), *_app_users())


def _danes(today: date) -> tuple[SimPerson, ...]:
    emil = years_before(today, 9, 100)
    lars = years_before(today, 15, 1)
    return (
        SimPerson(
            id="anna",
            given_name="Anna",
            family_name="Prøvesen",
            country="DK",
            eids=("mitid", "borgeradgang"),
            born=date(1985, 3, 14),
            number=cpr(date(1985, 3, 14), 101),
            relations={"emil": "child"},
            story="An ordinary adult, mother of Emil",
        ),
        SimPerson(
            id="emil",
            given_name="Emil",
            family_name="Prøvesen",
            country="DK",
            born=emil,
            number=cpr(emil, 103),
            relations={"anna": "parent"},
            story="Nine years old, has no MitID: his mother Anna acts for him",
        ),
        SimPerson(
            id="lars",
            given_name="Lars",
            family_name="Femtenberg",
            country="DK",
            eids=("mitid", "borgeradgang"),
            born=lars,
            number=cpr(lars, 105),
            story="Turned 15 yesterday",
        ),
        SimPerson(
            id="nora",
            given_name="Nora",
            family_name="Udennummer",
            country="DK",
            eids=("mitid",),
            born=date(1991, 11, 2),
            number=None,
            story="Has MitID but no CPR number",
        ),
        SimPerson(
            id="petra",
            given_name="Petra",
            family_name="Skærmet",
            country="DK",
            eids=("mitid", "borgeradgang"),
            born=date(1978, 7, 21),
            number=cpr(date(1978, 7, 21), 102),
            protected=True,
            story="Her name and address are protected",
        ),
        SimPerson(
            id="ludvig",
            given_name="Ludvig",
            family_name="Lavsen",
            country="DK",
            eids=("mitid",),
            loa=LoA.LOW,
            born=date(1969, 5, 9),
            number=cpr(date(1969, 5, 9), 107),
            story="Proves only the level low",
        ),
        SimPerson(
            id="susan",
            given_name="Susan",
            family_name="Mellemgaard",
            country="DK",
            eids=("mitid", "borgeradgang"),
            loa=LoA.SUBSTANTIAL,
            born=date(1959, 12, 30),
            number=cpr(date(1959, 12, 30), 104),
            story="Proves substantial, never high",
        ),
        SimPerson(
            id="carl",
            given_name="Carl",
            family_name="Afbrydsen",
            country="DK",
            eids=("mitid", "borgeradgang"),
            born=date(1995, 8, 17),
            number=cpr(date(1995, 8, 17), 109),
            habit="cancel",
            story="Always cancels",
        ),
        SimPerson(
            id="bodil",
            given_name="Bodil",
            family_name="Spærret",
            country="DK",
            eids=("mitid",),
            born=date(1950, 1, 31),
            number=cpr(date(1950, 1, 31), 106),
            habit="blocked",
            story="Her MitID is blocked",
        ),
    )


def _swedes() -> tuple[SimPerson, ...]:
    return (
        SimPerson(
            id="bjorn",
            given_name="Björn",
            family_name="Provsson",
            country="SE",
            eids=("bankid", "freja"),
            born=date(1987, 6, 19),
            number="198706192393",
            loa=LoA.SUBSTANTIAL,
            relations={"saga": "child"},
            story="An ordinary adult with BankID and Freja, father of Saga",
        ),
        SimPerson(
            id="saga",
            given_name="Saga",
            family_name="Provsson",
            country="SE",
            born=date(2020, 5, 4),
            number="202005042383",
            relations={"bjorn": "parent"},
            story="A child, born in 2020: her father Björn acts for her",
        ),
        SimPerson(
            id="marta",
            given_name="Märta",
            family_name="Utandosa",
            country="SE",
            born=date(1942, 10, 21),
            number="194210219269",
            password="vinter-apelsin-brygga-7",
            story="Born in 1942, without any eID: signs in with number, password and one-time code",
        ),
        SimPerson(
            id="ake",
            given_name="Åke",
            family_name="Avbrott",
            country="SE",
            eids=("bankid", "freja"),
            born=date(1971, 10, 2),
            number="197110021834",
            loa=LoA.SUBSTANTIAL,
            habit="cancel",
            story="Always cancels",
        ),
    )


def _finns(today: date) -> tuple[SimPerson, ...]:
    child = years_before(today, 7, 40)
    return (
        SimPerson(
            id="aino",
            given_name="Aino",
            family_name="Koehenkilö",
            country="FI",
            eids=("suomifi",),
            born=date(1983, 2, 24),
            number=hetu(date(1983, 2, 24), 902),
            relations={"onni": "child"},
            loa=LoA.SUBSTANTIAL,
            story="An ordinary adult, mother of Onni",
        ),
        SimPerson(
            id="onni",
            given_name="Onni",
            family_name="Koehenkilö",
            country="FI",
            born=child,
            number=hetu(child, 905),
            relations={"aino": "parent", "jaana": "none"},
            story="Seven years old: his mother Aino acts for him",
        ),
        SimPerson(
            id="jaana",
            given_name="Jaana",
            family_name="Eivaltuutta",
            country="FI",
            eids=("suomifi",),
            born=date(1980, 9, 1),
            number=hetu(date(1980, 9, 1), 904),
            relations={"onni": "none"},
            loa=LoA.SUBSTANTIAL,
            story="Has a child in her home, Onni, for whom she may not act",
        ),
    )


def _app_users() -> tuple[SimPerson, ...]:
    """Return those whose stories are about BankID and Freja."""
    return (
        SimPerson(
            id="elin",
            given_name="Elin",
            family_name="Halvvägsson",
            country="SE",
            eids=("freja",),
            born=date(1998, 4, 1),
            number="199804012384",
            loa=LoA.LOW,
            freja_level="EXTENDED",
            freja_loa="LOA2",
            story="Has Freja on the level EXTENDED only: too low where Plus is asked for",
        ),
        SimPerson(
            id="samir",
            given_name="Samir",
            family_name="Samordningsson",
            country="SE",
            eids=("bankid", "freja"),
            born=date(1993, 9, 20),
            number="199309802396",
            loa=LoA.SUBSTANTIAL,
            story="Lives in Sweden with a coordination number (samordningsnummer)",
        ),
        SimPerson(
            id="gunnel",
            given_name="Gunnel",
            family_name="Spärrsson",
            country="SE",
            eids=("bankid",),
            born=date(1961, 2, 8),
            number="196102083141",
            loa=LoA.SUBSTANTIAL,
            habit="certificateErr",
            story="Her BankID is blocked",
        ),
        SimPerson(
            id="eero",
            given_name="Eero",
            family_name="Rajantakaa",
            country="FI",
            eids=("freja",),
            born=date(1977, 12, 4),
            number=hetu(date(1977, 12, 4), 907),
            loa=LoA.LOW,
            freja_level="EXTENDED",
            freja_loa="LOA2",
            story="Has Freja with his Finnish number: it is no Swedish one",
        ),
        SimPerson(
            id="dagny",
            given_name="Dagny",
            family_name="Hinsidessund",
            country="DK",
            eids=("freja",),
            born=date(1989, 1, 23),
            number=None,
            loa=LoA.LOW,
            freja_level="EXTENDED",
            freja_loa="LOA3_NR",
            story="Has Freja by her passport, lives outside Sweden and has no number there (LOA3_NR)",
        ),
    )
