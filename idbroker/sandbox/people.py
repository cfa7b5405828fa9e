"""The cast of the sandbox: people with trouble built in, none of whom can be real."""

from __future__ import annotations

from datetime import date
from typing import Any

from idbroker.identity import LoA
from idbroker.sandbox.people_accounts import account_people
from idbroker.sandbox.people_families import family_people
from idbroker.sandbox.settings import CLINEA, NEUROREG
from idbroker.sandbox.sim_person import LISTED, SimPerson, cpr, hetu, years_before

__all__ = ["LISTED", "SimPerson", "cast", "cpr", "hetu", "years_before"]


def cast(today: date, finnish: date | None = None) -> tuple[SimPerson, ...]:
    """Return everybody; those whose story is an age are that old `today`, Finns on the `finnish` day if it is another.

    Finland is an hour ahead: for that hour it is tomorrow there.
    """
    finnish = finnish or today
    return (
        *_danes(today), *_swedes(), *_finns(finnish), *_app_users(), *account_people(today),
        *family_people(today, finnish),
    )  # fmt: skip


def _dane(
    who: str,
    name: str,
    born: date,
    serial: int | None,
    story: str,
    *,
    eids: tuple[str, ...] = ("mitid", "borgeradgang"),
    **more: Any,
) -> SimPerson:
    """Return somebody by given name and surname; without a serial number they have no CPR number."""
    given, _, family = name.rpartition(" ")
    number = None if serial is None else cpr(born, serial)
    # Clinea asks for a registration: who could sign in there before it did is one of its patients.
    known = (CLINEA,) if number and eids else ()
    return SimPerson(
        id=who,
        given_name=given,
        family_name=family,
        country="DK",
        born=born,
        number=number,
        story=story,
        eids=eids,
        clinics=known,
        **more,
    )


def _danes(today: date) -> tuple[SimPerson, ...]:
    emil, lars = years_before(today, 9, 100), years_before(today, 15, 1)
    acted_for = "Nine years old, has no MitID: his mother Anna can make a login for him"
    agent = "Proves substantial, never high; Gerda gave her a power of attorney"
    return (
        _dane(
            "anna",
            "Anna Prøvesen",
            date(1985, 3, 14),
            101,
            "An ordinary adult, mother of Emil",
            relations={"emil": "child"},
        ),
        _dane("emil", "Emil Prøvesen", emil, 103, acted_for, eids=(), relations={"anna": "parent", "jorn": "none"}),
        _dane("lars", "Lars Femtenberg", lars, 105, "Turned 15 yesterday"),
        _dane("nora", "Nora Udennummer", date(1991, 11, 2), None, "Has MitID but no CPR number"),
        _dane(
            "petra",
            "Petra Skærmet",
            date(1978, 7, 21),
            102,
            "Her name and address are protected, and those of Pil, her child",
            protected=True,
            relations={"pil": "child"},
        ),
        _dane("ludvig", "Ludvig Lavsen", date(1969, 5, 9), 107, "Proves only the level low", loa=LoA.LOW),
        _dane(
            "susan",
            "Susan Mellemgaard",
            date(1959, 12, 30),
            104,
            agent,
            loa=LoA.SUBSTANTIAL,
            relations={"gerda": "principal"},
        ),
        _dane("carl", "Carl Afbrydsen", date(1995, 8, 17), 109, "Always cancels", habit="cancel"),
        _dane("bodil", "Bodil Spærret", date(1950, 1, 31), 106, "Her MitID is blocked", habit="blocked"),
        _dane(
            "gerda",
            "Gerda Fuldmagtsen",
            date(1944, 6, 12),
            108,
            "Has no MitID: Susan has her power of attorney",
            eids=(),
            relations={"susan": "agent"},
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
            clinics=(NEUROREG,),
            loa=LoA.SUBSTANTIAL,
            relations={"saga": "child", "alma": "child"},
            story="An ordinary adult with BankID and Freja, father of Saga",
        ),
        SimPerson(
            id="saga",
            given_name="Saga",
            family_name="Provsson",
            country="SE",
            born=date(2020, 5, 4),
            number="202005042383",
            relations={"bjorn": "parent", "klara": "parent", "barbro": "grandparent"},
            story="A child, born in 2020: her father Björn acts for her",
        ),
        SimPerson(
            id="marta",
            given_name="Märta",
            family_name="Utandosa",
            country="SE",
            born=date(1942, 10, 21),
            number="194210219269",
            eids=("fallback",),
            clinics=(NEUROREG,),
            password="vinter-apelsin-brygga-7",
            email="marta@example.test",
            phone="+46701740620",
            noted={"exempt": "age", "checked": "passport"},
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
            clinics=(NEUROREG,),
            noted={"takes_part": False},
            story="Always cancels; in Neuroreg’s list, and has declined to take part in the register",
        ),
    )


