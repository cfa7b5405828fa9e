"""The page that waits for an app, through the door: news, the way in, the code without script, leaving (1.10)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests

from idbroker.clock import StoppedClock
from tests.door import Browser, answer_of, authorize_url, form_of, words_of
from tests.web.app_door import PATIENCE, SERVICE, AppDoor, open_app_door
from tests.web.walking import language_of, name_of

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1"
SECRETS = re.compile("autostart|bankid:///|app\\?", re.IGNORECASE)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppDoor]:
    """Open the broker once."""
    clock = StoppedClock(datetime(2026, 11, 22, 9, 0, tzinfo=UTC))
    with open_app_door(tmp_path_factory.mktemp("waiting"), clock) as door:
        yield door


@pytest.fixture
def door(opened: AppDoor) -> Iterator[AppDoor]:
    """Give the shared broker, healed afterwards."""
    yield opened
    opened.faults.clear()


def _waiting(browser: Browser) -> requests.Response:
    """Choose BankID and return the page that waits."""
    return browser.press(browser.authorize(), provider="bankid")


def _beside(page: requests.Response, name: str) -> str:
    return page.url.removesuffix("wait") + name


# ---- on which device -----------------------------------------------------------------------------


def test_a_computer_is_shown_a_code(door: AppDoor) -> None:
    """1.10: on a computer the code comes first; its page, its news and its frame hold no way to open the app (E1)."""
    browser = door.browser()
    page = _waiting(browser)
    news = browser.fetch(_beside(page, "wait.json"))
    frame = browser.fetch(_beside(page, "qr"))

    assert page.url.endswith("/wait")
    assert 'id="code"' in page.text
    assert {"path", "box"} <= news.json().keys()
    assert not [one.url for one in (page, news, frame) if SECRETS.search(one.text)]
    assert browser.fetch(_beside(page, "open")).headers["Location"] == f"/t/{name_of(page)}/wait"


def test_a_phone_opens_its_own_app(door: AppDoor) -> None:
    """1.10: on a phone the link comes first, pressed by the person; its order has no code to be scanned (E1)."""
    browser = door.browser(agent=PHONE)
    page = _waiting(browser)
    news = browser.fetch(_beside(page, "wait.json")).json()
    led = browser.fetch(_beside(page, "open"))

    assert re.search(r'<a [^>]*href="/t/[^/]*/open" referrerpolicy="origin"', page.text)
    assert not {"path", "box"} & news.keys()
    assert led.status_code == 303
    assert (led.headers["Location"], led.headers["Referrer-Policy"]) == (news["link"], "origin")
    assert not SECRETS.search(page.text)
    assert "<svg" not in browser.fetch(_beside(page, "qr")).text


@pytest.mark.parametrize(("agent", "wish"), [("", "this"), (PHONE, "other")])
def test_a_wrong_guess_costs_one_press(door: AppDoor, agent: str, wish: str) -> None:
    """1.10: the other device is one press away, and so is the way back; each time with an order of its own (E1)."""
    browser = door.browser(agent=agent)
    page = _waiting(browser)
    first = browser.fetch(_beside(page, "wait.json")).json()["device"]
    moved = browser.press(page, do=wish)
    news = browser.fetch(_beside(moved, "wait.json")).json()
    back = browser.press(moved, do=first)

    assert (first, news["device"], "link" in news) == ({"this": "other"}.get(wish, "this"), wish, wish == "this")
    assert moved.url == back.url == page.url
    assert browser.fetch(_beside(back, "wait.json")).json()["device"] == first


# ---- the way in ----------------------------------------------------------------------------------


def test_a_scanned_code_signs_in(door: AppDoor) -> None:
    """1.10: scanned: the code goes and the page says what to do; approved: the script is told to go on, and does."""
    browser = door.browser()
    page = _waiting(browser)
    order = door.bankid.phone.scan(door.code())
    door.bankid.phone.act(order.id, door.people["bjorn"], "open")
    opened = door.until(browser, page, "state", "opened")
    words = words_of(browser.get(page.url))
    door.bankid.phone.act(order.id, door.people["bjorn"], "approve")
    done = door.until(browser, page, "go", value=True)
    answer = answer_of(browser.press(page, do="check"))

    assert opened["says"] == "Good. Now enter your security code in the BankID app."
    assert opened["says"] in words
    assert not {"path", "link"} & opened.keys()
    assert done["says"] == "You are logged in. We are sending you on."
    assert ("code" in answer, answer["state"]) == (True, "s-1")
    assert browser.fetch(_beside(page, "wait.json")).json() == {"to": "choose"}
    assert "already logged in" in words_of(browser.get(page.url))


def test_the_button_waits_for_news(door: AppDoor) -> None:
    """B2: "I have approved in the app", pressed at once, waits for an answer that takes a moment to reach us."""
    browser = door.browser()
    page = _waiting(browser)
    door.scan(door.code())

    assert "code" in answer_of(browser.press(page, do="check"))


def test_the_button_too_early(door: AppDoor) -> None:
    """B2: pressed before anything was approved, the button shows the page again, and nothing is lost."""
    browser = door.browser()
    page = _waiting(browser)
    again = browser.press(page)
    door.scan(door.code())

    assert again.url == page.url
    assert "code" in answer_of(browser.press(again, do="check"))


def test_the_app_leads_back(door: AppDoor) -> None:
    """1.10: opened on this device, the app leads back to this browser, which is then signed in."""
    browser = door.browser(agent=PHONE)
    page = _waiting(browser)
    back = door.follow(browser.fetch(_beside(page, "open")).headers["Location"])

    assert back is not None
    assert "code" in answer_of(browser.get(back))


def test_the_app_leads_to_another_browser(door: AppDoor) -> None:
    """B6: there it says where to go; no code reaches that browser, and the first one goes on."""
    browser, other = door.browser(agent=PHONE), door.browser()
    page = _waiting(browser)
    back = door.follow(browser.fetch(_beside(page, "open")).headers["Location"])
    elsewhere = other.get(back or "")
    door.until(browser, page, "go", value=True)

    assert "If the other one is still open, go back to it. Otherwise start again." in words_of(elsewhere)
    assert "code=" not in elsewhere.headers.get("Location", "")
    assert "code" in answer_of(browser.press(page, do="check"))


# ---- no ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("cancel", "You cancelled in BankID. Try again or choose another way."),
        ("certificateErr", "Your BankID is blocked or too old. Your bank can give you a new one."),
    ],
)
def test_a_no_is_said(door: AppDoor, outcome: str, words: str) -> None:
    """B4: what went wrong in the app is said in the browser, at the choice, from where another try works."""
    browser = door.browser()
    page = _waiting(browser)
    door.scan(door.code(), outcome=outcome)
    door.until(browser, page, "to", "choose")
    choice = browser.get(page.url)
    retried = browser.press(choice, provider="bankid")
    door.scan(door.code())

    assert words in words_of(choice)
    assert "code" in answer_of(browser.press(retried, do="check"))


def test_other_ways_are_there_from_the_start(door: AppDoor) -> None:
    """1.11: the way to the choice cancels the order, which is in nobody's app then, and says nothing of failure."""
    browser = door.browser()
    page = _waiting(browser)
    waiting = len(door.bankid.phone.waiting())
    choice = browser.press(page, do="back")

    assert choice.url.endswith("/choose")
    assert 'role="status"' not in choice.text
    assert browser.fetch(_beside(page, "wait.json")).json() == {"to": "choose"}
    deadline = time.monotonic() + PATIENCE
    while len(door.bankid.phone.waiting()) >= waiting:
        assert time.monotonic() < deadline


