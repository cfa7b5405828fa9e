"""The routes of a simulated SAML identity provider: metadata, sign-on, the page for the person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

from flask import Flask, redirect, request
from werkzeug.wrappers import Response

from idbroker.saml import names
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.op import Kept
from idbroker.sandbox.op_web import broken
from idbroker.sandbox.people import SimPerson
from idbroker.sandbox.saml_asked import Asked
from idbroker.sandbox.saml_farewell import Farewells, Manner
from idbroker.sandbox.saml_idp import Proved, SamlIdp
from idbroker.sandbox.saml_pages import Words
from idbroker.sandbox.saml_party import Misuse
from idbroker.sandbox.saml_sessions import Proof, Session
from idbroker.sandbox.saml_wire import Leaves

NO_PASSIVE = names.STATUS + "NoPassive"
INVALID_NAME_POLICY = names.STATUS + "InvalidNameIDPolicy"


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why nobody is signed in: status codes, outermost first, and what is said with them."""

    statuses: tuple[str, ...]
    message: str | None = None


class Front(Protocol):
    """What one identity provider asks its people, and says about them."""

    template: str

    def values(self, asked: Asked, language: str) -> Mapping[str, Any]:
        """Return what its page shows, besides the people."""
        ...

    def proof(self, asked: Asked, person: SimPerson, outcome: str, method: str) -> Proof:
        """Return what the person did. Misuse for an outcome or a method there is not."""
        ...

    def unmet(self, asked: Asked) -> WhyNot | None:
        """Tell why nobody at all can meet what was asked."""
        ...

    def why_not(self, asked: Asked, proof: Proof) -> WhyNot | None:
        """Tell why what the person did does not meet what was asked."""
        ...

    def proved(self, asked: Asked, proof: Proof, address: str) -> Proved:
        """Return what is asserted."""
        ...


class SamlWeb:
    """All routes of one identity provider."""

    def __init__(
        self, idp: SamlIdp, faults: Faults, provider: str, people: Iterable[SimPerson], words: Words, front: Front
    ) -> None:
        self._idp, self._faults, self._provider, self._words, self._front = idp, faults, provider, words, front
        self._people = {person.id: person for person in people}
        self._pending: Kept[tuple[Asked, str]] = Kept(idp.clock, timedelta(minutes=30))
        self._cookie = f"{provider}-sim-session"

    def app(self, metadata: str, logout: Manner) -> Flask:
        """Return the application; `metadata` is the path of that."""
        app = Flask(__name__)
        app.extensions["idp"] = self._idp
        app.before_request(lambda: broken(self._faults, self._provider))
        app.register_error_handler(Misuse, self._sorry)
        app.add_url_rule(metadata, "metadata", self.metadata)
        app.add_url_rule("/authn/<name>", "authn", self.authn, methods=["GET", "POST"])
        farewells = Farewells(self._idp, self._words, logout)
        farewells.add_to(app)
        for (path, method), binding in self._places().items():
            app.add_url_rule(path, f"{method} {path}", self._reading(binding, path, farewells), methods=[method])
        return app

    def metadata(self) -> Response:
        """Return the metadata."""
        return Response(self._idp.metadata(), mimetype="application/samlmetadata+xml")

    def authn(self, name: str) -> Response:
        """Show the page, or go on with what was chosen there."""
        pending = self._pending.get(name)
        if pending is None:
            raise Misuse("no_sign_in")
        asked, language = pending
        if request.method == "POST":
            return self._chosen(asked, language)
        language = self._words.language(request.args.get("locale"), language)
        remembered = request.cookies.get(f"{self._provider}-sim-person")
        people = sorted(self._people.values(), key=lambda person: person.id != remembered)
        values = self._front.values(asked, language)
        service = asked.party.title(language)
        return self._words.page(self._front.template, language, people=people, service=service, **values)

    def _places(self) -> dict[tuple[str, str], str]:
        # NemLog-in has one address for both: what came decides.
        described = self._idp.profile.described
        urls = [*described.sign_on.items(), *described.logout.items()]
        return {(urlsplit(url).path, "GET" if binding == names.REDIRECT else "POST"): binding for binding, url in urls}

    def _reading(self, binding: str, path: str, farewells: Farewells) -> Callable[[], Response]:
        described = self._idp.profile.described
        signs_on = urlsplit(described.sign_on.get(binding, "")).path == path
        logs_out = urlsplit(described.logout.get(binding, "")).path == path

        def view() -> Response:
            came = self._idp.came(binding, request.query_string, request.form)
            if signs_on and (came.message.tag == names.AUTHN_REQUEST or not logs_out):
                return self._asked(self._idp.asked(came, binding))
            return farewells.came(came, binding)

        return view

    def _asked(self, asked: Asked) -> Response:
        language = self._words.language(asked.language)
        unmet = self._front.unmet(asked)
        if unmet is not None:
            return self._refused(asked, unmet, language)
        session = self._session(asked)
        if session is not None:
            return self._approved(asked, session, language)
        if asked.passive:
            return self._refused(asked, WhyNot((names.RESPONDER, NO_PASSIVE)), language)
        return redirect(f"/authn/{self._pending.add((asked, language))}", 303)

    def _session(self, asked: Asked) -> Session | None:
        if asked.force or "no_sso" in self._idp.lies():
            return None
        session = self._idp.sessions.of(request.cookies.get(self._cookie))
        return session if session is not None and self._front.why_not(asked, session.proof) is None else None

    def _chosen(self, asked: Asked, language: str) -> Response:
        person = self._people.get(request.form.get("person", ""))
        if person is None:
            raise Misuse("unknown_person")
        outcome = "cancel" if "cancel" in request.form else request.form.get("outcome", "approve")
        outcome = person.habit if outcome == "approve" else outcome
        proof = self._front.proof(asked, person, outcome, request.form.get("method", ""))
        why_not = self._front.why_not(asked, proof)
        if why_not is not None:
            return self._refused(asked, why_not, language)
        session = self._idp.sessions.begin(proof)
        response = self._approved(asked, session, language)
        response.set_cookie(self._cookie, session.id, httponly=True, samesite="Lax")
        if "remember" in request.form:
            response.set_cookie(f"{self._provider}-sim-person", person.id, httponly=True, samesite="Lax")
        return response

    def _approved(self, asked: Asked, session: Session, language: str) -> Response:
        proved = self._front.proved(asked, session.proof, request.remote_addr or "127.0.0.1")
        return self._words.leave(self._idp.approve(asked, session, proved), language)

    def _refused(self, asked: Asked, why_not: WhyNot, language: str) -> Response:
        leaves: Leaves = self._idp.refuse(asked, why_not.statuses, why_not.message)
        return self._words.leave(leaves, language)

    def _sorry(self, error: Misuse) -> Response:
        return self._words.page("saml_error.html", self._words.language(), status=400, code=error.code)
