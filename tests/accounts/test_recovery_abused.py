"""What a hostile review did with links and forgotten passwords: each test is one of its attacks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.accounts.account import Contact, Enrolment, Purpose, Standing
from idbroker.accounts.choosing import Done, NotCurrent, Spent
from idbroker.accounts.linking import Origin
from idbroker.clinic import Clinic
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber
from idbroker.otp.throttle import Limit
from tests.accounts.desk_house import ANNA, EMAIL, EMIL, LARS, PASSWORD, SMS
from tests.accounts.recovery_house import CLIENT, CLINIC, FORM, NEW, RecoveryHouse, recovery_house, token_in

STRANGERS = Contact(channel=Channel.EMAIL, address="stranger@example.org")
WARD = Clinic(
    id="ward", name="Afdeling 7", country="DK", providers=("fallback",), registration="off", phone="+4570102030"
)


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[RecoveryHouse]:
    """Give the rooms, with a clinic that takes those alone whom staff have entered."""
    with recovery_house(tmp_path, clock, more=(WARD,)) as opened:
        yield opened


def choose(house: RecoveryHouse, token: str, form: str = FORM) -> object:
    """Choose a password by a link."""
    return house.recovery.choose(token, NEW, form, house.desk.clock.now())


@pytest.mark.parametrize("taken", ["confirmed_at", "contacts", "password"])
def test_an_invitation_to_a_stranger_ends_when_the_person_has_come(house: RecoveryHouse, taken: str) -> None:
    """Staff mistype an address; once the person has come themselves, the link there chooses no password."""
    invited = house.desk.account(ANNA, password=None, contacts=(STRANGERS,), confirmed_at=None)
    now = house.desk.clock.now()
    link, secret = house.linking.make(
        Origin(clinic=CLINIC.id), Purpose.ACTIVATE, invited.person, timedelta(hours=72), now
    )
    token = house.linking.for_channel(link, secret, Channel.EMAIL)
    assert house.recovery.open(token, now)
    own: dict[str, Any] = {"confirmed_at": now, "contacts": (STRANGERS, SMS), "password": "their own"}
    house.desk.desk.accounts.change(invited.person, lambda one: replace(one, **{taken: own[taken]}))

    assert house.recovery.open(token, now) is None
    assert isinstance(choose(house, token), Spent)

    assert house.account(invited.person).password == (own["password"] if taken == "password" else None)


def test_a_mailbox_alone_is_one_factor(house: RecoveryHouse) -> None:
    """Who reads a mailbox chooses a password there; then no code goes there while there is a telephone (O14)."""
    anna = house.desk.account()
    assert {way.channel for way in house.desk.desk.ways(anna, CLINIC)} == {"sms", "email"}
    assert isinstance(choose(house, house.link()), Done)

    after = house.account(anna.person)
    assert [way.channel for way in house.desk.desk.ways(after, CLINIC)] == ["sms"]
    by_mail_alone = replace(CLINIC, codes=("email",))
    assert [way.channel for way in house.desk.desk.ways(after, by_mail_alone)] == ["email"]

    visit = house.visit("t5")
    house.settled(Channel.SMS)
    house.desk.desk.send(visit, after, Channel.SMS)
    house.desk.desk.check(visit, after, "sms", house.desk.code(Channel.SMS))
    assert {way.channel for way in house.desk.desk.ways(house.account(anna.person), CLINIC)} == {"sms", "email"}


def test_a_code_app_of_a_thief_is_told_of(house: RecoveryHouse) -> None:
    """The letter of a changed password says that a code app is connected: it outlives the change."""
    house.desk.account(app_secret="JBSWY3DPEHPK3PXP")
    assert isinstance(choose(house, house.link()), Done)

    (letter,) = [one for one in house.settled() if one.kind == "changed"]
    assert "A code app was connected to your login before, and still is." in letter.text


def test_a_thousand_strangers_close_nobodys_recovery(house: RecoveryHouse) -> None:
    """What a clinic may have is spent from many networks: it is told once, and the next person still gets a link."""
    house.desk.account()
    recovery = replace(house.recovery, by_clinic=Limit(most=2, per=timedelta(hours=1)))
    for turn in range(5):
        number = NationalNumber(country="DK", kind="cpr", value=f"{turn:010d}")
        recovery.ask(house.visit(f"t{turn}", ip=f"2001:db8:{turn}::1"), number, f"form {turn}")
    recovery.ask(house.visit(ip="192.0.2.9"), ANNA, "a patient's")

    assert [one.kind for one in house.settled()] == ["reset"]
    assert house.kinds("recovery.flood") == ["recovery.flood"]


def test_one_customer_of_many_networks_is_one(house: RecoveryHouse) -> None:
    """A /48 holds 65,536 networks: who asks from each of them is counted as the one customer that he is."""
    for turn in range(130):
        number = NationalNumber(country="DK", kind="cpr", value=f"{turn:010d}")
        house.recovery.ask(house.visit(f"t{turn}", ip=f"2001:db8:0:{turn << 8:x}::1"), number, f"form {turn}")

    assert house.desk.durable.messages.count() == 120


def test_a_spent_link_holds_nobody_up(house: RecoveryHouse, clock: StoppedClock) -> None:
    """Posts to a link that was used long ago are answered at once; one beside the first waits a fifth of a second."""
    house.desk.account()
    token, waited = house.link(), list[float]()
    recovery = replace(house.recovery, pause=waited.append)
    assert isinstance(choose(house, token), Done)
    now = clock.now()

    assert isinstance(recovery.choose(token, NEW, "another form", now), Spent)
    assert 0 < sum(waited) < 0.25
    waited.clear()
    clock.move(timedelta(seconds=3))
    assert isinstance(recovery.choose(token, NEW, "another form", clock.now()), Spent)
    assert waited == []


def test_a_link_cannot_be_pointed_at_somebody_else(house: RecoveryHouse, tmp_path: Path) -> None:
    """Who writes to the database points their own link at another person: it opens nothing."""
    house.desk.account()
    emil = house.desk.account(EMIL)
    token = house.link()
    with sqlite3.connect(tmp_path / "broker.db") as database:
        assert database.execute("UPDATE link SET person = ?", (emil.person,)).rowcount == 1

    assert house.recovery.open(token, house.desk.clock.now()) is None
    assert isinstance(choose(house, token), Spent)


def test_no_clinic_is_named_to_whom_it_has_nothing_to_do_with(house: RecoveryHouse) -> None:
    """Somebody forgets another's password at a psychiatric ward's door: the letter does not name the ward."""
    anna = house.desk.account()
    at_the_ward = house.visit(clinic=WARD)
    house.recovery.ask(at_the_ward, ANNA, "one")
    (stranger,) = house.settled()
    house.enrolments.change(
        anna.person,
        WARD.id,
        lambda _: Enrolment(
            person=anna.person, clinic=WARD.id, standing=Standing.APPROVED, asked_at=house.desk.clock.now()
        ),
    )
    house.recovery.ask(at_the_ward, ANNA, "two")
    (patient,) = house.settled()

    assert (WARD.name in stranger.text, WARD.name in patient.text) == (False, True)
    assert CLIENT.called("en") not in stranger.subject + stranger.text
    assert "login.example.org" in stranger.subject


def test_a_person_made_anew_is_not_the_one_before(house: RecoveryHouse, clock: StoppedClock) -> None:
    """What a form of an earlier account left undone chooses no password of the next account of that person."""
    anna = house.desk.account()
    token = house.link()
    assert isinstance(choose(house, token), Done)
    house.desk.desk.accounts.remove(anna.person)
    clock.move(timedelta(minutes=1))
    house.desk.account(password=None, contacts=(EMAIL,), created_at=clock.now())

    choose(house, token)

    assert house.account(anna.person).password is None


def test_guesses_on_ones_own_page_are_told(house: RecoveryHouse) -> None:
    """Who sits at another's open browser and guesses the password leaves an event for each."""
    anna = house.desk.account()

    assert isinstance(house.recovery.change(anna.person, "not " + PASSWORD, NEW, house.visit()), NotCurrent)

    assert [event.person for event in house.desk.events("password.wrong")] == [anna.person]


