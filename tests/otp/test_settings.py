"""`[codes]`: what the operator may decide."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from idbroker.otp.settings import Settings, mistakes


def test_the_defaults_are_as_documented() -> None:
    """Five minutes, five tries, a quarter of an hour; nothing is wrong with them (SP 800-63B-4, 3.1.3.2)."""
    settings = Settings()

    assert (settings.life, settings.tries, settings.pause) == (timedelta(minutes=5), 5, timedelta(minutes=15))
    assert mistakes(settings) == []


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"life": timedelta(minutes=10, seconds=1)}, "life"),
        ({"life": timedelta(seconds=59)}, "life"),
        ({"tries": 0}, "tries"),
        ({"tries": 11}, "tries"),
        ({"pause": timedelta()}, "pause"),
        ({"pause": timedelta(days=2)}, "pause"),
        ({"address_quarter": 0}, "address_quarter"),
        ({"address_quarter": 11}, "address_quarter"),
        ({"person_day": 4}, "person_quarter"),
        ({"browser_hour": -1}, "browser_hour"),
        ({"prefix_hour": 0}, "prefix_hour"),
        ({"day": 0}, "day"),
        ({"countries": ("45", "+46")}, "countries"),
        ({"countries": ("0045",)}, "countries"),
        ({"countries": ("DK",)}, "countries"),
        ({"countries": ("",)}, "countries"),
    ],
)
def test_a_mistake_is_told_by_its_name(change: dict[str, Any], about: str) -> None:
    """Whatever would let guesses or messages through is named, in one line that begins with the setting."""
    found = mistakes(replace(Settings(), **change))

    assert [line.startswith(about) for line in found] == [True]


@pytest.mark.parametrize(
    "change",
    [{"life": timedelta(minutes=10)}, {"life": timedelta(minutes=1)}, {"countries": ()}, {"countries": ("1", "354")}],
)
def test_the_edges_are_allowed(change: dict[str, Any]) -> None:
    """One minute and ten are lives; no country at all switches text messages off."""
    assert mistakes(replace(Settings(), **change)) == []
