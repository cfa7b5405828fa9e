"""My page in a real browser, with its real headers: walked through with and without script, and back again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.fallback_door import EMAIL, FallbackDoor
from tests.web.me_house import ME, MINUTE, address_of, another_day, by_password, served_for_tests
from tests.web.test_looks import RULES, TOO_WIDE

pytestmark = pytest.mark.browser

OTHER = "en.anden@example.org"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FallbackDoor]:
    """Open the whole broker once."""
    with served_for_tests(tmp_path_factory.mktemp("me")) as opened:
        yield opened


@pytest.fixture
def door(served: FallbackDoor) -> Iterator[FallbackDoor]:
    """Give it to one test."""
    with another_day(served) as given:
        yield given


def at_home(door: FallbackDoor, page: Page) -> None:
    """Open one's own page on a sign-on that was made a moment ago."""
    browser = door.browser("en")
    by_password(door, browser)
    page.context.add_cookies(
        [{"name": one.name, "value": one.value or "", "url": door.issuer} for one in browser.session.cookies]
    )
    page.goto(f"{door.issuer}{ME}")


@pytest.mark.parametrize("script", [True, False])
def test_an_address_is_changed_by_hand(chromium: Browser, door: FallbackDoor, script: bool) -> None:
    """From the page to a new address and its code, and Back through the pages: nothing is done twice or undone."""
    door.account("anna")
    context = chromium.new_context(java_script_enabled=script, viewport={"width": 320, "height": 640})
    page = context.new_page()
    at_home(door, page)
    page.get_by_role("link", name="Change: Email").click()
    page.get_by_label("Email").fill(OTHER)
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Code, 6 digits").fill(door.code())
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("status")).to_contain_text("Your change has been saved")
    assert address_of(door) == OTHER

    page.go_back()
    page.goto(f"{door.issuer}{ME}/email")

    expect(page.get_by_label("Email")).to_have_value("")
    assert address_of(door) == OTHER
    context.close()


def test_a_stale_button_leads_to_the_sign_in(chromium: Browser, door: FallbackDoor) -> None:
    """After a quarter of an hour a button leads to the sign-in: the page's own policy lets the browser go there."""
    door.account("anna")
    context = chromium.new_context()
    page = context.new_page()
    at_home(door, page)
    door.clock.move(16 * MINUTE)

    page.get_by_role("button", name="Remove: Email").click()

    page.wait_for_url("**/choose")
    assert address_of(door) == EMAIL
    context.close()


def test_axe_finds_nothing_on_ones_own_pages(chromium: Browser, door: FallbackDoor) -> None:
    """axe-core has no finding on the real pages, light or dark, and none is too wide for 320 px (G1, G2)."""
    door.account("anna")
    context = chromium.new_context(bypass_csp=True, viewport={"width": 320, "height": 640})
    page = context.new_page()
    at_home(door, page)
    found = {}
    for number, path in enumerate((ME, f"{ME}/email", f"{ME}/app", f"{ME}/password")):
        page.emulate_media(color_scheme="dark" if number % 2 else "light")
        page.goto(f"{door.issuer}{path}")
        report = Axe().run(page, options=RULES).response
        found[path] = [(v["id"], [n["target"] for n in v["nodes"]]) for v in report["violations"]]
        found[f"{path} wide"] = page.evaluate(TOO_WIDE)

    assert not {path: findings for path, findings in found.items() if findings}
    context.close()
