"""One sandbox for all tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.running import Browser, Sandbox, started


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    """Give a sandbox that was started as a script starts it."""
    with started() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Iterator[Sandbox]:
    """Give the sandbox as new; it is made anew after a test that changed it."""
    yield running_sandbox
    if running_sandbox.touched:
        assert running_sandbox.call("POST", "reset").status_code == 200
        running_sandbox.touched.clear()


@pytest.fixture
def browser(running_sandbox: Sandbox) -> Iterator[Browser]:
    """Give a browser without JavaScript and without cookies."""
    browser = Browser(touched=running_sandbox.touched)
    yield browser
    browser.http.close()