def test_cancel_goes_back_to_the_service(door: AppDoor) -> None:
    """1.11: the link "cancel" is on the page from the start, and tells the service."""
    browser = door.browser()
    page = _waiting(browser)

    assert f"Cancel and go back to {SERVICE}" in words_of(page)
    assert answer_of(browser.fetch(_beside(page, "cancel")))["error"] == "access_denied"


# ---- news ----------------------------------------------------------------------------------------


def test_news_are_for_this_browser_alone(door: AppDoor) -> None:
    """E1: another browser, or one that asks for a transaction that is gone, is sent to the page that has words."""
    browser, other = door.browser(), door.browser()
    page = _waiting(browser)
    foreign = other.fetch(_beside(page, "wait.json"))
    gone = browser.fetch(f"/t/{'x' * 22}/wait.json")

    assert foreign.json() == gone.json() == {"to": "wait"}
    assert [one.headers["Cache-Control"] for one in (foreign, gone)] == ["no-store", "no-store"]
    assert "allow cookies for this page" in words_of(other.get(page.url))
    assert browser.get(f"/t/{'x' * 22}/wait").status_code == 410
    for name in ("qr", "qr.stream", "open"):
        assert other.fetch(_beside(page, name)).status_code == 400


def test_news_are_in_the_persons_language(door: AppDoor) -> None:
    """G11: a switch of language keeps the page and its order; the news speak it from then on."""
    browser = door.browser()
    page = _waiting(browser)
    scanned = door.code()
    switched = browser.press(page, lang="fi")

    assert (switched.url, language_of(switched)) == (page.url, "fi")
    assert browser.fetch(_beside(page, "wait.json")).json()["says"] == "Odotamme, että avaat BankID-sovelluksen."
    assert door.code() == scanned


