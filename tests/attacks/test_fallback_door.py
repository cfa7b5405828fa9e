"""What attackers do at the door of people without an eID, in whole HTTP requests (standards 2.6, O2 to O11)."""

from __future__ import annotations

import functools
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from idbroker.app import make_site, open_house
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from idbroker.web.front import make_web
from tests.conftest import NOW
from tests.door import Browser, Form, answer_of, at_once, form_of, words_of
from tests.fallback_door import PASSWORD, FallbackDoor, open_fallback_door
from tests.sandbox.loopback import serve

MINUTE = timedelta(minutes=1)
OPEN: Mapping[str, Any] = {
    "name": "Åben",
    "country": "DK",
    "providers": ["mitid", "fallback"],
    "registration": "automatic",
}
PAGES = ("code", "consent", "check", "contact", "newpassword", "enrol", "have", "terms", "waiting", "go", "wait")
WORDS = {"Du har 4 forsøg": "4", "Du har 3 forsøg": "3", "Du har 2 forsøg": "2", "Du har 1 forsøg": "1"}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[FallbackDoor]:
    """Open the whole broker with a clinic more, its courier staying until a test sends him."""
    clinics, clients = {"open": OPEN}, {"open": {"clinic": "open", "sector": "open"}}
    with open_fallback_door(tmp_path, StoppedClock(NOW), clinics=clinics, clients=clients) as opened:
        vars(opened.rooms.counter.messages)["start"] = lambda: None
        yield opened


def sent(page: requests.Response) -> tuple[str, Form]:
    """Return where a page's form goes, and the form."""
    form = form_of(page)
    return urljoin(page.url, form.action), form


def again(door: FallbackDoor, browser: Browser) -> Browser:
    """Return the same browser for one more request at the same moment."""
    twin = door.browser()
    twin.session.cookies.update(browser.session.cookies)
    return twin


def wrong(code: str) -> str:
    """Return a code that is another one."""
    return f"{(int(code) + 1) % 10**6:06d}"


def all_at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """Do several things at the same moment; return what came of each."""
    lock, waiting = threading.Lock(), list(acts)

    def one() -> Any:
        with lock:
            act = waiting.pop()
        return act()

    return at_once(len(acts), one)


# ---- the second factor ---------------------------------------------------------------------------


def test_no_address_leads_past_the_password(door: FallbackDoor) -> None:
    """O11: whatever page is posted to while the password is asked, it is the password that is asked."""
    door.account("anna")
    browser = door.browser()
    here, form = sent(door.at_password(browser))
    for name in PAGES:
        answer = browser.post(here.replace("/password", f"/{name}"), {**form.hidden, "code": "123456"})
        assert answer.url == here, name
    assert door.sms() == door.emails() == []


def test_a_code_is_of_one_sign_in_and_one_browser(door: FallbackDoor) -> None:
    """O4, E1: not of the same person's other tab, not with the other tab's form, not in another browser."""
    door.account("anna")
    browser = door.browser()
    one, first = door.at_code(browser), door.code(Channel.SMS)
    door.clock.move(MINUTE)
    two, second = door.at_code(browser), door.code(Channel.SMS)
    (_, form), (there, other) = sent(one), sent(two)

    assert browser.post(there, {**form.hidden, "code": second}).url.endswith("/choose")
    assert door.browser().post(there, {**other.hidden, "code": second}).status_code == 400
    assert browser.post(there, {**other.hidden, "code": first}).url == there
    assert "code" in answer_of(browser.press(browser.get(there), code=second))


def test_an_old_tabs_password_finishes_nothing_after_going_back(door: FallbackDoor) -> None:
    """O11: who went back and came to register finds no password's form of before that is still taken."""
    door.account("anna", clinic=None)
    browser = door.browser()
    old = browser.press(browser.authorize(client_id="open"), provider="fallback")
    choice = browser.press(old, do="back")
    browser.press(choice, do="register")

    after = browser.press(old, number=door.number("anna").display, password=PASSWORD)

    assert after.url.endswith("/choose")
    assert browser.press(after, provider="fallback").status_code == 404
    assert door.sms() == []


def test_who_is_disabled_while_the_code_comes_is_not_let_in(door: FallbackDoor) -> None:
    """The right code of an account that staff have closed meanwhile proves nothing."""
    account = door.account("anna")
    page = door.at_code(browser := door.browser())
    code = door.code(Channel.SMS)
    door.rooms.counter.records.accounts.change(account.person, lambda now: replace(now, disabled=True))

    assert browser.press(page, code=code).url.endswith("/password")


