"""The clock and family panels in a real browser: light and dark, on a phone and on a desk."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.sandbox.running import Sandbox

pytestmark = pytest.mark.browser

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_axe_finds_nothing(sandbox: Sandbox, chromium: Browser, scheme: str, width: int) -> None:
    """axe-core has no finding on clock, families and people, and nothing is wider than the window (WCAG 1.4.10)."""
    context = chromium.new_context(
        color_scheme="dark" if scheme == "dark" else "light", bypass_csp=True, viewport={"width": width, "height": 800}
    )
    page = context.new_page()
    found = {}
    for panel in ("clock", "families", "people"):
        page.goto(f"{sandbox.issuer}/sandbox/{panel}")
        report = Axe().run(page, options=RULES).response
        found[panel] = [(v["id"], v["nodes"][0]["target"]) for v in report["violations"]]
        assert not page.evaluate(WIDE), panel
    context.close()

    assert found == {"clock": [], "families": [], "people": []}


def test_across_midnight(sandbox: Sandbox, chromium: Browser) -> None:
    """A newcomer presses two buttons: a minute before midnight, and past it; the page says what has changed."""
    context = chromium.new_context()
    page = context.new_page()
    sandbox.touched.append("clock")
    page.goto(f"{sandbox.issuer}/sandbox/clock")

    page.get_by_role("button", name="Denmark and Sweden: a minute before").click()
    expect(page.locator(".now")).to_contain_text("23:59:")
    page.get_by_role("button", name="Denmark and Sweden: past midnight").click()

    expect(page.locator(".now")).to_contain_text("00:00:")
    expect(page.get_by_role("heading", name="At the last midnight")).to_be_visible()
    context.close()
