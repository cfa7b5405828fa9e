"""Personal values at rest: sealed with AES-GCM and bound to their row, findable by a blind index."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idbroker.errors import StoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingKeys:
    """Data keys by two-byte number with the newest last in `order`, and the one index key."""

    data: Mapping[int, bytes] = field(repr=False)
    newest: int
    index: bytes = field(repr=False)


class Sealer:
    """Seals, opens and indexes. Keys are asked for at each call, so that a rotation is followed."""

    def __init__(self, keys: Callable[[], SealingKeys]) -> None:
        self._keys = keys

    def seal(self, value: bytes, row: bytes) -> bytes:
        """Return key number (2 bytes) + nonce (12) + ciphertext and tag, readable only for this `row`.

        Binding to the row stops a ciphertext from being moved to another person's row.
        """
        keys = self._keys()
        nonce = os.urandom(12)
        return keys.newest.to_bytes(2, "big") + nonce + AESGCM(keys.data[keys.newest]).encrypt(nonce, value, row)

    def open(self, sealed: bytes, row: bytes) -> bytes:
        """Return the value. StoreError, always the same, for anything that does not open."""
        try:
            key = self._keys().data[int.from_bytes(sealed[:2], "big")]
            return AESGCM(key).decrypt(sealed[2:14], sealed[14:], row)
        except (KeyError, InvalidTag, ValueError) as error:
            raise StoreError("a sealed value does not open") from error

    def index(self, kind: str, value: str) -> bytes:
        """Return the blind index (HMAC-SHA-256) a value is found by; the same value, the same index.

        National numbers are few enough to try them all: the key is as secret as the numbers.
        """
        return hmac.digest(self._keys().index, f"{kind}\n{value}".encode(), "sha256")
