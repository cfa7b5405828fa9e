"""QR codes of a moment: as lines for an SVG, and as a PNG (ISO/IEC 18004)."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from itertools import groupby

import segno

QUIET = 4  # modules of white around a code (ISO/IEC 18004, 6.3.8)
BLANK = base64.b64decode(  # one white pixel, as PNG
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQAAAAA3bvkkAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg=="
)
_PIXELS = 8  # a module of a PNG: enough for the sharpest screen
# Screens have no scratches: the lowest correction gives the largest modules, which read from
# farthest off (measured with blur). Weighing all eight masks costs four times the drawing and, for
# text that is mostly a MAC, gains nothing.
_CORRECTION, _MASK = "L", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A code without its quiet zone: `size` modules wide, its dark ones as SVG path data of stroke width 1."""

    size: int
    path: str = field(repr=False)

    @property
    def view_box(self) -> str:
        """Return the viewBox that has the quiet zone in it."""
        return f"-{QUIET} -{QUIET} {self.size + 2 * QUIET} {self.size + 2 * QUIET}"


def drawing(text: str) -> Drawing:
    """Return a code as one SVG path, a line for each run of dark modules."""
    rows = [bytes(row) for row in _code(text).matrix]
    return Drawing(size=len(rows), path="".join(_lines(y, row) for y, row in enumerate(rows)))


def picture(text: str) -> bytes:
    """Return a code as a PNG with its quiet zone."""
    octets = io.BytesIO()
    _code(text).save(octets, kind="png", scale=_PIXELS, border=QUIET)
    return octets.getvalue()


def _code(text: str) -> segno.QRCode:
    return segno.make_qr(text, error=_CORRECTION, mask=_MASK, boost_error=False)


def _lines(y: int, row: bytes) -> str:
    """Return one row: an absolute move to its first run, relative ones to the others."""
    parts: list[str] = []
    x = end = 0
    for dark, run in groupby(row):
        length = len(list(run))
        if dark:
            parts.append(f"m{x - end} 0h{length}" if parts else f"M{x} {y}.5h{length}")
            end = x + length
        x += length
    return "".join(parts)
