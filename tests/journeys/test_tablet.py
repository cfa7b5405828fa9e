"""Help on the clinic's tablet: a code, "is this you?", one service, and nothing left afterwards (R33, S2; 1.21)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journeys.colleagues import Colleague, handle
from tests.journeys.conftest import SPOKEN, Enter
from tests.journeys.moves import back
from tests.journeys.patients import patient

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("as_they_were")]

PER = "neuroreg", "per"


def begun(enter: Enter, language: str = "sv", *, script: bool = True, person: str = "marta") -> tuple[Colleague, str]:
    """Return a carer at the page that shows a code for a patient, and the code."""
    anna = enter(language, script=script, login="anna")
    anna.comes_in(f"/staff/neuroreg/patients/{handle(anna.sandbox, 'neuroreg', person)}/help")
    anna.chooses(service="neuroreg", checked="card", reason="no_eid")
    anna.presses()
    code = anna.page.locator(".pairing").inner_text()
    return anna, code


def handed_over(enter: Enter, code: str, language: str = "sv", *, script: bool = True) -> Colleague:
    """Return the tablet with the code typed."""
    tablet = enter(language, script=script)
    tablet.goes("/tablet")
    tablet.page.fill("#code", code)
    tablet.presses()
    expect(tablet.page).to_have_url(re.compile("/tablet/give"))
    return tablet


def state(anna: Colleague) -> Any:
    """Return what the carer's screen says of the tablet."""
    return anna.page.frame_locator("iframe.how").locator("[role=status]")


@pytest.mark.parametrize(("language", "script"), SPOKEN)
def test_a_patient_is_helped(enter: Enter, language: str, script: bool) -> None:
    """From the carer's screen to the form and back: the tablet never has a cookie of staff, and Back shows nobody."""
    who = patient(enter("sv").sandbox, "marta")
    anna, code = begun(enter, language, script=script)
    tablet = handed_over(enter, code, language, script=script)
    expect(tablet.headline).to_have_text(tablet.words("s.give", name=who.name, year="1942"))
    tablet.presses("yes")

    tablet.arrive("#helped")
    expect(tablet.page).to_have_url(tablet.sandbox.portal(*PER))
    expect(tablet.page.locator("#amr")).to_have_text("staff-assisted")
    expect(tablet.page.locator("#acr")).to_have_text("low")
    assert who.number not in tablet.page.content()
    assert all(not cookie["name"].endswith("staff") for cookie in tablet.page.context.cookies())
    assert all(cookie["expires"] == -1 or "code" not in cookie["name"] for cookie in tablet.page.context.cookies())
    tablet.page.goto(f"{tablet.page.url}?again")
    for ask in ("now", "walk", "worse"):
        tablet.page.locator(f"input[name={ask}][value='1']").check()
    tablet.page.locator("#answers button.btn").click()
    expect(tablet.page.locator("#receipt")).to_be_visible()

    tablet.page.locator("#helped button").click()
    tablet.arrive(f"h1:text-is('{replace(tablet, language='sv').words('s.done')}')")  # as the portal spoke
    assert tablet.page.context.cookies() == []
    expect(state(anna)).to_contain_text(anna.words("s.as.st.ended", time="\0").partition("\0")[0])
    for _ in range(3):
        back(tablet.page)
        expect(tablet.page.locator("body")).not_to_contain_text(who.name)
    tablet.overlook("status of 4")  # pages that are no more


def test_told_afterwards(enter: Enter) -> None:
    """The patient is told of it, by every address they have (m.assist)."""
    who = patient(enter("sv").sandbox, "marta")
    _, code = begun(enter)
    tablet = handed_over(enter, code)
    tablet.presses("yes")
    tablet.arrive("#helped")

    assert "Svenska neuroregister" in who.email.next()["text"]


def test_that_is_not_me(enter: Enter) -> None:
    """Who says no is signed in nowhere, and the carer sees it."""
    anna, code = begun(enter)
    tablet = handed_over(enter, code)
    tablet.presses("no")

    tablet.is_headed("s.tab.h1")
    expect(state(anna)).to_contain_text(anna.words("s.as.st.refused", time="\0").partition("\0")[0])


def test_a_code_works_once(enter: Enter) -> None:
    """A second tablet with the same code is told to ask for another; so is one with a wrong code."""
    _, code = begun(enter)
    handed_over(enter, code)
    second = enter("sv")
    for typed in (code, "000000"):
        second.goes("/tablet")
        second.page.fill("#code", typed)
        second.presses()
        second.is_told("s.tab.e.code")


def test_ended_from_the_carers_screen(enter: Enter) -> None:
    """The carer ends it: at the next press the tablet shows nothing of the patient."""
    who = patient(enter("sv").sandbox, "marta")
    anna, code = begun(enter)
    tablet = handed_over(enter, code)
    tablet.presses("yes")
    tablet.arrive("#helped")
    anna.presses()
    expect(state(anna)).to_contain_text(anna.words("s.as.st.ended", time="\0").partition("\0")[0])

    expect(tablet.page.locator("#helped")).to_be_visible()
    reloaded(tablet)
    expect(tablet.page.locator("body")).not_to_contain_text(who.name)


def test_left_open(enter: Enter) -> None:
    """Nobody presses anything for two minutes: whoever presses then sees nothing of the patient (server-side)."""
    who = patient(enter("sv").sandbox, "marta")
    anna, code = begun(enter)
    tablet = handed_over(enter, code)
    tablet.presses("yes")
    tablet.arrive("#helped")
    tablet.sandbox.call("PUT", "clock", {"plus": 121})
    tablet.page.goto(tablet.sandbox.portal(*PER))

    tablet.is_headed("s.done")
    expect(tablet.page.locator("body")).not_to_contain_text(who.name)
    expect(state(anna)).to_contain_text(anna.words("s.as.st.ended", time="\0").partition("\0")[0])


def test_not_in_a_colleagues_browser(enter: Enter) -> None:
    """The tablet's page is refused where a colleague is signed in, the office where a patient is."""
    anna, code = begun(enter)
    anna.goes("/tablet")
    anna.is_headed("s.tab.staff.h1")
    tablet = handed_over(enter, code)
    tablet.presses("yes")
    tablet.arrive("#helped")
    tablet.goes("/staff/neuroreg")
    tablet.is_headed("s.tab.patient.h1")
    for one in (anna, tablet):
        one.overlook("403")


def test_one_service_only(enter: Enter) -> None:
    """What staff have begun for one service opens no other: the patient is asked who they are there."""
    _, code = begun(enter, person="bjorn")
    tablet = handed_over(enter, code)
    tablet.presses("yes")
    tablet.arrive("#helped")
    tablet.page.goto(tablet.sandbox.portal("minhalsa", "bokade-tider"))

    expect(tablet.page.locator("button[name=provider][value=bankid]")).to_be_visible()


def reloaded(tablet: Colleague) -> None:
    """Press until the portal has been told: from server to server, within moments."""
    for _ in range(40):
        tablet.page.goto(tablet.sandbox.portal(*PER))
        if not tablet.page.locator("#helped").count():
            return
        tablet.page.wait_for_timeout(100)
