"""Accounts that staff make: a link to choose a password, and nothing of a person's own overwritten."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.accounts.account import Account, Enrolment, Standing
from idbroker.accounts.activation import LIFE, Enrolled, Invited
from idbroker.accounts.choosing import Done, Spent
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from idbroker.otp.one_time import Limited
from tests.accounts.desk_house import ANNA, EMAIL, EMIL, SMS
from tests.accounts.recovery_house import CLIENT, CLINIC, FORM, NEW, RecoveryHouse, recovery_house, token_in
from tests.store.crowd import at_once


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[RecoveryHouse]:
    """Give the rooms."""
    with recovery_house(tmp_path, clock) as opened:
        yield opened


def invited(house: RecoveryHouse, **changes: Any) -> Invited:
    """Invite somebody; return the receipt."""
    receipt = house.activation.invite(house.invitation(**changes), house.desk.clock.now())
    assert isinstance(receipt, Invited)
    return receipt


def exempt(house: RecoveryHouse, person: str) -> str | None:
    """Return why somebody can have no eID, as the clinic has written it down."""
    enrolment = house.enrolments.find(person, CLINIC.id)
    assert enrolment is not None
    assert enrolment.entry is not None
    return enrolment.entry.exempt


def test_an_account_a_place_and_a_link(house: RecoveryHouse, clock: StoppedClock) -> None:
    """Staff say who; the person is enrolled and gets a link by each channel; the receipt shows no whole address."""
    receipt = invited(house, given_name="Anna", language="da")

    assert receipt.sent == {Channel.EMAIL: "t•••@e•••.org", Channel.SMS: "21"}
    assert (receipt.at, receipt.until) == (clock.now(), clock.now() + LIFE)
    enrolment = house.enrolments.find(receipt.person, CLINIC.id)
    assert enrolment is not None
    assert (enrolment.standing, enrolment.by) == (Standing.APPROVED, "staff-7")
    assert enrolment.told == {Channel.EMAIL: "told@example.org", Channel.SMS: "+4520654321"}
    account = house.account(receipt.person)
    assert (account.password, account.reachable, account.confirmed_at) == (None, (), None)
    assert house.sent(Channel.EMAIL).subject == "Vælg en adgangskode til Portalen"
    assert token_in(house.sent(Channel.SMS))
    assert house.kinds("account.made", "account.invited") == ["account.made", "account.invited"]


@pytest.mark.parametrize(("came_by", "other"), [(Channel.EMAIL, Channel.SMS), (Channel.SMS, Channel.EMAIL)])
def test_choosing_shows_whose_one_address_is(house: RecoveryHouse, came_by: Channel, other: Channel) -> None:
    """The address that the link was read at is the person's from then on; of the other nothing is known."""
    receipt = invited(house)
    token = token_in(house.sent(came_by))

    done = house.recovery.choose(token, NEW, FORM, house.desk.clock.now())

    assert isinstance(done, Done)
    account = house.account(receipt.person)
    assert [contact.channel for contact in account.reachable] == [came_by]
    assert account.contact(other)
    assert account.confirmed_at is None
    (event,) = house.desk.events("password.changed")
    assert event.detail == {"how": "activation"}


def test_no_channel_speaks_for_the_other(house: RecoveryHouse) -> None:
    """Who holds the e-mail cannot write its link as the text message's: the channel's letter is checked by our key."""
    invited(house)
    mail, text = token_in(house.sent(Channel.EMAIL)), token_in(house.sent(Channel.SMS))
    forged = [mail[:43] + "s" + mail[44:], mail[:43] + text[43] + mail[44:], text[:43] + "e" + text[44:]]

    answers = [house.recovery.choose(one, NEW, FORM, house.desk.clock.now()) for one in forged]

    assert all(isinstance(answer, Spent) for answer in answers)


