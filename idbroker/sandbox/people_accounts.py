"""Those of the cast whose stories are about accounts: without an eID, registered by others, or not at all yet.

Phone numbers are of the series that PTS keeps for books and films: Denmark keeps none, so these Danes have
Swedish ones.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from idbroker.sandbox.settings import CLINEA, HAVNENS, NEUROREG
from idbroker.sandbox.sim_person import SimPerson, cpr, years_before

_MITID = ("mitid", "borgeradgang")
_FALLBACK = ("fallback",)


def account_people(today: date) -> tuple[SimPerson, ...]:
    """Return them; those whose story is an age are that old `today`."""
    return (
        *_without_eid(today), *_with_children(today), *_at_clinics(), *_made_by_staff(), *_for_staff(), *_swedes()
    )  # fmt: skip


def _dane(who: str, name: str, born: date, serial: int, story: str, **more: Any) -> SimPerson:
    """Return somebody by given name and surname, whom clinea takes unless `clinics` says otherwise."""
    given, _, family = name.rpartition(" ")
    more = {"clinics": (CLINEA,), "email": f"{who}@example.test"} | more
    return SimPerson(
        id=who, given_name=given, family_name=family, country="DK", born=born, number=cpr(born, serial), story=story,
        **more,
    )  # fmt: skip


def _without_eid(today: date) -> tuple[SimPerson, ...]:
    return (
        _dane(
            "oda", "Oda Kodebjerg", years_before(today, 84, 50), 201,
            "84 years old, has no MitID: signs in with CPR number, password and a code by e-mail",
            eids=_FALLBACK, password="Rabarber4kurv", phone="+46701740610",
        ),
        _dane(
            "ejnar", "Ejnar Udenfonsen", date(1951, 2, 17), 203,
            "Has no MitID and no mobile phone: his codes go to his e-mail",
            eids=_FALLBACK, password="Tagsten9plov",
        ),
        _dane(
            "inger", "Inger Fastnetsen", date(1948, 11, 29), 204,
            "Has no MitID; the clinic has her landline as her mobile number, and no text message goes there",
            eids=_FALLBACK, password="Svaleunge3bro", told={"sms": "+46980319231"},
        ),
    )  # fmt: skip


def _with_children(today: date) -> tuple[SimPerson, ...]:
    return (
        _dane(
            "karen", "Karen Vergemaalsen", date(1982, 1, 16), 206,
            "Has MitID, and made a login for her daughter Frida", eids=_MITID, relations={"frida": "child"},
        ),
        _dane(
            "frida", "Frida Vergemaalsen", years_before(today, 13, 70), 208,
            "Thirteen years old, too young to use MitID here: has a login of her own that her mother Karen made",
            eids=_FALLBACK, password="Papegoje6sky", guardian="karen", relations={"karen": "parent"},
        ),
    )  # fmt: skip


def _at_clinics() -> tuple[SimPerson, ...]:
    return (
        _dane(
            "mogens", "Mogens Nyadressen", date(1967, 4, 3), 205,
            "Has moved: the clinic has another e-mail address than his account",
            eids=(*_MITID, *_FALLBACK), password="Hyldeblomst2kop", phone="+46701740613",
            told={"email": "mogens.ny@example.test", "sms": "+46701740613"},
        ),
        _dane(
            "tove", "Tove Andetstedsen", date(1974, 8, 8), 210,
            "Patient of Havnens Lægehus, and has an account; Test klinik 2 does not know her yet",
            eids=(*_MITID, *_FALLBACK), password="Gulerod5vindue", phone="+46701740614", clinics=(HAVNENS,),
        ),
        _dane(
            "nikolaj", "Nikolaj Nybegyndersen", date(1999, 10, 12), 207,
            "Has MitID, and is patient nowhere yet: registers himself",
            eids=_MITID, email=None, clinics=(),
        ),
    )  # fmt: skip


def _made_by_staff() -> tuple[SimPerson, ...]:
    return (
        _dane(
            "sten", "Sten Uaktivsen", date(1963, 5, 26), 209,
            "Staff made his account: he has a link to activate it, and confirms once with MitID who he is",
            eids=_MITID, invited=True,
        ),
        _dane(
            "birte", "Birte Undtagelund", date(1939, 9, 5), 212,
            "Staff made her account and wrote down that she cannot have MitID: the link is enough",
            eids=(), invited=True, exempt="age",
        ),
    )  # fmt: skip


def _for_staff() -> tuple[SimPerson, ...]:
    waits: dict[str, Any] = {"eids": _MITID, "clinics": (), "asks": (CLINEA,)}
    born = date(1990, 2, 3)
    return (
        _dane(
            "vilma", "Vilma Ventesen", date(1988, 3, 9), 213,
            "Waits for Test klinik 2, whose list has the same of her",
            phone="+46701740615", told={"email": "vilma@example.test", "sms": "+46701740615"}, **waits,
        ),
        _dane(
            "viggo", "Viggo Ventelund", date(1957, 6, 30), 215,
            "Waits for Test klinik 2 as well, whose list has the same of him",
            told={"email": "viggo@example.test"}, **waits,
        ),
        _dane(
            "otto", "Otto Afvigesen", date(1979, 12, 1), 211,
            "Waits for Test klinik 2, whose list has another surname and another telephone",
            phone="+46701740616", told={"email": "otto@example.test", "sms": "+46701740617"},
            noted={"family_name": "Afvigelund"}, **waits,
        ),
        _dane(
            "ida", "Ida Ukendtgaard", date(2001, 7, 4), 214, "Waits for Test klinik 2, which has never heard of her",
            noted=None, **waits,
        ),
        _dane(
            "rosa", "Rosa Listekær", date(1966, 10, 20), 216, "In the list of Test klinik 2, and has asked for nothing",
            eids=_MITID, clinics=(), listed=(CLINEA,), email=None, told={"email": "rosa@example.test"},
        ),
        _dane(
            "asta", "Asta Nummersen", born, 218, "Patient of Test klinik 2 under the number she had before",
            eids=_FALLBACK, email="asta@example.test", password="Kastanje8mark",
        ),
        _dane(
            "asta-ny", "Asta Nummersen", born, 220, "The same Asta, entered again under her new number",
            eids=_MITID, email=None, told={"email": "asta@example.test"},
        ),
    )  # fmt: skip


def _swedes() -> tuple[SimPerson, ...]:
    return (
        SimPerson(
            id="sigrid", given_name="Sigrid", family_name="Bytaresson", country="SE", born=date(1964, 4, 9),
            number="196404094739", eids=_FALLBACK, clinics=(NEUROREG,), password="kanel-fjord-lampa-9",
            email="sigrid@example.test", phone="+46701740621", told={"sms": "+46701740622"},
            story="Has another mobile number than Neuroreg’s staff have written down",
        ),
        SimPerson(
            id="viktor", given_name="Viktor", family_name="Utantelefonsson", country="SE", born=date(1999, 8, 7),
            number="199908072391", eids=_FALLBACK, clinics=(NEUROREG,), password="mandel-kvist-trumma-4",
            email="viktor@example.test", noted={"exempt": "other", "checked": "card"},
            story="Has no BankID and no phone: his codes go to his e-mail",
        ),
    )  # fmt: skip
