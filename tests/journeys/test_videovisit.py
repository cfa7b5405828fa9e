"""A video visit in a real browser: by the link in an e-mail, with suomi.fi, in Finnish and Swedish (004)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.moves import Visitor, reload
from tests.sandbox.running import Sandbox

pytestmark = pytest.mark.browser

LATER = "visit/4107"  # Aino's, a quarter of an hour after the start
NOW = "visit/4108"  # Jaana's
WHO = "main:has(form[action$='/logout']) #name"


@pytest.fixture
def clock(sandbox: Sandbox) -> Iterator[Sandbox]:
    """Give the sandbox, and put its clock back by what it was put forward."""
    before = sandbox.call("GET", "clock").json()["now"]
    yield sandbox
    sandbox.call("PUT", "clock", {"now": before})


def _stage(page: Page, stage: str) -> None:
    expect(page.locator(f"#stage[data-stage={stage}]")).to_be_visible()


def _at_the_choice(sandbox: Sandbox, page: Page, visit: str) -> None:
    page.goto(sandbox.portal("videovisit", visit))
    page.locator("main a.btn").click()
    expect(page.locator("button[value=suomifi]")).to_be_visible()


@pytest.mark.parametrize(
    ("language", "own", "login", "ask"),
    [("fi", None, "Tunnistaudu", "Pyydä päästä mukaan"), ("sv", "Svenska", "Identifiera dig", "Be att få ansluta")],
)
def test_from_the_mail_to_the_visit(
    clock: Sandbox, visitor: Visitor, language: str, own: str | None, login: str, ask: str
) -> None:
    """The link says when the visit opens; one can sign in before, join then, hang up and come back (R50, R54, R58)."""
    # It is a quarter of an hour after the sandbox was made, which other journeys may have used up.
    assert clock.call("POST", "reset").status_code == 200
    page = visitor.page
    page.goto(f"{clock.issuer}/inbox")
    page.locator("li", has_text="aino@").get_by_role("link", name="Open the link").first.click()
    if own is not None:
        page.get_by_role("link", name=own).click()
    expect(page.locator("html")).to_have_attribute("lang", language)
    _stage(page, "early")

    page.get_by_role("link", name=login, exact=True).click()
    expect(page.locator("html")).to_have_attribute("lang", language)
    page.locator("button[value=suomifi]").click()
    expect(page.locator("html")).to_have_attribute("lang", language)
    page.locator("input[name=method][value=bank]").check()
    page.locator("input[name=person][value=aino]").check()
    page.locator("form button[type=submit]").first.click()
    expect(visitor.arrive(WHO)).to_have_text("Aino Koehenkilö")
    expect(page).to_have_url(clock.portal("videovisit", LATER))
    _stage(page, "early")
    expect(page.get_by_role("button", name=ask)).to_be_disabled()

    clock.call("PUT", "clock", {"plus": 15 * 60})
    reload(page)
    page.get_by_role("button", name=ask).click()
    _stage(page, "waiting")
    clock.call("PUT", "clock", {"plus": 10})
    page.locator(f"main a[href$='{LATER}']").click()
    _stage(page, "inside")
    page.locator("form[action$='/hang-up'] button").click()
    _stage(page, "open")


def test_cancel_and_again(sandbox: Sandbox, visitor: Visitor) -> None:
    """Who cancels at suomi.fi is back at the choice, which says so, and comes in by the same link."""
    page = visitor.page
    _at_the_choice(sandbox, page, NOW)
    page.locator("button[value=suomifi]").click()
    page.locator("button[name=cancel]").click()
    expect(visitor.arrive("main .note:has-text('Suomi.fi')")).to_be_visible()

    visitor.prove("suomifi", "jaana", method="mobile")
    expect(visitor.arrive(WHO)).to_have_text("Jaana Eivaltuutta")
    expect(page).to_have_url(sandbox.portal("videovisit", NOW))


def test_cancel_at_ours(sandbox: Sandbox, visitor: Visitor) -> None:
    """Who turns back at our page is at the portal, which says so and offers another try."""
    page = visitor.page
    _at_the_choice(sandbox, page, NOW)
    page.locator("footer a.tlink").click()
    expect(page.locator("h1")).to_have_text("Et kirjautunut sisään")
    page.get_by_role("link", name="Yritä uudelleen").click()

    expect(page.locator("main a.btn")).to_be_visible()
    assert page.url == sandbox.portal("videovisit", NOW)


def test_somebody_elses_visit(sandbox: Sandbox, visitor: Visitor) -> None:
    """Who is not the one invited is told so, with the way to log out."""
    page = visitor.page
    _at_the_choice(sandbox, page, NOW)
    visitor.prove("suomifi", "aino")

    expect(visitor.arrive("main:has-text('jonkun toisen')")).to_be_visible()
    visitor.said[:] = [what for what in visitor.said if "403" not in what]


def test_double_click(sandbox: Sandbox, visitor: Visitor) -> None:
    """A double click on each button has the effect of one (G15)."""
    page = visitor.page
    _at_the_choice(sandbox, page, NOW)
    page.locator("button[value=suomifi]").dblclick(no_wait_after=True)
    page.locator("input[name=person][value=jaana]").check()
    page.locator("form button[type=submit]").first.dblclick(no_wait_after=True)

    expect(visitor.arrive(WHO)).to_have_text("Jaana Eivaltuutta")
