"""What a text message costs: the 7-bit alphabet, its parts, and that our codes are one."""

from __future__ import annotations

import pytest

from idbroker.clinic import LANGUAGES
from idbroker.messages.gsm import fits, plain, segments, septets
from idbroker.words import Words

SERVICE = "Øjenklinikken Malmös"
HOST = "legitimation.ogonkliniken.se"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_code_is_one_message(language: str) -> None:
    """In each language a code, for a service of 20 letters at a host of 28, is one segment with its last line."""
    assert (len(SERVICE), len(HOST)) == (20, 28)
    text = Words().say("m.sms", language, code="123456", service=SERVICE)

    whole = f"{text}\n\n@{HOST} #123456"

    assert fits(whole)
    assert plain(whole) == whole
    assert (septets(whole) or 999) <= 160


def test_the_alphabet() -> None:
    """Nordic letters are in it, brackets and the euro sign count two, what is not in it makes it another alphabet."""
    assert septets("åäöæøÅÄÖÆØéÉüÜß@_§¤\n") == 20
    assert septets("[]{}\\^~|€\f") == 20
    assert septets("š") is septets("`") is septets("“") is septets("😀") is septets("\t") is None
    assert septets("") == 0


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("€" * 152, 2),
        ("€" * 153, 3),
        ("š" * 70, 1),
        ("š" * 71, 2),
        ("š" * 134, 2),
        ("š" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 67, 3),
    ],
)
def test_segments(text: str, parts: int) -> None:
    """160 or 70 in one, 153 or 67 in each of several, and no character in two (3GPP TS 23.040, 9.2.3.24.1)."""
    assert segments(text) == parts
    assert fits(text) == (parts == 1 and septets(text) is not None)


def test_plain() -> None:
    """Typographic signs are replaced, letters put together, nothing else touched."""
    assert plain("“Ögon” – don’t…\u00a0now\u200b") == '"Ögon" - don\'t... now'
    assert plain("o\u0308gon") == "ögon"
    assert plain("Ære, šeis, 😀\n@host #1") == "Ære, šeis, 😀\n@host #1"
