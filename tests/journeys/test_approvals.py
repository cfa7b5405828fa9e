"""Who asked to be taken: compared in words, answered once, told by e-mail (R14, R15, R26; S3)."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.journeys.colleagues import Colleague, handle, standing
from tests.journeys.conftest import SPOKEN, Enter
from tests.journeys.patients import patient

pytestmark = pytest.mark.browser

PAGE = "/staff/clinea/approvals"


def approver(enter: Enter, language: str = "da", *, script: bool = True, login: str = "bo") -> Colleague:
    """Return somebody who may answer, at the page of who waits."""
    bo = enter(language, script=script, country="DK", login=login)
    bo.comes_in(PAGE)
    bo.goes(PAGE)
    bo.is_headed("s.appr")
    return bo


def asking(bo: Colleague, person: str) -> Locator:
    """Return one who waits, on the page."""
    return bo.page.locator(f"section.asking[aria-labelledby='who-{handle(bo.sandbox, 'clinea', person)}']")


@pytest.mark.parametrize(("language", "script"), SPOKEN)
def test_compared_and_approved(enter: Enter, language: str, script: bool) -> None:
    """Differences from the clinic's own list stand in words; who is approved is told, and waits no more."""
    bo = approver(enter, language, script=script)
    expect(asking(bo, "vilma")).to_contain_text(bo.words("s.appr.same"))
    expect(asking(bo, "ida")).to_contain_text(bo.words("s.appr.new"))
    expect(asking(bo, "otto")).to_contain_text("Otto Afvigelund")
    expect(asking(bo, "otto")).to_contain_text("MitID")
    post = patient(bo.sandbox, "vilma").email

    asking(bo, "vilma").locator("button[value=approve]").click()
    expect(bo.page.locator("main [role=status]")).to_contain_text("Vilma Ventesen")
    assert standing(bo.sandbox, "clinea", "vilma") == "approved"
    assert "Test klinik 2" in post.next()["text"]


@pytest.mark.parametrize("script", [True, False])
def test_declined_with_a_reason(enter: Enter, script: bool) -> None:
    """Without a reason nobody is declined; with one they are, and the reason is not in the e-mail."""
    bo = approver(enter, script=script)
    post = patient(bo.sandbox, "ida").email
    asking(bo, "ida").locator("summary").click()
    asking(bo, "ida").locator("button[value=decline]").click()
    expect(bo.page.locator(".sum")).to_be_visible()
    assert standing(bo.sandbox, "clinea", "ida") == "asked"

    asking(bo, "ida").locator("input[name=reason]").fill("Bor i en anden kommune")
    asking(bo, "ida").locator("button[value=decline]").click()
    expect(bo.page.locator("main [role=status]")).to_contain_text("Ida Ukendtgaard")
    assert standing(bo.sandbox, "clinea", "ida") == "declined"
    assert "kommune" not in post.next()["text"]


@pytest.mark.parametrize("script", [True, False])
def test_two_approvers_race(enter: Enter, script: bool) -> None:
    """Two answers to one question: the first counts, and the other is told whose it was and when, without an error."""
    bo, cecilia = approver(enter, script=script), approver(enter, script=script, login="cecilia")
    asking(bo, "otto").locator("button[value=approve]").click()
    expect(bo.page.locator("main [role=status]")).to_contain_text("Otto")
    asking(cecilia, "otto").locator("summary").click()
    asking(cecilia, "otto").locator("input[name=reason]").fill("Navnet passer ikke")
    asking(cecilia, "otto").locator("button[value=decline]").click()

    told = cecilia.page.locator("main [role=status]")
    expect(told).to_contain_text("Bo Jasagersen")
    assert cecilia.page.locator(".sum").count() == 0
    assert standing(bo.sandbox, "clinea", "otto") == "approved"


def test_pressed_twice(enter: Enter) -> None:
    """A double click is one answer: one e-mail, no complaint."""
    bo = approver(enter)
    post = patient(bo.sandbox, "vilma").email
    asking(bo, "vilma").locator("button[value=approve]").dblclick(no_wait_after=True)

    expect(bo.page.locator("main [role=status]")).to_contain_text("Vilma Ventesen")
    post.next()
    assert post.got == 1


def test_only_those_who_are_alike_at_once(enter: Enter) -> None:
    """Many are approved at once only where nothing differs from the clinic's list (S3)."""
    bo = approver(enter)
    many = bo.page.locator("form.many")
    expect(many.locator("input[type=checkbox]")).to_have_count(2)
    many.locator("button[value=many]").click()

    expect(bo.page.locator("main [role=status]")).to_contain_text("Vilma Ventesen")
    found = {who: standing(bo.sandbox, "clinea", who) for who in ("vilma", "viggo", "otto", "ida")}
    assert found == {"vilma": "approved", "viggo": "approved", "otto": "asked", "ida": "asked"}
