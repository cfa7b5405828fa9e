"""Rules over a case: the first objection decides, and no objection means yes."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from stdnum import luhn

from idbroker import policy
from idbroker.ages import AGES
from idbroker.app import make_site, open_house
from idbroker.client import Client
from idbroker.clinic import COUNTRIES, Clinic
from idbroker.clock import StoppedClock
from idbroker.identity import Assisted, Identity, LoA
from idbroker.numbers import NationalNumber, parse
from idbroker.policy import Allow, Case, NeedStronger, Refuse
from idbroker.request import SigninRequest
from idbroker.session import Session, Settings
from tests import door
from tests.conftest import NOW
from tests.oidc.making import CALLBACK, make_client

CLINIC = Clinic(id="clinea", name="Clinea", country="DK", providers=("mitid", "freja"))
MINUTE = timedelta(minutes=1)


def case(
    client: Client | None = None, test_people: bool = False, proved: dict[str, Any] | None = None, **asked: Any
) -> Case:
    """Return a case that is allowed, changed as told."""
    identity: dict[str, Any] = {
        "provider": "mitid",
        "issuer": "https://mitid.example",
        "subject": "s",
        "loa": LoA.SUBSTANTIAL,
        "proved_at": NOW,
    }
    request: dict[str, Any] = {
        "client_id": "portal",
        "redirect_uri": CALLBACK,
        "minimum": LoA.SUBSTANTIAL,
        "received_at": NOW - MINUTE,
    }
    return Case(
        request=SigninRequest(**{**request, **asked}),
        client=client or make_client(),
        clinic=CLINIC,
        identity=Identity(**{**identity, **(proved or {})}),
        now=NOW,
        test_people=test_people,
    )


def test_allowed() -> None:
    """A case without objections is allowed."""
    assert policy.decide(case()) == Allow()


# ---- levels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("received", LoA)
@pytest.mark.parametrize("minimum", LoA)
def test_level(received: LoA, minimum: LoA) -> None:
    """The level received counts, whatever was wished (ASVS 6.8.4)."""
    decision = policy.decide(case(proved={"loa": received}, minimum=minimum, acr_values=("low",)))

    assert decision == (Allow() if received >= minimum else NeedStronger(minimum))


# ---- providers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_client", "accepted"),
    [((), ("mitid", "freja")), (("freja",), ("freja",)), (("freja", "mitid"), ("mitid", "freja")), (("bankid",), ())],
)
def test_accepted_providers(of_client: tuple[str, ...], accepted: tuple[str, ...]) -> None:
    """The clinic's eIDs in its order, narrowed by the client, never widened."""
    assert policy.accepted_providers(make_client(providers=of_client), CLINIC) == accepted


def test_provider_not_accepted() -> None:
    """An eID that the service or its clinic does not take is refused, however it was reached."""
    assert policy.decide(case(proved={"provider": "bankid"})) == Refuse("provider_not_accepted")
    assert policy.decide(case(make_client(providers=("freja",)))) == Refuse("provider_not_accepted")


# ---- test persons --------------------------------------------------------------------------------


def test_test_person() -> None:
    """Who has a test number is refused in production, at any level, and welcome in the sandbox."""
    number: NationalNumber = parse("610101-0001", "DK", now=NOW.date())
    assert number.is_test

    assert policy.decide(case(proved={"number": number, "loa": LoA.HIGH})) == Refuse("test_person")
    assert policy.decide(case(proved={"number": number}, test_people=True)) == Allow()


@pytest.mark.parametrize("serial", ["238", "239", "980", "989"])
@pytest.mark.parametrize("year", [1942, 1987, 1999, 2020])
def test_no_swede_is_refused_for_a_number(year: int, serial: str) -> None:
    """Real people have numbers of every range that test numbers are in (decision 0012): none is turned away for it."""
    for day in ("01", "61"):
        short = f"{year % 100:02}01{day}{serial}"
        number = parse(f"{year // 100}{short}{luhn.calc_check_digit(short)}", "SE", now=NOW.date())

        assert not number.is_test
        assert policy.test_person(case(proved={"number": number})) is None


@pytest.mark.parametrize(("sandbox", "setting"), [(False, False), (False, True), (True, False)])
def test_who_lets_test_people_in(sandbox: bool, setting: bool, tmp_path: Path, clock: StoppedClock) -> None:
    """The sandbox does, and a broker told so in [server] test_people; no other."""
    settings = door.settings("http://127.0.0.1:9", "https://mitid.test", {}, {}, {})
    server = dataclasses.replace(settings.server, test_people=setting)
    house = open_house(dataclasses.replace(settings, server=server), tmp_path, clock=clock, sandbox=sandbox)
    asked = case()

    found = make_site(house).broker.signon.case(asked.request, asked.client, asked.clinic, asked.identity)

    assert found.test_people is (sandbox or setting)
    house.durable.close()
    house.transient.close()


