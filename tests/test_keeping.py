"""Values between steps: sealed, bound to their key, and swapped across a change of data keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.keeping import SealedTransient, Shelf
from idbroker.sealing import SealingKeys
from idbroker.store import TransientStore, open_transient

LIFE = timedelta(minutes=1)
DATA = {1: os.urandom(32), 2: os.urandom(32), 3: os.urandom(32)}


class Rotating:
    """Data keys that come and go."""

    def __init__(self, *numbers: int) -> None:
        self.have(*numbers)

    def have(self, *numbers: int) -> None:
        """Have these keys from now on, the last one the newest."""
        self.now = SealingKeys(data={n: DATA[n] for n in numbers}, newest=numbers[-1], index=b"")

    def __call__(self) -> SealingKeys:
        """Return the keys of now."""
        return self.now


@pytest.fixture
def inner(tmp_path: Path, clock: StoppedClock) -> Iterator[TransientStore]:
    """Give a real store."""
    store = open_transient(f"sqlite:///{tmp_path}/transient.db", clock)
    yield store
    store.close()


@pytest.fixture
def keys() -> Rotating:
    """Return data keys 1 and 2, the second the newest."""
    return Rotating(1, 2)


@pytest.fixture
def sealed(inner: TransientStore, keys: Rotating) -> SealedTransient:
    """Return the sealed store."""
    return SealedTransient(inner, keys)


def test_kept_and_unreadable(sealed: SealedTransient, inner: TransientStore) -> None:
    """A value comes back; whoever reads the store does not see it."""
    sealed.put("k", b"6101010001", LIFE)

    assert sealed.get("k") == b"6101010001"
    assert b"6101010001" not in (inner.get("k") or b"")
    assert sealed.take("k") == b"6101010001"
    assert sealed.take("k") is None
    assert sealed.get("k") is None


def test_bound_to_its_key(sealed: SealedTransient, inner: TransientStore) -> None:
    """A value copied to another key does not open: nobody puts one person's session in another's place."""
    sealed.put("s:{ada}", b"ada", LIFE)
    inner.put("s:{bo}", inner.get("s:{ada}") or b"", LIFE)

    with pytest.raises(StoreError):
        sealed.get("s:{bo}")
    with pytest.raises(StoreError):
        sealed.take("s:{bo}")


@pytest.mark.parametrize("place", [2, 10, -1])
def test_a_changed_octet(sealed: SealedTransient, inner: TransientStore, place: int) -> None:
    """A value that was changed does not open, and says no more than that."""
    sealed.put("k", b"a value of some length", LIFE)
    octets = bytearray(inner.get("k") or b"")
    octets[place] ^= 1
    inner.put("k", bytes(octets), LIFE)

    with pytest.raises(StoreError, match="a kept value does not open"):
        sealed.get("k")


@pytest.mark.parametrize("octets", [b"\x00\x02", b"\x00\x02x", b"\x00\x01" + bytes(40)])
def test_nonsense_in_the_store(sealed: SealedTransient, inner: TransientStore, octets: bytes) -> None:
    """Nonsense is a StoreError, never a value."""
    inner.put("k", octets, LIFE)

    with pytest.raises(StoreError):
        sealed.get("k")


@pytest.mark.parametrize("octets", [b"", b"\x00", b"\x00\x09" + bytes(40)])
def test_a_data_key_that_is_gone(sealed: SealedTransient, inner: TransientStore, octets: bytes) -> None:
    """What was sealed with a key we have no more is as good as expired."""
    inner.put("k", octets, LIFE)

    assert sealed.get("k") is None
    assert sealed.take("k") is None


def test_swap(sealed: SealedTransient) -> None:
    """A value is replaced only by who saw the newest; `None` means only if absent."""
    assert sealed.swap("k", None, b"1", LIFE)
    assert not sealed.swap("k", None, b"x", LIFE)
    assert not sealed.swap("k", b"0", b"x", LIFE)
    assert sealed.swap("k", b"1", b"2", LIFE)
    assert not sealed.swap("k", b"1", b"x", LIFE)
    assert sealed.get("k") == b"2"


def test_swap_across_rotations(sealed: SealedTransient, keys: Rotating) -> None:
    """A value sealed with an earlier key is swapped too, whichever key that was, and then has the newest."""
    keys.have(1)
    sealed.put("k", b"1", LIFE)
    keys.have(1, 2, 3)
    assert sealed.swap("k", b"1", b"2", LIFE)
    keys.have(3)
    assert sealed.get("k") == b"2"

    keys.have(1, 2, 3)
    assert not sealed.swap("k", b"1", b"x", LIFE)


def test_two_workers_in_the_middle_of_a_rotation(inner: TransientStore) -> None:
    """One worker seals with the new key already, another with the old: of two swaps one succeeds."""
    behind, ahead = SealedTransient(inner, Rotating(2, 1)), SealedTransient(inner, Rotating(1, 2))
    behind.put("k", b"1", LIFE)

    assert ahead.swap("k", b"1", b"ahead", LIFE)
    assert not behind.swap("k", b"1", b"behind", LIFE)
    assert behind.get("k") == b"ahead"
    assert behind.swap("k", b"ahead", b"2", LIFE)


def test_an_absent_value_is_not_doubled_by_a_rotation(inner: TransientStore) -> None:
    """Only-if-absent holds across keys: a jti is not used twice because a data key changed."""
    assert SealedTransient(inner, Rotating(1)).swap("k", None, b"1", LIFE)
    assert not SealedTransient(inner, Rotating(1, 2)).swap("k", None, b"1", LIFE)


def test_count(sealed: SealedTransient) -> None:
    """Sums are counted by the store itself."""
    assert [sealed.count("n", LIFE) for _ in range(3)] == [1, 2, 3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A value of a test."""

    name: str


def test_shelf(sealed: SealedTransient) -> None:
    """A shelf keeps typed values by name, and kinds do not mix."""
    things, others = Shelf(sealed, "x", Thing), Shelf(sealed, "y", Thing)
    things.put("a", Thing(name="ø"), LIFE)
    kept = things.get("a")

    assert kept is not None
    assert kept.value == Thing(name="ø")
    assert others.get("a") is None
    assert things.swap("a", kept.raw, Thing(name="2"), LIFE)
    assert not things.swap("a", kept.raw, Thing(name="3"), LIFE)
    assert things.take("a") == Thing(name="2")
    assert things.take("a") is None


@pytest.mark.parametrize("name", ["", "å" * 22, "x" * 129, "x" * 5000, "\ud800", "a\x00b", "a\r\nb"])
def test_names_from_outside(sealed: SealedTransient, name: str) -> None:
    """A name out of a URL that cannot be one of ours is simply not there: no fault of ours."""
    shelf = Shelf(sealed, "x", Thing)

    assert shelf.get(name) is None
    assert shelf.take(name) is None


def test_a_name_cannot_reach_another_shelf(sealed: SealedTransient) -> None:
    """Braces in a name do not make it another value's key."""
    Shelf(sealed, "x", Thing).put("a", Thing(name="a"), LIFE)

    for name in ("a}", "{a", "{a}", "a}x:{a", "a} "):
        assert Shelf(sealed, "x", Thing).get(name) is None


def test_a_value_of_another_version(sealed: SealedTransient) -> None:
    """A stored value that does not read is a StoreError."""
    sealed.put("x:{a}", b'{"other": 1}', LIFE)

    with pytest.raises(StoreError):
        Shelf(sealed, "x", Thing).get("a")
