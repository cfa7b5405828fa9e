"""The pages to fill in, in a real browser: accessible, whole without script, and helped along where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from idbroker.clinic import LANGUAGES
from idbroker.web.pages import Pages
from idbroker.words import Words
from tests.web.gallery import Shown, all_pages, form_view, frame, show
from tests.web.gallery_forms import FORMS
from tests.web.test_looks import EDGES, RULES, SPACED, TOO_WIDE

pytestmark = pytest.mark.browser

PAGES = Pages(Words())
OPENED = "() => document.querySelectorAll('details').forEach(part => { part.open = true })"
SIZES = """() => [...document.querySelectorAll("main :is(.btn, .plain, summary, select, .card, input)")]
    .filter(element => element.checkVisibility() && element.type !== "hidden")
    .filter(element => !element.matches(".chk input, .card input"))
    .map(element => [element, element.getBoundingClientRect()])
    .filter(([element, box]) => box.height < 44 || box.width < 44)
    .map(([element, box]) => `${box.width} x ${box.height} ${element.outerHTML.slice(0, 80)}`)"""
# What a browser that reads text messages has: it gives the code when one has come.
MESSAGES = """window.OTPCredential = class {};
navigator.credentials.get = asked => asked.otp.transport[0] === "sms" && Promise.resolve({ code: "123456" });"""
# Chromium keeps no page that may not be stored (no-store); other browsers do.
KEPT = "() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    """Serve every page in every language as /{language}/{name}, and numbers of three countries."""
    bodies = {f"/{lang}/{name}": page for lang in LANGUAGES for name, page in all_pages(PAGES, lang).items()}
    for country in ("DK", "SE", "FI"):
        view = replace(form_view("en", "password"), frame=frame("en", country=country), values={})
        bodies[f"/number/{country}"] = PAGES.form(view)
    with show(PAGES, bodies) as server:
        yield server


@contextmanager
def _tab(browser: Browser, **how: Any) -> Iterator[Page]:
    context = browser.new_context(**how)
    try:
        yield context.new_page()
    finally:
        context.close()


def _sent(shown: Shown) -> tuple[str, dict[str, list[str]]]:
    path, fields = shown.posted.pop()
    assert not shown.posted
    return path, {name: value for name, value in fields.items() if name != "_n"}


def test_axe_finds_nothing_in_a_form(chromium: Browser, shown: Shown) -> None:
    """axe-core has no finding on any form or error with all its parts opened (G1; WCAG 2.2 AA).

    Each is read in one language and one theme, all of both in turn: colours and layouts are the same in all.
    """
    found = {}
    with _tab(chromium, bypass_csp=True) as page:
        for number, name in enumerate(FORMS):
            page.emulate_media(color_scheme="dark" if number % 2 else "light")
            page.goto(f"{shown.origin}/{LANGUAGES[number % len(LANGUAGES)]}/{name}")
            page.evaluate(OPENED)
            report = Axe().run(page, options=RULES).response
            found[name] = [(v["id"], [n["target"] for n in v["nodes"]]) for v in report["violations"]]

    assert not {name: violations for name, violations in found.items() if violations}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_form_fits_and_can_be_hit(chromium: Browser, shown: Shown, language: str) -> None:
    """At 320 px no form scrolls sideways, with wide text spacing too, and every target is 44 px (G2, G3, G5)."""
    wide, small = {}, {}
    with _tab(chromium, viewport={"width": 320, "height": 640}, bypass_csp=True) as page:
        for name in FORMS:
            page.goto(f"{shown.origin}/{language}/{name}")
            page.evaluate(OPENED)
            small[name] = page.evaluate(SIZES)
            wide[name] = page.evaluate(TOO_WIDE)
            page.evaluate(SPACED)
            wide[f"{name} spaced"] = page.evaluate(TOO_WIDE)

    assert not {name: elements for name, elements in wide.items() if elements}
    assert not {name: elements for name, elements in small.items() if elements}


def test_large_text_fits(chromium: Browser, shown: Shown) -> None:
    """At 640 px and text of 200 % no form scrolls sideways (G3)."""
    found = {}
    with _tab(chromium, viewport={"width": 640, "height": 640}, bypass_csp=True) as page:
        for name in FORMS:
            page.goto(f"{shown.origin}/fi/{name}")
            page.evaluate(OPENED)
            page.evaluate("() => { document.documentElement.style.fontSize = '200%' }")
            found[name] = page.evaluate(TOO_WIDE)

    assert not {name: elements for name, elements in found.items() if elements}


def test_fields_are_seen_in_forced_colours(chromium: Browser, shown: Shown) -> None:
    """Where the system replaces all colours, fields and buttons keep an edge (G4)."""
    with _tab(chromium, forced_colors="active") as page:
        for name in ("password", "code", "contact"):
            page.goto(f"{shown.origin}/da/{name}")
            assert set(page.evaluate(EDGES)) == {"solid 2px"}, name


@pytest.mark.parametrize("script", [True, False])
def test_enter_in_a_password_logs_in(chromium: Browser, shown: Shown, script: bool) -> None:
    """Enter in any field is the main button: no other way, no language, no country (G9)."""
    with _tab(chromium, java_script_enabled=script) as page:
        page.goto(f"{shown.origin}/da/password")
        page.fill("#pid", "010772-9995")
        page.fill("#password", "tre små ord")
        page.press("#password", "Enter")
        page.wait_for_url("**/t/abc/password")

    posted = {"number": ["010772-9995"], "country": ["DK"], "password": ["tre små ord"]}
    assert _sent(shown) == ("/t/abc/password", posted)


def test_another_country_is_chosen_without_script(chromium: Browser, shown: Shown) -> None:
    """Country and number go together, and the button says what is wanted (0.3)."""
    with _tab(chromium, java_script_enabled=False) as page:
        page.goto(f"{shown.origin}/en/password")
        page.fill("#pid", "010190-900T")
        page.get_by_text("I have a number from another country").click()
        page.select_option("#country", "FI")
        page.get_by_role("button", name="Use this country").click()
        page.wait_for_url("**/t/abc/password")

    posted = {"number": ["010190-900T"], "country": ["FI"], "do": ["country"], "password": [""]}
    assert _sent(shown) == ("/t/abc/password", posted)


@pytest.mark.parametrize("script", [True, False])
def test_a_lock_leaves_a_way(chromium: Browser, shown: Shown, script: bool) -> None:
    """From a locked page the eID is one press, posted where the choice posts it (O5)."""
    with _tab(chromium, java_script_enabled=script) as page:
        page.goto(f"{shown.origin}/da/password-locked")
        page.get_by_role("button", name="Log ind med MitID").click()
        page.wait_for_url("**/t/abc/choose")

    path, fields = _sent(shown)
    assert (path, fields["provider"]) == ("/t/abc/choose", ["mitid"])


def test_a_password_can_be_looked_at(chromium: Browser, shown: Shown) -> None:
    """The button shows and hides, says which, and tells a reader; before it is sent it is a password again (1.2)."""
    with _tab(chromium) as page:
        page.goto(f"{shown.origin}/en/password")
        page.fill("#password", "three small words")
        page.get_by_role("button", name="Show password").click()
        assert page.get_attribute("#password", "type") == "text"
        assert page.inner_text("#revealed") == "Your password is visible"
        assert page.get_by_role("button", name="Hide password").is_visible()
        page.evaluate("() => document.querySelector('#f').addEventListener('submit', event => event.preventDefault())")
        page.press("#password", "Enter")

        assert page.get_attribute("#password", "type") == "password"


def test_nothing_secret_waits_on_a_page_that_was_kept(chromium: Browser, shown: Shown) -> None:
    """Back on a page that the browser kept, password and code are gone and hidden, the number is there (P5, G14)."""
    with _tab(chromium) as page:
        page.goto(f"{shown.origin}/en/password")
        page.fill("#pid", "0107729995")
        page.fill("#password", "three small words")
        page.get_by_role("button", name="Show password").click()
        page.evaluate(KEPT)
        assert (page.input_value("#password"), page.get_attribute("#password", "type")) == ("", "password")
        assert page.input_value("#pid") == "010772-9995"
        page.goto(f"{shown.origin}/en/code")
        page.fill("#code", "123456")
        page.evaluate(KEPT)

        assert page.input_value("#code") == ""


def test_without_script_nothing_offers_to_show(chromium: Browser, shown: Shown) -> None:
    """A button that could do nothing is not there."""
    with _tab(chromium, java_script_enabled=False) as page:
        page.goto(f"{shown.origin}/en/password")

        assert not page.locator("#reveal").is_visible()


@pytest.mark.parametrize(
    ("country", "typed", "seen"),
    [
        ("DK", "0107729995", "010772-9995"),
        ("DK", "010772-9995", "010772-9995"),
        ("DK", "010772 9995", "010772-9995"),
        ("SE", "9001011234", "900101-1234"),
        ("SE", "900101-1234", "900101-1234"),
        ("SE", "199001011234", "19900101-1234"),
        ("SE", "100101+1234", "100101+1234"),
        ("FI", "010190-900t", "010190-900t"),
        ("FI", "010190A900T", "010190A900T"),
    ],
)
def test_the_hyphen_comes_by_itself(chromium: Browser, shown: Shown, country: str, typed: str, seen: str) -> None:
    """While somebody types, the number gets its country's spelling; a sign that has a meaning is left alone (0.3)."""
    with _tab(chromium) as page:
        page.goto(f"{shown.origin}/number/{country}")
        page.locator("#pid").press_sequentially(typed)

        assert page.input_value("#pid") == seen


