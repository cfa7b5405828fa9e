"""What attackers do to one-time codes (standards 2.6, O1 to O6 and O10; what they send is in test_code_sending)."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.messages.message import Channel
from idbroker.otp.one_time import Limited, Locked, Old, Right, Sent, Spot, Wrong
from idbroker.sealing import SealingKeys
from tests import servers
from tests.otp.house import MAIL, OTHER_PHONE, PHONE, House, at_once, open_house, spot, wrong

MOMENT = timedelta(milliseconds=1)
MINUTE = timedelta(minutes=1)
HERE = spot()
MANY = 200


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of each transient store that workers share."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/transient.db"
    found: str = request.getfixturevalue("redis_url")
    return found


@pytest.fixture
def keys() -> SealingKeys:
    """Return the keys of a house: names in a shared Redis are then nobody else's."""
    return SealingKeys(data={1: os.urandom(32)}, newest=1, index=os.urandom(32))


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[House]:
    """Give one-time codes over SQLite, where time is the clock's."""
    with open_house(f"sqlite:///{tmp_path}/transient.db", clock) as opened:
        yield opened


@pytest.fixture
def workers(url: str, keys: SealingKeys, clock: StoppedClock) -> Iterator[tuple[House, House]]:
    """Give two workers of one house, each with a store of its own at the same address."""
    with open_house(url, clock, keys=keys) as one, open_house(url, clock, keys=keys) as other:
        yield one, other


def kinds(answers: list[object]) -> Counter[str]:
    """Return how many answers there are of each kind."""
    return Counter(type(answer).__name__ for answer in answers)


def test_guessing_one_by_one(house: House) -> None:
    """O1 (SP 800-63B-4, 3.2.2; AuthQuake, 2024): the fifth wrong try locks, and then the right code is not taken."""
    code = house.send(HERE)

    assert kinds([house.check(HERE, wrong(code)) for _ in range(20)]) == {"Wrong": 4, "Locked": 16}
    assert isinstance(house.check(HERE, code), Locked)


def test_guessing_for_a_month(house: House) -> None:
    """O1 (SP 800-63B-4, 3.2.2): whoever waits out every lock has guessed a hundred times in all, then never again."""
    answers = []
    for lock in range(25):
        where = spot(transaction=f"t{lock}")
        code = house.send(where) if lock < 20 else "123456"
        answers += [house.check(where, wrong(code)) for _ in range(6)]
        house.clock.move(15 * MINUTE)

    # Each of twenty locks was the answer to the last of five tries, that of the ceiling too, and to the sixth.
    assert kinds(answers[:120]) == {"Wrong": 80, "Locked": 40}
    assert [answer.recover for answer in answers[:118] if isinstance(answer, Locked)] == [False] * 38
    ceiling = answers[118]
    assert isinstance(ceiling, Locked)
    assert ceiling.recover
    assert set(answers[119:]) == {ceiling}
    house.clock.move(timedelta(days=300))
    assert house.check(HERE, "123456") == ceiling
    assert house.codes.send(HERE, house.visit()) == Limited(until=ceiling.until, recover=True)


def test_the_hundredth_failure_is_the_last(house: House) -> None:
    """O1 (SP 800-63B-4, 3.2.2): the hundredth failure in a row meets the ceiling, in whatever place of five."""
    house.check(HERE, "123456")
    house.clock.move(timedelta(hours=1))
    for _ in range(19):
        for _ in range(5):
            house.check(HERE, "123456")
        house.clock.move(15 * MINUTE)

    answers = [house.check(HERE, "123456") for _ in range(5)]
    assert answers[:3] == [Wrong(left=3), Wrong(left=2), Wrong(left=1)]
    assert [isinstance(answer, Locked) and answer.recover for answer in answers[3:]] == [True, True]


def test_recovery_opens_the_ceiling(house: House) -> None:
    """O1 (SP 800-63B-4, 3.2.2): who proves anew who they are may use codes again; nobody else was kept from them."""
    for number in range(21):
        for _ in range(5):
            house.check(HERE, "123456")
        house.clock.move((15 + number) * MINUTE)
    assert isinstance(house.check(HERE, "123456"), Locked)
    somebody = spot(person="p2", to=OTHER_PHONE)
    assert house.check(somebody, house.send(somebody)) == Right()

    house.codes.recovered("p1")
    assert house.check(HERE, house.send(HERE)) == Right()


def test_a_right_code_ends_the_row(house: House) -> None:
    """O1 (SP 800-63B-4, 3.2.2): only failures in a row count: with a right code now and then nobody is locked out."""
    for number in range(40):
        where = spot(transaction=f"t{number}")
        code = house.send(where)
        for _ in range(4):
            assert isinstance(house.check(where, wrong(code)), Wrong)
        assert house.check(where, code) == Right()


