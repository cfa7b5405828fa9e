"""Nobody keeps staff out: neither a device on the clinic's network, nor a stranger who knows user names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest

from idbroker.clock import StoppedClock
from idbroker.web.browser import MOST_FAMILIAR
from tests.conftest import NOW
from tests.office.patients_there import mailed
from tests.office_door import Office, StaffBrowser, open_office

PASSWORD, SECRET = "tre blå cyklar i regn", "A" * 32


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """Give a house in which three colleagues have a password and an app."""
    with open_office(tmp_path, StoppedClock(NOW)) as opened:
        hashed = opened.house.rooms.counter.hasher.hash(PASSWORD)
        for name in ("anna", "bo", "cecilia"):
            opened.house.offices.members.change(
                opened.member(name).id, lambda one: replace(one, password=hashed, app_secret=SECRET)
            )
        yield opened


def typed(office: Office, browser: StaffBrowser, login: str, password: str = PASSWORD) -> str:
    """Type a password; return where it leads."""
    return office.post(browser, "/staff/sign-in", login=login, password=password).headers["Location"]


def signed_in(office: Office, login: str, browser: StaffBrowser | None = None) -> StaffBrowser:
    """Return a browser in which a colleague has signed in, and out again."""
    browser = browser or office.browser()
    assert typed(office, browser, login).endswith("/code")
    office.post(browser, "/staff/sign-in/code", code=pyotp.TOTP(SECRET).at(office.clock.now()))
    office.post(browser, "/staff/sign-out", page="/staff/me")
    office.clock.move(timedelta(minutes=1))
    return browser


def test_a_device_on_the_same_network_keeps_nobody_out(office: Office) -> None:
    """Thirty wrong passwords from the clinic's own address lock strangers there, not colleagues' own browsers."""
    own = {name: signed_in(office, name) for name in ("anna", "bo")}
    stranger = office.browser()
    for number in range(30):
        typed(office, stranger, f"nobody{number}", "x")
    assert typed(office, office.browser(), "anna") == "/staff/sign-in"
    for name, browser in own.items():
        assert typed(office, browser, name).endswith("/code"), name
    assert typed(office, own["anna"], "bo") == "/staff/sign-in", "it is Anna's browser, and not Bo's"


def test_a_stranger_who_knows_a_user_name_keeps_nobody_out(office: Office) -> None:
    """A hundred wrong passwords close it for other browsers; the colleague is told, once, and works on."""
    own = signed_in(office, "cecilia")
    stranger = office.browser()
    for number in range(100):
        stranger.environ_base["REMOTE_ADDR"] = f"198.51.100.{number}"
        typed(office, stranger, "cecilia", "wrong")
        if number % 5 == 4:
            office.clock.move(timedelta(minutes=16))
    for _ in range(3):
        assert typed(office, office.browser(), "cecilia") == "/staff/sign-in"
    told = [one for one in mailed(office) if "a hundred times in a row" in one]
    assert len(told) == 1
    assert [one.detail["why"] for one in office.events("staff.locked")].count("ceiling") == 1
    assert typed(office, own, "cecilia").endswith("/code")


def test_a_known_browser_may_guess_five_times(office: Office) -> None:
    """Five wrong ones close it there for a quarter of an hour, and nowhere else."""
    own = signed_in(office, "anna")
    for _ in range(5):
        typed(office, own, "anna", "wrong")
    assert typed(office, own, "anna") == "/staff/sign-in"
    assert typed(office, office.browser(), "anna").endswith("/code")
    office.clock.move(timedelta(minutes=15))
    assert typed(office, own, "anna").endswith("/code")


def test_the_token_opens_nothing(office: Office) -> None:
    """With a colleague's token alone, nobody is signed in; the second factor is asked as ever; no script reads it."""
    own = signed_in(office, "anna")
    assert own.get("/staff").headers["Location"].startswith("/staff/sign-in")
    typed(office, own, "anna")
    assert own.get("/staff/me").status_code == 303
    answer = office.post(own, "/staff/sign-in/code", code=pyotp.TOTP(SECRET).at(office.clock.now()))
    (kept,) = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith("__Host-k-")]
    for part in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={90 * 86400}"):
        assert part in kept, part
    assert "Domain" not in kept


def test_of_a_shared_computer_the_newest_colleagues_are_known(office: Office) -> None:
    """A browser keeps twelve tokens; of more the oldest go."""
    browser = office.browser()
    for number in range(MOST_FAMILIAR):
        office.clock.move(timedelta(seconds=1))
        known = office.house.offices.entrance.familiar.token(office.hire(f"n{number}"), (), office.clock.now())
        browser.set_cookie(f"__Host-k-{known[:8]}", known, domain="broker.test", secure=True)
    oldest = f"__Host-k-{office.member('n0').id[:8]}"
    signed_in(office, "anna", browser)
    assert browser.get_cookie(oldest, domain="broker.test") is None
    assert browser.get_cookie(f"__Host-k-{office.member('n1').id[:8]}", domain="broker.test") is not None
    assert browser.get_cookie(f"__Host-k-{office.member().id[:8]}", domain="broker.test") is not None
