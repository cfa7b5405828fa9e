"""Attacks on acting for another: what an independent review got through with, each closed (security.md, G1-G10)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import event as sql
from sqlalchemy.engine import Engine

from idbroker.accounts.account import Agreed
from idbroker.clock import StoppedClock
from idbroker.events import Event
from idbroker.guardianship.tie import MANDATE
from idbroker.numbers import parse
from idbroker.sandbox.sim_person import cpr, years_before
from tests.conftest import NOW
from tests.guardianship.acting_house import ActingHouse, Ward, open_acting_house

CLIENTS: dict[str, dict[str, Any]] = {"consents": {"consent": "ask"}, "always": {"acting": "always"}}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActingHouse]:
    """Serve a house once for all."""
    folder = tmp_path_factory.mktemp("attacks")
    with open_acting_house(folder, StoppedClock(NOW), clinic={"mandates": ["m"]}, clients=CLIENTS) as house:
        yield house


@pytest.fixture
def house(opened: ActingHouse) -> ActingHouse:
    """Give it as if nobody had been here."""
    return opened.fresh()


def test_who_signs_in_next_in_the_tab_chooses_for_themselves(house: ActingHouse) -> None:
    """A parent has chosen a child; another person's eID in the same tab does not come to act for it."""
    ward = house.ward(801)
    browser = house.browser()
    consent = browser.press(house.proved(browser, client_id="consents"), who="0")
    assert consent.url.endswith("/consent")

    choice = browser.get(consent.url.rsplit("/", 1)[0] + "/choose")
    page = browser.press(browser.press(choice, provider="mitid"), person="lars", outcome="approve")

    assert "Location" not in page.headers
    assert house.house.durable.delegations.of_ward(ward.person) == ()


@pytest.mark.parametrize("way", ["page", "named", "exchange"])
def test_a_register_that_lists_nobody_bars_all_the_same(house: ActingHouse, way: str) -> None:
    """An old note offers the child; the register that says no only when it is asked is asked before anybody acts."""
    ward = house.ward(802)
    house.folk.listed = False
    house.folk.ties[house.guardian()] = (ward.tie(barred="care_order"),)
    browser, sub = house.browser(), house.sub(ward.person)

    match way:
        case "page":
            assert "Location" not in browser.press(house.proved(browser), who="0").headers
        case "named":
            assert "Location" not in house.proved(browser, acting_for=sub).headers
        case _:
            tokens = house.acts(browser, who="self")
            assert house.exchange(tokens["access_token"], acting_for=sub).status_code == 400


