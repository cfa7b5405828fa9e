"""How long a text message is: the 7-bit alphabet of mobile networks (3GPP TS 23.038, 6.2.1) and its segments."""

from __future__ import annotations

import unicodedata

WHOLE = 160  # septets of a message that is not split (3GPP TS 23.040, 9.2.3.24.1)
PART = 153  # septets of each part of one that is
WHOLE_UCS2 = 70
PART_UCS2 = 67

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")  # each behind an escape: two septets
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′´`", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("\u00a0\u2007\u2009\u202f\t", " "),
        **dict.fromkeys("\u00ad\u200b\u2060\ufeff"),
        "…": "...",
        "•": "*",
    }
)


def plain(text: str) -> str:
    """Return a text with typographic signs replaced: one of them makes a message cost and count double."""
    return unicodedata.normalize("NFC", text).translate(_PLAIN)


def septets(text: str) -> int | None:
    """Return the length in the 7-bit alphabet; None when a character is not in it."""
    if not all(character in _BASIC or character in _EXTENSION for character in text):
        return None
    return sum(map(_width, text))


def fits(text: str) -> bool:
    """Tell whether a text is one segment in the 7-bit alphabet."""
    length = septets(text)
    return length is not None and length <= WHOLE


def segments(text: str) -> int:
    """Return how many messages a text is sent, and paid, as."""
    if septets(text) is None:
        return _parts([len(character.encode("utf-16-be")) // 2 for character in text], WHOLE_UCS2, PART_UCS2)
    return _parts([_width(character) for character in text], WHOLE, PART)


def _width(character: str) -> int:
    return 2 if character in _EXTENSION else 1


def _parts(widths: list[int], whole: int, part: int) -> int:
    """Fill one part after another: no character lies in two."""
    if sum(widths) <= whole:
        return 1
    parts, used = 1, 0
    for width in widths:
        if used + width > part:
            parts, used = parts + 1, 0
        used += width
    return parts
