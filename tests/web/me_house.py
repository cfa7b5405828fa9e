"""My page, as tests walk to it: signed in by password, by MitID, in one browser or several."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import requests

from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from tests.conftest import NOW
from tests.door import Browser
from tests.fallback_door import PASSWORD, FallbackDoor, open_fallback_door

ME = "/me/clinea"
MINUTE = timedelta(minutes=1)
CLIENT: Mapping[str, Any] = {"consent": "ask", "start_url": "https://portal.test/start"}
PEOPLE = ("anna", "karen")


@contextmanager
def served_for_tests(folder: Path) -> Iterator[FallbackDoor]:
    """Open the whole broker, its courier staying until a test sends him."""
    with open_fallback_door(folder, StoppedClock(NOW), client=CLIENT) as opened:
        vars(opened.rooms.counter.messages)["start"] = lambda: None
        yield opened


@contextmanager
def another_day(door: FallbackDoor) -> Iterator[FallbackDoor]:
    """Give a broker that one test shares with others: days later, so that no count of theirs stands in the way."""
    door.clock.move(timedelta(days=2))
    yield door
    door.deliver()
    for person in PEOPLE:
        door.house.signout.end_person(person_of(door, person), "test")
        door.rooms.counter.records.accounts.remove(person_of(door, person))


def person_of(door: FallbackDoor, person: str = "anna") -> str:
    """Return somebody's id."""
    return door.rooms.counter.records.accounts.person(door.number(person), door.clock.now())


def kept(door: FallbackDoor, person: str = "anna") -> Any:
    """Return somebody's account as it is kept."""
    return door.rooms.counter.records.accounts.of(person_of(door, person))


def address_of(door: FallbackDoor, channel: Channel = Channel.EMAIL, person: str = "anna") -> str | None:
    """Return the address that is kept for a channel."""
    contact = kept(door, person).contact(channel)
    return contact.address if contact is not None else None


def kinds(door: FallbackDoor, person: str = "anna") -> list[str]:
    """Return what the trail says of somebody, the newest first."""
    return [event.kind for event in door.house.durable.events.of_person(person_of(door, person), 50)]


def by_password(door: FallbackDoor, browser: Browser, person: str = "anna", path: str = ME) -> requests.Response:
    """Ask for a page of one's own, and sign in for it with a password and a code."""
    choice = browser.get(path)
    page = browser.press(choice, provider="fallback")
    page = browser.press(page, number=door.number(person).display, password=PASSWORD)
    return browser.press(page, code=door.code(Channel.SMS))


def by_mitid(browser: Browser, person: str = "anna", path: str = ME) -> requests.Response:
    """Ask for a page of one's own, and sign in for it with MitID."""
    return browser.press(browser.press(browser.get(path), provider="mitid"), person=person, outcome="approve")


def asks_who(page: requests.Response) -> bool:
    """Tell whether a page asks for a way to sign in."""
    return "/t/" in page.url and page.url.endswith("/choose")


def part(page: requests.Response, name: str) -> str:
    """Return the text of one part of the page, on one line."""
    found = re.search(rf'<h2 id="{name}">[^<]*</h2>(.*?)(<h2|</form>)', page.text, re.DOTALL)
    assert found, page.text[:3000]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", found[1])).split())


def buttons(page: requests.Response, kind: str) -> list[str]:
    """Return what the buttons of a kind post as `do`."""
    return re.findall(rf'name="do" value="({kind}[^"]*)"', page.text)