# ---- ages -----------------------------------------------------------------------------------------


def aged(born: date | None, country: str = "DK", way: str = "eid", **changes: Any) -> Case:
    """Return the case of somebody born on a day, by an eID or by password, at a clinic of a country."""
    proved = {"birthdate": born, "loa": LoA.LOW if way == "code" else LoA.SUBSTANTIAL, **changes}
    asked = case(proved=proved, minimum=LoA.LOW)
    return dataclasses.replace(asked, clinic=dataclasses.replace(CLINIC, country=country))


@pytest.mark.parametrize(
    ("country", "birthday"),
    [("DK", date(2011, 11, 22)), ("SE", date(2013, 11, 22)), ("FI", date(2014, 11, 22)), ("NO", date(2010, 11, 22))],
)
def test_an_eid_from_the_birthday_on(country: str, birthday: date) -> None:
    """By an eID somebody signs in from their birthday on, and not the day before (R13): 15, 13, 12 and 16."""
    assert policy.decide(aged(birthday, country)) == Allow()
    assert policy.decide(aged(birthday + timedelta(days=1), country)) == Refuse("too_young")


@pytest.mark.parametrize("born", [date(2011, 11, 22), date(2011, 11, 23), date(2019, 1, 1), date(1950, 1, 1)])
def test_a_danish_child_has_a_password(born: date) -> None:
    """In Denmark number, password and code let in at every age: below 15 a guardian has set them up."""
    assert policy.decide(aged(born, way="code")) == Allow()


@pytest.mark.parametrize(
    ("born", "decision"), [(date(2014, 11, 23), Refuse("too_young")), (date(2014, 11, 22), Allow())]
)
def test_a_finnish_child_has_none(born: date, decision: policy.Decision) -> None:
    """Where children have no password of their own it lets in from the age of eIDs on."""
    assert policy.decide(aged(born, "FI", "code")) == decision


@pytest.mark.parametrize("country", COUNTRIES)
@pytest.mark.parametrize("way", ["eid", "code"])
def test_every_birth_date_today(country: str, way: str) -> None:
    """Whoever was born when, 1900 to today: let in exactly from the eID's age on, or by password below the code's."""
    limits, day = AGES[country], NOW.date()
    model = aged(day, country, way)
    for born in (date(1900, 1, 1) + timedelta(days=n) for n in range((day - date(1900, 1, 1)).days + 1)):
        age = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
        allowed = age >= limits.eid_from or (way == "code" and age < limits.code_until)
        asked = dataclasses.replace(model, identity=dataclasses.replace(model.identity, birthdate=born))
        assert policy.too_young(asked) == (None if allowed else Refuse("too_young"))


def test_the_service_says_from_which_age() -> None:
    """A service may take people earlier than its clinic, and a clinic than its country."""
    asked = aged(date(2013, 1, 1))
    earlier = dataclasses.replace(asked, client=make_client(ages={"eid_from": 13}))

    assert policy.decide(asked) == Refuse("too_young")
    assert policy.decide(earlier) == Allow()


def test_guardians_make_no_exception_for_the_child() -> None:
    """Where guardians act for a child, the child itself is turned away all the same."""
    asked = dataclasses.replace(aged(date(2013, 1, 1)), client=make_client(acting="always"))

    assert policy.decide(asked) == Refuse("too_young")


def test_the_number_tells_the_birth_date() -> None:
    """Where the eID tells no birth date, the national number does."""
    number = parse("20190101238" + luhn.calc_check_digit("190101238"), "SE", now=NOW.date())

    assert policy.decide(aged(None, "SE", number=number)) == Refuse("too_young")


def test_who_tells_no_age_is_not_judged_by_it() -> None:
    """An eID that tells neither number nor birth date is its issuer's word that somebody may have it."""
    assert policy.decide(aged(None)) == Allow()


def test_staff_see_whom_they_vouch_for() -> None:
    """Whom staff sign in is let in at any age: the child stands in front of them."""
    vouched = Assisted(staff="s", role="carer", clinic="clinea", client="portal")

    assert policy.too_young(aged(date(2013, 1, 1), "FI", "code", assisted=vouched)) is None


@pytest.mark.parametrize(
    ("proved", "now", "decision"),
    [
        ("2026-11-22T22:59:59", "2026-11-22T22:59:59", Allow()),
        ("2026-11-22T22:59:59", "2026-11-22T23:00:00", Refuse("outgrown")),  # midnight in Denmark
        ("2026-11-22T23:00:00", "2026-11-22T23:00:00", Allow()),
    ],
)
def test_a_childs_password_does_not_carry_over_its_birthday(proved: str, now: str, decision: policy.Decision) -> None:
    """What was proved by password before the fifteenth birthday is worth nothing from its first moment on."""
    moments = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (proved, now)]
    asked = dataclasses.replace(aged(date(2011, 11, 23), way="code", proved_at=moments[0]), now=moments[1])

    assert policy.decide(asked) == decision


