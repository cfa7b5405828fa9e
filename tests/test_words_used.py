"""No text lies about that no page and no message says."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from idbroker.words import read_texts

SOURCE = Path(__file__).parents[1] / "idbroker"
QUOTED = re.compile(r"""(?:"([^"\s{}]+)"|'([^'\s{}]+)')""")
# Keys that are put together, by what they begin with; what follows is a word that the source quotes by itself:
# a state, the kind of an event, a country, the name of a way to log in.
BUILT = (
    *("a.age", "c.pwhint.", "h.", "i.", "m.", "me.ev.", "me.kid.age", "me.role.", "me.st.", "n.i.", "p.c.", "r.e."),
    *("s.ac.", "s.ac.e.", "s.ac.r.", "s.appr.", "s.as.by.", "s.as.st.", "s.as.why.", "s.by.", "s.e.", "s.ev."),
    *("s.exempt.", "s.gd.e.", "s.gd.reg.", "s.gd.rel.", "s.gd.said.", "s.gd.why.", "s.said.", "s.st.", "s.tel."),
    *("s.tel.e.", "s.tel.failed.", "s.tel.who.", "s.why.", "y.how.", "y.not.", "y.state."),
)
# What is put behind one: a heading, who was first, what is needed, the words of a clinic without a telephone; of a
# letter its subject and the like.
BEHIND = (".by", ".h1", ".need", ".nophone")
BEHIND_LETTERS = (".day", ".own", ".sms", ".sub")
WHOLE = ("e.young.code", "e.young.pw", "s.why.asks")


@cache
def quoted() -> frozenset[str]:
    """Return every word in quotation marks in the source, the templates and what they read, but for the texts."""
    files = (file for file in SOURCE.rglob("*") if file.suffix in (".py", ".html", ".js", ".json"))
    own = (file for file in files if file.parent.name not in ("locale", "schemas") and "sandbox" not in file.parts)
    return frozenset(one or other for file in own for one, other in QUOTED.findall(file.read_text("utf-8")))


def is_used(key: str) -> bool:
    """Tell whether something says a text, or may."""
    built = any(key.startswith(start) and key[len(start) :] in quoted() for start in BUILT)
    ends = (*BEHIND, *(BEHIND_LETTERS if key.startswith("m.") else ()))
    behind = any(key.endswith(end) and is_used(key[: -len(end)]) for end in ends)
    return key in quoted() or key in WHOLE or built or behind


def test_no_text_is_left_over() -> None:
    """Every key of the locale is in the source, or is put together of words that are."""
    assert [key for key in read_texts()["en"] if "@" not in key and not is_used(key)] == []


def test_a_text_left_over_is_found() -> None:
    """The rule is no sieve: keys made up, in the families that are put together too, are not used."""
    made_up = (
        "g.nothing",
        "s.gd.e.nothing_such",
        "me.ev.patient.nothing",
        "m.unheard_of.sub",
        "x.nothing.h1",
        "e.young.x",
    )

    assert [key for key in made_up if is_used(key)] == []


def test_every_family_is_needed() -> None:
    """No beginning is listed that no key has any more."""
    keys = read_texts()["en"]

    assert [start for start in BUILT if not any(key.startswith(start) and key not in quoted() for key in keys)] == []
