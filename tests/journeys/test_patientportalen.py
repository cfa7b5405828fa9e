"""Logging in to the Danish clinic's portal, in a real browser (002)."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys.moves import Visitor, back, reload
from tests.sandbox.running import Sandbox

pytestmark = pytest.mark.browser


def _choose_mitid(page: Page) -> None:
    page.locator("button[name=provider][value=mitid]").click()


def _be(page: Page, person: str, outcome: str = "approve") -> None:
    page.locator(f"input[name=person][value={person}]").check()
    page.locator(f"input[name=outcome][value={outcome}]").check()
    page.locator("button[type=submit]").click()


def _log_in(page: Page, person: str = "anna") -> None:
    _choose_mitid(page)
    _be(page, person)


def test_six_clicks(sandbox: Sandbox, page: Page) -> None:
    """From the sandbox's start page to a greeting by name are six clicks at most (X-1), script or none (G12)."""
    page.goto(sandbox.issuer)
    page.get_by_role("link", name="Log in at Patientportalen").click()
    page.get_by_role("link", name="Log ind", exact=True).click()
    _choose_mitid(page)
    page.locator("input[name=person][value=anna]").check()
    page.locator("button[type=submit]").click()

    expect(page.locator("#name")).to_have_text("Anna Prøvesen")
    expect(page.locator("#acr")).to_have_text("substantial")


def test_door(sandbox: Sandbox, page: Page) -> None:
    """The link for prescriptions on the clinic's site leads to prescriptions, after the login (R49)."""
    page.goto(sandbox.portal("patientportalen"))
    page.locator("main").get_by_role("link", name="Receptfornyelse").click()
    _log_in(page)

    expect(page).to_have_url(sandbox.portal("patientportalen", "receptfornyelse"))


def test_language_keeps_the_step(sandbox: Sandbox, page: Page) -> None:
    """The language is switched without losing the login: same transaction, same door at the end (G11, R58)."""
    page.goto(sandbox.portal("patientportalen", "e-konsultation"))
    here = page.url
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    assert page.url == here
    page.get_by_role("button", name="Dansk").click()
    expect(page.locator("html")).to_have_attribute("lang", "da")

    _log_in(page)

    expect(page).to_have_url(sandbox.portal("patientportalen", "e-konsultation"))


def test_cancel_at_mitid(sandbox: Sandbox, page: Page) -> None:
    """Who cancels at MitID may choose again, and gets in."""
    page.goto(sandbox.portal("patientportalen", "e-konsultation"))
    _choose_mitid(page)
    _be(page, "anna", "cancel")
    expect(page.locator("main .note").first).to_be_visible()

    _log_in(page)

    expect(page.locator("#name")).to_have_text("Anna Prøvesen")


def test_cancel_to_the_portal(sandbox: Sandbox, page: Page) -> None:
    """The way back to the portal without a login ends in words and another try."""
    page.goto(sandbox.portal("patientportalen", "e-konsultation"))
    page.locator("footer a.tlink").click()

    expect(page.locator("h1")).to_have_text("Du loggede ikke ind")
    page.get_by_role("link", name="Prøv igen").click()
    _log_in(page)
    expect(page).to_have_url(sandbox.portal("patientportalen", "e-konsultation"))


def test_back_from_mitid(sandbox: Sandbox, page: Page) -> None:
    """The Back button from MitID leads to the choice, from where the login goes on (G14)."""
    page.goto(sandbox.portal("patientportalen", "tidsbestilling"))
    _choose_mitid(page)
    back(page)
    expect(page.locator("button[value=mitid]")).to_be_visible()

    _log_in(page)

    expect(page.locator("#name")).to_have_text("Anna Prøvesen")


def test_back_after_the_login(sandbox: Sandbox, page: Page) -> None:
    """The Back button after a login is no dead end: every page has a way to the portal, and Forward works (G14)."""
    page.goto(sandbox.portal("patientportalen", "tidsbestilling"))
    _log_in(page)
    expect(page.locator("#name")).to_be_visible()

    back(page)
    expect(page.locator("h1")).to_be_visible()
    back(page)
    expect(page.locator("main a, main button").first).to_be_visible()
    page.go_forward()
    page.go_forward()

    expect(page.locator("#name")).to_have_text("Anna Prøvesen")


