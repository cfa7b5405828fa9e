"""Levels of assurance on the wire: no spelling says more than was received."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.identity import LoA
from idbroker.oidc import levels

NSIS = "https://data.gov.dk/concept/core/nsis"
FTN = "http://ftn.ficora.fi/2017"
SWEDEN = "http://id.swedenconnect.se/loa/1.0/uncertified-loa3"


@pytest.mark.parametrize(
    ("spelling", "loa"),
    [
        ("low", LoA.LOW),
        ("http://eidas.europa.eu/LoA/high", LoA.HIGH),
        (f"{NSIS}/Substantial", LoA.SUBSTANTIAL),
        (f"{FTN}/loa2", LoA.SUBSTANTIAL),
        (f"{FTN}/loa3", LoA.HIGH),
        (SWEDEN, LoA.SUBSTANTIAL),
    ],
)
def test_known_spellings(spelling: str, loa: LoA) -> None:
    """Each national spelling means its level, and is advertised."""
    assert levels.level_of(spelling) is loa
    assert spelling in levels.SUPPORTED


@pytest.mark.parametrize(
    "spelling", ["", "High", "high ", "2", "http://id.elegnamnden.se/loa/1.0/loa3", f"{NSIS}/high"]
)
def test_unknown_spellings(spelling: str) -> None:
    """Nothing is guessed: another case or a level only a reviewed operator may give means nothing."""
    assert levels.level_of(spelling) is None


@pytest.mark.parametrize(
    ("loa", "asked", "said"),
    [
        (LoA.HIGH, [], "high"),
        (LoA.HIGH, ["nonsense"], "high"),
        (LoA.HIGH, [f"{NSIS}/Low"], f"{NSIS}/High"),
        (LoA.SUBSTANTIAL, ["nonsense", f"{FTN}/loa3", "low"], f"{FTN}/loa2"),
        (LoA.LOW, [f"{FTN}/loa2"], "low"),
        (LoA.HIGH, [SWEDEN], "high"),
    ],
)
def test_spelled_as_asked(loa: LoA, asked: list[str], said: str) -> None:
    """The level received is said in the first asked spelling that has a word for it."""
    assert levels.spell(loa, asked) == said


@pytest.mark.parametrize(
    ("loa", "asked", "said"),
    [
        (LoA.HIGH, ["low"], "low"),
        (LoA.HIGH, ["low", f"{NSIS}/Substantial", "substantial"], f"{NSIS}/Substantial"),
        (LoA.HIGH, [SWEDEN], SWEDEN),
        (LoA.SUBSTANTIAL, ["high", "low"], "low"),
        (LoA.LOW, ["high"], "low"),
    ],
)
def test_essential_values_are_answered_by_one_of_them(loa: LoA, asked: list[str], said: str) -> None:
    """An essential acr is answered with one of the values asked for (Core 5.5.1.1)."""
    assert levels.spell(loa, asked, essential=True) == said


@given(st.sampled_from(LoA), st.lists(st.sampled_from([*levels.SUPPORTED, "nonsense"])), st.booleans())
def test_never_says_more_than_received(loa: LoA, asked: list[str], essential: bool) -> None:
    """Whatever is asked, the answer means no higher level than was received (ASVS 6.8.4)."""
    said = levels.level_of(levels.spell(loa, asked, essential=essential))

    assert said is not None
    assert said <= loa


def test_lowest() -> None:
    """The lowest known level counts; of unknown ones there is none."""
    assert levels.lowest(["high", "nonsense", f"{FTN}/loa2"]) is LoA.SUBSTANTIAL
    assert levels.lowest(["nonsense"]) is None