def test_a_double_press_makes_one_order(door: AppDoor) -> None:
    """G15: the same press twice leads to the same page and one order."""
    browser = door.browser()
    page = _waiting(browser)
    fields = {**form_of(page).hidden, "do": "again"}
    once = browser.fetch(page.url, "POST", data=fields)
    orders = {order.id for order in door.bankid.phone.waiting()}
    twice = browser.fetch(page.url, "POST", data=fields)

    assert once.headers["Location"] == twice.headers["Location"] == f"/t/{name_of(page)}/wait"
    assert {order.id for order in door.bankid.phone.waiting()} <= orders


def test_a_form_of_somebody_elses_does_nothing(door: AppDoor) -> None:
    """A14: a page elsewhere cannot make orders or end them (CSRF)."""
    browser = door.browser()
    page = _waiting(browser)
    browser.fetch(page.url, "POST", data={"_n": "x.y", "do": "back"})

    assert "state" in browser.fetch(_beside(page, "wait.json")).json()


# ---- leaving -------------------------------------------------------------------------------------


def test_a_page_that_was_left_is_known(door: AppDoor) -> None:
    """B5: a page that says it was left is believed, with its own number, and its order is let go."""
    browser = door.browser()
    page = _waiting(browser)
    lookout = door.waits.lookout
    nonce = form_of(page).hidden["_n"]
    before = lookout.is_seen(name_of(page))
    forged = browser.fetch(_beside(page, "left"), "POST", data={"_n": "x.y"})
    still = lookout.is_seen(name_of(page))
    told = browser.fetch(_beside(page, "left"), "POST", data={"_n": nonce})

    assert (before, still, lookout.is_seen(name_of(page))) == (True, True, False)
    assert (forged.status_code, told.status_code, told.content) == (204, 204, b"")


def test_a_reload_is_not_leaving(door: AppDoor) -> None:
    """G13: word of leaving that comes after the page was loaded again is about the page that was."""
    browser = door.browser()
    page = _waiting(browser)
    nonce = form_of(page).hidden["_n"]
    browser.get(page.url)
    browser.fetch(_beside(page, "left"), "POST", data={"_n": nonce})

    assert door.waits.lookout.is_seen(name_of(page))


# ---- without script ------------------------------------------------------------------------------


