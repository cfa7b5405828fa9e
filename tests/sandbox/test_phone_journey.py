"""Logging in with an app in a real browser: the phone in a second window, or on the same device."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.sandbox.running import Sandbox

pytestmark = pytest.mark.browser

PATIENCE = 20_000


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def context(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[BrowserContext]:
    """Give a browser on a phone, once with JavaScript and once without; a violated policy fails the journey."""
    context = chromium.new_context(java_script_enabled=request.param, viewport={"width": 390, "height": 800})
    context.set_default_timeout(PATIENCE)
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text))
    yield context
    context.close()
    assert not [text for text in said if "Content Security Policy" in text]


def _choose(sandbox: Sandbox, context: BrowserContext, portal: str, door: str, eid: str) -> Page:
    page = context.new_page()
    page.goto(sandbox.portal(portal, door))
    page.locator(f"button[name=provider][value={eid}]").click()
    page.wait_for_url("**/wait")
    sandbox.touched.append(eid)
    return page


def _himself(page: Page) -> None:
    """Say whom it is about: Björn has a daughter, and Min Hälsa asks."""
    page.locator("input[name=who][value=self]").check()
    page.locator("button[name=do][value=chosen]").click()


@pytest.mark.parametrize("eid", ["bankid", "freja"])
def test_in_a_second_window(sandbox: Sandbox, context: BrowserContext, eid: str) -> None:
    """The phone scans the login page's code in one press; once approved, the page goes on to the booked visit."""
    page = _choose(sandbox, context, "minhalsa", "besok/2031", eid)
    phone = context.new_page()
    phone.goto(f"{sandbox.issuer}/sandbox/phone/of/bjorn")
    phone.get_by_role("button", name="Scan the code").click()
    phone.get_by_role("button", name="Approve").click()
    expect(phone.get_by_role("status")).to_contain_text("Done in")
    without_script = page.get_by_role("button", name="Jag har godk\u00e4nt")
    if without_script.is_visible():
        without_script.click()
    _himself(page)

    page.wait_for_url(sandbox.portal("minhalsa", "besok/2031"))
    expect(page.locator("#name")).to_have_text("Bj\u00f6rn Provsson")


@pytest.mark.parametrize("eid", ["bankid", "freja"])
def test_on_the_same_device(sandbox: Sandbox, context: BrowserContext, eid: str) -> None:
    """The login page's button opens the app, and the app leads back into the service, at the booked visit."""
    page = _choose(sandbox, context, "minhalsa", "besok/2031", eid)
    page.locator("button[name=do][value=this]").click()
    page.locator("#open").click()
    page.get_by_role("link", name="Bj\u00f6rn").click()
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(lambda url: "/sandbox/phone/" not in url)
    if "/wait" in page.url:
        page.locator("#approved").click()
    _himself(page)

    page.wait_for_url(sandbox.portal("minhalsa", "besok/2031"))
    expect(page.locator("#name")).to_have_text("Bj\u00f6rn Provsson")
