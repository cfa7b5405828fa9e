"""Freja over REST: what is made of what Freja signed: levels, numbers, names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import Refused, Untrusted
from idbroker.identity import LoA
from idbroker.numbers import SAMORDNINGSNUMMER
from idbroker.providers import Binding
from idbroker.sandbox.people import cpr, hetu
from tests.providers.freja_service import BJORN, WHO, Desk, Opened, open_desk

SAMIR = "199309802396"
EERO = hetu(date(1977, 12, 4), 907)
ANNA = cpr(date(1985, 3, 14), 101)


@pytest.fixture
def opened(tmp_path: Path, clock: StoppedClock) -> Opened:
    """Give a maker of desks."""
    return lambda **more: open_desk(tmp_path, clock, **more)


@pytest.fixture
def desk(opened: Opened) -> Iterator[Desk]:
    """Give a provider with the usual settings."""
    with opened() as made:
        yield made


@pytest.mark.parametrize(
    ("registration", "assurance", "loa"),
    [
        ("PLUS", None, LoA.SUBSTANTIAL),
        ("PLUS", "LOA3", LoA.SUBSTANTIAL),
        ("PLUS", "LOA2", LoA.LOW),
        ("PLUS", "LOA3_NR", LoA.LOW),
        ("EXTENDED", None, LoA.LOW),
        ("EXTENDED", "LOA2", LoA.LOW),
        ("EXTENDED", "LOA3", LoA.LOW),
        ("EXTENDED", "LOA3_NR", LoA.LOW),
    ],
)
def test_a_level_is_the_lower_of_what_two_words_say(
    desk: Desk, registration: str, assurance: str | None, loa: LoA
) -> None:
    """Plus of a resident is substantial (Digg: 3), and all else low (2); the number counts only with the former."""
    told = {"registrationLevel": registration, "loaLevel": assurance}
    identity = desk.go(told, minimum=LoA.LOW)

    assert (identity.loa, identity.number is not None) == (loa, loa is LoA.SUBSTANTIAL)
    assert identity.subject == WHO


@pytest.mark.parametrize(
    ("told", "more"),
    [
        ({"registrationLevel": "EXTENDED"}, {}),
        ({"loaLevel": "LOA2"}, {}),
        ({"loaLevel": "LOA3_NR"}, {}),
        ({"registrationLevel": "BASIC"}, {"minimum": LoA.LOW}),
        ({"loaLevel": "LOA1"}, {"minimum": LoA.LOW}),
        ({"registrationLevel": "EXTENDED"}, {"minimum": LoA.LOW, "requirement": {"registration_level": "PLUS"}}),
    ],
)
def test_a_lower_level_than_needed_is_refused(desk: Desk, told: dict[str, str], more: dict[str, Any]) -> None:
    """ASVS 6.8.4: what came back counts; an e-mail address alone (BASIC) is below low (eIDAS 2015/1502, 2.1.2)."""
    with pytest.raises(Refused) as stopped:
        desk.go(told, **more)

    assert stopped.value.reason == "level_too_low"


@pytest.mark.parametrize(
    "told",
    [
        {"registrationLevel": None},
        {"registrationLevel": "plus"},
        {"registrationLevel": ["PLUS"]},
        {"loaLevel": "LOA9"},
        {"loaLevel": 3},
    ],
)
def test_a_level_we_do_not_know_is_not_believed(desk: Desk, told: dict[str, Any]) -> None:
    """Missing or unknown is no level, never the highest."""
    with pytest.raises(Untrusted):
        desk.go(told)


def test_asks_for_what_freja_has_enabled(opened: Opened) -> None:
    """The assurance level and the app's address are asked for when set; the address is told in one spelling."""
    with opened(loa_level=True, network_info=True, binding=Binding.RETURN_OR_IP) as desk:
        identity = desk.go({"loaLevel": "LOA3", "networkInfo": {"publicIp": "::ffff:192.0.2.9"}})

        names = [one["attribute"] for one in desk.service.calls[0].message["attributesToReturn"]]
        assert names[-2:] == ["LOA_LEVEL", "NETWORK_INFO"]
        assert (identity.app_ip, desk.provider.binding) == ("192.0.2.9", Binding.RETURN_OR_IP)


# ---- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "number"),
    [("FI", EERO), ("DK", ANNA), ("FI", BJORN), ("se", BJORN), ("", BJORN), (None, BJORN)],
    ids=["finnish", "danish", "abroad", "misspelled", "empty", "nowhere"],
)
def test_a_foreign_number_never_becomes_a_swedish_one(desk: Desk, country: str | None, number: str) -> None:
    """The same digits are another person's in each country: such a person is known by Freja's own name alone."""
    identity = desk.go({"ssn": {"country": country, "ssn": number} if country else {"ssn": number}})

    assert (identity.number, identity.subject) == (None, WHO)


def test_a_coordination_number_is_one(desk: Desk) -> None:
    """SKV 707: Plus may rest on a samordningsnummer, and says so."""
    identity = desk.go({"ssn": {"country": "SE", "ssn": SAMIR}})

    assert identity.number is not None
    assert (identity.number.kind, identity.number.value) == (SAMORDNINGSNUMMER, SAMIR)


@pytest.mark.parametrize("number", [BJORN[:-1] + "7", f"{BJORN[:8]}T{BJORN[9:]}"], ids=["mistyped", "interim"])
def test_what_is_no_number_is_not_believed(desk: Desk, number: str) -> None:
    """A wrong check digit, and an interim number with a letter: not a personnummer, whoever says so (SKV 704)."""
    with pytest.raises(Untrusted, match="number"):
        desk.go({"ssn": {"country": "SE", "ssn": number}})


@pytest.mark.parametrize(
    "told",
    [
        {"relyingPartyUserId": None},
        {"relyingPartyUserId": ""},
        {"relyingPartyUserId": 7},
        {"relyingPartyUserId": "a\nb"},
        {"relyingPartyUserId": "x" * 256},
        {"dateOfBirth": "05-06-1987"},
        {"dateOfBirth": 19870619},
        {"basicUserInfo": "Björn"},
        {"basicUserInfo": {"name": "a\x00b"}},
        {"ssn": [BJORN]},
        {"networkInfo": "192.0.2.1"},
    ],
)
def test_attributes_of_another_shape_are_not_believed(desk: Desk, told: dict[str, Any]) -> None:
    """Signed nonsense is nonsense: nobody is signed in by half of what they are."""
    with pytest.raises(Untrusted):
        desk.go(told)


def test_a_person_without_names_is_still_proved(desk: Desk) -> None:
    """What Freja leaves out stays open; Freja's own name for the person is enough."""
    identity = desk.go({"basicUserInfo": None, "dateOfBirth": None, "ssn": None})

    assert (identity.subject, identity.name, identity.birthdate, identity.number) == (WHO, None, None, None)