def test_a_first_password_of_ones_own(house: RecoveryHouse) -> None:
    """Who has an account and no password may choose one; who has one changes it, with the one there is."""
    anna = house.desk.account(password=None)
    emil = house.desk.account(EMIL)

    assert isinstance(house.recovery.choose_first(anna.person, NEW, house.visit(), but="here"), Done)
    assert isinstance(house.recovery.choose_first(emil.person, NEW, house.visit()), Spent)
    assert isinstance(house.recovery.choose_first(anna.person, NEW + " 2", house.visit()), Spent)

    assert house.desk.desk.hasher.verify(house.account(anna.person).password, NEW)
    assert [one.kind for one in house.settled()] == ["changed"]
    assert (anna.person, "password", "here") in house.ended.asked


def test_known_and_unknown_make_the_courier_wait_alike(house: RecoveryHouse) -> None:
    """Whoever asks, the task waits for its draw, and the courier is not woken for it (O7)."""
    house.desk.account()
    house.post.draw = lambda: timedelta(seconds=7)
    now = house.desk.clock.now()
    house.recovery.ask(house.visit(), ANNA, "one")
    house.recovery.ask(house.visit(), LARS, "two")

    assert house.post.deliver(now + timedelta(seconds=6)) == 0
    assert house.post.deliver(now + timedelta(seconds=7)) > 0
    assert token_in(house.sent())
