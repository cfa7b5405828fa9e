"""The question for the number after MitID, where the eID gives none (pages.md 1.13, G11, G13, G15)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests

from idbroker.clock import StoppedClock
from tests.door import Browser, Door, answer_of, at_once, form_of, open_door, words_of
from tests.web.walking import approved, at_mitid, language_of

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SCOPE = "openid profile national_number"
WRONG = ("610199-0101", "620199-0101", "630199-0101")


@pytest.fixture(scope="module")
def matching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Open a broker that may only match numbers."""
    with open_door(tmp_path_factory.mktemp("matching"), StoppedClock(NOW), provider={"cpr": "match"}) as opened:
        yield opened


@pytest.fixture
def door(matching: Door) -> Iterator[Door]:
    """Give that broker, healed afterwards."""
    matching.clock.move(timedelta(seconds=1))  # another proof, with tries of its own
    yield matching
    matching.faults.clear()


@pytest.fixture
def browser(door: Door) -> Browser:
    """Give a browser that speaks English."""
    return door.browser("en")


def asked(browser: Browser, person: str = "anna") -> requests.Response:
    """Return the page that asks for the number."""
    return browser.press(at_mitid(browser, scope=SCOPE), person=person, outcome="approve")


@pytest.mark.parametrize("spelled", ["{0}", "{1}-{2}", " {1} {2} ", "{1}\u2013{2}"])
def test_the_number_is_asked_once_and_matched(door: Door, browser: Browser, spelled: str) -> None:
    """1.13: however it is spelled, the right number ends at the portal, which learns it."""
    number = door.people["anna"].number or ""
    page = asked(browser)
    assert "What is your CPR number?" in words_of(page)
    done = browser.press(page, number=spelled.format(number, number[:6], number[6:]))
    code = answer_of(done)["code"]

    told = door.userinfo(door.redeem(code).json()["access_token"]).json()
    assert told["national_number"] == number


def test_who_has_no_number_is_not_asked(browser: Browser) -> None:
    """1.13: MitID says that there is no number: nobody is asked for what they do not have."""
    assert "code" in answer_of(asked(browser, "nora"))


def test_a_wrong_number_is_said_and_counted(door: Door, browser: Browser) -> None:
    """1.13: wrong numbers are named as such, the tries left are told, the third ends it; another sign-in works."""
    page = asked(browser)
    for number, left in zip(WRONG[:2], ("2 tries", "1 try"), strict=True):
        page = browser.press(page, number=number)
        assert "does not match" in words_of(page)
        assert f"You have {left} left" in words_of(page)
    ended = browser.press(page, number=WRONG[2])
    door.clock.move(timedelta(seconds=1))
    again = browser.press(ended, provider="mitid")
    done = browser.press(
        browser.press(again, person="anna", outcome="approve"), number=door.people["anna"].number or ""
    )

    assert "could not confirm who you are" in words_of(ended)
    assert "code" in answer_of(done)


@pytest.mark.parametrize("typed", ["", "1", "abc", "x" * 5000, "0" * 10, "æøå", '"><script>alert(1)</script>'])
def test_what_is_no_number_costs_no_try(browser: Browser, typed: str) -> None:
    """1.13: what cannot be a number is said to be none, is shown escaped, and is not held against anybody."""
    page = browser.press(asked(browser), number=typed)

    assert page.status_code == 200
    assert "tries left" not in words_of(page)
    assert "<script>alert" not in page.text
    assert len(page.content) < 20_000


def test_a_double_click_costs_one_try(door: Door, browser: Browser) -> None:
    """G15: a wrong number posted four times at once, and once more, is one wrong number."""
    page = asked(browser)
    form, cookies = form_of(page), dict(browser.session.cookies)
    fields = {**form.hidden, "number": WRONG[0]}

    def post() -> str:
        answer = requests.post(page.url, data=fields, cookies=cookies, allow_redirects=False, timeout=10)
        return f"{answer.status_code} {answer.headers.get('Location')}"

    places = {*at_once(4, post), post()}
    shown = browser.get(page.url)
    done = browser.press(shown, number=door.people["anna"].number or "")

    assert len(places) == 1
    assert "You have 2 tries left" in words_of(shown)
    assert "code" in answer_of(done)


def test_a_right_number_twice_is_one_sign_in(door: Door, browser: Browser) -> None:
    """G15: the right number posted four times at once leads to one code, which is good."""
    page = asked(browser)
    fields = {**form_of(page).hidden, "number": door.people["anna"].number or ""}
    cookies = dict(browser.session.cookies)
    answers = at_once(
        4, lambda: requests.post(page.url, data=fields, cookies=cookies, allow_redirects=False, timeout=10)
    )

    codes = {answer_of(answer)["code"] for answer in answers}
    assert len(codes) == 1
    assert door.redeem(codes.pop()).status_code == 200


def test_switching_the_language_keeps_the_question(door: Door, browser: Browser) -> None:
    """G11: the step and its error stay; the number is matched as before."""
    wrong = browser.press(asked(browser), number=WRONG[0])
    swedish = browser.press(wrong, lang="sv")
    done = browser.press(swedish, number=door.people["anna"].number or "")

    assert language_of(swedish) == "sv"
    assert swedish.url == wrong.url
    assert "code" in answer_of(done)


def test_reload_and_back_lead_to_the_question(door: Door, browser: Browser) -> None:
    """G13, G14: F5 shows the question; MitID's answer again shows it too; nothing is matched by that."""
    back = approved(browser, at_mitid(browser, scope=SCOPE))
    page = browser.get(back)
    for shown in (browser.get(page.url), browser.get(back)):
        assert "What is your CPR number?" in words_of(shown)
        assert "tries left" not in words_of(shown)


def test_choosing_another_way_forgets_the_question(browser: Browser) -> None:
    """G14: back at the choice and to MitID again: the question is asked anew, for the new answer."""
    page = asked(browser)
    choice = browser.get(page.url.replace("/cpr", "/choose"))
    stale = browser.press(choice, provider="mitid")
    late = browser.press(page, number=WRONG[0])

    assert 'name="person"' in stale.text
    assert "tries left" not in words_of(late)


def test_the_question_waits_fifteen_minutes(door: Door, browser: Browser) -> None:
    """1.13: after a quarter of an hour MitID's proof is too old to match a number with; a new sign-in works."""
    page = asked(browser)
    door.clock.move(timedelta(minutes=16))
    late = browser.press(page, number=door.people["anna"].number or "")

    assert "How do you want to log in?" in words_of(late)


def test_mitid_down_at_the_match(door: Door, browser: Browser) -> None:
    """C2: MitID does not answer when the number is matched: back at the choice with words, not a fault."""
    page = asked(browser)
    door.faults.set("mitid", {"down": True})
    failed = browser.press(page, number=door.people["anna"].number or "")

    assert failed.status_code == 200
    assert "MitID is not answering right now" in words_of(failed)
