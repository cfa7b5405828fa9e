"""Attacks on passwords and what follows them (standards 2.6: O1 to O4, O7, O9, O11, O12)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.accounts.account import Account
from idbroker.accounts.desk import LockedOut, RightPassword, WrongPassword
from idbroker.accounts.passwords import MOST_BYTES
from idbroker.clock import StoppedClock
from idbroker.errors import Refused, StoreError, Untrusted
from idbroker.identity import Identity
from idbroker.messages.message import Channel
from idbroker.providers import Form
from tests.accounts.desk_house import ANNA, CHEAP, EMIL, LARS, PASSWORD, SMS, DeskHouse, desk_house
from tests.conftest import NOW
from tests.providers.fallback_person import QUARTER, WRONG, Person, provider_of
from tests.store.crowd import at_once


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[DeskHouse]:
    """Give a desk whose queue takes all two hundred at once."""
    with desk_house(tmp_path, clock, replace(CHEAP, waiting=250)) as house:
        yield house


@pytest.fixture
def victim(house: DeskHouse) -> Account:
    """Give the account that is attacked."""
    return house.account()


@pytest.fixture
def attacker(house: DeskHouse, victim: Account) -> Person:
    """Give whoever is at the pages."""
    return Person(house, provider_of(house))


# ---- O11: the second factor is not skipped --------------------------------------------------------


def test_a_code_at_the_first_page_is_nothing(attacker: Person) -> None:
    """O11 (WSTG-ATHN): which page is answered is what our state says, not what was posted."""
    attacker.begins()
    for reply in (
        {"code": "123456"},
        {"code": "123456", "step": "code", "person": "x", "channel": "sms"},
        {"do": "sms"},
        {"do": "again"},
        {"do": "app", "code": "123456"},
    ):
        form = attacker.sees(**reply)
        assert form.page == "password"

    assert attacker.house.wires[Channel.SMS].taken.empty()


def test_a_password_at_the_second_page_is_nothing(attacker: Person) -> None:
    """O11: nor does a number and password at the code's page begin with somebody else."""
    attacker.house.account(EMIL, "another password")
    attacker.types()

    form = attacker.sees(number=EMIL.value, password="another password")

    assert form.page == "code"
    assert isinstance(attacker.posts(code=attacker.house.code()), Identity)


def test_a_page_of_another_transaction_goes_no_further(attacker: Person) -> None:
    """O4, O11: the second page of one sign-in is not the second page of another, with whatever right code."""
    mine = attacker.types()
    code = attacker.house.code()
    attacker.asks["transaction"] = "t2"

    with pytest.raises(Untrusted):
        attacker.provider.resume(attacker.asked(), mine.state, {"code": code})


def test_a_code_is_no_good_in_another_tab(attacker: Person) -> None:
    """O4; ASVS 6.6.2: both tabs are at the code's page; each takes its own code only."""
    one, two = attacker, Person(attacker.house, attacker.provider, {"transaction": "t2"})
    one.types()
    first = one.house.code()
    two.types()
    second = two.house.code()

    assert two.sees(code=first).errors == {"code": "o.e.wrong"}
    assert isinstance(two.posts(code=second), Identity)
    assert isinstance(one.posts(code=first), Identity)


@pytest.mark.parametrize(
    "change",
    [
        lambda account: replace(account, password="$argon2id$other", password_set_at=NOW + timedelta(seconds=1)),
        lambda account: replace(account, disabled=True),
    ],
    ids=["password changed", "disabled"],
)
def test_what_was_proved_must_still_hold(
    attacker: Person, victim: Account, change: Callable[[Account], Account]
) -> None:
    """O4: a thief of the password who waits at the code's page begins anew when it is changed."""
    attacker.types()
    code = attacker.house.code()
    attacker.house.desk.accounts.change(victim.person, change)

    form = attacker.sees(code=code)

    assert (form.page, form.values["number"]) == ("password", "")


