"""Single logout at a simulated identity provider: asked by a service, or begun on its own page (SAML profiles, 4.4)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from flask import Flask, redirect, request
from werkzeug.wrappers import Response

from idbroker.saml import names
from idbroker.sandbox.op import Kept
from idbroker.sandbox.saml_asked import LogoutWanted
from idbroker.sandbox.saml_idp import SamlIdp
from idbroker.sandbox.saml_pages import Words
from idbroker.sandbox.saml_party import LogoutPlace, Misuse, Party
from idbroker.sandbox.saml_sessions import Participant, Session
from idbroker.sandbox.saml_wire import Came, Leaves

UNKNOWN_PRINCIPAL = names.STATUS + "UnknownPrincipal"
_PATIENCE = 8  # looks at an answer that does not come, one a second
_HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Told:
    """A service that is told that the session is over; `ended` when it has said so, None while it has not."""

    title: str
    leaves: Leaves | None = field(default=None, repr=False)
    ended: bool | None = None


@dataclass(slots=True)
class Run:
    """One logout: of which session, asked by which service, if any, and how far it has come."""

    session: Session
    wanted: LogoutWanted | None
    language: str
    waiting: list[Participant]
    told: dict[str, Told] = field(default_factory=dict)
    confirmed: bool = False

    @property
    def is_over(self) -> bool:
        """Tell whether every service has answered."""
        return all(one.ended is not None for one in self.told.values())

    @property
    def statuses(self) -> tuple[str, ...]:
        """Return what to answer the service that asked (SAML core, 3.7.3.2)."""
        if all(one.ended for one in self.told.values()):
            return (names.SUCCESS,)
        return (names.RESPONDER, names.PARTIAL_LOGOUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How one identity provider says goodbye.

    `frames` asks the person first and tells all services at once, in hidden frames; else they are told
    one after the other, by redirects. `first` takes the first logout address of a service's metadata,
    whatever its binding; else one by Redirect. `path` is where its own logout page is.
    """

    frames: bool
    first: bool
    path: str
    cookie: str