def test_a_right_that_ends_while_it_is_granted(house: ActingHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Custody is ended in the very moment of the grant: its code is worth nothing, or its row is there to be found."""
    ward = house.ward(803)
    events = type(house.house.durable.events)
    record = events.record

    def ended_meanwhile(self: Any, event: Event) -> None:
        record(self, event)
        if event.kind == "acting.granted":
            house.house.signout.end_acting(ward.person, "custody")

    monkeypatch.setattr(events, "record", ended_meanwhile)
    browser = house.browser()
    answer = browser.press(house.proved(browser), who="0")
    with pytest.raises(AssertionError, match="invalid_grant"):
        house.tokens(answer)


def test_a_silent_renewal_is_never_the_guardians_own(house: ActingHouse) -> None:
    """A portal that renews what was about a ward, after the right has ended, gets no code about the guardian."""
    ward = house.ward(804)
    browser = house.browser()
    house.acts(browser, client_id="always")
    house.house.durable.guardianships.end("clinea", ward.person, house.clock.now(), "custody")
    assert house.house.signout.end_acting(ward.person, "custody") == 1

    assert "code=" not in browser.authorize(client_id="always", prompt="none").headers["Location"]


def test_a_consent_that_is_withdrawn_ends_what_a_guardian_was_given(house: ActingHouse) -> None:
    """An adult withdraws on My page what somebody with their power of attorney agreed to: those tokens die."""
    house.clock.move(timedelta(hours=1))
    susan = adult(house, "susan")
    browser = house.browser()
    page = browser.press(house.proved(browser, client_id="consents", prompt="consent"), who="0")
    tokens = house.tokens(page if "Location" in page.headers else browser.press(page), "consents")

    hers = house.browser()
    hers.press(hers.press(hers.authorize(client_id="consents"), provider="mitid"), person="susan", outcome="approve")
    consent = house.records.consents.current(susan.person, Agreed.RELEASE, "consents")
    (session,) = house.house.signout.of_person(susan.person)
    assert consent is not None
    assert house.house.rooms.own.withdraw(session, consent.id, house.clock.now())

    assert not house.lives(tokens)


def test_a_yes_is_said_of_whom_the_page_shows(house: ActingHouse) -> None:
    """One tab shows what is told of Aase, another has chosen Bodil since: the yes to the one is not the other's."""
    _, bodil = two(house, 811)
    browser = house.browser()
    old = browser.press(house.proved(browser, client_id="consents"), who="0")
    assert "Aase" in old.text
    new = browser.press(browser.press(browser.get(old.url), do="person"), who="1")
    assert "Bodil" in new.text

    answer = browser.press(old)

    assert "Location" not in answer.headers or "code=" not in answer.headers["Location"]
    assert bodil.person not in {event.person for event in house.events("consent.given")}


def test_a_choice_is_made_from_the_list_that_is_shown(house: ActingHouse) -> None:
    """Aase stands first in an old tab and has been barred since: her place in a newer list is not taken for her."""
    _, bodil = two(house, 821)
    browser = house.browser()
    page = house.proved(browser, client_id="consents")
    old = browser.get(page.url)
    consent = browser.press(page, who="0")
    house.folk.ties[house.guardian()] = (bodil.tie(given_name="Bodil"),)
    assert "Aase" not in browser.press(consent, do="person").text

    assert browser.press(old, who="0").url.endswith("/who")


def test_a_refusal_costs_the_same_whoever_is_known(house: ActingHouse) -> None:
    """Nobody, somebody known here, a patient, a hidden one: as many statements for each, so time tells nothing."""
    born = years_before(house.today, 9, 100)
    away = Ward(person="", number=parse(cpr(born, 852), "DK", now=house.today), born=born)
    known, patient, hidden = house.child(831, clinic=None), house.child(832), house.child(851)
    house.folk.listed = False
    house.folk.ties[house.guardian()] = (hidden.tie(protected=True), away.tie(protected=True))

    warm, *counts = [statements(house, ward) for ward in (patient, away, hidden, known, patient)]

    assert warm
    assert counts[0] == counts[1], "hidden from a parent: a patient here, or not"
    assert counts[2] == counts[3], "a stranger's: a patient here, or not"


# ---- parts -----------------------------------------------------------------------------------------


def two(house: ActingHouse, serial: int) -> tuple[Ward, Ward]:
    """Return two children of anna's, by the second register."""
    first, second = house.child(serial), house.child(serial + 1, 8)
    house.folk.ties[house.guardian()] = (first.tie(given_name="Aase"), second.tie(given_name="Bodil"))
    return first, second


def adult(house: ActingHouse, who: str) -> Ward:
    """Return a grown person who has given anna a power of attorney."""
    number = parse(house.people[who].number or "", "DK", now=house.today)
    ward = Ward(person=house.guardian(who), number=number, born=house.people[who].born)
    house.enrol(ward)
    house.folk.ties[house.guardian()] = (ward.tie(relation=MANDATE, basis="power_of_attorney", powers=("m",)),)
    return ward


def statements(house: ActingHouse, ward: Ward) -> int:
    """Type a ward's number and be refused; return how many statements the database was sent for it."""
    browser = house.browser()
    page = house.proved(browser)
    seen: list[str] = []

    def heard(*said: Any) -> None:
        seen.append(said[2])

    sql.listen(Engine, "before_cursor_execute", heard)
    try:
        refused: requests.Response = browser.press(page, do="number", number=ward.number.value)
    finally:
        sql.remove(Engine, "before_cursor_execute", heard)
    assert refused.url.endswith("/whono")
    return len(seen)