def test_one_link_by_two_ways_is_used_once(house: RecoveryHouse) -> None:
    """Chosen by the e-mail's link, the text message's is spent."""
    invited(house)
    mail, text = token_in(house.sent(Channel.EMAIL)), token_in(house.sent(Channel.SMS))

    assert isinstance(house.recovery.choose(mail, NEW, FORM, house.desk.clock.now()), Done)
    assert isinstance(house.recovery.choose(text, NEW, "another form", house.desk.clock.now()), Spent)


def test_three_days_and_no_longer(house: RecoveryHouse, clock: StoppedClock) -> None:
    """The link ends after 72 hours."""
    invited(house)
    token = token_in(house.sent())

    clock.move(LIFE)

    assert house.recovery.open(token, clock.now()) is None


def test_sent_again(house: RecoveryHouse) -> None:
    """A second invitation sends a new link, which ends the first; a mistyped address is put right by it."""
    invited(house)
    first = token_in(house.sent())

    receipt = invited(house, contacts={Channel.EMAIL: "right@example.org"})

    again = house.sent()
    assert again.to == "right@example.org"
    assert isinstance(house.recovery.choose(first, NEW, FORM, house.desk.clock.now()), Spent)
    assert isinstance(house.recovery.choose(token_in(again), NEW, FORM, house.desk.clock.now()), Done)
    assert [contact.address for contact in house.account(receipt.person).contacts] == ["right@example.org"]


def test_three_times_an_hour(house: RecoveryHouse, clock: StoppedClock) -> None:
    """A person is written to three times in an hour, whoever of the staff asks; and may be again after it."""
    for _ in range(3):
        invited(house)

    limited = house.activation.invite(house.invitation(by="staff-8"), clock.now())

    assert isinstance(limited, Limited)
    assert len(house.settled()) == 3
    clock.move(timedelta(hours=1))
    invited(house)


def test_the_first_sign_in_is_announced(house: RecoveryHouse) -> None:
    """Who will be asked for an eID at the first sign-in is told so; who cannot have one is not (R26)."""
    invited(house)
    assert "electronic ID" in house.sent().text

    receipt = invited(house, number=EMIL, exempt="has none")

    assert "electronic ID" not in house.sent().text
    assert exempt(house, receipt.person) == "has none"


def test_what_a_person_has_chosen_stays(house: RecoveryHouse) -> None:
    """An account in use is enrolled and told: neither its password nor its addresses are staff's to change."""
    anna = house.desk.account(ANNA)

    enrolled = house.activation.invite(house.invitation(), house.desk.clock.now())

    assert isinstance(enrolled, Enrolled)
    assert house.account(anna.person) == anna
    mail = house.sent()
    assert (mail.kind, mail.to) == ("approved", EMAIL.address)
    assert CLIENT.way_back in mail.text
    enrolment = house.enrolments.find(anna.person, CLINIC.id)
    assert enrolment is not None
    assert enrolment.told[Channel.EMAIL] == "told@example.org"


def test_an_account_confirmed_by_an_eid_stays_too(house: RecoveryHouse) -> None:
    """Who registered with an eID and chose no password keeps the addresses that were verified then."""
    anna = house.desk.account(ANNA, password=None, contacts=(SMS,))

    assert isinstance(house.activation.invite(house.invitation(), house.desk.clock.now()), Enrolled)
    assert house.account(anna.person).contacts == (SMS,)


def test_staff_may_say_later_that_there_is_no_eid(house: RecoveryHouse, clock: StoppedClock) -> None:
    """A second invitation may say that somebody who chose a password can have no eID; the trail tells of it."""
    anna = house.desk.account(ANNA, confirmed_at=None)

    assert isinstance(house.activation.invite(house.invitation(exempt="too old"), clock.now()), Enrolled)
    kept = house.account(anna.person)
    assert (kept.password, kept.contacts) == (anna.password, anna.contacts)
    assert exempt(house, anna.person) == "too old"
    (event,) = house.desk.events("account.enrolled")
    assert event.detail == {"by": "staff-7", "exempt": "yes"}

    house.activation.invite(house.invitation(), clock.now())
    assert exempt(house, anna.person) == "too old", "who says nothing takes nothing back"


