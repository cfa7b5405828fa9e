"""Six digits: drawn, read from what people type, kept as a keyed digest."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable

from idbroker.otp.one_time import Spot
from idbroker.sealing import Sealer

DIGITS = 6
LONGEST_TYPED = 40
# Spaces and hyphens of every kind, and the signs around a code in the message's last line.
_BETWEEN = re.compile(r"[\s\-#]|[‐‑‒–—―−]")
# "G 123456": some put a letter before the code, and people copy it.
_PREFIXED = re.compile(rf"[^\W\d_]?([0-9]{{{DIGITS}}})")


def draw(below: Callable[[int], int] = secrets.randbelow) -> str:
    """Return a new code: uniform over all million, leading zeros kept (ASVS 6.5.3, 6.5.4).

    `below(n)` gives a number from 0 to n-1; what is drawn otherwise than from the system's CSPRNG is for tests.
    """
    return f"{below(10**DIGITS):0{DIGITS}d}"


def typed(text: str) -> str | None:
    """Return the six digits that somebody typed or pasted; None when it cannot be a code.

    Taken: spaces and hyphens of every kind, "#" and one letter before it, digits of every script, marks that
    nobody sees.
    """
    if len(text) > LONGEST_TYPED:
        return None
    read = "".join(map(_plain, unicodedata.normalize("NFKC", text)))
    match = _PREFIXED.fullmatch(_BETWEEN.sub("", read))
    return match[1] if match else None


def digest(sealer: Sealer, spot: Spot, code: str) -> bytes:
    """Return what is kept of a code: an HMAC bound to its spot, for a million codes are soon tried (ASVS 6.5.2).

    Each part has its length before it, so that no two spots have one spelling.
    """
    return sealer.index("code", _spelt(*_parts(spot), code))


def place(sealer: Sealer, spot: Spot) -> str:
    """Return the name under which a spot's codes lie: nothing can be read from it."""
    return sealer.index("spot", _spelt(*_parts(spot))).hex()


def _parts(spot: Spot) -> tuple[str, ...]:
    return (spot.transaction, spot.purpose, spot.person, spot.channel.value, spot.to)


def _spelt(*parts: str) -> str:
    return "".join(f"{len(part)}:{part}" for part in parts)


def _plain(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.decimal(character))
    return "" if kind == "Cf" else character
