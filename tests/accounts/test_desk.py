"""The desk: passwords are counted before they are compared, and nobody learns who has an account."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from idbroker.accounts.desk import (
    CEILING,
    Answer,
    LockedOut,
    RightPassword,
    TooBusy,
    WrongPassword,
)
from idbroker.accounts.passwords import Hasher, Settings
from idbroker.clock import StoppedClock
from idbroker.numbers import NationalNumber
from tests.accounts.desk_house import ANNA, CHEAP, CLINIC, EMIL, LARS, PASSWORD, DeskHouse, desk_house
from tests.conftest import NOW
from tests.store.crowd import at_once, statements

QUARTER = timedelta(minutes=15)
WRONG = "fire røde cykler"


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[DeskHouse]:
    """Give a desk."""
    with desk_house(tmp_path, clock) as house:
        yield house


def tried(house: DeskHouse, password: str = WRONG, number: NationalNumber = ANNA, **visit: Any) -> Answer:
    """Return what a password is answered."""
    return house.desk.password(house.visit(**visit), number, password)


# ---- passwords -----------------------------------------------------------------------------------


def test_the_right_password_is_right(house: DeskHouse) -> None:
    """A number and its password give the account, once for all clinics."""
    account = house.account()

    assert tried(house, PASSWORD) == RightPassword(account=account)
    assert house.events() == []


def test_tries_are_told_from_the_third(house: DeskHouse) -> None:
    """Pages 1.2: the third wrong try says how many are left, the fifth that none is until a moment."""
    house.account()

    assert [tried(house) for _ in range(6)] == [
        WrongPassword(left=None),
        WrongPassword(left=None),
        WrongPassword(left=2),
        WrongPassword(left=1),
        LockedOut(until=NOW + QUARTER),
        LockedOut(until=NOW + QUARTER),
    ]


def test_a_lock_holds_for_the_right_password_and_ends_by_itself(house: DeskHouse, clock: StoppedClock) -> None:
    """O1, O9: while it holds nothing is compared; tries meanwhile do not prolong it; then all tries are back."""
    house.account()
    for _ in range(5):
        tried(house)
    clock.move(QUARTER - timedelta(seconds=1))
    still = tried(house, PASSWORD)
    clock.move(timedelta(seconds=1))

    assert still == LockedOut(until=NOW + QUARTER)
    assert isinstance(tried(house), WrongPassword)
    assert isinstance(tried(house, PASSWORD), RightPassword)


def test_the_right_password_begins_anew(house: DeskHouse) -> None:
    """SP 800-63B-4, 3.2.2: the count starts again with a success, also with that of the last try."""
    house.account()
    for _ in range(3):
        assert [tried(house) for _ in range(4)][-1] == WrongPassword(left=1)
        assert isinstance(tried(house, PASSWORD), RightPassword)


def test_of_two_hundred_at_once_five_are_compared(house: DeskHouse) -> None:
    """O1, O2: tries are counted before they are compared, by one atomic count for all."""
    house.account()

    answers = at_once(lambda _: tried(house))

    assert sum(isinstance(answer, WrongPassword) for answer in answers) <= 4
    assert len(house.events("password.wrong")) <= 5
    assert {type(answer) for answer in answers} <= {WrongPassword, LockedOut, TooBusy}


def test_a_hundred_wrong_ones_in_a_row_close_the_method(house: DeskHouse, clock: StoppedClock) -> None:
    """O1; SP 800-63B-4, 3.2.2: after 100 failures none is compared, however slowly they came, until recovery."""
    house.account()
    for _ in range(CEILING.most - 1):
        assert tried(house) != LockedOut(until=None)
        clock.move(timedelta(minutes=20))
    assert tried(house) == LockedOut(until=None)
    assert tried(house, PASSWORD) == LockedOut(until=None)
    clock.move(timedelta(days=300))
    assert tried(house, PASSWORD) == LockedOut(until=None)

    house.desk.reopen(ANNA)

    assert isinstance(tried(house, PASSWORD), RightPassword)
    assert len(house.events("password.closed")) == 1


def test_what_is_typed_at_one_address_is_counted_together(house: DeskHouse, clock: StoppedClock) -> None:
    """ASVS 6.3.1: many numbers from one network address are slowed down; another address is not."""
    house.account()
    settings = house.desk.settings
    for number in (EMIL, LARS) * 15:
        tried(house, number=number)
        house.desk.reopen(number)  # other numbers each time, as far as these counts go

    assert tried(house, PASSWORD) == LockedOut(until=NOW + settings.window)
    assert isinstance(tried(house, PASSWORD, ip="192.0.2.2"), RightPassword)
    assert [event.detail for event in house.events("password.stuffing")] == [{"by": "address"}]
    clock.move(settings.window)
    assert isinstance(tried(house, PASSWORD), RightPassword)


def test_one_customer_has_one_address(house: DeskHouse) -> None:
    """Addresses of IPv6 count by their /64: one customer has as many of them as they like."""
    for place in range(30):
        tried(house, number=LARS, ip=f"2001:db8:0:1::{place:x}")
        house.desk.reopen(LARS)

    assert isinstance(tried(house, number=LARS, ip="2001:db8:0:1::ffff"), LockedOut)
    assert isinstance(tried(house, number=LARS, ip="2001:db8:0:2::1"), WrongPassword)


@pytest.mark.parametrize(("prefix", "times"), [("2001:db8:0:1{:02x}::1", 2), ("2001:db8:0:{:x}00::1", 4)])
def test_one_customer_has_many_networks(house: DeskHouse, prefix: str, times: int) -> None:
    """F13: who has a /56 or a /48 is one customer: turning about in it buys two or four times as many, not 256."""
    most = times * house.desk.settings.address
    for place in range(most):
        assert isinstance(tried(house, number=LARS, ip=prefix.format(place)), WrongPassword)
        house.desk.reopen(LARS)

    assert isinstance(tried(house, number=LARS, ip=prefix.format(most)), LockedOut)
    assert isinstance(tried(house, number=LARS, ip="2001:db8:1::1"), WrongPassword)
    assert [event.detail for event in house.events("password.stuffing")] == [{"by": "address"}]


def test_right_passwords_wear_nobody_out(house: DeskHouse) -> None:
    """A waiting room has one address: fifty sign-ins are no attack. Nor do they clear what wrong ones count."""
    house.account()
    for _ in range(50):
        assert isinstance(tried(house, PASSWORD), RightPassword)
    for _ in range(30):
        tried(house, number=EMIL)
        house.desk.reopen(EMIL)
        tried(house, PASSWORD)

    assert isinstance(tried(house, PASSWORD), LockedOut)


def test_a_clinic_under_attack_brakes(tmp_path: Path, clock: StoppedClock) -> None:
    """ASVS 6.3.1: stuffing from many addresses is braked at the clinic and told in the trail; other clinics are not."""
    with desk_house(tmp_path, clock, replace(CHEAP, clinic=40)) as house:
        for place in range(40):
            tried(house, number=EMIL, ip=f"198.51.100.{place}")
            house.desk.reopen(EMIL)

        assert isinstance(tried(house, ip="198.51.100.7"), LockedOut)
        assert isinstance(tried(house, ip="198.51.100.7", clinic=replace(CLINIC, id="another")), WrongPassword)
        assert [event.detail for event in house.events("password.stuffing")] == [{"by": "clinic"}]


def test_a_clinic_under_attack_is_open_to_others(tmp_path: Path, clock: StoppedClock) -> None:
    """O9; F13: who fills a clinic's count closes it for nobody else: an address without a wrong one is let through."""
    with desk_house(tmp_path, clock, replace(CHEAP, clinic=40)) as house:
        house.account()
        for place in range(40):
            tried(house, number=EMIL, ip=f"198.51.100.{place}")
            house.desk.reopen(EMIL)

        assert isinstance(tried(house, PASSWORD), RightPassword)
        assert tried(house) == WrongPassword(left=None)
        assert tried(house, PASSWORD) == LockedOut(until=NOW + QUARTER), "this address has a wrong one now"
        assert isinstance(tried(house, PASSWORD, ip="2001:db8:7:1::1"), RightPassword)
        assert tried(house, PASSWORD, ip=None) == LockedOut(until=NOW + QUARTER), "nobody knows whose that is"
        for place in range(5):
            tried(house, ip=f"203.0.113.{place}")
        assert tried(house, PASSWORD, ip="192.0.2.77") == LockedOut(until=NOW + QUARTER), "the number's own limit"
        clock.move(QUARTER)
        assert isinstance(tried(house, PASSWORD), RightPassword)


