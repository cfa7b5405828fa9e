"""The codes: what a camera reads off them is what was put in, and they are small."""

from __future__ import annotations

import gzip
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from pyzbar.pyzbar import decode

from idbroker.web.qr import BLANK, QUIET, drawing, picture
from tests.web.gallery import CODE

FREJA = f"frejaeid://bindUserToTransaction?transactionReference={'Ab0%2B' * 12}.123.{'x_-Z' * 11}"


def _read(image: Image.Image) -> list[str]:
    return [found.data.decode() for found in decode(image)]


def _painted(path: str, size: int) -> list[list[bool]]:
    """Paint an SVG path of horizontal lines, as a browser would."""
    modules = [[False] * size for _ in range(size)]
    x = y = 0
    for command, first, second in re.findall(r"([Mmh])(\d+)(?: ([\d.]+))?", path):
        if command == "M":
            x, y = int(first), int(float(second))
        elif command == "m":
            x += int(first)
        else:
            modules[y][x : x + int(first)] = [True] * int(first)
            x += int(first)
    return modules


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=160))
def test_the_lines_are_the_picture(text: str) -> None:
    """The SVG's lines and the PNG have the same dark modules, inside the same quiet zone (ISO/IEC 18004, 6.3.8)."""
    drawn, image = drawing(text), Image.open(io.BytesIO(picture(text))).convert("L")
    scale = image.width // (drawn.size + 2 * QUIET)
    small = image.resize((drawn.size + 2 * QUIET,) * 2, Image.Resampling.NEAREST)
    inside = [[small.getpixel((x + QUIET, y + QUIET)) == 0 for x in range(drawn.size)] for y in range(drawn.size)]

    assert scale * (drawn.size + 2 * QUIET) == image.width
    assert inside == _painted(drawn.path, drawn.size)
    assert drawn.view_box == f"-4 -4 {drawn.size + 8} {drawn.size + 8}"


@pytest.mark.parametrize("text", [CODE, FREJA])
def test_a_code_is_read_small_and_blurred(text: str) -> None:
    """B3: at 200 px and out of focus, as from two metres, another's software reads what was put in."""
    image = Image.open(io.BytesIO(picture(text))).convert("L").resize((200, 200), Image.Resampling.LANCZOS)

    assert _read(image.filter(ImageFilter.GaussianBlur(1.0))) == [text]


def test_a_code_is_light() -> None:
    """G6: one second's code costs less than a kilobyte as lines, gzipped, and as a picture."""
    assert len(gzip.compress(drawing(CODE).path.encode())) < 1_000
    assert len(picture(CODE)) < 1_000


def test_white_is_white() -> None:
    """What ends a stream is one white pixel."""
    image = Image.open(io.BytesIO(BLANK))

    assert (image.size, image.getpixel((0, 0))) == ((1, 1), 255)
    assert CODE not in repr(drawing(CODE))
    assert drawing(CODE).path not in repr(drawing(CODE))