def test_whom_an_eid_has_confirmed_needs_no_exemption(house: RecoveryHouse, clock: StoppedClock) -> None:
    """Where an eID has confirmed an account, it opens nothing more that staff say that there is none."""
    anna = house.desk.account(ANNA)

    house.activation.invite(house.invitation(exempt="too old"), clock.now())

    assert house.account(anna.person) == anna
    (event,) = house.desk.events("account.enrolled")
    assert event.detail == {"by": "staff-7"}


def test_an_address_that_nobody_verified_is_told_nothing_of_others(house: RecoveryHouse) -> None:
    """The address that staff typed for an account in use gets no letter: it may be a stranger's."""
    house.desk.account(ANNA)

    house.activation.invite(house.invitation(), house.desk.clock.now())

    assert "told@example.org" not in {message.to for message in house.settled()}


def test_invited_twice_at_once(house: RecoveryHouse) -> None:
    """Two of the staff at the same moment make one person, one account, one enrolment."""
    answers = at_once(lambda _: house.activation.invite(house.invitation(), house.desk.clock.now()), 3)

    people = {answer.person for answer in answers if isinstance(answer, Invited)}
    assert len(people) == 1
    assert house.kinds("account.made") == ["account.made"]


def test_a_decline_is_taken_back_by_an_invitation(house: RecoveryHouse) -> None:
    """Whom a clinic had declined it may invite all the same."""
    anna = house.desk.account(ANNA)
    house.asked(anna)
    house.approving.decline(anna.person, CLINIC.id, "staff-8", "no", house.desk.clock.now())

    house.activation.invite(house.invitation(), house.desk.clock.now())

    enrolment = house.enrolments.find(anna.person, CLINIC.id)
    assert enrolment is not None
    assert (enrolment.standing, enrolment.by, enrolment.reason) == (Standing.APPROVED, "staff-7", None)


def test_a_forgotten_password_before_the_first_one(house: RecoveryHouse) -> None:
    """Who asks for a reset before having used the invitation is sent nothing: no address is verified yet."""
    invited(house)
    house.settled()

    house.recovery.ask(house.visit(), ANNA, FORM)

    assert not house.settled()


def test_disabled_before_it_was_used(house: RecoveryHouse) -> None:
    """An invitation to an account that was disabled since opens nothing."""
    receipt = invited(house)
    token = token_in(house.sent())
    off: Account | None = house.desk.desk.accounts.change(
        receipt.person, lambda account: dataclasses.replace(account, disabled=True)
    )
    assert off is not None

    assert house.recovery.open(token, house.desk.clock.now()) is None


def test_staff_do_not_vouch_for_a_stranger(house: RecoveryHouse, clock: StoppedClock) -> None:
    """Who claimed a child gains nothing when staff invite the child: neither approval nor password nor address."""
    now = clock.now()
    person = house.activation.accounts.person(EMIL, now)
    claimed = Account(
        person=person, number=EMIL, guardian="stranger", password="theirs", contacts=(EMAIL,), confirmed_at=now,
        created_at=now,
    )  # fmt: skip
    assert house.activation.accounts.add(claimed)
    asked = Enrolment(person=person, clinic=CLINIC.id, standing=Standing.ASKED, asked_at=now, guardian="stranger")
    house.enrolments.change(person, CLINIC.id, lambda _: asked)

    receipt = invited(house, number=EMIL)

    account, enrolment = house.account(person), house.enrolments.find(person, CLINIC.id)
    assert enrolment is not None
    assert (enrolment.standing, enrolment.guardian) == (Standing.APPROVED, None)
    assert (account.password, account.guardian, account.confirmed_at, account.reachable) == (None, None, None, ())
    assert EMAIL.address not in {contact.address for contact in account.contacts}
    assert receipt.sent