def test_an_account_that_is_gone_ends_the_wait(attacker: Person, victim: Account) -> None:
    """The same when there is no account any more."""
    attacker.types()
    code = attacker.house.code()
    attacker.house.desk.accounts.remove(victim.person)

    assert attacker.sees(code=code).page == "password"


def test_a_changed_number_takes_no_old_code(attacker: Person, victim: Account) -> None:
    """O4: a code for one phone is not good once the phone is another's."""
    attacker.types()
    code = attacker.house.code()
    moved = replace(SMS, address="+4520654321", verified_at=NOW)
    attacker.house.desk.accounts.change(victim.person, lambda account: account.with_contact(moved))

    assert attacker.sees(code=code).errors == {"code": "o.e.wrong"}


def test_no_way_is_taken_that_the_clinic_does_not_offer(attacker: Person) -> None:
    """O11: response manipulation: a button that is not on the page sends nothing and proves nothing."""
    attacker.asks["clinic"] = replace(attacker.asked().clinic, codes=("sms",))  # type: ignore[type-var]
    attacker.types()
    attacker.house.code()

    for channel in ("email", "app", "task", "", "SMS", "sms email"):
        form = attacker.sees(do=channel)
        assert form.values["channel"] == "sms"
    assert attacker.house.wires[Channel.EMAIL].taken.empty()


# ---- O2, O5: the crowd ----------------------------------------------------------------------------


def test_two_hundred_right_codes_are_one_sign_in(attacker: Person) -> None:
    """O2, O5: posted at once, one of them is a proof."""
    form, asked = attacker.types(), attacker.asked()
    code = attacker.house.code()

    answers = at_once(lambda _: attacker.provider.resume(asked, form.state, {"code": code}))

    assert sum(isinstance(answer, Identity) for answer in answers) <= 1
    assert all(isinstance(answer, Form | Identity) for answer in answers)


def test_two_hundred_guesses_at_a_password_are_five(attacker: Person) -> None:
    """O2: the single-packet attack, with the right one among them or not, gets five compared."""
    form, asked = attacker.begins(), attacker.asked()

    at_once(lambda n: attacker.provider.resume(asked, form.state, {"number": ANNA.value, "password": f"guess {n}"}))

    assert len(attacker.house.events("password.wrong")) == 5
    assert attacker.types().values["locked"] == (NOW + QUARTER).isoformat()


# ---- O1, O3, O9: counts ---------------------------------------------------------------------------


def test_a_new_sign_in_gives_no_new_tries(attacker: Person) -> None:
    """O3: neither another transaction, another clinic nor another address begins the count anew."""
    house = attacker.house
    for turn in range(4):
        person = Person(house, attacker.provider, {"transaction": f"t{turn}"})
        assert person.types(password=WRONG).errors == {"number": "p.e.wrong"}
    house.desk.password(house.visit(ip="198.51.100.7"), ANNA, WRONG)

    assert isinstance(house.desk.password(house.visit(ip="198.51.100.8"), ANNA, PASSWORD), LockedOut)


def test_new_codes_give_no_new_tries(attacker: Person, clock: StoppedClock) -> None:
    """O3; SP 800-63B-4, 3.1.3.2: asking for another code, by any way, does not reset the failures."""
    attacker.types()
    right = attacker.house.code()
    wrong = f"{(int(right) + 1) % 10**6:06d}"
    for do in ("again", "email", "sms", "email"):
        attacker.sees(code=wrong)
        clock.move(timedelta(seconds=15))
        attacker.sees(do=do)

    assert attacker.sees(code=wrong).values["locked"]
    assert Person(attacker.house, attacker.provider, {"transaction": "t2"}).types().values["limited"]