def test_right_codes_of_ones_own_buy_no_guesses(house: House) -> None:
    """F15 (O1): who claims another's address and types right codes from their own in between has a hundred in all."""
    own, others = spot(purpose="contact", channel=Channel.EMAIL, to=MAIL), spot(purpose="contact", to=OTHER_PHONE)
    wrongs = 0
    for turn in range(40):
        code = house.send(others) if not isinstance(house.codes.send(others, house.visit()), Limited) else "123456"
        for _ in range(4):
            wrongs += isinstance(house.check(others, wrong(code)), Wrong)
        if wrongs < 75:
            assert house.check(own, house.send(own)) == Right()
        login = spot(transaction=f"l{turn}")
        assert house.check(login, house.send(login)) == Right()
        house.clock.move(61 * MINUTE)

    assert wrongs < 100
    locked = house.check(others, "123456")
    assert isinstance(locked, Locked)
    assert locked.recover, "no page promises a time"
    assert locked.until <= house.clock.now() + timedelta(days=30)
    house.clock.move(timedelta(days=30))
    assert house.check(others, house.send(others)) == Right()


def test_each_address_has_its_own_tries(house: House) -> None:
    """F15 (O1): a right code from one's own address gives no tries back at another that was typed."""
    own, others = spot(purpose="contact", channel=Channel.EMAIL, to=MAIL), spot(purpose="contact", to=OTHER_PHONE)
    code = house.send(others)
    assert [house.check(others, wrong(code)) for _ in range(3)] == [Wrong(left=left) for left in (4, 3, 2)]

    assert house.check(own, house.send(own)) == Right()

    assert house.check(others, wrong(code)) == Wrong(left=1)
    assert isinstance(house.check(others, wrong(code)), Locked)
    assert isinstance(house.check(others, code), Locked)
    assert house.check(own, house.send(own)) == Right()


def test_two_hundred_wrong_at_once(workers: tuple[House, House]) -> None:
    """O2 (PortSwigger, single-packet race): of 200 different guesses at once, at two workers, five are compared."""
    one, other = workers
    code = one.send(HERE)
    guesses = [f"{number:06d}" for number in range(MANY + 1) if f"{number:06d}" != code][:MANY]

    answers = at_once([_checking(workers[number % 2], HERE, guess) for number, guess in enumerate(guesses)])

    # The last of the five is answered by the lock.
    assert kinds(answers) == {"Wrong": 4, "Locked": MANY - 4}
    assert isinstance(other.check(HERE, code), Locked)


def test_two_hundred_right_at_once(workers: tuple[House, House]) -> None:
    """O2, O5 (ASVS 6.5.1): of 200 right tries at once, at two workers, one is told so; the code is used up."""
    one, other = workers
    code = one.send(HERE)

    answers = at_once([_checking(workers[number % 2], HERE, code) for number in range(MANY)])

    assert kinds(answers)["Right"] == 1
    assert kinds(answers)["Old"] == 0
    assert other.check(HERE, code) != Right()


def test_both_good_codes_at_once(workers: tuple[House, House]) -> None:
    """O5 (ASVS 6.5.1): the two good codes of one spot, sent in at the same moment, are one sign-in."""
    one, other = workers
    first, second = one.send(HERE), one.send(HERE)

    answers = at_once([_checking(one, HERE, first), _checking(other, HERE, second)] * 2)

    assert kinds(answers)["Right"] == 1


def _checking(house: House, where: Spot, typed: str) -> Callable[[], object]:
    return lambda: house.check(where, typed)


def test_a_new_code_gives_no_new_tries(house: House) -> None:
    """O3 (SP 800-63B-4, 3.1.3.2): issuing a new code does not set the count of failures back."""
    lefts = [house.check(HERE, wrong(house.send(HERE))) for _ in range(4)]

    assert lefts == [Wrong(left=left) for left in (4, 3, 2, 1)]
    assert isinstance(house.check(HERE, wrong(house.send(HERE))), Locked)


def test_a_new_transaction_gives_no_new_tries(house: House) -> None:
    """O3: beginning again, in another transaction, by another channel, at another address, goes on counting."""
    where = [
        spot(transaction="t2"),
        spot(transaction="t3", channel=Channel.EMAIL, to=MAIL),
        spot(to=OTHER_PHONE),
        spot(transaction="t4"),
    ]

    assert [house.check(each, wrong(house.send(each))) for each in where] == [Wrong(left=n) for n in (4, 3, 2, 1)]
    assert isinstance(house.check(HERE, house.send(HERE)), Right)


def test_a_restart_gives_no_new_tries(url: str, keys: SealingKeys, clock: StoppedClock) -> None:
    """O3: every worker restarted between two tries counts on, and keeps its locks."""
    for left in (4, 3, 2, 1):
        with open_house(url, clock, keys=keys) as house:
            assert house.check(HERE, "123456") == Wrong(left=left)
    for _ in range(2):
        with open_house(url, clock, keys=keys) as house:
            assert house.check(HERE, "123456") == Locked(until=clock.now() + 15 * MINUTE)


