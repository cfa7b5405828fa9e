"""Who is on the telephone: staff ask, the patient approves in BankID, and nothing else is issued (L12)."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.journeys.colleagues import Colleague, handle
from tests.journeys.conftest import SPOKEN, Enter

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("as_they_were")]

EID = "BankID"


def asked(enter: Enter, language: str = "sv", *, script: bool = True, person: str = "bjorn") -> Colleague:
    """Return a carer who has just asked a patient on the telephone."""
    anna = enter(language, script=script, login="anna")
    anna.comes_in(f"/staff/neuroreg/patients/{handle(anna.sandbox, 'neuroreg', person)}/call")
    anna.chooses(eid="bankid", caller="clinic")
    anna.presses()
    anna.is_headed("s.tel.waiting.h1")
    return anna


def approves(anna: Colleague, person: str = "bjorn", outcome: str = "approve") -> int:
    """Do in the app what a person does; return the status of the answer."""
    order = next(one for one in anna.sandbox.call("GET", "orders").json() if one["provider"] == "bankid")
    return anna.sandbox.call("POST", f"orders/{order['id']}", {"person": person, "outcome": outcome}).status_code


@pytest.mark.parametrize(("language", "script"), SPOKEN)
def test_it_is_them(enter: Enter, language: str, script: bool) -> None:
    """The patient approves, and the carer's screen says so by itself, with what that proves and what it does not."""
    anna = asked(enter, language, script=script)
    assert approves(anna) == 200
    expect(anna.headline).to_have_text(anna.words("s.tel.confirmed.h1", name="Björn Provsson"), timeout=15_000)

    anna.sees("s.tel.proves.issued")
    anna.page.locator("main a.btn").last.click()
    expect(anna.headline).to_contain_text("Björn Provsson")


def test_somebody_else(enter: Enter) -> None:
    """Nobody else's app answers what was asked of one number: the page waits on, for the right one."""
    anna = asked(enter)
    approves(anna, "samir")
    anna.page.reload()
    anna.is_headed("s.tel.waiting.h1")

    approves(anna)
    expect(anna.headline).to_have_text(anna.words("s.tel.confirmed.h1", name="Björn Provsson"), timeout=15_000)


def test_cancelled(enter: Enter) -> None:
    """Who cancels in the app is not identified, and the carer may ask again."""
    anna = asked(enter)
    assert approves(anna, outcome="cancel") == 200

    expect(anna.headline).to_have_text(anna.words("s.tel.cancelled.h1"), timeout=15_000)
    expect(anna.page.locator("main a[href$='/call']")).to_be_visible()


def test_hung_up(enter: Enter) -> None:
    """The carer hangs up: the order is gone from the app."""
    anna = asked(enter)
    anna.page.locator("form[action$='/call'], main form[method=post]").first.locator("button").click()

    anna.is_headed("s.tel.ended.h1")
    assert [one for one in anna.sandbox.call("GET", "orders").json() if one["provider"] == "bankid"] == []
