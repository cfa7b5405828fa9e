"""The document's way: staff sign the patient in on the patient's own screen (003; R33, S2)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from tests.journeys.colleagues import Colleague
from tests.journeys.conftest import SPOKEN, Enter
from tests.journeys.moves import back
from tests.journeys.patients import Patient, patient

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("as_they_were")]

PER = "neuroreg", "per"


def at_the_screen(enter: Enter, language: str = "sv", *, script: bool = True) -> tuple[Colleague, Patient]:
    """Return the patient's screen, where staff have chosen their own way in, and the patient."""
    screen = enter(language, script=script, login="anna")
    screen.page.goto(screen.sandbox.portal("neuroreg"))
    screen.page.locator("#menu summary").click()
    screen.page.locator("#menu a").first.click()
    screen.speak(language)
    screen.page.locator("button[name=provider][value=assisted]").click()
    screen.is_headed("s.as.in.h1")
    return screen, patient(screen.sandbox, "marta")


def vouched(screen: Colleague, number: str) -> None:
    """Type the colleague's user name, password and code, and the patient's number."""
    screen.page.fill("#login", screen.login)
    screen.page.fill("#password", screen.known["password"])
    screen.go_on()
    screen.is_headed("s.as.code.h1")
    screen.page.fill("#code", screen.known["code"])
    screen.go_on()
    screen.is_headed("s.as.who.h1")
    screen.page.fill("#pid", number)
    screen.go_on()


@pytest.mark.parametrize(("language", "script"), SPOKEN)
def test_from_the_menu_to_the_form_and_out(enter: Enter, language: str, script: bool) -> None:
    """User name, password, app code, the patient's number, "yes, that is me": then PER, and nothing left after it."""
    screen, who = at_the_screen(enter, language, script=script)
    if language == "sv":
        screen.sees("s.as.siths")
        screen.sees("s.as.mail", mail="info@neuroreg.example")
    vouched(screen, who.number)
    expect(screen.headline).to_have_text(screen.words("s.as.isyou", name=who.name, year="1942"))
    screen.page.locator("button[value=yes]").click()

    screen.arrive("#helped")
    expect(screen.page).to_have_url(screen.sandbox.portal(*PER))
    expect(screen.page.locator("#amr")).to_have_text("staff-assisted")
    names = [cookie["name"] for cookie in screen.page.context.cookies()]
    assert [name for name in names if "staff" in name] == []

    screen.page.locator("#helped button").click()
    screen.arrive(f"h1:text-is('{replace(screen, language='sv').words('x.out')}')")
    for _ in range(3):
        back(screen.page)
        expect(screen.page.locator("body")).not_to_contain_text(who.name)
    screen.overlook("status of 4")  # pages that are no more


def test_the_staffs_pages_stay_shut(enter: Enter) -> None:
    """What a colleague typed here signs them in nowhere: the office asks who they are (session fixation)."""
    screen, who = at_the_screen(enter)
    vouched(screen, who.number)
    screen.goes("/staff/neuroreg")

    screen.is_headed("s.in.h1")


def test_nobodys_number(enter: Enter) -> None:
    """A number that the clinic does not have signs nobody in, whoever else knows it."""
    screen, _ = at_the_screen(enter)
    vouched(screen, patient(screen.sandbox, "samir").number)

    screen.is_told("s.as.e.nobody")


def test_that_is_not_me(enter: Enter) -> None:
    """The patient says that it is somebody else: nobody is signed in."""
    screen, who = at_the_screen(enter)
    vouched(screen, who.number)
    screen.page.locator("button[value=no]").click()
    expect(screen.page.locator("h1")).not_to_contain_text(who.name)
    screen.page.goto(screen.sandbox.portal(*PER))

    expect(screen.page.locator("button[name=provider]").first).to_be_visible()


def test_wrong_password(enter: Enter) -> None:
    """A wrong password is told in one sentence, and never comes back in the field."""
    screen, _ = at_the_screen(enter)
    screen.page.fill("#login", "anna")
    screen.page.fill("#password", "lampa-gurka-syster-4")
    screen.go_on()

    screen.is_told("s.as.e.login")
    expect(screen.page.locator("#password")).to_have_value("")
