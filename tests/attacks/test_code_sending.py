"""What attackers do with codes that are sent: earn by them, or flood somebody (standards 2.6, O8 and O9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from idbroker.otp.one_time import Limited, Locked, Right, Sent, Spot
from idbroker.otp.settings import Settings
from tests.otp.house import MAIL, PHONE, ROOMY, House, at_once, open_house, spot

DEFAULT = Settings()
MINUTE = timedelta(minutes=1)
# All 95 numbers are kept for fiction, in one range of one operator.
NUMBERS = [f"+467017406{number:02d}" for number in range(5, 100)]

Opening = Callable[[Settings], AbstractContextManager[House]]


@pytest.fixture
def opening(tmp_path: Path, clock: StoppedClock) -> Opening:
    """Return what opens a house with settings, over SQLite."""
    return lambda settings: open_house(f"sqlite:///{tmp_path}/transient.db", clock, settings)


@pytest.fixture
def house(opening: Opening) -> Iterator[House]:
    """Give a house with the limits that operators get."""
    with opening(DEFAULT) as opened:
        yield opened


def send(house: House, number: int, to: str = PHONE, person: str = "p1", **visit: object) -> Sent | Limited:
    """Ask for a code in a transaction of its own, from an address of its own if none is given."""
    visit.setdefault("ip", f"198.51.{number // 250}.{number % 250}")
    where = spot(transaction=f"t{number}", person=person, to=to)
    return house.codes.send(where, house.visit(**visit))


def sent_of(answers: list[Sent | Limited]) -> int:
    """Return how many were sent."""
    return sum(isinstance(answer, Sent) for answer in answers)


def test_pumping_a_range_of_numbers(house: House) -> None:
    """O8 (AIT): a thousand codes in an hour for a range, each from a new address, for a new person: 60 are sent."""
    answers = []
    for number in range(1000):
        answers.append(send(house, number, NUMBERS[number % len(NUMBERS)], f"p{number}"))
        house.clock.move(timedelta(seconds=3.5))

    assert sent_of(answers) == len(house.box.letters) == 60
    assert answers[-1] == Limited(until=house.clock.now().replace(hour=10, minute=0, second=0, microsecond=0))
    house.clock.move(2 * MINUTE)
    assert isinstance(send(house, 2000, NUMBERS[-1], "p2000"), Sent)


@pytest.mark.parametrize(
    "number",
    ["+19005550100", "+447700900123", "+88213300001", "+8835100000001", "+35312345", "+4", "+", "", "4670", MAIL],
)
def test_numbers_of_other_countries(house: House, number: str) -> None:
    """O8: text messages go to the countries that the operator has named, not to islands and satellites."""
    assert not house.codes.takes(Channel.SMS, number)
    assert send(house, 1, number) == Limited(until=house.clock.now() + timedelta(days=1))
    assert not house.box.letters


def test_countries_are_the_operators_to_name(opening: Opening) -> None:
    """O8: the Nordics are taken unless the operator says otherwise; e-mail goes everywhere."""
    with opening(DEFAULT) as usual, opening(replace(DEFAULT, countries=("44",))) as other:
        assert [usual.codes.takes(Channel.SMS, each) for each in (PHONE, "+447700900123")] == [True, False]
        assert [other.codes.takes(Channel.SMS, each) for each in (PHONE, "+447700900123")] == [False, True]
        assert other.codes.takes(Channel.EMAIL, MAIL)
        assert not other.codes.takes(Channel.TASK, PHONE)


@pytest.mark.parametrize(
    "addresses", [["192.0.2.7"], ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2"]], ids=["v4", "v6 /64"]
)
def test_many_codes_from_one_browser(house: House, addresses: list[str]) -> None:
    """O8: one address, or one network of IPv6, is sent 20 in an hour, for however many people; others go on."""
    answers = []
    for number in range(50):
        where = Spot(
            transaction=f"t{number}", purpose="login", person=f"p{number}", channel=Channel.EMAIL,
            to=f"ada{number}@example.com",
        )  # fmt: skip
        answers.append(house.codes.send(where, house.visit(ip=addresses[number % len(addresses)])))

    assert sent_of(answers) == 20
    assert isinstance(send(house, 99, person="p99", ip="2001:db8:0:2::1"), Sent)


def test_a_day_of_the_whole_broker(opening: Opening, clock: StoppedClock) -> None:
    """O8: the broker sends so many in a day, whoever asks; at midnight (UTC) it goes on."""
    with opening(replace(ROOMY, day=30)) as house:
        answers = [send(house, number, NUMBERS[number % 95], f"p{number}") for number in range(40)]
        midnight = (clock.now() + timedelta(days=1)).replace(hour=0)

        assert sent_of(answers) == 30
        assert answers[-1] == Limited(until=midnight)
        clock.move(midnight - clock.now())
        assert isinstance(send(house, 41, person="p41"), Sent)


def test_flooding_a_number(house: House) -> None:
    """O9: whoever asks, for whichever person, from wherever: a number is sent three in a quarter, ten in a day."""
    sent_at = []
    for number in range(12 * 60):
        if isinstance(send(house, number, PHONE, f"p{number}"), Sent):
            sent_at.append(house.clock.now())
        house.clock.move(MINUTE)

    assert len(sent_at) == 10
    assert all(later - earlier >= 15 * MINUTE for earlier, later in zip(sent_at[2:], sent_at[3::3], strict=False))
    assert max(Counter((at - sent_at[0]) // (15 * MINUTE) for at in sent_at).values()) == 3


def test_flooding_a_person(house: House) -> None:
    """O9: one person is sent five in a quarter, twenty in a day, to however many addresses."""
    sent = 0
    for number in range(14 * 60):
        sent += isinstance(send(house, number, f"+467017406{number % 95 + 5:02d}"), Sent)
        assert sent <= 5 * (1 + number // 15)
        house.clock.move(MINUTE)

    assert sent == 20


def test_a_refusal_costs_the_victim_nothing(house: House) -> None:
    """O9: what a stranger asks for and is refused leaves the victim's own share, and the range's, as they were."""
    stranger = "203.0.113.9"
    for number in range(20):
        send(house, number, NUMBERS[number + 1], f"x{number}", ip=stranger)
    assert [sent_of([send(house, n, ip=stranger)]) for n in range(100, 200)] == [0] * 100

    assert sent_of([send(house, number) for number in range(300, 304)]) == 3


def test_what_is_refused_later_is_not_counted_before(opening: Opening) -> None:
    """O9: while a range of numbers is closed its people spend nothing of their own by asking."""
    with opening(replace(DEFAULT, prefix_hour=1, person_quarter=5, person_day=5, browser_hour=5)) as house:
        assert isinstance(send(house, 1, NUMBERS[1], "p2"), Sent)
        assert sent_of([send(house, number, ip="192.0.2.9") for number in range(2, 30)]) == 0
        house.clock.move(timedelta(hours=1))

        assert isinstance(send(house, 30, ip="192.0.2.9"), Sent)


def test_the_latest_moment_is_told(opening: Opening, clock: StoppedClock) -> None:
    """Of several limits that are spent the one that opens last is told: nobody comes back in vain."""
    with opening(replace(DEFAULT, person_quarter=1, person_day=1)) as house:
        send(house, 1)

        assert send(house, 2) == Limited(until=(clock.now() + timedelta(days=1)).replace(hour=0))


def test_at_once_no_more_than_one_by_one(opening: Opening, redis_url: str, clock: StoppedClock) -> None:
    """O8, O2: 200 transactions at the same moment are sent three to one number, on both stores; no other says so."""
    for house_of in (opening(DEFAULT), open_house(redis_url, clock, DEFAULT)):
        with house_of as house:
            answers = at_once([lambda number=number: send(house, number) for number in range(200)])  # type: ignore[misc]

            assert kinds_of(answers) == {"Sent": 3, "Limited": 197}
            assert len(house.box.letters) == 3
            # Pressed again at once: only who was sent one is told so.
            assert sent_of([send(house, number) for number in range(200)]) == 3


def kinds_of(answers: list[object]) -> Counter[str]:
    """Return how many answers there are of each kind."""
    return Counter(type(answer).__name__ for answer in answers)


def test_a_lock_is_of_a_method_for_a_while(house: House) -> None:
    """O9 (ASVS 6.1.1): who is locked is told when it ends; tries in between do not move it; then all is as before."""
    for _ in range(5):
        house.check(spot(), "123456")
    until = house.clock.now() + 15 * MINUTE

    for _ in range(14):
        house.clock.move(MINUTE)
        assert house.check(spot(), "123456") == Locked(until=until)
    house.clock.move(MINUTE)
    assert house.check(spot(), house.send(spot())) == Right()
