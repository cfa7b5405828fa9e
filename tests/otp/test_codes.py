"""Six digits: drawn, read, kept as digests."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.messages.message import Channel
from idbroker.otp import codes
from idbroker.sealing import Sealer, SealingKeys
from tests.otp.house import MAIL, spot

KEYS = SealingKeys(data={1: os.urandom(32)}, newest=1, index=os.urandom(32))
SEALER = Sealer(lambda: KEYS)
DRAWN = 100_000
# Chi-square with 999 degrees of freedom has mean 999 and deviation 44.7: 1400 is nine deviations off, which chance
# does not do; a generator whose digits lean by a few per cent does.
FAR_OFF = 1400


@pytest.mark.parametrize("drawn", [0, 7, 123, 999_999])
def test_leading_zeros_are_kept(drawn: int) -> None:
    """Whatever number is drawn is a code of six digits (standards 2.6 O10: leading zeros dropped)."""
    code = codes.draw(lambda _: drawn)

    assert (len(code), int(code)) == (6, drawn)
    assert codes.typed(code) == code


def test_every_code_is_drawn_from() -> None:
    """The draw is over all million at once: no remainder, so no bias (O10; ASVS 6.5.4: 20 bits)."""
    asked: list[int] = []

    def below(limit: int) -> int:
        asked.append(limit)
        return 0

    codes.draw(below)

    assert asked == [1_000_000]


@pytest.mark.parametrize("part", [slice(0, 3), slice(3, 6)], ids=["first", "last"])
def test_codes_are_uniform(part: slice) -> None:
    """Of a hundred thousand codes either half is as even as chance makes it (O10: modulo bias; ASVS 6.5.3)."""
    found = Counter(codes.draw()[part] for _ in range(DRAWN))
    expected = DRAWN / 1000

    chi_square = sum((found[f"{half:03d}"] - expected) ** 2 / expected for half in range(1000))

    assert chi_square < FAR_OFF


@pytest.mark.parametrize(
    "text",
    [
        "123456",
        "123 456",
        "123-456",
        " 123456\r\n",
        "#123456",
        "G 123456",
        "g-123456",
        "123\u00a0456",  # NBSP
        "123\u202f456",  # narrow NBSP
        "１２３４５６",  # full-width
        "١٢٣٤٥٦",  # Arabic
        "१२३४५६",  # Devanagari
        "123–456",  # en dash
        "\u200e123\u200b456\u2060\ufeff",  # direction marks, zero-width space, word joiner, byte order mark
        "1 2 3 4 5 6",
    ],
)
def test_spellings_are_taken(text: str) -> None:
    """What people type and paste is read as the code it is (O10: unicode digits, spaces; pages O1)."""
    assert codes.typed(text) == "123456"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-",
        "12345",
        "1234567",
        "12345a",
        "12345²3",
        "½23456",
        "1e5555",
        "123.456",
        "+123456",
        "GG 123456",
        "123456 G",
        "123456\x00",
        "123456" + " " * 40,
        "1" * 10_000,
    ],
)
def test_anything_else_is_no_code(text: str) -> None:
    """What is not six digits is no code, however long (O10; issue 5: oversize everything)."""
    assert codes.typed(text) is None


@given(st.text())
def test_no_text_breaks_the_reading(text: str) -> None:
    """Any text at all gives six ASCII digits or nothing."""
    code = codes.typed(text)

    assert code is None or (len(code) == 6 and code.isascii() and code.isdigit())


@pytest.mark.parametrize(
    "other",
    [
        spot(transaction="t2"),
        spot(purpose="contact"),
        spot(person="p2"),
        spot(channel=Channel.EMAIL),
        spot(to=MAIL),
        spot(transaction="t15:login", purpose=""),
        spot(purpose="loginp", person="1"),
    ],
)
def test_a_digest_is_bound_to_its_spot(other: object) -> None:
    """The same digits at another spot have another digest (O4; ASVS 6.6.2): no two spots are spelt alike."""
    assert isinstance(other, type(spot()))
    assert codes.digest(SEALER, spot(), "123456") != codes.digest(SEALER, other, "123456")
    assert codes.place(SEALER, spot()) != codes.place(SEALER, other)


def test_a_digest_needs_our_key() -> None:
    """Who has read the store cannot try a million codes against it: the digest is keyed (O10; ASVS 6.5.2)."""
    others = SealingKeys(data={1: os.urandom(32)}, newest=1, index=os.urandom(32))

    assert codes.digest(SEALER, spot(), "123456") != codes.digest(Sealer(lambda: others), spot(), "123456")
