"""Where transactions, sessions and grants lie between steps: typed, and sealed on the way to the store."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from idbroker.codec import Codec
from idbroker.errors import StoreError
from idbroker.sealing import SealingKeys
from idbroker.transaction import Transient

Value = TypeVar("Value")
LONGEST_NAME = 128


class SealedTransient:
    """A Transient whose values are unreadable to whoever reads the store, and bound to their key.

    AES-SIV (RFC 5297): the same value under the same key gives the same bytes, which `swap` needs to
    compare; binding to the key stops one person's session from being copied over another's.
    """

    def __init__(self, inner: Transient, keys: Callable[[], SealingKeys]) -> None:
        self._inner = inner
        self._keys = keys
        self._ciphers: dict[bytes, AESSIV] = {}

    def put(self, key: str, value: bytes, life: timedelta) -> None:
        """Keep a value, sealed."""
        self._inner.put(key, self._seal(key, value, self._keys().newest), life)

    def get(self, key: str) -> bytes | None:
        """Return the value, or None."""
        return self._open(key, self._inner.get(key))

    def take(self, key: str) -> bytes | None:
        """Return the value and delete it."""
        return self._open(key, self._inner.take(key))

    def swap(self, key: str, old: bytes | None, new: bytes, life: timedelta) -> bool:
        """Replace `old` by `new`. `old` may still lie there sealed with an earlier data key."""
        keys = self._keys()
        sealed = self._seal(key, new, keys.newest)
        if old is None:
            return self._inner.swap(key, None, sealed, life)
        numbers = sorted(keys.data, key=lambda number: number != keys.newest)  # the newest is the likely one
        return any(self._inner.swap(key, self._seal(key, old, n), sealed, life) for n in numbers)

    def count(self, key: str, life: timedelta) -> int:
        """Add one; numbers are not secret."""
        return self._inner.count(key, life)

    def _seal(self, key: str, value: bytes, number: int) -> bytes:
        return number.to_bytes(2, "big") + self._cipher(number).encrypt(value, [key.encode()])

    def _open(self, key: str, sealed: bytes | None) -> bytes | None:
        if sealed is None:
            return None
        number = int.from_bytes(sealed[:2], "big")
        if number not in self._keys().data:
            return None  # its data key has been retired: as good as expired
        try:
            return self._cipher(number).decrypt(sealed[2:], [key.encode()])
        except (InvalidTag, ValueError) as error:
            raise StoreError("a kept value does not open") from error

    def _cipher(self, number: int) -> AESSIV:
        secret = self._keys().data[number]
        if secret not in self._ciphers:
            # A key of its own, derived for this purpose: the same bytes never serve two algorithms.
            self._ciphers[secret] = AESSIV(hmac.digest(secret, b"idbroker transient", "sha512"))
        return self._ciphers[secret]


@dataclass(frozen=True, slots=True)
class Kept(Generic[Value]):
    """A value as it lay in the store: `raw` is what a later swap compares with."""

    value: Value
    raw: bytes


class Shelf(Generic[Value]):
    """One kind of value, by id. The id is the hash tag, so that a family's keys stay together."""

    def __init__(self, transient: Transient, letter: str, kind: type[Value]) -> None:
        self._transient = transient
        self._letter = letter
        self._codec = Codec(kind)

    def get(self, name: str) -> Kept[Value] | None:
        """Return the value with its raw bytes, or None."""
        raw = self._transient.get(self._key(name)) if _possible(name) else None
        return Kept(self._codec.unpack(raw), raw) if raw is not None else None

    def holds(self, name: str, raw: bytes) -> bool:
        """Tell whether what was read still lies there."""
        return self._transient.get(self._key(name)) == raw

    def put(self, name: str, value: Value, life: timedelta) -> Kept[Value]:
        """Keep the value and return it as it now lies there."""
        raw = self._codec.pack(value)
        self._transient.put(self._key(name), raw, life)
        return Kept(value, raw)

    def swap(self, name: str, old: bytes | None, new: Value, life: timedelta) -> Kept[Value] | None:
        """Replace what was read and return it as it now lies there; None if somebody else was faster."""
        raw = self._codec.pack(new)
        return Kept(new, raw) if self._transient.swap(self._key(name), old, raw, life) else None

    def take(self, name: str) -> Value | None:
        """Return the value and delete it: exactly one caller gets it."""
        raw = self._transient.take(self._key(name)) if _possible(name) else None
        return self._codec.unpack(raw) if raw is not None else None

    def _key(self, name: str) -> str:
        return f"{self._letter}:{{{name}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A document as it was fetched."""

    fetched_at: datetime
    document: bytes


class Copies:
    """The last good copies of fetched documents, shared by all workers (`providers.Copies`)."""

    def __init__(self, shelf: Shelf[Copy]) -> None:
        self._shelf = shelf

    def get(self, name: str) -> tuple[datetime, bytes] | None:
        """Return when it was fetched, and the document."""
        kept = self._shelf.get(_digest(name))
        return None if kept is None else (kept.value.fetched_at, kept.value.document)

    def put(self, name: str, fetched_at: datetime, document: bytes, life: timedelta) -> None:
        """Keep one."""
        self._shelf.put(_digest(name), Copy(fetched_at=fetched_at, document=document), life)


class Tallies:
    """Counts in the transient store (`providers.Tally`); names are kept hashed."""

    def __init__(self, transient: Transient) -> None:
        self._transient = transient

    def add(self, name: str, life: timedelta) -> int:
        """Add one and return the sum; life starts at the first."""
        return self._transient.count(f"n:{{{_digest(name)}}}", life)

    def clear(self, name: str) -> None:
        """Begin at nought again."""
        self._transient.take(f"n:{{{_digest(name)}}}")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _possible(name: str) -> bool:
    """Tell whether a name can be one of ours: it may come straight from a URL, and no store takes any text as a key."""
    return bool(name) and len(name) <= LONGEST_NAME and name.isascii() and name.isprintable()
