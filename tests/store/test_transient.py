"""What every transient store promises (transaction.Transient)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from idbroker.store import TransientStore
from tests.store.conftest import PassTime
from tests.store.rivals import LIFE, PROCESSES, THREADS, fight, key_of

SHORT = timedelta(milliseconds=40)
EVERYONE = THREADS * (PROCESSES + 1)


def test_put_is_read_back(transient: TransientStore, key: str) -> None:
    """Bytes come back as they were, whatever they are."""
    value = bytes(range(256))

    transient.put(key, value, LIFE)

    assert transient.get(key) == value


def test_put_replaces(transient: TransientStore, key: str) -> None:
    """A later value takes the place of an earlier one."""
    transient.put(key, b"one", LIFE)

    transient.put(key, b"two", LIFE)

    assert transient.get(key) == b"two"


def test_absent(transient: TransientStore, key: str) -> None:
    """What was never put is None, to get and to take."""
    assert transient.get(key) is None
    assert transient.take(key) is None


def test_empty_value_is_a_value(transient: TransientStore, key: str) -> None:
    """An empty value is not an absent one."""
    transient.put(key, b"", LIFE)

    assert transient.get(key) == b""
    assert not transient.swap(key, None, b"new", LIFE)
    assert transient.swap(key, b"", b"new", LIFE)


def test_take_gives_once(transient: TransientStore, key: str) -> None:
    """What was taken is gone."""
    transient.put(key, b"value", LIFE)

    assert transient.take(key) == b"value"
    assert transient.take(key) is None
    assert transient.get(key) is None


def test_swap_only_what_was_read(transient: TransientStore, key: str) -> None:
    """A swap that expects another value changes nothing."""
    transient.put(key, b"old", LIFE)

    assert not transient.swap(key, b"other", b"new", LIFE)
    assert transient.get(key) == b"old"
    assert transient.swap(key, b"old", b"new", LIFE)
    assert transient.get(key) == b"new"


def test_swap_absent(transient: TransientStore, key: str) -> None:
    """With no old value a swap succeeds only where nothing is; with one, only where something is."""
    assert not transient.swap(key, b"old", b"new", LIFE)
    assert transient.swap(key, None, b"first", LIFE)
    assert not transient.swap(key, None, b"second", LIFE)
    assert transient.get(key) == b"first"


def test_count_goes_up_by_one(transient: TransientStore, key: str) -> None:
    """Counting gives one, two, three, and a sum can be taken away to begin again."""
    assert [transient.count(key, LIFE) for _ in range(3)] == [1, 2, 3]

    assert transient.take(key) == b"3"
    assert transient.count(key, LIFE) == 1


def test_an_end_for_every_way_in(transient: TransientStore, key: str, pass_time: PassTime) -> None:
    """What was put, swapped in or counted ends when its life is over, for every method."""
    transient.put(key, b"put", SHORT)
    pass_time(key, SHORT)
    assert transient.take(key) is None
    assert transient.swap(key, None, b"in its place", SHORT)
    pass_time(key, SHORT)
    assert not transient.swap(key, b"in its place", b"late", LIFE)
    assert transient.count(key, SHORT) == 1
    pass_time(key, SHORT)
    assert transient.count(key, SHORT) == 1


def test_swap_gives_a_new_life(transient: TransientStore, key: str, pass_time: PassTime) -> None:
    """A swap's life counts from the swap; the old one is forgotten."""
    transient.put(key, b"old", LIFE)

    assert transient.swap(key, b"old", b"new", SHORT)

    pass_time(key, SHORT)
    assert transient.get(key) is None


def test_counting_does_not_prolong(transient: TransientStore, key: str, pass_time: PassTime) -> None:
    """The life of a sum is its first count's, however often it is counted."""
    transient.count(key, SHORT)

    transient.count(key, LIFE)

    pass_time(key, SHORT)
    assert transient.get(key) is None


def test_a_life_that_is_over(transient: TransientStore, key: str, pass_time: PassTime) -> None:
    """A life below zero, as a late caller may compute it, ends at once and is no error."""
    transient.put(key, b"value", timedelta(seconds=-5))

    pass_time(key, timedelta(milliseconds=1))
    assert transient.get(key) is None


@pytest.mark.parametrize("wrong", ["", "k" * 201, "nøgle"])
def test_keys_are_bounded(transient: TransientStore, wrong: str) -> None:
    """A key that one store could not hold is refused by all, without being repeated in the error."""
    with pytest.raises(ValueError, match="ASCII") as caught:
        transient.put(wrong, b"value", LIFE)

    assert not wrong or wrong not in str(caught.value)
    for call in (transient.get, transient.take):
        with pytest.raises(ValueError, match="ASCII"):
            call(wrong)
    with pytest.raises(ValueError, match="ASCII"):
        transient.count(wrong, LIFE)


def test_values_are_bounded(transient: TransientStore, key: str) -> None:
    """256 KiB is kept; one byte more is refused, and what was there stays."""
    largest = b"x" * 256 * 1024
    transient.put(key, largest, LIFE)

    with pytest.raises(ValueError, match="bytes"):
        transient.put(key, largest + b"x", LIFE)
    with pytest.raises(ValueError, match="bytes"):
        transient.swap(key, largest, largest + b"x", LIFE)

    assert transient.get(key) == largest


def test_ping(transient: TransientStore) -> None:
    """A store that is there answers, also after its connections were closed."""
    transient.ping()
    transient.close()
    transient.ping()


def test_one_winner_and_no_count_lost(transient: TransientStore, transient_url: str, key: str) -> None:
    """Of 24 threads in 3 processes exactly one takes, exactly one swaps, and all are told different sums.

    A code that two requests redeem at once is a code redeemed twice (RFC 6749, 4.1.2).
    """
    for task in ("take", "swap"):
        transient.put(key_of(task, key), b"old", timedelta(days=1))

    answers = fight(transient_url, ("take", "swap", "swap_absent", "count"), key)

    for task in ("take", "swap", "swap_absent"):
        assert sorted(answers[task]) == ["False"] * (EVERYONE - 1) + ["True"]
    assert sorted(map(int, answers["count"])) == list(range(1, EVERYONE + 1))
