"""The simulated MitID broker: Nets eID Broker's wire format, with people of ours.

Endpoints, scopes, claims, errors and the three tries at a CPR number are those of the broker's public
documentation. What it does on request or by person: cancel, time out, be blocked, give a lower level or
no number; and every lie of `op_lies` and `op_logout`. At `/connect/sessions` somebody's session ends without us.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from flask import Flask, Response, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from idbroker.clock import Clock
from idbroker.identity import LoA
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.mitid_words import WORDS, reference_text
from idbroker.sandbox.op import Kept, Login, OpenIdProvider, PageError, Wanted
from idbroker.sandbox.op_client import OpError, SimClient
from idbroker.sandbox.op_lies import LIES as TOKEN_LIES
from idbroker.sandbox.op_logout import LOGOUT_LIES, SESSIONS, Sessions, add_logout_routes
from idbroker.sandbox.op_web import add_op_routes
from idbroker.sandbox.people import SimPerson

LIES = TOKEN_LIES | LOGOUT_LIES
OUTCOMES = ("approve", "cancel", "timeout", "blocked", "lower_level", "no_number")
PROTECTED_NAME = "NAVNE & ADRESSEBESKYTTET"
MATCH_TRIES = 3
MATCH_WINDOW = timedelta(minutes=15)
_NSIS = "https://data.gov.dk/concept/core/nsis/"
_ERRORS = {
    "cancel": ("access_denied", "mitid_user_aborted"),
    "timeout": ("access_denied", "mitid_timeout"),
    "blocked": ("access_denied", "mitid_user_blocked"),
    "cpr": ("access_denied", "mitid_cpr_match_exceeded"),
}
_AMR = {LoA.LOW: ["password"], LoA.SUBSTANTIAL: ["code_app"], LoA.HIGH: ["code_app_enchanced"]}

__all__ = ["LIES", "OUTCOMES", "SimClient", "make_mitid"]


@dataclass(slots=True)
class _Typing:
    """Somebody who approved and is now asked to type their CPR number."""

    wanted: Wanted
    person: SimPerson
    level: LoA
    tries: int = 0


@dataclass(slots=True)
class _Tries:
    """How often a number was matched in one MitID session."""

    by_login: dict[str, int] = field(default_factory=dict)

    def count(self, login: str) -> int:
        """Add one and return the sum."""
        self.by_login[login] = self.by_login.get(login, 0) + 1
        return self.by_login[login]


def make_mitid(
    people: Iterable[SimPerson], clock: Clock, faults: Faults, issuer: str, clients: Mapping[str, SimClient]
) -> Flask:
    """Return the simulator; mount it at the path of `issuer`. `clients` may grow while it runs."""
    op = OpenIdProvider(
        issuer=issuer, clock=clock, clients=clients, lies=lambda: faults.of("mitid").lies, extra_metadata=_METADATA
    )
    app = Flask(__name__)
    app.extensions["op"] = op
    add_op_routes(app, op, faults, "mitid")
    app.extensions["sessions"] = sessions = Sessions(op)
    add_logout_routes(app, op, sessions, "neb_sid")
    _Pages(op, sessions, {person.id: person for person in people if "mitid" in person.eids}).add_to(app)
    return app


_METADATA = {
    "scopes_supported": ["openid", "mitid", "ssn", "ssn.details_name"],
    "claims_supported": ["sub", "mitid.uuid", "mitid.date_of_birth", "mitid.age", "mitid.identity_name", "dk.cpr"],
    "acr_values_supported": [_NSIS + word for word in ("Low", "Substantial", "High")],
}


class _Pages:
    """What the person's browser sees, and the broker's own API."""

    def __init__(self, op: OpenIdProvider, sessions: Sessions, people: Mapping[str, SimPerson]) -> None:
        self._op, self._sessions, self._people = op, sessions, people
        self._typing: Kept[_Typing] = Kept(op.clock, MATCH_WINDOW)
        self._tries = _Tries()

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.register_error_handler(PageError, _sorry)
        paths = self._op.paths
        app.add_url_rule(paths.authorize, "authorize", self.authorize, methods=["GET", "POST"])
        app.add_url_rule("/connect/cpr/<name>", "cpr", self.cpr, methods=["GET", "POST"])
        app.add_url_rule(SESSIONS, "sessions", self.sessions, methods=["GET", "POST"])
        app.add_url_rule("/api/v1/mitid/matchCpr", "match_cpr", self.match_cpr, methods=["POST"])

    def authorize(self) -> AnyResponse:
        """Show the page, or go on with what was chosen there or in the address."""
        wanted = self._op.read(request.args)
        chosen = self._chosen(wanted)
        if wanted.parameters.get("prompt") == "none":
            return redirect(self._op.refuse(wanted, "login_required", "no_session"), 303)
        if chosen is None:
            return self._page("mitid.html", wanted, people=self._people.values(), outcomes=OUTCOMES)
        return self._decided(wanted, *chosen)

    def _chosen(self, wanted: Wanted) -> tuple[SimPerson, str] | None:
        if request.method == "POST":
            return self._person(request.form.get("person", "")), request.form.get("outcome", "approve")
        if "simulate" in request.args:
            outcome, _, person = request.args["simulate"].partition(":")
            return self._person(person), outcome
        words = wanted.parameters.get("simulation", "").split()
        return (self._hinted(words[-1]), "approve") if words[:1] == ["no-ui"] else None

    def _person(self, name: str) -> SimPerson:
        person = self._people.get(name)
        if person is None:
            raise PageError("unknown_person")
        return person

    def _hinted(self, hint: str) -> SimPerson:
        kind, _, value = hint.partition(":")
        known = {"uuid": lambda p: p.uuid, "cpr": lambda p: p.number, "username": lambda p: p.id}
        found = [p for p in self._people.values() if kind in known and known[kind](p) == value]
        if not found:
            raise PageError("unknown_person")
        return found[0]

    def _decided(self, wanted: Wanted, person: SimPerson, outcome: str) -> AnyResponse:
        outcome = person.habit if outcome == "approve" else outcome
        if outcome in _ERRORS:
            return redirect(self._op.refuse(wanted, *_ERRORS[outcome]), 303)
        if outcome not in OUTCOMES:
            raise PageError("unknown_outcome")
        level = _level(wanted, person)
        level = LoA(max(level - 1, LoA.LOW)) if outcome == "lower_level" else level
        numbered = person if outcome != "no_number" else _numberless(person)
        if "ssn" in wanted.scopes and wanted.client.private and numbered.number is not None:
            typing = self._typing.add(_Typing(wanted, numbered, level))
            return redirect(f"{self._op.issuer}/connect/cpr/{typing}", 303)
        return self._approved(wanted, numbered, level)

    def _approved(self, wanted: Wanted, person: SimPerson, level: LoA) -> AnyResponse:
        now = self._op.clock.now()
        userinfo = _userinfo(wanted, person, now)
        claims = {
            **_id_claims(level, now),
            "neb_sid": self._sessions.begin(person.id, subject_of(person), wanted.client),
        }
        return redirect(self._op.approve(wanted, subject_of(person), claims, userinfo), 303)

    def cpr(self, name: str) -> AnyResponse:
        """Ask for the CPR number, as the broker does for a private service that wants it."""
        typing = self._typing.get(name)
        if typing is None:
            raise PageError("session_expired")
        if request.method == "GET":
            return self._page("mitid_cpr.html", typing.wanted, wrong=False)
        if request.form.get("outcome") == "cancel":
            return redirect(self._op.refuse(typing.wanted, *_ERRORS["cancel"]), 303)
        if _digits(request.form.get("cpr", "")) == typing.person.number:
            return self._approved(typing.wanted, typing.person, typing.level)
        typing.tries += 1
        if typing.tries >= MATCH_TRIES:
            return redirect(self._op.refuse(typing.wanted, *_ERRORS["cpr"]), 303)
        return self._page("mitid_cpr.html", typing.wanted, wrong=True)

    def match_cpr(self) -> AnyResponse:
        """Tell whether a number is this person's: three times, in the first fifteen minutes."""
        login = self._op.login(request.headers.get("Authorization"))
        typed = (request.get_json(silent=True) or {}).get("cpr")
        if not isinstance(typed, str) or len(typed) != 10 or not typed.isdigit():
            raise OpError("invalid_request")
        late = self._op.clock.now() - login.at > MATCH_WINDOW
        if late or self._tries.count(login.id) > MATCH_TRIES:
            return Response('{"error": "Cpr Match exceeded"}', 400, mimetype="application/json")
        return jsonify({"cprNumberMatch": typed == self._number(login)})

    def _number(self, login: Login) -> str | None:
        return next((p.number for p in self._people.values() if subject_of(p) == login.subject), None)

    def sessions(self) -> AnyResponse:
        """Show who is signed in, and sign a person out everywhere."""
        person = request.form.get("person")
        if person is not None:
            self._sessions.end_of(self._person(person).id)
        people = [self._people[name] for name in self._sessions.people()]
        return _html(render_template("mitid_sessions.html", words=WORDS["da"], language="da", people=people), 200)

    def _page(self, template: str, wanted: Wanted, **values: Any) -> AnyResponse:
        language = "en" if wanted.parameters.get("language") == "en" else "da"
        body = render_template(
            template,
            words=WORDS[language],
            language=language,
            client=wanted.client.id,
            reference=reference_text(_idp_params(wanted)),
            **values,
        )
        return _html(body, 200)


