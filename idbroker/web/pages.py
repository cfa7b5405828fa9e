"""The pages: values in, HTML out. Nothing here knows of requests, stores or providers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, tzinfo
from functools import partial
from importlib import resources
from typing import Any
from urllib.parse import urlencode

from jinja2 import Template
from markupsafe import Markup

from idbroker import templates
from idbroker.errors import NotFound
from idbroker.web import forms
from idbroker.web.names import dated, named, telephone
from idbroker.web.views import (
    DOCUMENTS,
    ChooseView,
    CodeView,
    DocumentView,
    FarewellView,
    FormPostView,
    FormView,
    Frame,
    LogoutView,
    Notice,
    Problem,
    ProblemView,
    TellingView,
    WaitView,
    WayBackView,
)
from idbroker.words import NATIVE_NAMES, Words, calendar_date, clock_time

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
}
# A page's own link goes to the web, to a path of ours, or to an app's scheme (RFC 8252, 7.1);
# never to javascript: or data:, whatever a registration says.
_HREF = re.compile(r"https?://.+|/(?!/).*|[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:.*|#.*", re.ASCII | re.IGNORECASE)
# The MitID button has closed texts, in Danish and English only.
_FOREIGN = {"c.mitid": {"sv": "en", "fi": "en", "nb": "en"}}
_PROBLEM_TEXTS = {Problem.BROWSER: "b.e.browser"}
_AGAIN = (Problem.BROWSER, Problem.COOKIE)
# Who hears complaints about personal data (GDPR, 77).
AUTHORITIES: Mapping[str, Mapping[str, str]] = {
    "DK": {"name": "Datatilsynet", "href": "https://www.datatilsynet.dk/", "language": "da"},
    "SE": {"name": "Integritetsskydds\u00admyndigheten", "href": "https://www.imy.se/", "language": "sv"},
    "FI": {"name": "Tietosuojavaltuutetun toimisto", "href": "https://tietosuoja.fi/", "language": "fi"},
    "NO": {"name": "Datatilsynet (Norge)", "href": "https://www.datatilsynet.no/", "language": "nb"},
}
_DOCUMENT_TITLES = {"help": "g.help", "privacy": "g.priv", "accessibility": "g.a11y"}


class Pages:
    """Every page, its templates compiled once. `sandbox` marks each page and title as pretend."""

    def __init__(self, words: Words, *, sandbox: bool = False) -> None:
        self._words = words
        self._sandbox = sandbox
        self._files = _read_static()
        self._statement = json.loads(self._files["accessibility.json"][0])
        self._templates = self._compiled()

    # ---- static files ----------------------------------------------------------------------------

    def asset(self, name: str) -> str:
        """Return the address of a static file; it changes with the content, so it may be kept for a year."""
        return f"/static/{name}?v={self._files[name][2]}"

    def static_file(self, name: str) -> tuple[bytes, str, str]:
        """Return a static file: its bytes, content type and entity tag (unquoted). Raises NotFound."""
        try:
            return self._files[name]
        except KeyError:
            raise NotFound("no such static file") from None

    # ---- pages -----------------------------------------------------------------------------------

    def choose(self, view: ChooseView) -> str:
        """Return the choice of a way to log in."""
        notice = self._notice(view.frame, view.notice) if view.notice else None
        usual = "r.prove" if view.wish else "c.h1"
        none = view.younger and all(way.style == "door" for way in view.ways)
        h1 = self._say(view.frame)("e.young.h1" if none else usual)
        return self._page("choose", view, h1, posts=True, about=True, notice=notice)

    def form(self, view: FormView) -> str:
        """Return a page to fill in. KeyError for a page there is none of, ValueError for a moment that is none."""
        return self._page(view.page, view, **forms.filled(self._words, view))

    def wait(self, view: WaitView) -> str:
        """Return the page that waits for an app; its heading is what the button that led here says."""
        h1 = self._say(view.frame)(view.way.label, eid=view.way.title)
        return self._page("wait", view, h1, posts=True, about=True)

    def code(self, view: CodeView) -> str:
        """Return the small document that shows the code where no script does."""
        alt = self._say(view.frame)("b.alt", eid=view.eid)
        return self._page("qr", view, alt, title=alt)

    def says(self, key: str, *, eid: str, language: str, country: str | None) -> str:
        """Return the words of a waiting page by themselves."""
        return self._words.say(key, language, country, eid=eid)

    def open_until(self, ends: datetime, zone: tzinfo, language: str) -> str:
        """Return the words of how long a page is open by themselves."""
        return self._words.say("t.open", language, time=clock_time(ends, zone, language))

    def already(self, view: WayBackView) -> str:
        """Return x.in: you are already logged in."""
        say = self._say(view.frame)
        ways_on = self._onward(view.frame, view.back_href, "x.in.go")
        ways_on += [(view.own_href, say("me.h1"))] if view.own_href else []
        return self._page("plain", view, say("x.in.h1"), paragraphs=[say("x.in")], ways_on=ways_on)

    def stayed(self, view: WayBackView) -> str:
        """Return the page after a logout that was answered with no."""
        return self._plain(view, "x.stay", onward="x.in.go")

    def gone(self, view: WayBackView) -> str:
        """Return t.gone: too much time passed, start again at the service."""
        return self._plain(view, "t.gone.h1", "t.gone", onward="t.again")

    def logged_out(self, view: WayBackView) -> str:
        """Return x.out: you are logged out; on a shared device also what to close."""
        texts = ("x.outshared",) if view.shared else ()
        return self._plain(view, "x.out", *texts, onward="x.in.go")

    def telling(self, view: TellingView) -> str:
        """Return the page with a frame for each service that is told so."""
        return self._page("telling", view, self._say(view.frame)("x.bye.h1"))

    def farewell(self, view: FarewellView) -> str:
        """Return x.out with what has ended, and what perhaps has not."""
        say = self._say(view.frame)
        paragraphs = [say("x.out.of", names=named(", ".join(view.ended)))] if view.ended else []
        paragraphs += [say("x.out.part", eid=named(eid)) for eid in view.unsure]
        ways_on = self._onward(view.frame, view.back_href, "x.in.go")
        return self._page("plain", view, say("x.out"), paragraphs=[*paragraphs, say("x.outshared")], ways_on=ways_on)

    def confirm_logout(self, view: LogoutView) -> str:
        """Return the question whether to log out."""
        return self._page("logout", view, self._say(view.frame)("x.out.h1"), posts=True)

    def problem(self, view: ProblemView) -> str:
        """Return a page that says what happened and what to do."""
        say = self._say(view.frame)
        time = clock_time(view.reopens, view.frame.zone, view.frame.language) if view.reopens else None
        values = {"time": time, "eid": named(view.eid) if view.eid else None}
        known = {name: value for name, value in values.items() if value is not None}
        paragraphs = [say(_PROBLEM_TEXTS.get(view.problem, view.problem.value), **known)]
        if view.ref:
            paragraphs.append(say("x.ref", ref=named(view.ref)))
        ways_on = [(view.retry_href, say("x.retry"))] if view.retry_href else []
        ways_on += self._onward(view.frame, view.back_href, "t.again" if view.problem in _AGAIN else "x.in.go")
        return self._page("plain", view, say(f"{view.problem}.h1", **known), paragraphs=paragraphs, ways_on=ways_on)

    def form_post(self, view: FormPostView) -> str:
        """Return the page that posts the answer to the service: by itself, or by its button.

        The values arrive as they are: HTML-escaped and nothing else (Form Post Response Mode, 2). No
        language can be switched here: that would post to the service.
        """
        say = self._say(view.frame)
        onward = say("x.in.go", service=named(view.frame.service)) if view.frame.service else say("g.continue")
        return self._page("form_post", view, say("w.h1"), onward=onward)

    def document(self, view: DocumentView) -> str:
        """Return help, privacy or the accessibility statement. Raises NotFound for any other name."""
        if view.name not in DOCUMENTS:
            raise NotFound("no such document")
        return self._page(
            view.name,
            view,
            self._say(view.frame)(_DOCUMENT_TITLES[view.name]),
            statement=self._statement,
            about=view.back_href is not None,
            bodies=_of_country(self._statement["bodies"], view.frame.country),
            authorities=_of_country(AUTHORITIES, view.frame.country),
            checked_on=dated(calendar_date(date.fromisoformat(self._statement["checked"]), view.frame.language)),
        )

    # ---- how -------------------------------------------------------------------------------------

    def _say(self, frame: Frame) -> partial[str]:
        return partial(self._words.say, language=frame.language, country=frame.country)

    def _notice(self, frame: Frame, notice: Notice) -> str:
        """Put the frame's names and the eID's into the text; a clinic without a phone has its own wording."""
        names = {"service": frame.service, "clinic": frame.clinic, "phone": frame.phone, "eid": notice.eid}
        values = {name: named(value) for name, value in names.items() if value}
        bare = f"{notice.key}.nophone"
        key = bare if not frame.phone and self._words.knows(bare) else notice.key
        besides = (self._say(frame)(key, age=age) for key, age in notice.besides)
        return Markup(" ").join((self._say(frame)(key, age=notice.age, **values), *besides))

    def _plain(self, view: WayBackView, h1: str, *texts: str, onward: str) -> str:
        say = self._say(view.frame)
        ways_on = self._onward(view.frame, view.back_href, onward)
        return self._page("plain", view, say(h1), paragraphs=[say(text) for text in texts], ways_on=ways_on)

    def _onward(self, frame: Frame, href: str | None, key: str) -> list[tuple[str, str]]:
        if not (href and frame.service):
            return []
        return [(href, self._say(frame)(key, service=named(frame.service)))]

    def _page(self, template: str, view: Any, h1: str, *, title: str | None = None, **more: Any) -> str:
        frame: Frame = view.frame
        say = self._say(frame)
        open_until = self.open_until(frame.open_until, frame.zone, frame.language) if frame.open_until else None
        full_title = " – ".join(part for part in (title or h1, frame.service) if part)
        values = {
            "posts": False,
            "about": False,
            "done": False,
            "notice": None,
            "error": None,
            "view": view,
            "frame": frame,
            "say": say,
            "h1": h1,
            "title": f"SANDBOX · {full_title}" if self._sandbox else full_title,
            "open_until": open_until,
            "cancel": say("g.cancel", service=named(frame.service)) if frame.service else say("g.back"),
            "phone": telephone(frame.phone) if frame.phone and frame.clinic else None,
            "either": partial(_either, say),
            "own_page": partial(_own_page, frame),
            "foreign": lambda label: _FOREIGN.get(label, {}).get(frame.language),
            **more,
        }
        return self._templates[template].render(values)

    def _compiled(self) -> dict[str, Template]:
        environment = templates.of_package("idbroker.web")
        environment.filters["href"] = _checked_href
        environment.globals.update(
            asset=self.asset,
            named=named,
            knows=self._words.knows,
            native_names=NATIVE_NAMES,
            sandbox=self._sandbox,
        )
        return {name[:-5]: environment.get_template(name) for name in environment.list_templates()}


def _read_static() -> dict[str, tuple[bytes, str, str]]:
    folder = resources.files(__package__) / "static"
    files = {}
    for file in folder.iterdir():
        ending = file.name.rpartition(".")[2]
        if ending in _TYPES:
            content = file.read_bytes()
            files[file.name] = (content, _TYPES[ending], hashlib.sha256(content).hexdigest()[:16])
    return files


def _either(say: Callable[..., str], names: Iterable[str]) -> str:
    """Return "A, B or C", each a name in bold."""
    *first, last = map(named, names)
    return say("g.or", a=Markup(", ").join(first), b=last) if first else last


def _own_page(frame: Frame, name: str) -> str:
    return f"/{name}?{urlencode({'lang': frame.language, **frame.whence})}"


def _of_country(known: Mapping[str, Mapping[str, str]], country: str | None) -> list[Mapping[str, str]]:
    """Return the one of a country, or all of them where it is not known."""
    return [known[country]] if country and country in known else list(known.values())


def _checked_href(href: str) -> str:
    if not _HREF.fullmatch(href):
        raise ValueError("not an address a page may link to")
    return href
