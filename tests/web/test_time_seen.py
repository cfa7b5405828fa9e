"""The question whether somebody needs more time, in a real browser (WCAG 2.2, 2.2.1; pages 0.6, T1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from idbroker.clock import StoppedClock
from tests.conftest import NOW
from tests.door import authorize_url
from tests.fallback_door import FallbackDoor, open_fallback_door

pytestmark = pytest.mark.browser

OPEN: dict[str, Any] = {"name": "Åben", "country": "DK", "providers": ["mitid"], "registration": "automatic"}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
MINUTE = 60_000  # in milliseconds
HEARD = """() => { window.heard = [];
    new MutationObserver(() => heard.push(document.querySelector("#more-n").textContent))
        .observe(document.querySelector("#more"), { childList: true, characterData: true, subtree: true }) }"""
TOO_WIDE = """() => ["html", "#more"].some(
    part => document.querySelector(part).scrollWidth > document.querySelector(part).clientWidth)"""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FallbackDoor]:
    """Serve a clinic that takes registrations, and one whose people have passwords."""
    folder, clients = tmp_path_factory.mktemp("time"), {"open": {"clinic": "open", "sector": "open"}}
    with open_fallback_door(folder, StoppedClock(NOW), clinics={"open": OPEN}, clients=clients) as opened:
        opened.account("anna")
        yield opened


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Page]:
    """Give a narrow page whose clock the test moves; a violated policy fails it."""
    context = chromium.new_context(viewport={"width": 320, "height": 640}, locale="en", reduced_motion="reduce")
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.clock.install()
    yield page
    context.close()
    assert [text for text in complaints if "Content Security Policy" in text] == []


def _later(door: FallbackDoor, page: Page, minutes: float) -> None:
    """Let time go by, for the broker and for the page."""
    door.clock.move(timedelta(minutes=minutes))
    page.clock.run_for(round(minutes * MINUTE))


def _at_password(door: FallbackDoor, page: Page) -> None:
    page.goto(door.issuer + authorize_url())
    page.locator("button[value=fallback]").click()
    page.locator("#pid").fill("0101010101")


def _registering(door: FallbackDoor, page: Page) -> None:
    page.goto(door.issuer + authorize_url(client_id="open"))
    page.locator("button[value=register]").click()
    page.locator("button[value=mitid]").click()
    page.locator("input[value=petra]").check()
    page.locator("button[type=submit]").first.click()
    page.locator("#email").fill("petra@example.org")


def test_eleven_times_by_escape(door: FallbackDoor, tab: Page) -> None:
    """T1: five minutes before the end the page asks; the focus is on yes; Escape is yes; what was typed stays."""
    _at_password(door, tab)
    for _ in range(11):
        _later(door, tab, 24.9)
        expect(tab.locator("#more")).to_be_hidden()
        _later(door, tab, 0.2)
        expect(tab.locator("#more")).to_be_visible()
        expect(tab.locator("#more-yes")).to_be_focused()
        expect(tab.locator("#more-n")).to_have_text("For your safety this page closes in 5 min.")
        with tab.expect_response(re.compile("/password$")) as answer:
            tab.keyboard.press("Escape")
        expect(tab.locator("#more")).to_be_hidden()
        expect(tab.locator("#until")).to_have_text(answer.value.json()["says"])
    expect(tab.locator("#pid")).to_have_value(re.compile("^010101-?0101$"))


def test_said_once_a_minute(door: FallbackDoor, tab: Page) -> None:
    """T1: what is spoken changes once a minute; the button stays where it is and has the focus."""
    _at_password(door, tab)
    tab.evaluate(HEARD)
    for _ in range(29 * 4):
        _later(door, tab, 0.25)
    _later(door, tab, 0.5)
    told = tab.evaluate("heard.filter((text, at) => at === 0 || text !== heard[at - 1])")
    assert told == [f"For your safety this page closes in {n} min." for n in (5, 4, 3, 2, 1)]
    expect(tab.locator("#more-yes")).to_be_focused()


def test_nobody_is_there(door: FallbackDoor, tab: Page) -> None:
    """1.15: without an answer the page closes: it says so, and shows nothing of what was typed."""
    _at_password(door, tab)
    _later(door, tab, 26)
    _later(door, tab, 4.1)
    expect(tab.locator("h1")).to_have_text("This page closed because too much time passed")
    assert "0101010101" not in tab.content()


def test_no_stop_here(door: FallbackDoor, tab: Page) -> None:
    """1.15: no ends the sign-in, and the service is told."""
    _at_password(door, tab)
    _later(door, tab, 26)
    tab.route("https://portal.test/**", lambda route: route.fulfill(body="back"))
    tab.locator("#more-no").click()
    tab.wait_for_url(re.compile("error=access_denied"))


def test_after_the_proof_there_is_an_end(door: FallbackDoor, tab: Page) -> None:
    """0022: an hour after the proof no time is offered, only said; what was typed is there after another proof."""
    _registering(door, tab)
    for _ in range(2):
        _later(door, tab, 26)
        with tab.expect_response(re.compile("/contact$")):
            tab.locator("#more-yes").click()
    _later(door, tab, 4)
    expect(tab.locator("#more-h")).to_have_text("The time is almost up")
    expect(tab.locator("#more-n")).to_contain_text("We cannot give you more time.")
    expect(tab.locator("#more-no")).to_be_hidden()
    tab.keyboard.press("Escape")
    expect(tab.locator("#more")).to_be_hidden()
    tab.locator("#phone").fill("20123457")
    _later(door, tab, 4.1)
    expect(tab.locator("[role=status]").first).to_contain_text("What you filled in will be there.")
    tab.locator("button[value=mitid]").click()
    tab.locator("input[value=petra]").check()
    tab.locator("button[type=submit]").first.click()
    expect(tab.locator("#email")).to_have_value("petra@example.org")
    expect(tab.locator("#phone")).to_have_value("20123457")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_question_is_accessible(door: FallbackDoor, chromium: Browser, scheme: Any) -> None:
    """G1: axe-core has no finding on it, it fits into 320 px, and the Tab key stays with it."""
    context = chromium.new_context(
        viewport={"width": 320, "height": 640}, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce"
    )
    page = context.new_page()
    page.clock.install()
    _at_password(door, page)
    _later(door, page, 26)
    expect(page.locator("#more")).to_be_visible()
    report = Axe().run(page, options=RULES).response
    page.keyboard.press("Tab")
    expect(page.locator("#more-no")).to_be_focused()
    assert not page.evaluate(TOO_WIDE)
    assert [violation["id"] for violation in report["violations"]] == []
    context.close()
