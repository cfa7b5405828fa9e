"""What is said on a page to fill in: its heading, its errors, its moments, the words of the number's country."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from idbroker.web.names import called, dated, named, telephone
from idbroker.web.views import FormView
from idbroker.words import Words, calendar_date, clock_time

# Whose numbers we can read (numbers.py): what "a number from another country" may be.
NUMBER_COUNTRIES = ("DK", "SE", "FI")

_HEADINGS = {
    "cpr": "q.h1",
    "password": "p.h1",
    "staff": "s.as.in.h1",
    "staffcode": "s.as.code.h1",
    "assistedwho": "s.as.who.h1",
    "give": "s.as.isyou",
    "code": "o.h1",
    "contact": "r.contact",
    "newpassword": "f.act.h1",
    "check": "r.check",
    "waiting": "r.wait.h1",
    "enrol": "k.clinic",
    "notaken": "r.no.h1",
    "have": "r.have.h1",
    "child": "c.regchild",
    "childlogin": "r.own.h1",
    "childdone": "r.kid.h1",
    "differ": "k.h1",
    "consent": "n.h1",
    "terms": "n.terms.h1",
    "register": "r.h1",
    "forgot": "f.h1",
    "sent": "f.sent.h1",
    "set": "f.h1",
    "setdone": "f.done",
    "linkgone": "f.gone.h1",
    "who": "a.h1",
    "whono": "a.no.h1",
    "mecontact": "me.contact.h1",
    "meapp": "me.app.h1",
    "mepassword": "f.h1",
    "mechild": "me.kid.h1",
    "mechildpassword": "f.h1",
    "meout": "me.out.h1",
}
_OTHERWISE = {("set", "activate"): "f.act.h1", ("newpassword", "optional"): "r.pw.h1", ("setdone", "activate"): "f.act"}
_TITLES = {"give": "s.as.h1"}  # a title stays in the browser's history: no patient's name on staff's way
_DONE = ("waiting", "notaken", "whono")  # their own button leads to the service, and they wait for nobody
_ORDER = ("who", "choice", "login", "number", "given", "family", "email", "phone", "current", "password", "code")
_IDS = {"number": "pid"}
_NUMBER = {"number": "number", "country": "country", "mask": "mask"}
_TYPED = {
    "cpr": {"number": "number", "mask": "mask"},
    "password": _NUMBER,
    "forgot": _NUMBER,
    "contact": {"email": "email", "phone": "phone"},
    "child": {**_NUMBER, "given": "name", "family": "family", "who": "who"},
    "differ": {"choice": "choice", "email": "own_email", "phone": "own_phone"},
    "register": {"who": "who"},
    "who": {**_NUMBER, "who": "who"},
    "staff": {"login": "login"},
    "assistedwho": {"number": "number", "mask": "mask"},
}
_LONGEST = 254  # characters: an e-mail address
_NAMES = ("service", "clinic", "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """Texts with everything in place that the view knows."""

    words: Words
    view: FormView

    def __call__(self, key: str, **more: object) -> str:
        """Return a text, names in bold; a clinic without a telephone has its own wording where there is one."""
        known = {name: named(value) for name, value in self.names().items()}
        phone = self.view.frame.phone
        return self._say(key, {**known, **({"phone": telephone(phone)} if phone else {}), **self._told(), **more})

    def plain(self, key: str) -> str:
        """Return a text without markup, for the title."""
        return self._say(key, {**self.names(), **self._told()})

    def names(self) -> dict[str, str]:
        """Return the names that texts are about: the form's own before the page's."""
        frame, values = self.view.frame, self.view.values
        known = {"service": frame.service, "clinic": frame.clinic, "eid": self.view.eid}
        own = {name: values.get(name) for name in _NAMES}
        return {name: value for source in (known, own) for name, value in source.items() if value}

    def clock(self, moment: str) -> str:
        """Return an ISO 8601 moment as the clock on the person's wall shows it."""
        return clock_time(datetime.fromisoformat(moment), self.view.frame.zone, self.view.frame.language)

    def day(self, moment: str) -> str:
        """Return an ISO 8601 day or moment as a day."""
        if len(moment) == len("2026-11-22"):
            return calendar_date(date.fromisoformat(moment), self.view.frame.language)
        return calendar_date(datetime.fromisoformat(moment).astimezone(self.view.frame.zone), self.view.frame.language)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield the errors as the fields come: the field's id and the text."""
        errors = self.view.errors
        for name in (*(n for n in _ORDER if n in errors), *(n for n in errors if n not in _ORDER)):
            yield _IDS.get(name, name), self(errors[name])

    def _told(self) -> dict[str, object]:
        """Return the figures and times that errors speak of."""
        values = self.view.values
        moment = values.get("locked") or values.get("limited")
        figures = {"n": values.get("least"), "age": values.get("age"), "year": values.get("year")}
        told = {**figures, "time": self.clock(moment) if moment else None}
        return {name: value for name, value in told.items() if value is not None}

    def _say(self, key: str, values: dict[str, object]) -> str:
        frame, bare = self.view.frame, f"{key}.nophone"
        key = bare if not frame.phone and self.words.knows(bare) else key
        return self.words.say(key, frame.language, number_country(self.view), **values)


def filled(words: Words, view: FormView) -> dict[str, Any]:
    """Return what a form's template is given besides the view. KeyError for a text that does not exist."""
    said = _Said(words=words, view=view)
    heading = _heading(view)
    problems = tuple(said.problems())
    wrong = problems or any(view.values.get(name) for name in ("locked", "limited", "busy"))
    title = said.plain(_TITLES.get(view.page, heading))
    return {
        "h1": said(heading),
        "title": words.say("g.errtitle", view.frame.language, title=title) if wrong else title,
        "posts": bool(view.action),
        "about": "path" not in view.values,  # My page is about no service
        "done": view.page in _DONE,
        "tell": said,
        "clock": said.clock,
        "day": said.day,
        "dated": lambda moment: dated(said.day(moment)),
        "value": lambda name: view.values.get(name, ""),
        "called": lambda name: called(name, view.frame.language),
        "problems": problems,
        "problem": dict(problems).get,
        "number_country": number_country(view),
        "number_countries": NUMBER_COUNTRIES,
    }


def typed(page: str, fields: Mapping[str, str]) -> dict[str, str]:
    """Return what somebody typed as the values that fill the page in again; never a password or a code.

    For a press that is about something else, as another language or a forgotten password (WCAG 3.3.7).
    """
    return {value: fields.get(name, "")[:_LONGEST] for name, value in _TYPED.get(page, {}).items()}


def number_country(view: FormView) -> str | None:
    """Return the country whose number is asked for: the one chosen, else the clinic's."""
    own = view.values.get("country") or view.values.get("value.national_number_country")
    return own or view.frame.country


def _heading(view: FormView) -> str:
    for (page, value), key in _OTHERWISE.items():
        if page == view.page and view.values.get(value):
            return key
    return _HEADINGS.get(view.page, f"{view.page}.h1")
