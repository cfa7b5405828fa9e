"""Throttles: counted before, for everybody together, and locked until a moment that can be named."""

from __future__ import annotations

from datetime import timedelta

import pytest
import redis

from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.otp.one_time import Locked
from idbroker.otp.throttle import Limit
from tests import servers
from tests.otp.house import House, at_once, open_house

LIMIT = Limit(most=3, per=timedelta(hours=1))
PAUSE = timedelta(minutes=15)
SECOND = timedelta(seconds=1)
NUMBER = "DK|111111-1118"  # a name may be anything


def spend(house: House, limit: Limit = LIMIT, pause: timedelta | None = PAUSE) -> int | Locked:
    """Spend one try of a name."""
    return house.throttle.spend(NUMBER, limit, pause=pause, now=house.clock.now())


def test_what_is_left_is_exact(shared: House) -> None:
    """Each try says how many are left; after the last the name is locked until a moment, for every caller alike."""
    until = shared.clock.now() + PAUSE

    assert [spend(shared) for _ in range(5)] == [2, 1, 0, Locked(until=until), Locked(until=until)]
    assert shared.throttle.locked(NUMBER, shared.clock.now()) == Locked(until=until)
    assert shared.throttle.locked("somebody else", shared.clock.now()) is None


def test_of_two_hundred_at_once_the_limit_goes_on(shared: House) -> None:
    """O2: two hundred at once are given the limit, no two the same number; the others one and the same moment."""
    answers = at_once([lambda: spend(shared)] * 200)

    assert sorted(left for left in answers if isinstance(left, int)) == [0, 1, 2]
    assert [answer for answer in answers if isinstance(answer, Locked)] == [
        Locked(until=shared.clock.now() + PAUSE)
    ] * 197


def test_a_lock_is_neither_ended_nor_prolonged_by_tries(house: House) -> None:
    """O9: who tries on during a lock changes nothing; at its end all tries are there again, not one before."""
    until = house.clock.now() + PAUSE
    for _ in range(3):
        spend(house)

    for _ in range(14):
        house.clock.move(timedelta(minutes=1))
        assert spend(house) == Locked(until=until)
    house.clock.move(timedelta(minutes=1) - SECOND)
    assert spend(house) == Locked(until=until)
    house.clock.move(SECOND)
    assert [spend(house) for _ in range(4)] == [2, 1, 0, Locked(until=until + PAUSE)]


def test_a_count_that_ends_during_a_lock_does_not_open_it(house: House) -> None:
    """A lock holds for its whole pause, though the count that led to it is long forgotten (O3)."""
    short = Limit(most=3, per=timedelta(minutes=5))
    for _ in range(3):
        spend(house, short)

    house.clock.move(timedelta(minutes=14))
    assert isinstance(spend(house, short), Locked)
    house.clock.move(timedelta(minutes=1))
    assert spend(house, short) == 2


def test_tries_are_forgotten_in_time(house: House) -> None:
    """Tries count together from the first of them, for as long as the limit says."""
    spend(house)
    house.clock.move(LIMIT.per - SECOND)
    assert spend(house) == 1
    house.clock.move(SECOND)
    assert spend(house) == 2


def test_clear_forgets_everything(shared: House) -> None:
    """Who was right has all tries again, after a first try, after the last, and after an earlier lock."""
    spend(shared)
    shared.throttle.clear(NUMBER, LIMIT)
    assert [spend(shared) for _ in range(3)] == [2, 1, 0]

    shared.throttle.clear(NUMBER, LIMIT)
    assert shared.throttle.locked(NUMBER, shared.clock.now()) is None
    assert [spend(shared) for _ in range(3)] == [2, 1, 0]
    shared.throttle.clear(NUMBER, LIMIT)
    assert spend(shared) == 2


def test_a_lock_without_an_end_is_ended_by_clear(house: House) -> None:
    """SP 800-63B-4, 3.2.2: what only a recovery opens is still closed after a year."""
    for _ in range(3):
        spend(house, pause=None)
    house.clock.move(timedelta(days=366))
    assert isinstance(spend(house, pause=None), Locked)

    house.throttle.clear(NUMBER, LIMIT)
    assert spend(house, pause=None) == 2


def test_a_clock_set_back_opens_nothing(house: House) -> None:
    """O6: during a lock a clock that goes back keeps it closed."""
    for _ in range(3):
        spend(house)

    house.clock.move(timedelta(hours=-2))
    assert isinstance(spend(house), Locked)


def test_names_are_not_in_the_store(redis_url: str, clock: StoppedClock) -> None:
    """A name, which may be a national number or an address, cannot be read or guessed from what the store holds."""
    with open_house(redis_url, clock) as house, redis.Redis.from_url(redis_url) as client:
        before = set(client.scan_iter())
        for _ in range(4):
            spend(house)
        held = b"".join(key + (client.get(key) or b"") for key in set(client.scan_iter()) - before)

    assert held
    assert b"111111" not in held


def test_no_store_no_try(clock: StoppedClock) -> None:
    """Who cannot count lets nobody try: StoreError, for all three (issue 5: failing closed)."""
    with open_house(f"redis://{servers.LOOPBACK}:{servers.free_port()}", clock) as house:
        with pytest.raises(StoreError):
            spend(house)
        with pytest.raises(StoreError):
            house.throttle.locked(NUMBER, clock.now())
        with pytest.raises(StoreError):
            house.throttle.clear(NUMBER, LIMIT)
