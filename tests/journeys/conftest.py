"""A sandbox and a page of a real browser for each journey."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.sandbox.running import Sandbox, started


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Give one sandbox for all journeys: each has a browser context, and so cookies, of its own."""
    with started() as sandbox:
        yield sandbox


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
