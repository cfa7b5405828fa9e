"""Staff on the patient's own screen: two factors, the patient's number, and whether it is them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from idbroker.clock import StoppedClock
from idbroker.patients.assisting import IDLE, LIFE
from tests.office.helping_house import claims
from tests.office.staff_door import Screen, at, open_screen
from tests.office_door import text_of


@pytest.fixture
def screen(tmp_path: Path, clock: StoppedClock) -> Iterator[Screen]:
    """Give a patient's own browser."""
    with open_screen(tmp_path, clock) as opened:
        yield opened


def test_the_documents_way(screen: Screen) -> None:
    """User name, password, code, number, yes: the patient is signed in, by staff, and the service is told so."""
    given = screen.at_give()
    assert re.search(r"Are you Anna Åberg ?, born 1987 ?\?", text_of(given.text))

    answer = screen.press(given, do="yes")

    assert "code" in parse_qs(urlsplit(answer.headers["Location"]).query)
    told = claims(screen.clinic.redeemed(screen.browser)["id_token"])
    assert (told["acr"], told["amr"], told["act"]) == ("low", ["staff-assisted"], {"role": "carer"})
    assert screen.clinic.told() == ["begun", "accepted"]
    assert "helped you log in" in screen.clinic.emails()[0]


def test_no_patients_way(screen: Screen) -> None:
    """On the choice it is a small line at the bottom, never a button among the patient's, nor the first by Enter."""
    page = screen.opened()

    big = page.text.index('value="fallback"')
    door = page.text.index('class="plain" name="provider" value="assisted"')
    assert big < door
    assert at(screen.press(page)) == "password"


def test_only_where_the_service_takes_it(screen: Screen) -> None:
    """A service that takes no sign-ins by staff does not show the way, and refuses it by hand."""
    page = screen.opened("closed")

    assert 'value="assisted"' not in page.text
    assert screen.press(page, provider="assisted").status_code == 404


def test_what_the_page_says(screen: Screen) -> None:
    """R34: cards do not work here, and whom to write to for a new password."""
    page = text_of(screen.at_staff().text)

    assert "SITHS cards do not work here." in page
    assert "Write to info@example.org" in page


def test_hidden_by_default(screen: Screen) -> None:
    """D7: the patient's number is hidden as it is typed, and no field is filled in by the browser."""
    page = screen.at_who().text

    assert 'name="mask" value="1" checked' in page
    assert 'autocomplete="off"' in page


def test_no_staff_session(screen: Screen) -> None:
    """No staff cookie comes of it, no sign-in of the colleague, no comfort for the next time."""
    screen.press(screen.at_give(), do="yes")

    names = screen.clinic.cookies(screen.browser)
    assert not names & {"__Host-w", "__Host-l", "__Host-p"}
    assert screen.browser.get("/staff/neuroreg").status_code != 200
    assert screen.clinic.events("staff.signed_in") == []


def test_for_one_service_and_half_an_hour(screen: Screen) -> None:
    """The sign-on is restricted as a tablet's: no other service, and nothing after thirty minutes."""
    screen.press(screen.at_give(), do="yes")
    assert "code=" in screen.clinic.authorize(screen.browser).headers["Location"]

    assert "/t/" in screen.clinic.authorize(screen.browser, "second").headers["Location"]
    screen.clinic.clock.move(LIFE)
    assert "/t/" in screen.clinic.authorize(screen.browser).headers["Location"]


def test_logged_out(screen: Screen) -> None:
    """The end is a page of ours that forgets all, and leads to no tablet."""
    screen.press(screen.at_give(), do="yes")
    hint = screen.clinic.redeemed(screen.browser)["id_token"]

    answer = screen.browser.get(f"/logout?id_token_hint={hint}")
    shown = screen.browser.get(answer.headers["Location"])

    assert answer.headers["Location"] == "/tablet/done?screen=1"
    assert "Refresh" not in shown.headers
    assert "cookies" in shown.headers["Clear-Site-Data"]


def test_not_me(screen: Screen) -> None:
    """No leads back to the choice; that it was somebody else is in the patient's trail."""
    page = screen.press(screen.at_give(), do="no")

    assert at(page) == "choose"
    assert screen.clinic.told() == ["begun", "refused"]


def test_nobody_of_that_number(screen: Screen) -> None:
    """A number that the clinic has not is said to be so, and the page stays."""
    page = screen.at_give("ake")

    assert at(page) == "assistedwho"
    assert "The clinic has no patient with that number." in text_of(page.text)


@pytest.mark.parametrize("left", [IDLE, timedelta(minutes=6)], ids=["at the question", "at the number"])
def test_left_alone(screen: Screen, left: timedelta) -> None:
    """Two minutes at the question, five before: whoever finds the screen begins at the password again."""
    page = screen.at_give() if left == IDLE else screen.at_who()
    screen.clinic.clock.move(left)

    after = screen.press(page, do="yes", number="19870619-0000")

    assert at(after) == "staff"
    assert screen.clinic.session(screen.browser) is None


def test_no_name_in_the_history(screen: Screen) -> None:
    """The page that names the patient does so on it, not in its title, which the browser keeps."""
    page = screen.at_give().text
    assert "<title>Help with logging in" in page
