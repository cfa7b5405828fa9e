"""What was chosen at a register's own page: kept for its life, weighed with all other registers, renewed or ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.acting import Acting
from idbroker.clock import StoppedClock
from idbroker.guardianship.registers import Registers
from idbroker.guardianship.tie import Answer, Guardian, Tie
from idbroker.guardianship.valtuudet import Valtuudet
from idbroker.identity import Identity, LoA
from idbroker.keeping import SealedTransient, Shelf
from idbroker.numbers import parse
from idbroker.sealing import SealingKeys
from idbroker.store import open_transient
from tests.conftest import NOW
from tests.guardianship.acting_house import Folk, open_acting_house
from tests.guardianship.valtuudet_register import CLINIC, Office, open_office

COUNTY = replace(CLINIC, registers=("valtuudet", "folk"))
LIFE = timedelta(seconds=599)


@pytest.fixture
def office(tmp_path: Path, clock: StoppedClock) -> Iterator[Office]:
    """Give the register, and the simulator that it asks."""
    with open_office(tmp_path, clock) as opened:
        yield opened


def registers(office: Office, folk: Folk, register: Valtuudet | None = None) -> Registers:
    """Return a clinic's registers: e-Authorizations, and one of the test's."""
    keys = SealingKeys(data={1: b"k" * 32}, newest=1, index=b"i" * 32)
    kept = Shelf(SealedTransient(open_transient("sqlite://", office.clock), lambda: keys), "G", Answer)
    return Registers(always=(folk,), elsewhere={"valtuudet": register or office.register}, kept=kept)


def test_kept_for_its_life(office: Office) -> None:
    """What was chosen answers what is asked about the same two people, without a call, for its stated life."""
    asked = registers(office, Folk())
    guardian, onni = office.guardian(), office.number("onni")
    asked.chosen(office.go(), guardian, COUNTY, NOW)
    calls = len(office.asked)

    office.clock.move(LIFE - timedelta(seconds=1))
    kept = asked.about(guardian, onni, COUNTY, office.clock.now())
    assert [one.given_name for answer in kept.answers for one in answer.ties] == ["Onni"]
    assert len(office.asked) == calls

    office.clock.move(timedelta(seconds=1))
    office.custody.change("aino", "onni", {"barred": "no_custody"})
    anew = asked.about(guardian, onni, COUNTY, office.clock.now())
    assert [one.barred for answer in anew.answers for one in answer.ties] == ["no_custody"]
    assert len(office.asked) == calls + 1


def test_kept_for_nobody_else(office: Office) -> None:
    """What one guardian chose at one clinic answers for no other guardian, ward or clinic."""
    asked = registers(office, Folk())
    asked.chosen(office.go(), office.guardian(), COUNTY, NOW)

    for guardian, ward, clinic in (
        ("jaana", "onni", COUNTY),
        ("aino", "veera", COUNTY),
        ("aino", "onni", replace(COUNTY, id="other")),
    ):
        calls = len(office.asked)
        asked.about(office.guardian(guardian), office.number(ward), clinic, NOW)
        assert len(office.asked) == calls + 1


def test_without_the_interface_it_ends(office: Office) -> None:
    """Without a way to ask again, what was chosen ends with its life: by no answer, and no outage to wait for."""
    asked = registers(office, Folk(), office.set_up(rest_key_file=None))
    guardian, onni = office.guardian(), office.number("onni")
    asked.chosen(office.go(), guardian, COUNTY, NOW)

    assert [len(answer.ties) for answer in asked.about(guardian, onni, COUNTY, NOW).answers] == [0, 1]
    office.clock.move(LIFE)
    found = asked.about(guardian, onni, COUNTY, office.clock.now())
    assert [len(answer.ties) for answer in found.answers] == [0, 0]
    assert found.down == ()


def test_others_are_asked(office: Office) -> None:
    """A yes from Suomi.fi does not stand alone: what every other register says of the same child is weighed with it."""
    folk, guardian = Folk(), office.guardian()
    folk.ties[guardian.person] = (Tie(number=office.number("onni"), barred="care_order"),)

    found = registers(office, folk).chosen(office.go(), guardian, COUNTY, NOW)

    assert [(answer.register, answer.ties[0].barred) for answer in found.answers] == [
        ("valtuudet", ""),
        ("folk", "care_order"),
    ]


def test_another_is_down(office: Office) -> None:
    """Another register that does not answer might bar: it is said that it is down, and nobody acts meanwhile."""
    found = registers(office, Folk(down=True)).chosen(office.go(), office.guardian(), COUNTY, NOW)

    assert found.down == ("folk",)


def test_page_is_for_whom_it_knows(office: Office) -> None:
    """Its page is offered to those that it can know, at clinics that ask it."""
    asked = registers(office, Folk())

    assert [page.name for page in asked.pages(COUNTY, office.guardian("aino"))] == ["valtuudet"]
    assert asked.pages(COUNTY, office.guardian("elena")) == ()
    assert asked.pages(replace(COUNTY, registers=("folk",)), office.guardian("aino")) == ()


def test_name_outlives_the_choice(tmp_path: Path, clock: StoppedClock) -> None:
    """Asked again, a register that says yes and no more leaves the ward the name that it was chosen by."""
    with open_acting_house(tmp_path, clock) as house:
        ward, judging = house.child(1), house.house.wards.judging
        client, clinic = house.house.clients.find("portal"), house.house.settings.clinics.find("clinea")
        assert client is not None
        assert clinic is not None
        guardian = Guardian(person=house.guardian(), identity=_anna(house.people["anna"].number or ""))
        house.folk.ties[guardian.person] = (ward.tie(),)
        first = judging.of_number(ward.number, guardian, client, clinic, clock.now())
        assert isinstance(first, Acting)
        house.folk.ties[guardian.person] = (Tie(number=ward.number),)

        again = judging.again(first, guardian, client, clinic, clock.now())

        assert isinstance(again, Acting)
        assert (again.given_name, again.family_name) == (first.given_name, first.family_name) != (None, None)


def _anna(number: str) -> Identity:
    return Identity(
        provider="mitid",
        issuer="https://mitid.example",
        subject="anna",
        loa=LoA.SUBSTANTIAL,
        proved_at=NOW,
        number=parse(number, "DK", now=NOW.date()),
    )
