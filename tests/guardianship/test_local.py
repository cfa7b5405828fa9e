"""What a clinic has ended, no other register opens again: the local register's own no."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from idbroker.accounts.records import new_handle
from idbroker.clock import StoppedClock
from idbroker.guardianship.tie import MANDATE
from idbroker.numbers import parse
from idbroker.staff.member import Actor, Role
from tests.conftest import NOW
from tests.guardianship.acting_house import GIVEN, ActingHouse, Ward, open_acting_house

BO = Actor(id="b" * 32, clinic="clinea", role=Role.APPROVER)
JOURNAL = Actor(id="client:journal", clinic="clinea", role=Role.ADMINISTRATOR)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActingHouse]:
    """Serve a house once for all."""
    with open_acting_house(
        tmp_path_factory.mktemp("local"), StoppedClock(NOW), clinic={"mandates": ["VISIT"]}
    ) as house:
        yield house


@pytest.fixture
def house(opened: ActingHouse) -> ActingHouse:
    """Give it as if nobody had been here."""
    return opened.fresh()


def handle(house: ActingHouse, ward: Ward) -> str:
    """Return what the clinic knows a child by."""
    kept = house.records.enrolments.change(
        ward.person, "clinea", lambda before: before and replace(before, handle=before.handle or new_handle())
    ) or house.records.enrolments.find(ward.person, "clinea")
    assert kept is not None
    return kept.handle


def offered(house: ActingHouse) -> bool:
    """Tell whether anna is offered a ward when she signs in."""
    return GIVEN in house.proved(house.browser()).text


@pytest.mark.parametrize("why", ["custody", "withdrawn"])
def test_what_the_clinic_ended_a_stale_register_does_not_open(house: ActingHouse, why: str) -> None:
    """The attack: a court took custody, the clinic ended it, and a register that has not heard lets the parent in."""
    ward = house.child(401 if why == "custody" else 402)
    row, noting = house.note(ward), house.house.wards.noting
    house.folk.ties[house.guardian()] = (ward.tie(),)
    tokens = house.acts()
    noting.end(BO, handle(house, ward), row.id, why, house.clock.now())

    assert not house.lives(tokens)
    assert not offered(house)
    house.note(ward)  # the clinic's newer word
    assert offered(house)


def test_other_ends_bar_nobody(house: ActingHouse) -> None:
    """A note that was ended as a mistake says nothing against what a register knows."""
    ward = house.child(403)
    row = house.note(ward)
    house.folk.ties[house.guardian()] = (ward.tie(),)
    house.house.wards.noting.end(BO, handle(house, ward), row.id, "mistake", house.clock.now())

    assert offered(house)


@pytest.mark.parametrize("named", [True, False])
def test_custody_of_who_was_never_noted_is_remembered(house: ActingHouse, named: bool) -> None:
    """The attack: who acts by a register's word alone leaves no note to end, and signs in again at once."""
    ward = house.child(404 + named)
    house.folk.ties[house.guardian()] = (ward.tie(),)
    tokens = house.acts()
    filing = house.house.offices.filing
    number = parse(house.people["anna"].number or "", "DK", now=house.today)
    for _ in range(2):
        filing.custody(JOURNAL, handle(house, ward), house.today, house.clock.now(), number if named else None)

    assert not house.lives(tokens)
    assert not offered(house)
    kept = house.house.durable.guardianships.of_guardian_ever(house.guardian())
    assert len([row for row in kept if row.ward == ward.person]) == 1


def test_a_lost_custody_bars_no_mandate_of_the_grown(house: ActingHouse) -> None:
    """Who was once taken from a parent may give them a power of attorney as a grown person."""
    ward = house.child(406, 20)
    row = house.note(ward)
    house.house.durable.guardianships.end(row.clinic, row.ward, house.clock.now(), "custody", row.guardian)
    house.folk.ties[house.guardian()] = (ward.tie(relation=MANDATE, powers=("VISIT",)),)

    assert offered(house)


def test_a_clinics_word_makes_no_child_of_a_grown_patient(house: ActingHouse) -> None:
    """The attack: staff write another birth date for a grown patient, and note a guardian for the child."""
    ward = house.child(407, 40)
    house.enrol(ward, birthdate=date(2017, 1, 1))
    house.note(ward)

    assert not offered(house)