def test_a_sign_on_is_judged_again_by_age() -> None:
    """A sign-on that one service let in at 13 does not answer for one that lets in at 15."""
    young = {"birthdate": date(2013, 1, 1)}

    assert suffices(case(make_client(ages={"eid_from": 13}), received_at=NOW, proved=young))
    assert not suffices(case(received_at=NOW, proved=young))


# ---- how old a proof may be ----------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["login", "select_account"])
@pytest.mark.parametrize(
    ("acted", "decision"),
    [
        (NOW, Allow()),
        (NOW - MINUTE, Allow()),
        (NOW - MINUTE - policy.SKEW, Allow()),
        (NOW - MINUTE - policy.SKEW - timedelta(seconds=1), Refuse("proof_too_old")),
        (NOW - timedelta(hours=5), Refuse("proof_too_old")),
    ],
)
def test_fresh_proof(prompt: str, acted: Any, decision: policy.Decision) -> None:
    """After prompt=login an eID's old session is no proof (Core 3.1.2.1; B9)."""
    assert policy.decide(case(proved={"proved_at": acted}, prompt=(prompt,))) == decision


@pytest.mark.parametrize(
    ("max_age", "age", "decision"),
    [
        (timedelta(), timedelta(), Allow()),
        (timedelta(), timedelta(minutes=3), Refuse("proof_too_old")),
        (timedelta(seconds=1), timedelta(minutes=3), Refuse("proof_too_old")),
        (timedelta(hours=1), timedelta(minutes=61), Allow()),
        (timedelta(hours=1), timedelta(minutes=63), Refuse("proof_too_old")),
        (None, timedelta(days=1), Allow()),
    ],
)
def test_max_age_of_a_proof(max_age: timedelta | None, age: timedelta, decision: policy.Decision) -> None:
    """A proof may be as old as max_age says when the request came, and sixty seconds for the clocks."""
    assert policy.decide(case(proved={"proved_at": NOW - age}, max_age=max_age)) == decision


# ---- the sign-on that is there -------------------------------------------------------------------


def suffices(one: Case, **changes: Any) -> bool:
    """Tell whether a sign-on with the case's proof answers its request."""
    session = Session(
        **{
            "key": "k",
            "person": "p",
            "identity": one.identity,
            "language": "da",
            "started_at": NOW,
            "seen_at": NOW,
            **changes,
        }
    )
    return policy.session_suffices(one, session, Settings())


def test_session_suffices() -> None:
    """A living sign-on at the level answers without a new proof, to prompt=none too."""
    assert suffices(case(received_at=NOW))
    assert suffices(case(received_at=NOW, prompt=("none",)))
    assert suffices(case(received_at=NOW, prompt=("consent",)))


@pytest.mark.parametrize("prompt", [("login",), ("select_account",), ("login", "consent")])
def test_session_never_answers_prompt_login(prompt: tuple[str, ...]) -> None:
    """prompt=login asks for a proof though the sign-on is a second old (Core 3.1.2.1)."""
    assert not suffices(case(received_at=NOW, prompt=prompt))


@pytest.mark.parametrize(
    ("max_age", "age", "answers"),
    [(0, 0, False), (1, 0, True), (1, 1, False), (1, 2, False), (10_000, 9_999, True), (10_000, 10_001, False)],
)
def test_session_and_max_age(max_age: int, age: int, answers: bool) -> None:
    """max_age counts from the proof; max_age=0 is never met by what is there (Core 3.1.2.1)."""
    proved = {"proved_at": NOW - timedelta(seconds=age)}

    assert suffices(case(received_at=NOW, proved=proved, max_age=timedelta(seconds=max_age))) is answers


@pytest.mark.parametrize(
    "changes",
    [
        {"seen_at": NOW - timedelta(minutes=30, seconds=1)},
        {"started_at": NOW - timedelta(hours=8, seconds=1)},
    ],
)
def test_session_that_is_over(changes: dict[str, Any]) -> None:
    """A sign-on past its idle or absolute limit answers nothing (ASVS 7.3)."""
    assert not suffices(case(received_at=NOW), **changes)


def test_session_of_another_world() -> None:
    """A sign-on below the level, or by an eID this service does not take, does not answer for it."""
    assert not suffices(case(received_at=NOW, minimum=LoA.HIGH))
    assert not suffices(case(make_client(providers=("freja",)), received_at=NOW))
