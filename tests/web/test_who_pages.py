"""The pages of guardians: whom it is about, the one refusal, and the banner on whatever page comes after."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from lxml import html
from playwright.sync_api import Browser

from idbroker.clinic import LANGUAGES
from idbroker.clock import StoppedClock
from idbroker.web.forms import typed
from idbroker.web.pages import Pages
from idbroker.words import Words
from tests.conftest import NOW
from tests.guardianship.acting_house import FAMILY, GIVEN, ActingHouse, open_acting_house
from tests.web.gallery import Shown, form_view, show

PAGES = Pages(Words())
TERMS = {"version": "3", "texts": {"da": "Vi passer på dine oplysninger."}}
HEIGHTS = "all => all.map(one => one.getBoundingClientRect().height)"


def _read(name: str, language: str = "da", **changes: object) -> Any:
    return html.document_fromstring(PAGES.form(form_view(language, name, **changes)))


def _words(found: Any) -> str:
    return " ".join(found.text_content().split())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActingHouse]:
    """Serve a clinic with terms, and a service that asks for consent, where anna acts for a child."""
    clinic, clients = {"terms": TERMS}, {"careful": {"consent": "ask", "purpose": {"en": "to show it"}}}
    folder = tmp_path_factory.mktemp("who")
    with open_acting_house(folder, StoppedClock(NOW), clinic=clinic, clients=clients) as opened:
        opened.ward(1)
        yield opened


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    """Serve the choice, in Danish."""
    with show(PAGES, {"/who": PAGES.form(form_view("da", "who"))}) as server:
        yield server


# ---- the choice ----------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_and_ages_and_nothing_else(language: str) -> None:
    """Each choice is a name, left alone by translators, and an age in words; nothing is chosen beforehand (1.9)."""
    page = _read("who", language)
    cards = page.xpath("//fieldset/label")
    figures = re.findall(r"\d+", " ".join(map(_words, cards)))

    assert [name.text for name in page.xpath("//fieldset//b[@translate='no']")][:2] == ["Anna Åberg", "Bo Åberg"]
    assert figures == ["9", "1", "1"]  # "under 1 year old" is the last
    assert not page.xpath("//input[@type='radio' and @checked]")
    assert page.xpath("string(//fieldset/legend)") == page.findtext(".//h1")
    assert not page.xpath("//fieldset//img")


def test_an_age_of_one_is_said_as_one() -> None:
    """One year, and less than one, have words of their own."""
    cards = [_words(card) for card in _read("who", "en").xpath("//fieldset/label")]

    assert cards[1] == "Bo Åberg, 9 years old"
    assert cards[2].endswith(", 1 year old")
    assert cards[3] == "Name not shown, under 1 year old"


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_is_missing_before_and_after_another_page(language: str) -> None:
    """Before one has chosen at Suomi.fi there is no list to speak of; after it the page says whom it shows."""
    own = {"fi": "Suomi.fi-valtuudet", "sv": "Suomi.fi-fullmakter"}.get(language, "Suomi.fi e-Authorizations")
    before, after = _read("who-elsewhere", language), _read("who-back", language)
    asked = [page.xpath("string(//details/summary)") for page in (before, after)]
    told = [page.xpath("string(//details/p)") for page in (before, after)]

    assert own in asked[0]
    assert own not in told[0]
    assert asked[1] == Words().say("a.miss", language, "DK")
    assert own in told[1]
    for page in (before, after):
        assert own in page.xpath("string(//button[@value='elsewhere'])")
        assert _words(page).count("Suomi.fi-valtuudet") == (2 if language == "fi" else 0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_whose_consent_it_is(language: str) -> None:
    """Who acts for somebody reads for whom they answer, and that terms are their own; nobody else reads either."""
    acting, words = _read("consent-acting", language), Words()

    assert "Bo Åberg" in acting.xpath("string(//p[@id='for'])")
    assert not acting.xpath("//a[contains(@href, '#consents')]"), "the answer is not on the guardian's page"
    assert _read("consent", language).xpath("//a[contains(@href, '#consents')]")
    assert not _read("consent", language).xpath("//p[@id='for']")
    own = words.say("n.terms.own", language, "DK")
    assert own in _words(_read("terms-acting", language))
    assert own not in _words(_read("terms", language))


def test_another_language_keeps_the_choice_and_the_number() -> None:
    """What was chosen and typed is there in the next language; what is asked for by nobody is dropped (D3)."""
    fields = {"who": "1", "number": "0105", "country": "SE", "mask": "1", "register": "x", "lang": "sv"}

    assert typed("who", fields) == {"who": "1", "number": "0105", "country": "SE", "mask": "1"}
    assert _read("who-chosen", "sv").xpath("//input[@type='radio' and @checked]/@value") == ["1"]


@pytest.mark.parametrize("name", ["who-down", "who-only-down"])
def test_where_a_register_is_down_nothing_can_be_typed(name: str) -> None:
    """There is a sentence with the telephone, at most oneself to choose, and no field that could only be refused."""
    page = _read(name)

    assert page.xpath("//p[@class='note']//a[@href='tel:+4533123456']")
    assert not page.xpath("//input[@name='number']")
    assert len(page.xpath("//input[@type='radio']")) == (1 if name == "who-down" else 0)


def test_nobody_to_choose_has_no_button_that_leads_nowhere() -> None:
    """Where only another may be chosen, and there is none, the number is open at once."""
    page = _read("who-nobody")

    assert page.xpath("//details[@open]//input[@name='number']")
    assert not page.xpath("//button[@value='chosen']")


@pytest.mark.browser
@pytest.mark.parametrize("script", [True, False])
def test_enter_in_the_number_is_no_choice(chromium: Browser, shown: Shown, script: bool) -> None:
    """Enter in the field posts the number without `do`, so that the number is meant, not who is chosen above (0.4)."""
    page = chromium.new_page(java_script_enabled=script, viewport={"width": 320, "height": 640})
    page.goto(f"{shown.origin}/who")
    heights = page.locator("label.card").evaluate_all(HEIGHTS)
    page.locator("details > summary").first.click()
    page.fill("#pid", "010518-1234")
    page.press("#pid", "Enter")
    page.wait_for_url("**/t/abc/who")
    page.close()

    path, fields = shown.posted.pop()
    assert (path, fields["number"], "do" in fields) == ("/t/abc/who", ["010518-1234"], False)
    assert min(heights) >= 56


# ---- the refusal ---------------------------------------------------------------------------------


def test_the_refusal_says_no_reason_and_two_ways_on() -> None:
    """It says whom to call, and leads back to the choice and to the service; nothing of a cause is in it (D11)."""
    page = _read("whono")
    view = form_view("da", "whono")

    assert page.xpath("//main//button[@value='back']")
    assert page.xpath("//main//a[@href='/t/abc/cancel']")
    assert page.xpath("//main//p//a[@href='tel:+4533123456']")
    assert PAGES.form(view) == PAGES.form(replace(view, values={}))


# ---- the banner ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["terms", "consent", "contact", "code", "check", "differ", "enrol", "have", "child"])
def test_the_banner_is_on_every_page(name: str) -> None:
    """Whatever is asked, the page says whom it is about before its heading, and its form may change that (A2)."""
    page = _read(name, about="Bo Åberg")
    banner = page.xpath("//h1/preceding::p[@class='about']")[0]

    assert _words(banner).startswith("Det gælder Bo Åberg")
    assert banner.xpath(".//b[@translate='no']")[0].text == "Bo Åberg"
    assert banner.xpath("button[@form='f' and @name='do']/@value") == ["person"]
    assert not _read(name).xpath("//p[@class='about']")


def test_the_banner_of_a_sign_in(house: ActingHouse) -> None:
    """After the choice terms and consent both say whom it is about; there another person is chosen (A2)."""
    browser = house.browser()
    who = house.proved(browser, client_id="careful")
    assert 'class="about"' not in who.text
    terms = browser.press(who, who="0", do="chosen")
    consent = browser.press(terms)
    for page, path in ((terms, "/terms"), (consent, "/consent")):
        assert page.url.endswith(path)
        assert f'<b translate="no">{GIVEN} {FAMILY}</b>' in page.text

    again = browser.press(consent, do="person")
    assert again.url.endswith("/who")
    oneself = browser.press(again, who="self", do="chosen")
    assert oneself.url.endswith("/consent")  # the terms are the guardian's, and agreed to
    assert 'class="about"' not in oneself.text
