"""Help, the privacy notice, the accessibility statement: about the service one comes from, and of nobody else's."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from lxml import html

from idbroker.clinic import LANGUAGES
from idbroker.errors import Refused
from idbroker.steps import notice_of
from idbroker.web.pages import AUTHORITIES, Pages
from idbroker.web.views import DOCUMENTS, DocumentView, Frame
from idbroker.words import Words, read_texts
from tests.door import Browser, Door, words_of
from tests.web.gallery import WAYS, frame

PAGES = Pages(Words())
MOST = 28  # words in a sentence
FOREIGN = ("suomi.fi", "bankid", "freja", "sverige", "finland")


def tree(page: str) -> Any:
    """Return a page, read."""
    return html.document_fromstring(page)


def text_of(view: DocumentView) -> str:
    """Return what a page says, as one reads it."""
    main = tree(PAGES.document(view)).get_element_by_id("main")
    return " ".join(str(main.text_content()).split())


def transaction_of(url: str) -> str:
    """Return the transaction of a page's address."""
    return urlsplit(url).path.split("/")[2]


def linked(browser: Browser, url: str, name: str) -> str:
    """Return where a page's link to one of the documents goes."""
    found = re.search(rf'href="(/{name}\?[^"]*)"', browser.fetch(url).text)
    assert found is not None
    return found[1].replace("&amp;", "&")


# ---- at the door ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_sign_in_is_found_again(door: Door, name: str) -> None:
    """From a page of a sign-in one reads the clinic's name and telephone, and gets back to that very page (R61)."""
    browser = door.browser()
    began = browser.authorize()
    page = browser.fetch(linked(browser, began.url, name))

    assert "Clinea" in page.text
    assert "tel:+4570100000" in page.text
    assert f'href="{urlsplit(began.url).path}">Tilbage til login</a>' in page.text
    assert browser.fetch(urlsplit(began.url).path).status_code == 200


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nobody_learns_of_another_sign_in(door: Door, name: str) -> None:
    """The attack: another's transaction is asked about. Its page is, octet by octet, as for one that never was."""
    began = door.browser().authorize()
    stranger, mine = door.browser(), transaction_of(began.url)
    asked = [stranger.fetch(f"/{name}?lang=da&t={known}").text for known in (mine, "A" * 22)]

    assert asked[0] == asked[1]
    assert "Clinea" not in asked[0]
    assert "Tilbage til login" not in asked[0]


def test_a_cookie_for_another_opens_nothing(door: Door) -> None:
    """The attack: a cookie is made up under another's transaction's name; it shows what it says itself, no more."""
    name, stranger = transaction_of(door.browser().authorize().url), door.browser()
    pages = []
    for known in (name, name[:8] + "A" * 14):
        stranger.session.cookies.set(f"t-{name[:8]}", f"1.{'x' * 43}.da.another")
        pages.append(stranger.fetch(f"/help?lang=da&t={known}").text)

    assert pages[0] == pages[1]
    assert "Tilbage til login" not in pages[0]
    assert 'href="https://record.test/start"' in pages[0]


def test_a_sign_in_that_is_over_leads_to_the_service(door: Door) -> None:
    """When the time is up the clinic is still named, and the way on is the service's own start page."""
    browser = door.browser()
    name = transaction_of(browser.authorize(client_id="another").url)
    door.clock.move(timedelta(hours=1))
    page = browser.fetch(f"/help?lang=da&t={name}").text

    assert "Tilbage til login" not in page
    assert 'href="https://record.test/start"' in page
    assert "Clinea" in page


@pytest.mark.parametrize(
    "asked",
    [
        "client=https://evil.test/",
        "client=nobody",
        "client=%00",
        "t=https://evil.test/",
        "t=..%2F..%2Fevil",
        "t=%0d%0aX:1",
        "back=https://evil.test/",
        f"client={'a' * 5000}",
    ],
)
def test_no_page_leads_where_an_address_says(door: Door, asked: str) -> None:
    """The attack: open redirect. Whatever an address holds, a page leads to registered addresses or nowhere."""
    page = door.browser().fetch(f"/help?{asked}")

    assert page.status_code == 200
    assert "evil" not in page.text
    assert page.text.count("<a ") == 4  # to the text, and the three of the footer


def test_the_language_is_switched_where_one_is(door: Door) -> None:
    """Switching the language keeps the sign-in that one came from."""
    browser = door.browser()
    url = linked(browser, browser.authorize().url, "privacy")
    page = tree(browser.fetch(url).text)
    fields = {one.get("name"): one.get("value") for one in page.xpath("//form[@id='f']/input")}

    assert fields == {"t": url.partition("t=")[2]}
    assert "Back to login" in words_of(browser.fetch(f"/privacy?t={fields['t']}&lang=en"))


