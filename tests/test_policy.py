"""Rules over a case: the first objection decides, and no objection means yes."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from stdnum import luhn

from idbroker import policy
from idbroker.app import make_site, open_house
from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.clock import StoppedClock
from idbroker.identity import Identity, LoA
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
