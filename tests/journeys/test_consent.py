"""The terms before the eID, and what a service may be told: Aleris' app for video visits (000, R41-R43)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from tests.journeys.moves import back, reload
from tests.journeys.patients import ANY, Guest

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("as_they_were")]

PORTAL, DOOR = "alerisapp", "visit"
OURS = ["en", "da"]
SAY_YES = {  # whose yes is kept: each is asked once
    ("en", True): ("anna", "Anna Prøvesen"),
    ("en", False): ("lars", "Lars Femtenberg"),
    ("da", True): ("karen", "Karen Vergemaalsen"),
    ("da", False): ("mogens", "Mogens Nyadressen"),
}
PURPOSE = {"en": "who is in the video call", "da": "hvem der er i videosamtalen"}


def _terms(guest: Guest) -> None:
    guest.choose(PORTAL, DOOR)
    guest.is_headed("n.terms.h1", clinic="Aleris")


def _to_the_question(guest: Guest, person: str = "susan") -> None:
    _terms(guest)
    guest.go_on()
    guest.prove("mitid", person)
    guest.is_headed("n.h1", service="Aleris video")


@pytest.mark.parametrize("language", OURS)
def test_yes_and_yes(guest: Guest, language: str) -> None:
    """Terms that can be read, MitID, what is given and what for; a yes is remembered at the next sign-in (R41, R42)."""
    guest = replace(guest, language=language)
    person, name = SAY_YES[language, guest.script]
    _to_the_question(guest, person)
    expect(guest.page.locator("dl.rows")).to_contain_text(name)
    expect(guest.page.locator("main")).to_contain_text(PURPOSE[language])
    reload(guest.page)
    guest.is_headed("n.h1", service="Aleris video")
    guest.button.dblclick(no_wait_after=True)
    guest.is_at(PORTAL, DOOR)

    guest.page.context.clear_cookies()
    _terms(guest)  # nobody knows yet who comes: who says yes again has said it twice
    guest.go_on()
    guest.prove("mitid", person)
    guest.is_at(PORTAL, DOOR)


@pytest.mark.parametrize("language", OURS)
def test_no_to_the_terms(guest: Guest, language: str) -> None:
    """Who says no is back at the portal, which says so, and MitID was never asked; one can try again (R41)."""
    guest = replace(guest, language=language)
    _terms(guest)
    guest.does("no")
    expect(guest.page).to_have_url(guest.sandbox.portal(PORTAL, "failed"))
    expect(guest.page.locator("#error")).to_have_text("access_denied")
    guest.page.locator("main a.btn").click()
    guest.speak(language)

    guest.is_headed("n.terms.h1", clinic="Aleris")


@pytest.mark.parametrize("language", OURS)
def test_no_to_the_service(guest: Guest, language: str) -> None:
    """Who does not want the service told is back there with access_denied, and Back consents to nothing (N1)."""
    guest = replace(guest, language=language)
    _to_the_question(guest)
    guest.does("no")
    expect(guest.page.locator("#error")).to_have_text("access_denied")
    back(guest.page)
    expect(guest.page.locator(ANY)).not_to_have_count(0)
    guest.page.goto(guest.sandbox.portal(PORTAL, DOOR))

    assert guest.page.locator("form[action$='/logout']").count() == 0