def test_a_password_that_no_eid_has_confirmed_sends_nothing(door: FallbackDoor) -> None:
    """R26: the right password of an account that staff made is asked for an eID first, and no code goes out."""
    door.account("anna", confirmed_at=None)
    assert door.at_code(door.browser()).url.endswith("/choose")
    assert door.sms() == door.emails() == []


# ---- guessing ------------------------------------------------------------------------------------


def test_nothing_gives_a_guesser_new_tries(door: FallbackDoor) -> None:
    """O3: a new browser, a new sign-in, a new code, another way and another language each leave the count alone."""
    door.account("anna")
    right, left = "", []
    for turn in range(6):
        browser = door.browser("en" if turn % 2 else "da")
        page = door.at_code(browser)
        right = right or door.code(Channel.SMS)
        page = browser.press(page, do=("again", "email", "sms")[turn % 3])
        page = browser.press(browser.press(page, lang="en"), lang="da")
        told = words_of(browser.press(page, code=wrong(right)))
        left.append(next((count for words, count in WORDS.items() if words in told), "none"))
        door.clock.move(MINUTE)
    assert left == ["4", "3", "2", "1", "none", "none"]


def test_many_passwords_at_once_at_two_workers_are_five(door: FallbackDoor) -> None:
    """O2: of forty guesses in one moment, each with its own browser and sign-in, no more than five are compared."""
    door.account("anna")
    other = open_house(door.house.settings, door.folder, clock=door.clock, sandbox=True)
    number = door.number("anna").display
    with serve(lambda _: make_web(make_site(other))) as second:
        acts: list[Callable[[], Any]] = []
        for guess in range(40):
            browser = Browser(issuer=(door.issuer, second)[guess % 2])
            page = browser.press(browser.authorize(), provider="fallback")
            here, form = sent(page)
            fields = {**form.hidden, "number": number, "password": f"forkert {guess}"}
            acts.append(functools.partial(browser.post, here, fields))
        answers = Counter("For mange forsøg" in words_of(page) for page in all_at_once(acts))
    other.close()
    assert answers[False] <= 4  # the fifth is told of the lock
    assert "For mange forsøg" in words_of(door.at_code(door.browser()))


def test_who_has_an_account_looks_like_nobody(door: FallbackDoor) -> None:
    """O7: six wrong tries at each kind of account are answered, to the letter, as six at a number of nobody's."""
    kinds: Mapping[str, Mapping[str, Any]] = {
        "anna": {},
        "susan": {"disabled": True},
        "petra": {"password": None},
        "karen": {"contacts": ()},
    }
    for person, changed in kinds.items():
        door.account(person, **changed)
    seen = {person: list(tries(door, person)) for person in (*kinds, "gerda")}
    assert [person for person, answers in seen.items() if answers != seen["gerda"]] == []


def tries(door: FallbackDoor, person: str) -> Iterator[tuple[int, list[str], str]]:
    """Give what six wrong tries are answered with, without what is anybody's own."""
    browser = door.browser()
    page, number = door.at_password(browser), door.number(person).display
    for _ in range(6):
        page = browser.press(page, number=number, password="forkert ord her")
        plain = re.sub(r'(/t/|t=)[\w-]{22}|"[\w-]{12}\.[0-9a-f]{24}"', "", page.text.replace(number, ""))
        yield page.status_code, sorted(page.headers), plain


# ---- twice ---------------------------------------------------------------------------------------


def test_each_form_sent_ten_times_at_once_counts_once(door: FallbackDoor) -> None:
    """One press is one message and one sign-in, however often the button goes: password, new code, code."""
    door.account("anna")
    browser = door.browser()
    here, form = sent(door.at_password(browser))
    fields = {**form.hidden, "number": door.number("anna").display, "password": PASSWORD}
    assert {one.url for one in at_once(10, lambda: again(door, browser).post(here, fields))} == {
        here.replace("/password", "/code")
    }
    assert len(door.sms()) == 1

    door.clock.move(MINUTE)
    here, form = sent(browser.get(here.replace("/password", "/code")))
    at_once(10, lambda: again(door, browser).post(here, {**form.hidden, "do": "again"}))
    assert len(door.sms()) == 2

    code, (here, form) = door.code(Channel.SMS), sent(browser.get(here))
    answers = at_once(10, lambda: again(door, browser).post(here, {**form.hidden, "code": code}))
    assert len({answer_of(one)["code"] for one in answers}) == 1
