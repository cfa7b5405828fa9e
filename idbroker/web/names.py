"""Names and telephone numbers in the middle of a text."""

from __future__ import annotations

import re

from markupsafe import Markup


def named(name: object) -> Markup:
    """Return a name as it is in every language: translators leave it alone (0.4)."""
    return Markup('<b translate="no">{}</b>').format(name)


def telephone(number: str) -> Markup:
    """Return a telephone number that a phone can call."""
    dialled = re.sub(r"[^0-9+]", "", number)
    return Markup('<a class="tel" href="tel:{}" translate="no">{}</a>').format(dialled, number)
