"""A forgotten password: asked for by anybody, answered to those alone whose it is; a link that counts once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.accounts.account import Account, Contact, Purpose
from idbroker.accounts.choosing import Busy, Done, NotCurrent, Spent, Weak
from idbroker.accounts.desk import LockedOut, RightPassword
from idbroker.accounts.linking import Origin
from idbroker.accounts.recovery import LIFE
from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber
from idbroker.otp.one_time import Locked, Sent, Spot, Wrong
from tests.accounts.desk_house import ANNA, EMAIL, EMIL, LARS, PASSWORD, SMS
from tests.accounts.recovery_house import CLINIC, FORM, NEW, RecoveryHouse, recovery_house, token_in
from tests.store.crowd import at_once, statements

INSTANT = timedelta(microseconds=1)


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[RecoveryHouse]:
    """Give the rooms."""
    with recovery_house(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def anna(house: RecoveryHouse) -> Account:
    """Give an account with both addresses."""
    return house.desk.account()


def choose(house: RecoveryHouse, token: str, password: str = NEW, form: str = FORM) -> object:
    """Choose a password by a link."""
    return house.recovery.choose(token, password, form, house.desk.clock.now())


def signs_in(house: RecoveryHouse, password: str) -> bool:
    """Tell whether a password is good."""
    return isinstance(house.desk.desk.password(house.visit("t9"), ANNA, password), RightPassword)


# ---- asking --------------------------------------------------------------------------------------


def test_a_link_goes_to_each_verified_address(house: RecoveryHouse, anna: Account) -> None:
    """The link goes by e-mail and by SMS, alone on its line, and is the same one for an hour, written for each."""
    house.recovery.ask(house.visit(), ANNA, FORM)

    mail, text = house.sent(Channel.EMAIL), house.sent(Channel.SMS)

    assert (mail.to, text.to) == (EMAIL.address, SMS.address)
    opened = [house.recovery.open(token_in(one), house.desk.clock.now()) for one in (mail, text)]
    assert [one and one.channel for one in opened] == [Channel.EMAIL, Channel.SMS]
    assert len({one.link.digest for one in opened if one}) == 1
    assert mail.ends_at == house.desk.clock.now() + LIFE


def test_nothing_is_sent_to_an_address_that_nobody_has_verified(house: RecoveryHouse) -> None:
    """A link goes to verified addresses only (SP 800-63B-4, 4.2.1.2); without one nothing goes."""
    unverified = dataclasses.replace(EMAIL, verified_at=None)
    house.desk.account(ANNA, contacts=(unverified, SMS))
    house.desk.account(EMIL, contacts=(unverified,))

    house.recovery.ask(house.visit(), ANNA, "one")
    house.recovery.ask(house.visit(), EMIL, "two")

    assert house.sent(Channel.SMS).kind == "reset"
    assert not house.settled(Channel.EMAIL)


def test_the_known_and_the_unknown_leave_the_same_trace(house: RecoveryHouse, anna: Account) -> None:
    """Asking sends the same statements whoever it is: whether there is an account is found out later (O7)."""
    known, unknown = (_shape(house, number) for number in (ANNA, LARS))

    assert known == unknown
    assert known


def _shape(house: RecoveryHouse, number: NationalNumber) -> list[str]:
    """Return the statements that asking for a number sends to the database."""
    asked = statements(house.desk.durable, lambda: house.recovery.ask(house.visit(), number, number.key))
    return [statement for statement, _ in asked]


def test_nobody_hears_of_a_number_that_is_unknown_or_disabled(house: RecoveryHouse) -> None:
    """Nothing is sent, and the trail says so of nobody in particular."""
    house.desk.account(EMIL, disabled=True)

    house.recovery.ask(house.visit(), LARS, "one")
    house.recovery.ask(house.visit(), EMIL, "two")
    sent = house.settled(Channel.EMAIL) + house.settled(Channel.SMS)

    assert not sent
    unknown = house.desk.events("recovery.unknown")
    assert [event.person for event in unknown] == [None, None]
    assert {event.detail["why"] for event in unknown} == {"unknown", "disabled"}


def test_three_links_an_hour(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """A number is written to three times in an hour, whoever asks and from wherever (F1; O9)."""
    for turn in range(6):
        house.recovery.ask(house.visit(f"t{turn}", ip=f"192.0.2.{turn}"), ANNA, f"form {turn}")
    assert len(house.settled()) == 3

    clock.move(timedelta(hours=1))
    house.recovery.ask(house.visit(), ANNA, "a new hour")

    assert len(house.settled()) == 1


def test_one_address_cannot_try_everybody(house: RecoveryHouse, anna: Account) -> None:
    """Who asks for many numbers from one address is not listened to in the end, whatever he asks for."""
    for turn in range(40):
        house.recovery.ask(house.visit(), LARS, f"form {turn}")

    assert house.desk.durable.messages.count() == 3
    house.recovery.ask(house.visit(), ANNA, "from there too")
    assert not house.settled()
    house.recovery.ask(house.visit(ip="2001:db8::1"), ANNA, "from elsewhere")
    assert len(house.settled()) == 1


def test_the_same_form_twice_is_one_letter(house: RecoveryHouse, anna: Account) -> None:
    """A double click asks once, and counts once."""
    for _ in range(5):
        house.recovery.ask(house.visit(), ANNA, FORM)

    assert len(house.settled()) == 1


# ---- the link ------------------------------------------------------------------------------------


def test_looking_uses_nothing_up(house: RecoveryHouse, anna: Account) -> None:
    """A mail scanner opens the link five times; it still works for the person, once (F2)."""
    token = house.link()

    opened = [house.recovery.open(token, house.desk.clock.now()) for _ in range(5)]

    assert all(one is not None and one.account.person == anna.person for one in opened)
    assert isinstance(choose(house, token), Done)
    assert house.recovery.open(token, house.desk.clock.now()) is None
    assert isinstance(choose(house, token, form="another form"), Spent)


def test_a_new_password_takes_the_old_ones_place(house: RecoveryHouse, anna: Account) -> None:
    """The old password is none any more; all sign-ons and codes end; the trail says how (O13)."""
    codes = house.desk.desk.codes
    spot = Spot(transaction="t1", purpose="login", person=anna.person, channel=Channel.SMS, to=SMS.address)
    assert isinstance(codes.send(spot, house.visit()), Sent)
    code = house.desk.code()
    token = house.link()

    assert isinstance(choose(house, token), Done)

    assert signs_in(house, NEW)
    assert not signs_in(house, PASSWORD)
    assert {person for person, _, _ in house.ended.asked} == {anna.person}
    assert isinstance(codes.check(spot, code, house.visit()), Wrong)
    (event,) = house.desk.events("password.changed")
    assert (event.person, event.detail) == (anna.person, {"how": "reset"})


def test_every_address_is_told(house: RecoveryHouse, anna: Account) -> None:
    """A change is told to all addresses, with whom to call (F3; ASVS 6.3.7)."""
    token = house.link()
    house.settled(Channel.SMS)

    choose(house, token)

    mail, text = house.sent(Channel.EMAIL), house.sent(Channel.SMS)
    assert (mail.kind, mail.to, text.kind, text.to) == ("changed", EMAIL.address, "changed", SMS.address)
    assert CLINIC.phone is not None
    assert CLINIC.phone in mail.text
    assert CLINIC.phone in text.text


def test_a_newer_link_ends_the_older(house: RecoveryHouse, anna: Account) -> None:
    """Of two links the newer one works (O14; ASVS 6.4.1)."""
    older, newer = house.link(form="one"), house.link(form="two")

    assert house.recovery.open(older, house.desk.clock.now()) is None
    assert isinstance(choose(house, older), Spent)
    assert isinstance(choose(house, newer), Done)


def test_an_hour_and_no_longer(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """A link ends after an hour, to the moment; where it came from is known for the way to a new one."""
    token = house.link()

    clock.move(LIFE - INSTANT)
    assert house.recovery.open(token, clock.now()) is not None
    clock.move(INSTANT)

    assert house.recovery.open(token, clock.now()) is None
    assert isinstance(choose(house, token), Spent)
    assert house.recovery.origin(token) == Origin(clinic=CLINIC.id, client="portal", transaction="t1", language="en")


@pytest.mark.parametrize(
    "token", ["", "x", "A" * 43, "A" * 44, "A" * 50, "A" * 43 + "eAAAAAA", "é" * 43, "A" * 9000, "../" * 20]
)
def test_what_is_no_link_opens_nothing(house: RecoveryHouse, token: str) -> None:
    """Any text may stand in an address."""
    assert house.recovery.open(token, house.desk.clock.now()) is None
    assert house.recovery.origin(token) is None
    assert isinstance(choose(house, token), Spent)


def test_of_many_at_once_one_chooses(house: RecoveryHouse, anna: Account) -> None:
    """A link in two hands changes the password once: twenty at the same moment, one wins (O14)."""
    token = house.link()

    answers = at_once(lambda turn: choose(house, token, f"{NEW} nummer {turn}", f"form {turn}"), 20)

    done = [turn for turn, answer in enumerate(answers) if isinstance(answer, Done)]
    assert len(done) == 1
    assert all(isinstance(answer, Spent | Busy) for turn, answer in enumerate(answers) if turn not in done)
    assert signs_in(house, f"{NEW} nummer {done[0]}")
    assert house.kinds("password.changed") == ["password.changed"]


def test_the_same_form_is_told_the_same(house: RecoveryHouse, anna: Account) -> None:
    """A double click, at once or a moment later, is done once, and both are told that it is done."""
    token = house.link()

    answers = at_once(lambda _: choose(house, token), 2)
    again = choose(house, token)

    assert all(isinstance(answer, Done) for answer in (*answers, again))
    house.settled(Channel.SMS)
    assert [message.kind for message in house.settled()] == ["changed"]


def test_a_late_double_click_takes_back_nothing(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """The form again, after another password was chosen, does not bring its own back."""
    token = house.link()
    choose(house, token)
    clock.move(timedelta(minutes=1))
    later = house.link(form="another")
    assert isinstance(choose(house, later, "seks lilla cykler", "another"), Done)

    assert isinstance(choose(house, token), Done)

    assert signs_in(house, "seks lilla cykler")


def test_what_broke_in_the_middle_is_done_by_the_next_press(house: RecoveryHouse, anna: Account) -> None:
    """Whoever crashes once the link is used up leaves no changed password, and nothing that is lost for the person."""
    token = house.link()
    broken = dataclasses.replace(house.recovery, sign_ons=_Away())

    with pytest.raises(StoreError):
        broken.choose(token, NEW, FORM, house.desk.clock.now())

    assert signs_in(house, PASSWORD)
    assert house.recovery.open(token, house.desk.clock.now()) is None
    assert isinstance(choose(house, token, NEW, "somebody else's form"), Spent)
    assert isinstance(choose(house, token), Done)
    assert signs_in(house, NEW)


def test_what_broke_after_the_change_is_finished_too(house: RecoveryHouse, anna: Account) -> None:
    """Whoever crashes once the password is kept has told of it and ended what the old one gave; the rest follows."""
    token = house.link()
    broken = dataclasses.replace(house.recovery, locks=_Jammed())

    with pytest.raises(StoreError):
        broken.choose(token, NEW, FORM, house.desk.clock.now())

    assert [message.kind for message in house.settled()] == ["changed"]
    assert house.ended.asked
    assert isinstance(choose(house, token), Done)
    assert not house.settled()
    assert house.kinds("password.changed") == ["password.changed"]


class _Jammed:
    """Locks whose store is away."""

    def reopen(self, number: object) -> None:
        raise StoreError(f"away: {type(number).__name__}")


class _Away:
    """Sign-ons whose store is away."""

    def end_person(self, person: str, why: str, *, but: str | None = None) -> int:
        raise StoreError(f"away: {why}")


@pytest.mark.parametrize(
    ("password", "key"),
    [
        ("kort", "f.e.short"),
        ("x" * 129, "f.e.long"),
        ("passwordpassword", "f.e.common"),
        ("somebody somebody", "f.e.common"),
        ("clinea-2026-portal", "f.e.common"),
        (ANNA.display + "!!", "f.e.common"),
    ],
)
def test_a_weak_password_uses_nothing_up(house: RecoveryHouse, anna: Account, password: str, key: str) -> None:
    """What may not be chosen is said, and the link is as good as before (ASVS 6.2.11)."""
    token = house.link()

    assert choose(house, token, password) == Weak(key=key)
    assert isinstance(choose(house, token), Done)


def test_a_lock_is_opened(house: RecoveryHouse, anna: Account) -> None:
    """Recovery is the way out of a lock: the number has all its tries again."""
    answer: object = None
    for turn in range(12):
        answer = house.desk.desk.password(house.visit(f"t{turn}"), ANNA, "wrong")
    assert isinstance(answer, LockedOut)

    choose(house, house.link())

    assert signs_in(house, NEW)


def test_a_disabled_account_has_no_way_back_by_a_link(house: RecoveryHouse, anna: Account) -> None:
    """A link that was sent before opens nothing once the account is disabled, and neither does one in the midst."""
    token = house.link()
    house.desk.desk.accounts.change(anna.person, lambda account: dataclasses.replace(account, disabled=True))

    assert house.recovery.open(token, house.desk.clock.now()) is None
    assert isinstance(choose(house, token), Spent)


def test_a_link_to_reset_verifies_nothing(house: RecoveryHouse, clock: StoppedClock) -> None:
    """A link of one purpose is not good for the other's: a reset shows of no new address whose it is."""
    new = Contact(channel=Channel.EMAIL, address="new@example.org")
    anna = house.desk.account(contacts=(new, SMS))
    link, secret = house.linking.make(Origin(clinic=CLINIC.id), Purpose.RESET, anna.person, LIFE, clock.now())
    assert link.purpose is Purpose.RESET

    assert isinstance(choose(house, house.linking.for_channel(link, secret, Channel.EMAIL)), Done)

    assert house.account(anna.person).contact(Channel.EMAIL) == new


