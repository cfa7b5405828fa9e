"""What somebody reads who is too young for the way they chose."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from idbroker.clinic import COUNTRIES, LANGUAGES, Clinic
from idbroker.clock import StoppedClock
from idbroker.identity import LoA
from idbroker.web.pages import Pages
from idbroker.web.views import ChooseView, Notice, way
from idbroker.web.young import KEY, fitted
from idbroker.words import Words
from tests.conftest import NOW
from tests.door import answer_of
from tests.guardianship.acting_house import ActingHouse, open_acting_house
from tests.oidc.making import make_client
from tests.web.gallery import frame

LEVELS = {"eid": LoA.HIGH, "fallback": LoA.LOW, "assisted": LoA.LOW}
MITID = "You have to be 15 to log in with MitID here."
PAGES = Pages(Words())
ACTS = "If you are under 13, a parent or guardian can log in with their own electronic ID and choose you."


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActingHouse]:
    """Serve a Danish clinic with MitID at which guardians act for children below 13."""
    with open_acting_house(tmp_path_factory.mktemp("young"), StoppedClock(NOW)) as opened:
        yield opened


def choice(
    country: str = "DK", tried: str = "eid", names: tuple[str, ...] = ("eid", "fallback"), **asked: Any
) -> ChooseView:
    """Return the choice that somebody too young is shown."""
    clinic = Clinic(id="c", name="C", country=country, providers=names, registration="approval")
    view = ChooseView(
        frame=frame("en", country=country, cancel_href="/t/x/cancel"),
        action="/t/x/choose",
        nonce="n",
        ways=tuple(way(name, "MitID" if name == "eid" else "", last_used=name == tried) for name in names),
        notice=Notice(key=KEY, eid="MitID"),
        register=True,
        child_age=clinic.grown_up,
        wish=asked.pop("wish", ""),
    )
    return fitted(view, make_client(**asked), clinic, LEVELS, tried)


def told(view: ChooseView) -> str:
    """Return the keys and ages of the sentences, what is theirs to press, and what a guardian's."""
    assert view.notice is not None
    assert view.younger is not None
    sentences = ((view.notice.key, view.notice.age), *view.notice.besides)
    said = " ".join(f"{key}={age}" for key, age in sentences)
    own, theirs = (",".join(one.value for one in ways) for ways in (view.ways, view.younger.ways))
    return f"{said}: {own}; {theirs} {view.younger.acts}"


@pytest.mark.parametrize(
    ("shown", "asked"),
    [
        ("e.young=15 e.young.code=15: fallback;  0", {"minimum": LoA.LOW}),
        ("e.young=15: ;  0", {}),  # no password at this level
        ("e.young=15: ;  0", {"acting": "always"}),  # in Denmark no guardian acts, unless a service has set an age
        ("e.young=15: ; eid 13", {"acting": "always", "ages": {"guardian_until": 13}}),
        ("e.young=13 e.young.code=13: fallback; eid 13", {"country": "SE", "acting": "asked", "minimum": LoA.LOW}),
        ("e.young=13: assisted;  0", {"country": "SE", "names": ("eid", "assisted"), "minimum": LoA.LOW}),
        (
            "e.young.pw=12: ; eid 12",
            {"country": "FI", "tried": "fallback", "acting": "asked", "minimum": LoA.LOW},
        ),
        ("e.young=15: ;  0", {"minimum": LoA.LOW, "ages": {"code_until": 0}}),  # a password is there, and not for them
        ("e.young=16: ;  0", {"country": "NO"}),
    ],
)
def test_only_what_opens_at_this_service(shown: str, asked: dict[str, Any]) -> None:
    """First what a child can use themselves, and no eID, which the same age refuses; then what is a guardian's."""
    assert told(choice(**asked)) == shown


def test_what_stands_there_in_its_order() -> None:
    """The child's own password, a guardian's eID, registering by one, and the way back as a button: in this order."""
    page = PAGES.choose(choice(country="SE", acting="asked", minimum=LoA.LOW))
    pressed = re.findall(r'(?:value="(fallback|eid|child|register)"|class="btn sec" href="([^"]+)")', page)

    assert [button or link for button, link in pressed] == ["fallback", "eid", "child", "/t/x/cancel"]
    assert page.index("Ask a parent or guardian") < page.index('value="eid"')
    assert "Used last time" not in page


def test_with_nothing_of_their_own() -> None:
    """Where nothing is a child's own, the heading says so, and does not ask how they want to log in."""
    page = PAGES.choose(choice(names=("eid", "assisted")))

    assert "<h1>You cannot log in here yourself yet</h1>" in page
    assert 'value="eid"' not in page
    assert Words().say("c.none", "en", "DK") not in page


def test_who_came_to_register() -> None:
    """A child that wanted to register with an eID is shown the way to its own password, not another eID."""
    page = PAGES.choose(choice(names=("eid",), minimum=LoA.LOW, wish="self"))

    assert re.findall(r'name="do" value="(\w+)"', page) == ["signin", "child"]


def test_other_choices_stay_as_they_are() -> None:
    """Whoever is back at the choice for another reason is shown all there is."""
    view = replace(choice(), notice=Notice(key="e.back", eid="MitID"), younger=None)

    clinic = Clinic(id="c", name="C", country="DK", providers=("eid",))
    assert fitted(view, make_client(), clinic, LEVELS, "eid") is view


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

    told_them = html.unescape(re.sub("<[^>]+>", "", refused.text))
    assert told_them.index(MITID) < told_them.index(ACTS)
    assert "code" in answer_of(answer)
