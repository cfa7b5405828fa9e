"""Logging in at Patientportalen through the health authority's gateway, in a real browser (002)."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.journeys.moves import Visitor, back, reload
from tests.sandbox.running import Sandbox

pytestmark = pytest.mark.browser

NAME = "main:has(form[action$='/logout']) #name"
DOORS = ("tidsbestilling", "e-konsultation", "receptfornyelse")


def test_door(sandbox: Sandbox, visitor: Visitor) -> None:
    """A link on the clinic's site leads to where it says, after MitID at the gateway (R49)."""
    page, door = visitor.page, DOORS[2]
    page.goto(sandbox.portal("patientportalen"))
    page.locator(f"main a[href$='/{door}']").first.click()
    visitor.prove("borgeradgang", "anna")

    expect(visitor.arrive(NAME)).to_have_text("Anna Prøvesen")
    expect(page.locator("#acr")).to_have_text("high")
    expect(page).to_have_url(sandbox.portal("patientportalen", door))


def test_remembered(sandbox: Sandbox, visitor: Visitor) -> None:
    """The code display is as good as the app; whom the gateway is to remember, it offers first the next time."""
    page = visitor.page
    page.goto(sandbox.portal("patientportalen", DOORS[0]))
    page.locator("button[value=borgeradgang]").click()
    page.locator("input[name=remember]").check()
    page.locator("input[name=person][value=susan]").check()
    page.locator("input[name=method][value=code_display]").check()
    page.locator("form button[type=submit]").first.click()
    visitor.arrive(NAME)
    page.locator("form[action$='/logout'] button").click()
    visitor.arrive("h1:text('Du er logget ud')")
    page.goto(sandbox.portal("patientportalen", DOORS[0]))
    page.locator("button[value=borgeradgang]").click()

    expect(page.locator("input[name=person]").first).to_have_value("susan")


def test_cancel_and_again(sandbox: Sandbox, visitor: Visitor) -> None:
    """Who cancels at the gateway is back at the choice, which says so, and gets in from there."""
    page = visitor.page
    page.goto(sandbox.portal("patientportalen", DOORS[1]))
    page.locator("button[value=borgeradgang]").click()
    page.locator("button[name=cancel]").click()
    expect(visitor.arrive("main .note:has-text('borgeradgang')")).to_be_visible()

    visitor.prove("borgeradgang", "anna")
    expect(visitor.arrive(NAME)).to_have_text("Anna Prøvesen")


def test_blocked(sandbox: Sandbox, visitor: Visitor) -> None:
    """Whose MitID is blocked is told so in words, and can choose another way: nobody is at a dead end."""
    page = visitor.page
    page.goto(sandbox.portal("patientportalen", DOORS[1]))
    visitor.prove("borgeradgang", "anna", "blocked")
    expect(visitor.arrive("main .note")).to_be_visible()

    visitor.prove("mitid", "anna")
    expect(visitor.arrive(NAME)).to_have_text("Anna Prøvesen")


def test_help(sandbox: Sandbox, visitor: Visitor) -> None:
    """Help is on the clinic's pages, on ours and at the gateway; after each of them the login goes on."""
    page = visitor.page
    page.goto(sandbox.portal("patientportalen", DOORS[2]))
    page.locator("footer li a").first.click()
    expect(page.locator("h1")).to_have_text("Hjælp")
    expect(page.locator("main")).to_contain_text("borgeradgangen")
    back(page)
    page.locator("button[value=borgeradgang]").click()
    page.locator("summary").click()
    expect(page.locator("details p")).to_be_visible()
    page.locator("input[name=person][value=anna]").check()
    page.locator("form button[type=submit]").first.click()

    expect(visitor.arrive(NAME)).to_have_text("Anna Prøvesen")


def test_back_and_reload(sandbox: Sandbox, visitor: Visitor) -> None:
    """Back from the gateway leads to the choice, every page can be loaded again, and the login goes on (G13, G14)."""
    page = visitor.page
    page.goto(sandbox.portal("patientportalen", DOORS[0]))
    page.locator("button[value=borgeradgang]").click()
    reload(page)
    back(page)
    expect(page.locator("button[value=borgeradgang]")).to_be_visible()
    reload(page)
    visitor.prove("borgeradgang", "anna")
    expect(visitor.arrive(NAME)).to_have_text("Anna Prøvesen")
    reload(page)

    expect(page.locator(NAME)).to_have_text("Anna Prøvesen")


def test_two_tabs(sandbox: Sandbox, visitor: Visitor) -> None:
    """Two tabs that both go to the gateway end at their own doors (G16)."""
    page, other = visitor.page, Visitor(page=visitor.page.context.new_page(), script=visitor.script)
    for tab, door in ((visitor, DOORS[0]), (other, DOORS[1])):
        tab.page.goto(sandbox.portal("patientportalen", door))
        tab.page.locator("button[value=borgeradgang]").click()
    for tab, door in ((visitor, DOORS[0]), (other, DOORS[1])):
        tab.page.locator("input[name=person][value=anna]").check()
        tab.page.locator("form button[type=submit]").first.click()
        tab.arrive(NAME)
        expect(tab.page).to_have_url(sandbox.portal("patientportalen", door))

    reload(page)
    expect(page.locator(NAME)).to_have_text("Anna Prøvesen")