def _sorry(error: PageError) -> Response:
    return _html(render_template("mitid_error.html", words=WORDS["en"], language="en", code=error.code), 400)


def _html(body: str, status: int) -> Response:
    response = Response(body, status, mimetype="text/html")
    # No form-action: the browser checks it against every redirect after a post, and where those end
    # (our callback, then a portal of whoever asked) an eID does not know.
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _idp_params(wanted: Wanted) -> Mapping[str, Any]:
    try:
        asked = json.loads(wanted.parameters.get("idp_params") or "{}").get("mitid", {})
    except (ValueError, AttributeError):
        raise PageError("invalid_request") from None
    return asked if isinstance(asked, dict) else {}


def _level(wanted: Wanted, person: SimPerson) -> LoA:
    try:
        asked = LoA(_idp_params(wanted).get("loa_value", "substantial"))
    except ValueError:
        raise PageError("invalid_request") from None
    return min(asked, person.loa)


def _numberless(person: SimPerson) -> SimPerson:
    return SimPerson(
        id=person.id,
        given_name=person.given_name,
        family_name=person.family_name,
        country=person.country,
        number=None,
        born=person.born,
        story=person.story,
        eids=person.eids,
        loa=person.loa,
        protected=person.protected,
    )


def subject_of(person: SimPerson) -> str:
    """Return the broker's own name for a person, another than MitID's."""
    return person.uuid[::-1]


