"""Who acts by a register's word, which leaves no note, is told of the birthday too; nothing else comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idbroker.accounts.account import Account, Contact
from idbroker.ages import comes_of_age
from idbroker.clinic import Clinic
from idbroker.clock import StoppedClock
from idbroker.guardianship.entering import limits_over
from idbroker.guardianship.records import USED, Guardianship, new_id
from idbroker.messages.message import Channel
from idbroker.numbers import parse
from tests.guardianship.acting_house import ActingHouse, Ward, open_acting_house
from tests.oidc.making import make_client

ADDRESS = "anna@example.org"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ActingHouse]:
    """Give a clinic that has noted nobody; a register tells who may act."""
    with open_acting_house(tmp_path, StoppedClock(datetime(2026, 10, 1, 10, tzinfo=UTC))) as opened:
        yield opened


def acted(house: ActingHouse, ward: Ward) -> None:
    """Have anna act for a child, on the register's word."""
    house.folk.ties[house.guardian()] = (ward.tie(),)
    house.acts()


def kept(house: ActingHouse, ward: Ward) -> tuple[Guardianship, ...]:
    """Return what is kept of who may act for a child, or has."""
    return house.house.durable.guardianships.of_ward(ward.person)


def test_kept_once_and_opens_nothing(house: ActingHouse) -> None:
    """It is kept at the first use, once, until the birthday; without the register's word it lets nobody in."""
    ward = house.child(401)
    acted(house, ward)
    acted(house, ward)
    (row,) = kept(house, ward)

    assert (row.basis, row.guardian, row.limit_on) == (USED, house.guardian(), comes_of_age(ward.born, 13))
    house.folk.ties.clear()
    assert 'value="0"' not in house.proved(house.browser()).text


def test_a_note_takes_its_place(house: ActingHouse) -> None:
    """A clinic notes whom a register has let in, as if nothing were kept; what was told is not told again."""
    ward = house.child(402)
    acted(house, ward)
    (row,) = kept(house, ward)
    assert house.house.durable.guardianships.tell(row.id, 14)
    noted = house.note(ward)

    (now,) = kept(house, ward)
    assert (now.id, now.basis, now.told) == (noted.id, "clinic", 14)
    assert not house.house.durable.guardianships.add(replace(row, id=new_id()))


def test_a_court_says_no(house: ActingHouse) -> None:
    """Of whom a register says that custody is over nothing is kept: they are not written to about the birthday."""
    ward = house.child(403)
    acted(house, ward)
    house.folk.ties[house.guardian()] = (ward.tie(barred="no_custody"),)
    house.proved(house.browser(), acting_for="ask")

    assert kept(house, ward) == ()


def test_told_by_letter_and_on_the_page(house: ActingHouse) -> None:
    """In the last 60 days the page says it; 14 days before and on the day a letter goes; then it is forgotten."""
    ward, now = house.child(404, 12, days=325), house.clock.now()
    number = parse(house.people["anna"].number or "", "DK", now=house.today)
    contact = Contact(channel=Channel.EMAIL, address=ADDRESS, verified_at=now)
    account = Account(person=house.guardian(), number=number, created_at=now, contacts=(contact,))
    assert house.records.accounts.add(account)
    acted(house, ward)
    page = house.proved(house.browser(), ui_locales="en").text
    assert "From 10/11/2026" in page or "From 10 November 2026" in page or "From 2026-11-10" in page
    limit = comes_of_age(ward.born, 13)
    sent = []
    for days in (14, 0):
        noon = datetime(limit.year, limit.month, limit.day, 11, tzinfo=UTC) - timedelta(days=days)
        house.clock.move(noon - house.clock.now())
        for _ in range(2):  # another worker finds nothing to do
            house.house.wards.birthdays.deliver(house.clock.now())
        sent.append([row.told for row in kept(house, ward)])

    assert sent == [[14], []]


@pytest.mark.parametrize(
    ("services", "first_end", "grown_up"),
    [
        ((), 13, 13),
        (({"acting": "asked", "ages": {"guardian_until": 16}}, {"acting": "asked"}), 16, 16),
        (({"acting": "asked"}, {"acting": "never", "ages": {"guardian_until": 16}}), 13, 13),
        (({"acting": "asked", "ages": {"guardian_until": 16}, "disabled": True},), 13, 13),
        (({"acting": "asked", "ages": {"guardian_until": 16}, "clinic": "another"},), 13, 13),
        (({"ages": {"code_until": 15}},), 13, 15),
    ],
)
def test_the_latest_limit(services: tuple[dict[str, object], ...], first_end: int, grown_up: int) -> None:
    """A clinic's notes and letters go by the service that lets go last, of those that take guardians at all."""
    clinic = Clinic(id="c", name="C", country="SE", providers=("eid",))
    found = limits_over(clinic, [make_client(**{"clinic": "c", **one}) for one in services])

    assert (found.first_end, found.grown_up) == (first_end, grown_up)
