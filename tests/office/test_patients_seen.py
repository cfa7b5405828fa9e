"""The pages of patients and approvals in a real browser: readable on every screen, and without script."""

from __future__ import annotations

import itertools
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from idbroker.clinic import LANGUAGES
from idbroker.messages.message import Channel
from tests.office.patients_there import patient_at
from tests.office_door import ISSUER, Office, StaffBrowser
from tests.patients.waiting import asked
from tests.web.test_looks import RULES, TOO_WIDE

pytestmark = pytest.mark.browser
HOME = f"{ISSUER}/staff/neuroreg"


def show(office: Office, page: Page, who: str) -> None:
    """Have a page's requests answered by the broker, as a colleague's: with its own headers, and no server between."""
    staff: StaffBrowser = office.client(who)

    def answer(route: Route) -> None:
        address = urlsplit(route.request.url)
        path = f"{address.path}?{address.query}" if address.query else address.path
        got = (
            staff.post(path, data=route.request.post_data, content_type="application/x-www-form-urlencoded")
            if route.request.method == "POST"
            else staff.get(path)
        )
        if got.status_code == 303:  # what is answered here is not followed by the browser
            route.fulfill(status=200, headers={"Refresh": f"0; url={ISSUER}{got.headers['Location']}"}, body="")
            return
        route.fulfill(status=got.status_code, headers=dict(got.headers), body=got.data)

    page.route(f"{ISSUER}/**", answer)


def test_a_patient_is_entered_and_found(chromium: Browser, office: Office) -> None:
    """From a search that finds nobody to the patient's page, and found again: without script, on a small screen."""
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 320, "height": 640})
    page = context.new_page()
    show(office, page, "anna")
    page.goto(HOME)

    page.get_by_label("Swedish personal identity number").fill(office.number("marta").display)
    page.get_by_role("button", name="Search").first.click()
    page.get_by_role("link", name="Register a patient").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("First name").fill("Märta")
    page.get_by_label("Last name").fill("Öberg")
    page.get_by_label("Passport").check()
    page.get_by_label("Mobile number").fill("070-174 06 20")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("+46 70 174 06 20")).to_be_visible()
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Märta Öberg")
    expect(page.get_by_role("status")).to_have_text("Märta Öberg is in the list now.")
    context.close()


def test_a_stale_form_in_the_browser(chromium: Browser, office: Office) -> None:
    """Two colleagues edit: the second reads who was first, sees what there is now, and saves once more (S1)."""
    handle, context = patient_at(office).handle, chromium.new_context()
    first, second = context.new_page(), context.new_page()
    for page, who in ((first, "bo"), (second, "anna")):
        show(office, page, who)
        page.goto(f"{HOME}/patients/{handle}/edit")
    for page, name in ((first, "Karin"), (second, "Märta")):
        page.get_by_label("First name").fill(name)
        page.get_by_role("button", name="Save").click()
        page.wait_for_load_state()

    expect(second.get_by_role("alert")).to_contain_text("Bo Testsen")
    expect(second.get_by_text("Now: Karin")).to_be_visible()
    second.get_by_role("button", name="Save").click()
    expect(second.get_by_role("heading", level=1)).to_have_text("Märta Prøvesen")
    context.close()


@pytest.mark.parametrize(("language", "scheme"), [*zip(LANGUAGES, itertools.cycle(("light", "dark")), strict=False)])
def test_every_page_is_accessible(chromium: Browser, office: Office, language: str, scheme: str) -> None:
    """Axe finds nothing, and nothing is wider than a small screen: each page, with mistakes and without."""
    told = {Channel.EMAIL: "ada@example.test", Channel.SMS: "+46701740699"}
    handle = patient_at(office, person="marta", told=told).handle
    asked(office, "vilma", told={Channel.SMS: "+4520654399"})
    asked(office, "rosa")
    asked(office, "otto")
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 320, "height": 640})  # type: ignore[arg-type]
    page, found = context.new_page(), {}
    show(office, page, "cecilia")

    def judge(name: str) -> None:
        report = Axe().run(page, options=RULES).response
        violations = [(one["id"], [node["target"] for node in one["nodes"]]) for one in report["violations"]]
        found[name] = (violations, page.evaluate(TOO_WIDE))

    at = f"{HOME}/patients/{handle}"
    pages = (HOME, f"{HOME}/patients/new", at, f"{at}/edit", f"{at}/death", f"{ISSUER}/staff/clinea/approvals")
    for address in pages:
        page.goto(f"{address}?lang={language}")
        judge(address)
    page.goto(f"{HOME}?lang={language}")
    page.locator("main form button").first.click()
    page.wait_for_selector(".sum")
    judge("mistakes")
    page.locator("#number").fill(office.number("marta").display)
    page.locator("main form button").first.click()
    page.wait_for_selector(".people")
    judge("found")
    context.close()

    assert {name: what for name, what in found.items() if what != ([], [])} == {}