class Farewells:
    """The routes of single logout."""

    def __init__(self, idp: SamlIdp, words: Words, manner: Manner) -> None:
        self._idp, self._words, self._manner = idp, words, manner
        self._runs: Kept[Run] = Kept(idp.clock, _HOUR)
        self._asked: dict[str, tuple[str, str]] = {}  # by request: which run, which service
        self._lock = threading.Lock()

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule(self._manner.path, "logout", self.begin)
        app.add_url_rule("/logout/<name>", "logout_run", self.run, methods=["GET", "POST"])
        app.add_url_rule("/logout/<name>/frame/<int:number>", "logout_frame", self.frame)
        app.add_url_rule("/logout/<name>/status", "logout_status", self.status)
        app.add_url_rule("/logout/<name>/end", "logout_end", self.end, methods=["POST"])

    def came(self, came: Came, binding: str) -> Response:
        """Go on with a message that came to the logout address: a service's request, or its answer."""
        if came.name == "SAMLResponse":
            return self._answered(came)
        wanted = self._idp.logout_wanted(came, binding)
        session = self._idp.sessions.named(wanted.party.entity_id, wanted.name, wanted.indexes)
        language = self._words.language()
        if session is None:
            return self._tell(wanted, (names.REQUESTER, UNKNOWN_PRINCIPAL), language)
        return self._begun(session, wanted, language)

    def begin(self) -> Response:
        """Begin a logout on our own page."""
        session = self._idp.sessions.of(request.cookies.get(self._manner.cookie))
        language = self._words.language()
        if session is None:
            return self._words.page("saml_logged_out.html", language, told=[])
        name = self._runs.add(self._new(session, None, language))
        return redirect(f"/logout/{name}", 303)

    def run(self, name: str) -> Response:
        """Ask the person; then end the session and tell the services."""
        run = self._run(name)
        if request.method == "POST":
            return self._confirmed(name, run)
        if not run.confirmed:
            services = [self._title(one.entity_id, run.language) for one in run.session.participants.values()]
            return self._words.page("saml_logout.html", run.language, services=services)
        return self._framing(name, run)

    def frame(self, name: str, number: int) -> Response:
        """Return what one hidden frame shows: a request that goes by POST, on its way."""
        shown = [one.leaves for one in self._run(name).told.values() if one.leaves is not None]
        if number >= len(shown):
            raise Misuse("no_frame")
        return self._words.leave(shown[number], self._run(name).language, framed=True)

    def status(self, name: str) -> Response:
        """Return what the visible frame shows: who has answered, and at the end the way on."""
        run, looks = self._run(name), int(request.args.get("look", "0"))
        over = run.is_over or looks >= _PATIENCE
        return self._words.framing(
            "saml_logout_status.html",
            run.language,
            (),
            framed=True,
            told=list(run.told.values()),
            again=None if over else f"?look={looks + 1}",
            end=f"/logout/{name}/end" if over and run.wanted is not None else None,
        )

    def end(self, name: str) -> Response:
        """Go back to the service that asked."""
        return self._ended(self._run(name))

    def _new(self, session: Session, wanted: LogoutWanted | None, language: str) -> Run:
        asker = None if wanted is None else wanted.party.entity_id
        waiting = [one for one in session.participants.values() if one.entity_id != asker]
        return Run(session=session, wanted=wanted, language=language, waiting=waiting)

    def _begun(self, session: Session, wanted: LogoutWanted, language: str) -> Response:
        run = self._new(session, wanted, language)
        name = self._runs.add(run)
        return redirect(f"/logout/{name}", 303) if self._manner.frames else self._confirmed(name, run)

    def _confirmed(self, name: str, run: Run) -> Response:
        run.confirmed = True
        self._idp.sessions.end(run.session)
        if not self._manner.frames:
            return self._next(name, run)
        while run.waiting:
            self._ask(name, run, run.waiting.pop(0))
        if not run.told and run.wanted is not None:
            return self._ended(run)
        return redirect(f"/logout/{name}", 303)

    def _ask(self, name: str, run: Run, participant: Participant) -> Leaves | None:
        told = run.told[participant.entity_id] = Told(title=self._title(participant.entity_id, run.language))
        place = self._place(self._idp.party(participant.entity_id))
        if place is None:
            told.ended = False
            return None
        request_id, told.leaves = self._idp.logout_request(participant, place)
        with self._lock:
            self._asked[request_id] = (name, participant.entity_id)
        return told.leaves

    def _next(self, name: str, run: Run) -> Response:
        while run.waiting:
            leaves = self._ask(name, run, run.waiting.pop(0))
            if leaves is not None:
                return self._words.leave(leaves, run.language)
        return self._ended(run)

    def _answered(self, came: Came) -> Response:
        answers, ended = self._idp.logout_answered(came)
        with self._lock:
            name, entity_id = self._asked.pop(answers, ("", ""))
        run = self._run(name)
        if came.party.entity_id != entity_id:
            raise Misuse("answer_of_another")
        told = run.told[entity_id]
        told.ended = ended
        if not self._manner.frames:
            return self._next(name, run)
        return self._words.framing("saml_logged_out.html", run.language, (), framed=True, told=[told])

    def _ended(self, run: Run) -> Response:
        if run.wanted is not None:
            return self._tell(run.wanted, run.statuses, run.language)
        return self._words.page("saml_logged_out.html", run.language, told=list(run.told.values()))

    def _framing(self, name: str, run: Run) -> Response:
        shown = [one.leaves for one in run.told.values() if one.leaves is not None]
        hidden = [
            one.url if one.fields is None else f"/logout/{name}/frame/{number}" for number, one in enumerate(shown)
        ]
        status = f"/logout/{name}/status"
        inside = [status, *(one.url for one in shown)]
        return self._words.framing("saml_logout_frames.html", run.language, inside, hidden=hidden, status_url=status)

    def _tell(self, wanted: LogoutWanted, statuses: tuple[str, ...], language: str) -> Response:
        place = self._place(wanted.party)
        if place is None:
            raise Misuse("no_logout_address")
        return self._words.leave(self._idp.logout_response(wanted, place, statuses), language)

    def _place(self, party: Party) -> LogoutPlace | None:
        redirects = [one for one in party.logout if one.binding == names.REDIRECT]
        places: Sequence[LogoutPlace] = party.logout if self._manner.first or not redirects else redirects
        return places[0] if places else None

    def _title(self, entity_id: str, language: str) -> str:
        return self._idp.party(entity_id).title(language)

    def _run(self, name: str) -> Run:
        run = self._runs.get(name)
        if run is None:
            raise Misuse("no_logout")
        return run
