"""What staff print: a letter with a code, once; and instructions, which are everybody's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route

from idbroker.accounts import paper
from idbroker.clinic import LANGUAGES
from idbroker.clock import StoppedClock
from idbroker.office.printing import STEPS, Way
from idbroker.web import views
from idbroker.words import Words
from tests.office.patients_there import patient_at
from tests.office.staff_door import open_screen
from tests.office_door import Office, open_office, text_of

_CODE = re.compile(r"\b[A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4}\b")


@pytest.fixture
def office(tmp_path: Path, clock: StoppedClock) -> Iterator[Office]:
    """Give a broker whose clinic in Sweden has two services."""
    services = {"per": {"clinic": "neuroreg", "name": "PER", "start_url": "https://neuroreg.test/per"}}
    with open_office(tmp_path, clock, clients=services) as opened:
        yield opened


def test_a_letter_is_shown_once(office: Office) -> None:
    """The page after the press is the letter; a reload shows when it was made, and no code."""
    patient = patient_at(office, "clinea", told={})
    address, anna = f"/staff/clinea/patients/{patient.handle}/letter", office.client()

    page = office.go(anna, office.post(anna, address))

    (code,) = _CODE.findall(text_of(page.text))
    assert paper.typed(code)
    assert page.headers["Cache-Control"] == "no-store"
    again = anna.get(address).text
    assert "Letter made on 2026-11-22 at 10:00:00. Its code works until 2026-12-22 10:00." in text_of(again)
    assert code not in again
    (event,) = office.events("patient.letter")
    assert code not in repr(event)


def test_it_speaks_the_patients_language(office: Office) -> None:
    """Whatever the colleague speaks, the letter is in the patient's language, and says so to whom reads aloud."""
    patient = patient_at(office, "clinea", told={}, language="fi")
    anna = office.client()

    page = office.go(anna, office.post(anna, f"/staff/clinea/patients/{patient.handle}/letter"))

    assert '<html lang="en">' in page.text
    assert '<div class="sheet" lang="fi">' in page.text
    assert "Näin kirjaudut palveluun Portalen" in text_of(page.text)
    assert "https://broker.test/activate" in page.text


def test_no_letter_is_said_in_words(office: Office) -> None:
    """Without a number there is no letter; nor is there a fourth within the hour."""
    patient = patient_at(office, "clinea", told={})
    address, anna = f"/staff/clinea/patients/{patient.handle}/letter", office.client()
    for _ in range(3):
        office.go(anna, office.post(anna, address))

    assert "Try again at 11:00" in text_of(office.go(anna, office.post(anna, address)).text)
    other = patient_at(office, "clinea", "emil", entry=None, told={})
    address = f"/staff/clinea/patients/{other.handle}/letter"
    assert "has no number" in text_of(office.go(anna, office.post(anna, address)).text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_instructions_for_everybody(office: Office, language: str) -> None:
    """Without a sign-in, in each language: the service, its address, the steps and the telephone (R36)."""
    page = office.browser().get(f"/instructions/neuroreg/fallback?lang={language}&service=per")

    assert page.status_code == 200
    said = text_of(page.text)
    assert all(part in said for part in ("PER", "https://neuroreg.test/per", "+46 8 123 45 00"))
    assert page.text.count("<li>") >= len(STEPS["fallback"]) + 2


def test_no_such_instruction(office: Office) -> None:
    """A clinic or a way that is not there is not there; a service of another clinic is not named."""
    browser = office.browser()

    assert browser.get("/instructions/nowhere/fallback").status_code == 404
    assert browser.get("/instructions/neuroreg/bankid").status_code == 404
    assert "Portalen" not in browser.get("/instructions/neuroreg/fallback?service=portal").text


def test_the_list_leads_to_each(office: Office) -> None:
    """Staff find every way in every language that the clinic offers, and each link leads to a page."""
    anna = office.client()

    found = re.findall(r'href="(/instructions/[^"]+)"', anna.get("/staff/neuroreg/instructions").text)

    assert len(found) == len(LANGUAGES)
    assert all(anna.get(one.replace("&amp;", "&")).status_code == 200 for one in found)
    assert office.browser().get("/staff/neuroreg/instructions").status_code == 303


def test_the_way_of_staff_is_no_patients(tmp_path: Path, clock: StoppedClock) -> None:
    """Where staff may sign patients in on the screen, no instruction is printed for that."""
    with open_screen(tmp_path, clock) as screen:
        anna = screen.clinic.client()
        page = anna.get("/staff/neuroreg/instructions").text

        assert "/instructions/neuroreg/fallback" in page
        assert "/instructions/neuroreg/assisted" not in page
        assert anna.get("/instructions/neuroreg/assisted").status_code == 404


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_way_has_its_words(language: str) -> None:
    """For each eID that we have steps for there is what one needs and what one does, in each language."""
    words, values = Words(), {"clinic": "C", "eid": "E", "forgot": "F", "id": "I"}

    for keys in STEPS.values():
        assert all(words.say(key, language, **values) for key in keys)


def test_a_way_is_known_by_its_kind() -> None:
    """Whatever a configuration calls MitID, its button has MitID's words and brand, and its steps are printed."""
    button, printed = views.way("danskmitid", "MitID", "mitid"), Way(name="danskmitid", title="MitID", kind="mitid")
    plain = views.way("mitid", "MitID")

    assert (button.value, button.label, button.style) == ("danskmitid", plain.label, plain.style)
    assert (printed.label, printed.need, printed.steps) == ("c.mitid", "i.mitid.need", STEPS["mitid"])
    assert views.way("gaia", "Gaia ID", "oidc").label == "c.with"


def test_one_page_of_paper(office: Office, chromium: Browser) -> None:
    """Letter and instructions are one A4 page each in Chromium, without what is for the screen."""
    patient = patient_at(office, "clinea", told={})
    anna = office.client()
    letter = office.go(anna, office.post(anna, f"/staff/clinea/patients/{patient.handle}/letter")).text
    instruction = anna.get("/instructions/neuroreg/fallback?lang=fi").text

    for html in (letter, instruction):
        page = chromium.new_page()
        page.route("**/*", partial(_answer, office, html))
        page.goto("https://broker.test/page")
        pages = len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))
        page.emulate_media(media="print")
        beside = page.locator(".beside").is_visible()
        page.close()
        assert (pages, beside) == (1, False)


def _answer(office: Office, html: str, route: Route) -> None:
    url = route.request.url
    if "/static/" not in url:
        route.fulfill(body=html, content_type="text/html; charset=utf-8")
        return
    content, kind, _ = office.site.pages.static_file(url.split("/static/")[1].partition("?")[0])
    route.fulfill(body=content, content_type=kind)
