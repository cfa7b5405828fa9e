"""Logging out while the eID is down: nobody is left before its error page, and whoever presses again is heard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from tests.door import Browser, Door, open_door, session_cookie, words_of

BYE = "https://portal.test/bye"
MINUTE = timedelta(minutes=1)
NOT_CONFIRMED = "MitID has not confirmed that you are logged out there too"


@pytest.fixture
def door(tmp_path: Path, clock: StoppedClock) -> Iterator[Door]:
    """Give a door whose MitID broker has a session that ends by a form."""
    with open_door(tmp_path, clock, provider={"end_session": "post"}) as opened:
        yield opened


def signed_in(door: Door) -> tuple[Browser, str]:
    """Sign somebody in, two minutes ago; return the browser and how their portal asks for a logout."""
    browser = door.browser("en")
    tokens = door.signed_in(browser)
    door.clock.move(2 * MINUTE)
    return browser, f"/logout?id_token_hint={tokens['id_token']}&post_logout_redirect_uri={BYE}"


def test_the_browser_is_not_sent_there(door: Door) -> None:
    """All that is ours has ended; a page of ours says which eID has not confirmed, and nothing leads to its error."""
    browser, out = signed_in(door)
    door.faults.set("mitid", {"down": True})
    page = browser.get(out)

    assert page.status_code == 200
    assert page.url.startswith(door.issuer)
    assert NOT_CONFIRMED in words_of(page)
    assert "endsession" not in page.text
    assert session_cookie(browser) is None
    assert door.house.durable.events.since(door.clock.now(), kind="session.ended")
    assert [one.detail["why"] for one in door.house.durable.events.since(door.clock.now(), kind="logout.unfinished")]


def test_pressed_again_it_ends_there_too(door: Door) -> None:
    """The attack: on a shared computer the next person comes in by what is left there; so asking again asks them."""
    browser, out = signed_in(door)
    door.faults.set("mitid", {"down": True})
    browser.get(out)
    assert NOT_CONFIRMED in words_of(browser.get(out)), "still down: it is said again, not that all is over"

    door.faults.set("mitid", {})
    door.clock.move(MINUTE)
    there = browser.get("/logout")
    assert "/goodbye/" in there.url
    assert 'name="id_token_hint"' in there.text
    assert "/connect/endsession" in there.text


def test_who_is_well_is_not_asked(door: Door) -> None:
    """Who signed in a moment ago has shown that it answers: the logout costs no look."""
    browser = door.browser("en")
    tokens = door.signed_in(browser)
    door.faults.set("mitid", {"down": True})
    page = browser.get(f"/logout?id_token_hint={tokens['id_token']}")

    assert "/goodbye/" in page.url
