"""The words on our pages, in five languages.

A text is found under its key; `key@FI` in a language's file replaces it where the clinic's market
is Finland, because what a number or an eID is called belongs to the market, not to the language.
"""

from __future__ import annotations

import json
import string
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, tzinfo
from importlib import resources

from markupsafe import Markup
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from idbroker.clinic import COUNTRIES, LANGUAGES

NATIVE_NAMES = {"da": "Dansk", "sv": "Svenska", "fi": "Suomi", "en": "English", "nb": "Norsk"}

_NORWEGIAN = {"no": "nb", "nn": "nb"}
_CLOCK = {"da": "{0:%H}.{0:%M}", "fi": "{0.hour}.{0:%M}"}
_DATE = {"da": "{0.day}.{0.month}.{0.year}", "fi": "{0.day}.{0.month}.{0.year}", "nb": "{0.day}.{0.month}.{0.year}"}
# Browsers send a handful of languages; a header of thousands is somebody keeping our CPU busy.
_LONGEST_HEADER = 512

Texts = Mapping[str, Mapping[str, str]]


class Words:
    """Every text of every page, read once."""

    def __init__(self, texts: Texts | None = None) -> None:
        self._texts = texts or read_texts()

    def say(self, key: str, /, language: str, country: str | None = None, **values: object) -> str:
        """Return a text with its values in place; KeyError for an unknown key or a missing value.

        With a Markup value the text and the other values are escaped and Markup is returned;
        otherwise a plain string, which the template escapes.
        """
        texts = self._texts[language]
        text = texts.get(f"{key}@{country}") if country else None
        if text is None:
            text = texts[key]
        if any(hasattr(value, "__html__") for value in values.values()):
            return Markup.escape(text).format(**values)
        return text.format(**values) if values or "{" in text else text

    def knows(self, key: str) -> bool:
        """Tell whether there is such a text."""
        return key in self._texts["en"]


def read_texts() -> dict[str, dict[str, str]]:
    """Read the five files: language -> key -> text."""
    folder = resources.files(__package__) / "locale"
    return {language: json.loads((folder / f"{language}.json").read_text("utf-8")) for language in LANGUAGES}


def clock_time(moment: datetime, zone: tzinfo, language: str) -> str:
    """Return a moment as the clock on the person's wall shows it: "14.05", or "14:05"."""
    return _CLOCK.get(language, "{0:%H}:{0:%M}").format(moment.astimezone(zone))


def calendar_date(day: date, language: str) -> str:
    """Return a day in figures, in the language's own order."""
    return _DATE.get(language, "{0:%Y-%m-%d}").format(day)


def negotiate(ui_locales: Iterable[str], accept_language: str | None, offered: Sequence[str]) -> str:
    """Return the language to speak: what the service asked for, else the browser, else the first offered.

    `ui_locales` by preference (OpenID Connect Core 3.1.2.1); `accept_language` as in RFC 9110, 12.5.4.
    """
    accepted = parse_accept_header((accept_language or "")[:_LONGEST_HEADER], LanguageAccept)
    wished = [*ui_locales, *(tag for tag, quality in accepted if quality > 0)]
    return next((language for language in map(_language_of, wished) if language in offered), offered[0])


def _language_of(tag: str) -> str:
    primary = tag.replace("_", "-").split("-")[0].lower()
    return _NORWEGIAN.get(primary, primary)


def faults(texts: Texts) -> list[str]:
    """Return what is wrong with the texts: missing, unknown, empty, or with other placeholders than English."""
    return [fault for language in LANGUAGES for fault in _language_faults(language, texts)]


def _language_faults(language: str, texts: Texts) -> list[str]:
    model, own = texts["en"], texts[language]
    plain = {key for key in model if "@" not in key}
    found = [f"{language}: {key} is missing" for key in sorted(plain - own.keys())]
    for key, text in own.items():
        found += [f"{language}: {key} {fault}" for fault in _text_faults(key, text, model, plain)]
    return found


def _text_faults(key: str, text: str, model: Mapping[str, str], plain: set[str]) -> list[str]:
    base, _, country = key.partition("@")
    if base not in plain:
        return ["is not in English"]
    found = []
    if country and country not in COUNTRIES:
        found.append(f"is for no country of ours: {country}")
    if not text or text != text.strip():
        found.append("is empty or has spaces around it")
    if _placeholders(text) != _placeholders(model[base]):
        wanted = ", ".join(sorted(_placeholders(model[base]))) or "none"
        found.append(f"has other placeholders than English ({wanted})")
    return found


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def main() -> int:
    """Check the shipped texts: print every fault, answer 1 if there is one."""
    texts = read_texts()
    found = faults(texts)
    told = "\n".join(found) or f"{len(texts['en'])} texts in {len(texts)} languages: complete"
    sys.stdout.write(f"{told}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