# ---- one's own page ------------------------------------------------------------------------------


def test_changed_with_the_current_one(house: RecoveryHouse, anna: Account) -> None:
    """Who knows the password may change it; all sign-ons end but the one it is done from (ASVS 6.2.3, 7.4.3)."""
    done = house.recovery.change(anna.person, PASSWORD, NEW, house.visit(), but="this one")

    assert done == Done()
    assert signs_in(house, NEW)
    assert set(house.ended.asked) == {(anna.person, "password", "this one")}
    assert house.sent().kind == "changed"


def test_guesses_are_counted(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """Who sits at somebody's open page has five tries, and then the right one does not help either."""
    answers = [house.recovery.change(anna.person, "wrong", NEW, house.visit()) for _ in range(5)]
    assert answers == [NotCurrent(left=left) for left in (4, 3, 2, 1, 0)]

    assert isinstance(house.recovery.change(anna.person, PASSWORD, NEW, house.visit()), Locked)

    clock.move(timedelta(minutes=15))
    assert house.recovery.change(anna.person, PASSWORD, NEW, house.visit()) == Done()


def test_a_weak_one_costs_no_try(house: RecoveryHouse, anna: Account) -> None:
    """What may not be chosen is said before anything is counted."""
    for _ in range(9):
        assert house.recovery.change(anna.person, PASSWORD, "kort", house.visit()) == Weak(key="f.e.short")

    assert house.recovery.change(anna.person, PASSWORD, NEW, house.visit()) == Done()


def test_an_open_link_ends_with_the_change(house: RecoveryHouse, anna: Account) -> None:
    """A link that lies in somebody's mail is of no use once the password was changed."""
    token = house.link()

    house.recovery.change(anna.person, PASSWORD, NEW, house.visit())

    assert house.recovery.open(token, house.desk.clock.now()) is None
