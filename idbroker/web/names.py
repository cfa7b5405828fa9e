"""Names and telephone numbers in the middle of a text; what is called otherwise in another language."""

from __future__ import annotations

import re
from collections.abc import Mapping

from markupsafe import Markup

# As its owner calls it; in Danish and Norwegian, for which it has no name, as in English.
_VALTUUDET = "Suomi.fi e-Authorizations"
_OTHERWISE: Mapping[str, Mapping[str, str]] = {
    "Suomi.fi-valtuudet": {"sv": "Suomi.fi-fullmakter", "en": _VALTUUDET, "da": _VALTUUDET, "nb": _VALTUUDET}
}


def called(name: str, language: str) -> str:
    """Return what something is called in a language: by its own name, where it has no other."""
    return _OTHERWISE.get(name, {}).get(language, name)


def named(name: object) -> Markup:
    """Return a name as it is in every language: translators leave it alone (0.4)."""
    return Markup('<b translate="no">{}</b>').format(name)


def dated(day: str) -> Markup:
    """Return a day that no line breaks: browsers break 2026-11-22 after a hyphen."""
    return Markup('<span class="day">{}</span>').format(day)


def telephone(number: str) -> Markup:
    """Return a telephone number that a phone can call."""
    dialled = re.sub(r"[^0-9+]", "", number)
    return Markup('<a class="tel" href="tel:{}" translate="no">{}</a>').format(dialled, number)
