"""The sandbox's own pages and the demo portals are as accessible as the login between them (X-3)."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.sandbox.running import Sandbox

pytestmark = pytest.mark.browser

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
PANELS = ("/", "/inbox", *(f"/sandbox/{name}" for name in ("people", "clock", "break", "connect", "reset", "phone/")))
SWEDISH = {"minhalsa": ("", "hjalp", "annan-e-legitimation"), "neuroreg": ("", "hjalp", "statistik", "vardgivare")}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(sandbox: Sandbox, chromium: Browser, scheme: str) -> None:
    """axe-core has no finding on any panel or portal page, with everything unfolded (G1; WCAG 2.2 AA)."""
    context = chromium.new_context(color_scheme="dark" if scheme == "dark" else "light", bypass_csp=True)
    page = context.new_page()
    found = {}

    def look(address: str) -> None:
        page.goto(address)
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        report = Axe().run(page, options=RULES).response
        found[address] = [(v["id"], [node["target"] for node in v["nodes"]]) for v in report["violations"]]

    for panel in PANELS:
        look(sandbox.issuer + panel)
    for portal, help_path in (("patientportalen", "hjaelp"), ("aleris", "help")):
        look(sandbox.portal(portal))
        page.goto(sandbox.portal(portal, "login"))
        if page.url.startswith(sandbox.issuer):
            page.locator("button[value=mitid]").click()
            page.locator("input[value=anna]").check()
            page.locator("button[type=submit]").click()
        page.wait_for_url(sandbox.portal(portal, "**"))
        for address in (
            page.url,
            *(sandbox.portal(portal, path) for path in ("happened", help_path, "lost", "goodbye")),
        ):
            look(address)
    for portal, paths in SWEDISH.items():
        for path in paths:
            look(sandbox.portal(portal, path))
    context.close()

    assert not {address: violations for address, violations in found.items() if violations}
