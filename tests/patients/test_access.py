"""Sending access: to whom a link goes, what it does when it is used, and who is sent nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.accounts import activation, recovery
from idbroker.accounts.account import Contact, Purpose, Standing
from idbroker.accounts.choosing import Spent
from idbroker.clock import StoppedClock
from idbroker.errors import NotFound
from idbroker.messages.message import Channel
from idbroker.otp.one_time import Limited
from idbroker.patients.access import Receipt
from idbroker.patients.patient import Conflict, NotDone
from tests.accounts.desk_house import ANNA, EMAIL, EMIL, SMS
from tests.accounts.recovery_house import CLINIC, NEW, token_in
from tests.patients.access_house import BOTH, LASTING, OTHER, TOLD, AccessHouse, access_house
from tests.store.crowd import at_once


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[AccessHouse]:
    """Give the house."""
    with access_house(tmp_path, clock) as opened:
        yield opened


# ---- who has no password yet ---------------------------------------------------------------------


def test_a_first_link_by_the_channels_ticked(house: AccessHouse, clock: StoppedClock) -> None:
    """Who has no account is sent a link to choose a password, there and only there where staff ticked (R31)."""
    patient = house.patient()

    receipt = house.send(patient, (Channel.SMS,))

    until = clock.now() + activation.LIFE
    sent = {Channel.SMS: TOLD[Channel.SMS]}
    assert receipt == Receipt(kind="link", sent=sent, at=clock.now(), until=until)
    assert house.rooms.settled(Channel.EMAIL) == []
    (message,) = house.rooms.settled(Channel.SMS)
    house.choose(token_in(message))
    account = house.rooms.account(patient.person)
    assert [one.address for one in account.reachable] == [TOLD[Channel.SMS]]
    kept = house.rooms.enrolments.find(patient.person, patient.clinic)
    assert kept is not None
    assert kept.told == TOLD, "what was not ticked is not forgotten"


def test_the_receipt_stays(house: AccessHouse, clock: StoppedClock) -> None:
    """Staff see to which addresses and when, the newest first, for as long as they may need it (R32)."""
    patient = house.patient()
    first = house.send(patient, (Channel.SMS,))
    clock.move(timedelta(days=2))
    second = house.send(patient, BOTH)

    assert house.access.receipts(house.actor(), patient.handle) == (second, first)
    events = house.rooms.desk.events("patient.sent")
    assert [event.detail["channels"] for event in events] == ["sms", "sms email"]
    assert {event.detail["by"] for event in events} == {house.actor().id}
    assert TOLD[Channel.SMS] not in repr(events)


def test_pressed_twice(house: AccessHouse) -> None:
    """The same form again sends nothing, and is told the same."""
    patient = house.patient()

    first, again = house.send(patient, form="one press"), house.send(patient, form="one press")

    assert first == again
    assert len(house.rooms.settled()) == 1


@pytest.mark.parametrize("clinic", [CLINIC.id, LASTING.id])
def test_pressed_at_the_same_moment(house: AccessHouse, clinic: str) -> None:
    """Of many presses of one form at once one sends, and all are told of that one; another form is another."""
    patient = house.patient(clinic)

    told = at_once(lambda _: house.send(patient, form="one press"), 4)

    assert told == [told[0]] * 4
    assert isinstance(told[0], Receipt)
    assert len(house.rooms.settled()) == 1
    assert len(house.rooms.desk.events("patient.sent")) == 1
    house.send(patient, form="another")
    assert len(house.rooms.desk.events("patient.sent")) == 2


def test_three_an_hour(house: AccessHouse, clock: StoppedClock) -> None:
    """Three times in an hour something is sent to a patient, and then not before the hour is over."""
    house.rooms.desk.account(ANNA)
    patient = house.patient()
    for _ in range(3):
        assert isinstance(house.send(patient), Receipt)

    assert house.send(patient) == Limited(until=clock.now() + timedelta(hours=1))
    clock.move(timedelta(hours=1))
    assert isinstance(house.send(patient), Receipt)


# ---- who has one ---------------------------------------------------------------------------------


def test_an_address_of_theirs_gets_what_they_could_ask_for(house: AccessHouse, clock: StoppedClock) -> None:
    """To an address that they have shown to be theirs goes the link of a forgotten password: an hour, anywhere."""
    anna = house.rooms.desk.account(ANNA)
    patient = house.patient(told={Channel.EMAIL: EMAIL.address})

    receipt = house.send(patient)

    assert isinstance(receipt, Receipt)
    assert receipt.until == clock.now() + recovery.LIFE
    (message,) = house.rooms.settled()
    assert message.kind == "reset"
    house.choose(token_in(message))
    account = house.rooms.account(anna.person)
    assert (account.only_at, account.reset_by, account.contacts) == ((), Channel.EMAIL, anna.contacts)


def test_any_other_address_opens_this_clinic_alone(house: AccessHouse, clock: StoppedClock) -> None:
    """To an address that only the clinic knows goes a link that shows it to be theirs, and opens this clinic only."""
    anna = house.rooms.desk.account(ANNA)
    patient = house.patient()

    receipt = house.send(patient)

    assert isinstance(receipt, Receipt)
    assert receipt.until == clock.now() + activation.LIFE
    (message,) = house.rooms.settled()
    assert message.kind == "renewal"
    assert house.rooms.account(anna.person) == anna, "nothing is changed by sending"
    house.choose(token_in(message))
    account = house.rooms.account(anna.person)
    assert account.only_at == (patient.clinic,)
    given = Contact(channel=Channel.EMAIL, address=TOLD[Channel.EMAIL], verified_at=clock.now())
    assert set(account.contacts) == {SMS, given}
    assert house.rooms.desk.desk.hasher.verify(account.password, NEW)


def test_everybody_known_before_is_told(house: AccessHouse) -> None:
    """The address that was theirs is told of the change, all sign-ons end, and no older link opens anything."""
    anna = house.rooms.desk.account(ANNA)
    patient = house.patient()
    older = house.rooms.link()
    house.send(patient)
    (message,) = house.rooms.settled()

    house.choose(token_in(message))

    told = [one.to for one in house.rooms.settled() if one.kind == "changed"]
    assert set(told) == {EMAIL.address, TOLD[Channel.EMAIL]}
    assert [one.kind for one in house.rooms.settled(Channel.SMS)].count("changed") == 1
    assert {(person, why) for person, why, _ in house.rooms.ended.asked} == {(anna.person, "password")}
    again = house.rooms.recovery.choose(older, "noget helt andet nu", "f", house.rooms.desk.clock.now())
    assert isinstance(again, Spent)


def test_one_way_does_not_speak_for_the_other(house: AccessHouse) -> None:
    """Of two channels, the link shows only whose the one is that it was read by."""
    anna = house.rooms.desk.account(ANNA)
    patient = house.patient()
    house.send(patient, BOTH)

    house.choose(token_in(house.rooms.settled(Channel.SMS)[0]))

    account = house.rooms.account(anna.person)
    assert account.contact(Channel.EMAIL) == EMAIL
    assert account.contact(Channel.SMS) != SMS


def test_scanners_and_three_days(house: AccessHouse, clock: StoppedClock) -> None:
    """Looking uses nothing up (F2); after 72 hours the link is of no use."""
    house.rooms.desk.account(ANNA)
    house.send(house.patient())
    token = token_in(house.rooms.settled()[0])

    for _ in range(5):
        assert house.rooms.recovery.open(token, clock.now())
    clock.move(activation.LIFE)
    assert house.rooms.recovery.open(token, clock.now()) is None


def test_an_eid_since_ends_the_link(house: AccessHouse, clock: StoppedClock) -> None:
    """Who has come with an eID since then is not let in, nor locked out, by what staff sent before."""
    anna = house.rooms.desk.account(ANNA, confirmed_at=None)
    house.send(house.patient())
    token = token_in(house.rooms.settled()[0])
    clock.move(timedelta(minutes=1))
    accounts = house.rooms.desk.desk.accounts
    accounts.change(anna.person, lambda account: replace(account, confirmed_at=clock.now()))

    assert house.rooms.recovery.open(token, clock.now()) is None


def test_two_clinics_that_say_the_same(house: AccessHouse) -> None:
    """A second clinic that sends to that very address adds itself; to another, it takes the place of the first."""
    house.rooms.desk.account(ANNA)
    first, second = house.patient(), house.patient(OTHER.id)
    assert house.take(first).only_at == (first.clinic,)

    assert house.take(second, password="syv gule tog i regn").only_at == (first.clinic, OTHER.id)

    elsewhere = house.patient(OTHER.id, told={Channel.EMAIL: "new@example.org"})
    assert house.take(elsewhere, password="otte blå skibe på is").only_at == (OTHER.id,)


# ---- who is sent nothing -------------------------------------------------------------------------


def test_nobody_is_sent_anything(house: AccessHouse, clock: StoppedClock) -> None:
    """No address, a death, an unanswered request, a disabled account, another number: words, and no message."""
    patient = house.patient()
    assert patient.entry is not None
    dead = replace(patient.entry, deceased_on=clock.now().date())
    wrong = replace(patient.entry, number=EMIL)

    def why(**changes: Any) -> Conflict:
        result = house.send(house.patient(handle=patient.handle, **changes), BOTH)
        assert isinstance(result, NotDone)
        return result.why

    assert why(told={}) is Conflict.NO_CONTACT
    assert why(entry=dead) is Conflict.DECEASED
    assert why(standing=Standing.ASKED) is Conflict.NOT_HERE
    assert why(entry=replace(patient.entry, number=None)) is Conflict.NO_NUMBER
    assert why(entry=wrong) is Conflict.ELSEWHERE
    house.rooms.desk.account(ANNA, disabled=True)
    assert why() is Conflict.ELSEWHERE
    assert house.rooms.settled() == house.rooms.settled(Channel.SMS) == []


def test_a_child_whom_a_guardian_looks_after(house: AccessHouse) -> None:
    """A child's way in is its guardian's, whom the clinic has approved: staff send nothing past them."""
    guardian = house.rooms.desk.desk.accounts.person(ANNA, house.rooms.desk.clock.now())
    house.rooms.desk.account(EMIL, guardian=guardian)

    result = house.send(house.patient(number=EMIL, guardian=guardian))

    assert isinstance(result, NotDone)
    assert result.why is Conflict.ELSEWHERE


def test_who_has_outgrown_a_guardian(house: AccessHouse) -> None:
    """Who has grown up since is sent their own way in, and nothing of the guardian's is left in the account."""
    guardian = house.rooms.desk.desk.accounts.person(EMIL, house.rooms.desk.clock.now())
    account = house.rooms.desk.account(ANNA, guardian=guardian)

    result = house.send(house.patient(guardian=guardian))

    assert isinstance(result, Receipt)
    kept = house.rooms.account(account.person)
    assert (kept.guardian, kept.password, kept.in_use) == (None, None, False)


def test_another_clinics_patient_is_not_there(house: AccessHouse, clock: StoppedClock) -> None:
    """A handle is one clinic's own: at another it finds nothing; so does another clinic's service."""
    patient = house.patient()

    with pytest.raises(NotFound):
        house.access.send(house.actor(OTHER.id), patient.handle, BOTH, None, clock.now())
    with pytest.raises(NotFound):
        house.access.send(house.actor(), patient.handle, BOTH, "others", clock.now())
    assert house.rooms.linking.find("x" * 52, clock.now()) is None
    assert {purpose.value for purpose in Purpose} == {"reset", "activate", "letter", "renew"}
