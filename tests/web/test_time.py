"""How long a page stays open: before anybody has shown who they are, and after (WCAG 2.2, 2.2.1; pages 0.6, T1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from tests.conftest import NOW
from tests.door import Browser, answer_of, form_of, words_of
from tests.fallback_door import PASSWORD, FallbackDoor, open_fallback_door
from tests.web.walking import at_mitid, language_of, name_of

OPEN: dict[str, Any] = {
    "name": "Åben",
    "country": "DK",
    "providers": ["mitid", "fallback"],
    "registration": "automatic",
}
TYPED = {"email": "petra@example.org", "phone": "20123457"}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FallbackDoor]:
    """Serve a clinic that takes registrations, and one whose people have passwords."""
    folder, clients = tmp_path_factory.mktemp("time"), {"open": {"clinic": "open", "sector": "open"}}
    with open_fallback_door(folder, StoppedClock(NOW), clinics={"open": OPEN}, clients=clients) as opened:
        opened.account("anna")
        yield opened


def _until(page: requests.Response) -> str:
    found = re.search(r"stays open until ([0-9.:]+)\.", words_of(page))
    assert found, words_of(page)
    return found[1]


def _clock(door: FallbackDoor, plus: timedelta) -> str:
    return f"{door.clock.now() + plus + timedelta(hours=1):%H:%M}"  # of Denmark, in winter


def _asks(browser: Browser, page: requests.Response, do: str = "more", **typed: str) -> requests.Response:
    """Press as the script does."""
    form = form_of(page)
    return browser.fetch(form.action, "POST", data={**form.hidden, **typed, "do": do})


def _registering(browser: Browser, person: str = "petra") -> requests.Response:
    """Return the first page of a registration, after the proof."""
    page = browser.press(browser.authorize(client_id="open"), do="register")
    return browser.press(browser.press(page, provider="mitid"), person=person, outcome="approve")


def test_the_shown_time_is_the_end(door: FallbackDoor) -> None:
    """0.6: the page says when it really closes: half an hour from the last press, not from the first."""
    browser = door.browser("en")
    page = browser.authorize()
    assert _until(page) == _clock(door, timedelta(minutes=30))
    door.clock.move(timedelta(minutes=20))
    assert _until(browser.get(page.url)) == _clock(door, timedelta(minutes=10))
    pressed = browser.press(page, provider="fallback")
    assert _until(pressed) == _clock(door, timedelta(minutes=30))


def test_more_time_before_the_proof(door: FallbackDoor) -> None:
    """T1; WCAG 2.2.1: who has not shown who they are may ask for more time eleven times, and then signs in."""
    browser = door.browser("en")
    page = door.at_password(browser)
    for _ in range(11):
        door.clock.move(timedelta(minutes=29))
        told = _asks(browser, page).json()
        assert told == {
            "left": 1800,
            "last": False,
            "says": f"This page stays open until {_until(browser.get(page.url))}.",
        }
    number = door.number("anna").display
    page = browser.press(browser.get(page.url), number=number, password=PASSWORD)
    assert "code" in answer_of(browser.press(page, code=door.code(Channel.SMS)))


def test_more_time_is_given_to_the_page_alone(door: FallbackDoor) -> None:
    """The attack (CSRF): a page elsewhere that asks for more time, without the form's one-time value, gets none."""
    browser = door.browser("en")
    page = browser.authorize()
    until = _until(page)
    door.clock.move(timedelta(minutes=20))
    browser.fetch(page.url, "POST", data={"do": "more"})
    assert _until(browser.get(page.url)) == until


def test_no_more_than_an_hour_after_the_proof(door: FallbackDoor) -> None:
    """0022, O13: a proof that waits is believed for an hour, however often more time is asked for; the page says so."""
    browser = door.browser("en")
    page = _registering(browser)
    assert "data-last" not in page.text
    told = [_more(door, browser, page) for _ in range(2)][-1]
    assert (told["left"], told["last"]) == (1200, True)
    page = browser.get(page.url)
    assert "data-last" in page.text
    assert _until(page) == _clock(door, timedelta(minutes=20))
    door.clock.move(timedelta(minutes=20))
    assert browser.get(page.url).status_code == 410


def test_a_typed_password_is_half_a_proof(door: FallbackDoor) -> None:
    """The attack: somebody types number and password, leaves, and whoever has their telephone too comes much later."""
    browser = door.browser("en")
    page = door.at_code(browser)
    told = [_more(door, browser, page) for _ in range(2)]
    assert [one["last"] for one in told] == [False, True]
    door.clock.move(timedelta(minutes=20))
    assert "For your safety, log in again." in words_of(browser.press(page, code=door.code(Channel.SMS)))


def _more(door: FallbackDoor, browser: Browser, page: requests.Response) -> Any:
    door.clock.move(timedelta(minutes=20))
    return _asks(browser, page).json()


def test_a_number_asked_again_is_half_a_proof_still(door: FallbackDoor) -> None:
    """The attack: a wrong code, again and again, to keep a typed password alive: its hour does not begin anew."""
    browser = door.browser("en")
    page = door.at_code(browser)
    for _ in range(2):
        door.clock.move(timedelta(minutes=25))
        page = browser.press(page, code="000000")
    assert _asks(browser, page).json()["left"] == 600


