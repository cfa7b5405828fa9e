"""The pages in a real browser: accessible, never too wide, usable by keyboard, whole without script."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from idbroker.clinic import LANGUAGES
from idbroker.web.pages import Pages
from idbroker.web.views import ChooseView, WayBackView
from idbroker.words import Words
from tests.web.gallery import WAYS, Shown, all_pages, frame, show

pytestmark = pytest.mark.browser

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """A size of window, of text, and whether the text is spaced."""

    name: str
    width: int
    height: int
    zoom: str = "100%"
    spaced: bool = False


SCREENS = (
    Screen(name="narrow", width=320, height=640),
    Screen(name="low", width=640, height=256),
    Screen(name="large-text", width=640, height=640, zoom="200%"),
    Screen(name="spaced", width=320, height=640, spaced=True),
)
# Every layout there is; the problem pages differ from one another in words only.
LAYOUTS = (
    "choose",
    "choose-all",
    "choose-new",
    "choose-young",
    "cpr",
    "cpr-match",
    "wait-scan",
    "wait-scan-opened",
    "wait-scan-lapsed",
    "wait-tap",
    "wait-tap-returning",
    "logout",
    "form-post",
    "gone",
    "logged-out-shared",
    "telling",
    "farewell",
    "farewell-unsure",
    "problem-eid",
    "problem-closed",
    "help",
    "privacy",
    "accessibility",
)
# Text spacing of WCAG 2.2, 1.4.12.
SPACED = """() => document.querySelectorAll("body *").forEach(element => {
    element.style.lineHeight = "1.5"; element.style.letterSpacing = ".12em"; element.style.wordSpacing = ".16em";
    if (element.tagName === "P") element.style.marginBottom = "2em";
})"""
TOO_WIDE = """() => [document.documentElement, ...document.querySelectorAll("body *")]
    .filter(element => !element.closest(".vh, .skip"))
    .filter(element => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
        || element.getBoundingClientRect().right > innerWidth + 1)
    .map(element => element.outerHTML.slice(0, 80))"""
# An inline link in a sentence is excepted (2.5.8), and its line is 24 px high.
TOO_SMALL = """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), label.chk")]
    .filter(element => !element.closest(".vh, .skip") && !element.matches("[type=checkbox]"))
    .filter(element => element.checkVisibility())
    .map(element => [element, element.getBoundingClientRect()])
    .filter(([element, box]) => box.height < (element.matches(".tel") ? 18 : 44) || box.width < 44)
    .map(([element, box]) => `${box.width} x ${box.height} ${element.outerHTML.slice(0, 80)}`)"""
EDGES = """() => [...document.querySelectorAll(".btn, input:not([type=hidden], [type=checkbox])")].map(element => {
    const style = getComputedStyle(element); return `${style.borderStyle} ${style.borderWidth}` })"""
RING = """() => { const style = getComputedStyle(document.activeElement);
    return [style.outlineStyle, style.boxShadow] }"""
INK = """() => { const style = getComputedStyle(document.querySelector("main"));
    return [style.color, style.backgroundColor] }"""
FOCUSED = """() => { const element = document.activeElement;
    return [element.tagName, element.getAttribute("name"), element.getAttribute("value"),
            element.getAttribute("href")].filter(Boolean).join(" ") }"""


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    """Serve every page of the sandbox in every language as /{language}/{name}."""
    pages = Pages(Words(), sandbox=True)
    bodies = {f"/{lang}/{name}": page for lang in LANGUAGES for name, page in all_pages(pages, lang).items()}
    with show(pages, bodies) as server:
        yield server


@contextmanager
def _tab(browser: Browser, **how: Any) -> Iterator[Page]:
    context = browser.new_context(**how)
    # The page that tells services of a logout stays where it is, to be looked at.
    context.route("**/leave.js*", lambda route: route.fulfill(body="", content_type="text/javascript"))
    try:
        yield context.new_page()
    finally:
        context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing(chromium: Browser, shown: Shown, language: str, theme: Any) -> None:
    """axe-core has no finding on any layout, in any language, light or dark (G1; WCAG 2.2 AA)."""
    found = {}
    with _tab(chromium, color_scheme=theme, bypass_csp=True) as page:
        for name in _but_the_moving_one():
            page.goto(f"{shown.origin}/{language}/{name}")
            report = Axe().run(page, options=RULES).response
            found[name] = [(v["id"], [n["target"] for n in v["nodes"]]) for v in report["violations"]]

    assert not {name: violations for name, violations in found.items() if violations}


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_too_wide(chromium: Browser, shown: Shown, language: str, screen: Screen) -> None:
    """No page scrolls sideways or is cut at 320 px, at 200 % text, or with wide text spacing (G2, G3)."""
    found = {}
    with _tab(chromium, viewport={"width": screen.width, "height": screen.height}, bypass_csp=True) as page:
        for name in _but_the_moving_one():
            page.goto(f"{shown.origin}/{language}/{name}")
            page.evaluate("zoom => { document.documentElement.style.fontSize = zoom }", screen.zoom)
            if screen.spaced:
                page.evaluate(SPACED)
            found[name] = page.evaluate(TOO_WIDE)

    assert not {name: elements for name, elements in found.items() if elements}


def test_a_long_name_fits(chromium: Browser) -> None:
    """A service and a clinic with names of 60 letters without a space fit a screen of 320 px (G23)."""
    pages = Pages(Words())
    long = frame("fi", service="S" * 60, clinic="K" * 60, cancel_href="/cancel")
    views = {
        "/choose": pages.choose(ChooseView(frame=long, action="/c", nonce="n", ways=WAYS)),
        "/gone": pages.gone(WayBackView(frame=long, back_href="/start")),
    }
    with show(pages, views) as server, _tab(chromium, viewport={"width": 320, "height": 640}) as page:
        for path in views:
            page.goto(f"{server.origin}{path}")
            assert page.evaluate(TOO_WIDE) == [], path


def test_controls_are_seen_in_forced_colours(chromium: Browser, shown: Shown) -> None:
    """Where the system replaces all colours, every button and field still has an edge (G4)."""
    with _tab(chromium, forced_colors="active") as page:
        for name in ("choose-all", "cpr-match"):
            page.goto(f"{shown.origin}/da/{name}")
            assert set(page.evaluate(EDGES)) == {"solid 2px"}, name


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_target_can_be_hit(chromium: Browser, shown: Shown, language: str) -> None:
    """Every button, field and link is at least 44 by 44 px; a link within a sentence is excepted (G5)."""
    found = {}
    with _tab(chromium, viewport={"width": 390, "height": 844}) as page:
        for name in _but_the_moving_one():
            page.goto(f"{shown.origin}/{language}/{name}")
            found[name] = page.evaluate(TOO_SMALL)

    assert not {name: elements for name, elements in found.items() if elements}


def test_tab_goes_down_the_page(chromium: Browser, shown: Shown) -> None:
    """Tab meets what there is in reading order, the default button not at all (G9)."""
    with _tab(chromium) as page:
        page.goto(f"{shown.origin}/da/choose")
        met = []
        for _ in range(12):
            page.keyboard.press("Tab")
            met.append(page.evaluate(FOCUSED))

    assert met == [
        "A #main",
        "BUTTON lang sv",
        "BUTTON lang fi",
        "BUTTON lang en",
        "BUTTON lang nb",
        "BUTTON provider mitid",
        "BUTTON provider suomifi",
        "A /t/abc/cancel",
        "A tel:+4533123456",
        "A /help?lang=da",
        "A /privacy?lang=da",
        "A /accessibility?lang=da",
    ]


def test_the_skip_link_skips(chromium: Browser, shown: Shown) -> None:
    """Two keys bring the keyboard past the languages to the first thing in main (WCAG 2.4.1)."""
    with _tab(chromium) as page:
        page.goto(f"{shown.origin}/da/choose")
        for key in ("Tab", "Enter", "Tab"):
            page.keyboard.press(key)

        assert page.evaluate(FOCUSED) == "BUTTON provider mitid"


def test_focus_is_seen(chromium: Browser, shown: Shown) -> None:
    """What has the keyboard has a ring of two colours (WCAG 2.4.7)."""
    with _tab(chromium) as page:
        page.goto(f"{shown.origin}/da/choose")
        for _ in range(6):
            page.keyboard.press("Tab")
        ring = page.evaluate(RING)

    assert ring == ["solid", "rgb(255, 201, 77) 0px 0px 0px 3px"]


@pytest.mark.parametrize("script", [True, False])
def test_enter_in_a_field_is_the_main_action(chromium: Browser, shown: Shown, script: bool) -> None:
    """Enter posts what was typed, without a language: the languages come first in the form but are not its default."""
    with _tab(chromium, java_script_enabled=script) as page:
        page.goto(f"{shown.origin}/da/cpr")
        page.fill("#pid", "010772-9995")
        page.press("#pid", "Enter")
        page.wait_for_url("**/t/abc/cpr")

    assert shown.posted.pop() == ("/t/abc/cpr", {"_n": ["n1"], "number": ["010772-9995"]})


@pytest.mark.parametrize("script", [True, False])
def test_a_way_is_one_press(chromium: Browser, shown: Shown, script: bool) -> None:
    """The button of an eID posts its value and the step's number, with and without script (G12)."""
    with _tab(chromium, java_script_enabled=script) as page:
        page.goto(f"{shown.origin}/sv/choose")
        page.get_by_role("button", name="Log on with MitID").click()
        page.wait_for_url("**/t/abc/choose")

    assert shown.posted.pop() == ("/t/abc/choose", {"_n": ["n1"], "provider": ["mitid"]})


