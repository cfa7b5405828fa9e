"""The page that tells services of a logout in frames: it goes on by itself, in time, or by its button."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from idbroker.web.pages import Pages
from idbroker.words import Words
from tests.journeys.moves import Visitor
from tests.web.gallery import Shown, all_pages, show

pytestmark = pytest.mark.browser

PATIENCE_MS = 4000  # of leave.js


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    """Serve the page, with one frame."""
    pages = Pages(Words())
    every = all_pages(pages, "en")
    bodies = {"/start": "<title>before</title>", "/telling": every["telling"], "/nobody": every["telling-nobody"]}
    with show(pages, bodies) as server:
        yield server


def _asked(page: Page) -> list[str]:
    """Return the paths that a page asks for from now on."""
    asked: list[str] = []

    def hear(request: Request) -> None:
        asked.append(request.url.partition("//")[2].partition("/")[2])

    page.on("request", hear)
    return asked


def test_goes_on_when_all_are_told(scripted: Visitor, shown: Shown) -> None:
    """The page goes on once, after its frame was loaded; Back does not lead into it again."""
    page, asked = scripted.page, _asked(scripted.page)
    page.goto(f"{shown.origin}/start")
    page.goto(f"{shown.origin}/telling", wait_until="commit")
    page.wait_for_url("**/goodbye/abc/on")

    assert [path for path in asked if path in ("told", "goodbye/abc/on")] == ["told", "goodbye/abc/on"]
    page.go_back()
    expect(page).to_have_title("before")


def test_waits_for_nobody_for_ever(chromium: Browser, shown: Shown) -> None:
    """A service that does not answer keeps the person four seconds, and no longer."""
    hanging: list[Route] = []

    def hang(route: Route) -> None:
        hanging.append(route)

    context = chromium.new_context()
    page = context.new_page()
    page.clock.install()
    page.route("**/told", hang)
    page.goto(f"{shown.origin}/telling", wait_until="domcontentloaded")
    page.clock.run_for(PATIENCE_MS - 500)
    assert page.url.endswith("/telling")
    page.clock.run_for(1000)
    page.wait_for_url("**/goodbye/abc/on", wait_until="commit")
    context.close()

    assert len(hanging) == 1


def test_a_service_that_is_gone(chromium: Browser, shown: Shown) -> None:
    """A service that cannot be reached at all keeps nobody."""
    context = chromium.new_context()
    page = context.new_page()
    page.route("**/told", lambda route: route.abort())
    page.goto(f"{shown.origin}/telling", wait_until="commit")
    page.wait_for_url("**/goodbye/abc/on")
    context.close()


def test_by_its_button(visitor: Visitor, shown: Shown) -> None:
    """Where scripts do not run the page stays, and its one button goes on."""
    page = visitor.page
    page.goto(f"{shown.origin}/telling", wait_until="commit")
    if not visitor.script:
        page.get_by_role("link", name="Continue").click()

    page.wait_for_url("**/goodbye/abc/on")


def test_with_nobody_to_tell(visitor: Visitor, shown: Shown) -> None:
    """Where only the eID is left the page goes on at once, without script too; Back does not lead into it again."""
    page = visitor.page
    page.goto(f"{shown.origin}/start")
    page.goto(f"{shown.origin}/nobody", wait_until="commit")
    page.wait_for_url("**/goodbye/abc/on")
    page.go_back()

    expect(page).to_have_title("before")
