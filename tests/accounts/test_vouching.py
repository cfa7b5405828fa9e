"""What a guardian put into a child's account counts only where a clinic has approved that guardian (ASVS 6.3.8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from idbroker.accounts.account import Account, Contact, Enrolment, Entry, Standing
from idbroker.accounts.vouching import lapsed, told_of_help
from idbroker.clinic import Clinic
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from tests.accounts.asking_house import APPROVAL, AUTOMATIC, PASSWORD, AskingHouse
from tests.accounts.desk_house import ANNA, EMIL
from tests.accounts.recovery_house import CLINIC, SILENT, RecoveryHouse, recovery_house
from tests.accounts.wards import DECIDED, STRANGER, claimed
from tests.conftest import NOW

EVIL = "stranger@example.org"
STRICT = replace(CLINIC, id="strict", name="Strict", registration="approval")


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[RecoveryHouse]:
    """Give the rooms, with a clinic that approves whom it takes."""
    with recovery_house(tmp_path, clock, more=(STRICT,)) as opened:
        yield opened


def ward(house: RecoveryHouse, standing: Standing = Standing.ASKED) -> Account:
    """Return a child that a stranger has registered at one clinic: with an address of the stranger's."""
    now, evil = house.desk.clock.now(), house.desk.desk.accounts.person(ANNA, house.desk.clock.now())
    contact = Contact(channel=Channel.EMAIL, address=EVIL, verified_at=now)
    account = house.desk.account(EMIL, guardian=evil, contacts=(contact,))
    enrol(house, account, SILENT, standing=standing, guardian=evil)
    return account


def enrol(house: RecoveryHouse, account: Account, clinic: Clinic, **changed: object) -> Enrolment:
    """Enrol a child at a clinic."""
    made = Enrolment(
        person=account.person, clinic=clinic.id, standing=Standing.APPROVED, asked_at=house.desk.clock.now()
    )
    made = replace(made, **changed)  # type: ignore[arg-type]
    house.enrolments.change(account.person, clinic.id, lambda _: made)
    return made


def test_a_forgotten_password_tells_a_stranger_nothing(house: RecoveryHouse) -> None:
    """The attack: the mailbox of who only claims a child says, by the clinic's name, whether it is a patient there."""
    account = ward(house)

    house.recovery.ask(house.visit("t1", clinic=STRICT), EMIL, "one")
    assert list(house.settled()) == []
    enrol(house, account, STRICT)
    house.recovery.ask(house.visit("t2", clinic=STRICT), EMIL, "two")

    assert list(house.settled()) == []
    assert [event.detail["why"] for event in house.desk.events("recovery.unknown")] == ["claimed", "claimed"]


def test_another_clinics_approval_names_no_clinic(house: RecoveryHouse) -> None:
    """The attack: approved by mistake at one clinic, a stranger asks at all others which of them knows the child."""
    account = ward(house, Standing.APPROVED)
    enrol(house, account, STRICT)

    house.recovery.ask(house.visit("t1", clinic=STRICT), EMIL, "one")

    (letter,) = house.settled()
    assert letter.to == EVIL
    assert "Strict" not in letter.text + letter.subject
    enrol(house, account, STRICT, guardian=account.guardian)
    house.recovery.ask(house.visit("t2", clinic=STRICT), EMIL, "two")
    assert "Strict" in [one.text for one in house.settled()][-1], "who is approved there hears it in the clinic's name"


@pytest.mark.parametrize("approved", [True, False])
def test_a_changed_address_is_told_to_nobody_else(house: RecoveryHouse, approved: bool) -> None:
    """The attack: a parent without custody hears that the clinic has a new address of the child's."""
    account = ward(house)
    here = enrol(house, account, STRICT, guardian=account.guardian if approved else None)

    house.letters.clinic_changed(here, account, {Channel.EMAIL: "old@example.org"}, NOW)

    assert {one.to for one in house.settled()} == {"old@example.org", *([EVIL] if approved else [])}


@pytest.mark.parametrize(("guardian", "age", "told"), [(True, 15, 1), (True, 9, 0), (False, 15, 0)])
def test_who_hears_of_help(house: RecoveryHouse, guardian: bool, age: int, told: int) -> None:
    """The attack: a stranger, a parent who has lost custody, or one whose child has grown up, reads of each help."""
    account, clinic = ward(house), replace(STRICT, ages={"code_until": age})
    here = enrol(house, account, STRICT, guardian=account.guardian if guardian else None)

    assert len(told_of_help(here, account, clinic, NOW)) == told


def test_a_password_just_chosen_is_wrong_for_everybody(asking: AskingHouse) -> None:
    """A claim's password is wrong, as at a number of nobody's, until a clinic has approved who made the claim."""
    claimed(asking)

    assert tried(asking, AUTOMATIC) == "WrongPassword"
    asking.enrolled(asking.proved(EMIL).person, guardian=None, **DECIDED)  # type: ignore[arg-type]
    assert tried(asking, AUTOMATIC) == "WrongPassword", "the child is approved, and nobody as its guardian"
    mother = asking.proved().person
    asking.enrolled(asking.proved(EMIL).person, guardian=mother, **DECIDED)  # type: ignore[arg-type]
    assert tried(asking, AUTOMATIC) == "RightPassword"


@pytest.mark.parametrize("clinic", [AUTOMATIC, APPROVAL], ids=["automatic", "approval"])
@pytest.mark.parametrize("known", [False, True], ids=["unknown", "in the list"])
def test_registering_tells_nobody_who_is_known(asking: AskingHouse, clinic: Clinic, known: bool) -> None:
    """The attack: a stranger registers a child; whether the password just chosen works would tell if it is known."""
    if known:
        entry = Entry(number=EMIL, given_name="Emil", birthdate=EMIL.birthdate, entered_at=NOW, by="staff-1")
        asking.enrolled(asking.proved(EMIL).person, clinic=clinic, entry=entry)

    assert claimed(asking, clinic, number=STRANGER).page == "waiting"
    assert tried(asking, clinic) == "WrongPassword"


def tried(asking: AskingHouse, clinic: Clinic) -> str:
    """Type the child's number, and the password that was chosen as it was registered."""
    house = asking.desk_house
    return type(house.desk.password(house.visit(clinic=clinic), EMIL, PASSWORD)).__name__


def test_what_a_guardian_made_lapses(house: RecoveryHouse) -> None:
    """It counts until the child is grown by the clinic's age; nowhere sooner, and not by one clinic's age alone."""
    account = ward(house, Standing.APPROVED)
    here = enrol(house, account, STRICT, guardian=account.guardian)
    grown = replace(STRICT, ages={"code_until": 9, "eid_from": 9})

    assert not lapsed(account, [here], STRICT, NOW)
    assert lapsed(account, [here], grown, NOW)
    assert not lapsed(account, house.enrolments.of(account.person), grown, NOW), "another clinic has approved them"
    assert lapsed(account, [], STRICT, NOW)
    assert not lapsed(replace(account, guardian=None), [here], grown, NOW)
