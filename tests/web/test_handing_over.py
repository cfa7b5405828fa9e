"""A child who turns fifteen: from the sign-in its mother made to its own MitID, through the door (R13, R14; L1, L2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from idbroker.accounts.account import Account, Contact, Standing
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from tests.conftest import NOW
from tests.door import SECRET, Browser, answer_of, claims_of, words_of
from tests.fallback_door import PASSWORD, FallbackDoor, open_fallback_door

MAIL = "dortes@example.org"
HOUR = timedelta(hours=1)  # of the evening before: it is 23:00 in Denmark
OTHER = "other"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[FallbackDoor]:
    """Open the broker at eleven in the evening, with two services; Mie turns fifteen at midnight."""
    evening = StoppedClock(NOW.replace(hour=22, minute=0))
    sectors = {OTHER: {"redirect_uris": ["https://other.test/callback"]}}
    with open_fallback_door(tmp_path, evening, clients=sectors) as opened:
        yield opened


def person(door: FallbackDoor, who: str) -> str:
    """Return somebody's id."""
    return door.rooms.counter.records.accounts.person(door.number(who), door.clock.now())


def mie(door: FallbackDoor) -> Account:
    """Return Mie's account as it is now."""
    kept = door.rooms.counter.records.accounts.of(person(door, "mie"))
    assert kept is not None
    return kept


def set_up(door: FallbackDoor) -> None:
    """Let her mother have made her sign-in, and the clinic have approved that."""
    dorte = person(door, "dorte")
    contact = Contact(channel=Channel.EMAIL, address=MAIL, verified_at=door.clock.now())
    made = door.account("mie", clinic=None, guardian=dorte, contacts=(contact,), language="en")
    door.enrol(made.person, "clinea", guardian=dorte)


def tokens(door: FallbackDoor, answer: requests.Response, client: str) -> dict[str, Any]:
    """Redeem the code that an answer brings."""
    redirect = {"redirect_uri": "https://other.test/callback"} if client == OTHER else {}
    response = door.redeem(answer_of(answer)["code"], (client, SECRET), **redirect)
    assert response.status_code == 200, response.text
    return dict(response.json())


def asked(client: str) -> dict[str, str]:
    """Return what a service asks for."""
    away = {"redirect_uri": "https://other.test/callback"} if client == OTHER else {}
    return {"client_id": client, **away}


def by_password(door: FallbackDoor, browser: Browser, client: str = "portal") -> dict[str, Any]:
    """Sign Mie in with number, password and a code."""
    page = browser.press(browser.authorize(**asked(client)), provider="fallback")
    page = browser.press(page, number=door.number("mie").display, password=PASSWORD)
    return tokens(door, browser.press(page, code=door.code(Channel.EMAIL)), client)


def by_mitid(door: FallbackDoor, browser: Browser, client: str = "portal") -> requests.Response:
    """Have Mie use her MitID."""
    page = browser.press(browser.authorize(**asked(client)), provider="mitid")
    return browser.press(page, person="mie", outcome="approve")


def sub(told: dict[str, Any]) -> str:
    """Return the name a service knows her by."""
    return str(claims_of(told["id_token"])["sub"])


def test_the_same_person_at_every_service(door: FallbackDoor) -> None:
    """By password before midnight, by MitID after it: each service knows her by the same `sub` as before (L2)."""
    set_up(door)
    before = {client: sub(by_password(door, door.browser(), client)) for client in ("portal", OTHER)}
    door.clock.move(HOUR)

    after = {client: sub(tokens(door, by_mitid(door, door.browser(), client), client)) for client in ("portal", OTHER)}

    assert after == before
    assert before["portal"] != before[OTHER]


def test_what_her_mother_made_is_hers(door: FallbackDoor) -> None:
    """With her own MitID neither her mother's password nor addresses are left; the clinic's approval stays."""
    set_up(door)
    door.clock.move(HOUR)

    tokens(door, by_mitid(door, door.browser()), "portal")

    kept = mie(door)
    assert (kept.password, kept.contacts, kept.guardian) == (None, (), None)
    enrolment = door.rooms.counter.records.enrolments.find(kept.person, "clinea")
    assert enrolment is not None
    assert enrolment.standing is Standing.APPROVED
    browser = door.browser("en")
    page = browser.press(door.at_password(browser), number=door.number("mie").display, password=PASSWORD)
    assert page.url.endswith("/password"), "it opens nothing more"


def test_her_mother_is_told_once(door: FallbackDoor) -> None:
    """Her mother is told at her own address that it is over: in the clinic's name, whatever service Mie came to."""
    set_up(door)
    door.clock.move(HOUR)
    by_mitid(door, door.browser(), OTHER)
    by_mitid(door, door.browser())

    told = [(to, str(one["Subject"]), one.get_content()) for _, to, one in _mails(door)]
    assert [(to, subject) for to, subject, _ in told] == [([MAIL], "Your child now logs in themselves")]
    assert "Portalen" not in told[0][2]
    assert "Clinea" in told[0][2]


def _mails(door: FallbackDoor) -> list[Any]:
    door.emails()
    return list(door.mail.taken)


def test_a_stranger_who_claimed_her_learns_nothing(door: FallbackDoor) -> None:
    """Who was never approved is not told that she has come: that she is a patient here is no claimant's business."""
    set_up(door)
    person_id = person(door, "mie")
    door.enrol(person_id, "clinea", guardian=person(door, "mads"), standing=Standing.APPROVED)
    door.clock.move(HOUR)

    by_mitid(door, door.browser())

    assert mie(door).password is None
    assert _mails(door) == []


def test_what_was_open_ends_at_midnight(door: FallbackDoor) -> None:
    """The attack: a parent stays signed in as a grown child. What the password opened is over at 00:00 (L1)."""
    set_up(door)
    browser = door.browser()
    door.clock.move(HOUR - timedelta(minutes=1))
    told = by_password(door, browser)
    door.clock.move(timedelta(seconds=59))
    assert door.userinfo(told["access_token"]).status_code == 200

    door.clock.move(timedelta(seconds=1))

    assert door.userinfo(told["access_token"]).status_code == 401
    assert browser.authorize().url.endswith("/choose")


def test_her_mitid_before_midnight(door: FallbackDoor) -> None:
    """Before the birthday MitID is refused, and the page leads on to the password (R13)."""
    set_up(door)

    page = by_mitid(door, door.browser("en"))

    assert page.url.endswith("/choose")
    assert "password" in words_of(page)
    assert mie(door).password is not None


def test_the_password_after_midnight(door: FallbackDoor) -> None:
    """From midnight the password opens nothing, though she has not come with MitID yet (R14)."""
    set_up(door)
    door.clock.move(HOUR)
    browser = door.browser("en")
    page = browser.press(door.at_password(browser), number=door.number("mie").display, password=PASSWORD)

    page = browser.press(page, code=door.code(Channel.EMAIL)) if page.url.endswith("/code") else page

    assert "code=" not in page.url
    assert mie(door).guardian is not None