def test_a_crowd_uses_up_nobodys_tries(tmp_path: Path, clock: StoppedClock) -> None:
    """O9: who is told that many sign in has lost no try by it."""
    with desk_house(tmp_path, clock, replace(CHEAP, waiting=0)) as house:
        house.account()
        pool, room = house.desk.hasher._pool, house.desk.hasher._room
        assert pool.submit(room.acquire).result()

        assert [tried(house) for _ in range(9)] == [TooBusy()] * 9

        room.release()
        assert tried(house) == WrongPassword(left=None)


def test_older_parameters_are_made_anew_at_sign_in(house: DeskHouse) -> None:
    """O12: the hash of a right password follows the settings, and stays right."""
    older = PasswordHasher(time_cost=2, memory_cost=512, parallelism=1).hash(PASSWORD)
    account = house.account(password=None, contacts=())
    house.desk.accounts.change(account.person, lambda now: replace(now, password=older, password_set_at=NOW))

    answer = tried(house, PASSWORD)
    kept = house.desk.account(account.person)

    assert isinstance(answer, RightPassword)
    assert answer.account == kept
    assert kept is not None
    assert (kept.password or "").startswith("$argon2id$v=19$m=1024,t=1,p=1$")
    assert kept.password_set_at == NOW
    assert isinstance(tried(house, PASSWORD), RightPassword)