def test_a_late_form_before_the_proof_is_pressed_again(door: FallbackDoor) -> None:
    """0.6: without script: a late form does nothing, but the number is still there; pressed again it works."""
    browser = door.browser("en")
    page = door.at_password(browser)
    number = door.number("anna").display
    door.clock.move(timedelta(minutes=31))
    late = browser.press(page, number=number, password=PASSWORD)
    assert "Nothing was sent. Look at the page and press again." in words_of(late)
    assert f'value="{number}"' in late.text
    assert PASSWORD not in late.text
    assert browser.press(late, number=number, password=PASSWORD).url.endswith("/code")


@pytest.mark.parametrize("by_script", [False, True])
def test_a_late_form_after_the_proof_takes_a_new_one(door: FallbackDoor, *, by_script: bool) -> None:
    """0.6, 0022; WCAG 2.2.5: what was typed too late is not done, and is there again after a new proof."""
    browser = door.browser("en")
    page = _registering(browser)
    assert page.url.endswith("/contact")
    door.clock.move(timedelta(minutes=30))
    late = browser.press(page, **TYPED, **({"do": "late"} if by_script else {}))
    assert late.url.endswith("/choose")
    assert "For your safety, log in again. What you filled in will be there." in words_of(late)
    again = browser.press(browser.press(late, provider="mitid"), person="petra", outcome="approve")
    assert again.url.endswith("/contact")
    assert all(f'value="{text}"' in again.text for text in TYPED.values())


def test_what_was_typed_is_the_persons(door: FallbackDoor) -> None:
    """The attack: a page left half filled in on a shared computer; whoever signs in next in that browser reads it."""
    browser = door.browser("en")
    page = _registering(browser)
    door.clock.move(timedelta(minutes=30))
    late = browser.press(page, **TYPED)
    other = browser.press(browser.press(late, provider="mitid"), person="nikolaj", outcome="approve")
    assert other.url.endswith("/contact")
    assert not any(text in other.text for text in TYPED.values())


def test_far_too_late_all_is_gone(door: FallbackDoor) -> None:
    """0.5.7: another half hour later nothing is left but the way back to the service."""
    browser = door.browser("en")
    page = _registering(browser)
    door.clock.move(timedelta(minutes=61))
    assert browser.press(page, **TYPED).status_code == 410


def test_a_late_form_of_somebody_elses_does_nothing(door: FallbackDoor) -> None:
    """The attack (CSRF): a late form without the page's one-time value opens nothing again."""
    browser = door.browser("en")
    page = browser.authorize()
    door.clock.move(timedelta(minutes=31))
    assert browser.fetch(page.url, "POST", data={"provider": "mitid"}).status_code == 410
    assert browser.get(page.url).status_code == 410


def test_a_page_that_closed_by_itself(door: FallbackDoor) -> None:
    """1.15: the script's last press says that nobody was there: before the proof the page is closed, not renewed."""
    browser = door.browser("en")
    page = browser.authorize()
    door.clock.move(timedelta(minutes=30))
    assert _asks(browser, page, "late").status_code == 410


def test_a_forgotten_tab_closes_no_other(door: FallbackDoor) -> None:
    """G16: a tab that counts down to its end after more time was asked for in another: neither ends, nor is renewed."""
    browser = door.browser("en")
    page = browser.authorize()
    door.clock.move(timedelta(minutes=20))
    _asks(browser, page)
    door.clock.move(timedelta(minutes=10))
    moved = _asks(browser, page, "late")
    assert (moved.status_code, moved.headers["Location"]) == (303, f"/t/{name_of(page)}/choose")
    assert _until(browser.get(page.url)) == _clock(door, timedelta(minutes=20))


def test_the_language_of_the_page_that_closed(door: FallbackDoor) -> None:
    """G11: the page that says that the time is up speaks the language that was switched to, and can be switched."""
    browser = door.browser("da")
    page = browser.press(browser.authorize(), lang="en")
    door.clock.move(timedelta(minutes=31))
    gone = browser.get(page.url)
    assert (gone.status_code, language_of(gone)) == (410, "en")
    assert language_of(browser.get(f"{page.url}?lang=sv")) == "sv"


def test_switching_drops_no_other_tab(door: FallbackDoor) -> None:
    """0.5.1: the cookie that is written again for another language is none more: all eight tabs go on."""
    browser = door.browser("da")
    tabs = []
    for _ in range(8):
        tabs.append(browser.authorize())
        door.clock.move(timedelta(seconds=1))
    browser.press(tabs[-1], lang="en")
    assert [browser.fetch(tab.url).status_code for tab in tabs] == [200] * 8


def test_at_the_eid_nothing_is_known(door: FallbackDoor) -> None:
    """2.2.1: who comes Back from the eID after half an hour is at the choice again, and goes on."""
    browser = door.browser("en")
    choice = browser.authorize()
    browser.press(choice, provider="mitid")
    door.clock.move(timedelta(minutes=31))
    late = browser.press(choice, provider="mitid")
    assert late.url.endswith("/choose")
    page = browser.press(late, provider="mitid")
    assert "code" in answer_of(browser.press(page, person="anna", outcome="approve"))
    assert at_mitid(browser, prompt="login").status_code == 200
