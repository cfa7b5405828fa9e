"""A clinic's answer: the first one counts, and who asked hears of it once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.accounts.account import Account, Standing
from idbroker.accounts.approving import Decided
from idbroker.clock import StoppedClock
from idbroker.errors import NotFound, StoreError
from idbroker.messages.message import Delivery, Message
from tests.accounts.desk_house import ANNA, EMAIL, EMIL
from tests.accounts.recovery_house import CLINIC, RecoveryHouse, recovery_house
from tests.store.crowd import at_once


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[RecoveryHouse]:
    """Give the rooms."""
    with recovery_house(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def anna(house: RecoveryHouse) -> Account:
    """Give an account that asked for the clinic."""
    account = house.desk.account(ANNA)
    house.asked(account)
    return account


def approve(house: RecoveryHouse, account: Account, by: str = "staff-7") -> Decided:
    """Approve."""
    return house.approving.approve(account.person, CLINIC.id, by, house.desk.clock.now())


def test_approved(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """The person may use the clinic, gets an e-mail, and the trail says who decided (R23)."""
    decided = approve(house, anna)

    assert decided.first
    assert (decided.enrolment.standing, decided.enrolment.by, decided.enrolment.decided_at) == (
        Standing.APPROVED,
        "staff-7",
        clock.now(),
    )
    assert house.sent().to == EMAIL.address
    (event,) = house.desk.events("enrolment.approved")
    assert (event.person, event.clinic, event.detail) == (anna.person, CLINIC.id, {"by": "staff-7"})


def test_declined(house: RecoveryHouse, anna: Account) -> None:
    """The reason is kept for the clinic, and is neither in the letter nor in the trail."""
    decided = house.approving.decline(anna.person, CLINIC.id, "staff-7", "lives elsewhere", house.desk.clock.now())

    assert (decided.first, decided.enrolment.standing, decided.enrolment.reason) == (
        True,
        Standing.DECLINED,
        "lives elsewhere",
    )
    assert "elsewhere" not in house.sent().text
    (event,) = house.desk.events("enrolment.declined")
    assert event.detail == {"by": "staff-7"}


def test_the_first_counts(house: RecoveryHouse, anna: Account) -> None:
    """A second tab is told who decided, and when, without an error (S1); the person hears once."""
    approve(house, anna)

    second = house.approving.decline(anna.person, CLINIC.id, "staff-8", "no", house.desk.clock.now())

    assert not second.first
    assert (second.enrolment.standing, second.enrolment.by) == (Standing.APPROVED, "staff-7")
    assert [message.kind for message in house.settled()] == ["approved"]
    assert house.kinds("enrolment.approved", "enrolment.declined") == ["enrolment.approved"]


def test_two_race(house: RecoveryHouse, anna: Account) -> None:
    """Of ten at the same moment one decides, and all are told the same."""
    answers = at_once(lambda turn: approve(house, anna, f"staff-{turn}"), 10)

    assert [answer.first for answer in answers].count(True) == 1
    assert len({answer.enrolment.by for answer in answers}) == 1
    assert [message.kind for message in house.settled()] == ["approved"]


def test_nobody_asked(house: RecoveryHouse) -> None:
    """Who has not asked is not approved."""
    with pytest.raises(NotFound):
        house.approving.approve("nobody", CLINIC.id, "staff-7", house.desk.clock.now())


def test_a_guardian_is_told(house: RecoveryHouse) -> None:
    """Who asked for a child gets the answer."""
    guardian = house.desk.account(ANNA)
    child = house.desk.account(EMIL, contacts=(), password=None)
    house.asked(child, guardian=guardian.person)

    approve(house, child)

    mail = house.sent()
    assert mail.to == EMAIL.address
    assert mail.text.startswith("Your child")


def test_a_letter_that_was_not_kept_is_sent_by_the_next_press(house: RecoveryHouse, anna: Account) -> None:
    """When the outbox was away, the answer stands, and pressing again sends the letter: once."""
    broken = replace(house.approving, letters=replace(house.letters, post=_Away()))
    with pytest.raises(StoreError):
        broken.approve(anna.person, CLINIC.id, "staff-7", house.desk.clock.now())

    again = approve(house, anna)

    assert (again.first, again.enrolment.by) == (False, "staff-7")
    assert len(house.settled()) == 1


class _Away:
    """An outbox whose store is away."""

    def send(self, *messages: Message) -> None:
        raise StoreError(f"away: {len(messages)}")

    def delivery(self, message_id: str) -> Delivery | None:
        raise StoreError(f"away: {message_id}")

    def works(self, _channel: object) -> bool:
        return False


def test_an_old_answer_sends_nothing(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """Asked again after days, nobody is written to about what was decided then."""
    approve(house, anna)
    house.settled()
    clock.move(timedelta(days=4))

    assert not approve(house, anna).first

    assert not house.settled()
