"""A lasting password from the clinic: seed 003 from "Redigera" to the patient's own registration (R30-R32, R40)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from tests.journeys.colleagues import Colleague
from tests.journeys.conftest import SPOKEN, Enter
from tests.journeys.patients import Patient, Post, patient

pytestmark = pytest.mark.browser

MOBILE, EMAIL = "+46701740631", "bjorn.ny@example.test"
_PASSWORD = re.compile(r"^\s*([^\s]{12,})\s*$", re.MULTILINE)


def found(enter: Enter, language: str = "sv", *, script: bool = True) -> tuple[Colleague, Patient]:
    """Return a carer at a patient's page, found by number, and the patient."""
    anna = enter(language, script=script, login="anna")
    who = patient(anna.sandbox, "bjorn")
    anna.comes_in("/staff/neuroreg")
    anna.reads()
    anna.looks_up(who.number)
    expect(anna.headline).to_have_text(who.name)
    anna.reads()
    return anna, who


def rewritten(anna: Colleague, mobile: str = MOBILE, email: str = EMAIL) -> None:
    """Write down a patient's addresses, as the patient says them."""
    anna.opens("edit")
    anna.page.fill("#phone", mobile)
    anna.page.fill("#email", email)
    anna.chooses(checked="card")
    anna.presses()


def sent(anna: Colleague, *by: str) -> None:
    """Send a new password by these ways."""
    anna.opens("access")
    for way in by:
        anna.page.locator(f"input[name={way}]").check()
    anna.presses()


def password_in(text: str) -> str:
    """Return the password that stands alone in a message."""
    return str(_PASSWORD.findall(text)[0])


@pytest.mark.parametrize(("language", "script"), SPOKEN)
def test_from_the_profile_to_the_form(enter: Enter, language: str, script: bool) -> None:
    """Edit, save, tick both ways, send, read the receipt; the patient logs in with it and a code of the moment."""
    anna, who = found(enter, language, script=script)
    phone, email = Post(sandbox=anna.sandbox, address=MOBILE), Post(sandbox=anna.sandbox, address=EMAIL)
    rewritten(anna)
    expect(anna.page.locator("main")).to_contain_text("+46 70 174 06 31")
    anna.reads()
    sent(anna, "sms", "email")
    receipt = anna.page.locator("main [role=status]")
    expect(receipt).to_contain_text(EMAIL)
    expect(receipt).to_contain_text(re.compile(r"\d\d:\d\d:\d\d"))
    password = password_in(phone.next()["text"])
    assert password_in(email.next()["text"]) == password

    guest = replace(enter(language, script=script), country="SE")
    guest.page.goto(guest.sandbox.portal("neuroreg", "login?door=per"))
    guest.speak(language)
    guest.by_password()
    guest.types(who.number, password)
    guest.is_headed("o.h1")
    guest.types_code(phone.code())
    guest.is_at("neuroreg", "per")
    expect(guest.page.locator("#amr")).to_have_text("pwd sms mfa")
    expect(guest.page.locator("#acr")).to_have_text("low")


@pytest.mark.parametrize("typed", ["+46812345678", "08-123 456 78", "12345", "+46"])
def test_a_number_that_takes_no_message(enter: Enter, typed: str) -> None:
    """The landline that the register's own instruction shows as an example is refused, and what was typed stays."""
    anna, _ = found(enter)
    rewritten(anna, mobile=typed)

    anna.is_headed("s.edit")
    expect(anna.page.locator("#phone")).to_have_value(typed)
    expect(anna.page.locator("#phone-error")).to_be_visible()
    expect(anna.page.locator("#email")).to_have_value(EMAIL)


def test_nothing_ticked(enter: Enter) -> None:
    """Without a way ticked nothing is sent, and the page says so."""
    anna, _ = found(enter)
    rewritten(anna)
    sent(anna)

    anna.is_told("s.ac.e.tick")


def test_three_in_an_hour(enter: Enter) -> None:
    """After three passwords in an hour the page says when there may be another, and sends none."""
    anna, _ = found(enter)
    phone = Post(sandbox=anna.sandbox, address=MOBILE)
    rewritten(anna)
    for _ in range(3):
        sent(anna, "sms")
        expect(anna.page.locator("main [role=status]")).to_be_visible()
        anna.page.locator("main a.tlink").last.click()
    sent(anna, "sms")

    expect(anna.page.locator(".sum")).to_contain_text(anna.words("s.ac.e.limit", time="\0").partition("\0")[0])
    assert phone.got == 3


def test_the_patient_reads_who_looked(enter: Enter) -> None:
    """That staff looked, changed and sent something is on the patient's My page: in which role, by no name."""
    found(enter)
    guest = enter("sv")
    guest.page.goto(f"{guest.sandbox.issuer}/me/neuroreg")
    guest.page.locator("button[name=provider][value=bankid]").click()
    order = next(one for one in guest.sandbox.call("GET", "orders").json() if one["provider"] == "bankid")
    guest.sandbox.call("POST", f"orders/{order['id']}", {"person": "bjorn", "outcome": "approve"})
    guest.arrive("#others")
    guest.reads()

    trail = guest.page.locator("#others + dl")
    said = guest.words("me.ev.patient.viewed", role="\0").partition("\0")[2]
    expect(trail).to_contain_text(said)
    expect(trail).not_to_contain_text("Anna")