def _id_claims(level: LoA, now: datetime) -> dict[str, Any]:
    uri = _NSIS + level.word.capitalize()
    return {
        "amr": _AMR[level],
        "acr": uri,
        "loa": uri,
        "ial": uri,
        "aal": uri,
        "idp": "mitid",
        "idp_environment": "test",
        "identity_type": "private",
        "transaction_id": f"tx-{now.timestamp():.0f}",
        "session_expiry": f"{(now + timedelta(hours=1)).timestamp():.0f}",
    }


def _userinfo(wanted: Wanted, person: SimPerson, now: datetime) -> dict[str, Any]:
    hidden = person.protected and wanted.client.private
    claims: dict[str, Any] = {"idp_identity_id": person.uuid, "session_is_active": "true"}
    if "mitid" in wanted.scopes:
        claims |= {
            "mitid.uuid": person.uuid,
            "mitid.date_of_birth": person.born.isoformat(),
            "mitid.age": str(_age(person.born, now.date())),
            "mitid.identity_name": PROTECTED_NAME if hidden else person.name,
            "mitid.transaction_id": f"tx-{now.timestamp():.0f}",
            "mitid.has_cpr": "true" if person.number else "false",
        }
    if "ssn" in wanted.scopes and person.number:
        claims["dk.cpr"] = person.number
    if "ssn.details_name" in wanted.scopes and person.number:
        claims |= _details(person)
    return claims


def _details(person: SimPerson) -> dict[str, Any]:
    if person.protected:
        return {"ssn.details.status": "success", "ssn.details.name_address_protected": "true"}
    return {
        "ssn.details.status": "success",
        "ssn.details.name_address_protected": "false",
        "ssn.details.person_status": "active",
        "ssn.details.given_name": person.given_name,
        "ssn.details.surname": person.family_name,
    }


def _age(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))