def test_purposes_are_counted_apart(house: House) -> None:
    """O3, O9: who is locked out of one purpose is not of another."""
    for _ in range(5):
        house.check(HERE, "123456")
    contact = spot(purpose="contact")

    assert isinstance(house.check(HERE, "123456"), Locked)
    assert house.check(contact, house.send(contact)) == Right()


@pytest.mark.parametrize(
    "elsewhere",
    [
        spot(transaction="t2"),
        spot(purpose="contact"),
        spot(person="p2"),
        spot(to=OTHER_PHONE),
        spot(channel=Channel.EMAIL, to=MAIL),
    ],
    ids=["transaction", "purpose", "person", "address", "channel"],
)
def test_a_code_of_another_spot(house: House, elsewhere: Spot) -> None:
    """O4 (ASVS 6.6.2): a code is wrong wherever it was not sent for."""
    code = house.send(HERE)
    own = house.send(elsewhere)

    assert isinstance(house.check(elsewhere, code if code != own else wrong(own)), Wrong)
    assert house.check(elsewhere, own) == Right()
    assert house.check(HERE, code) == Right()


def test_a_code_after_a_change_of_password(house: House) -> None:
    """O4: what was sent before the password was changed is no good after; what is sent after is, at once."""
    before = house.send(HERE)
    house.codes.revoke("p1")
    house.clock.move(timedelta(seconds=9))

    assert house.check(HERE, before) == Wrong(left=4)
    assert isinstance(house.codes.send(HERE, house.visit()), Sent)  # not taken for the same press
    assert len(house.box.letters) == 2
    assert house.check(HERE, house.box.code()) == Right()
    house.clock.move(timedelta(days=1))
    assert house.check(HERE, house.send(HERE)) == Right()


def test_a_revocation_is_one_persons(house: House) -> None:
    """O4: a change of one person's password leaves everybody else's codes alone."""
    code = house.send(HERE)

    house.codes.revoke("p2")

    assert house.check(HERE, code) == Right()


def test_a_code_is_good_once(house: House) -> None:
    """O5 (ASVS 6.5.1): a used code is wrong from then on, and no new one is promised for it."""
    code = house.send(HERE)

    assert house.check(HERE, code) == Right()
    assert [house.check(HERE, code) for _ in range(2)] == [Wrong(left=4), Wrong(left=3)]


@pytest.mark.parametrize(
    ("later", "expected"),
    [(5 * MINUTE - MOMENT, Right()), (5 * MINUTE, Old()), (5 * MINUTE + MOMENT, Old()), (10 * MINUTE, Old())],
)
def test_a_code_ends_to_the_moment(house: House, later: timedelta, expected: object) -> None:
    """O6 (SP 800-63B-4, 3.1.3.2; ASVS 6.5.5): good until its five minutes are over, and not at their end."""
    code = house.send(HERE)
    house.clock.move(later)

    assert house.check(HERE, code) == expected


def test_a_clock_set_back_after_the_end(house: House) -> None:
    """O6: a code that was once too old stays so, when the clock is set back into its life."""
    code = house.send(HERE)
    house.clock.move(6 * MINUTE)
    assert house.check(HERE, code) == Old()

    house.clock.move(-4 * MINUTE)
    assert house.check(HERE, code) == Old()


def test_a_clock_set_back_before_the_beginning(house: House) -> None:
    """O6: a clock set back by an hour does not make a code good for an hour; half a minute is other workers' clocks."""
    code, other = house.send(HERE), house.send(spot(transaction="t2"))
    house.clock.move(timedelta(seconds=-30))
    assert house.check(spot(transaction="t2"), other) == Right()

    house.clock.move(timedelta(hours=-1))
    assert house.check(HERE, code) == Old()
    house.clock.move(timedelta(hours=1, seconds=30))
    assert house.check(HERE, code) == Old()


def test_nobody_guesses_while_nobody_counts(clock: StoppedClock) -> None:
    """Without the store there is neither sending nor checking: StoreError (issue 5: failing closed for guesses)."""
    with open_house(f"redis://{servers.LOOPBACK}:{servers.free_port()}", clock) as house:
        with pytest.raises(StoreError):
            house.check(HERE, "123456")
        with pytest.raises(StoreError):
            house.codes.send(HERE, house.visit())
        assert not house.box.letters


def test_a_code_is_nowhere_but_in_its_message(
    tmp_path: Path, clock: StoppedClock, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """O10 (HackerOne, MTN; ASVS 6.5.2): not in what is told, not in a log line, not in the store; nor is the number."""
    caplog.set_level(logging.DEBUG)
    with open_house(f"sqlite:///{tmp_path}/transient.db", clock) as house:
        sent = house.codes.send(HERE, house.visit())
        code = house.box.code()
        told = [repr(each) for each in (sent, HERE, house.box.letters[0], house.check(HERE, wrong(code)))]
        held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        told.append(repr(house.check(HERE, code)))

    written = " ".join([*told, caplog.text, *capfd.readouterr()])
    assert code not in written
    assert PHONE not in written
    assert PHONE.encode() not in held
    assert b'"digest"' not in held
