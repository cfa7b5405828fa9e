"""A sandbox and a page of a real browser for each journey."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.journeys.colleagues import Colleague
from tests.journeys.moves import Visitor
from tests.journeys.neighbours import Neighbours, neighbours
from tests.journeys.patients import Guest
from tests.sandbox.running import Sandbox, started

Enter = Callable[..., Colleague]
# The languages of the clinics, each with or without JavaScript.
SPOKEN = [("da", True), ("sv", False), ("fi", True), ("en", False)]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Give one sandbox for all journeys: each has a browser context, and so cookies, of its own."""
    with started() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def street(sandbox: Sandbox) -> Iterator[Neighbours]:
    """Give portals beside the sandbox's own."""
    with neighbours(sandbox) as street:
        yield street


@pytest.fixture(scope="session")
def _town() -> Iterator[Sandbox]:
    with started() as sandbox:
        yield sandbox


@pytest.fixture
def as_they_were() -> None:
    """Say that a journey leaves people's accounts as they were: making all as new takes a second or two."""


@pytest.fixture
def anew() -> None:
    """Say that a journey needs a town of today: invitations of the first day are over three days later."""


@pytest.fixture
def town(request: pytest.FixtureRequest, _town: Sandbox) -> Iterator[Sandbox]:
    """Give a sandbox as new; or a day later, when all tries and codes are forgotten, if nobody's account changed."""
    path, body = ("reset", None) if _town.touched or "anew" in request.fixturenames else ("clock", {"plus": 86400})
    assert _town.call("POST" if body is None else "PUT", path, body).status_code == 200
    yield _town
    if "as_they_were" in request.fixturenames:
        _town.call("PUT", "faults/email", {})
        _town.touched.clear()
    else:
        _town.touched.append("people")


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def guest(request: pytest.FixtureRequest, chromium: Browser, town: Sandbox) -> Iterator[Guest]:
    """Give somebody on a phone in that sandbox, once with JavaScript and once without."""
    for visitor in _visits(chromium, script=request.param):
        yield Guest(page=visitor.page, script=visitor.script, said=visitor.said, sandbox=town)


@pytest.fixture(params=SPOKEN, ids=lambda how: f"{how[0]}-{'script' if how[1] else 'no-script'}")
def spoken(request: pytest.FixtureRequest, chromium: Browser, town: Sandbox) -> Iterator[Guest]:
    """Give somebody of each language in that sandbox, half of them without JavaScript."""
    language, script = request.param
    for visitor in _visits(chromium, script=script):
        yield Guest(page=visitor.page, script=script, said=visitor.said, sandbox=town, language=language)


@pytest.fixture
def helped(chromium: Browser, town: Sandbox) -> Iterator[Guest]:
    """Give somebody in that sandbox whose browser runs scripts."""
    for visitor in _visits(chromium, script=True):
        yield Guest(page=visitor.page, script=True, said=visitor.said, sandbox=town)


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    """Give a page on a phone, once with JavaScript and once without; a violated policy fails the journey."""
    context = chromium.new_context(java_script_enabled=request.param, viewport={"width": 390, "height": 800})
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    violations = [text for text in complaints if "Content Security Policy" in text]
    assert violations == []


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def visitor(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Visitor]:
    """Give somebody on a phone, once with JavaScript and once without; any complaint in a console fails the journey."""
    yield from _visits(chromium, script=request.param)


@pytest.fixture
def scripted(chromium: Browser) -> Iterator[Visitor]:
    """Give somebody whose browser runs scripts."""
    yield from _visits(chromium, script=True)


@pytest.fixture
def enter(chromium: Browser, town: Sandbox) -> Iterator[Enter]:
    """Give what lets people in to that sandbox, each with a browser of their own; any complaint fails the journey."""
    with ExitStack() as people:

        def opened(language: str = "sv", *, script: bool = True, country: str = "SE", login: str = "") -> Colleague:
            visitor = people.enter_context(contextmanager(_visits)(chromium, script=script))
            return Colleague(
                page=visitor.page, script=script, said=visitor.said, sandbox=town, language=language, country=country,
                login=login,
            )  # fmt: skip

        yield opened


def _visits(chromium: Browser, *, script: bool) -> Iterator[Visitor]:
    context = chromium.new_context(java_script_enabled=script, viewport={"width": 390, "height": 800})
    context.set_default_timeout(15_000)
    said = _listened(context)
    yield Visitor(page=context.new_page(), script=script, said=said)
    context.close()
    assert said == []


def _listened(context: BrowserContext) -> list[str]:
    """Return where everything lands that consoles complain of, in any tab and any frame."""
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # The simulators have no icon, for which the browser asks by itself.
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):
            said.append(message.text)

    context.on("console", hear)
    context.on("weberror", lambda error: said.append(str(error.error)))
    return said