def test_a_wrong_password_makes_nothing_anew(house: DeskHouse) -> None:
    """An old hash stays until its password was typed."""
    older = PasswordHasher(time_cost=2, memory_cost=512, parallelism=1).hash(PASSWORD)
    account = house.account(password=None)
    house.desk.accounts.change(account.person, lambda now: replace(now, password=older))

    tried(house)

    kept = house.desk.account(account.person)
    assert kept is not None
    assert kept.password == older


def test_a_hasher_may_be_shared(house: DeskHouse) -> None:
    """What was hashed by one worker's hasher is right at another's."""
    other = Hasher(CHEAP)
    account = house.account(password=None)
    new = other.hash(PASSWORD)
    other.close()
    house.desk.accounts.change(account.person, lambda now: replace(now, password=new))

    assert isinstance(tried(house, PASSWORD), RightPassword)


# ---- what cannot be learnt -----------------------------------------------------------------------

NOBODY: dict[str, dict[str, Any] | None] = {
    "unknown": None,
    "known": {},
    "no password": {"password": None},
    "disabled": {"disabled": True},
    "no address": {"contacts": ()},
}


def told(house: DeskHouse) -> list[tuple[Answer, list[str]]]:
    """Return what six wrong passwords are answered, and what is asked of the database at each."""
    answers: list[tuple[Answer, list[str]]] = []
    for _ in range(6):
        sent: list[Answer] = []
        said = statements(house.durable, lambda sent=sent: sent.append(tried(house)))  # type: ignore[misc]
        answers.append((sent[0], [statement for statement, _ in said]))
    return answers


@pytest.mark.parametrize("nobody", NOBODY)
def test_nobody_learns_who_has_an_account(tmp_path: Path, clock: StoppedClock, nobody: str) -> None:
    """O7; ASVS 6.3.8: unknown, without a password, disabled: the same answers, locks and statements as a wrong one."""
    seen: list[object] = []
    for name in ("known", nobody):
        folder = tmp_path / f"{len(seen)}"
        folder.mkdir()
        with desk_house(folder, clock) as house:
            changes = NOBODY[name]
            if changes is not None:
                house.account(**changes)
            seen.append((told(house), Counter(event.kind for event in house.events())))

    assert seen[0] == seen[1]