def test_only_the_code_may_be_framed(door: AppDoor) -> None:
    """A14: the page frames our own documents, only the code's may be framed, by us alone (clickjacking)."""
    browser = door.browser()
    page = _waiting(browser)
    frame = browser.fetch(_beside(page, "qr"))

    assert "frame-src 'self'; frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "DENY"
    assert "frame-src" not in frame.headers["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in frame.headers["Content-Security-Policy"]
    assert (frame.headers["X-Frame-Options"], frame.headers["Refresh"]) == ("SAMEORIGIN", "20")


def test_a_stream_is_pictures(door: AppDoor) -> None:
    """B2: one part is one picture, whole when the next part begins; nothing of it is kept anywhere."""
    browser = door.browser()
    page = _waiting(browser)
    with browser.session.get(_beside(page, "qr.stream"), stream=True, timeout=10) as stream:
        first = next(stream.iter_content(None))

    assert stream.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=code"
    assert stream.headers["Cache-Control"] == "no-store"
    assert re.fullmatch(
        rb"--code\r\nContent-Type: image/png\r\n\r\n\x89PNG.*\r\n--code\r\n.*\r\n\r\n", first, re.DOTALL
    )


def test_streams_are_few(door: AppDoor) -> None:
    """A thread of ours is held by each stream: where all are taken the code comes once, and is asked for again."""
    browser = door.browser()
    page = _waiting(browser)
    browser.fetch(_beside(page, "qr.stream"), "HEAD")
    streams = [browser.session.get(_beside(page, "qr.stream"), stream=True, timeout=10) for _ in range(8)]
    begun = [next(stream.iter_content(None)) for stream in streams]
    full = browser.fetch(_beside(page, "qr"))
    ninth = browser.fetch(_beside(page, "qr.stream"))
    for stream in streams:
        stream.close()

    assert len(begun) == 8
    assert (full.headers["Refresh"], "<svg" in full.text, "<img" in full.text) == ("1", True, False)
    assert ninth.content.count(b"Content-Type: image/png") == 2
    assert ninth.content.endswith(b"--code--\r\n")


def test_the_frame_says_what_happened(door: AppDoor) -> None:
    """B2: scanned, the code goes and words stand there; approved or ended, they say to press the button."""
    browser = door.browser()
    page = _waiting(browser)
    order = door.bankid.phone.scan(door.code())
    door.bankid.phone.act(order.id, door.people["bjorn"], "open")
    door.until(browser, page, "state", "opened")
    opened = browser.fetch(_beside(page, "qr"))
    ended = browser.fetch(_beside(page, "qr.stream"))
    door.bankid.phone.act(order.id, door.people["bjorn"], "approve")
    door.until(browser, page, "go", value=True)
    ready = browser.fetch(_beside(page, "qr"))
    browser.press(page, do="back")
    over = browser.fetch(_beside(page, "qr"))

    assert "Now enter your security code" in words_of(opened)
    assert opened.headers["Refresh"] == "2"
    assert ended.content.count(b"\x89PNG") == 2
    for last in (ready, over):
        assert "Press the button below to go on." in words_of(last)
        assert "Refresh" not in last.headers


# ---- the browser itself --------------------------------------------------------------------------


def test_a_browser_has_one_number(door: AppDoor) -> None:
    """A3.1: BankID is told the same browser by the same number; the browser keeps it, out of scripts' reach."""
    browser = door.browser()
    _waiting(browser)
    number = browser.session.cookies["d"]
    set_once = [step.headers["Set-Cookie"] for step in browser.trail if " d=" in f" {step.headers.get('Set-Cookie')}"]
    browser.trail.clear()
    browser.press(browser.get(authorize_url()), provider="bankid")

    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", number)
    assert all(word in set_once[0] for word in ("HttpOnly", "SameSite=Lax", "Path=/"))
    assert len(set_once) == 1
    assert browser.session.cookies["d"] == number
    assert not [step for step in browser.trail if "d=" in step.headers.get("Set-Cookie", "").split(";")[0][:2]]


def test_a_number_that_is_not_ours_is_replaced(door: AppDoor) -> None:
    """A3.1: what somebody planted as the browser's number goes nowhere."""
    browser = door.browser()
    browser.session.cookies.set("d", "x" * 300)
    _waiting(browser)

    assert {cookie.value for cookie in browser.session.cookies if cookie.name == "d"} != {"x" * 300}
