"""The browser's own buttons, pressed when the browser is ready for it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Error, Page

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
