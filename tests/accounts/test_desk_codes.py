"""The desk: ways for codes, and codes checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest

from idbroker.accounts.account import Account, Contact
from idbroker.accounts.desk import (
    Way,
)
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from idbroker.otp.one_time import Limited, Locked, Right, Sent, Wrong
from tests.accounts.desk_house import ANNA, CLINIC, EMAIL, SMS, DeskHouse, desk_house
from tests.conftest import NOW
from tests.store.crowd import at_once

QUARTER = timedelta(minutes=15)


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[DeskHouse]:
    """Give a desk."""
    with desk_house(tmp_path, clock) as house:
        yield house


# ---- ways ----------------------------------------------------------------------------------------


def without(contact: Contact) -> Contact:
    """Return a contact that nobody has verified."""
    return replace(contact, verified_at=None)


@pytest.mark.parametrize(
    ("changes", "codes", "expected"),
    [
        ({}, ("sms", "email", "app"), ["sms", "email"]),
        ({}, ("email", "sms"), ["email", "sms"]),
        ({}, ("email",), ["email"]),
        ({"app_secret": "A" * 32}, ("sms", "email", "app"), ["sms", "email", "app"]),
        ({"app_secret": "A" * 32}, ("app", "sms"), ["app", "sms"]),
        ({"contacts": (EMAIL,)}, ("sms", "email", "app"), ["email"]),
        ({"contacts": (EMAIL, without(SMS))}, ("sms", "email"), ["email"]),
        ({"contacts": (replace(SMS, address="+12025550123"),)}, ("sms", "email"), []),
        ({"contacts": ()}, ("sms", "email", "app"), []),
    ],
)
def test_ways_are_the_clinics_and_the_persons(
    house: DeskHouse, changes: dict[str, Any], codes: tuple[str, ...], expected: list[str]
) -> None:
    """Codes go to verified addresses only, where the operator sends to, in the clinic's order (ASVS 6.6.1)."""
    ways = house.desk.ways(house.account(**changes), replace(CLINIC, codes=codes))

    assert ways == tuple(Way(channel=channel) for channel in expected)


def test_what_does_not_work_comes_last(house: DeskHouse) -> None:
    """A channel that is not configured is said to be dead, and the other comes first."""
    del house.wires[Channel.SMS]

    assert house.desk.ways(house.account(), CLINIC) == (Way(channel="email"), Way(channel="sms", dead=True))


# ---- codes ---------------------------------------------------------------------------------------


def sent(house: DeskHouse, account: Account, channel: Channel = Channel.SMS, transaction: str = "t1") -> Sent:
    """Send a code."""
    answer = house.desk.send(house.visit(transaction), account, channel)
    assert not isinstance(answer, Limited)
    return answer


def test_a_code_that_was_sent_is_right_once(house: DeskHouse) -> None:
    """ASVS 6.5.1: by the way it was sent, in the sign-in it was sent for."""
    account = house.account()
    sent(house, account)
    code, visit = house.code(), house.visit()

    assert isinstance(house.desk.check(house.visit("t2"), account, "sms", code), Wrong)
    assert isinstance(house.desk.check(visit, account, "email", code), Wrong)
    assert house.desk.check(visit, account, "sms", code) == Right()
    assert house.desk.check(visit, account, "sms", code) != Right()
    assert Counter(event.kind for event in house.events("code.wrong")) == {"code.wrong": 3}


def test_a_code_to_another_number_is_wrong(house: DeskHouse) -> None:
    """O4: a code for the number they had is good for no other."""
    account = house.account()
    sent(house, account)
    code = house.code()
    moved = account.with_contact(replace(SMS, address="+4520654321"))

    assert isinstance(house.desk.check(house.visit(), moved, "sms", code), Wrong)
    assert isinstance(house.desk.check(house.visit(), account.without_contact(Channel.SMS), "sms", code), Wrong)
    with pytest.raises(ValueError, match="sms"):
        house.desk.send(house.visit(), account.without_contact(Channel.SMS), Channel.SMS)


def test_an_app_code_counts_once_of_two_hundred(house: DeskHouse) -> None:
    """ASVS 6.5.1; RFC 6238, 5.2: one of many at once is right, and the step is kept with the account."""
    secret = pyotp.random_base32()
    account = house.account(app_secret=secret)
    code = pyotp.TOTP(secret).at(NOW)

    verdicts = at_once(lambda _: house.desk.check(house.visit(), account, "app", code))

    kept = house.desk.account(account.person)
    assert verdicts.count(Right()) <= 1
    assert kept is not None
    assert kept.app_step == int(NOW.timestamp()) // 30 or Right() not in verdicts
    assert house.desk.check(house.visit(), kept, "app", code) != Right()


def test_a_step_that_was_used_is_not_used_again(house: DeskHouse, clock: StoppedClock) -> None:
    """RFC 6238, 5.2: not the same code, not an earlier one; the next one is right."""
    secret = pyotp.random_base32()
    account = house.account(app_secret=secret)
    app, earlier = pyotp.TOTP(secret), NOW - timedelta(seconds=30)

    assert house.desk.check(house.visit(), account, "app", app.at(NOW)) == Right()
    kept = house.desk.account(account.person)
    assert kept is not None
    assert isinstance(house.desk.check(house.visit(), kept, "app", app.at(NOW)), Wrong)
    assert isinstance(house.desk.check(house.visit(), kept, "app", app.at(earlier)), Wrong)
    clock.move(timedelta(seconds=30))
    assert house.desk.check(house.visit(), kept, "app", app.at(clock.now())) == Right()


def test_app_codes_are_counted_with_the_others(house: DeskHouse) -> None:
    """O1, O3: changing the way gives no new tries; who is locked is told so whichever way."""
    account = house.account(app_secret=pyotp.random_base32())
    sent(house, account)
    visit = house.visit()

    verdicts = [house.desk.check(visit, account, channel, "000000") for channel in ("app", "sms", "app", "sms", "app")]

    assert verdicts[:4] == [Wrong(left=left) for left in (4, 3, 2, 1)]
    assert verdicts[4] == Locked(until=NOW + QUARTER)
    assert isinstance(house.desk.check(visit, account, "sms", house.code()), Locked)
    assert [event.kind for event in house.events()][-1] == "code.locked"


def test_a_lock_of_the_password_is_no_lock_of_codes(house: DeskHouse) -> None:
    """O9: who has proved the password goes on, whatever strangers type at the number meanwhile."""
    account = house.account()
    sent(house, account)
    for _ in range(5):
        house.desk.password(house.visit(), ANNA, "fire røde cykler")

    assert house.desk.check(house.visit(), account, "sms", house.code()) == Right()


def test_a_message_that_was_refused_is_told(house: DeskHouse) -> None:
    """A code that a gateway refused is known to have failed; one that went is not."""
    account = house.account()
    house.wires[Channel.SMS].refuses = True
    refused = sent(house, account)
    arrived = sent(house, account, Channel.EMAIL)
    house.code(Channel.EMAIL)
    house.refused()

    assert house.desk.failed(refused.message)
    assert not house.desk.failed(arrived.message)
    assert not house.desk.failed("")