def _finn(
    who: str,
    name: str,
    born: date,
    individual: int | None,
    story: str,
    *,
    eids: tuple[str, ...] = ("suomifi",),
    **more: Any,
) -> SimPerson:
    """Return somebody by given names and surname; without an individual number they have no Finnish one."""
    given, _, family = name.rpartition(" ")
    number = None if individual is None else hetu(born, individual)
    more = {"loa": LoA.SUBSTANTIAL} | more
    return SimPerson(
        id=who,
        given_name=given,
        family_name=family,
        country="FI",
        born=born,
        number=number,
        story=story,
        eids=eids,
        **more,
    )


def _finns(today: date) -> tuple[SimPerson, ...]:
    child, teenager = years_before(today, 7, 40), years_before(today, 14, 60)
    return (
        _finn(
            "aino",
            "Aino Koehenkilö",
            date(1983, 2, 24),
            902,
            "An ordinary adult, mother of Onni and Veera",
            relations={"onni": "child", "veera": "child"},
        ),
        _finn(
            "onni",
            "Onni Koehenkilö",
            child,
            905,
            "Seven years old: his mother Aino acts for him",
            eids=(),
            loa=LoA.HIGH,
            relations={"aino": "parent", "jaana": "none"},
        ),
        _finn(
            "veera",
            "Veera Koehenkilö",
            teenager,
            906,
            "Fourteen years old, has bank codes of her own; her mother is Aino",
            relations={"aino": "parent"},
        ),
        _finn(
            "jaana",
            "Jaana Eivaltuutta",
            date(1980, 9, 1),
            904,
            "Has a child in her home, Onni, for whom she may not act",
            relations={"onni": "none"},
        ),
        *_register_finns(),
    )


def _register_finns() -> tuple[SimPerson, ...]:
    """Return those whose stories are about the population register; numbers of 95n and 99n are DVV's own test ones."""
    abroad = "Her permanent address is in another country"
    return (
        _finn("tessa", "Tessa Testilä", date(1980, 2, 1), 952, "Has a certificate card too: proves high", loa=LoA.HIGH),
        _finn("joni", "Joni Kristian Kiviniitty", date(1969, 4, 1), 999, "Has two given names"),
        _finn(
            "silja",
            "Silja Suojattu",
            date(1991, 9, 26),
            999,
            "Has a non-disclosure for personal safety (turvakielto)",
            protected=True,
        ),
        _finn("pekka", "Pekka Poisnukkunut", date(1965, 3, 2), 999, "Died, and his codes still work", deceased=True),
        _finn("ulla", "Ulla Ulkomaala", date(1965, 2, 4), 998, abroad),
        _finn("kalle", "Kalle Keskeyttäjä", date(1974, 3, 8), 908, "Always cancels", habit="cancel"),
        _finn(
            "elena",
            "Elena Pruebas",
            date(1988, 5, 17),
            None,
            "Comes by eIDAS from Spain, has no Finnish number",
            foreign_id="ES/FI/99900088P",
        ),
        _finn(
            "ivana",
            "Ivana Koeulkomaalainen",
            date(1994, 10, 3),
            None,
            "Has the Finnish Authenticator for foreigners, and no Finnish number",
            foreign_id="FA-0000-4410",
            loa=LoA.LOW,
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
