"""Personal values at rest: unreadable, bound to their row, and found by a blind index."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.errors import StoreError
from idbroker.sealing import Sealer, SealingKeys

ROW = b"number|digest of a row"
DATA = {1: os.urandom(32), 258: os.urandom(32)}
INDEX = os.urandom(32)


def sealer(*numbers: int, index: bytes = INDEX) -> Sealer:
    """Return a sealer with some data keys, the last one the newest."""
    keys = SealingKeys(data={n: DATA[n] for n in numbers}, newest=numbers[-1], index=index)
    return Sealer(lambda: keys)


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_opens_what_was_sealed(value: bytes, row: bytes) -> None:
    """Any value comes back for its row."""
    assert sealer(1).open(sealer(1).seal(value, row), row) == value


def test_sealed_twice_differs() -> None:
    """Equal values do not look equal: nobody sees that two rows hold the same number."""
    one, two = (sealer(1).seal(b"6101010001", ROW) for _ in range(2))

    assert one != two
    assert b"6101010001" not in one + two


def test_bound_to_the_row() -> None:
    """A value moved to another person's row does not open."""
    sealed = sealer(1).seal(b"6101010001", ROW)

    for row in (b"", ROW + b"x", b"number|digest of another"):
        with pytest.raises(StoreError):
            sealer(1).open(sealed, row)


def test_every_octet_counts() -> None:
    """A change anywhere, or a shorter value, does not open; the error is the same each time."""
    sealed = sealer(1).seal(b"6101010001", ROW)
    changed = [bytes([*sealed[:n], sealed[n] ^ 1, *sealed[n + 1 :]]) for n in range(len(sealed))]
    errors = set()
    for octets in [*changed, *(sealed[:n] for n in range(len(sealed))), sealed + b"\x00"]:
        with pytest.raises(StoreError) as error:
            sealer(1, 258).open(octets, ROW)
        errors.add(error.value.detail)

    assert errors == {"a sealed value does not open"}


def test_rotation() -> None:
    """New values have the newest key; older ones open as long as their key is there."""
    old = sealer(1).seal(b"old", ROW)
    both = sealer(1, 258)
    new = both.seal(b"new", ROW)

    assert (both.open(old, ROW), both.open(new, ROW)) == (b"old", b"new")
    assert new[:2] == b"\x01\x02"
    with pytest.raises(StoreError):
        sealer(258).open(old, ROW)


def test_blind_index() -> None:
    """The same value has the same index whatever the data key; another kind, value or key another one."""
    index = sealer(1).index("number", "DK6101010001")

    assert sealer(1, 258).index("number", "DK6101010001") == index
    others = [
        sealer(1).index("upstream", "DK6101010001"),
        sealer(1).index("number", "DK6101010002"),
        sealer(1, index=os.urandom(32)).index("number", "DK6101010001"),
    ]
    assert len({index, *others}) == 4
    assert b"6101010001" not in index


def test_keys_are_not_shown() -> None:
    """A log line that holds the keys holds no key."""
    keys = SealingKeys(data=DATA, newest=1, index=INDEX)

    assert repr(keys) == "SealingKeys(newest=1)"