def test_a_language_keeps_what_was_typed(chromium: Browser, shown: Shown) -> None:
    """Switching the language posts the page's own form, number and all (D3)."""
    with _tab(chromium, java_script_enabled=False) as page:
        page.goto(f"{shown.origin}/da/cpr")
        page.fill("#pid", "0107")
        page.get_by_role("button", name="Suomi").click()
        page.wait_for_url("**/t/abc/cpr")

    assert shown.posted.pop() == ("/t/abc/cpr", {"_n": ["n1"], "number": ["0107"], "lang": ["fi"]})


def test_a_page_without_a_form_is_asked_for_again(chromium: Browser, shown: Shown) -> None:
    """The switch of a page that posts nothing is a plain GET, with what it needs in its address."""
    with _tab(chromium, java_script_enabled=False) as page:
        page.goto(f"{shown.origin}/da/gone")
        page.get_by_role("button", name="English").click()
        page.wait_for_url("**/page?*")

        assert page.url == f"{shown.origin}/page?p=gone&lang=en"


@pytest.mark.parametrize("script", [True, False])
def test_an_answer_is_posted_once(chromium: Browser, shown: Shown, script: bool) -> None:
    """The answer posts itself, or by its button where script is off, once, under the real policy (G12, G26)."""
    with _tab(chromium, java_script_enabled=script) as page:
        page.goto(f"{shown.origin}/da/form-post")
        if not script:
            page.get_by_role("button", name="Gå til Min Lægeside").click()
        page.wait_for_url("**/answer")

    assert shown.posted.pop() == ("/answer", {"code": ["abc"], "state": ["s"], "iss": ["https://login.example"]})
    assert not shown.posted


