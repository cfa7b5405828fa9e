"""What the document's formats stand for, for calls that are made up: people and addresses that cannot be real.

Each is one of a few, for what is tried is what calls look like, and drawing takes longer than calling.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from hypothesis import strategies as st

from idbroker.sandbox.people import cast
from tests.conftest import NOW

_BORN = [date(1950, 1, 1) + timedelta(days=777 * step) for step in range(20)]
_CHECKS = "0123456789ABCDEFHJKLMNPRSTUVWXY"


def _cpr(born: date) -> str:
    """Return a CPR number whose day is past any month's end: nobody is given such."""
    return f"{born.day + 60:02}{born:%m%y}0{born.toordinal() % 1000:03}"


def _hetu(born: date) -> str:
    """Return a HETU of an individual number from 900 on, which no register holds."""
    individual = 900 + born.toordinal() % 100
    return f"{born:%d%m%y}-{individual}{_CHECKS[int(f'{born:%d%m%y}{individual}') % 31]}"


def _one_of(texts: Sequence[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(list(texts))


FORMATS = {
    "cpr": _one_of([_cpr(born) for born in _BORN]),
    "hetu": _one_of([_hetu(born) for born in _BORN]),
    # Skatteverket's test numbers: no range is reserved.
    "personnummer": _one_of([one.number for one in cast(NOW.date()) if one.country == "SE" and one.number]),
    "date": _one_of([born.isoformat() for born in _BORN]),
    "name": _one_of(["Ada", "Testsen", "Åse-Märta", "von Prøve", "O'Öberg", "X"]),
    "line": _one_of(["Not a patient of ours", "Ei ole potilaamme", "?"]),
    "email": _one_of(["ada@example.org", "b.c+d@example.com", "e@post.example.net"]),
    "mobile": _one_of([f"+46701740{last}" for last in range(605, 625)]),  # kept for fiction (PTS)
    "power": _one_of([f"urn:example:power-{number}" for number in range(40)]),
    "service": st.just("portal"),
    "https-uri": _one_of(["https://system.example.org/news", "https://example.com/"]),
    "idempotency-key": _one_of([f"key-{number:04}" for number in range(50)]),
}
