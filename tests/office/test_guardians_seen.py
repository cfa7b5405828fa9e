"""The page of who may act for a patient, in a real browser: readable on every screen, and without script."""

from __future__ import annotations

import itertools

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from idbroker.clinic import LANGUAGES
from tests.office.guardians_there import child_at, noted, path_of
from tests.office.test_patients_seen import show
from tests.office_door import ISSUER, Office
from tests.web.test_looks import RULES, TOO_WIDE

pytestmark = pytest.mark.browser


def test_added_and_ended_without_script(chromium: Browser, office: Office) -> None:
    """From the patient's page: a mistake at its field, then added, then ended, on a small screen and without script."""
    handle = child_at(office).handle
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 320, "height": 640})
    page = context.new_page()
    show(office, page, "bo")
    page.goto(f"{ISSUER}/staff/clinea/patients/{handle}")
    page.get_by_role("link", name="Who may act for the patient").click()

    page.locator("#number").fill("620180-0007")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose the relation")
    expect(page.locator("#number")).to_have_value("620180-0007")
    page.get_by_label("Relation to the patient").select_option("custody")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status")).to_have_text("Added.")

    page.get_by_text("End it").first.click()
    page.get_by_label("Why does it end?").select_option("custody")
    page.get_by_role("button", name="End it").click()
    expect(page.get_by_role("status")).to_contain_text("Ended.")
    expect(page.get_by_text("Nobody is noted here.")).to_be_visible()
    context.close()
    assert noted(office, handle) == ()


@pytest.mark.parametrize(("language", "scheme"), [*zip(LANGUAGES, itertools.cycle(("light", "dark")), strict=False)])
def test_accessible(chromium: Browser, office: Office, language: str, scheme: str) -> None:
    """Axe finds nothing, and nothing is wider than a small screen: empty, with somebody, and with mistakes."""
    at = f"{ISSUER}{path_of(child_at(office).handle)}?lang={language}"
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 320, "height": 640})  # type: ignore[arg-type]
    page, found = context.new_page(), {}
    show(office, page, "cecilia")

    def judge(name: str) -> None:
        report = Axe().run(page, options=RULES).response
        violations = [(one["id"], [node["target"] for node in one["nodes"]]) for one in report["violations"]]
        found[name] = (violations, page.evaluate(TOO_WIDE))

    page.goto(at)
    judge("empty")
    page.locator("main form button[value=add]").click()
    page.wait_for_selector(".sum")
    judge("mistakes")
    page.locator("#number").fill("620180-0007")
    page.locator("#relation").select_option("custody")
    page.locator("main form button[value=add]").click()
    page.wait_for_selector("[role=status]")
    judge("somebody")
    page.locator("main details summary").first.click()
    page.locator("main form button[value=end]").click()
    page.wait_for_selector(".sum")
    judge("why")
    context.close()

    assert {name: one for name, one in found.items() if one != ([], [])} == {}
