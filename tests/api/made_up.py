"""What the document's formats stand for, for calls that are made up: people and addresses that cannot be real."""

from __future__ import annotations

import string
from datetime import date, timedelta

from hypothesis import strategies as st

from idbroker.sandbox.people import cast
from tests.conftest import NOW

LETTERS = string.ascii_letters + "åäöæøÅÄÖÆØéü'-"


def cpr() -> st.SearchStrategy[str]:
    """Return CPR numbers whose day is past any month's end: nobody is given such."""
    born = st.dates(date(1940, 1, 1), date(1999, 12, 31))
    return st.builds(lambda day, last: f"{day.day + 60:02}{day:%m%y}{last:04}", born, st.integers(1, 3999))


def hetu() -> st.SearchStrategy[str]:
    """Return HETUs of individual numbers 900 to 999, which no register holds."""
    checks = "0123456789ABCDEFHJKLMNPRSTUVWXY"
    born = st.dates(date(1940, 1, 1), date(1999, 12, 31))

    def made(day: date, individual: int) -> str:
        digits = f"{day:%d%m%y}{individual}"
        return f"{day:%d%m%y}-{individual}{checks[int(digits) % 31]}"

    return st.builds(made, born, st.integers(900, 999))


def personnummer() -> st.SearchStrategy[str]:
    """Return numbers of the sandbox's people, which are Skatteverket's test numbers: no range is reserved."""
    return st.sampled_from([one.number or "" for one in cast(NOW.date()) if one.country == "SE" and one.number])


def past() -> st.SearchStrategy[str]:
    """Return days that have been."""
    return st.dates(date(1930, 1, 1), NOW.date() - timedelta(days=1)).map(date.isoformat)


def name() -> st.SearchStrategy[str]:
    """Return what somebody may be called."""
    word = st.text(LETTERS, min_size=1, max_size=12)
    return st.lists(word, min_size=1, max_size=3).map(" ".join)


def email() -> st.SearchStrategy[str]:
    """Return mailboxes of nobody (RFC 2606)."""
    return st.text(string.ascii_lowercase, min_size=1, max_size=10).map(lambda local: f"{local}@example.org")


def mobile() -> st.SearchStrategy[str]:
    """Return Swedish numbers that are kept for fiction (PTS)."""
    return st.integers(605, 699).map(lambda last: f"+46701740{last}")


FORMATS = {
    "cpr": cpr(),
    "hetu": hetu(),
    "personnummer": personnummer(),
    "date": past(),
    "name": name(),
    "line": name(),
    "email": email(),
    "mobile": mobile(),
    "service": st.just("portal"),
    "idempotency-key": st.uuids().map(str),
    "https-uri": st.just("https://system.example.org/news"),
}