def test_the_caret_stays_where_somebody_types(chromium: Browser, shown: Shown) -> None:
    """A figure put in or taken out in the middle leaves the caret there; the hyphen is never in the way."""
    caret = "() => document.querySelector('#pid').selectionStart"
    with _tab(chromium) as page:
        page.goto(f"{shown.origin}/number/DK")
        page.locator("#pid").press_sequentially("010729995")
        for _ in range(6):
            page.press("#pid", "ArrowLeft")
        page.press("#pid", "7")
        assert (page.input_value("#pid"), page.evaluate(caret)) == ("010772-9995", 5)
        page.press("#pid", "End")
        for _ in range(5):
            page.press("#pid", "Backspace")

        assert page.input_value("#pid") == "010772"


def test_a_code_from_a_message_is_filled_in_and_not_sent(chromium: Browser, shown: Shown) -> None:
    """WebOTP puts the code into the field; the person presses the button (1.3, D6)."""
    with _tab(chromium) as page:
        page.add_init_script(MESSAGES)
        page.goto(f"{shown.origin}/en/code")
        page.wait_for_function("() => document.querySelector('#code').value === '123456'")
        assert not shown.posted
        page.goto(f"{shown.origin}/en/code-mail")

        assert page.input_value("#code") == ""


def test_the_code_page_does_not_take_the_focus(chromium: Browser, shown: Shown) -> None:
    """A reader hears where the code went before the field: the page starts at its top (1.3)."""
    with _tab(chromium) as page:
        page.goto(f"{shown.origin}/en/code-again")

        assert page.evaluate("() => document.activeElement.tagName") == "BODY"


