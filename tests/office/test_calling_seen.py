"""The pages of a call in a real browser: readable on every screen, and an answer that comes by itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from idbroker.clinic import LANGUAGES
from tests.office_door import ISSUER, StaffBrowser
from tests.patients.telephone_house import Line, open_line
from tests.web.test_looks import RULES, TOO_WIDE

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def open_all_day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Open a line for a module."""
    with open_line(tmp_path_factory.mktemp("line")) as line:
        yield line


@pytest.fixture
def line(open_all_day: Line) -> Line:
    """Return the line as new."""
    open_all_day.reset()
    return open_all_day


def show(line: Line, page: Page) -> None:
    """Have a page's requests answered by the broker, as a colleague's: with its own headers, and no server between."""
    staff: StaffBrowser = line.office.client("anna")

    def answer(route: Route) -> None:
        asked = urlsplit(route.request.url)
        path = f"{asked.path}?{asked.query}" if asked.query else asked.path
        got = (
            staff.post(path, data=route.request.post_data, content_type="application/x-www-form-urlencoded")
            if route.request.method == "POST"
            else staff.get(path)
        )
        if got.status_code == 303:  # what is answered here is not followed by the browser
            location = got.headers["Location"]
            route.fulfill(status=200, headers={"Refresh": f"0; url={ISSUER}{location}"}, body="")
            return
        route.fulfill(status=got.status_code, headers=dict(got.headers), body=got.data)

    page.route(f"{ISSUER}/**", answer)


@pytest.mark.parametrize("script", [True, False])
def test_the_answer_comes_by_itself(chromium: Browser, line: Line, script: bool) -> None:
    """With and without script: chosen, asked, approved on the telephone, and the answer stands there, unasked."""
    context = chromium.new_context(java_script_enabled=script, viewport={"width": 360, "height": 740})
    page = context.new_page()
    show(line, page)
    page.goto(f"{ISSUER}/staff/neuroreg/patients/{line.enter()}/call")

    page.get_by_label("BankID").check()
    page.get_by_label("The patient called the clinic").check()
    page.get_by_role("button", name="Ask in the app").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for the patient")
    line.clock.move(timedelta(seconds=2))
    line.act("approve")

    expect(page.get_by_role("heading", level=1)).to_have_text("Yes, this is Björn Provsson", timeout=15_000)
    assert context.cookies() == []
    context.close()


@pytest.mark.parametrize(("language", "scheme"), [*zip(LANGUAGES, itertools.cycle(("light", "dark")), strict=False)])
def test_every_page_is_accessible(chromium: Browser, line: Line, language: str, scheme: str) -> None:
    """Axe finds nothing, and nothing is wider than a small screen: form, mistakes, waiting, and each kind of end."""
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 320, "height": 640})  # type: ignore[arg-type]
    page, at = context.new_page(), f"{ISSUER}/staff/neuroreg/patients/{line.enter()}"
    show(line, page)
    found = {}

    def judge(name: str) -> None:
        report = Axe().run(page, options=RULES).response
        violations = [(one["id"], [node["target"] for node in one["nodes"]]) for one in report["violations"]]
        found[name] = (violations, page.evaluate(TOO_WIDE))

    page.goto(f"{at}/call?lang={language}")
    judge("form")
    page.locator("main form button").click()
    page.wait_for_selector(".sum")
    judge("mistakes")
    for outcome in ("approve", "cancel", "certificateErr"):
        call = line.begin(at.rpartition("/")[2])
        page.goto(f"{at}/call/{call.id}?lang={language}")
        if outcome == "approve":
            judge("waiting")
        line.act(outcome)
        line.look(call)
        page.goto(f"{at}/call/{call.id}?lang={language}")
        judge(outcome)
    context.close()

    assert {name: what for name, what in found.items() if what != ([], [])} == {}
