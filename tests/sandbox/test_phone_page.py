"""The phone in a real browser: accessible, small, up to date by itself, and of use without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from idbroker.clock import StoppedClock
from tests.sandbox.bankid_loopback import encoded
from tests.sandbox.pocket import Pocket, serve_phone

pytestmark = pytest.mark.browser

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
TEXT = encoded("Log in to Min H\u00e4lsa")


@pytest.fixture
def pocket(clock: StoppedClock, tmp_path: Path) -> Iterator[Pocket]:
    """Serve a phone."""
    with serve_phone(clock, tmp_path) as pocket:
        yield pocket


def _faults(page: Page) -> list[object]:
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    report = Axe().run(page, options=RULES).response
    found = [(one["id"], [node["target"] for node in one["nodes"]]) for one in report["violations"]]
    return [*found, *(["wider than the screen"] if wide else [])]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(chromium: Browser, pocket: Pocket, scheme: str) -> None:
    """axe-core has no finding on any screen, and none is wider than a small phone (WCAG 2.2 AA, 1.4.10)."""
    context = chromium.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,
        viewport={"width": 320, "height": 800},
    )
    page = context.new_page()
    order = pocket.service.auth(userVisibleData=TEXT, returnUrl="https://portal.test/back")
    found = []
    for address in (pocket.address, pocket.of("bjorn"), f"{pocket.address}/bankid", pocket.link(order)):
        page.goto(address)
        found += _faults(page)
    page.get_by_role("link", name="Bj\u00f6rn").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("BankID asks")
    found += _faults(page)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The app leads back")
    found += _faults(page)
    away = page.locator("#url").inner_text()
    context.close()

    assert (found, away) == ([], "https://portal.test/back")


def test_without_javascript_by_keyboard(chromium: Browser, pocket: Pocket) -> None:
    """With no script at all the keyboard alone scans, reads and approves."""
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pocket.address)
    page.get_by_role("link", name="Bj\u00f6rn").press("Enter")
    expect(page.get_by_text("No login page waits for BankID now")).to_be_visible()
    order = pocket.service.auth(userVisibleData=TEXT)
    page.get_by_role("link", name="Look again").press("Enter")
    page.get_by_role("button", name="Scan the code").press("Enter")
    expect(page.locator(".said")).to_have_text("Log in to Min H\u00e4lsa")
    page.get_by_role("button", name="Approve").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Done in BankID")
    context.close()

    assert pocket.service.collect(order)["status"] == "complete"


def test_looks_after_itself(chromium: Browser, pocket: Pocket) -> None:
    """What begins to wait shows by itself, within the page's policy, and takes nothing that is being typed."""
    context = chromium.new_context()
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(pocket.of("bjorn"))
    page.get_by_text("Type what a code says").click()
    page.get_by_label("Text of the code").fill("bankid.")
    pocket.service.auth(userVisibleData=TEXT)
    expect(page.get_by_role("button", name="Scan the code")).to_be_visible(timeout=15_000)
    typed = page.get_by_label("Text of the code").input_value()
    context.close()

    assert typed == "bankid."
    assert not [text for text in said if "Content Security Policy" in text]
