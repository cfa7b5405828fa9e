"""The browser's own buttons, pressed when the browser is ready for it; and the way through pages that go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from playwright.sync_api import Error, Locator, Page

# What pages have that go on by themselves: ours, and the simulators'.
_GOES_ON = "script[src*='submit.js'], script[src*='leave.js']"
_TRIES = 40
_PAUSE_MS = 50


def back(page: Page) -> None:
    """Press Back."""
    _when_attached(page, page.go_back)


def reload(page: Page) -> None:
    """Press Reload."""
    _when_attached(page, page.reload)


def _when_attached(page: Page, press: Callable[[], object]) -> None:
    """Press, as soon as the driver has followed the page to its new process.

    After a step to another site Chromium moves the page to another process; a press in that moment
    is lost in the driver ("Not attached to an active page"), never in the browser.
    """
    for _ in range(_TRIES):
        try:
            press()
            return
        except Error as error:
            if "Not attached to an active page" not in error.message:
                raise
            page.wait_for_timeout(_PAUSE_MS)
    press()


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Somebody at a page; `script` says whether their browser runs scripts, `said` what its console complained of."""

    page: Page
    script: bool
    said: list[str] = field(default_factory=list)

    def arrive(self, goal: str) -> Locator:
        """Return the first element a selector finds, once the pages on the way there have gone on.

        They do so by themselves, or by their button where scripts do not run.
        """
        for _ in range(_TRIES):
            self.page.locator(goal if self.script else f"{goal}, {_GOES_ON}").first.wait_for(state="attached")
            if self.script or self.page.locator(goal).count():
                break
            with self.page.expect_navigation():
                self.page.locator("#on, form[method=post] button:not([aria-hidden])").first.click()
        return self.page.locator(goal).first

    def for_oneself(self) -> None:
        """Say that it is about oneself, where the service asks whom it is about."""
        self.arrive("input[name=who][value=self]").check()
        self.page.locator("button[name=do][value=chosen]").click()

    def prove(self, eid: str, person: str, outcome: str = "approve", method: str | None = None) -> None:
        """Choose an eID on the login page, and act there."""
        self.page.locator(f"button[name=provider][value={eid}]").click()
        self.page.locator(f"input[name=person][value={person}]").check()
        if method is not None:
            self.page.locator(f"input[name=method][value={method}]").check()
        self.page.locator(f"input[name=outcome][value={outcome}]").check()
        self.page.locator("form button[type=submit]").first.click()
