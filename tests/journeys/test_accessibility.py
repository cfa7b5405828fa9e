"""The sandbox's own pages and the demo portals are as accessible as the login between them (X-3)."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.journeys.test_logout import EIDS, FINNISH, Eid
from tests.sandbox.running import Sandbox

pytestmark = pytest.mark.browser

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
PANELS = (
    "/",
    "/inbox",
    *(f"/sandbox/{name}" for name in ("people", "families", "staff", "clock", "break", "connect", "reset", "phone/")),
)
VIDEOVISIT = ("", "lapset", "ei-linkkia", "ohje", "visit/4107", "visit/4109", "in/sv?to=visit/4108")
SWEDISH = {"minhalsa": ("", "hjalp", "annan-e-legitimation"), "neuroreg": ("", "hjalp", "statistik", "failed")}


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


def test_a_form_and_its_receipt(sandbox: Sandbox, chromium: Browser) -> None:
    """axe-core has no finding on the register's form: empty, with something missing, and sent; light and dark."""
    context = chromium.new_context(bypass_csp=True, reduced_motion="reduce")  # no colour is half way to another
    page = context.new_page()
    found: list[tuple[bool, str, object]] = []

    def look() -> None:
        page.wait_for_load_state()  # with its style sheet
        for dark in (False, True):
            page.emulate_media(color_scheme="dark" if dark else "light")
            report = Axe().run(page, options=RULES).response
            found.extend((dark, v["id"], v["nodes"][0]["target"]) for v in report["violations"])

    page.goto(sandbox.portal("neuroreg", "login?door=per"))
    page.locator("button[value=bankid]").click()
    page.locator("main img, main svg, main iframe").first.wait_for(state="attached")
    order = next(one for one in sandbox.call("GET", "orders").json() if one["provider"] == "bankid")
    sandbox.call("POST", f"orders/{order['id']}", {"person": "bjorn", "outcome": "approve"})
    page.wait_for_url(sandbox.portal("neuroreg", "**"))
    page.goto(sandbox.portal("neuroreg", "per?again"))
    look()
    page.locator("#answers button.btn").click()
    page.locator("#missing").wait_for()
    look()
    for ask in ("now", "walk", "worse"):
        page.locator(f"input[name={ask}]").first.check()
    page.locator("#answers button.btn").click()
    page.locator("#receipt").wait_for()
    look()
    context.close()

    assert found == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@EIDS
def test_on_the_way_in_and_out(sandbox: Sandbox, chromium: Browser, scheme: str, eid: Eid) -> None:
    """axe-core has no finding on the simulated eID's pages, in and out, nor on ours when all is over."""
    context = chromium.new_context(color_scheme="dark" if scheme == "dark" else "light", bypass_csp=True)
    page = context.new_page()
    found = {}

    def look(what: str) -> None:
        page.wait_for_load_state()  # with its style sheet
        report = Axe().run(page, options=RULES).response
        found[what] = [(v["id"], [node["target"] for node in v["nodes"]]) for v in report["violations"]]

    def log_in() -> str:
        page.goto(sandbox.portal(eid.portal, f"login?door={eid.door}"))
        page.locator(f"button[value={eid.name}]").click()
        page.locator(f"input[name=person][value={eid.person}]").check()
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        look("sign-in")
        there = page.url.partition("/authn/")[0]
        page.locator("form button[type=submit]").first.click()
        if eid is FINNISH:
            page.locator("input[name=who]").first.check()
            look("who it is about")
            page.locator("button[value=chosen]").click()
        page.locator("form[action$='/logout']").first.wait_for()
        return there

    for path in VIDEOVISIT if eid is FINNISH else ():
        page.goto(sandbox.portal(eid.portal, path))
        look(path)
    there = log_in()
    look("logged in")
    page.goto(there + eid.logout_path)
    look("logout asked at the eID")
    page.locator("button[name=confirm]").click()
    page.locator("iframe.summary" if eid is FINNISH else "[role=status]").wait_for()
    look("logged out at the eID")
    log_in()
    page.goto(f"{sandbox.issuer}/logout")
    look("logout asked")
    page.locator("button[value=yes]").click()
    if eid is FINNISH:
        page.locator("button[name=confirm]").click()
    page.locator(f"main b:has-text('{eid.title}')").wait_for()
    look("logged out")
    context.close()

    assert not {what: violations for what, violations in found.items() if violations}