@pytest.mark.parametrize("nobody", ["no password", "disabled"])
def test_the_right_password_of_nobody_is_wrong(house: DeskHouse, nobody: str) -> None:
    """A disabled account and one without a password answer as an unknown number does."""
    house.account(**(NOBODY[nobody] or {}))

    assert tried(house, PASSWORD) == WrongPassword(left=None)


def test_the_trail_has_no_number(house: DeskHouse) -> None:
    """Events tell the person where there is an account, and never a number or what was typed."""
    account = house.account()
    for number in (ANNA, EMIL):
        for _ in range(5):
            tried(house, number=number)

    events = house.events()
    assert Counter((event.kind, event.person) for event in events) == {
        ("password.wrong", account.person): 5,
        ("password.locked", account.person): 1,
        ("password.wrong", None): 5,
        ("password.locked", None): 1,
    }
    assert not any(secret in repr(events) for secret in (ANNA.value, EMIL.value, WRONG))


def test_time_does_not_tell_who_has_an_account(tmp_path: Path, clock: StoppedClock) -> None:
    """O7; pages P3: known and unknown numbers take the same time by rank (Mann-Whitney), the same work within 5 %."""
    slow = Settings(memory_kib=16384, passes=2, address=10_000, clinic=100_000)
    with desk_house(tmp_path, clock, slow) as house:
        house.account()
        # A difference that is ours shows every time; one that is the machine's, which others use too, does not.
        assert any(_alike(house) for _ in range(3))


def _alike(house: DeskHouse) -> bool:
    """Tell whether a hundred tries for each of two numbers show no difference."""
    took: dict[NationalNumber, list[float]] = {ANNA: [], EMIL: []}
    worked: dict[NationalNumber, list[float]] = {ANNA: [], EMIL: []}
    for turn in range(100):
        for number in (ANNA, EMIL)[:: 1 if turn % 2 else -1]:  # what comes first is not always the same
            began, cpu = time.perf_counter(), time.process_time()
            assert tried(house, number=number) == WrongPassword(left=None)
            worked[number].append(time.process_time() - cpu)
            took[number].append(time.perf_counter() - began)
            house.desk.reopen(number)
    # Of the work, for others use this machine too: theirs is in the time, but not in the rank of either.
    middles = [statistics.median(times) for times in worked.values()]
    assert min(middles) > 0.015
    same_work = max(middles) < 1.05 * min(middles)
    return same_work and abs(deviation(took[ANNA], took[EMIL])) < 4  # by chance once in 15 000


def test_time_does_not_tell_who_has_an_old_password(tmp_path: Path, clock: StoppedClock) -> None:
    """O7; F14: hashes of other parameters than today's cost a wrong try no more than nobody's does, within 15 %."""
    slow = Settings(memory_kib=16384, passes=2, address=10_000, clinic=100_000)
    with desk_house(tmp_path, clock, slow) as house:
        before = Hasher(replace(slow, memory_kib=49152))
        house.account(password=None)
        house.desk.accounts.change(
            house.desk.accounts.person(ANNA, NOW), lambda account: replace(account, password=before.hash(PASSWORD))
        )
        before.close()
        house.account(LARS)
        tried(house)  # the first of its kind that this worker sees
        worked: dict[NationalNumber, list[float]] = {ANNA: [], EMIL: [], LARS: []}
        for turn in range(15):
            for number in (ANNA, EMIL, LARS)[:: 1 if turn % 2 else -1]:
                cpu = time.process_time()
                tried(house, number=number)
                worked[number].append(time.process_time() - cpu)
                house.desk.reopen(number)

    middles = [statistics.median(times) for times in worked.values()]
    assert max(middles) < 1.15 * min(middles)


def deviation(some: list[float], others: list[float]) -> float:
    """Return by how many standard deviations two samples differ in rank (Mann-Whitney's U, for large samples)."""
    wins = sum((one < other) + 0.5 * (one == other) for one in some for other in others)
    n, m = len(some), len(others)
    return float((wins - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5)
