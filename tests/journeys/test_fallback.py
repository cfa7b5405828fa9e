"""Signing in without an eID at the Danish clinic's portal: number, password and a code by e-mail (002, R7-R10)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from tests.journeys.moves import back, reload
from tests.journeys.patients import ANY, Guest, Patient, patient
from tests.sandbox.running import Sandbox

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("as_they_were")]

PORTAL, DOOR, OTHER = "patientportalen", "tidsbestilling", "receptfornyelse"
WRONG = "Rabarber4kurve"
SPELLINGS = {"da": "{0}{1}{2}-{3}{4}", "sv": "{0}{1}{2}{3}{4}", "fi": "{0}{1}{2} {3}{4}", "en": " {0} {1} {2} {3} {4} "}
NUMBER = "631042-0201"  # of somebody who may be nobody
TYPINGS = {"da": "{0} {1}", "sv": "{0}-{1}", "fi": "{0}{1}", "en": "{0}\u00a0{1}"}
HIDDEN = "getComputedStyle(document.querySelector('#pid')).webkitTextSecurity"


def _as_typed(code: str, how: str) -> str:
    return how.format(code[:3], code[3:])


def _spelt(who: Patient, how: str) -> str:
    """Return a CPR number in one of its spellings: whose age is their story has another every day."""
    digits = who.number.replace("-", "")
    return how.format(*(digits[at : at + 2] for at in range(0, 10, 2)))


def test_number_password_and_code(spoken: Guest) -> None:
    """Beside the eIDs there is a way without: number, password, a code by e-mail, in each language (R7, R10, R44)."""
    who = patient(spoken.sandbox, "oda")
    spoken.page.goto(spoken.sandbox.portal(PORTAL))
    spoken.page.get_by_role("link", name="Log ind", exact=True).click()
    spoken.speak(spoken.language)
    for way in ("mitid", "borgeradgang", "fallback"):
        expect(spoken.page.locator(f"button[name=provider][value={way}]")).to_be_visible()
    spoken.by_password()
    spoken.page.locator("#mask").check()
    assert spoken.page.evaluate(HIDDEN) == "disc"
    spoken.types(_spelt(who, SPELLINGS[spoken.language]), who.password)

    spoken.is_headed("o.h1")
    message = who.email.next()
    assert spoken.words("m.mailsub", code=message["code"], service="Patientportalen") == message["subject"]
    assert spoken.page.locator("button[value=sms], button[value=app]").count() == 0
    spoken.types_code(_as_typed(message["code"], TYPINGS[spoken.language]))
    expect(spoken.page.locator("#name, .svc b").first).to_have_text(who.name)
    expect(spoken.page.locator("form[action$='/logout']")).to_be_visible()


def test_the_number_stays(guest: Guest) -> None:
    """A wrong password, another language and a reload keep the number and its box, and never the password (R44)."""
    who = patient(guest.sandbox, "oda")
    guest.choose(PORTAL, DOOR)
    guest.by_password()
    guest.page.locator("#mask").check()
    guest.types(_spelt(who, SPELLINGS["da"]), WRONG)
    guest.is_told("p.e.wrong")
    finnish = replace(guest, language="fi")
    finnish.speak("fi")
    finnish.is_told("p.e.wrong")
    reload(guest.page)

    expect(guest.page.locator("#pid")).to_have_value(_spelt(who, SPELLINGS["da"]))
    expect(guest.page.locator("#mask")).to_be_checked()
    expect(guest.page.locator("#password")).to_have_value("")
    guest.page.fill("#password", who.password)
    guest.go_on()
    finnish.is_headed("o.h1")
    finnish.types_code(who.email.code())
    guest.is_at(PORTAL, DOOR)


def test_a_typed_number_survives_the_switch(guest: Guest) -> None:
    """What was typed and not sent yet is there in the next language too (D3)."""
    guest.choose(PORTAL, DOOR)
    guest.by_password()
    guest.page.fill("#pid", NUMBER.replace("-", ""))
    guest.speak("sv")

    expect(guest.page.locator("#pid")).to_have_value(NUMBER.replace("-", "") if not guest.script else NUMBER)


def test_tries_left_then_locked(spoken: Guest) -> None:
    """The third miss tells how many are left, the fifth until when it is shut; MitID goes on (O5)."""
    spoken.choose(PORTAL, DOOR)
    spoken.by_password()
    for left in (None, None, 2, 1):
        spoken.types(NUMBER, WRONG)
        spoken.is_told("p.e.wrong")
        if left is not None:
            spoken.is_told("p.e.left1" if left == 1 else "p.e.left", n=left)
        reload(spoken.page)
    spoken.types(NUMBER, WRONG)
    expect(spoken.page.locator("main button[value=mitid]")).to_be_visible()
    assert len(spoken.clock_times("o.e.lock")) == 1
    spoken.page.locator("button[value=mitid]").click()
    spoken.page.locator("input[value=anna]").check()
    spoken.page.locator("form button[type=submit]").click()

    spoken.is_at(PORTAL, DOOR)


def test_another_code(guest: Guest) -> None:
    """Pressed twice, one more code is sent; the first still works beside it (O2, O3)."""
    who = patient(guest.sandbox, "oda")
    guest.choose(PORTAL, DOOR)
    guest.by_password()
    guest.types(who.number, who.password)
    guest.is_headed("o.h1")
    first = who.email.code()
    guest.sandbox.call("PUT", "clock", {"plus": 11})  # two within ten seconds are one
    guest.does("again", twice=True)
    expect(guest.page.locator("p.note[role=status]")).to_be_visible()
    assert len(guest.clock_times("o.sent")) == 1
    who.email.next()
    guest.types_code(first)
    guest.is_at(PORTAL, DOOR)

    assert who.email.got == 2


def test_wrong_codes(spoken: Guest) -> None:
    """A wrong code says how many tries are left, the last one until when it is shut, with the eIDs (O5)."""
    who = patient(spoken.sandbox, "oda")
    spoken.choose(PORTAL, DOOR)
    spoken.by_password()
    spoken.types(who.number, who.password)
    spoken.is_headed("o.h1")
    right = who.email.code()
    for left in (4, 3, 2, 1):
        spoken.types_code("000000" if right != "000000" else "111111")
        spoken.is_told("o.e.wrong")
        spoken.is_told("p.e.left1" if left == 1 else "p.e.left", n=left)
        reload(spoken.page)
    spoken.types_code("000000" if right != "000000" else "111111")
    expect(spoken.page.locator("main button[value=mitid]")).to_be_visible()

    assert len(spoken.clock_times("o.e.lock")) == 1


def test_no_code_costs_no_try(guest: Guest) -> None:
    """What cannot be a code is said, and no try is spent; the right one then works (O1)."""
    who = patient(guest.sandbox, "oda")
    guest.choose(PORTAL, DOOR)
    guest.by_password()
    guest.types(who.number, who.password)
    guest.is_headed("o.h1")
    for _ in range(6):
        guest.types_code("12345")
        guest.is_told("o.e.wrong")
    guest.types_code(who.email.code())

    guest.is_at(PORTAL, DOOR)


def test_old_code(guest: Guest) -> None:
    """A code that is too old is replaced at once, and the page says so."""
    who = patient(guest.sandbox, "oda")
    guest.choose(PORTAL, DOOR)
    guest.by_password()
    guest.types(who.number, who.password)
    guest.is_headed("o.h1")
    old = who.email.code()
    guest.sandbox.call("PUT", "clock", {"plus": 6 * 60})
    guest.types_code(old)
    guest.is_told("o.e.old")
    guest.types_code(who.email.code())

    guest.is_at(PORTAL, DOOR)


def test_double_clicks(guest: Guest) -> None:
    """A double click on each button has the effect of one: one message, one sign-in (G15)."""
    who = patient(guest.sandbox, "oda")
    guest.page.goto(guest.sandbox.portal(PORTAL, DOOR))
    guest.page.locator("button[value=fallback]").dblclick(no_wait_after=True)
    guest.page.fill("#pid", who.number)
    guest.page.fill("#password", who.password)
    guest.button.dblclick(no_wait_after=True)
    guest.is_headed("o.h1")
    guest.page.fill("#code", who.email.code())
    guest.button.dblclick(no_wait_after=True)
    guest.is_at(PORTAL, DOOR)

    assert who.email.got == 1


def test_back_and_reload(guest: Guest) -> None:
    """Back leads to the page before, Reload sends nothing again, and the sign-in goes on (G13, G14)."""
    who = patient(guest.sandbox, "oda")
    guest.choose(PORTAL, DOOR)
    guest.by_password()
    reload(guest.page)
    guest.types(who.number, who.password)
    guest.is_headed("o.h1")
    reload(guest.page)
    guest.is_headed("o.h1")
    back(guest.page)
    expect(guest.page.locator(ANY)).not_to_have_count(0)
    guest.page.go_forward()
    guest.is_headed("o.h1")
    guest.types_code(who.email.code())
    guest.is_at(PORTAL, DOOR)
    back(guest.page)
    expect(guest.page.locator(ANY)).not_to_have_count(0)
    guest.page.go_forward()

    guest.is_at(PORTAL, DOOR)
    assert who.email.got == 1


def test_two_tabs(guest: Guest) -> None:
    """Two sign-ins in two tabs have codes of their own, and both end at their own doors (G16)."""
    who = patient(guest.sandbox, "oda")
    other = replace(guest, page=guest.page.context.new_page())
    codes = []
    for one, door in ((guest, DOOR), (other, OTHER)):
        one.choose(PORTAL, door)
        one.by_password()
        one.types(who.number, who.password)
        one.is_headed("o.h1")
        codes.append(who.email.code())
    other.types_code(codes[1])
    other.is_at(PORTAL, OTHER)
    guest.types_code(codes[0])

    guest.is_at(PORTAL, DOOR)


def test_other_ways(guest: Guest) -> None:
    """From the password and from the code one gets back to the choice, and in by MitID."""
    who = patient(guest.sandbox, "oda")
    guest.choose(PORTAL, DOOR)
    guest.by_password()
    guest.does("back")
    guest.is_headed("c.h1")
    guest.by_password()
    guest.types(who.number, who.password)
    guest.is_headed("o.h1")
    guest.does("back")
    guest.is_headed("c.h1")
    guest.prove("mitid", "anna")

    guest.is_at(PORTAL, DOOR)


def test_the_mail_server_is_down(guest: Guest, town: Sandbox) -> None:
    """The page says that the code cannot be sent; when mail works again, a code comes and lets in."""
    who = patient(town, "oda")
    town.call("PUT", "faults/email", {"status": 550})
    guest.choose(PORTAL, DOOR)
    guest.by_password()
    guest.types(who.number, who.password)
    guest.is_headed("o.h1")
    for _ in range(60):  # the refusal is under way for some milliseconds
        reload(guest.page)
        if guest.page.locator(".note.warn").count():
            break
    guest.sees("o.dead")
    town.call("PUT", "faults/email", {})
    town.call("PUT", "clock", {"plus": 11})  # a press within ten seconds of the first is the same press
    guest.does("again")
    expect(guest.page.locator(".note.warn")).to_have_count(0)
    guest.types_code(who.email.code())

    guest.is_at(PORTAL, DOOR)


def test_log_out_then_back(guest: Guest) -> None:
    """After logging out, Back shows nothing of the person, and the next sign-in asks again (R47)."""
    who = patient(guest.sandbox, "oda")
    guest.log_in(who, PORTAL, DOOR)
    guest.is_at(PORTAL, DOOR)
    guest.page.get_by_role("button", name="Log ud").click()
    guest.arrive("h1:text('Du er logget ud')")
    back(guest.page)
    expect(guest.page.locator("body")).not_to_contain_text("Kodebjerg")
    guest.page.goto(guest.sandbox.portal(PORTAL, DOOR))

    expect(guest.page.locator("button[value=fallback]")).to_be_visible()
