"""The bounds every transient store keeps to, so that what fits in one fits in all."""

from __future__ import annotations

from datetime import timedelta

LONGEST_KEY = 200
LARGEST_VALUE = 256 * 1024


def checked_key(key: str) -> str:
    """Return the key. ValueError unless it is ASCII, of 1 to 200 characters.

    The key itself is not in the error: it may hold a handle that is a secret.
    """
    if not key or len(key) > LONGEST_KEY or not key.isascii():
        raise ValueError(f"a key must be ASCII, of 1 to {LONGEST_KEY} characters; this one has {len(key)}")
    return key


def checked_value(value: bytes) -> bytes:
    """Return the value. ValueError when it is larger than 256 KiB."""
    if len(value) > LARGEST_VALUE:
        raise ValueError(f"a value must be at most {LARGEST_VALUE} bytes; this one has {len(value)}")
    return value


def milliseconds(life: timedelta) -> int:
    """Return a life in whole milliseconds, at least one: a life that is over ends at once."""
    return max(1, life // timedelta(milliseconds=1))
