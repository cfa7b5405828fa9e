"""Those of the cast whose stories are about custody: who may act for whom, and until which birthday.

Swedish numbers are of Skatteverket's list (sim_person.LISTED), so these children are born when it says; the others are
as old as their stories want.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from idbroker.identity import LoA
from idbroker.sandbox.settings import CLINEA
from idbroker.sandbox.sim_person import SimPerson, cpr, hetu, years_before

_MITID = ("mitid", "borgeradgang")


def family_people(today: date, finnish: date) -> tuple[SimPerson, ...]:
    """Return them. `today` is the day in Denmark and Sweden, `finnish` the one in Finland, an hour ahead."""
    return (*_danes(today), *_swedes(), *_finns(finnish))


def _dane(who: str, name: str, born: date, serial: int, story: str, **more: Any) -> SimPerson:
    given, _, family = name.rpartition(" ")
    return SimPerson(
        id=who, given_name=given, family_name=family, country="DK", born=born, number=cpr(born, serial), story=story,
        **more,
    )  # fmt: skip


def _danes(today: date) -> tuple[SimPerson, ...]:
    tomorrow = today + timedelta(days=1)
    grown: dict[str, Any] = {"eids": _MITID, "clinics": (CLINEA,)}
    return (
        _dane(
            "mie", "Mie Midnatsen", years_before(tomorrow, 15), 222,
            "14 years and 364 days old: turns 15 at midnight, when her password ends and MitID opens to her",
            eids=(*_MITID, "fallback"), clinics=(CLINEA,), password="Kaktus7lygte", email="mie@example.test",
            guardian="dorte", relations={"dorte": "parent", "mads": "parent"},
        ),
        _dane(
            "dorte", "Dorte Midnatsen", date(1981, 10, 5), 224,
            "Shares the custody of Mie with Mads, and made her login", relations={"mie": "child"}, **grown,
        ),
        _dane(
            "mads", "Mads Midnatsen", date(1980, 2, 27), 221, "Shares the custody of Mie with Dorte",
            relations={"mie": "child"}, **grown,
        ),
        _dane(
            "jorn", "Jørn Udenretten", date(1984, 7, 8), 223, "Father of Emil, without custody of him",
            relations={"emil": "none"}, **grown,
        ),
        _dane(
            "pil", "Pil Skærmet", years_before(today, 6, 80), 226,
            "Six years old; her address is protected, so nobody acts for her: not even her mother Petra",
            protected=True, relations={"petra": "parent"},
        ),
    )  # fmt: skip


def _swede(who: str, name: str, number: str, story: str, **more: Any) -> SimPerson:
    given, _, family = name.rpartition(" ")
    born = date(int(number[:4]), int(number[4:6]), int(number[6:8]))
    return SimPerson(
        id=who, given_name=given, family_name=family, country="SE", born=born, number=number, story=story, **more
    )


def _swedes() -> tuple[SimPerson, ...]:
    return (*_with_saga(), *_swedish_parents(), *_parents_in_trouble())


def _grown(**relations: str) -> dict[str, Any]:
    return {"eids": ("bankid",), "loa": LoA.SUBSTANTIAL, "relations": relations}


def _with_saga() -> tuple[SimPerson, ...]:
    return (
        _swede(
            "klara", "Klara Provsson", "198405149280", "Shares the custody of Saga with Björn: each acts alone",
            **_grown(saga="child"),
        ),
        _swede(
            "barbro", "Barbro Farmorsson", "195809262743",
            "Grandmother of Saga: the region’s register lets her act for her", **_grown(saga="grandchild"),
        ),
        _swede(
            "alma", "Alma Provsson", "201806232383", "Died: her father Björn acts for her no more",
            deceased=True, relations={"bjorn": "parent"},
        ),
    )  # fmt: skip


def _swedish_parents() -> tuple[SimPerson, ...]:
    return (
        _swede("lina", "Lina Tvillingsson", "198801082382", "Mother of twins", **_grown(tuva="child", ture="child")),
        _swede(
            "tuva", "Tuva Tvillingsson", "202104142381", "A twin: same birthday as Ture, another number",
            relations={"lina": "parent", "hampus": "none"},
        ),
        _swede(
            "ture", "Ture Tvillingsson", "202104142399", "A twin: same birthday as Tuva, another number",
            relations={"lina": "parent", "hampus": "none"},
        ),
        _swede(
            "anders", "Anders Skottdagsson", "198801162390", "Father of Stina, who has a birthday every fourth year",
            **_grown(stina="child"),
        ),
        _swede(
            "stina", "Stina Skottdagsson", "201602292383",
            "Born on 29 February 2016: turns 13 on 1 March 2029, and her father Anders acts for her until then",
            relations={"anders": "parent"},
        ),
        _swede(
            "sara", "Sara Växlingsson", "198802192388",
            "Mother of Wilma: take her custody away while she is logged in, with the switch on Families",
            **_grown(wilma="child"),
        ),
        _swede(
            "wilma", "Wilma Växlingsson", "202109082384", "Her custody is changed while her mother Sara acts for her",
            relations={"sara": "parent"},
        ),
    )  # fmt: skip


def _parents_in_trouble() -> tuple[SimPerson, ...]:
    return (
        _swede(
            "hampus", "Hampus Umgängesson", "198602029996", "Father of the twins Tuva and Ture, without custody",
            **_grown(tuva="none", ture="none"),
        ),
        _swede(
            "rebecka", "Rebecka Omhändersson", "198406079288", "Her son Milo is in care: she does not act for him",
            **_grown(milo="in_care"),
        ),
        _swede(
            "milo", "Milo Omhändersson", "201903122396", "In care (LVU), so his mother Rebecka does not act for him",
            relations={"rebecka": "in_care"},
        ),
        _swede(
            "patrik", "Patrik Skyddsson", "198803162398",
            "Father of Love, whose address is protected: sees nobody to act for", **_grown(love="child"),
        ),
        _swede(
            "love", "Love Skyddsson", "201710152396", "His address is protected: nobody acts for him here",
            protected=True, relations={"patrik": "parent"},
        ),
    )  # fmt: skip


def _finn(who: str, name: str, born: date, individual: int, story: str, **more: Any) -> SimPerson:
    given, _, family = name.rpartition(" ")
    more = {"loa": LoA.SUBSTANTIAL} | more
    return SimPerson(
        id=who, given_name=given, family_name=family, country="FI", born=born, number=hetu(born, individual),
        story=story, **more,
    )  # fmt: skip


def _finns(today: date) -> tuple[SimPerson, ...]:
    twins, both = years_before(today, 5, 30), {"leena": "parent", "heikki": "parent"}
    children = {"taimi": "child", "eeli": "child", "elsa": "child", "aamu": "child"}
    return (
        _finn(
            "leena", "Leena Kaksostesti", date(1986, 5, 8), 910, "Mother of Taimi, 12 today, and of twins",
            eids=("suomifi",), relations=children,
        ),
        _finn(
            "heikki", "Heikki Kaksostesti", date(1985, 1, 19), 913, "Shares the custody of Taimi and the twins",
            eids=("suomifi",), relations=children,
        ),
        _finn(
            "taimi", "Taimi Kaksostesti", years_before(today, 12), 914,
            "Twelve years old today: comes with bank codes of her own, and her parents act for her no more",
            eids=("suomifi",), relations=both,
        ),
        _finn("eeli", "Eeli Kaksostesti", twins, 911, "A twin, five years old; his sister is Elsa", relations=both),
        _finn("elsa", "Elsa Kaksostesti", twins, 912, "A twin, five years old; her brother is Eeli", relations=both),
        _finn(
            "aamu", "Aamu Kaksostesti", years_before(today, 3, 200), 920, "Died: her parents act for her no more",
            deceased=True, relations=both,
        ),
        _finn(
            "kirsi", "Kirsi Huostatesti", date(1990, 3, 3), 916, "Her son Noel is in care: she does not act for him",
            eids=("suomifi",), relations={"noel": "in_care"},
        ),
        _finn(
            "noel", "Noel Huostatesti", years_before(today, 8, 10), 915, "In care (huostaanotto)",
            relations={"kirsi": "in_care"},
        ),
        _finn(
            "tarja", "Tarja Turvatesti", date(1987, 12, 12), 918,
            "Mother of Toivo, whose address is protected: sees nobody to act for",
            eids=("suomifi",), relations={"toivo": "child"},
        ),
        _finn(
            "toivo", "Toivo Turvatesti", years_before(today, 6, 120), 917,
            "His address is protected (turvakielto): nobody acts for him here",
            protected=True, relations={"tarja": "parent"},
        ),
    )  # fmt: skip
