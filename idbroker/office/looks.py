"""How the staff's pages look: values in, HTML out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from idbroker import templates
from idbroker.clinic import Clinic
from idbroker.messages.addresses import display
from idbroker.web.names import dated, named, telephone
from idbroker.words import NATIVE_NAMES, Words, calendar_date, clock_time


class Looks:
    """Every page of the office. `asset` gives a static file's address, `sandbox` marks each page as pretend.

    A template extends `office.html` (or `bare.html`, for pages outside a sign-in) and is given `say(key, **values)`,
    `day(moment)`, `clock(moment)` (in the clinic's zone), `calendar(date)`, `moment(text)`, `display(number)`,
    `named(text)`, `telephone(number)`, and what the route gives.
    """

    def __init__(self, words: Words, asset: Callable[[str], str], *, sandbox: bool = False) -> None:
        self._words = words
        self._environment = templates.of_package("idbroker.office")
        self._environment.globals.update(
            asset=asset,
            named=named,
            telephone=telephone,
            display=display,
            moment=datetime.fromisoformat,
            knows=words.knows,
            native_names=NATIVE_NAMES,
            sandbox=sandbox,
        )
        for name in self._environment.list_templates():
            self._environment.get_template(name)

    def page(self, template: str, language: str, clinic: Clinic | None, values: Mapping[str, Any]) -> str:
        """Return a page. KeyError for a text there is none of."""
        country = clinic.country if clinic else None

        def day(moment: datetime) -> str:
            return dated(calendar_date(moment.astimezone(clinic.zone) if clinic else moment, language))

        def clock(moment: datetime) -> str:
            return clock_time(moment, clinic.zone, language) if clinic else f"{moment:%H:%M}"

        given = {
            "say": partial(self._said, language, country),
            "say_in": lambda spoken, key, **more: self._said(spoken, country, key, **more),
            "day": day,
            "clock": clock,
            "calendar": lambda on: dated(calendar_date(on, language)),
            "language": language,
            "clinic": clinic,
            **values,
        }
        return self._environment.get_template(f"{template}.html").render(given)

    def _said(self, language: str, country: str | None, key: str, **values: Any) -> str:
        return self._words.say(key, language, country, **values)