def test_a_victim_keeps_every_other_way(attacker: Person, victim: Account) -> None:
    """O9; ASVS 6.1.1: a stranger who locks the password has locked this way, for a quarter of an hour."""
    house = attacker.house
    attacker.types()
    for _ in range(5):
        house.desk.password(house.visit(ip="198.51.100.7"), ANNA, WRONG)

    assert isinstance(house.desk.password(house.visit(), EMIL, WRONG), WrongPassword)
    assert isinstance(attacker.posts(code=house.code()), Identity)  # whose password was right before goes on


def test_stuffing_from_many_places_is_braked(tmp_path: Path, clock: StoppedClock) -> None:
    """O12: a list of passwords, one for each number, is stopped at the clinic: each address has one guess left."""
    with desk_house(tmp_path, clock, replace(CHEAP, clinic=30)) as house:
        answers = []
        for turn in range(80):
            number = (ANNA, EMIL, LARS)[turn % 3]
            answers.append(type(house.desk.password(house.visit(ip=f"203.0.113.{turn % 40}"), number, WRONG)))
            house.desk.reopen(number)  # as if each were another

    assert Counter(answers) == {WrongPassword: 40, LockedOut: 40}


def test_one_customer_closes_no_clinic(tmp_path: Path, clock: StoppedClock) -> None:
    """F13 (O9): six hundred wrong ones from all over one customer's IPv6 close nobody's password but the customer's."""
    with desk_house(tmp_path, clock, replace(CHEAP, clinic=60)) as house:
        house.account(LARS)
        answers = []
        for turn in range(130):
            answers.append(type(house.desk.password(house.visit(ip=f"2001:db8:0:{turn:x}::1"), ANNA, WRONG)))
            house.desk.reopen(ANNA)

        assert isinstance(house.desk.password(house.visit(), LARS, PASSWORD), RightPassword)
        assert isinstance(house.desk.password(house.visit(ip="2001:db8:0:fe::1"), LARS, PASSWORD), LockedOut)
    assert Counter(answers) == {WrongPassword: 60, LockedOut: 70}


def test_nobody_guesses_while_nothing_is_counted(attacker: Person) -> None:
    """ASVS 6.3.1: without the store that counts no password is compared: it fails closed."""
    house = attacker.house

    class Away:
        """A store that does not answer."""

        def add(self, *_: object) -> int:
            """Raise."""
            raise StoreError("away")

    house.desk.throttle._tallies = Away()  # type: ignore[assignment]

    with pytest.raises(StoreError):
        attacker.types()
    assert house.events() == []


# ---- O12: what is typed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [f"{PASSWORD}\0", f"{PASSWORD}\0more", f"{PASSWORD}\n", f" {PASSWORD}", PASSWORD.upper(), PASSWORD[:-1],
     PASSWORD * 200, "x" * (MOST_BYTES + 1), "\ud800", "%00", "' OR 1=1 --",
     "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA"],
)  # fmt: skip
def test_only_the_password_itself_is_right(attacker: Person, victim: Account, password: str) -> None:
    """O12: nothing is cut, trimmed, folded or read as anything else; every other text is simply wrong."""
    assert attacker.types(password=password).errors == {"number": "p.e.wrong"}
    assert isinstance(attacker.house.desk.password(attacker.house.visit(), ANNA, PASSWORD), RightPassword)


def test_the_hash_itself_is_no_password(attacker: Person, victim: Account) -> None:
    """Who has read the store cannot sign in with what lies there."""
    assert attacker.types(password=victim.password or "").errors == {"number": "p.e.wrong"}


def test_refusals_come_after_the_password(attacker: Person) -> None:
    """O7: that somebody must go to an eID first, or has no address, is told to nobody without the password."""
    house = attacker.house
    house.account(EMIL, confirmed_at=None)
    house.account(LARS, contacts=())

    for number in (EMIL, LARS):
        assert attacker.types(number.value, WRONG).errors == {"number": "p.e.wrong"}
        with pytest.raises(Refused):
            attacker.types(number.value)
