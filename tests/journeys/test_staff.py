"""Staff come in: two factors, back to the page they wanted, and out again (003; requirements C)."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import SPOKEN, Enter

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("as_they_were")]


@pytest.mark.parametrize(("language", "script"), SPOKEN)
def test_in_and_out(enter: Enter, language: str, script: bool) -> None:
    """User name, password and the app's code lead to the page that was asked for; afterwards nothing opens it."""
    anna = enter(language, script=script, login="anna")
    anna.comes_in("/staff/neuroreg")
    expect(anna.page).to_have_url(re.compile("/staff/neuroreg$"))
    expect(anna.page.locator("html")).to_have_attribute("lang", language)
    anna.sees("s.find")

    anna.goes_out()
    anna.goes("/staff/neuroreg")
    anna.is_headed("s.in.h1")


@pytest.mark.parametrize("script", [True, False])
def test_from_the_registers_menu(enter: Enter, script: bool) -> None:
    """The fourth door of the register leads staff to their own pages (R64)."""
    anna = enter("sv", script=script, login="anna")
    anna.page.goto(anna.sandbox.portal("neuroreg"))
    anna.page.locator("#menu summary").click()
    anna.page.get_by_role("link", name="Inloggade sidor för vårdpersonal").first.click()
    expect(anna.page).to_have_url(re.compile("/staff/sign-in"))
    anna.reads()

    anna.is_headed("s.in.h1")
    expect(anna.page.locator("main a[href='mailto:info@neuroreg.example']")).to_be_visible()


def test_wrong_password_and_old_code(enter: Enter) -> None:
    """One sentence for a wrong name and a wrong password; a code of another moment opens nothing."""
    bo = enter("da", login="bo")
    bo.goes("/staff")
    bo.page.fill("#login", "nobody")
    bo.page.fill("#password", "kaktus-bolge-lege-6")
    bo.go_on()
    first = bo.page.locator(".sum").inner_text()
    bo.page.fill("#login", "bo")
    bo.page.fill("#password", "kaktus-bolge-lege-6")
    bo.go_on()
    assert bo.page.locator(".sum").inner_text() == first

    bo.page.fill("#password", bo.known["password"])
    bo.go_on()
    bo.page.fill("#code", "000000" if bo.known["code"] != "000000" else "000001")
    bo.go_on()
    bo.is_told("s.in.e.code")


def test_a_carers_pages(enter: Enter) -> None:
    """A carer is shown no approvals and no colleagues, and is refused both by address, in words."""
    anna = enter("sv", login="anna")
    anna.comes_in("/staff/clinea")
    assert anna.page.locator("nav a[href$='/approvals'], nav a[href$='/colleagues']").count() == 0

    for page in ("approvals", "colleagues"):
        anna.goes(f"/staff/clinea/{page}")
        anna.is_headed("s.e.role.h1")
    anna.overlook("403")


def test_left_alone(enter: Enter) -> None:
    """A quarter of an hour without a press ends the sign-in; the page comes back after the next one."""
    anna = enter("sv", login="anna")
    anna.comes_in("/staff/neuroreg")
    anna.sandbox.call("PUT", "clock", {"plus": 16 * 60})
    anna.page.reload()

    anna.is_headed("s.in.h1")
    anna.comes_in("/staff/neuroreg")
    expect(anna.page).to_have_url(anna.at("/staff/neuroreg"))