def test_who_has_grown_too_old_is_told_so() -> None:
    """A child whose password stopped counting at midnight reads that, and not that it was too slow."""
    assert notice_of(Refused("outgrown")) == "e.outgrown"
    assert "own electronic ID" in read_texts()["en"]["e.outgrown"]


# ---- what they say -------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_dane_reads_of_danish_ways_only(language: str, name: str) -> None:
    """What there is at clinics in other countries is not said to a Danish clinic's patient."""
    view = DocumentView(frame=frame(language), name=name, ways=WAYS[:1], by_app=False, signed_days=180, acts=False)
    said = text_of(view).lower()

    assert not [one for one in FOREIGN if one in said]
    assert [one["name"] for country, one in AUTHORITIES.items() if country != "DK" and one["name"] in said] == []


def test_without_a_service_the_ways_are_by_country() -> None:
    """Nobody knows where one comes from: all ways, each below the country of the clinics that take it."""
    view = DocumentView(frame=Frame(language="en"), name="help", by_country={"DK": WAYS[:1], "FI": WAYS[3:4]})
    page = tree(PAGES.document(view))

    assert [one.text_content() for one in page.xpath("//h3")] == ["Denmark", "Finland"]
    assert [one.text_content() for one in page.xpath("//dt")] == ["MitID", "Suomi.fi"]


@pytest.mark.parametrize(
    ("registration", "says"),
    [
        ("unneeded", "You need not register"),
        ("off", "The clinic does it for you"),
        ("automatic", "Register a child under 15"),
        ("approval", "The clinic may look at it first"),
        ("", "At some clinics you register"),
    ],
)
def test_help_explains_registration_as_it_is_there(registration: str, says: str) -> None:
    """R57: registration, one's own and a child's, is explained before login, as the clinic has it."""
    child_age = 15 if registration in ("automatic", "approval") else 0
    said = text_of(
        DocumentView(frame=frame("en"), name="help", ways=WAYS, registration=registration, child_age=child_age)
    )

    assert says in said
    assert ("Register a child" in said) == (registration not in ("unneeded", "off"))


def test_help_tells_what_to_do() -> None:
    """R60, R61: try in good time; what to do without a code or a link; a forgotten password; whom to call."""
    said = text_of(DocumentView(frame=frame("en"), name="help", ways=WAYS))

    for part in ("some days before your appointment", "spam folder", "Forgotten your password?", "+45 33 12 34 56"):
        assert part in said
    bare = DocumentView(frame=frame("en", phone=None), name="help", by_password=False, own_code=False)
    without = text_of(bare)
    assert "password" not in without
    assert "Contact Lægerne på Åboulevarden" in without


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_notice_says_how_long(language: str) -> None:
    """R46: what BankID and Freja sign is told of with its days, where it is kept, and where there is such an app."""
    view = DocumentView(frame=frame(language), name="privacy", ways=WAYS, signed_days=77, hours=9)

    assert re.search(r"\b77\b", text_of(view))
    assert re.search(r"\b9\b", text_of(view))
    assert not re.search(r"\b77\b", text_of(replace(view, by_app=False)))
    assert not re.search(r"\b0\b", text_of(replace(view, signed_days=0)))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["help", "privacy"])
def test_sentences_are_short(language: str, name: str) -> None:
    """People of 84 read them: no sentence has more than 28 words."""
    texts = [
        text for key, text in read_texts()[language].items() if key.startswith({"help": "h.", "privacy": "v."}[name])
    ]
    sentences = [one for text in texts for one in re.split(r"[.?:] ", text)]

    assert [one for one in sentences if len(one.split()) > MOST] == []


def test_complaints_go_to_the_country() -> None:
    """The notice names the clinic that answers, and its country's authority; all of them where none is known."""
    known = DocumentView(frame=frame("en"), name="privacy")

    assert "Lægerne på Åboulevarden is responsible" in text_of(known)
    assert "tietosuoja.fi" not in PAGES.document(known)
    assert "tietosuoja.fi" in PAGES.document(replace(known, frame=Frame(language="en")))


def test_programs_find_the_statement() -> None:
    """1.18: the statement is there for programs too, and its page says where."""
    page = tree(PAGES.document(DocumentView(frame=frame("en"), name="accessibility")))
    addresses = {*page.xpath("//link[@type='application/json']/@href")}

    assert addresses == {PAGES.asset("accessibility.json")}
    assert PAGES.asset("accessibility.json") in page.xpath("//main//a/@href")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "Call Lægerne på Åboulevarden: +45 33 12 34 56"),
        ({"phone": None}, "Tell Lægerne på Åboulevarden."),
        ({"phone": None, "clinic": None}, "Tell the clinic."),
    ],
)
def test_faults_can_be_told(changes: dict[str, None], says: str) -> None:
    """1.18: the statement says whom to tell: the clinic by telephone, by name, or just the clinic."""
    assert says in text_of(DocumentView(frame=frame("en", **changes), name="accessibility"))