def test_a_double_press_is_one_post(chromium: Browser, shown: Shown) -> None:
    """Two presses at once are one post (G15)."""
    with _tab(chromium) as page:
        page.goto(f"{shown.origin}/da/choose")
        page.evaluate("() => { const b = document.querySelector('[value=mitid]'); b.click(); b.click() }")
        page.wait_for_url("**/t/abc/choose")

    assert len(shown.posted) == 1
    shown.posted.clear()


def test_an_error_has_the_focus(chromium: Browser, shown: Shown) -> None:
    """A page with an error starts at the summary, whose link leads to the field (WCAG 3.3.1)."""
    with _tab(chromium) as page:
        page.goto(f"{shown.origin}/da/cpr-error")
        assert page.evaluate("() => document.activeElement.className") == "sum"
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")

        assert page.evaluate("() => document.activeElement.id") == "pid"


def test_the_number_is_hidden_without_script(chromium: Browser, shown: Shown) -> None:
    """The box hides the figures by style alone; the field keeps its type and its value (D7, P4)."""
    hidden = "() => getComputedStyle(document.querySelector('#pid')).webkitTextSecurity"
    with _tab(chromium) as page:
        page.route("**/*.js*", lambda route: route.abort())
        page.goto(f"{shown.origin}/da/cpr")
        page.fill("#pid", "0107729995")
        before = page.evaluate(hidden)
        page.check("#mask")

        assert (before, page.evaluate(hidden)) == ("none", "disc")
        assert (page.input_value("#pid"), page.get_attribute("#pid", "type")) == ("0107729995", "text")


def test_nothing_is_blocked_and_nothing_foreign_asked(chromium: Browser, shown: Shown) -> None:
    """Under the real policy no page asks another origin for anything, and nothing is refused (G8)."""
    asked: list[str] = []
    said: list[str] = []
    with _tab(chromium) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        for name in _but_the_moving_one():
            page.goto(f"{shown.origin}/da/{name}")

    assert not [url for url in asked if not url.startswith(shown.origin)]
    assert not said


def test_a_first_view_is_small(chromium: Browser, shown: Shown) -> None:
    """A first view takes at most five requests (G6)."""
    asked: list[str] = []
    with _tab(chromium) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{shown.origin}/da/choose")

    assert len(asked) <= 5


def test_a_printed_page_is_black_on_white(chromium: Browser, shown: Shown) -> None:
    """On paper there are no controls, and the text is black, in the dark theme too (G19)."""
    with _tab(chromium, color_scheme="dark") as page:
        page.goto(f"{shown.origin}/da/privacy")
        page.emulate_media(media="print")
        ink = page.evaluate(INK)

        assert not page.locator("header, footer").first.is_visible()
    assert ink == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]


def _but_the_moving_one() -> list[str]:
    """Return the layouts that stay on the screen: the answer to a service posts itself at once."""
    return [name for name in LAYOUTS if name != "form-post"]
