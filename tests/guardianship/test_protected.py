"""A patient whose name and address are protected, as the clinic itself has noted: nobody acts for them there (L15)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from idbroker.accounts.account import Enrolment, Entry, Standing
from idbroker.accounts.entries import asked_entry
from idbroker.accounts.records import new_handle
from idbroker.clock import StoppedClock
from idbroker.identity import Identity, LoA
from idbroker.patients.noting import Said, WhyNot
from idbroker.patients.patient import Patient, Sheet
from idbroker.staff.member import Actor, Role
from tests.conftest import NOW
from tests.guardianship.acting_house import GIVEN, ActingHouse, Ward, open_acting_house

BO = Actor(id="b" * 32, clinic="clinea", role=Role.APPROVER)
HIDDEN = Entry(protected=True, entered_at=NOW, by=BO.id)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActingHouse]:
    """Serve a house once for all."""
    with open_acting_house(tmp_path_factory.mktemp("hidden"), StoppedClock(NOW)) as house:
        yield house


@pytest.fixture
def house(opened: ActingHouse) -> ActingHouse:
    """Give it as if nobody had been here."""
    return opened.fresh()


def handle(house: ActingHouse, ward: Ward) -> str:
    """Return what the clinic knows a child by."""

    def named(before: Enrolment | None) -> Enrolment | None:
        if before is None:
            return None
        entry = before.entry or Entry(entered_at=NOW, by=BO.id)
        return replace(before, handle=before.handle or new_handle(), entry=entry)

    kept = house.records.enrolments.change(ward.person, "clinea", named)
    assert kept is not None
    return kept.handle


def marked(house: ActingHouse, ward: Ward, *, hidden: bool = True) -> Patient:
    """Let staff mark a child, or take the mark back."""
    register = house.house.offices.register
    done = register.change(BO, handle(house, ward), Sheet(protected=hidden), None, house.clock.now())
    assert isinstance(done, Patient)
    return done


def offered(house: ActingHouse) -> bool:
    """Tell whether anna is offered a ward when she signs in."""
    return GIVEN in house.proved(house.browser()).text


@pytest.mark.parametrize("by", ["the clinic", "a register"])
def test_nobody_acts_for_them(house: ActingHouse, by: str) -> None:
    """The attack: a parent from whom a child is hidden is let in by a note, or by a register that hides nobody."""
    ward = house.child(601 if by == "the clinic" else 602)
    if by == "the clinic":
        house.note(ward)
    else:
        house.folk.ties[house.guardian()] = (ward.tie(),)
    assert offered(house)
    tokens = house.acts()

    marked(house, ward)

    assert not house.lives(tokens)  # what is open ends with it, at once
    assert not offered(house)
    marked(house, ward, hidden=False)
    assert offered(house)


def test_nobody_is_noted(house: ActingHouse) -> None:
    """A guardian who could do nothing is not noted: staff read so at once."""
    ward = house.child(603)
    marked(house, ward)
    noted = house.house.wards.noting.note(BO, handle(house, ward), house.guardian(), Said(), house.clock.now())
    assert noted is WhyNot.NOTHING


@pytest.mark.parametrize("hidden", [True, False])
def test_what_an_eid_says_of_who_registers(hidden: bool) -> None:
    """Whoever registers by an eID that tells of the protection comes with the mark; the clinic's own word stays."""
    identity = Identity(
        provider="suomifi",
        issuer="https://eid.example.org",
        subject="1",
        loa=LoA.HIGH,
        proved_at=NOW,
        protected=hidden,
    )
    assert asked_entry(None, "patient", identity, NOW).protected is hidden
    own = Enrolment(person="a", clinic="clinea", standing=Standing.KNOWN, asked_at=NOW, entry=HIDDEN)
    assert asked_entry(own, "patient", identity, NOW).protected
