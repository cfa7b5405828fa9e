"""The simulated MitID pages in a real browser: without JavaScript, and for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from idbroker.clock import StoppedClock
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.mitid import SimClient, make_mitid
from idbroker.sandbox.people import cast
from tests.sandbox.loopback import serve

pytestmark = pytest.mark.browser


@pytest.fixture
def address(clock: StoppedClock) -> Iterator[str]:
    """Serve the simulator, and give an address at it that comes back to it."""
    clients = {"clinic": SimClient(id="clinic", secret="s", private=True)}
    with serve(lambda own: make_mitid(cast(clock.now().date()), clock, Faults(), own, clients)) as issuer:
        query = {"client_id": "clinic", "redirect_uri": f"{issuer}/back", "response_type": "code", "state": "st"}
        yield f"{issuer}/connect/authorize?" + urlencode(query | {"scope": "openid mitid ssn"})


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong."""
    return [found["id"] for found in Axe().run(page).response["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["da", "en"])
def test_pages_are_accessible(chromium: Browser, address: str, scheme: str, language: str) -> None:
    """Axe finds nothing wrong with the choice, the number page and its error, in light and dark."""
    context = chromium.new_context(color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]  # a literal
    page = context.new_page()
    page.goto(f"{address}&language={language}")
    found = violations(page)
    page.click("button")
    found += violations(page)
    page.click("button >> nth=0")
    found += violations(page)
    wrong = page.get_by_role("alert").count()
    context.close()

    assert (found, wrong) == ([], 1)


def test_works_without_javascript_and_by_keyboard(chromium: Browser, address: str, clock: StoppedClock) -> None:
    """With no script at all the keyboard alone goes the whole way, the redirect included."""
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.get_by_label("Anna Prøvesen").focus()
    page.keyboard.press("Enter")
    number = next(person.number for person in cast(clock.now().date()) if person.id == "anna")
    page.get_by_label("CPR-nummer").fill(str(number))
    page.keyboard.press("Enter")
    page.wait_for_url("**/back?**")
    url = page.url
    context.close()

    assert "code=" in url
    assert "state=st" in url


def test_says_that_it_is_not_the_real_one(chromium: Browser, address: str) -> None:
    """The title, the heading and the banner say SANDBOX or simulated; nothing comes from elsewhere."""
    context = chromium.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address + "&language=en")
    title, heading = page.title(), page.get_by_role("heading", level=1).inner_text()
    context.close()

    assert title.startswith("SANDBOX")
    assert heading == "Simulated MitID - not the real one"
    assert all(url.startswith(address.partition("/connect")[0]) for url in asked)
