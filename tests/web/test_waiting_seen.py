"""The page that waits, as a person sees it: in a real browser with a phone beside it, with script and without."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from PIL import Image, ImageFilter
from playwright.sync_api import Browser, Error, Page, Route, expect
from pyzbar.pyzbar import decode
from werkzeug.wrappers import Request, Response

from idbroker.clock import SystemClock
from idbroker.web.pages import Pages
from idbroker.words import Words
from tests.door import authorize_url
from tests.sandbox.loopback import serve
from tests.web.app_door import PATIENCE, AppDoor, open_app_door
from tests.web.gallery import CODE, Shown, all_pages, show

pytestmark = pytest.mark.browser

PHONE = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/150.0 Mobile Safari/537.36"
WATCHED = """() => { window.said = []; const state = document.getElementById("state");
    new MutationObserver(() => said.push(state.textContent))
        .observe(state, {childList: true, characterData: true, subtree: true}) }"""


@pytest.fixture(scope="module")
def portal() -> Iterator[str]:
    """Give the address of a portal that is glad of whoever comes."""

    @Request.application
    def glad(request: Request) -> Response:
        return Response("in" if "code" in request.args else "out", content_type="text/plain")

    with serve(lambda _: glad) as address:
        yield f"{address}/callback"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, portal: str) -> Iterator[AppDoor]:
    """Open a broker whose clock goes, as the codes do."""
    with open_app_door(tmp_path_factory.mktemp("seen"), SystemClock(), callback=portal, app=f"{portal}/app") as opened:
        yield opened


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    """Serve the pages filled in."""
    pages = Pages(Words())
    bodies = {f"/{lang}/{name}": page for lang in ("en", "da", "sv") for name, page in all_pages(pages, lang).items()}
    with show(pages, bodies) as server:
        yield server


@contextmanager
def _tab(browser: Browser, **how: Any) -> Iterator[Page]:
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en", **how})
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if "Policy" in message.text else None)
    try:
        yield page
        assert not complaints
    finally:
        context.close()


def _choose(page: Page, door: AppDoor, portal: str) -> None:
    page.goto(door.issuer + authorize_url(redirect_uri=portal))
    page.locator("button[value=bankid]").click()
    page.wait_for_url("**/wait", wait_until="commit")


def _camera(page: Page, blur: float = 0.0) -> str | None:
    """Return what a camera before the screen reads."""
    image = Image.open(io.BytesIO(_photograph(page))).convert("L")
    found = decode(image.filter(ImageFilter.GaussianBlur(blur)))
    return found[0].data.decode() if found else None


def _photograph(page: Page) -> bytes:
    """Return a picture of the page; the driver has none where Chromium draws the next in that very moment."""
    for _ in range(20):
        with suppress(Error):
            return page.screenshot()
    return page.screenshot()


def _enough(read: set[str | None], now: set[str | None]) -> bool:
    read |= now
    return len(read - {None}) >= 5


def _until(read: Callable[[], Any], good: Callable[[Any], bool], patience: float = PATIENCE) -> Any:
    deadline = time.monotonic() + patience
    while not good(value := read()):
        assert time.monotonic() < deadline, value
    return value


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_code_is_scanned_off_the_screen(chromium: Browser, door: AppDoor, portal: str, theme: Any) -> None:
    """B3, B4: read off the screen, light or dark; scanned, it is gone in three seconds; approved, the page goes on."""
    with _tab(chromium, color_scheme=theme) as page:
        _choose(page, door, portal)
        order = door.bankid.phone.scan(_until(lambda: _camera(page), bool))
        door.bankid.phone.act(order.id, door.people["bjorn"], "open")
        _until(lambda: _camera(page), lambda read: read is None, 4.0)
        expect(page.get_by_role("status")).to_have_text("Good. Now enter your security code in the BankID app.")
        door.bankid.phone.act(order.id, door.people["bjorn"], "approve")
        page.wait_for_url(f"{portal}?code=*")


def test_without_script(chromium: Browser, door: AppDoor, portal: str) -> None:
    """B2: with script off the code changes five times in eight seconds, and the button goes on."""
    with _tab(chromium, java_script_enabled=False) as page:
        _choose(page, door, portal)
        read: set[str | None] = set()
        _until(lambda: read | {_camera(page)}, lambda now: _enough(read, now), 8.0)
        door.scan(_until(lambda: _camera(page), bool))
        page.get_by_role("button", name="I have approved in the app").click()
        page.wait_for_url(f"{portal}?code=*")


@pytest.mark.parametrize("script", [True, False])
def test_on_a_phone(chromium: Browser, door: AppDoor, portal: str, script: bool) -> None:
    """1.10: the app opens by a press and never by itself; it leads back to the browser, which goes on."""
    app, asked = door.app, list[str]()
    with _tab(chromium, user_agent=PHONE, viewport={"width": 390, "height": 844}, java_script_enabled=script) as page:
        page.on("request", lambda request: asked.append(request.url))
        _choose(page, door, portal)
        opener = page.get_by_role("link", name="Open BankID on this device")
        if script:
            _until(lambda: opener.get_attribute("href") or "", lambda href: href.startswith(app))
        assert not [url for url in asked if url.startswith(app)]
        opener.click()
        page.wait_for_url(f"{app}?*")
        page.goto(door.follow(page.url) or "")

        assert page.url.startswith(f"{portal}?code=")


def test_a_cancel_in_the_app(chromium: Browser, door: AppDoor, portal: str) -> None:
    """B4: a no in the app is a page with words and the ways to log in, without a press."""
    with _tab(chromium) as page:
        _choose(page, door, portal)
        door.scan(_until(lambda: _camera(page), bool), outcome="cancel")
        page.wait_for_url("**/choose")

        expect(page.get_by_role("status")).to_contain_text("You cancelled in")


# ---- details, on pages filled in -----------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_a_code_can_be_read(chromium: Browser, shown: Shown, theme: Any, script: bool, width: int) -> None:
    """B3: the code is read off every screen, also out of focus, in either theme, with script and without."""
    how = {"color_scheme": theme, "java_script_enabled": script, "viewport": {"width": width, "height": 900}}
    with _tab(chromium, **how) as page:
        page.goto(f"{shown.origin}/en/wait-scan")

        assert _until(lambda: _camera(page, 1.0), bool) == CODE


def test_a_bigger_code(chromium: Browser, shown: Shown) -> None:
    """1.10: the button fills the window with the code; Escape brings back the page and the focus."""
    with _tab(chromium, color_scheme="dark") as page:
        page.goto(f"{shown.origin}/en/wait-scan")
        bigger = page.get_by_role("button", name="Show a bigger code")
        bigger.press("Enter")
        within = page.evaluate("() => document.activeElement.id")
        wide = page.locator("#big svg").bounding_box()
        code = _until(lambda: _camera(page, 3.0), bool)
        page.keyboard.press("Escape")

        expect(bigger).to_be_focused()
        expect(page.locator("#big")).to_be_hidden()
    assert (within, code) == ("close", CODE)
    assert wide is not None
    assert wide["height"] > 650


def test_words_are_heard_once(chromium: Browser, shown: Shown) -> None:
    """4.1.3: words stand in one live region from the start; what is said again unchanged is not announced again."""
    with _tab(chromium) as page:
        page.goto(f"{shown.origin}/en/wait-scan")
        page.evaluate(WATCHED)
        for _ in range(3):
            with page.expect_response("**/wait.json"):
                pass

        assert page.evaluate("() => said") == []
        assert page.get_by_role("status").count() == 1


def test_what_opens_is_where_the_focus_goes(chromium: Browser, shown: Shown) -> None:
    """2.4.3: when the app was opened the parts that go take no focus with them, and a bigger code closes."""
    news: dict[str, Any] = {"device": "other", "state": "opened", "says": "Now the code.", "go": False}
    with _tab(chromium) as page:
        page.goto(f"{shown.origin}/en/wait-scan")
        page.get_by_role("button", name="Show a bigger code").click()
        page.route("**/wait.json", lambda route: route.fulfill(json=news))

        expect(page.get_by_role("status")).to_have_text("Now the code.")
        expect(page.locator("#main")).to_be_focused()
        expect(page.locator("#big")).to_be_hidden()
        expect(page.locator("#code")).to_be_hidden()


def test_going_on_is_one_post(chromium: Browser, shown: Shown) -> None:
    """G15: told to go on, the page sends its own form, once, and does not say that it was left."""
    news: dict[str, Any] = {"device": "other", "state": "opened", "says": "You are logged in.", "go": True}
    with _tab(chromium) as page:
        page.route("**/wait.json", lambda route: route.fulfill(json=news))
        page.goto(f"{shown.origin}/da/wait-scan")
        page.wait_for_url("**/wait")

    assert shown.posted == [("/t/da-wait-scan/wait", {"_n": ["n1"], "do": ["check"]})]
    assert not [path for path, _ in shown.left if path.startswith("/t/da-")]
    shown.posted.clear()


def test_a_page_says_that_it_is_left(chromium: Browser, shown: Shown) -> None:
    """B5: whoever goes elsewhere is heard of; whoever opened the app is in it, and is not."""

    def heard() -> list[Any]:
        return [told for told in shown.left if told[0].startswith("/t/sv-")]

    with _tab(chromium) as page:
        page.goto(f"{shown.origin}/sv/wait-tap")
        page.locator("#open").evaluate("link => link.addEventListener('click', event => event.preventDefault())")
        page.locator("#open").click()
        page.goto(f"{shown.origin}/sv/help")
        page.goto(f"{shown.origin}/sv/wait-scan")
        page.goto(f"{shown.origin}/sv/help")
        _until(heard, bool)

    assert heard() == [("/t/sv-wait-scan/left", {"_n": ["n1"]})]


def test_a_broker_away_for_a_moment(chromium: Browser, shown: Shown) -> None:
    """D4: news that do not come, or are no news, are asked for again; the page stands meanwhile."""
    bad: list[Callable[[Route], None]] = [lambda route: route.fulfill(status=503, body="<html>"), Route.abort]
    with _tab(chromium) as page:
        page.route("**/wait.json", lambda route: bad.pop()(route) if bad else route.fallback())
        page.goto(f"{shown.origin}/en/wait-scan")

        expect(page.locator("#code")).to_be_visible(timeout=10_000)
