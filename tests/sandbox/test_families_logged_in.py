"""What changes for families while they are logged in: custody is taken away, a birthday comes."""

from __future__ import annotations

import time

from tests.sandbox.running import PATIENCE, Browser, Sandbox
from tests.sandbox.test_custody import logged_in
from tests.sandbox.test_portals_swedish import VISIT
from tests.sandbox.test_without_eid import DOOR, known, log_in


def test_custody_is_taken_away(sandbox: Sandbox, browser: Browser) -> None:
    """Sara is logged in for Wilma; her custody is taken away, and a minute later she is out, and not told why."""
    logged_in(sandbox, browser, "sara").press("who", who="0", do="chosen")
    assert "Wilma" in browser.text

    sandbox.call("PUT", "custody/sara/wilma", {"barred": "withdrawn"})
    sandbox.call("PUT", "clock", {"plus": 60})

    _until_gone(browser, sandbox.portal("minhalsa", VISIT), "Wilma")
    assert "Du har loggats ut" in browser.text
    assert "withdrawn" not in browser.page.text


def test_a_birthday_comes(sandbox: Sandbox, browser: Browser) -> None:
    """Mie is logged in by password; at midnight she turns 15 and is out, and MitID lets her in as who she was."""
    log_in(sandbox, browser.open(sandbox.portal("patientportalen", DOOR)), "mie")
    assert "Mie Midnatsen" in browser.text
    subject = _subject(browser)

    browser.open(f"{sandbox.issuer}/sandbox/clock")
    before = browser.page.text.partition(">Denmark and Sweden: past midnight<")[0]
    browser.press("past midnight", at=before.rpartition('name="at" value="')[2].partition('"')[0])

    _until_gone(browser, sandbox.portal("patientportalen", DOOR), "Mie Midnatsen")
    again = Browser(touched=browser.touched).open(sandbox.portal("patientportalen", DOOR)).log_in("mie")
    assert "Mie Midnatsen" in again.text
    assert _subject(again) == subject


def test_a_guardian_loses_a_childs_login(sandbox: Sandbox, browser: Browser) -> None:
    """Karen made Frida's login; her custody is taken away, she is not there, and the login ends and opens no more."""
    log_in(sandbox, browser.open(sandbox.portal("patientportalen", DOOR)), "frida")
    assert "Frida Vergemaalsen" in browser.text
    panel = Browser(touched=browser.touched).open(f"{sandbox.issuer}/sandbox/families")

    panel.press('aria-label="Take custody away: Karen, Frida"', barred="withdrawn")
    sandbox.call("PUT", "clock", {"plus": 90})

    _until_gone(browser, sandbox.portal("patientportalen", DOOR), "Frida Vergemaalsen")
    again = Browser(touched=browser.touched).open(sandbox.portal("patientportalen", DOOR))
    who = known(sandbox, "frida")
    again.press(provider="fallback").press("password", number=who["number"], password=who["password"])
    assert "/code" not in again.page.url
    assert "withdrawn" not in again.page.text


def _until_gone(browser: Browser, page: str, words: str) -> None:
    """Reload a page until somebody is logged in there no more: servers tell it one another."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if words not in browser.open(page).text:
            return
    raise AssertionError(f"{words} is there still")


def _subject(browser: Browser) -> str:
    return browser.text.split("All claims", 1)[1].split(" sub ", 1)[1].split(" ", 1)[0]
