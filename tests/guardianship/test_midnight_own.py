"""A child's own sign-in by password is over at local midnight of the birthday, by every way it has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from idbroker.clock import StoppedClock
from tests.door import Browser, answer_of, words_of
from tests.fallback_door import FallbackDoor, open_fallback_door

MIDNIGHT = datetime(2026, 11, 22, 23, tzinfo=UTC)  # of the 23 November in Copenhagen, when Mie turns fifteen
MINUTE, INSTANT = timedelta(minutes=1), timedelta(microseconds=1)
CHILD = "mie"


@pytest.fixture
def clock() -> StoppedClock:
    """Give ten minutes to midnight."""
    return StoppedClock(MIDNIGHT - 10 * MINUTE)


@pytest.fixture
def door(tmp_path: Path, clock: StoppedClock) -> Iterator[FallbackDoor]:
    """Give a clinic in Denmark where Mie has a password that her mother has set up."""
    asks = {"asks": {"consent": "ask", "purpose": {"en": "to show it"}}}
    with open_fallback_door(tmp_path, clock, client={"refresh": "rotate"}, clients=asks) as opened:
        records = opened.rooms.counter.records
        mother = records.accounts.person(opened.number("dorte"), clock.now())
        account = opened.account(CHILD, clinic=None, guardian=mother)
        opened.enrol(account.person, "clinea", guardian=mother)
        yield opened


def signed_in(door: FallbackDoor, browser: Browser, **asked: str) -> requests.Response:
    """Have Mie type her number, her password and the code."""
    return door.by_password(browser, CHILD, **{"scope": "openid offline_access", **asked})


def test_every_token_ends(door: FallbackDoor) -> None:
    """Access and refresh tokens of the child's own sign-in hold until midnight, and at midnight none does."""
    tokens = door.redeem(answer_of(signed_in(door, door.browser()))["code"]).json()
    assert tokens["expires_in"] == 600

    door.clock.move(10 * MINUTE - INSTANT)
    assert door.userinfo(tokens["access_token"]).status_code == 200
    door.clock.move(INSTANT)
    assert door.userinfo(tokens["access_token"]).status_code == 401
    assert door.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_nothing_is_renewed_in_silence(door: FallbackDoor) -> None:
    """The sign-on itself is over: prompt=none is told that somebody has to sign in (Core 3.1.2.6)."""
    browser = door.browser()
    signed_in(door, browser)
    assert "code" in answer_of(browser.authorize(prompt="none"))

    door.clock.move(10 * MINUTE)
    assert answer_of(browser.authorize(prompt="none"))["error"] == "login_required"
    assert "Location" not in browser.authorize().headers


def test_a_code_is_not_redeemed_on_the_other_side(door: FallbackDoor) -> None:
    """A code of the last seconds is worth nothing after midnight."""
    door.clock.move(10 * MINUTE - timedelta(seconds=5))
    code = answer_of(signed_in(door, door.browser()))["code"]
    door.clock.move(timedelta(seconds=5))

    assert door.redeem(code).json()["error"] == "invalid_grant"


def test_a_page_left_open_across_midnight(door: FallbackDoor) -> None:
    """The attack: password and code before midnight, the answer to a question after it. It leads to the choice."""
    browser = door.browser("en")
    page = signed_in(door, browser, client_id="asks", scope="openid profile")
    assert page.status_code == 200
    door.clock.move(10 * MINUTE)

    after = browser.press(page, do="yes")
    assert after.url.endswith("/choose"), words_of(after)
    assert "s" not in browser.session.cookies.get_dict()


def test_nor_is_the_password_good_any_more(door: FallbackDoor) -> None:
    """From midnight on the password that a guardian has set up opens nothing: a grown person comes by an eID."""
    door.clock.move(10 * MINUTE)
    assert "Location" not in signed_in(door, door.browser()).headers


def test_others_go_on(door: FallbackDoor) -> None:
    """Whoever is grown and signs in by a password of their own notices nothing of somebody's birthday."""
    tokens = door.redeem(answer_of(signed_in(door, door.browser()))["code"]).json()
    door.account("anna")
    own = door.redeem(answer_of(door.by_password(door.browser(), "anna"))["code"]).json()
    door.clock.move(10 * MINUTE)

    assert door.userinfo(tokens["access_token"]).status_code == 401
    assert door.userinfo(own["access_token"]).status_code == 200