def test_yes_and_no_are_of_one_size(chromium: Browser, shown: Shown) -> None:
    """Neither answer is larger than the other, and Enter is the first (N1)."""
    with _tab(chromium) as page:
        page.goto(f"{shown.origin}/da/consent")
        yes, no = (page.get_by_role("button", name=name).bounding_box() for name in ("Ja, fortsæt", "Nej, gå tilbage"))

        assert yes is not None
        assert no is not None
        assert (yes["width"], yes["height"]) == (no["width"], no["height"])
        assert not page.get_by_text("010772-9995").is_visible()
        page.get_by_text("Vis nummeret").click()
        assert page.get_by_text("010772-9995").is_visible()


@pytest.mark.parametrize("script", [True, False])
def test_fields_for_something_else_come_when_asked_for(chromium: Browser, shown: Shown, script: bool) -> None:
    """The fields are shown by style alone when somebody wants neither address, and posted with the choice (1.8)."""
    with _tab(chromium, java_script_enabled=script) as page:
        page.goto(f"{shown.origin}/da/differ")
        assert not page.locator("#email").is_visible()
        page.get_by_label("Noget andet").check()
        page.fill("#email", "ny@example.com")
        page.get_by_role("button", name="Fortsæt").click()
        page.wait_for_url("**/t/abc/differ")

    posted = {"choice": ["other"], "email": ["ny@example.com"], "phone": [""]}
    assert _sent(shown) == ("/t/abc/differ", posted)


def test_a_language_takes_what_was_typed_along(chromium: Browser, shown: Shown) -> None:
    """The switch posts the form: what was typed goes with it (D3)."""
    with _tab(chromium, java_script_enabled=False) as page:
        page.goto(f"{shown.origin}/da/contact")
        page.fill("#email", "anna@example.com")
        page.get_by_role("button", name="Suomi").click()
        page.wait_for_url("**/t/abc/contact")

    assert _sent(shown) == ("/t/abc/contact", {"email": ["anna@example.com"], "phone": [""], "lang": ["fi"]})


def test_a_first_form_is_small(chromium: Browser, shown: Shown) -> None:
    """A form asks for nothing but its style, its script and its icon (G6, G8)."""
    asked: list[str] = []
    with _tab(chromium) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{shown.origin}/da/password")

    assert len(asked) <= 4
    assert all(url.startswith(shown.origin) for url in asked)
