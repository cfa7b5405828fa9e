"""Staff of one clinic, or who talks them into it, have a patient's access sent to an address of their own choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from idbroker.patients.access import Receipt
from idbroker.staff.member import Actor, Role
from tests.conftest import NOW
from tests.door import Browser
from tests.fallback_door import CLINIC, FallbackDoor, open_fallback_door

MINE = "mallory@example.org"
CHOSEN = "otte gule tog i sne"
OTHER: Mapping[str, Any] = {**CLINIC, "name": "Den anden klinik", "registration": "off"}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FallbackDoor]:
    """Open two clinics; one of them is talked into sending Anna's access to Mallory."""
    folder: Path = tmp_path_factory.mktemp("elsewhere")
    clients = {"others": {"clinic": "other", "name": "Den anden"}}
    with open_fallback_door(folder, StoppedClock(NOW), clinics={"other": OTHER}, clients=clients) as opened:
        anna = opened.account("anna")
        patient = opened.enrol(anna.person, "other", told={Channel.EMAIL: MINE})
        actor = Actor(id="c0" * 16, clinic="other", role=Role.CARER)
        sent = opened.house.offices.access.send(actor, patient.handle, (Channel.EMAIL,), None, opened.clock.now())
        assert isinstance(sent, Receipt)
        browser = opened.browser()
        browser.press(browser.get(opened.link()), password=CHOSEN)
        opened.deliver()
        yield opened


def mallory(door: FallbackDoor, **asked: str) -> tuple[Browser, requests.Response]:
    """Sign in as Anna with what was chosen, as far as that goes; codes are read in Mallory's mailbox."""
    door.clock.move(timedelta(hours=1))  # codes are sent so many times in one
    browser = door.browser("en")
    page = browser.press(browser.authorize(**asked), provider="fallback")
    page = browser.press(page, number=door.number("anna").display, password=CHOSEN)
    if not page.url.endswith("/code"):
        return browser, page
    page = browser.press(page, do="email")
    return browser, browser.press(page, code=door.code(Channel.EMAIL))


def test_the_clinic_that_sent_it_is_open(door: FallbackDoor) -> None:
    """That clinic speaks for itself: at its own service the password and a code let in."""
    _, page = mallory(door, client_id="others")

    assert page.headers["Location"].startswith("https://portal.test/callback?code=")


def test_no_other_is(door: FallbackDoor) -> None:
    """At every other clinic an eID is asked for: the right password alone opens nothing."""
    _, page = mallory(door)

    assert "Log in with an electronic ID this time" in page.text


@pytest.mark.parametrize("path", ["/authorize", "/me/clinea"])
def test_nor_by_a_sign_on_from_there(door: FallbackDoor, path: str) -> None:
    """With a sign-on at the one clinic, neither another's service nor its My page is opened."""
    browser, _ = mallory(door, client_id="others")

    page = browser.authorize() if path == "/authorize" else browser.get(path)

    assert page.url.endswith("/notaken")
    assert "You are not registered here" in page.text


def test_nor_after_the_persons_own_eid(door: FallbackDoor) -> None:
    """Anna comes with MitID, to the one clinic and the other: it lets her in, and Mallory no further."""
    for client in ("portal", "others"):
        assert "code" in door.browser().sign_in("anna", client_id=client)

    _, page = mallory(door)

    assert "Log in with an electronic ID this time" in page.text


def test_a_forgotten_password_does_not_free_it(door: FallbackDoor) -> None:
    """A link of one's own to that mailbox sets another password, which opens no more than the first."""
    browser = door.browser("en")
    page = browser.press(browser.authorize(), provider="fallback")
    page = browser.press(browser.get(page.url.replace("/password", "/forgot")), number=door.number("anna").display)
    browser.press(browser.get(door.link()), password=CHOSEN + " igen")
    account = door.rooms.counter.records.accounts.find(door.number("anna"))

    assert account is not None
    assert account.only_at == ("other",)


def test_everybody_who_was_reached_is_told(door: FallbackDoor) -> None:
    """Anna's own addresses are told that the password was changed, with whom to call."""
    assert any("adgangskode blev ændret" in text for text in door.sms())
    assert any("nogen@example.org" in to for _, to, _ in door.mail.taken)
