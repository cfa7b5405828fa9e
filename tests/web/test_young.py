"""What somebody reads who is too young for the way they chose."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from idbroker.clinic import COUNTRIES, LANGUAGES, Clinic
from idbroker.clock import StoppedClock
from idbroker.identity import LoA
from idbroker.web.views import Notice
from idbroker.web.young import KEY, spelled_out
from idbroker.words import Words
from tests.conftest import NOW
from tests.door import answer_of
from tests.guardianship.acting_house import ActingHouse, open_acting_house
from tests.oidc.making import make_client

LEVELS = {"eid": LoA.HIGH, "fallback": LoA.LOW, "assisted": LoA.LOW}
MITID = "You have to be 15 to log in with MitID here."
ACTS = "If you are under 13, a parent or guardian can log in with their own electronic ID and choose you."


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActingHouse]:
    """Serve a Danish clinic with MitID at which guardians act for children below 13."""
    with open_acting_house(tmp_path_factory.mktemp("young"), StoppedClock(NOW)) as opened:
        yield opened


def told(country: str = "DK", tried: str = "eid", names: tuple[str, ...] = ("eid", "fallback"), **client: Any) -> str:
    """Return the keys and ages of the sentences."""
    clinic = Clinic(id="c", name="C", country=country, providers=names)
    notice = spelled_out(Notice(key=KEY), make_client(**client), clinic, LEVELS, names, tried)
    return " ".join(f"{key}={age}" for key, age in ((notice.key, notice.age), *notice.besides))


@pytest.mark.parametrize(
    ("sentences", "asked"),
    [
        ("e.young=15 e.young.code=15", {"minimum": LoA.LOW}),
        ("e.young=15", {}),  # no password at this level
        ("e.young=15", {"acting": "always"}),  # in Denmark no guardian acts, unless a service has set an age
        ("e.young=15 e.young.acts=13", {"acting": "always", "ages": {"guardian_until": 13}}),
        ("e.young=13 e.young.code=13 e.young.acts=13", {"country": "SE", "acting": "asked", "minimum": LoA.LOW}),
        ("e.young=13", {"country": "SE", "names": ("eid", "assisted"), "minimum": LoA.LOW}),
        (
            "e.young.pw=12 e.young.acts=12",
            {"country": "FI", "tried": "fallback", "acting": "asked", "minimum": LoA.LOW},
        ),
        ("e.young=16", {"country": "NO"}),
    ],
)
def test_only_what_there_is_at_this_service(sentences: str, asked: dict[str, Any]) -> None:
    """The age that was missing is said, and what a younger person does here: nothing that the service has not."""
    assert told(**asked) == sentences


def test_other_notices_stay_as_they_are() -> None:
    """Any other reason to be back at the choice is said in its own words alone."""
    notice = Notice(key="e.back", eid="MitID")

    clinic = Clinic(id="c", name="C", country="DK", providers=("eid",))
    assert spelled_out(notice, make_client(), clinic, LEVELS, ("eid",), "eid") is notice


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("country", COUNTRIES)
def test_every_sentence_names_its_age(language: str, country: str) -> None:
    """In all five languages each of the sentences says which age it speaks of."""
    words = Words()

    for key in (KEY, f"{KEY}.pw", f"{KEY}.code", f"{KEY}.acts"):
        assert "15" in words.say(key, language, country, age=15, eid="MitID")


def test_the_trail_knows_why(house: ActingHouse) -> None:
    """Who is too young is in the trail as that, with the code that the page shows, and without the age."""
    page = house.proved(house.browser(), "mie")

    [*_, event] = house.events("provider.failed")
    assert event.detail == {"code": "refused", "reason": "too_young"}
    assert event.ref is not None
    assert event.ref in page.text


def test_the_day_before_the_birthday_and_the_day(house: ActingHouse) -> None:
    """Somebody who turns 15 at midnight is told why MitID does not let them in, and is let in after it (R13)."""
    refused = house.proved(house.browser(), "mie", ui_locales="en")
    house.clock.move(timedelta(hours=14))  # 23.00 by Greenwich: midnight in Denmark
    answer = house.proved(house.browser(), "mie", acting_for="self")

    assert f"{MITID} {ACTS}" in html.unescape(re.sub("<[^>]+>", "", refused.text))
    assert "code" in answer_of(answer)
