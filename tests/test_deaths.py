"""A death that a clinic has noted: nobody is signed in as the dead there, whatever else the clinic asks of anybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from idbroker.accounts.account import Enrolment, Entry, Standing
from idbroker.clock import StoppedClock
from idbroker.numbers import parse
from idbroker.patients.merging import Merged
from idbroker.staff.member import Actor, Role
from tests.conftest import NOW
from tests.door import Browser, answer_of, words_of
from tests.guardianship.acting_house import ALONE, ActingHouse, open_acting_house

REGISTRY = Actor(id="client:journal", clinic="clinea", role=Role.ADMINISTRATOR)
OPERATOR = Actor(id="operator", clinic="", role=Role.ADMINISTRATOR)
NOT_TAKEN = "Du er ikke oprettet her"
WIDE = "openid national_number offline_access"  # else the eID is not asked for the number that patients are known by


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActingHouse]:
    """Serve a clinic that asks nothing of anybody: no registration, no terms, no consent, no guardian, no password."""
    with open_acting_house(tmp_path_factory.mktemp("deaths"), StoppedClock(NOW), client=ALONE) as opened:
        yield opened


@pytest.fixture
def house(built: ActingHouse) -> ActingHouse:
    """Give it, with nobody dead."""
    for who in ("anna", "lars"):
        noted(built, built.guardian(who), dead=False)
    return built


def noted(house: ActingHouse, person: str, *, dead: bool = True) -> Enrolment:
    """Write whether somebody has died into the clinic's record of them, and nothing else: what runs goes on."""
    now = house.clock.now()
    entry = Entry(entered_at=now, by="staff", deceased_on=house.today if dead else None)
    fresh = Enrolment(person=person, clinic="clinea", standing=Standing.APPROVED, asked_at=now, entry=entry)
    kept = house.records.enrolments.change(
        person, "clinea", lambda before: replace(before, entry=entry) if before else fresh
    )
    assert kept is not None
    return kept


def turned_away(house: ActingHouse, browser: Browser, **asked: Any) -> bool:
    """Tell whether somebody who comes ends at the page that says that the clinic does not take them."""
    page = house.straight(browser, **{"scope": WIDE, **asked})
    return "Location" not in page.headers and 'name="code"' not in page.text and NOT_TAKEN in words_of(page)


def test_a_death_by_the_api_ends_what_runs(house: ActingHouse) -> None:
    """Token, refresh token and sign-on are over at once, and neither the sign-on nor the eID begins anything anew."""
    browser = house.browser()
    tokens = house.tokens(house.straight(browser, scope=WIDE))
    assert house.lives(tokens)

    found = house.records.enrolments.find(house.guardian(), "clinea")
    assert found is not None
    house.house.offices.register.died(REGISTRY, found.handle, house.today, house.clock.now())

    assert not house.lives(tokens)
    assert house.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert turned_away(house, browser)
    assert answer_of(browser.authorize(prompt="none"))["error"] == "interaction_required"
    assert turned_away(house, house.browser())


def test_a_death_that_comes_with_a_merge(house: ActingHouse) -> None:
    """Joined with a record of somebody dead, a person is signed out, and is not let in again."""
    browser = house.browser()
    tokens = house.tokens(house.straight(browser, scope=WIDE))
    other = house.records.accounts.person(parse("0107721118", "DK", now=house.today), house.clock.now())
    noted(house, other)

    joined = house.house.offices.merging.join(OPERATOR, house.guardian(), other, house.clock.now(), anyway=True)

    assert isinstance(joined, Merged)
    assert not house.lives(tokens)
    assert turned_away(house, browser)
    assert turned_away(house, house.browser())
    house.house.offices.merging.split(OPERATOR, joined.id, house.clock.now())


def test_a_death_noted_while_a_sign_in_is_under_way(house: ActingHouse) -> None:
    """What was ended then had not seen this code, nor this refresh token: neither gives anything (redeem, refresh)."""
    tokens = house.tokens(house.straight(house.browser(), scope=WIDE))
    code = answer_of(house.straight(house.browser(), scope=WIDE))["code"]
    noted(house, house.guardian())

    assert house.redeem(code).json()["error"] == "invalid_grant"
    assert house.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
