"""The pages of the demo portals."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from flask import Blueprint, Flask, redirect, request
from werkzeug.wrappers import Response

from idbroker.sandbox.guard import foreign_page, wrong_host
from idbroker.sandbox.portal.doors import Door, Service
from idbroker.sandbox.portal.forms import LONGEST_WORDS, Receipt, Receipts
from idbroker.sandbox.portal.relying import Login, NotBelieved, RelyingParty
from idbroker.sandbox.portal.rooms import Bookings
from idbroker.sandbox.portal.shown import Names, clock_of, shown
from idbroker.sandbox.portal.told import Notices
from idbroker.sandbox.portal.visits import Answered, Problem, Visit, Visits
from idbroker.sandbox.skin import page, skin

_HIGH = {"id_token": {"acr": {"essential": True, "values": ["high"]}}}
# What a developer may try again, and what it adds to the request.
_AGAIN: Mapping[str, Mapping[str, str]] = {"again": {"prompt": "login"}, "step-up": {"claims": json.dumps(_HIGH)}}
_PERSON = {"acting_for": "ask"}  # whom it is about is asked again, and no eID
_CANCELLED = "access_denied"
IDLE = timedelta(minutes=2)  # how long a screen that staff handed over waits for its next press
_NOTHING_SENT = Receipt(at=datetime.min.replace(tzinfo=UTC), typed={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """What one portal is made of. `bookings` are its video visits.

    `clinic` is whose My page
    it leads to. It has no list of its own of who may come: whom the broker lets in is in.
    """

    service: Service
    party: RelyingParty
    clinic: str = ""
    bookings: Bookings = field(default_factory=Bookings)


def make_portals(portals: Iterable[Portal], issuer: str, eids: Sequence[str] = ()) -> Flask:
    """Return the application that serves all demo portals, each below its own name.

    `eids` are the origins of those eIDs that a logout leads to.
    """
    app = Flask("idbroker.sandbox.portals", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    app.register_blueprint(skin())
    each = tuple(portals)
    services = [portal.service for portal in each]
    for portal in each:
        app.register_blueprint(_Pages(portal, issuer, tuple(eids)).routes(), url_prefix=f"/{portal.service.id}")
    app.add_url_rule("/", "all", lambda: page("portal/all.html", services=services, issuer=issuer))
    app.before_request(_guard)
    app.register_error_handler(404, lambda _: page("portal/none.html", services=services, issuer=issuer, status=404))
    return app


def _guard() -> Response | None:
    why = wrong_host(request) or (foreign_page(request) if request.method == "POST" else None)
    return Response(f"{why}\n", 403, content_type="text/plain; charset=utf-8") if why else None


class _Pages:
    """The pages of one portal."""

    def __init__(self, portal: Portal, issuer: str, eids: tuple[str, ...]) -> None:
        self._portal, self._party, self._issuer = portal.service, portal.party, issuer
        # The logout is a form, and Chromium holds every redirect after a post against form-action.
        self._origins = (issuer, *eids)
        self._mine = f"{issuer}/me/{portal.clinic}" if portal.clinic else ""
        self._bookings = portal.bookings
        self._visits, self._receipts, self._names = Visits(), Receipts(), Names()

    def routes(self) -> Blueprint:
        """Return its routes."""
        routes = Blueprint(self._portal.id, __name__)
        for path, view in (
            ("/", self.front), ("/login", self.login), ("/callback", self.callback), ("/failed", self.failed),
            ("/goodbye", self.goodbye), ("/happened", self.happened), (f"/{self._portal.help_path}", self.help),
            ("/in/<language>", self.speak), ("/initiate", self.initiate), ("/finish", self.finish),
            ("/<path:path>", self.door),
        ):  # fmt: skip
            routes.add_url_rule(path, view.__name__, view)
        for path, post in (
            ("/logout", self.logout), ("/refresh", self.refresh), ("/userinfo", self.userinfo),
            ("/<any('again', 'step-up'):what>", self.once_more), ("/<any('ask', 'hang-up'):what>", self.move),
            ("/initiate", self.initiated), ("/<path:path>", self.send),
        ):  # fmt: skip
            routes.add_url_rule(path, post.__name__, post, methods=["POST"])
        routes.before_request(self.tend)
        Notices(self._party, self._visits, self._portal.id).add_to(routes)
        routes.register_error_handler(NotBelieved, self.broken)
        return routes

    # ---- pages -----------------------------------------------------------------------------------

    def front(self) -> Response:
        """Show the clinic's site with its doors; whoever is logged in sees the first of them."""
        return self._page("portal/front.html")

    def door(self, path: str) -> Response:
        """Open one door; whoever is not logged in goes to log in first, and comes back to this very door."""
        door = self._service.door(path)
        if door is None:
            return self._page("portal/lost.html", status=404)
        if door.beyond:
            return redirect(f"{self._issuer}{door.beyond}", 303)
        if door.public:
            return self._page("portal/public.html", door=door, path=path)
        if self._visit.login is None and (self._visit.ended or self._visit.helped):
            return self.goodbye() if self._visit.helped else self._page("portal/ended.html", path=path)
        return self._room(door, path) if door.room else self._inside(door, path)

    def _inside(self, door: Door, path: str) -> Response:
        login = self._visit.login
        if login is None:
            return self._begin(path, {})
        if door.asks and ("again" in request.args or self._receipt(login, door) is None):
            return self._form(door, (self._receipt(login, door) or _NOTHING_SENT).typed)
        mine = self._bookings.of(login.userinfo.get("national_number"))
        return self._page(
            "portal/door.html", door=door, about=path.rpartition("/")[2], path=path, mine=mine,
            receipt=self._receipt(login, door),
        )  # fmt: skip

    def _form(self, door: Door, typed: Mapping[str, str], *, missing: bool = False) -> Response:
        return self._page(
            "portal/form.html", door=door, path=door.path, typed=typed, missing=missing, status=422 if missing else 200
        )

    def send(self, path: str) -> Response:
        """Take a form's answers; what was answered is still there if something is missing."""
        door, login = self._service.door(path), self._visit.login
        if door is None or not door.asks:
            return self._page("portal/lost.html", status=404)
        if login is None:
            return self._begin(path, {})
        typed = {ask.name: request.form.get(ask.name, "")[:LONGEST_WORDS] for ask in door.asks}
        if any(ask.answered(typed[ask.name]) is None for ask in door.asks):
            return self._form(door, typed, missing=True)
        self._receipts.keep(login.claims["sub"], door.path, Receipt(at=self._party.now, typed=typed))
        return redirect(self._at(path), 303)

    def _receipt(self, login: Login, door: Door) -> Receipt | None:
        return self._receipts.find(login.claims["sub"], door.path)

    def _room(self, door: Door, path: str) -> Response:
        """Show a video visit: before the login its entrance, then as far as the person has come."""
        number, now, visit = path.rpartition("/")[2], self._party.now, self._visit
        booking = self._bookings.find(number)
        if booking is None:
            return self._page("portal/lost.html", status=404)
        if visit.login is not None and visit.login.userinfo.get("national_number") != booking.invited:
            return self._page("portal/stranger.html", path=path, status=403)
        asked_at = visit.asked[1] if visit.asked and visit.asked[0] == path else None
        stage = booking.stage(asked_at, now)
        return self._page("portal/room.html", door=door, path=path, booking=booking, now=now, stage=stage)

    def move(self, what: str) -> Response:
        """Ask to be let into a video visit, or leave it; its page says what came of it."""
        path, now = request.form.get("door", ""), self._party.now
        door, login, booking = self._service.door(path), self._visit.login, self._bookings.find(path.rpartition("/")[2])
        if door is None or not door.room or booking is None:
            return self._page("portal/lost.html", status=404)
        invited = login is not None and login.userinfo.get("national_number") == booking.invited
        if invited and now >= booking.opens:
            asked = (path, now) if what == "ask" else None
            self._visits.change(self._name, lambda visit: visit.asking(asked))
        return redirect(self._at(path), 303)

    def help(self) -> Response:
        """Explain the login before it, the portal after it (R57)."""
        login = self._visit.login
        return self._page("portal/help.html", texts=self._service.help_after if login else self._service.help_before)

    def speak(self, language: str) -> Response:
        """Go on in another language, on the same page."""
        path = request.args.get("to", "")
        known = self._service.door(path) or path == self._portal.help_path
        response = redirect(self._at(path if known else ""), 303)
        response.set_cookie(
            self._tongue, self._portal.said_in(language).language, httponly=True, samesite="Lax", path=self._at("")
        )
        return response

    def happened(self) -> Response:
        """Show every step of what just happened."""
        return self._page("portal/happened.html", trail=self._visit.trail)

    def failed(self) -> Response:
        """Say that there was no login, and why."""
        problem = self._visit.problem
        if problem is None:
            return redirect(self._at(""), 303)
        return self._page("portal/failed.html", problem=problem, cancelled=problem.code == _CANCELLED)

    def goodbye(self) -> Response:
        """Say goodbye; the browser comes here from the broker. A clinic's tablet goes on to its own page by itself."""
        response = self._page("portal/goodbye.html", helped=self._visit.helped)
        if self._visit.helped:
            response.headers["Refresh"] = f"30; url={self._issuer}/tablet"
            _clear(response)
        return response

    def broken(self, error: NotBelieved) -> Response:
        """Say that the broker cannot be used now."""
        problem = Problem(code=error.code, words=error.words, door="")
        return self._page("portal/failed.html", problem=problem, cancelled=False, status=502)

    # ---- logging in ------------------------------------------------------------------------------

    def initiate(self) -> Response:
        """Begin a login that does not begin here: staff help somebody, on this very screen (Core 4)."""
        return self._initiated(request.args)

    def initiated(self) -> Response:
        """Begin it by a post, which may be another site's form (Core 4)."""
        return self._initiated(request.form)

    def _initiated(self, said: Mapping[str, str]) -> Response:
        # Core 4: only our own broker is asked, or a link from anywhere would choose whom we believe.
        if said.get("iss") != self._issuer:
            return self._page("portal/strange.html", status=400)
        path = said.get("target_link_uri", "").rpartition(f"/{self._portal.id}/")[2]
        door = self._service.door(path)
        return self._begin(self._service.doors[0].path if door is None or door.public else path, {})

    def login(self) -> Response:
        """Begin a login that ends at a door of ours, and nowhere else."""
        door = request.args.get("door", "")
        more = _PERSON if "person" in request.args and self._service.acts else {}
        return self._begin(door if self._service.door(door) else self._service.doors[0].path, more)

    def once_more(self, what: str) -> Response:
        """Begin a login that the session alone does not answer."""
        door = request.form.get("door", "")
        return self._begin(door if self._service.door(door) else self._service.doors[0].path, _AGAIN[what])

    def _begin(self, door: str, more: Mapping[str, str]) -> Response:
        taken = self._service.door(door)
        named = {"door": taken.name} if taken and taken.name else {}
        asked = {"ui_locales": self._service.language, **named, **self._about(door), **more}
        pending, url = self._party.begin(door, asked)
        name = self._visits.change(self._name, lambda visit: visit.expecting(pending))
        return self._to(url, name)

    def _about(self, door: str) -> Mapping[str, str]:
        """Return whom a login for a video visit is to be about: a child is brought, who else is invited comes alone."""
        booking = self._bookings.find(door.removeprefix("visit/"))
        return {} if booking is None else {"acting_for": "ask" if booking.guardian else "self"}

    def callback(self) -> Response:
        """Take the broker's answer."""
        state = request.args.get("state", "")
        if self._visit.waiting_for(state) is None and not self._visits.answered(self._name, state):
            if self._visit.login is not None:  # the Back button, into an answer that has been used
                return redirect(self._at(self._visit.door), 303)
            return self._page("portal/strange.html", status=400)
        name, answer = self._name, request.args.to_dict()
        answered = self._visits.answer_once(name, state, lambda: self._answer(name, state, answer))
        return self._to(self._at(answered.path), answered.name)

    def _answer(self, name: str | None, state: str, answer: Mapping[str, str]) -> Answered:
        pending = self._visits.find(name).waiting_for(state)
        if pending is None:
            raise NotBelieved("state", "Nobody waits for this answer any more.")
        try:
            login, trail = self._party.finish(pending, answer)
        except NotBelieved as error:
            problem, steps = Problem(code=error.code, words=error.words, door=pending.door), error.trail
            kept = self._visits.change(name, lambda visit: visit.answered(pending, steps, problem=problem))
            return Answered(name=kept, path="failed")
        now = self._party.now
        self._names.learn(login)
        kept = self._visits.change(
            name, lambda visit: visit.answered(pending, trail, login=login).seen(now), renew=True
        )
        return Answered(name=kept, path=pending.door)

    # ---- what somebody who is logged in may do ---------------------------------------------------

    def logout(self) -> Response:
        """Log out here, then at the broker, which sends the browser back to say goodbye."""
        login, assisted = self._visit.login, self._visit.assisted
        if login is None:
            return redirect(self._at(""), 303)
        url, step = self._party.farewell(login, secrets.token_urlsafe(8), self._service.language)
        response = self._to(url, self._visits.change(self._name, lambda visit: visit.left((step,)), renew=True))
        if assisted:
            response.delete_cookie(self._tongue, path=self._at(""))
            _clear(response)
        return response

    def finish(self) -> Response:
        """Log out whom staff help, once nobody has pressed anything for a while.

        Only them: a link from anywhere could log anybody else out.
        """
        return self.logout() if self._visit.assisted else redirect(self._at("goodbye"), 303)

    def tend(self) -> Response | None:
        """Log out whom staff help, if nobody has pressed anything for a while: who asks now may be somebody else."""
        visit, now = self._visit, self._party.now
        if not visit.assisted or request.path in (self._at("frontchannel-logout"), self._at("backchannel-logout")):
            return None
        if now - (visit.seen_at or now) >= IDLE:
            return self.logout()
        self._visits.change(self._name, lambda visit: visit.seen(now))
        return None

    def refresh(self) -> Response:
        """Use the refresh token."""
        return self._try("refresh")

    def userinfo(self) -> Response:
        """Call userinfo."""
        return self._try("userinfo")

    def _try(self, what: str) -> Response:
        login = self._visit.login
        if login is None:
            return redirect(self._at(""), 303)
        try:
            renewed, trail = (self._party.refresh if what == "refresh" else self._party.userinfo)(login)
        except NotBelieved as error:
            problem = Problem(code=error.code, words=error.words, door=self._service.doors[0].path)
            steps = error.trail
            self._visits.change(self._name, lambda visit: visit.failed(problem, steps))
            return redirect(self._at("failed"), 303)
        self._visits.change(self._name, lambda visit: visit.went_on(trail, renewed))
        return redirect(self._at("happened#last"), 303)

    # ---- how -------------------------------------------------------------------------------------

    @property
    def _service(self) -> Service:
        return self._portal.said_in(request.cookies.get(self._tongue))

    @property
    def _tongue(self) -> str:
        return f"{self._portal.id}-language"

    @property
    def _name(self) -> str | None:
        return request.cookies.get(self._portal.id)

    @property
    def _visit(self) -> Visit:
        return self._visits.find(self._name)

    def _at(self, path: str) -> str:
        return f"/{self._portal.id}/{path}"

    def _to(self, url: str, name: str) -> Response:
        response = redirect(url, 303)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.set_cookie(self._portal.id, name, httponly=True, samesite="Lax", path=f"/{self._portal.id}")
        return response

    def _page(self, template: str, *, status: int = 200, **values: object) -> Response:
        visit, service = self._visit, self._service
        clock = clock_of(service)
        told = shown(visit.login, service, self._names, self._party.now) if visit.login else {"acting": None}
        response = page(
            template, origins=self._origins, status=status, service=service, words=service.words, at=self._at,
            others=[one for one in (self._portal, *self._portal.also) if one is not service],
            login=visit.login, ended=visit.ended, issuer=self._issuer, has_trail=bool(visit.trail), clock=clock,
            mypage="" if visit.assisted or self._party.registration.framed else self._mine,
            room=service.room, framed=self._party.registration.framed, assisted=visit.assisted, acted=visit.acted,
            **told, **values,
        )  # fmt: skip
        if visit.assisted:
            response.headers["Refresh"] = f"{int(IDLE.total_seconds())}; url={self._at('finish')}"
        return response


def _clear(response: Response) -> None:
    """Have the browser forget the pages of somebody who hands the screen back: Back shows nothing of theirs."""
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
