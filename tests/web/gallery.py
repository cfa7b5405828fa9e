"""Every page there is, filled in, and a small server that shows them with their real headers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from idbroker.errors import NotFound
from idbroker.visitor import Device
from idbroker.web.headers import page_headers, static_headers
from idbroker.web.pages import Pages
from idbroker.web.qr import drawing
from idbroker.web.views import (
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
    WaitState,
    WaitView,
    WayBackView,
    Younger,
    way,
)
from idbroker.words import Words
from tests.web.gallery_forms import FORMS

MOMENT = datetime(2026, 11, 22, 13, 5, tzinfo=UTC)
SERVICE = "Min Lægeside"
CLINIC = "Lægerne på Åboulevarden"
BACK = "https://portal.example/start"
TITLES = {
    "mitid": "MitID",
    "bankid": "BankID",
    "freja": "Freja eID Plus",
    "suomifi": "Suomi.fi",
    "borgeradgang": "Borgeradgang",
    "fallback": "",
    "gaia": "Gaia ID",
}
WAYS = tuple(way(value, title) for value, title in TITLES.items())
CODE = f"bankid.67df3917-fa0d-44e5-b327-edcc928297f8.12.{'4e' * 32}"
_SCAN, _TAP = {"device": Device.OTHER}, {"device": Device.THIS}
_OPENED = {"state": WaitState.OPENED, "says": "b.st.sign"}
_RETURNING = {"state": WaitState.RETURNING, "says": "b.st.back"}
_LAPSED = {"state": WaitState.LAPSED, "says": "b.st.lapsed"}
WAITS: Mapping[str, Mapping[str, Any]] = {
    "wait-scan": _SCAN,
    "wait-scan-opened": {**_SCAN, **_OPENED},
    "wait-scan-lapsed": {**_SCAN, **_LAPSED},
    "wait-tap": _TAP,
    "wait-tap-returning": {**_TAP, **_RETURNING},
    "wait-tap-lapsed": {**_TAP, **_LAPSED},
}
PROBLEMS = {problem: f"problem-{problem.name.lower()}" for problem in Problem}


def frame(language: str, **changes: object) -> Frame:
    """Return a Danish clinic's frame in a language."""
    made = Frame(
        language=language,
        country="DK",
        service=SERVICE,
        clinic=CLINIC,
        phone="+45 33 12 34 56",
        zone=ZoneInfo("Europe/Copenhagen"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the names are checked by replace itself


def all_pages(pages: Pages, language: str) -> dict[str, str]:
    """Return every page in one language, by name."""
    return {
        **_forms(pages, language),
        **{name: pages.form(form_view(language, name)) for name in FORMS},
        **{name: pages.wait(wait_view(language, name)) for name in WAITS},
        **_ways_back(pages, language),
        **_goodbyes(pages, language),
        **{name: pages.problem(_problem(problem, language)) for problem, name in PROBLEMS.items()},
        **_documents(pages, language),
    }


def _forms(pages: Pages, language: str) -> dict[str, str]:
    within = frame(language, cancel_href="/t/abc/cancel", open_until=MOMENT, left=1800)
    plain = ChooseView(frame=within, action="/t/abc/choose", nonce="n1", ways=(WAYS[0], WAYS[3]))
    down = (way("mitid", "MitID", last_used=True, note_down=True), *WAYS[1:])
    cpr = FormView(frame=within, action="/t/abc/cpr", nonce="n1", page="cpr", eid="MitID")
    wrong = {"number": "0107729995", "left": "2", "mask": "1"}
    answer = {"code": "abc", "state": "s", "iss": "https://login.example"}
    return {
        "choose": pages.choose(plain),
        "choose-back": pages.choose(replace(plain, notice=Notice(key="e.back", eid="MitID", ref="K7M2QX"))),
        "choose-all": pages.choose(replace(plain, ways=down, notice=Notice(key="e.loa"))),
        "choose-new": pages.choose(replace(plain, ways=(*plain.ways, WAYS[5]), register=True, child_age=15)),
        "choose-wish": pages.choose(replace(plain, register=True, child_age=15, wish="child")),
        "choose-none": pages.choose(replace(plain, ways=())),
        "choose-young": pages.choose(
            replace(
                plain,
                ways=(WAYS[5],),
                notice=Notice(key="e.young", eid="MitID", ref="K7M2QX", age=15, besides=(("e.young.code", 15),)),
                register=True,
                child_age=15,
                younger=Younger(ways=WAYS[:2], acts=13, by_password=True),
            )
        ),
        "cpr": pages.form(cpr),
        "cpr-error": pages.form(replace(cpr, values={"number": "1234"}, errors={"number": "p.e.id"})),
        "cpr-match": pages.form(replace(cpr, values=wrong, errors={"number": "q.e.match"})),
        "logout": pages.confirm_logout(LogoutView(frame=within, action="/logout", fields={"_n": "n1"})),
        "form-post": pages.form_post(FormPostView(frame=frame(language), action="/answer", fields=answer)),
    }


def form_view(language: str, name: str, **changes: object) -> FormView:
    """Return one of FORMS, in a frame with these changes."""
    filled = FORMS[name]
    usual = {"cancel_href": "/t/abc/cancel", "open_until": MOMENT, "left": 1800, "about": filled.about}
    within = frame(language, **{**usual, **changes})
    if not filled.posts:
        within = replace(within, cancel_href=None, open_until=None, left=0, switch_path="/page")
    return FormView(
        frame=within,
        action=f"/t/abc/{filled.page}" if filled.posts else "",
        nonce="n1",
        page=filled.page,
        values=filled.values,
        errors=filled.errors,
        rows=filled.rows,
        ways=WAYS[:2] if "locked" in filled.values else (),
        elsewhere="/t/abc/choose",
    )


def wait_view(language: str, name: str = "wait-scan") -> WaitView:
    """Return one of WAITS; its path is its own, so that the server knows what to say of it."""
    within = frame(language, cancel_href="/t/abc/cancel", open_until=MOMENT, left=1800)
    app = WAYS[1] if WAITS[name]["device"] is Device.OTHER else WAYS[2]
    eid = app.title.split()[0]
    return WaitView(frame=within, base=f"/t/{language}-{name}", nonce="n1", way=app, eid=eid, **WAITS[name])


def wait_news(words: Words, language: str, name: str) -> dict[str, object]:
    """Return what the server tells the script of such a page."""
    view, code = wait_view(language, name), drawing(CODE)
    news = {"device": view.device, "state": view.state, "says": words.say(view.says, language, eid=view.eid)}
    shown = {"path": code.path, "box": code.view_box} if view.device is Device.OTHER else {"link": "/app"}
    return {**news, **(shown if view.state is WaitState.WAITING else {})}


def _ways_back(pages: Pages, language: str) -> dict[str, str]:
    view = WayBackView(frame=frame(language, switch_path="/page", switch_fields={"p": "gone"}), back_href=BACK)
    return {
        "already": pages.already(replace(view, own_href="/me/aaboulevarden")),
        "stayed": pages.stayed(view),
        "gone": pages.gone(view),
        "logged-out": pages.logged_out(view),
        "logged-out-shared": pages.logged_out(replace(view, shared=True, back_href=None)),
    }


def _goodbyes(pages: Pages, language: str) -> dict[str, str]:
    within = frame(language, languages=())
    ended = FarewellView(frame=within, back_href=BACK, ended=(SERVICE, "Patientportalen", "Suomi.fi"))
    telling = TellingView(frame=within, frames=("/told",), onward_href="/goodbye/abc/on")
    return {
        "telling": pages.telling(telling),
        "telling-nobody": pages.telling(replace(telling, frames=())),
        "farewell": pages.farewell(ended),
        "farewell-unsure": pages.farewell(replace(ended, ended=ended.ended[:2], unsure=("MitID via borgeradgang",))),
        "farewell-nowhere": pages.farewell(replace(ended, back_href=None)),
    }


def _problem(problem: Problem, language: str) -> ProblemView:
    view = ProblemView(
        frame=frame(language, switch_path="/page"),
        problem=problem,
        ref="K7M2QX",
        back_href=BACK,
        eid="MitID",
        reopens=MOMENT,
        explanation="redirect_uri differs in the last slash",
    )
    return replace(view, retry_href="/t/abc/choose") if problem is Problem.EID else view


def _documents(pages: Pages, language: str) -> dict[str, str]:
    within = frame(language, switch_path="/page")
    return {
        name: pages.document(DocumentView(frame=within, name=name, ways=WAYS[:6], back_href="/t/abc/choose"))
        for name in ("help", "privacy", "accessibility")
    }


class Shown(ThreadingHTTPServer):
    """A server on loopback: pages by path, with the real headers.

    `posted` keeps what comes back, `left` what pages say when they go.
    """

    daemon_threads = True

    def __init__(self, pages: Pages, bodies: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.pages = pages
        self.bodies = bodies
        self.posted: list[tuple[str, dict[str, list[str]]]] = []
        self.left: list[tuple[str, dict[str, list[str]]]] = []
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    server: Shown

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        transaction, _, document = path.removeprefix("/t/").partition("/")
        language, _, waits = transaction.partition("-")
        if path.startswith("/static/"):
            self._static(path.removeprefix("/static/"))
        elif waits in WAITS and document == "wait.json":
            news = wait_news(Words(), language, waits)
            self._answer(200, "application/json", json.dumps(news).encode(), {"Cache-Control": "no-store"})
        elif waits in WAITS and document == "qr":
            code = CodeView(frame=frame(language), eid="BankID", drawing=drawing(CODE))
            headers = page_headers(https=False, framed=True)
            self._answer(200, "text/html; charset=utf-8", self.server.pages.code(code).encode(), headers)
        elif path in self.server.bodies:
            headers = page_headers(https=False, frames=True)
            self._answer(200, "text/html; charset=utf-8", self.server.bodies[path].encode(), headers)
        elif path in ("/told", "/goodbye/abc/on"):
            self._answer(200, "text/html; charset=utf-8", path.encode(), {})
        else:
            self._answer(404, "text/plain", b"nothing here", {})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        fields = parse_qs(self.rfile.read(length).decode(), keep_blank_values=True)
        (self.server.left if self.path.endswith("/left") else self.server.posted).append((self.path, fields))
        self._answer(200, "text/plain", b"posted", {})

    def _static(self, name: str) -> None:
        try:
            content, kind, _ = self.server.pages.static_file(name)
        except NotFound:
            self._answer(404, "text/plain", b"nothing here", {})
        else:
            self._answer(200, kind, content, static_headers(versioned=True, https=False))

    def _answer(self, status: int, kind: str, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests read what was posted."""


@contextmanager
def show(pages: Pages, bodies: Mapping[str, str]) -> Iterator[Shown]:
    """Serve HTML by path until the block ends."""
    with Shown(pages, bodies) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