def test_reload(sandbox: Sandbox, page: Page) -> None:
    """Every page of the login can be loaded again (G13)."""
    page.goto(sandbox.portal("patientportalen", "tidsbestilling"))
    reload(page)
    _choose_mitid(page)
    reload(page)
    _be(page, "anna")
    expect(page.locator("#name")).to_have_text("Anna Prøvesen")
    reload(page)

    expect(page.locator("#name")).to_have_text("Anna Prøvesen")


def test_double_click(sandbox: Sandbox, page: Page) -> None:
    """A double click on each button has the effect of one (G15)."""
    page.goto(sandbox.portal("patientportalen", "tidsbestilling"))
    page.locator("button[value=mitid]").dblclick(no_wait_after=True)
    page.locator("input[name=person][value=anna]").check()
    page.locator("button[type=submit]").dblclick(no_wait_after=True)

    expect(page).to_have_url(sandbox.portal("patientportalen", "tidsbestilling"))
    expect(page.locator("#name")).to_have_text("Anna Prøvesen")


def test_two_tabs(sandbox: Sandbox, page: Page) -> None:
    """Logins in two tabs both end at their own doors; a tab that comes later finds the person logged in (G16)."""
    other = page.context.new_page()
    page.goto(sandbox.portal("patientportalen", "tidsbestilling"))
    other.goto(sandbox.portal("patientportalen", "receptfornyelse"))
    _log_in(page)
    expect(page).to_have_url(sandbox.portal("patientportalen", "tidsbestilling"))

    _log_in(other)

    expect(other).to_have_url(sandbox.portal("patientportalen", "receptfornyelse"))
    reload(page)
    expect(page.locator("#name")).to_have_text("Anna Prøvesen")


def test_two_portals_two_tabs(sandbox: Sandbox, visitor: Visitor) -> None:
    """Logins in two tabs both end at their portals; logging out in one ends the other, which is no dead end (G16)."""
    page = visitor.page
    # Somebody who comes by MitID alone: who came through the gateway before is another to a portal without the number.
    other = page.context.new_page()
    page.goto(sandbox.portal("patientportalen", "tidsbestilling"))
    other.goto(sandbox.portal("aleris", "booking/1042"))
    _log_in(other, "lars")
    expect(other).to_have_url(sandbox.portal("aleris", "booking/1042"))
    _log_in(page, "lars")
    expect(page).to_have_url(sandbox.portal("patientportalen", "tidsbestilling"))

    reload(other)
    expect(other.locator("#name")).to_have_text("Lars Femtenberg")
    page.get_by_role("button", name="Log ud").click()
    visitor.arrive("h1:text('Du er logget ud')")
    for _ in range(60):  # the message is under way for some milliseconds
        reload(other)
        if other.locator("#ended").count():
            break
    other.locator("main a.btn").click()
    _log_in(other, "lars")
    expect(other).to_have_url(sandbox.portal("aleris", "booking/1042"))


def test_log_out(sandbox: Sandbox, visitor: Visitor) -> None:
    """After logging out the next login asks MitID again (R47)."""
    page = visitor.page
    page.goto(sandbox.portal("patientportalen", "tidsbestilling"))
    _log_in(page)
    page.get_by_role("button", name="Log ud").click()
    visitor.arrive("h1:text('Du er logget ud')")
    assert page.url.startswith(sandbox.portal("patientportalen", "goodbye"))

    page.goto(sandbox.portal("patientportalen", "tidsbestilling"))

    expect(page.locator("button[value=mitid]")).to_be_visible()


def test_what_just_happened(sandbox: Sandbox, page: Page) -> None:
    """Each step opens its decoded parameters and tokens without any script."""
    page.goto(sandbox.portal("patientportalen", "tidsbestilling"))
    _log_in(page)
    page.locator("main").get_by_role("link", name="What just happened").click()

    expect(page.locator(".trail > li")).to_have_count(5)
    page.locator("summary").first.click()
    expect(page.locator("code", has_text="code_challenge_method").first).to_be_visible()


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut(sandbox: Sandbox, chromium: Browser, scheme: str, width: int) -> None:
    """No page of the portals or the panels is wider than the screen, from 320 px on, light or dark (G2)."""
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    panels = ["", "/inbox", *(f"/sandbox/{name}" for name in ("people", "clock", "break", "connect", "reset"))]
    page.goto(sandbox.portal("aleris", "booking/1042"))
    _log_in(page)
    doors = [sandbox.portal("aleris", path) for path in ("", "booking/1042", "happened", "help", "nothing")]

    for address in [*(sandbox.issuer + panel for panel in panels), *doors]:
        page.goto(address)
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    context.close()
