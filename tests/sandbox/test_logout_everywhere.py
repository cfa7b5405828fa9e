"""Logging out at one portal ends the others' sessions too: both ways of telling them, seen through the portals."""

from __future__ import annotations

import time

from tests.sandbox.running import PATIENCE, Browser, Sandbox
from tests.sandbox.test_portals_swedish import log_in
from tests.sandbox.test_videovisit import NOW, enter


def told(browser: Browser, page: str, words: str) -> Browser:
    """Reload a portal's page until it says that it was told; the message is under way for some milliseconds."""
    deadline = time.monotonic() + PATIENCE
    while words not in browser.open(page).text and time.monotonic() < deadline:
        pass
    assert words in browser.text
    return browser


def test_by_a_token(sandbox: Sandbox, browser: Browser) -> None:
    """Logging out at Patientportalen ends the session at Aleris by a logout token, which it verified and shows."""
    browser.open(sandbox.portal("patientportalen", "tidsbestilling")).log_in()
    browser.open(sandbox.portal("aleris", "profile"))
    assert "Anna Prøvesen" in browser.text

    browser.open(sandbox.portal("patientportalen", "tidsbestilling")).press("Log ud").press("post_logout_redirect_uri")

    told(browser, sandbox.portal("aleris", "profile"), "You were logged out")
    browser.open(sandbox.portal("aleris", "happened"))
    assert "logout+jwt" in browser.text
    assert "http://schemas.openid.net/event/backchannel-logout" in browser.text


def test_other_browsers_stay(sandbox: Sandbox, browser: Browser) -> None:
    """The same person's session in another browser goes on: one sign-on ended, not all of a person's."""
    other = Browser().open(sandbox.portal("aleris", "profile")).log_in()
    browser.open(sandbox.portal("patientportalen", "tidsbestilling")).log_in()
    browser.open(sandbox.portal("aleris", "profile"))

    browser.open(sandbox.portal("patientportalen", "tidsbestilling")).press("Log ud").press("post_logout_redirect_uri")

    told(browser, sandbox.portal("aleris", "profile"), "You were logged out")
    assert "Anna Prøvesen" in other.open(sandbox.portal("aleris", "profile")).text


def test_where_the_logout_began(sandbox: Sandbox, browser: Browser) -> None:
    """The portal where the person logged out is told as well, and leads to the login as ever."""
    browser.open(sandbox.portal("patientportalen", "tidsbestilling")).log_in()

    browser.press("Log ud").press("post_logout_redirect_uri")
    assert browser.page.url.startswith(sandbox.portal("patientportalen", "goodbye"))

    assert browser.open(sandbox.portal("patientportalen", "tidsbestilling")).page.url.startswith(sandbox.issuer)


def test_frame_is_on_the_page(sandbox: Sandbox, browser: Browser) -> None:
    """Logging out at Min Hälsa leads over a page of the broker whose frame tells Neuroreg (Front-Channel Logout 2)."""
    log_in(sandbox, browser.open(sandbox.portal("minhalsa", "besok/2031")))
    browser.open(sandbox.portal("neuroreg", "per"))
    browser.open(sandbox.portal("minhalsa", "besok/2031")).press("Logga ut")

    between = browser.passed[-1]
    assert f'<iframe class="vh" src="{sandbox.portal("neuroreg", "frontchannel-logout")}?' in between.text
    assert "frame-src" in between.headers["Content-Security-Policy"]


def test_in_the_middle_of_a_visit(sandbox: Sandbox, browser: Browser) -> None:
    """Who logs out is out of the video visit too, and suomi.fi's session has ended on the way."""
    enter(sandbox, browser, NOW, "jaana").press("Pyydä päästä mukaan")

    browser.press("Kirjaudu ulos")
    while "goodbye" not in browser.page.url or sandbox.portal("videovisit") not in browser.page.url:
        browser.press()

    assert "Olet kirjautunut ulos" in browser.text
    browser.open(sandbox.portal("videovisit", NOW))
    assert "Jaana Eivaltuutta" not in browser.text
    assert "data-stage" not in browser.page.text
