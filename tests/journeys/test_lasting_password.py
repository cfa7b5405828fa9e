"""Signing in to the Swedish register without an eID: a lasting password, a new code each time (003, R8, R29, R40)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from tests.journeys.patients import Guest, patient

pytestmark = pytest.mark.browser

PORTAL, DOOR = "neuroreg", "per"


@pytest.mark.usefixtures("as_they_were")
@pytest.mark.parametrize("language", ["sv", "en"])
def test_by_text_message(guest: Guest, language: str) -> None:
    """Personnummer, the lasting password, and a code by text message that the browser can bind to the page (R8, O4)."""
    guest, who = replace(guest, language=language, country="SE"), patient(guest.sandbox, "marta")
    assert who.phone is not None
    guest.choose(PORTAL, DOOR)
    guest.by_password()
    guest.types("19421021-9269" if language == "sv" else "421021-9269", who.password)
    guest.is_headed("o.h1")
    guest.sees("o.sms", tail=who.phone.address[-2:])
    message = who.phone.next()
    assert message["channel"] == "sms"
    assert message["text"].splitlines()[-1] == f"@localhost #{message['code']}"
    guest.types_code(message["code"])

    guest.is_at(PORTAL, DOOR)
    expect(guest.page.locator("#amr")).to_have_text("pwd sms mfa")


@pytest.mark.usefixtures("as_they_were")
def test_by_email_instead(guest: Guest) -> None:
    """One press sends the code by e-mail instead of as text message (R8, O3)."""
    guest, who = replace(guest, language="sv", country="SE"), patient(guest.sandbox, "marta")
    guest.choose(PORTAL, DOOR)
    guest.by_password()
    guest.types(who.number, who.password)
    guest.is_headed("o.h1")
    guest.does("email")
    guest.sees("o.mail", mail="m•••@e•••.test")
    guest.types_code(who.email.code())

    guest.is_at(PORTAL, DOOR)


@pytest.mark.usefixtures("as_they_were")
def test_a_new_code_each_time(guest: Guest) -> None:
    """The same password the second time, and another code: the first is of no more use (R8, R40)."""
    guest, who = replace(guest, language="sv", country="SE"), patient(guest.sandbox, "viktor")
    guest.choose(PORTAL, DOOR)
    guest.by_password()
    guest.types(who.number, who.password)
    guest.is_headed("o.h1")
    first = who.email.code()
    guest.types_code(first)
    guest.is_at(PORTAL, DOOR)
    guest.page.locator("form[action$='/logout'] button").click()
    guest.arrive("h1:text('utloggad'), h1:text('loggat ut')")

    guest.choose(PORTAL, DOOR)
    guest.by_password()
    guest.types(who.number, who.password)
    guest.is_headed("o.h1")
    second = who.email.code()
    guest.types_code(first)
    guest.is_told("o.e.wrong")
    guest.types_code(second)
    guest.is_at(PORTAL, DOOR)


@pytest.mark.usefixtures("as_they_were")
@pytest.mark.parametrize("language", ["sv", "en"])
def test_not_in_the_register(guest: Guest, language: str) -> None:
    """Who has an account elsewhere and was not entered here is told to call, and finds the way back (R29)."""
    guest, who = replace(guest, language=language, country="SE"), patient(guest.sandbox, "tove")
    guest.choose(PORTAL, DOOR)
    guest.by_password()
    guest.page.locator("form#f details > summary").click()
    guest.page.select_option("#country", "DK")
    guest.types(who.number, who.password)
    guest.is_headed("o.h1")
    assert who.phone is not None
    guest.types_code(who.phone.code())
    guest.is_headed("r.no.h1")
    expect(guest.page.locator("main a[href^='tel:']")).to_be_visible()
    guest.page.locator("main a.btn").click()

    expect(guest.page).to_have_url(guest.sandbox.portal(PORTAL, "failed"))


@pytest.mark.usefixtures("as_they_were")
def test_no_registration_here(helped: Guest) -> None:
    """A register that takes nobody by themselves offers no registration, only the ways in (R22)."""
    helped = replace(helped, language="sv", country="SE")
    helped.choose(PORTAL, DOOR)

    expect(helped.page.locator("button[value=fallback]")).to_be_visible()
    assert helped.page.locator("button[name=do]").count() == 0
